#include "warehouse/warehouse.h"

#include <algorithm>

#include "base/text.h"
#include "delta/history.h"
#include "delta/transaction.h"
#include "engine/duckdb/database.h"
#include "io/files.h"
#include "warehouse/catalog.h"
#include "warehouse/parquet_io.h"

namespace quern::warehouse {

namespace {

class WarehouseSession : public Session {
 public:
  WarehouseSession(engine::DuckDatabase& db, Storage& storage) : storage_(storage), connection_(db.native()) {}

  using engine::Connection::Execute;
  Result<engine::QueryResult> Execute(std::string_view sql, const engine::ExecuteOptions& options) override {
    return connection_.Execute(sql, options);
  }
  Result<void> Stream(std::string_view sql, engine::RowSink& sink) override { return connection_.Stream(sql, sink); }
  Result<void> StreamBatches(std::string_view sql, engine::BatchSink& sink) override {
    return connection_.StreamBatches(sql, sink);
  }
  Result<void> CreateFunction(engine::ScalarFunction function) override {
    return connection_.CreateFunction(std::move(function));
  }
  Result<std::vector<engine::Column>> Describe(std::string_view query) override { return connection_.Describe(query); }
  void Interrupt() override { connection_.Interrupt(); }

  void SetContext(CommitContext context) override {
    auto& state = SessionState::Of(connection_.context());
    std::lock_guard lock(state.mutex);
    state.context = std::move(context);
  }
  std::vector<Commit> TakeCommits() override {
    auto& state = SessionState::Of(connection_.context());
    std::lock_guard lock(state.mutex);
    return std::exchange(state.commits, {});
  }
  Result<void> CommitTxns() override {
    auto& state = SessionState::Of(connection_.context());
    std::lock_guard lock(state.mutex);
    while (!state.context.txns.empty()) {
      const TableName table = state.context.txns.front().table;
      auto of_table = [&](const CommitContext::Txn& txn) {
        return EqualsIgnoreCase(txn.table.schema, table.schema) && EqualsIgnoreCase(txn.table.table, table.table);
      };
      auto schema = storage_.FindSchema(table.schema);
      auto folder = schema ? storage_.FindTable(*schema, table.table) : std::nullopt;
      if (!folder)
        return Fail(
            Error(ErrorCode::kTableNotFound, table.ToString() + " does not exist").With("table", table.ToString()));
      auto view = QUERN_TRY(storage_.Load(*schema, *folder));
      delta::TransactionOptions options;
      options.clock = &storage_.clock();
      auto transaction = delta::Transaction::Begin(view->table, view->base, options);
      for (const auto& txn : state.context.txns) {
        if (of_table(txn)) transaction.SetTxn(txn.app_id, txn.version);
      }
      delta::Operation operation;
      operation.parameters = {{"mode", "Append"}};
      operation.metrics = {{"numFiles", "0"}, {"numOutputRows", "0"}, {"numOutputBytes", "0"}};
      operation.extra = CommitKeys(state.context);
      auto result = transaction.Commit(operation);
      if (!result) return Fail(NameTable(std::move(result).error(), *schema, *folder));
      if (auto* conflict = std::get_if<delta::Conflicted>(&*result)) {
        return Fail(NameTable(conflict->ToError(view->table), *schema, *folder));
      }
      auto& committed = std::get<delta::Committed>(*result);
      if (committed.snapshot) storage_.Remember(*schema, *folder, committed.snapshot);
      state.commits.push_back({{*schema, *folder}, committed.version, operation.name, 0, 0, 0});
      std::erase_if(state.context.txns, of_table);
    }
    return {};
  }

  Reads TakeReads() override {
    auto& state = SessionState::Of(connection_.context());
    std::lock_guard lock(state.mutex);
    return std::exchange(state.reads, {});
  }
  void PinVersions(std::map<std::string, int64_t> versions) override {
    auto& state = SessionState::Of(connection_.context());
    std::lock_guard lock(state.mutex);
    state.pins.clear();
    for (const auto& [name, version] : versions) state.pins[Lower(name)] = version;
  }

  engine::DuckConnection& connection() { return connection_; }

 private:
  Storage& storage_;
  engine::DuckConnection connection_;
};

class DeltaWarehouse : public Warehouse {
 public:
  DeltaWarehouse(Options options, std::unique_ptr<engine::DuckDatabase> db, std::shared_ptr<Storage> storage)
      : options_(std::move(options)), db_(std::move(db)), storage_(std::move(storage)) {}
  ~DeltaWarehouse() override {
    // Checkpoints are read by the database: it must not be asked any more once it goes.
    storage_->SetParquet(nullptr);
  }

  const Options& options() const override { return options_; }

  Result<std::unique_ptr<Session>> NewSession() override {
    try {
      auto session = std::make_unique<WarehouseSession>(*db_, *storage_);
      QUERN_TRY(session->Execute("USE " + QuoteIdentifier(options_.catalog)));
      return session;
    } catch (const std::exception& e) {
      return Fail(engine::FromDuckDb(duck::ErrorData(e), ""));
    }
  }

  Result<std::vector<Listed>> List() override {
    std::vector<Listed> all;
    for (const auto& schema : storage_->Schemas()) {
      for (const auto& table : storage_->Tables(schema)) all.push_back({{schema, table}, Kind::kTable});
      for (const auto& view : storage_->Views(schema)) all.push_back({{schema, view}, Kind::kView});
    }
    std::sort(all.begin(), all.end(), [](const Listed& a, const Listed& b) {
      return std::tie(a.name.schema, a.name.table) < std::tie(b.name.schema, b.name.table);
    });
    return all;
  }

  Result<bool> Exists(const TableName& name) override {
    auto schema = storage_->FindSchema(name.schema);
    return schema && (storage_->FindTable(*schema, name.table) || storage_->FindView(*schema, name.table));
  }

  Result<TableInfo> Describe(const TableName& name, std::optional<int64_t> version) override {
    const TableName found = QUERN_TRY(Find(name));
    auto view = version ? QUERN_TRY(storage_->LoadVersion(found.schema, found.table, *version))
                        : QUERN_TRY(storage_->Load(found.schema, found.table));
    const auto& snapshot = *view->base;
    TableInfo info;
    info.name = found;
    info.location = view->table.Location();
    info.id = view->metadata.id;
    info.version = view->version();
    for (const auto& field : view->schema->fields) {
      auto type = SqlTypeOf(field.type);
      info.columns.push_back({field.name, type ? type->ToString() : field.type.ToString()});
      info.nullable.push_back(field.nullable);
    }
    info.partition_columns = view->metadata.partition_columns;
    info.properties = {view->metadata.configuration.begin(), view->metadata.configuration.end()};
    info.min_reader_version = snapshot.protocol().min_reader_version;
    info.min_writer_version = snapshot.protocol().min_writer_version;
    info.features = delta::FeaturesOf(snapshot.protocol());
    info.files = static_cast<int64_t>(view->files.size());
    info.bytes = snapshot.total_bytes();
    info.rows = view->rows();
    if (view->metadata.created_time) info.created = FromMicros(*view->metadata.created_time * 1000);
    info.modified = snapshot.timestamp();
    return info;
  }

  Result<std::vector<HistoryEntry>> History(const TableName& name, int64_t limit) override {
    const TableName found = QUERN_TRY(Find(name));
    auto entries = delta::History(storage_->TableOf(found.schema, found.table), limit);
    if (!entries) return Fail(NameTable(std::move(entries).error(), found.schema, found.table));
    std::vector<HistoryEntry> history;
    for (auto& entry : *entries) {
      HistoryEntry line;
      line.version = entry.version;
      line.timestamp = entry.timestamp;
      if (entry.commit_info) {
        line.operation = entry.commit_info->operation();
        line.commit_info = std::move(entry.commit_info->json);
        line.operation_parameters = line.commit_info.value("operationParameters", Json::object());
        line.operation_metrics = line.commit_info.value("operationMetrics", Json::object());
      }
      history.push_back(std::move(line));
    }
    return history;
  }

  Result<bool> HasCommitOf(const TableName& name, const std::string& dag_run, const std::string& node) override {
    if (!QUERN_TRY(Exists(name))) return false;
    const auto history = QUERN_TRY(History(name, -1));
    const auto says = [](const HistoryEntry& entry, const char* key, const std::string& text) {
      const auto found = entry.commit_info.find(key);
      return found != entry.commit_info.end() && found->is_string() && found->get_ref<const std::string&>() == text;
    };
    return std::any_of(history.begin(), history.end(), [&](const HistoryEntry& entry) {
      return says(entry, "quernDagRun", dag_run) && says(entry, "quernNode", node);
    });
  }

  Result<std::optional<int64_t>> TxnVersion(const TableName& name, const std::string& app_id) override {
    auto view = QUERN_TRY(LoadIfThere(name));
    if (!view) return std::optional<int64_t>();
    auto version = view->base->TxnVersion(app_id);
    if (version && *version < 0) version.reset();  // undone by Restore
    return version;
  }

  Result<std::map<std::string, int64_t>> Txns(const TableName& name, const std::string& prefix) override {
    std::map<std::string, int64_t> txns;
    auto view = QUERN_TRY(LoadIfThere(name));
    if (!view) return txns;
    for (auto it = view->base->txns().lower_bound(prefix);
         it != view->base->txns().end() && it->first.starts_with(prefix); ++it) {
      if (it->second.version >= 0) txns[it->first] = it->second.version;
    }
    return txns;
  }

  Result<int64_t> Restore(const TableName& name, int64_t version, const CommitContext& context) override {
    const TableName found = QUERN_TRY(Find(name));
    auto named = [&](Error error) { return Fail(NameTable(std::move(error), found.schema, found.table)); };
    auto now = QUERN_TRY(storage_->Load(found.schema, found.table));
    auto then = QUERN_TRY(storage_->LoadVersion(found.schema, found.table, version));
    delta::TransactionOptions options;
    options.clock = &storage_->clock();
    auto plan = delta::PlanRestore(now->base, version, options);
    if (!plan) return named(std::move(plan).error());
    for (const auto& [app_id, txn] : now->base->txns()) {
      const int64_t before = then->base->TxnVersion(app_id).value_or(-1);
      if (before != txn.version) plan->transaction.SetTxn(app_id, before);
    }
    for (const auto& txn : context.txns) {
      if (EqualsIgnoreCase(txn.table.schema, found.schema) && EqualsIgnoreCase(txn.table.table, found.table)) {
        plan->transaction.SetTxn(txn.app_id, txn.version);
      }
    }
    plan->operation.extra.update(CommitKeys(context));
    auto result = plan->transaction.Commit(plan->operation);
    if (!result) return named(std::move(result).error());
    if (auto* conflict = std::get_if<delta::Conflicted>(&*result)) return named(conflict->ToError(now->table));
    auto& committed = std::get<delta::Committed>(*result);
    if (committed.snapshot) storage_->Remember(found.schema, found.table, committed.snapshot);
    return committed.version;
  }

  Result<int64_t> VersionAt(const TableName& name, Timestamp at) override {
    const TableName found = QUERN_TRY(Find(name));
    auto version = delta::VersionAt(storage_->TableOf(found.schema, found.table), at);
    if (!version) return Fail(NameTable(std::move(version).error(), found.schema, found.table));
    return version;
  }

 private:
  std::optional<TableName> FindIfThere(const TableName& name) const {
    auto schema = storage_->FindSchema(name.schema);
    if (!schema) return std::nullopt;
    auto table = storage_->FindTable(*schema, name.table);
    if (!table) return std::nullopt;
    return TableName{*schema, *table};
  }
  Result<TableName> Find(const TableName& name) const {
    if (auto found = FindIfThere(name)) return *found;
    auto schema = storage_->FindSchema(name.schema);
    if (schema && storage_->FindView(*schema, name.table)) {
      return Fail(Error(ErrorCode::kTableNotFound, name.ToString() + " is a view").With("table", name.ToString()));
    }
    Error error(ErrorCode::kTableNotFound, name.ToString() + " does not exist");
    std::string hint =
        schema ? DidYouMean(name.table, storage_->Tables(*schema)) : DidYouMean(name.schema, storage_->Schemas());
    if (!hint.empty()) error = std::move(error).Hint(hint);
    return Fail(std::move(error).With("table", name.ToString()));
  }
  Result<TableViewPtr> LoadIfThere(const TableName& name) {
    auto found = FindIfThere(name);
    if (!found) return TableViewPtr();
    return storage_->Load(found->schema, found->table);
  }

  Options options_;
  std::unique_ptr<engine::DuckDatabase> db_;
  std::shared_ptr<Storage> storage_;
};

}  // namespace

Result<std::unique_ptr<Warehouse>> Warehouse::Open(const Options& given) {
  Options options = given;
  std::error_code error;
  if (options.root.empty()) return Fail(ErrorCode::kInvalidArgument, "the warehouse has no folder");
  options.root = std::filesystem::absolute(options.root, error).lexically_normal();
  if (!options.root.has_filename()) options.root = options.root.parent_path();
  if (options.read_only) {
    if (!std::filesystem::is_directory(options.root, error)) {
      return Fail(ErrorCode::kNotFound, fmt::format("the warehouse's folder {} does not exist", options.root.string()));
    }
  } else {
    QUERN_TRY(io::MakeFolders(options.root));
  }
  auto storage = std::make_shared<Storage>(options.root, options.clock ? *options.clock : Clock::System());
  if (!options.read_only) storage->EmptyTrash();

  engine::DuckDbOptions engine_options;
  engine_options.threads = options.threads;
  engine_options.memory_limit = options.memory_limit;
  engine_options.temp_directory = options.temp_directory;
  if (engine_options.temp_directory.empty() && !options.read_only)
    engine_options.temp_directory = options.root / ".tmp";
  auto db = QUERN_TRY(engine::DuckDatabase::Open(engine_options));
  storage->SetParquet(MakeParquetIo(*db));
  try {
    RegisterCatalog(*db->native().instance, storage);
    RegisterScan(*db->native().instance);
  } catch (const std::exception& e) {
    return Fail(engine::FromDuckDb(duck::ErrorData(e), ""));
  }
  auto connection = QUERN_TRY(db->Connect());
  QUERN_TRY(connection->Execute(fmt::format("ATTACH {} AS {} (TYPE quern{})", QuoteLiteral(options.root.string()),
                                            QuoteIdentifier(options.catalog), options.read_only ? ", READ_ONLY" : "")));
  return std::make_unique<DeltaWarehouse>(std::move(options), std::move(db), std::move(storage));
}

}  // namespace quern::warehouse
