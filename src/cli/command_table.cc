#include <set>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/result_output.h"
#include "cli/table_text.h"
#include "cli/workspace.h"

namespace quern::cli {
namespace {

using warehouse::TableInfo;
using warehouse::TableName;
using warehouse::Warehouse;

std::string Moment(const std::optional<Timestamp>& at) {
  return at ? FormatUtc(std::chrono::floor<std::chrono::seconds>(*at)) : std::string("-");
}

std::optional<std::string> Count(const std::optional<int64_t>& n) {
  return n ? std::optional(FormatCount(*n)) : std::nullopt;
}

std::string Text(const Json& object, const char* key) {
  if (!object.is_object()) return "";
  auto it = object.find(key);
  if (it == object.end() || it->is_null()) return "";
  return it->is_string() ? it->get<std::string>() : it->dump();
}

// A number that writers keep as text or as number.
std::optional<int64_t> Number(const Json& object, const char* key) {
  auto text = Text(object, key);
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || text.size() > 18)
    return std::nullopt;
  return std::stoll(text);
}

// An unknown table is answered with the nearest name.
Error WithNearest(const Error& error, Warehouse& warehouse, const TableName& table) {
  if (error.code() != ErrorCode::kTableNotFound || !error.hint().empty()) return error;
  auto listed = warehouse.List();
  if (!listed) return error;
  std::vector<std::string> names;
  for (const auto& entry : *listed) names.push_back(entry.name.ToString());
  if (std::any_of(names.begin(), names.end(), [&](const auto& n) { return EqualsIgnoreCase(n, table.ToString()); }))
    return error;
  auto hint = DidYouMean(table.ToString(), names);
  return Error(error).Hint(hint.empty() ? "quern table list shows what is there" : hint);
}

Json InfoJson(const TableInfo& info) {
  Json columns = Json::array();
  for (size_t i = 0; i < info.columns.size(); ++i) {
    columns.push_back({{"name", info.columns[i].name},
                       {"type", info.columns[i].type},
                       {"nullable", i < info.nullable.size() ? Json(static_cast<bool>(info.nullable[i])) : Json()}});
  }
  Json out = {{"name", info.name.ToString()},
              {"location", info.location},
              {"id", info.id},
              {"version", info.version},
              {"columns", columns},
              {"partition_columns", info.partition_columns},
              {"properties", info.properties},
              {"min_reader_version", info.min_reader_version},
              {"min_writer_version", info.min_writer_version},
              {"features", info.features},
              {"files", info.files},
              {"bytes", info.bytes}};
  out["rows"] = info.rows ? Json(*info.rows) : Json();
  out["created"] = info.created ? Json(FormatUtc(*info.created)) : Json();
  out["modified"] = info.modified ? Json(FormatUtc(*info.modified)) : Json();
  return out;
}

// The command with the warehouse and the table that it names; errors end it.
template <class Body>
int WithTable(Invocation& invocation, Body body) {
  auto opened = OpenedWarehouse::Open(invocation);
  if (!opened) return invocation.Failed(opened.error());
  auto table = ParseTableName(*invocation.args.Positional("TABLE"));
  if (!table) return invocation.Failed(table.error());
  Result<void> done = body(*opened, *table);
  if (done) return kDone;
  return invocation.Failed(WithNearest(done.error(), opened->get(), *table));
}

Result<std::optional<int64_t>> VersionOption(const Invocation& invocation, const std::string& key) {
  return invocation.args.Int(key, 0);
}

// --- diff ----------------------------------------------------------------------------------------------------------
struct Diff {
  int64_t from = 0, to = 0;
  std::vector<std::string> schema;  ///< one sentence a change
  std::vector<engine::Column> columns;
  int64_t added = 0, removed = 0;
  std::optional<int64_t> changed;  ///< with a key only
  engine::QueryResult sample;      ///< first column: + - or ~
};

std::vector<std::string> SchemaChanges(const TableInfo& from, const TableInfo& to) {
  std::vector<std::string> out;
  auto find = [](const TableInfo& info, const std::string& name) -> const engine::Column* {
    for (const auto& column : info.columns) {
      if (EqualsIgnoreCase(column.name, name)) return &column;
    }
    return nullptr;
  };
  for (const auto& column : to.columns) {
    const auto* before = find(from, column.name);
    if (!before) out.push_back(fmt::format("column added: {} {}", column.name, column.type));
    if (before && before->type != column.type)
      out.push_back(fmt::format("type changed: {} from {} to {}", column.name, before->type, column.type));
  }
  for (const auto& column : from.columns) {
    if (!find(to, column.name)) out.push_back(fmt::format("column dropped: {} {}", column.name, column.type));
  }
  if (from.partition_columns != to.partition_columns) {
    out.push_back(fmt::format("partitioning changed: from ({}) to ({})", Join(from.partition_columns, ", "),
                              Join(to.partition_columns, ", ")));
  }
  return out;
}

// Columns of both versions with one type; those that Quern adds may differ between equal runs and are left out.
std::vector<engine::Column> ComparedColumns(const TableInfo& from, const TableInfo& to, bool own_too) {
  std::vector<engine::Column> out;
  for (const auto& column : to.columns) {
    if (!own_too && column.name.starts_with("_quern_")) continue;
    for (const auto& before : from.columns) {
      if (EqualsIgnoreCase(before.name, column.name) && before.type == column.type) out.push_back(column);
    }
  }
  return out;
}

std::string ColumnList(const std::vector<std::string>& names) {
  std::vector<std::string> quoted;
  for (const auto& name : names) quoted.push_back(QuoteIdentifier(name));
  return Join(quoted, ", ");
}

Result<int64_t> OneNumber(warehouse::Session& session, const std::string& sql) {
  auto result = QUERN_TRY(session.Execute(sql));
  if (result.rows.empty()) return 0;
  if (const auto* n = std::get_if<int64_t>(&result.rows[0][0])) return *n;
  return 0;
}

// The key that the node which writes the table declares.
std::vector<std::string> DeclaredKey(const Invocation& invocation) {
  std::vector<std::string> out;
  for (const auto& text : invocation.args.List("key")) {
    for (const auto& part : Split(text, ',')) {
      if (!Trim(part).empty()) out.emplace_back(Trim(part));
    }
  }
  return out;
}

Result<Diff> MakeDiff(Warehouse& warehouse, const TableName& table, std::optional<int64_t> from,
                      std::optional<int64_t> to, const std::vector<std::string>& key, int64_t sample, bool own_too) {
  auto newest = QUERN_TRY(warehouse.Describe(table));
  Diff out;
  out.to = to.value_or(newest.version);
  out.from = from.value_or(out.to > 0 ? out.to - 1 : 0);
  auto before = QUERN_TRY(warehouse.Describe(table, out.from));
  auto after = QUERN_TRY(warehouse.Describe(table, out.to));
  out.schema = SchemaChanges(before, after);
  out.columns = ComparedColumns(before, after, own_too);
  if (out.columns.empty()) return out;
  std::vector<std::string> names;
  for (const auto& column : out.columns) names.push_back(column.name);
  for (const auto& name : key) {
    bool known = std::any_of(names.begin(), names.end(), [&](const auto& n) { return EqualsIgnoreCase(n, name); });
    if (!known)
      return Fail(Error(ErrorCode::kUsage, fmt::format("the key's column '{}' is not in both versions", name))
                      .Hint(DidYouMean(name, names)));
  }
  auto at = [&](int64_t version) {
    return fmt::format("SELECT {} FROM {}.{} AT (VERSION => {})", ColumnList(names), QuoteIdentifier(table.schema),
                       QuoteIdentifier(table.table), version);
  };
  auto session = QUERN_TRY(warehouse.NewSession());
  QUERN_TRY(session->Execute(
      fmt::format("CREATE OR REPLACE TEMP TABLE _quern_added AS ({} EXCEPT ALL {})", at(out.to), at(out.from))));
  QUERN_TRY(session->Execute(
      fmt::format("CREATE OR REPLACE TEMP TABLE _quern_removed AS ({} EXCEPT ALL {})", at(out.from), at(out.to))));
  out.added = QUERN_TRY(OneNumber(*session, "SELECT count(*) FROM _quern_added"));
  out.removed = QUERN_TRY(OneNumber(*session, "SELECT count(*) FROM _quern_removed"));
  std::string sides =
      fmt::format("SELECT '-' AS \"\xc2\xb1\", * FROM _quern_removed UNION ALL SELECT '+', * FROM _quern_added");
  std::string order = ColumnList(key.empty() ? names : key);
  if (!key.empty()) {
    out.changed = QUERN_TRY(OneNumber(
        *session,
        fmt::format("SELECT count(*) FROM (SELECT {0} FROM _quern_added INTERSECT SELECT {0} FROM _quern_removed)",
                    order)));
    out.added -= *out.changed;
    out.removed -= *out.changed;
  }
  out.sample =
      QUERN_TRY(session->Execute(fmt::format("SELECT * FROM ({}) ORDER BY {}, 1 DESC LIMIT {}", sides, order, sample)));
  return out;
}

}  // namespace

int RunTableList(Invocation& invocation) {
  auto opened = OpenedWarehouse::Open(invocation);
  if (!opened) return invocation.Failed(opened.error());
  auto listed = opened->get().List();
  if (!listed) return invocation.Failed(listed.error());
  Json list = Json::array();
  TextTable table{
      .columns = {{"table"}, {"kind"}, {"rows", true}, {"size", true}, {"files", true}, {"version", true}, {"changed"}},
      .rows = {}};
  int code = kDone;
  for (const auto& entry : *listed) {
    auto name = entry.name.ToString();
    if (auto pattern = invocation.args.Positional("PATTERN"); pattern && !GlobMatch(*pattern, name)) continue;
    if (entry.kind == Warehouse::Kind::kView) {
      list.push_back({{"name", name}, {"kind", "view"}});
      table.Add({name, "view", {}, {}, {}, {}, {}});
      continue;
    }
    auto info = opened->get().Describe(entry.name);
    if (!info) {
      // One table that cannot be read does not hide the others.
      list.push_back({{"name", name}, {"kind", "table"}, {"error", info.error().ToJson()}});
      table.Add({name, "unreadable", {}, {}, {}, {}, {}});
      if (!invocation.json()) invocation.terminal.PrintError(info.error());
      code = kFailed;
      continue;
    }
    auto object = InfoJson(*info);
    object["kind"] = "table";
    object.erase("columns");
    list.push_back(object);
    table.Add({name, "table", Count(info->rows), FormatBytes(info->bytes), FormatCount(info->files),
               std::to_string(info->version), Moment(info->modified)});
  }
  if (invocation.json()) {
    invocation.PrintJson({{"tables", list}});
  } else if (table.rows.empty()) {
    invocation.terminal.Say("no tables yet");
  } else {
    invocation.terminal.OutRaw(DrawPlain(table, invocation.terminal.width(), invocation.terminal));
  }
  return code;
}

namespace {

// The view of that name as it is called, when there is one.
Result<std::optional<TableName>> FindView(Warehouse& warehouse, const TableName& name) {
  for (const auto& entry : QUERN_TRY(warehouse.List())) {
    if (entry.kind == Warehouse::Kind::kView && EqualsIgnoreCase(entry.name.ToString(), name.ToString()))
      return entry.name;
  }
  return std::nullopt;
}

Result<void> ShowView(Invocation& invocation, Warehouse& warehouse, const TableName& name) {
  auto session = QUERN_TRY(warehouse.NewSession());
  auto columns = QUERN_TRY(
      session->Describe(fmt::format("SELECT * FROM {}.{}", QuoteIdentifier(name.schema), QuoteIdentifier(name.table))));
  Json list = Json::array();
  TextTable table{.columns = {{"column"}, {"type"}}, .rows = {}};
  for (const auto& column : columns) {
    list.push_back({{"name", column.name}, {"type", column.type}});
    table.Add({column.name, column.type});
  }
  if (invocation.json()) {
    invocation.PrintJson({{"name", name.ToString()}, {"kind", "view"}, {"columns", list}});
    return {};
  }
  auto& terminal = invocation.terminal;
  terminal.Out(fmt::format("{}  {}\n", terminal.Paint(Fit("view", 12), Colour::kGrey), name.ToString()));
  terminal.OutRaw(DrawPlain(table, terminal.width(), terminal));
  return {};
}

}  // namespace

int RunTableShow(Invocation& invocation) {
  return WithTable(invocation, [&](OpenedWarehouse& opened, const TableName& name) -> Result<void> {
    if (auto view = QUERN_TRY(FindView(opened.get(), name))) return ShowView(invocation, opened.get(), *view);
    auto version = QUERN_TRY(VersionOption(invocation, "version"));
    auto info = QUERN_TRY(opened.get().Describe(name, version));
    // What the newest version remembers: effects of intervals by run and node, and files that were loaded.
    std::map<std::string, int64_t> recorded;
    if (!version) recorded = QUERN_TRY(opened.get().Txns(name, ""));
    if (invocation.json()) {
      auto object = InfoJson(info);
      if (!version) object["txns"] = recorded;
      invocation.PrintJson(object);
      return {};
    }
    auto& terminal = invocation.terminal;
    auto line = [&](std::string_view key, std::string_view value) {
      if (!value.empty()) terminal.Out(fmt::format("{}  {}", terminal.Paint(Fit(key, 12), Colour::kGrey), value));
    };
    line("table", info.name.ToString());
    line("location", info.location);
    line("version", std::to_string(info.version));
    line("rows", info.rows ? FormatCount(*info.rows) : "not known without reading");
    line("size", fmt::format("{} in {} {}", FormatBytes(info.bytes), FormatCount(info.files),
                             info.files == 1 ? "file" : "files"));
    line("created", Moment(info.created));
    line("changed", Moment(info.modified));
    line("partitions", Join(info.partition_columns, ", "));
    line("protocol", fmt::format("reader {}, writer {}", info.min_reader_version, info.min_writer_version));
    line("features", Join(info.features, ", "));
    for (const auto& [key, value] : info.properties) line("property", key + " = " + value);
    int64_t remembered = 0;
    for (const auto& [app, number] : recorded) {
      if (app.starts_with("quern/")) {
        line("holds", fmt::format("{} up to {}", app.substr(6), FormatUtc(FromMicros(number * 1000))));
      }
      if (app.starts_with("quern-file/")) ++remembered;
    }
    if (remembered > 0)
      line("remembers", fmt::format("{} loaded {}", FormatCount(remembered), remembered == 1 ? "file" : "files"));
    TextTable columns{.columns = {{"column"}, {"type"}, {"nullable"}}, .rows = {}};
    for (size_t i = 0; i < info.columns.size(); ++i) {
      columns.Add(
          {info.columns[i].name, info.columns[i].type, i < info.nullable.size() && !info.nullable[i] ? "no" : "yes"});
    }
    terminal.Out("");
    terminal.OutRaw(DrawPlain(columns, terminal.width(), terminal));
    return {};
  });
}

int RunTableHistory(Invocation& invocation) {
  return WithTable(invocation, [&](OpenedWarehouse& opened, const TableName& name) -> Result<void> {
    auto limit = QUERN_TRY(invocation.args.Int("limit", 0)).value_or(20);
    auto entries = QUERN_TRY(opened.get().History(name, limit == 0 ? -1 : limit));
    if (invocation.json()) {
      Json list = Json::array();
      for (const auto& entry : entries) {
        list.push_back({{"version", entry.version},
                        {"timestamp", FormatUtc(entry.timestamp)},
                        {"operation", entry.operation},
                        {"operation_parameters", entry.operation_parameters},
                        {"operation_metrics", entry.operation_metrics},
                        {"commit_info", entry.commit_info}});
      }
      invocation.PrintJson({{"table", name.ToString()}, {"history", list}});
      return {};
    }
    TextTable table{
        .columns =
            {{"version", true}, {"time"}, {"operation"}, {"rows", true}, {"files", true}, {"run"}, {"node"}, {"code"}},
        .rows = {}};
    for (const auto& entry : entries) {
      auto optional = [](std::string text) { return text.empty() ? std::nullopt : std::optional(std::move(text)); };
      auto commit = Text(entry.commit_info, "gitCommit");
      if (commit.size() > 12) commit = commit.substr(0, 8) + (commit.ends_with("-dirty") ? "-dirty" : "");
      auto rows = Number(entry.operation_metrics, "numOutputRows");
      if (!rows) rows = Number(entry.operation_metrics, "numInsertedRows");
      auto files = Number(entry.operation_metrics, "numFiles");
      if (!files) files = Number(entry.operation_metrics, "numAddedFiles");
      table.Add({std::to_string(entry.version), FormatUtc(std::chrono::floor<std::chrono::seconds>(entry.timestamp)),
                 entry.operation, Count(rows), Count(files), optional(Text(entry.commit_info, "quernDagRun")),
                 optional(Text(entry.commit_info, "quernNode")), optional(commit)});
    }
    invocation.terminal.OutRaw(DrawPlain(table, invocation.terminal.width(), invocation.terminal));
    return {};
  });
}

int RunTableDiff(Invocation& invocation) {
  return WithTable(invocation, [&](OpenedWarehouse& opened, const TableName& name) -> Result<void> {
    auto from = QUERN_TRY(VersionOption(invocation, "from"));
    auto to = QUERN_TRY(VersionOption(invocation, "to"));
    auto sample = QUERN_TRY(invocation.args.Int("limit", 0)).value_or(10);
    auto diff = QUERN_TRY(
        MakeDiff(opened.get(), name, from, to, DeclaredKey(invocation), sample, invocation.args.Flag("all-columns")));
    auto& terminal = invocation.terminal;
    if (invocation.json()) {
      Json rows = Json::array();
      for (const auto& row : diff.sample.rows) {
        Json object = Json::object();
        for (size_t i = 0; i < row.size(); ++i) {
          auto value = Json::parse(ValueToJson(row[i], diff.sample.columns[i].type), nullptr, false);
          object[i == 0 ? "change" : diff.sample.columns[i].name] = value;
        }
        rows.push_back(object);
      }
      Json object = {
          {"table", name.ToString()}, {"from", diff.from},       {"to", diff.to}, {"schema_changes", diff.schema},
          {"added", diff.added},      {"removed", diff.removed}, {"sample", rows}};
      object["changed"] = diff.changed ? Json(*diff.changed) : Json();
      invocation.PrintJson(object);
      return {};
    }
    terminal.Out(fmt::format("{} from version {} to {}", name.ToString(), diff.from, diff.to));
    for (const auto& change : diff.schema) terminal.Out("  " + change);
    auto count = [&](int64_t n, std::string_view what, Colour colour) {
      return terminal.Paint(fmt::format("{} {} {}", FormatCount(n), n == 1 ? "row" : "rows", what),
                            n > 0 ? colour : Colour::kNone);
    };
    std::string line =
        "  " + count(diff.added, "added", Colour::kGreen) + ", " + count(diff.removed, "removed", Colour::kRed);
    if (diff.changed) line += ", " + count(*diff.changed, "changed", Colour::kYellow);
    terminal.Out(line);
    if (!diff.sample.rows.empty()) terminal.Out(ResultTable(diff.sample, -1, terminal));
    if (!diff.changed && diff.added > 0 && diff.removed > 0) {
      terminal.Out(terminal.Paint("--key COLUMN tells changed rows from new and lost ones", Colour::kGrey));
    }
    return {};
  });
}

int RunTableRestore(Invocation& invocation) {
  return WithTable(invocation, [&](OpenedWarehouse& opened, const TableName& name) -> Result<void> {
    auto version = QUERN_TRY(VersionOption(invocation, "version"));
    auto moment = invocation.args.Get("at");
    if (version.has_value() == moment.has_value()) {
      return Fail(Error(ErrorCode::kUsage, "say to which state: --version N or --at TIME")
                      .Hint("quern table history shows the versions"));
    }
    if (moment) version = QUERN_TRY(opened.get().VersionAt(name, QUERN_TRY(ParseTimestamp(*moment, TimeZone::Utc()))));
    auto made = QUERN_TRY(opened.get().Restore(name, *version, {}));
    if (invocation.json()) {
      invocation.PrintJson({{"table", name.ToString()}, {"restored", *version}, {"version", made}});
    } else {
      invocation.terminal.Say(
          fmt::format("{} is as it was at version {}; this is version {}", name.ToString(), *version, made));
    }
    return {};
  });
}

}  // namespace quern::cli
