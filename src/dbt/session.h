#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/result.h"
#include "dbt/context/relation.h"
#include "dbt/profile.h"
#include "engine/connection.h"
#include "warehouse/warehouse.h"

namespace quern::dbt {

/// A node's connection to the target's database: transactions, and the catalog questions that macros ask. One per task.
class Session {
 public:
  Session(std::unique_ptr<engine::Connection> connection, warehouse::Session* warehouse_session,
          warehouse::Warehouse* warehouse, const Target& target);
  ~Session();

  /// Runs SQL. With `begin` a transaction is opened first unless one is open.
  Result<engine::QueryResult> Execute(std::string_view sql, bool begin, int64_t max_rows = -1);
  Result<void> Begin();
  Result<void> Commit();
  void Rollback();
  bool in_transaction() const { return in_transaction_; }
  /// From now on every statement runs in a transaction, whatever it asks for: the effect of a node in a Delta table,
  /// schema changes and the record of it are one commit.
  void BeginAlways() { begin_always_ = true; }

  Result<std::vector<engine::Column>> Describe(std::string_view query);
  /// Nothing when there is no such relation.
  Result<std::optional<RelationData>> GetRelation(const std::string& database, const std::string& schema,
                                                  const std::string& identifier);
  Result<std::vector<RelationData>> ListRelations(const std::string& database, const std::string& schema);
  Result<std::vector<std::string>> ListSchemas(const std::string& database);
  /// Columns in order; empty when the relation is not there.
  Result<std::vector<ColumnData>> Columns(const RelationData& relation);
  void Interrupt() { connection_->Interrupt(); }

  /// Set for the Delta warehouse; null for a .duckdb file.
  warehouse::Session* warehouse_session() { return warehouse_session_; }
  warehouse::Warehouse* warehouse() { return warehouse_; }
  const Target& target() const { return target_; }

 private:
  std::unique_ptr<engine::Connection> connection_;
  warehouse::Session* warehouse_session_;
  warehouse::Warehouse* warehouse_;
  const Target& target_;
  bool in_transaction_ = false;
  bool begin_always_ = false;
};

/// The target's database, opened once: the Delta warehouse, or a .duckdb file.
class Database {
 public:
  virtual ~Database() = default;
  virtual Result<std::unique_ptr<Session>> Connect() = 0;
  virtual warehouse::Warehouse* warehouse() { return nullptr; }
};
/// A .duckdb file, or in memory, with what the target attaches.
Result<std::unique_ptr<Database>> OpenDuckDb(const Target& target, int threads, const std::string& memory_limit);
/// The warehouse, not owned.
std::unique_ptr<Database> WrapWarehouse(warehouse::Warehouse& warehouse, const Target& target);
/// Opens the warehouse at the target's path and owns it.
Result<std::unique_ptr<Database>> OpenWarehouse(const Target& target, int threads, const std::string& memory_limit);

}  // namespace quern::dbt
