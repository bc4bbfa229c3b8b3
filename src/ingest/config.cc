#include "ingest/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "base/text.h"

namespace quern::ingest {
namespace fs = std::filesystem;
namespace {

const std::vector<std::string> kModes = {"replace", "append", "merge", "delete_insert", "history"};
const std::vector<std::string> kRules = {"evolve", "freeze", "discard_row", "discard_value"};

Error Wrong(const SourcePos& pos, std::string message, std::string hint = "") {
  Error error = Error(ErrorCode::kInvalidArgument, std::move(message)).At(pos);
  return hint.empty() ? error : std::move(error).Hint(std::move(hint));
}

bool IsName(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; });
}

class TableReader {
 public:
  TableReader(const Yaml& node, const std::string& file, Diagnostics& diagnostics)
      : diagnostics_(diagnostics), what_(What(node)), map_(node, what_, diagnostics) {
    table_.file = file;
    table_.pos = node.pos();
    table_.config = node.ToJson();
  }

  /// Nothing when the table has no usable name or path.
  std::optional<TableConfig> Read() {
    table_.name = map_.RequiredString("name");
    CheckName("name", table_.name);
    if (auto schema = map_.String("schema")) CheckName("schema", table_.schema = *schema);
    table_.description = map_.String("description").value_or("");
    table_.tags = map_.Strings("tags").value_or(std::vector<std::string>{});
    const bool has_path = ReadPath();
    if (auto zone = ReadZone(map_, "timezone")) table_.timezone = *zone;
    ReadFormat();
    ReadMode();
    ReadColumns();
    ReadContract();
    if (auto nested = map_.Choice("nested", {"struct", "child_tables"}))
      table_.child_tables = *nested == "child_tables";
    if (table_.child_tables && table_.format != Format::kJsonLines) {
      diagnostics_.Add(Wrong(map_.PosOf("nested"), "child tables are made of JSON lines only",
                             "remove `nested`, or load this file as it is and unnest it in a model"));
    }
    ReadHistory();
    ReadChecks();
    if (auto metadata = map_.Bool("metadata_columns")) table_.metadata_columns = *metadata;
    if (auto empty = map_.Choice("empty_files", {"fail", "skip"})) table_.skip_empty_files = *empty == "skip";
    map_.Finish();
    CheckTogether();
    if (table_.name.empty() || !has_path) return {};
    return std::move(table_);
  }

 private:
  static std::string What(const Yaml& node) {
    const Yaml* name = node.Find("name");
    return name != nullptr && name->is_scalar() && !name->is_null() ? fmt::format("table '{}'", name->text())
                                                                    : "a table";
  }

  void CheckName(std::string_view key, const std::string& name) {
    if (name.empty()) return;
    if (!IsName(name)) {
      diagnostics_.Add(Wrong(map_.PosOf(key), fmt::format("'{}' cannot be the {} of a table", name, key),
                             "use letters, digits and _, not beginning with a digit"));
    }
  }

  std::optional<TimeZone> ReadZone(YamlMap& map, std::string_view key) {
    const auto name = map.String(key);
    if (!name) return {};
    auto zone = TimeZone::Find(*name);
    if (zone) return *zone;
    diagnostics_.Add(std::move(zone.error()).At(map.PosOf(key)));
    return {};
  }

  bool ReadPath() {
    const std::string text = map_.RequiredString("path");
    if (text.empty()) return false;
    auto path = PathPattern::Parse(text);
    if (!path) {
      diagnostics_.Add(std::move(path.error()).At(map_.PosOf("path")));
      return false;
    }
    table_.path = *std::move(path);
    return true;
  }

  void ReadFormat() {
    const std::optional<std::string> named = map_.Choice("format", {"csv", "jsonl", "parquet"});
    const std::optional<Format> from_name = FormatOfName(table_.path.text());
    if (named) {
      table_.format = *named == "csv" ? Format::kCsv : *named == "jsonl" ? Format::kJsonLines : Format::kParquet;
    } else if (from_name) {
      table_.format = *from_name;
    } else if (!table_.path.text().empty()) {
      diagnostics_.Add(Error(ErrorCode::kMissingKey, fmt::format("{}: the path does not tell the format", what_))
                           .At(map_.PosOf("path"))
                           .Hint("add `format: csv`, `jsonl` or `parquet`"));
    }
    if (table_.format == Format::kParquet && CompressionOfName(table_.path.text()) != Compression::kNone) {
      diagnostics_.Add(Wrong(map_.PosOf("path"), "Parquet files that are compressed as a whole cannot be read",
                             "Parquet compresses inside; unpack the files"));
    }
    if (Lower(table_.path.text()).find(".tsv") != std::string::npos) table_.csv.delimiter = '\t';
    if (const Yaml* node = map_.Get("csv")) {
      if (table_.format != Format::kCsv) {
        diagnostics_.Add(
            Wrong(node->pos(), fmt::format("`csv` says how to read CSV, and this is {}", FormatName(table_.format))));
      }
      ReadCsv(*node);
    }
    table_.null_values = map_.Strings("null_values").value_or(std::vector<std::string>{});
  }

  // One character, or none when it is allowed.
  std::optional<char> Character(YamlMap& map, std::string_view key, bool may_be_empty) {
    const auto text = map.String(key);
    if (!text) return {};
    const std::string value = *text == "\\t" || *text == "tab" ? "\t" : *text;
    if (value.empty() && may_be_empty) return '\0';
    if (value.size() == 1 && static_cast<unsigned char>(value[0]) < 0x80 && value != "\n" && value != "\r")
      return value[0];
    diagnostics_.Add(Wrong(map.PosOf(key), fmt::format("'{}' must be one ASCII character, not '{}'", key, *text)));
    return {};
  }

  void ReadCsv(const Yaml& node) {
    YamlMap csv(node, "csv", diagnostics_);
    if (auto c = Character(csv, "delimiter", false)) table_.csv.delimiter = *c;
    if (auto c = Character(csv, "quote", true)) table_.csv.quote = table_.csv.escape = *c;
    if (auto c = Character(csv, "escape", true)) table_.csv.escape = *c == 0 ? table_.csv.quote : *c;
    if (auto header = csv.Bool("header")) table_.csv.header = *header;
    if (auto skip = csv.Int("skip_lines")) {
      if (*skip < 0)
        diagnostics_.Add(Wrong(csv.PosOf("skip_lines"), "skip_lines must be 0 or more"));
      else
        table_.csv.skip_lines = *skip;
    }
    if (auto encoding = csv.String("encoding")) {
      const std::string name = Lower(*encoding);
      if (name == "latin-1" || name == "latin1" || name == "iso-8859-1")
        table_.csv.latin1 = true;
      else if (name != "utf-8" && name != "utf8") {
        diagnostics_.Add(Wrong(csv.PosOf("encoding"), fmt::format("the encoding '{}' is not known", *encoding),
                               "utf-8 and latin-1 are; convert the file with iconv"));
      }
    }
    csv.Finish();
    if (table_.csv.delimiter == table_.csv.quote) {
      diagnostics_.Add(Wrong(node.pos(), "delimiter and quote are the same character"));
    }
  }

  void ReadMode() {
    const std::string mode = map_.Choice("mode", kModes).value_or(table_.path.has_time() ? "append" : "replace");
    table_.mode = static_cast<Mode>(std::find(kModes.begin(), kModes.end(), mode) - kModes.begin());
    table_.key = map_.Strings("key").value_or(std::vector<std::string>{});
    table_.partition_by = map_.Strings("partition_by").value_or(std::vector<std::string>{});
    const bool keyed = table_.mode == Mode::kMerge || table_.mode == Mode::kHistory;
    if (keyed && table_.key.empty() && !map_.Has("key")) {
      diagnostics_.Add(Error(ErrorCode::kMissingKey, fmt::format("{}: mode {} needs a key", what_, mode))
                           .At(map_.pos())
                           .Hint("add `key: [column, ...]`: the columns that tell rows apart"));
    }
    if (!keyed && !table_.key.empty() && !map_.Has("nested")) {
      diagnostics_.Add(Wrong(map_.PosOf("key"), fmt::format("mode {} does not use a key", mode),
                             "remove it, or use mode merge or history"));
    }
    if (table_.mode == Mode::kDeleteInsert && table_.partition_by.empty()) {
      diagnostics_.Add(Error(ErrorCode::kMissingKey, fmt::format("{}: mode delete_insert needs partition_by", what_))
                           .At(map_.pos())
                           .Hint("name the columns whose values tell which rows an arriving file replaces"));
    }
    if (table_.mode == Mode::kHistory && !table_.path.has_time()) {
      diagnostics_.Add(Wrong(map_.PosOf("path"), "mode history needs a logical time in the path",
                             "it says from when a file's rows are valid: {%Y-%m-%d}"));
    }
    CheckTwice("key", table_.key);
    CheckTwice("partition_by", table_.partition_by);
  }

  void CheckTwice(std::string_view key, const std::vector<std::string>& names) {
    std::set<std::string> seen;
    for (const std::string& name : names) {
      if (!seen.insert(Lower(name)).second) {
        diagnostics_.Add(Wrong(map_.PosOf(key), fmt::format("'{}' names the column '{}' twice", key, name)));
      }
    }
  }

  void ReadColumns() {
    const Yaml* node = map_.Get("columns");
    if (node == nullptr) return;
    if (!node->is_sequence()) {
      diagnostics_.Add(
          Error(ErrorCode::kWrongType, fmt::format("{}: 'columns' must be a list", what_)).At(node->pos()));
      return;
    }
    std::map<std::string, std::string> names;
    std::set<std::string> sources;
    for (const Yaml& item : node->items()) {
      ColumnConfig column;
      column.pos = item.pos();
      if (item.is_string()) {
        column.name = column.source = item.text();
      } else {
        ReadColumn(item, column);
      }
      if (column.name.empty()) continue;
      if (Lower(column.name).starts_with("_quern_")) {
        diagnostics_.Add(
            Wrong(column.pos, fmt::format("'{}': names that begin with _quern_ are Quern's own", column.name)));
      }
      if (!names.emplace(Lower(column.name), column.name).second) {
        diagnostics_.Add(Wrong(column.pos, fmt::format("the column '{}' is declared twice", column.name),
                               "names are compared without case"));
        continue;
      }
      if (column.expression.empty() && !sources.insert(Lower(column.source)).second) {
        diagnostics_.Add(Wrong(column.pos, fmt::format("two columns are read from '{}'", column.source)));
        continue;
      }
      table_.columns.push_back(std::move(column));
    }
  }

  void ReadColumn(const Yaml& item, ColumnConfig& column) {
    YamlMap map(item, "a column", diagnostics_);
    if (!item.is_mapping()) return;
    column.name = map.RequiredString("name");
    column.source = map.String("source").value_or(column.name);
    column.description = map.String("description").value_or("");
    if (auto type = map.String("type")) {
      auto parsed = Type::Parse(*type, Type::From::kUser);
      if (parsed)
        column.type = *std::move(parsed);
      else
        diagnostics_.Add(std::move(parsed.error()).At(map.PosOf("type")));
    }
    if (auto format = map.String("format")) {
      column.format = *format;
      const bool timed =
          column.type && (column.type->kind == Type::Kind::kDate || column.type->kind == Type::Kind::kTimestamp ||
                          column.type->kind == Type::Kind::kTimestampNtz);
      if (!timed && !(map.Has("type") && !column.type)) {
        diagnostics_.Add(Wrong(map.PosOf("format"), "a format is for columns of type date or timestamp",
                               "add `type: timestamp` or `type: date`"));
      }
      if (auto ok = CheckTimeFormat(column.format); !ok)
        diagnostics_.Add(std::move(ok.error()).At(map.PosOf("format")));
    }
    column.timezone = ReadZone(map, "timezone");
    column.nullable = map.Bool("nullable").value_or(true);
    column.optional = map.Bool("optional").value_or(false);
    column.null_values = map.Strings("null_values").value_or(std::vector<std::string>{});
    column.expression = map.String("expression").value_or("");
    if (!column.expression.empty() && !column.type && !map.Has("type")) {
      diagnostics_.Add(
          Error(ErrorCode::kMissingKey, fmt::format("column '{}': a computed column needs a type", column.name))
              .At(item.pos())
              .Hint("add `type: varchar`, or what the expression gives"));
    }
    if (!column.expression.empty() && map.Has("source")) {
      diagnostics_.Add(
          Wrong(map.PosOf("source"), "a column is either read from a source or computed by an expression"));
    }
    if (!column.nullable && column.optional) {
      diagnostics_.Add(Wrong(map.PosOf("optional"),
                             fmt::format("column '{}' cannot be optional and not nullable", column.name),
                             "a file without it gives nulls"));
    }
    map.Finish();
  }

  void ReadContract() {
    const Yaml* node = map_.Get("contract");
    if (node == nullptr) return;
    Contract& contract = table_.contract;
    if (node->is_string()) {  // one rule for all
      const auto found = std::find(kRules.begin(), kRules.end(), node->text());
      if (found == kRules.end()) {
        diagnostics_.Add(Wrong(node->pos(), fmt::format("'{}' is no contract", node->text()),
                               "evolve, freeze, discard_row or discard_value"));
        return;
      }
      const Rule rule = static_cast<Rule>(found - kRules.begin());
      contract.tables = contract.columns = contract.data_type = rule;
      contract.rows = rule == Rule::kDiscardRow ? Rule::kDiscardRow : Rule::kFreeze;
      return;
    }
    YamlMap map(*node, "contract", diagnostics_);
    const auto read = [&map](std::string_view key, Rule& rule) {
      if (auto name = map.Choice(key, kRules)) {
        rule = static_cast<Rule>(std::find(kRules.begin(), kRules.end(), *name) - kRules.begin());
      }
    };
    read("tables", contract.tables);
    read("columns", contract.columns);
    read("data_type", contract.data_type);
    contract.rows = contract.data_type == Rule::kDiscardRow ? Rule::kDiscardRow : Rule::kFreeze;
    if (auto name = map.Choice("rows", {"freeze", "discard_row"})) {
      contract.rows = *name == "freeze" ? Rule::kFreeze : Rule::kDiscardRow;
    }
    map.Finish();
  }

  void ReadHistory() {
    const Yaml* node = map_.Get("history");
    if (node == nullptr) return;
    if (table_.mode != Mode::kHistory) {
      diagnostics_.Add(Wrong(node->pos(), "`history` is for mode history"));
    }
    YamlMap map(*node, "history", diagnostics_);
    HistoryConfig& history = table_.history;
    if (auto name = map.String("valid_from")) history.valid_from = *name;
    if (auto name = map.String("valid_to")) history.valid_to = *name;
    if (auto name = map.String("is_current")) history.is_current = *name;
    if (auto rule = map.Choice("missing_keys", {"keep", "close"})) {
      history.missing_keys = *rule == "keep" ? HistoryConfig::Missing::kKeep : HistoryConfig::Missing::kClose;
    }
    if (auto rule = map.Choice("late_files", {"fail", "skip"})) {
      history.late_files = *rule == "fail" ? HistoryConfig::Late::kFail : HistoryConfig::Late::kSkip;
    }
    map.Finish();
    for (const std::string* name : {&history.valid_from, &history.valid_to, &history.is_current}) {
      if (table_.FindColumn(*name) != nullptr) {
        diagnostics_.Add(Wrong(node->pos(), fmt::format("'{}' is a column of the files already", *name)));
      }
    }
  }

  void ReadChecks() {
    const Yaml* node = map_.Get("checks");
    if (node == nullptr) return;
    YamlMap map(*node, "checks", diagnostics_);
    RowCheck& check = table_.rows_check;
    if (const Yaml* rows = map.Get("rows")) {
      const auto action = [&](const Yaml& value, const std::string& text) {
        // YAML 1.1 takes a bare `off` for a truth value.
        if (text == "off" || (value.kind() == Yaml::Kind::kBool && !value.AsBool()))
          check.action = RowCheck::Action::kOff;
        else if (text == "warn")
          check.action = RowCheck::Action::kWarn;
        else if (text == "fail")
          check.action = RowCheck::Action::kFail;
        else
          diagnostics_.Add(Wrong(value.pos(), fmt::format("'{}' is no way to check rows", text), "warn, fail or off"));
      };
      if (rows->is_mapping()) {
        YamlMap inner(*rows, "checks.rows", diagnostics_);
        if (const Yaml* value = inner.Get("action")) action(*value, value->text());
        if (auto n = inner.Int("loads")) check.loads = static_cast<int>(std::clamp<int64_t>(*n, 1, 1000));
        if (auto n = inner.Int("min_loads")) check.min_loads = static_cast<int>(std::clamp<int64_t>(*n, 1, 1000));
        if (auto ratio = inner.Float("min_ratio")) {
          if (*ratio < 0 || *ratio > 1)
            diagnostics_.Add(Wrong(inner.PosOf("min_ratio"), "min_ratio must be between 0 and 1"));
          else
            check.min_ratio = *ratio;
        }
        if (auto rule = inner.Choice("no_files", {"ignore", "warn", "fail"})) {
          check.no_files = *rule == "warn"   ? RowCheck::Action::kWarn
                           : *rule == "fail" ? RowCheck::Action::kFail
                                             : RowCheck::Action::kOff;
        }
        inner.Finish();
      } else {
        action(*rows, rows->text());
      }
    }
    map.Finish();
  }

  void CheckTogether() {
    for (const std::string& name : table_.key) {
      const ColumnConfig* column = table_.FindColumn(name);
      if (column != nullptr && column->optional) {
        diagnostics_.Add(Wrong(column->pos, fmt::format("'{}' is part of the key and cannot be optional", name)));
      }
    }
    for (const ColumnConfig& column : table_.columns) {
      if (table_.format == Format::kCsv && column.type && column.type->nested()) {
        diagnostics_.Add(Wrong(column.pos,
                               fmt::format("column '{}': CSV holds no {}", column.name, column.type->ToSql()),
                               "declare it varchar and unfold it in a model"));
      }
    }
    if (table_.mode == Mode::kHistory && table_.child_tables) {
      diagnostics_.Add(Wrong(map_.PosOf("nested"), "mode history does not make child tables",
                             "use `nested: struct`, or mode merge"));
    }
    if (table_.mode == Mode::kDeleteInsert && table_.child_tables) {
      diagnostics_.Add(Wrong(map_.PosOf("nested"), "mode delete_insert does not make child tables",
                             "use `nested: struct`, or mode merge, append or replace"));
    }
  }

  Diagnostics& diagnostics_;
  std::string what_;
  YamlMap map_;
  TableConfig table_;
};

}  // namespace

std::string_view ModeName(Mode mode) {
  return kModes[static_cast<size_t>(mode)];
}
std::string_view RuleName(Rule rule) {
  return kRules[static_cast<size_t>(rule)];
}

const ColumnConfig* TableConfig::FindColumn(std::string_view wanted) const {
  for (const ColumnConfig& column : columns) {
    if (EqualsIgnoreCase(column.name, wanted)) return &column;
  }
  return nullptr;
}

const ColumnConfig* TableConfig::FindSource(std::string_view source) const {
  for (const ColumnConfig& column : columns) {
    if (column.expression.empty() && EqualsIgnoreCase(column.source, source)) return &column;
  }
  return nullptr;
}

std::vector<TableConfig> ParseIngestFile(std::string_view text, const std::string& file, Diagnostics& diagnostics) {
  std::vector<TableConfig> tables;
  auto yaml = Yaml::Parse(text, file);
  if (!yaml) {
    diagnostics.Add(std::move(yaml.error()));
    return tables;
  }
  if (yaml->is_null()) return tables;
  YamlMap map(*yaml, "an ingest file", diagnostics);
  if (const Yaml* list = map.Get("tables")) {
    if (!list->is_sequence()) {
      diagnostics.Add(Error(ErrorCode::kWrongType, "'tables' must be a list of tables").At(list->pos()));
    }
    for (const Yaml& item : list->items()) {
      if (auto table = TableReader(item, file, diagnostics).Read()) tables.push_back(*std::move(table));
    }
  } else if (yaml->is_mapping() && !map.Has("tables")) {
    diagnostics.Add(
        Error(ErrorCode::kMissingKey, "the file has no 'tables'").At(yaml->pos()).Hint("tables:\n  - name: ..."));
  }
  map.Finish();
  return tables;
}

std::vector<TableConfig> LoadIngestFiles(const fs::path& project, Diagnostics& diagnostics) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(project / "ingest", error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    if (it->path().filename().string().starts_with('.')) continue;
    if (extension == ".yml" || extension == ".yaml") files.push_back(it->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    diagnostics.Add(Error(ErrorCode::kIo, fmt::format("cannot read the folder: {}", error.message())).At({"ingest"}));
  }
  std::sort(files.begin(), files.end());
  std::vector<TableConfig> tables;
  std::map<std::string, SourcePos> names;
  std::map<std::string, SourcePos> writes;
  for (const fs::path& path : files) {
    const std::string relative = "ingest/" + path.filename().string();
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in) {
      diagnostics.Add(Error(ErrorCode::kIo, "cannot read the file").At({relative}));
      continue;
    }
    for (TableConfig& table : ParseIngestFile(text.str(), relative, diagnostics)) {
      const std::string key = Lower(table.schema + "." + table.name);
      if (auto [it, fresh] = names.emplace(Lower(table.name), table.pos); !fresh) {
        diagnostics.Add(
            Error(ErrorCode::kDuplicateNode, fmt::format("two loads are called '{}'", table.name))
                .At(table.pos)
                .Hint(fmt::format("the other is at {}; its node would be {} too", it->second.ToString(), table.id())));
        continue;
      }
      for (const std::string& written : {key, key + "_quarantine"}) {
        if (auto [it, fresh] = writes.emplace(written, table.pos); !fresh) {
          diagnostics.Add(Error(ErrorCode::kInvalidArgument, fmt::format("two loads write the table {}", written))
                              .At(table.pos)
                              .Hint(fmt::format("the other is at {}", it->second.ToString())));
        }
      }
      tables.push_back(std::move(table));
    }
  }
  return tables;
}

}  // namespace quern::ingest
