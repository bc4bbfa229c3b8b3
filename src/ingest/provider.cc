#include "ingest/provider.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "engine/duckdb/database.h"
#include "ingest/load.h"

namespace quern::ingest {
namespace fs = std::filesystem;
namespace {

using schedule::RunContext;
using schedule::TaskContext;
using schedule::TaskResult;
using schedule::TaskStatus;

// Another try cannot help with what lies in the files or in the configuration.
bool Retryable(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kBadRow:
    case ErrorCode::kContract:
    case ErrorCode::kRowCount:
    case ErrorCode::kCorrupt:
    case ErrorCode::kSqlBind:
    case ErrorCode::kSqlSyntax:
    case ErrorCode::kUnsupportedFeature:
    case ErrorCode::kCorruptLog:
      return false;
    default:
      return true;
  }
}

class LoadTask : public schedule::Task {
 public:
  LoadTask(const TableConfig& config, const ProviderOptions& options) : config_(config), options_(options) {}

  TaskResult Run(TaskContext& context) override {
    const RunContext& run = *context.run;
    auto warehouse = options_.warehouse();
    if (!warehouse) return Failed(std::move(warehouse).error());
    LoadOptions load;
    load.project = options_.project;
    load.temp = options_.temp;
    load.until = run.interval.end;
    load.now = run.clock != nullptr ? run.clock->Now() : Clock::System().Now();
    load.logical_ms = MillisSinceEpoch(run.logical_date);
    load.effect_app = schedule::EffectAppId(run, config_.id());
    load.effect_version = schedule::EffectVersion(run);
    load.commit.dag_run = run.dag_run;
    load.commit.node = config_.id();
    load.commit.git_commit = run.git_commit;
    load.commit.logical_date = run.logical_date;
    load.full_refresh = run.full_refresh;
    load.threads = options_.threads;
    load.cancellation = context.cancellation;
    if (context.log != nullptr) {
      load.log = [log = context.log](std::string_view text) { log->Line(text); };
    }
    auto report = LoadTable(config_, **warehouse, load);
    if (!report) {
      if (context.cancellation.cancelled()) return Failed(Error(ErrorCode::kCancelled, "stopped on request"));
      return Failed(std::move(report).error());
    }
    return Done(*report);
  }

 private:
  static TaskResult Failed(Error error) {
    TaskResult result;
    result.status = TaskStatus::kFailed;
    result.message = error.message();
    result.retryable = Retryable(error);
    result.error = std::move(error);
    return result;
  }

  TaskResult Done(const LoadReport& report) const {
    TaskResult result;
    result.message = report.message;
    Json files = Json::array();
    for (const FileReport& file : report.files) {
      files.push_back({{"path", file.path}, {"rows", file.rows}, {"rows_discarded", file.discarded}});
    }
    Json commits = Json::array();
    for (const warehouse::Commit& commit : report.commits) {
      commits.push_back({{"table", commit.table.ToString()}, {"version", commit.version}});
    }
    result.details = {{"mode", ModeName(config_.mode)},
                      {"files", files},
                      {"commits", commits},
                      {"warnings", report.warnings},
                      {"notes", report.notes}};
    if (report.status != LoadReport::Status::kLoaded) {
      result.status = report.warnings.empty() ? TaskStatus::kNoOp : TaskStatus::kWarned;
      return result;
    }
    result.status = report.warnings.empty() ? TaskStatus::kSuccess : TaskStatus::kWarned;
    result.rows = report.rows;
    result.rows_discarded = report.discarded;
    result.values = {{"rows", report.rows}, {"rows_discarded", report.discarded}, {"files", report.files.size()}};
    if (!report.warnings.empty()) result.message += ": " + report.warnings.front();
    return result;
  }

  const TableConfig& config_;
  const ProviderOptions& options_;
};

}  // namespace

IngestProvider::IngestProvider(ProviderOptions options) : options_(std::move(options)) {
  std::error_code error;
  options_.project = fs::absolute(options_.project, error).lexically_normal();
  if (!options_.project.has_filename()) options_.project = options_.project.parent_path();
  if (options_.temp.empty()) options_.temp = options_.warehouse_root / ".tmp";
}

std::vector<schedule::Node> IngestProvider::Load(Diagnostics& diagnostics) {
  tables_ = LoadIngestFiles(options_.project, diagnostics);
  std::vector<schedule::Node> nodes;
  for (const TableConfig& table : tables_) {
    schedule::Node node;
    node.id = table.id();
    node.kind = "ingest";
    node.name = table.name;
    node.package = options_.package;
    node.fqn = {options_.package, "ingest", table.name};
    node.path = table.file;
    node.pos = table.pos;
    node.tags = table.tags;
    node.materialized = ModeName(table.mode);
    node.description = table.description;
    node.config = table.config;
    node.config["mode"] = ModeName(table.mode);
    node.config["schema"] = table.schema;
    node.writes = {{table.schema, table.name}, {table.schema, QuarantineName(table)}};
    if (table.child_tables && !options_.warehouse_root.empty()) {
      // A rerun takes them back together with the table.
      std::error_code error;
      const std::string prefix = Lower(table.name) + "__";
      std::vector<std::string> children;
      for (fs::directory_iterator it(options_.warehouse_root / table.schema, error), end; !error && it != end;
           it.increment(error)) {
        const std::string name = it->path().filename().string();
        if (Lower(name).starts_with(prefix)) children.push_back(name);
      }
      std::sort(children.begin(), children.end());
      for (const std::string& child : children) node.writes.push_back({table.schema, child});
    }
    nodes.push_back(std::move(node));
  }
  return nodes;
}

namespace {

// What their columns are is known when files are there; that they are SQL at all is known now.
Result<void> CheckSyntax(const std::vector<TableConfig>& tables, Diagnostics& diagnostics) {
  std::unique_ptr<engine::DuckDatabase> db;
  std::unique_ptr<engine::Connection> connection;
  for (const TableConfig& table : tables) {
    for (const ColumnConfig& column : table.columns) {
      if (column.expression.empty()) continue;
      if (!connection) {
        db = QUERN_TRY(engine::DuckDatabase::Open({.threads = 1}));
        connection = QUERN_TRY(db->Connect());
      }
      const auto bound = connection->Describe(fmt::format("SELECT (\n{}\n)", column.expression));
      if (bound || bound.error().code() != ErrorCode::kSqlSyntax) continue;
      diagnostics.Add(Error(ErrorCode::kSqlSyntax,
                            fmt::format("the expression of column '{}': {}", column.name, bound.error().message()))
                          .At(column.pos));
    }
  }
  return {};
}

}  // namespace

void IngestProvider::Check(Diagnostics& diagnostics) {
  diagnostics.Check(CheckSyntax(tables_, diagnostics));
  if (tables_.empty() || !options_.warehouse) return;
  std::error_code error;
  if (!fs::exists(options_.warehouse_root, error)) return;  // nothing has been loaded yet
  auto warehouse = options_.warehouse();
  if (!warehouse) {
    diagnostics.Add(std::move(warehouse).error());
    return;
  }
  for (const TableConfig& table : tables_) CheckTable(table, **warehouse, diagnostics);
}

void IngestProvider::CheckTable(const TableConfig& table, warehouse::Warehouse& warehouse, Diagnostics& diagnostics) {
  const warehouse::TableName name{table.schema, table.name};
  const auto exists = warehouse.Exists(name);
  if (!exists || !*exists) return;
  auto info = warehouse.Describe(name);
  if (!info) {
    diagnostics.Add(std::move(info.error()).At(table.pos));
    return;
  }
  std::vector<std::string> names;
  for (const engine::Column& column : info->columns) names.push_back(column.name);
  const auto has = [&](const std::string& wanted) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& n) { return EqualsIgnoreCase(n, wanted); });
  };
  for (const std::string& key : table.key) {
    if (has(key) || table.FindColumn(key) != nullptr) continue;
    diagnostics.Add(
        Error(ErrorCode::kContract,
              fmt::format("key names the column '{}', which the table {} does not have", key, name.ToString()))
            .At(table.pos)
            .Hint(DidYouMean(key, names)));
  }
  const bool partitions_differ =
      !std::equal(table.partition_by.begin(), table.partition_by.end(), info->partition_columns.begin(),
                  info->partition_columns.end(), [](const auto& a, const auto& b) { return EqualsIgnoreCase(a, b); });
  if (partitions_differ && table.mode != Mode::kReplace) {
    diagnostics.Warn(
        Error(ErrorCode::kContract, fmt::format("the table {} is partitioned by ({}), not by ({})", name.ToString(),
                                                Join(info->partition_columns, ", "), Join(table.partition_by, ", ")))
            .At(table.pos)
            .Hint("--full-refresh makes it anew"));
  }
  for (const engine::Column& column : info->columns) {
    const ColumnConfig* declared = table.FindColumn(column.name);
    if (declared == nullptr || !declared->type) continue;
    const auto type = Type::Parse(column.type, Type::From::kEngine);
    if (!type || Fits(*type, *declared->type)) continue;
    diagnostics.Add(
        Error(ErrorCode::kContract, fmt::format("column '{}' is declared {}, and the table {} has it as {}",
                                                column.name, declared->type->ToSql(), name.ToString(), type->ToSql()))
            .At(declared->pos)
            .Hint("--full-refresh makes the table anew from all files"));
  }
}

Result<void> IngestProvider::BeginRun(const RunContext&, const std::vector<const schedule::Node*>&) {
  return {};
}

Result<std::unique_ptr<schedule::Task>> IngestProvider::MakeTask(const schedule::Node& node, const RunContext&) {
  for (const TableConfig& table : tables_) {
    if (table.id() == node.id) return std::make_unique<LoadTask>(table, options_);
  }
  return Fail(Error(ErrorCode::kUnknownNode, fmt::format("{} is no load of this project", node.id)));
}

Result<void> IngestProvider::EndRun(const RunContext&, const std::vector<schedule::FinishedTask>&) {
  return {};
}

}  // namespace quern::ingest
