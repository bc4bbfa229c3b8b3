#pragma once
// The DuckDB catalog over the warehouse's folders: ATTACH '<root>' AS <name> (TYPE quern).
#include <duckdb.hpp>
#include <duckdb/catalog/catalog.hpp>
#include <duckdb/catalog/catalog_entry/schema_catalog_entry.hpp>
#include <duckdb/catalog/catalog_entry/table_catalog_entry.hpp>
#include <duckdb/catalog/catalog_entry/view_catalog_entry.hpp>
#include <duckdb/transaction/transaction.hpp>
#include <duckdb/transaction/transaction_manager.hpp>
#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "delta/predicate.h"
#include "delta/transaction.h"
#include "warehouse/storage.h"
#include "warehouse/types.h"
#include "warehouse/warehouse.h"

namespace quern::warehouse {

class DeltaCatalog;
class DeltaSchema;

/// What a session adds to the transactions of its connection.
class SessionState : public duck::ClientContextState {
 public:
  static SessionState& Of(duck::ClientContext& context);

  std::mutex mutex;
  CommitContext context;
  std::vector<Commit> commits;
  Reads reads;
  std::map<std::string, int64_t> pins;  // by "schema.table" in lower case
};

/// One table at one state, as the binder sees it. Lives as long as the transaction that made it.
class DeltaTable : public duck::TableCatalogEntry {
 public:
  DeltaTable(duck::Catalog& catalog, duck::SchemaCatalogEntry& schema, duck::CreateTableInfo& info, TableViewPtr view,
             bool current)
      : TableCatalogEntry(catalog, schema, info), view_(std::move(view)), current_(current) {}

  const TableViewPtr& view() const { return view_; }
  /// Not a look back by AT.
  bool current() const { return current_; }

  duck::unique_ptr<duck::BaseStatistics> GetStatistics(duck::ClientContext&, duck::column_t) override {
    return nullptr;
  }
  duck::TableFunction GetScanFunction(duck::ClientContext& context,
                                      duck::unique_ptr<duck::FunctionData>& bind_data) override;
  duck::TableStorageInfo GetStorageInfo(duck::ClientContext& context) override;
  duck::virtual_column_map_t GetVirtualColumns() const override;
  /// DELETE, UPDATE and MERGE name a row by (file_index, file_row_number).
  duck::vector<duck::column_t> GetRowIdColumns() const override;
  void BindUpdateConstraints(duck::Binder& binder, duck::LogicalGet& get, duck::LogicalProjection& projection,
                             duck::LogicalUpdate& update, duck::ClientContext& context) override;

 private:
  TableViewPtr view_;
  bool current_;
};

/// What one statement did to one table; several of a transaction become one commit.
struct Step {
  std::string operation;
  delta::StringMap parameters;
  int64_t inserted = 0;
  int64_t updated = 0;
  int64_t deleted = 0;
  int64_t copied = 0;  ///< rows that were only moved to another file
};

/// All that one transaction has seen and changed. Snapshot isolation: a table's state is pinned at its first
/// use. Thread-safe where DuckDB's threads of one statement meet.
class DeltaTransaction : public duck::Transaction {
 public:
  DeltaTransaction(duck::TransactionManager& manager, duck::ClientContext& context, DeltaCatalog& catalog)
      : Transaction(manager, context), catalog_(catalog) {}
  static DeltaTransaction& Get(duck::ClientContext& context, duck::Catalog& catalog);

  struct TableState {
    DeltaSchema* schema = nullptr;
    std::string name;         ///< as it will be called after the commit
    std::string folder;       ///< where its files lie now; differs after a rename
    TableViewPtr base;        ///< null: not there when the transaction began
    TableViewPtr now;         ///< null: dropped
    bool moved_away = false;  ///< renamed: its folder is still in the way of a new table
    bool new_metadata = false;
    bool written = false;  ///< a statement wrote to it, though perhaps no row
    std::vector<Step> steps;
    std::vector<delta::Predicate> reads;
    duck::optional_ptr<DeltaTable> entry;
  };
  struct ViewState {
    DeltaSchema* schema = nullptr;
    std::string name;
    std::string sql;
    bool there = true;
    bool changed = false;
    duck::optional_ptr<duck::ViewCatalogEntry> entry;
  };

  /// Null when the table is not there for this transaction.
  TableState* Table(DeltaSchema& schema, const std::string& name);
  ViewState* View(DeltaSchema& schema, const std::string& name);
  duck::optional_ptr<DeltaTable> Entry(TableState& state);
  duck::optional_ptr<DeltaTable> EntryOf(DeltaSchema& schema, const std::string& name, TableViewPtr view, bool current);
  /// The entry made for a state, by its id.
  duck::optional_ptr<DeltaTable> EntryById(uint64_t view_id);
  /// Tables and views that the transaction sees, by name.
  std::set<std::string> Names(DeltaSchema& schema);

  TableState& Create(DeltaSchema& schema, const std::string& name, std::shared_ptr<TableView> view, Step step);
  void SetView(DeltaSchema& schema, const std::string& name, std::string sql);
  void DropTable(TableState& state);
  void DropView(ViewState& state);
  void DropSchema(DeltaSchema& schema);
  bool SchemaDropped(const std::string& schema) const;
  /// Undoes the drop of the schema itself; what was in it stays dropped.
  void KeepSchema(const std::string& schema);
  void Rename(TableState& state, const std::string& to);
  /// Replaces what the transaction sees of a table by `change` of it.
  void Change(const DeltaTable& table, Step step, bool metadata, const std::function<void(TableView&)>& change);
  /// A statement wrote to the table, but no row.
  void Touch(const DeltaTable& table, Step step);
  /// A scan of the table's state was run with this filter: later decides on conflicts.
  void Read(const DeltaTable& table, const delta::Predicate& predicate);

  /// Files of this transaction: their names begin with `prefix`, in the table's folder. Removed when it does
  /// not commit.
  void Writing(const TableView& view, const std::string& prefix);
  /// A file that this transaction wrote and no longer needs.
  void Discard(const TableView& view, const delta::Add& add);

  void Commit(duck::ClientContext& context);
  void Rollback();

  std::recursive_mutex& mutex() { return mutex_; }
  Storage& storage() const;

 private:
  struct Written {
    TableViewPtr view;
    std::string prefix;
  };
  struct Prepared;
  TableState& StateOf(const DeltaTable& table);
  static void Note(TableState& state, Step step);
  std::string Key(const DeltaSchema& schema, const std::string& name) const;
  std::vector<Prepared> Prepare(const CommitContext& context);
  void CommitTables(SessionState& session);
  bool MayBeCommitted(const TableState& state) const;
  void CommitFolders();
  void RemoveWritten(const Written& written) const;
  Step Summary(const TableState& state) const;

  DeltaCatalog& catalog_;
  mutable std::recursive_mutex mutex_;
  std::map<std::string, TableState> tables_;  // by "schema/name" in lower case
  std::map<std::string, ViewState> views_;
  struct FolderChange {  // done in order, after the commits
    std::string schema;
    std::string table;  // "" drops the whole schema
    std::string to;     // "" drops the table
  };
  std::vector<FolderChange> folder_changes_;
  std::vector<duck::unique_ptr<duck::CatalogEntry>> entries_;
  std::vector<Written> written_;
  std::vector<std::pair<std::shared_ptr<io::ObjectStore>, std::string>> discarded_;
};

class DeltaTransactionManager : public duck::TransactionManager {
 public:
  DeltaTransactionManager(duck::AttachedDatabase& db, DeltaCatalog& catalog)
      : TransactionManager(db), catalog_(catalog) {}
  duck::Transaction& StartTransaction(duck::ClientContext& context) override;
  duck::ErrorData CommitTransaction(duck::ClientContext& context, duck::Transaction& transaction) override;
  void RollbackTransaction(duck::Transaction& transaction) override;
  void Checkpoint(duck::ClientContext&, bool) override {}

 private:
  DeltaCatalog& catalog_;
  std::mutex mutex_;
  duck::reference_map_t<duck::Transaction, duck::unique_ptr<DeltaTransaction>> open_;
};

class DeltaSchema : public duck::SchemaCatalogEntry {
 public:
  DeltaSchema(duck::Catalog& catalog, duck::CreateSchemaInfo& info) : SchemaCatalogEntry(catalog, info) {}

  void Scan(duck::ClientContext& context, duck::CatalogType type,
            const std::function<void(duck::CatalogEntry&)>& callback) override;
  void Scan(duck::CatalogType type, const std::function<void(duck::CatalogEntry&)>& callback) override;
  duck::optional_ptr<duck::CatalogEntry> LookupEntry(duck::CatalogTransaction transaction,
                                                     const duck::EntryLookupInfo& lookup) override;
  duck::SimilarCatalogEntry GetSimilarEntry(duck::CatalogTransaction transaction,
                                            const duck::EntryLookupInfo& lookup) override;
  duck::optional_ptr<duck::CatalogEntry> CreateTable(duck::CatalogTransaction transaction,
                                                     duck::BoundCreateTableInfo& info) override;
  duck::optional_ptr<duck::CatalogEntry> CreateView(duck::CatalogTransaction transaction,
                                                    duck::CreateViewInfo& info) override;
  void DropEntry(duck::ClientContext& context, duck::DropInfo& info) override;
  void Alter(duck::CatalogTransaction transaction, duck::AlterInfo& info) override;

  using Entry = duck::optional_ptr<duck::CatalogEntry>;
  Entry CreateIndex(duck::CatalogTransaction, duck::CreateIndexInfo&, duck::TableCatalogEntry&) override {
    Refuse("indexes");
  }
  Entry CreateFunction(duck::CatalogTransaction, duck::CreateFunctionInfo&) override { Refuse("macros and functions"); }
  Entry CreateSequence(duck::CatalogTransaction, duck::CreateSequenceInfo&) override { Refuse("sequences"); }
  Entry CreateTableFunction(duck::CatalogTransaction, duck::CreateTableFunctionInfo&) override {
    Refuse("table functions");
  }
  Entry CreateCopyFunction(duck::CatalogTransaction, duck::CreateCopyFunctionInfo&) override {
    Refuse("copy functions");
  }
  Entry CreatePragmaFunction(duck::CatalogTransaction, duck::CreatePragmaFunctionInfo&) override { Refuse("pragmas"); }
  Entry CreateCollation(duck::CatalogTransaction, duck::CreateCollationInfo&) override { Refuse("collations"); }
  Entry CreateType(duck::CatalogTransaction, duck::CreateTypeInfo&) override { Refuse("types"); }
  [[noreturn]] static void Refuse(const char* what);

 private:
  DeltaCatalog& delta() const;
  void AlterTable(DeltaTransaction& transaction, DeltaTransaction::TableState& state, duck::AlterInfo& info);
  void Comment(DeltaTransaction& transaction, duck::AlterInfo& info);
};

class DeltaCatalog : public duck::Catalog {
 public:
  DeltaCatalog(duck::AttachedDatabase& db, std::shared_ptr<Storage> storage)
      : Catalog(db), storage_(std::move(storage)) {}
  Storage& storage() const { return *storage_; }
  /// The entry of a schema that is there; "main" always is.
  DeltaSchema* Schema(const std::string& name);

  void Initialize(bool) override {}
  std::string GetCatalogType() override { return "quern"; }
  bool SupportsTimeTravel() const override { return true; }
  std::string GetDefaultSchema() const override { return "main"; }
  bool InMemory() override { return false; }
  std::string GetDBPath() override { return storage_->root().string(); }
  duck::DatabaseSize GetDatabaseSize(duck::ClientContext& context) override;
  duck::ErrorData SupportsCreateTable(duck::BoundCreateTableInfo& info) override;

  duck::optional_ptr<duck::CatalogEntry> CreateSchema(duck::CatalogTransaction transaction,
                                                      duck::CreateSchemaInfo& info) override;
  void ScanSchemas(duck::ClientContext& context, std::function<void(duck::SchemaCatalogEntry&)> callback) override;
  duck::optional_ptr<duck::SchemaCatalogEntry> LookupSchema(duck::CatalogTransaction transaction,
                                                            const duck::EntryLookupInfo& lookup,
                                                            duck::OnEntryNotFound if_not_found) override;

  // The base casts the scan's bind data to a native table's, unchecked in release builds: CREATE INDEX would
  // crash.
  duck::unique_ptr<duck::LogicalOperator> BindCreateIndex(duck::Binder&, duck::CreateStatement&,
                                                          duck::TableCatalogEntry&,
                                                          duck::unique_ptr<duck::LogicalOperator>) override {
    DeltaSchema::Refuse("indexes");
  }
  duck::unique_ptr<duck::LogicalOperator> BindAlterAddIndex(duck::Binder&, duck::TableCatalogEntry&,
                                                            duck::unique_ptr<duck::LogicalOperator>,
                                                            duck::unique_ptr<duck::CreateIndexInfo>,
                                                            duck::unique_ptr<duck::AlterTableInfo>) override {
    DeltaSchema::Refuse("indexes or primary keys");
  }

  duck::PhysicalOperator& PlanCreateTableAs(duck::ClientContext&, duck::PhysicalPlanGenerator&,
                                            duck::LogicalCreateTable&, duck::PhysicalOperator&) override;
  duck::PhysicalOperator& PlanInsert(duck::ClientContext&, duck::PhysicalPlanGenerator&, duck::LogicalInsert&,
                                     duck::optional_ptr<duck::PhysicalOperator>) override;
  duck::PhysicalOperator& PlanDelete(duck::ClientContext&, duck::PhysicalPlanGenerator&, duck::LogicalDelete&,
                                     duck::PhysicalOperator&) override;
  duck::PhysicalOperator& PlanUpdate(duck::ClientContext&, duck::PhysicalPlanGenerator&, duck::LogicalUpdate&,
                                     duck::PhysicalOperator&) override;
  duck::PhysicalOperator& PlanMergeInto(duck::ClientContext&, duck::PhysicalPlanGenerator&, duck::LogicalMergeInto&,
                                        duck::PhysicalOperator&) override;

 private:
  void DropSchema(duck::ClientContext& context, duck::DropInfo& info) override;

  std::shared_ptr<Storage> storage_;
  std::mutex mutex_;
  std::map<std::string, duck::unique_ptr<DeltaSchema>> schemas_;  // by the folder's own spelling; entries stay for good
};

/// The properties of WITH (...) in the log's own spelling. Errors: kSqlBind for values that are no constants.
Result<delta::StringMap> PropertiesOf(
    const duck::case_insensitive_map_t<duck::unique_ptr<duck::ParsedExpression>>& options);

/// Makes ATTACH ... (TYPE quern) known. Catalogs whose path is `storage`'s root use it; others get one of
/// their own.
void RegisterCatalog(duck::DatabaseInstance& db, std::shared_ptr<Storage> storage);
/// Makes the scans of tables known by name, which their copying needs.
void RegisterScan(duck::DatabaseInstance& db);

/// For the time of its life, the state's rows can be selected by `FROM quern_state('<name>')` in any
/// connection; how copy-on-write reads what it keeps.
class ScannableState {
 public:
  ScannableState(TableViewPtr view, DeletionVectorCache& vectors);
  ~ScannableState();
  ScannableState(const ScannableState&) = delete;
  ScannableState& operator=(const ScannableState&) = delete;
  std::string Sql() const;

 private:
  std::string name_;
};

}  // namespace quern::warehouse
