#pragma once
#include <string>
#include <vector>

#include "ml/config.h"
#include "ml/metrics/performance.h"
#include "warehouse/warehouse.h"

// The tables that a model's nodes write: docs/reference/ml.md describes each column.
namespace quern::ml {

schedule::TableRef PerformanceTable(const ModelConfig& model);  ///< monitoring.<model>_performance
schedule::TableRef PredictionsTable(const ModelConfig& model);  ///< monitoring.<model>_predictions
schedule::TableRef ProfileTable(const ModelConfig& model);      ///< monitoring.<model>_profile
schedule::TableRef DriftTable(const ModelConfig& model);        ///< monitoring.<model>_drift
schedule::TableRef RetrainingTable(const ModelConfig& model);   ///< monitoring.<model>_retraining
schedule::TableRef DecisionsTable(const ModelConfig& model);    ///< monitoring.<model>_decisions

struct TableColumn {
  std::string name;
  std::string type;
};
std::vector<TableColumn> PerformanceColumns(Task task);
std::vector<TableColumn> PredictionsColumns();
std::vector<TableColumn> ProfileColumns();
std::vector<TableColumn> DriftColumns();
std::vector<TableColumn> RetrainingColumns();
std::vector<TableColumn> DecisionsColumns();

/// Makes the table (and its schema) when it is not there. Does not take the session's txns along.
Result<void> EnsureTable(warehouse::Warehouse& warehouse, const schedule::TableRef& table,
                         const std::vector<TableColumn>& columns, const warehouse::CommitContext& context);

/// Rows to insert, as SQL texts by column.
class NewRows {
 public:
  explicit NewRows(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}
  /// Starts a row; what is not set is NULL.
  void Begin() { rows_.emplace_back(columns_.size()); }
  /// Of the last row. A column that is not there is a bug.
  void Set(std::string_view column, std::string sql);
  bool empty() const { return rows_.empty(); }
  size_t size() const { return rows_.size(); }
  std::string InsertSql(const schedule::TableRef& table) const;

 private:
  std::vector<TableColumn> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// `before` (DELETE statements, may be empty) and the rows, in one transaction that takes the session's txns along.
Result<void> WriteRows(warehouse::Session& session, const schedule::TableRef& table, const std::string& before,
                       const NewRows& rows);

}  // namespace quern::ml
