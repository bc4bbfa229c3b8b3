// Parameter sets: given, every combination, or drawn.
#include <cmath>

#include "base/text.h"
#include "ml/config_reader.h"
#include "ml/xgboost/parameters.h"

namespace quern::ml {
namespace {

constexpr size_t kMostSets = 1'000;

void Report(const SourcePos& pos, const std::string& what, const Error& error, const ConfigReader& reader) {
  reader.Report(pos, fmt::format("{}: {}", what, error.message()), error.hint(), error.code());
}

// False, and said, when XGBoost has no parameter of this name.
bool CheckName(const Yaml& key, const std::string& what, bool xgboost, const ConfigReader& reader) {
  if (!xgboost) return true;
  auto checked = CheckXgboostParameterName(key.text());
  if (!checked) Report(key.pos(), what, checked.error(), reader);
  return checked.has_value();
}

// Numbers that YAML 1.1 takes for text (1e-3) are numbers here.
std::optional<Json> ValueOf(const Yaml& key, const Yaml& node, const std::string& what, bool xgboost,
                            const ConfigReader& reader) {
  if (node.is_null() || (!node.is_scalar() && !xgboost)) {
    reader.Report(node.pos(), fmt::format("a value in {} must be a single one, it is {}", what, node.KindName()), "",
                  ErrorCode::kWrongType);
    return std::nullopt;
  }
  Json value = node.ToJson();
  if (node.is_string() && !node.quoted()) {
    if (auto number = NumberOf(node); number && node.text().find('%') == std::string::npos) value = *number;
  }
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    reader.Report(node.pos(), fmt::format("a value in {} is not finite", what));
    return std::nullopt;
  }
  if (xgboost) {
    if (auto checked = CheckXgboostParameter(key.text(), value); !checked) {
      Report(node.pos(), what, checked.error(), reader);
      return std::nullopt;
    }
  }
  return value;
}

std::vector<Json> ReadGrid(const Yaml& node, const std::string& what, bool xgboost, const ConfigReader& reader) {
  std::vector<Json> sets{Json::object()};
  if (!node.is_mapping()) {
    reader.Report(node.pos(), fmt::format("'grid' in {} must be a mapping of names to lists", what), "",
                  ErrorCode::kWrongType);
    return sets;
  }
  for (const auto& [key, values] : node.entries()) {
    if (!CheckName(key, what, xgboost, reader)) continue;
    std::vector<Json> choices;
    const std::vector<Yaml> one{values};
    for (const auto& item : values.is_sequence() ? values.items() : one) {
      auto value = ValueOf(key, item, what, xgboost, reader);
      if (!value) continue;
      if (std::find(choices.begin(), choices.end(), *value) != choices.end()) {
        reader.Report(item.pos(), fmt::format("'{}' in {} has the value {} twice", key.text(), what, item.text()));
      } else {
        choices.push_back(*std::move(value));
      }
    }
    if (values.is_sequence() && values.items().empty())
      reader.Report(values.pos(), fmt::format("'{}' in {} has no values", key.text(), what));
    if (choices.empty()) continue;
    if (sets.size() * choices.size() > kMostSets) {
      reader.Report(node.pos(), fmt::format("the grid in {} has more than {} combinations", what, kMostSets),
                    "draw some: parameters: {random: {count: 20, space: {...}}}");
      return {Json::object()};
    }
    std::vector<Json> more;
    for (const auto& set : sets) {
      for (const auto& choice : choices) {
        more.push_back(set);
        more.back()[key.text()] = choice;
      }
    }
    sets = std::move(more);
  }
  return sets;
}

// ---- drawing

struct Range {
  std::vector<Json> choices;  // either these
  double low = 0, high = 0;   // or from low to high
  bool whole = false;
  bool logarithmic = false;
};

// The first 53 bits of SHA-256("<seed>/<number>/<name>") as a fraction: what a set's parameter is does not depend on
// the others, nor on a library's generator.
double Draw(int64_t seed, size_t number, const std::string& name) {
  const std::string hex = Sha256Hex(fmt::format("{}/{}/{}", seed, number, name)).substr(0, 16);
  return static_cast<double>(std::strtoull(hex.c_str(), nullptr, 16) >> 11) * 0x1.0p-53;
}

Json ValueAt(const Range& range, double u) {
  if (!range.choices.empty()) {
    const auto count = static_cast<double>(range.choices.size());
    return range.choices[std::min(static_cast<size_t>(u * count), range.choices.size() - 1)];
  }
  double value = 0;
  if (range.logarithmic) {
    value = std::exp(std::log(range.low) + u * (std::log(range.high) - std::log(range.low)));
  } else if (range.whole) {
    return std::min(static_cast<int64_t>(range.low + std::floor(u * (range.high - range.low + 1))),
                    static_cast<int64_t>(range.high));
  } else {
    value = range.low + u * (range.high - range.low);
  }
  if (range.whole) return std::clamp(std::llround(value), std::llround(range.low), std::llround(range.high));
  // Six digits: readable, and the same whatever the last bits of exp and log.
  const std::string text = fmt::format("{:.6g}", value);
  return std::clamp(std::strtod(text.c_str(), nullptr), range.low, range.high);
}

std::optional<Range> ReadRange(const Yaml& key, const Yaml& node, const std::string& what, bool xgboost,
                               const ConfigReader& reader) {
  Range range;
  const Yaml *low = nullptr, *high = nullptr;
  const std::string name = fmt::format("'{}' in {}", key.text(), what);
  if (node.is_mapping()) {
    YamlMap map(node, name, reader.diagnostics);
    low = map.Get("from");
    high = map.Get("to");
    range.logarithmic = map.Choice("scale", {"linear", "log"}) == "log";
    map.Finish();
    if (!low || !high) {
      reader.Report(node.pos(), fmt::format("{} needs 'from' and 'to'", name), "", ErrorCode::kMissingKey);
      return std::nullopt;
    }
  } else if (node.is_sequence() && node.items().size() == 2 && NumberOf(node.items()[0]) && NumberOf(node.items()[1])) {
    low = &node.items()[0];
    high = &node.items()[1];
  } else {
    const std::vector<Yaml> one{node};
    for (const auto& item : node.is_sequence() ? node.items() : one) {
      if (auto value = ValueOf(key, item, what, xgboost, reader)) range.choices.push_back(*std::move(value));
    }
    if (range.choices.empty()) {
      reader.Report(node.pos(), fmt::format("{} has no values", name));
      return std::nullopt;
    }
    return range;
  }
  auto from = NumberOf(*low), to = NumberOf(*high);
  if (!from || !to) {
    reader.Report(node.pos(), fmt::format("{} must go from a number to a number", name), "", ErrorCode::kWrongType);
    return std::nullopt;
  }
  range.low = *from;
  range.high = *to;
  range.whole = low->kind() == Yaml::Kind::kInt && high->kind() == Yaml::Kind::kInt;
  if (!(range.low <= range.high)) {
    reader.Report(node.pos(), fmt::format("{} goes from {} down to {}", name, low->text(), high->text()),
                  "write the smaller number first");
    return std::nullopt;
  }
  if (range.logarithmic && !(range.low > 0)) {
    reader.Report(low->pos(), fmt::format("{} has a logarithmic scale that begins at {}", name, low->text()),
                  "it must begin above 0");
    return std::nullopt;
  }
  if (!ValueOf(key, *low, what, xgboost, reader) || !ValueOf(key, *high, what, xgboost, reader)) return std::nullopt;
  return range;
}

std::vector<Json> ReadRandom(const Yaml& node, const std::string& what, bool xgboost, const ConfigReader& reader) {
  YamlMap map(node, "'random' in " + what, reader.diagnostics);
  const int64_t count = reader.Whole(map, "count", 1, static_cast<int64_t>(kMostSets)).value_or(0);
  if (!map.Get("count") && node.is_mapping())
    reader.Report(node.pos(), fmt::format("'random' in {} needs 'count'", what), "", ErrorCode::kMissingKey);
  const int64_t seed = map.Int("seed").value_or(1);
  std::map<std::string, Range> space;
  const Yaml* given = map.Get("space");
  if (!given || !given->is_mapping() || given->entries().empty()) {
    reader.Report(given ? given->pos() : node.pos(), fmt::format("'random' in {} needs 'space'", what),
                  "space: {max_depth: [3, 9], eta: {from: 0.01, to: 0.3, scale: log}}", ErrorCode::kMissingKey);
  } else {
    for (const auto& [key, value] : given->entries()) {
      if (!CheckName(key, what, xgboost, reader)) continue;
      if (auto range = ReadRange(key, value, what, xgboost, reader)) space[key.text()] = *std::move(range);
    }
  }
  map.Finish();
  std::vector<Json> sets;
  if (space.empty()) return {Json::object()};
  for (size_t i = 1; i <= static_cast<size_t>(count); ++i) {
    Json set = Json::object();
    for (const auto& [name, range] : space) set[name] = ValueAt(range, Draw(seed, i, name));
    if (std::find(sets.begin(), sets.end(), set) == sets.end()) sets.push_back(std::move(set));
  }
  if (sets.empty()) sets.push_back(Json::object());
  return sets;
}

}  // namespace

Json ReadParameterSet(const Yaml& node, const std::string& what, bool xgboost, const ConfigReader& reader) {
  Json set = Json::object();
  if (!node.is_mapping()) {
    reader.Report(node.pos(), fmt::format("{} must be a mapping of names to values, it is {}", what, node.KindName()),
                  "", ErrorCode::kWrongType);
    return set;
  }
  for (const auto& [key, value] : node.entries()) {
    if (!CheckName(key, what, xgboost, reader)) continue;
    if (auto single = ValueOf(key, value, what, xgboost, reader)) set[key.text()] = *std::move(single);
  }
  return set;
}

std::vector<Json> ReadParameters(const Yaml* node, const std::string& what, bool xgboost, const ConfigReader& reader) {
  std::vector<Json> sets;
  if (node) {
    YamlMap map(*node, what, reader.diagnostics);
    const Yaml* grid = map.Get("grid");
    const Yaml* list = map.Get("list");
    const Yaml* random = map.Get("random");
    map.Finish();
    const int given = (grid != nullptr) + (list != nullptr) + (random != nullptr);
    if (given != 1 && node->is_mapping()) {
      reader.Report(node->pos(), fmt::format("{} must have one of 'grid', 'list' and 'random'", what),
                    given == 0 ? "parameters that every candidate has go under 'fixed'" : "keep one of them");
    } else if (grid) {
      sets = ReadGrid(*grid, what, xgboost, reader);
    } else if (random) {
      sets = ReadRandom(*random, what, xgboost, reader);
    } else if (list && !list->is_sequence()) {
      reader.Report(list->pos(),
                    fmt::format("'list' in {} must be a list of mappings, it is {}", what, list->KindName()), "",
                    ErrorCode::kWrongType);
    } else if (list) {
      for (const auto& item : list->items()) {
        Json set = ReadParameterSet(item, what, xgboost, reader);
        if (std::find(sets.begin(), sets.end(), set) != sets.end()) {
          reader.Report(item.pos(), fmt::format("'list' in {} has the same parameters twice", what));
        } else {
          sets.push_back(std::move(set));
        }
      }
    }
  }
  if (sets.empty()) sets.push_back(Json::object());
  return sets;
}

}  // namespace quern::ml
