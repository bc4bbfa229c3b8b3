#include "dbt/session.h"

#include <filesystem>

#include "base/text.h"
#include "engine/duckdb/database.h"

namespace quern::dbt {

using engine::QueryResult;

Session::Session(std::unique_ptr<engine::Connection> connection, warehouse::Session* warehouse_session,
                 warehouse::Warehouse* warehouse, const Target& target)
    : connection_(std::move(connection)),
      warehouse_session_(warehouse_session),
      warehouse_(warehouse),
      target_(target) {}

Session::~Session() {
  Rollback();
}

Result<void> Session::Begin() {
  if (in_transaction_) return {};
  QUERN_TRY(connection_->Execute("BEGIN TRANSACTION"));
  in_transaction_ = true;
  return {};
}

Result<void> Session::Commit() {
  if (!in_transaction_) return {};
  in_transaction_ = false;
  Result<QueryResult> done = connection_->Execute("COMMIT");
  if (!done) {
    Ignore(connection_->Execute("ROLLBACK"), "the commit failed; a transaction may be gone already");
    return Fail(std::move(done).error());
  }
  return {};
}

void Session::Rollback() {
  if (!in_transaction_) return;
  in_transaction_ = false;
  Ignore(connection_->Execute("ROLLBACK"), "what failed before is what the user needs to see");
}

Result<QueryResult> Session::Execute(std::string_view sql, bool begin, int64_t max_rows) {
  if (begin || begin_always_) QUERN_TRY(Begin());
  engine::ExecuteOptions options;
  options.max_rows = max_rows;
  return connection_->Execute(sql, options);
}

Result<std::vector<engine::Column>> Session::Describe(std::string_view query) {
  return connection_->Describe(query);
}

namespace {

std::string TypeOfTable(const std::string& table_type) {
  if (table_type == "VIEW") return "view";
  return "table";
}

std::string Where(const std::string& column, const std::string& value) {
  return "lower(" + column + ") = " + QuoteLiteral(Lower(value));
}

RelationData MakeData(std::string database, std::string schema, std::string identifier, std::string type) {
  RelationData data;
  data.database = std::move(database);
  data.schema = std::move(schema);
  data.identifier = std::move(identifier);
  data.type = std::move(type);
  return data;
}

}  // namespace

Result<std::optional<RelationData>> Session::GetRelation(const std::string& database, const std::string& schema,
                                                         const std::string& identifier) {
  // Both lists are read for one name only; DuckDB pushes the filters into its catalog functions.
  std::string sql =
      "select table_catalog, table_schema, table_name, table_type from system.information_schema.tables where " +
      Where("table_catalog", database) + " and " + Where("table_schema", schema) + " and " +
      Where("table_name", identifier);
  QueryResult result = QUERN_TRY(Execute(sql, false));
  if (result.rows.empty()) return std::nullopt;
  const auto& row = result.rows.front();
  return MakeData(engine::ToText(row[0]), engine::ToText(row[1]), engine::ToText(row[2]),
                  TypeOfTable(engine::ToText(row[3])));
}

Result<std::vector<RelationData>> Session::ListRelations(const std::string& database, const std::string& schema) {
  QueryResult result = QUERN_TRY(Execute(
      "select table_catalog, table_schema, table_name, table_type from system.information_schema.tables where " +
          Where("table_catalog", database) + " and " + Where("table_schema", schema) + " order by table_name",
      false));
  std::vector<RelationData> out;
  for (const auto& row : result.rows) {
    out.push_back(MakeData(engine::ToText(row[0]), engine::ToText(row[1]), engine::ToText(row[2]),
                           TypeOfTable(engine::ToText(row[3]))));
  }
  return out;
}

Result<std::vector<std::string>> Session::ListSchemas(const std::string& database) {
  QueryResult result = QUERN_TRY(Execute("select distinct schema_name from system.information_schema.schemata where " +
                                             Where("catalog_name", database) + " order by 1",
                                         false));
  std::vector<std::string> out;
  for (const auto& row : result.rows) out.push_back(engine::ToText(row[0]));
  return out;
}

Result<std::vector<ColumnData>> Session::Columns(const RelationData& relation) {
  RelationData bare = relation;
  bare.suffix.reset();
  Result<std::vector<engine::Column>> columns = connection_->Describe("select * from " + bare.Render());
  if (!columns) {
    ErrorCode code = columns.error().code();
    if (code == ErrorCode::kSqlBind || code == ErrorCode::kTableNotFound) return std::vector<ColumnData>{};
    return Fail(std::move(columns).error());
  }
  std::vector<ColumnData> out;
  for (const engine::Column& column : *columns) out.push_back({column.name, column.type, {}});
  return out;
}

// --- databases
// --------------------------------------------------------------------------------------------------------

namespace {

class DuckDbFile : public Database {
 public:
  DuckDbFile(std::unique_ptr<engine::DuckDatabase> db, const Target& target) : db_(std::move(db)), target_(target) {}
  Result<std::unique_ptr<Session>> Connect() override {
    std::unique_ptr<engine::Connection> connection = QUERN_TRY(db_->Connect());
    return std::make_unique<Session>(std::move(connection), nullptr, nullptr, target_);
  }

 private:
  std::unique_ptr<engine::DuckDatabase> db_;
  const Target& target_;
};

class WarehouseDatabase : public Database {
 public:
  WarehouseDatabase(std::unique_ptr<warehouse::Warehouse> owned, warehouse::Warehouse& warehouse, const Target& target)
      : owned_(std::move(owned)), warehouse_(warehouse), target_(target) {}
  Result<std::unique_ptr<Session>> Connect() override {
    std::unique_ptr<warehouse::Session> session = QUERN_TRY(warehouse_.NewSession());
    warehouse::Session* raw = session.get();
    return std::make_unique<Session>(std::move(session), raw, &warehouse_, target_);
  }
  warehouse::Warehouse* warehouse() override { return &warehouse_; }

 private:
  std::unique_ptr<warehouse::Warehouse> owned_;
  warehouse::Warehouse& warehouse_;
  const Target& target_;
};

}  // namespace

Result<std::unique_ptr<Database>> OpenDuckDb(const Target& target, int threads, const std::string& memory_limit) {
  if (!target.path.empty()) {
    std::error_code ec;
    std::filesystem::path folder = target.path.parent_path();
    if (!folder.empty() && !std::filesystem::exists(folder, ec)) {
      return Fail(
          Error(ErrorCode::kDbtProject, "the folder of the database file, " + folder.string() + ", is not there"));
    }
  }
  engine::DuckDbOptions options;
  options.file = target.path;
  options.threads = threads;
  options.memory_limit = memory_limit;
  std::unique_ptr<engine::DuckDatabase> db = QUERN_TRY(engine::DuckDatabase::Open(options));
  std::unique_ptr<engine::Connection> connection = QUERN_TRY(db->Connect());
  for (const Target::Attached& attached : target.attach) {
    QUERN_TRY_CONTEXT(connection->Execute("ATTACH IF NOT EXISTS " + QuoteLiteral(attached.path) + " AS " +
                                          QuoteIdentifier(attached.alias) + (attached.read_only ? " (READ_ONLY)" : "")),
                      "attaching " + attached.path);
  }
  for (const auto& [name, value] : target.settings.items()) {
    QUERN_TRY_CONTEXT(connection->Execute("SET GLOBAL " + QuoteIdentifier(name) + " = " +
                                          (value.is_string() ? QuoteLiteral(value.get<std::string>()) : value.dump())),
                      "setting " + name);
  }
  return std::make_unique<DuckDbFile>(std::move(db), target);
}

std::unique_ptr<Database> WrapWarehouse(warehouse::Warehouse& warehouse, const Target& target) {
  return std::make_unique<WarehouseDatabase>(nullptr, warehouse, target);
}

Result<std::unique_ptr<Database>> OpenWarehouse(const Target& target, int threads, const std::string& memory_limit) {
  warehouse::Options options;
  options.root = target.path;
  options.catalog = target.database;
  options.threads = threads;
  options.memory_limit = memory_limit;
  std::unique_ptr<warehouse::Warehouse> warehouse = QUERN_TRY(warehouse::Warehouse::Open(options));
  warehouse::Warehouse& reference = *warehouse;
  return std::make_unique<WarehouseDatabase>(std::move(warehouse), reference, target);
}

}  // namespace quern::dbt
