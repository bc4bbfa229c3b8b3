#include "report/model_tables.h"

#include <fmt/format.h>

#include <cmath>

#include "base/json.h"
#include "base/text.h"
#include "report/html.h"

namespace quern::report {
namespace {

std::optional<double> NumberOf(const Json& object, const char* key) {
  auto it = object.find(key);
  if (it == object.end() || !it->is_number()) return std::nullopt;
  const double value = it->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

// 0 for what no count can be.
int64_t CountOf(std::optional<double> value) {
  return value && std::abs(*value) < 9e18 ? static_cast<int64_t>(*value) : 0;
}

std::string TextOf(const Json& object, const char* key) {
  auto it = object.find(key);
  if (it == object.end() || it->is_null()) return "";
  return it->is_string() ? it->get<std::string>() : it->dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json Parsed(const std::string& text) {
  if (text.empty()) return {};
  auto json = ParseJson(text, "monitoring");
  return json ? *std::move(json) : Json();
}

Figures FiguresOf(const Json& object, const char* key) {
  Figures out;
  const Json figures = object.value(key, Json::object());
  if (!figures.is_object()) return out;
  for (const auto& [name, value] : figures.items()) out[name] = NumberOf(figures, name.c_str());
  return out;
}

std::map<std::string, std::string> ParametersOf(const Json& parameters) {
  std::map<std::string, std::string> out;
  if (!parameters.is_object()) return out;
  for (const auto& [name, value] : parameters.items())
    out[name] = value.is_number_float() ? fmt::format("{}", value.get<double>()) : TextOf(parameters, name.c_str());
  return out;
}

}  // namespace

const engine::Value* TableRow::Find(std::string_view column) const {
  auto it = values_.find(column);
  return it == values_.end() ? nullptr : &it->second;
}

std::optional<int64_t> TableRow::Integer(std::string_view column) const {
  const auto* value = Find(column);
  if (value == nullptr) return std::nullopt;
  if (const auto* integer = std::get_if<int64_t>(value)) return *integer;
  return std::nullopt;
}

std::optional<double> TableRow::Number(std::string_view column) const {
  const auto* value = Find(column);
  if (value == nullptr) return std::nullopt;
  if (const auto* number = std::get_if<double>(value))
    return std::isfinite(*number) ? std::optional(*number) : std::nullopt;
  if (const auto* integer = std::get_if<int64_t>(value)) return static_cast<double>(*integer);
  return std::nullopt;
}

std::string TableRow::Text(std::string_view column) const {
  const auto* value = Find(column);
  return value == nullptr ? "" : engine::ToText(*value);
}

bool TableRow::True(std::string_view column) const {
  const auto* value = Find(column);
  const auto* truth = value == nullptr ? nullptr : std::get_if<bool>(value);
  return truth != nullptr && *truth;
}

TableReader::TableReader(warehouse::Session& session, warehouse::TableName name,
                         const std::vector<engine::Column>& columns)
    : session_(session), name_(std::move(name)) {
  for (const auto& column : columns) columns_[Lower(column.name)] = column.name;
}

std::string TableReader::Quoted() const {
  return QuoteIdentifier(name_.schema) + "." + QuoteIdentifier(name_.table);
}

void TableReader::Add(std::vector<Want>& wants, const std::vector<std::string>& names, std::string_view type) const {
  for (const auto& name : names) {
    auto it = columns_.find(name);
    wants.push_back({name, it == columns_.end()
                               ? fmt::format("CAST(NULL AS {})", type)
                               : fmt::format("TRY_CAST({} AS {})", QuoteIdentifier(it->second), type)});
  }
}

std::vector<TableReader::Want> TableReader::Columns(const std::vector<std::string>& names,
                                                    std::string_view type) const {
  std::vector<Want> out;
  Add(out, names, type);
  return out;
}

void TableReader::AddInstant(std::vector<Want>& wants, const std::string& name) const {
  auto it = columns_.find(name);
  wants.push_back({name, it == columns_.end()
                             ? "CAST(NULL AS BIGINT)"
                             : fmt::format("epoch_us(TRY_CAST({} AS TIMESTAMPTZ))", QuoteIdentifier(it->second))});
}

Result<std::vector<TableRow>> TableReader::Read(const std::vector<Want>& wants, const std::string& rest) {
  std::vector<std::string> select;
  // Not under the columns' own names: ORDER BY and WHERE are to mean the table's columns.
  for (size_t i = 0; i < wants.size(); ++i) select.push_back(fmt::format("{} AS quern_{}", wants[i].sql, i));
  auto result = QUERN_TRY(session_.Execute(fmt::format("SELECT {} FROM {} {}", Join(select, ", "), Quoted(), rest)));
  std::vector<TableRow> out;
  out.reserve(result.rows.size());
  for (auto& row : result.rows) {
    TableRow one;
    for (size_t i = 0; i < wants.size() && i < row.size(); ++i) one.Set(wants[i].name, std::move(row[i]));
    out.push_back(std::move(one));
  }
  return out;
}

std::vector<CalibrationBin> CalibrationOf(const std::string& text) {
  std::vector<CalibrationBin> out;
  const Json bins = Parsed(text);
  if (!bins.is_array()) return out;
  for (const auto& bin : bins) {
    if (!bin.is_object()) continue;
    auto score = NumberOf(bin, "mean_score"), share = NumberOf(bin, "positive_share");
    if (!score || !share) continue;
    out.push_back({NumberOf(bin, "lower").value_or(0), NumberOf(bin, "upper").value_or(1), *score, *share,
                   CountOf(NumberOf(bin, "rows"))});
  }
  return out;
}

std::map<std::string, double> SharesOf(const std::string& text) {
  std::map<std::string, double> out;
  const Json shares = Parsed(text);
  if (!shares.is_object()) return out;
  for (const auto& [name, share] : shares.items()) {
    if (share.is_number()) out[name] = share.get<double>();
  }
  return out;
}

std::optional<Histogram> HistogramOf(const std::string& text) {
  const Json json = Parsed(text);
  if (!json.is_object() || !json.contains("edges") || !json.contains("counts")) return std::nullopt;
  Histogram out;
  for (const auto& edge : json["edges"]) {
    if (!edge.is_number()) return std::nullopt;
    out.edges.push_back(edge.get<double>());
  }
  for (const auto& count : json["counts"]) {
    if (!count.is_number()) return std::nullopt;
    out.counts.push_back(CountOf(count.get<double>()));
  }
  if (out.counts.empty() || out.edges.size() != out.counts.size() + 1) return std::nullopt;
  return out;
}

std::vector<Candidate> CandidatesOf(const std::string& text) {
  std::vector<Candidate> out;
  const Json list = Parsed(text);
  if (!list.is_array()) return out;
  for (const auto& item : list) {
    if (!item.is_object()) continue;
    Candidate one;
    one.name = TextOf(item, "candidate");
    one.run_id = TextOf(item, "run_id");
    one.frame = TextOf(item, "frame");
    one.parameters = ParametersOf(item.value("parameters", Json()));
    if (auto rows = NumberOf(item, "rows")) one.rows = CountOf(rows);
    one.metrics = FiguresOf(item, "metrics");
    one.dummy = FiguresOf(item, "dummy");
    one.blocked = TextOf(item, "blocked");
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace quern::report
