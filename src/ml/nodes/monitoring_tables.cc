#include "ml/nodes/monitoring_tables.h"

#include <fmt/format.h>

#include "base/text.h"
#include "ml/nodes/services.h"

namespace quern::ml {
namespace {

schedule::TableRef Monitoring(const ModelConfig& model, const char* what) {
  return {"monitoring", model.name + "_" + what};
}

std::vector<TableColumn> WithPeriod(std::vector<TableColumn> more) {
  std::vector<TableColumn> out = {{"period_start", "TIMESTAMP WITH TIME ZONE"},
                                  {"period_end", "TIMESTAMP WITH TIME ZONE"}};
  out.insert(out.end(), more.begin(), more.end());
  out.push_back({"dag_run", "VARCHAR"});
  out.push_back({"_quern_computed_at", "TIMESTAMP WITH TIME ZONE"});
  return out;
}

}  // namespace

schedule::TableRef PerformanceTable(const ModelConfig& model) {
  return Monitoring(model, "performance");
}
schedule::TableRef PredictionsTable(const ModelConfig& model) {
  return Monitoring(model, "predictions");
}
schedule::TableRef ProfileTable(const ModelConfig& model) {
  return Monitoring(model, "profile");
}
schedule::TableRef DriftTable(const ModelConfig& model) {
  return Monitoring(model, "drift");
}
schedule::TableRef RetrainingTable(const ModelConfig& model) {
  return Monitoring(model, "retraining");
}
schedule::TableRef DecisionsTable(const ModelConfig& model) {
  return Monitoring(model, "decisions");
}

std::vector<TableColumn> PerformanceColumns(Task task) {
  std::vector<TableColumn> columns = {
      {"slice", "VARCHAR"}, {"model_version", "BIGINT"}, {"rows", "BIGINT"}, {"labeled", "BIGINT"}};
  if (task == Task::kBinary) columns.push_back({"positive_share", "DOUBLE"});
  for (const auto& metric : MetricsOf(task)) columns.push_back({metric.name, "DOUBLE"});
  for (const auto& metric : MetricsOf(task)) columns.push_back({"dummy_" + metric.name, "DOUBLE"});
  if (task == Task::kBinary) columns.push_back({"calibration", "VARCHAR"});
  if (task == Task::kMulticlass) columns.push_back({"confusion", "VARCHAR"});
  return WithPeriod(std::move(columns));
}

std::vector<TableColumn> PredictionsColumns() {
  return WithPeriod({{"slice", "VARCHAR"},
                     {"model_version", "BIGINT"},
                     {"rows", "BIGINT"},
                     {"mean", "DOUBLE"},
                     {"variance", "DOUBLE"},
                     {"min", "DOUBLE"},
                     {"max", "DOUBLE"},
                     {"p05", "DOUBLE"},
                     {"p25", "DOUBLE"},
                     {"p50", "DOUBLE"},
                     {"p75", "DOUBLE"},
                     {"p95", "DOUBLE"},
                     {"class_shares", "VARCHAR"},
                     {"confidence", "VARCHAR"}});
}

std::vector<TableColumn> ProfileColumns() {
  return WithPeriod({{"model_version", "BIGINT"},
                     {"feature", "VARCHAR"},
                     {"type", "VARCHAR"},
                     {"rows", "BIGINT"},
                     {"nulls", "BIGINT"},
                     {"null_rate", "DOUBLE"},
                     {"cardinality", "BIGINT"},
                     {"mean", "DOUBLE"},
                     {"stddev", "DOUBLE"},
                     {"min", "DOUBLE"},
                     {"max", "DOUBLE"},
                     {"p05", "DOUBLE"},
                     {"p25", "DOUBLE"},
                     {"p50", "DOUBLE"},
                     {"p75", "DOUBLE"},
                     {"p95", "DOUBLE"},
                     {"histogram", "VARCHAR"}});
}

std::vector<TableColumn> DriftColumns() {
  return WithPeriod({{"model_version", "BIGINT"},
                     {"feature", "VARCHAR"},
                     {"method", "VARCHAR"},
                     {"value", "DOUBLE"},
                     {"threshold", "DOUBLE"},
                     {"drifted", "BOOLEAN"},
                     {"is_default", "BOOLEAN"},
                     {"reference_rows", "BIGINT"},
                     {"current_rows", "BIGINT"},
                     {"note", "VARCHAR"}});
}

std::vector<TableColumn> RetrainingColumns() {
  return WithPeriod({{"verdict", "BOOLEAN"},
                     {"expression", "VARCHAR"},
                     {"reason", "VARCHAR"},
                     {"values", "VARCHAR"},
                     {"model_version", "BIGINT"}});
}

std::vector<TableColumn> DecisionsColumns() {
  return WithPeriod({{"decision", "VARCHAR"},
                     {"candidate", "VARCHAR"},
                     {"run_id", "VARCHAR"},
                     {"model_version", "BIGINT"},
                     {"champion_before", "BIGINT"},
                     {"metric", "VARCHAR"},
                     {"candidate_value", "DOUBLE"},
                     {"champion_value", "DOUBLE"},
                     {"dummy_value", "DOUBLE"},
                     {"reason", "VARCHAR"},
                     {"decided_by", "VARCHAR"},
                     {"candidates", "VARCHAR"}});
}

Result<void> EnsureTable(warehouse::Warehouse& warehouse, const schedule::TableRef& table,
                         const std::vector<TableColumn>& columns, const warehouse::CommitContext& context) {
  if (QUERN_TRY(warehouse.Exists({table.schema, table.table}))) return {};
  auto session = QUERN_TRY(warehouse.NewSession());
  session->SetContext(context);
  std::vector<std::string> parts;
  for (const auto& column : columns) parts.push_back(QuoteIdentifier(column.name) + " " + column.type);
  QUERN_TRY(session->Execute("CREATE SCHEMA IF NOT EXISTS " + QuoteIdentifier(table.schema)));
  QUERN_TRY(session->Execute(fmt::format("CREATE TABLE IF NOT EXISTS {} ({})", QuoteTable(table), Join(parts, ", "))));
  return {};
}

void NewRows::Set(std::string_view column, std::string sql) {
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].name != column) continue;
    rows_.back()[i] = std::move(sql);
    return;
  }
  QUERN_CHECK(!"a column of the table");
}

std::string NewRows::InsertSql(const schedule::TableRef& table) const {
  std::vector<std::string> names, rows;
  for (const auto& column : columns_) names.push_back(column.name);
  for (const auto& row : rows_) {
    std::vector<std::string> values;
    for (size_t i = 0; i < row.size(); ++i)
      values.push_back(fmt::format("CAST({} AS {})", row[i].empty() ? "NULL" : row[i], columns_[i].type));
    rows.push_back("(" + Join(values, ", ") + ")");
  }
  return fmt::format("INSERT INTO {} ({}) VALUES {}", QuoteTable(table), QuoteColumns(names), Join(rows, ",\n  "));
}

Result<void> WriteRows(warehouse::Session& session, const schedule::TableRef& table, const std::string& before,
                       const NewRows& rows) {
  if (rows.empty() && before.empty()) return session.CommitTxns();
  QUERN_TRY(session.Execute("BEGIN"));
  auto done = [&]() -> Result<void> {
    if (!before.empty()) QUERN_TRY(session.Execute(before));
    if (!rows.empty()) QUERN_TRY(session.Execute(rows.InsertSql(table)));
    QUERN_TRY(session.Execute("COMMIT"));
    return {};
  }();
  if (!done) {
    Ignore(session.Execute("ROLLBACK"), "the first error counts");
    return Fail(done.error());
  }
  return {};
}

}  // namespace quern::ml
