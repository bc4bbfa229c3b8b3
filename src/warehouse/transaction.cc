// What a transaction sees of tables and views, and how it ends: one Delta commit for each changed table.
#include <duckdb/parser/constraints/not_null_constraint.hpp>
#include <duckdb/parser/parsed_data/create_table_info.hpp>
#include <duckdb/parser/parsed_data/create_view_info.hpp>
#include <duckdb/parser/parser.hpp>
#include <duckdb/parser/statement/alter_statement.hpp>
#include <duckdb/parser/statement/create_statement.hpp>
#include <unordered_map>

#include "base/ids.h"
#include "base/log.h"
#include "base/text.h"
#include "delta/path_encoding.h"
#include "warehouse/catalog.h"

namespace quern::warehouse {

SessionState& SessionState::Of(duck::ClientContext& context) {
  return *context.registered_state->GetOrCreate<SessionState>("quern_session");
}

DeltaTransaction& DeltaTransaction::Get(duck::ClientContext& context, duck::Catalog& catalog) {
  return duck::Transaction::Get(context, catalog).Cast<DeltaTransaction>();
}

Storage& DeltaTransaction::storage() const {
  return catalog_.storage();
}

std::string DeltaTransaction::Key(const DeltaSchema& schema, const std::string& name) const {
  return Lower(schema.name + "/" + name);
}

// ---- what it sees

DeltaTransaction::TableState* DeltaTransaction::Table(DeltaSchema& schema, const std::string& name) {
  std::lock_guard lock(mutex_);
  const std::string key = Key(schema, name);
  auto it = tables_.find(key);
  if (it == tables_.end()) {
    auto folder = storage().FindTable(schema.name, name);
    if (!folder) return nullptr;
    TableState state;
    state.schema = &schema;
    state.name = *folder;
    state.folder = *folder;
    state.base = state.now = OrThrow(storage().Load(schema.name, *folder));
    it = tables_.emplace(key, std::move(state)).first;
  }
  return it->second.now ? &it->second : nullptr;
}

DeltaTransaction::ViewState* DeltaTransaction::View(DeltaSchema& schema, const std::string& name) {
  std::lock_guard lock(mutex_);
  const std::string key = Key(schema, name);
  auto it = views_.find(key);
  if (it == views_.end()) {
    auto file = storage().FindView(schema.name, name);
    if (!file) return nullptr;
    ViewState state;
    state.schema = &schema;
    state.name = *file;
    state.sql = OrThrow(storage().ReadView(schema.name, *file));
    it = views_.emplace(key, std::move(state)).first;
  }
  ViewState& view = it->second;
  if (!view.there) return nullptr;
  if (view.entry) return &view;
  // Parsed, not bound: binding here would come back into the catalog, and fail on a broken view. DuckDB binds
  // it at use.
  auto broken = [&](const std::string& why) {
    const auto path = storage().ViewPath(schema.name, view.name).string();
    engine::ThrowToDuckDb(Error(ErrorCode::kCorrupt, fmt::format("the definition of view {}.{} cannot be read: {}",
                                                                 schema.name, view.name, why))
                              .At({path, 0, 0}));
  };
  duck::Parser parser;
  try {
    parser.ParseQuery(view.sql);
  } catch (const std::exception& e) {
    broken(duck::ErrorData(e).RawMessage());
  }
  if (parser.statements.empty() || parser.statements[0]->type != duck::StatementType::CREATE_STATEMENT)
    broken("it is no CREATE VIEW");
  auto& create = parser.statements[0]->Cast<duck::CreateStatement>();
  if (create.info->type != duck::CatalogType::VIEW_ENTRY) broken("it is no CREATE VIEW");
  auto& info = create.info->Cast<duck::CreateViewInfo>();
  info.catalog = schema.catalog.GetName();
  info.schema = schema.name;
  info.view_name = view.name;
  info.sql = view.sql;
  for (size_t i = 1; i < parser.statements.size(); i++) {  // COMMENT ON
    if (parser.statements[i]->type != duck::StatementType::ALTER_STATEMENT)
      broken("it holds more than a view and its comments");
    auto& alter = *parser.statements[i]->Cast<duck::AlterStatement>().info;
    if (alter.type == duck::AlterType::SET_COMMENT) info.comment = alter.Cast<duck::SetCommentInfo>().comment_value;
  }
  auto entry = duck::make_uniq<duck::ViewCatalogEntry>(schema.catalog, schema, info);
  view.entry = entry.get();
  entries_.push_back(std::move(entry));
  return &view;
}

duck::optional_ptr<DeltaTable> DeltaTransaction::Entry(TableState& state) {
  std::lock_guard lock(mutex_);
  if (!state.entry || state.entry->view() != state.now)
    state.entry = EntryOf(*state.schema, state.name, state.now, true);
  return state.entry;
}

duck::optional_ptr<DeltaTable> DeltaTransaction::EntryOf(DeltaSchema& schema, const std::string& name,
                                                         TableViewPtr view, bool current) {
  duck::CreateTableInfo info(schema, name);
  size_t index = 0;
  for (const auto& field : view->schema->fields) {
    auto type = SqlTypeOf(field.type);
    if (!type) engine::ThrowToDuckDb(NameTable(std::move(type).error(), schema.name, name + "." + field.name));
    duck::ColumnDefinition column(field.name, *type);
    if (auto comment = field.metadata.find("comment"); comment != field.metadata.end() && comment->is_string()) {
      column.SetComment(duck::Value(comment->get<std::string>()));
    }
    info.columns.AddColumn(std::move(column));
    if (!field.nullable)
      info.constraints.push_back(duck::make_uniq<duck::NotNullConstraint>(duck::LogicalIndex(index)));
    index++;
  }
  if (view->metadata.description) info.comment = duck::Value(*view->metadata.description);
  auto entry = duck::make_uniq<DeltaTable>(schema.catalog, schema, info, std::move(view), current);
  entry->comment = info.comment;
  duck::optional_ptr<DeltaTable> result = entry.get();
  std::lock_guard lock(mutex_);
  entries_.push_back(std::move(entry));
  return result;
}

duck::optional_ptr<DeltaTable> DeltaTransaction::EntryById(uint64_t view_id) {
  std::lock_guard lock(mutex_);
  for (auto& entry : entries_) {
    auto* table = dynamic_cast<DeltaTable*>(entry.get());
    if (table && table->view()->id == view_id) return table;
  }
  return nullptr;
}

std::set<std::string> DeltaTransaction::Names(DeltaSchema& schema) {
  std::lock_guard lock(mutex_);
  std::set<std::string> names;
  auto seen = [&](const std::string& name) {
    return tables_.contains(Key(schema, name)) || views_.contains(Key(schema, name));
  };
  for (auto& name : storage().Tables(schema.name)) {
    if (!seen(name)) names.insert(name);
  }
  for (auto& name : storage().Views(schema.name)) {
    if (!seen(name)) names.insert(name);
  }
  for (auto& [key, state] : tables_) {
    if (state.schema == &schema && state.now) names.insert(state.name);
  }
  for (auto& [key, state] : views_) {
    if (state.schema == &schema && state.there) names.insert(state.name);
  }
  return names;
}

// ---- what it changes

DeltaTransaction::TableState& DeltaTransaction::Create(DeltaSchema& schema, const std::string& name,
                                                       std::shared_ptr<TableView> view, Step step) {
  std::lock_guard lock(mutex_);
  (void)Table(schema, name);  // pins what is there
  TableState& state = tables_[Key(schema, name)];
  if (state.moved_away) {
    engine::ThrowToDuckDb(
        Error(ErrorCode::kSqlBind, fmt::format("{}.{} was renamed in this transaction", schema.name, name))
            .Hint("commit before a new table takes the name"));
  }
  if (!state.schema) {
    state.schema = &schema;
    state.name = name;
    state.folder = name;
  }
  // A table that is there stays the same Delta table: replacing it writes its next version.
  view->table = storage().TableOf(schema.name, state.folder);
  if (state.base) view->base = state.base->base;
  if (!state.now) {
    std::erase_if(folder_changes_, [&](const FolderChange& change) {
      return change.schema == schema.name && change.table == state.name && change.to.empty();
    });
  }
  state.now = std::move(view);
  state.new_metadata = true;
  state.written = true;
  state.steps.clear();
  state.steps.push_back(std::move(step));
  return state;
}

void DeltaTransaction::SetView(DeltaSchema& schema, const std::string& name, std::string sql) {
  std::lock_guard lock(mutex_);
  ViewState& state = views_[Key(schema, name)];
  state.schema = &schema;
  if (state.name.empty()) state.name = name;
  state.sql = std::move(sql);
  state.there = true;
  state.changed = true;
  state.entry = nullptr;
}

void DeltaTransaction::DropTable(TableState& state) {
  std::lock_guard lock(mutex_);
  state.now = nullptr;
  state.entry = nullptr;
  state.steps.clear();
  if (state.base || state.folder != state.name) folder_changes_.push_back({state.schema->name, state.name, ""});
}

void DeltaTransaction::DropView(ViewState& state) {
  std::lock_guard lock(mutex_);
  state.there = false;
  state.changed = true;
  state.entry = nullptr;
}

void DeltaTransaction::DropSchema(DeltaSchema& schema) {
  std::lock_guard lock(mutex_);
  for (const auto& name : Names(schema)) {
    if (auto* table = Table(schema, name)) DropTable(*table);
    if (auto* view = View(schema, name)) DropView(*view);
  }
  folder_changes_.push_back({schema.name, "", ""});
}

bool DeltaTransaction::SchemaDropped(const std::string& schema) const {
  std::lock_guard lock(mutex_);
  return std::any_of(folder_changes_.begin(), folder_changes_.end(),
                     [&](const FolderChange& change) { return change.schema == schema && change.table.empty(); });
}

void DeltaTransaction::KeepSchema(const std::string& schema) {
  std::lock_guard lock(mutex_);
  std::erase_if(folder_changes_,
                [&](const FolderChange& change) { return change.schema == schema && change.table.empty(); });
}

void DeltaTransaction::Rename(TableState& state, const std::string& to) {
  std::lock_guard lock(mutex_);
  DeltaSchema& schema = *state.schema;
  const std::string from = state.name;
  TableState moved = state;
  moved.name = to;
  moved.entry = nullptr;
  state.now = nullptr;
  state.base = nullptr;
  state.entry = nullptr;
  state.moved_away = true;
  tables_[Key(schema, to)] = std::move(moved);
  folder_changes_.push_back({schema.name, from, to});
}

DeltaTransaction::TableState& DeltaTransaction::StateOf(const DeltaTable& table) {
  auto it = tables_.find(Lower(table.ParentSchema().name + "/" + table.name));
  if (it == tables_.end() || !it->second.now) {
    engine::ThrowToDuckDb(
        Error(ErrorCode::kTableNotFound, fmt::format("{}.{} is gone", table.ParentSchema().name, table.name)));
  }
  return it->second;
}

void DeltaTransaction::Note(TableState& state, Step step) {
  state.written = true;
  if (step.operation.starts_with(' ') &&
      !state.steps.empty()) {  // goes on with the step before: CREATE TABLE ... AS SELECT
    state.steps.back().operation += step.operation;
    state.steps.back().inserted += step.inserted;
    return;
  }
  state.steps.push_back(std::move(step));
}

void DeltaTransaction::Change(const DeltaTable& table, Step step, bool metadata,
                              const std::function<void(TableView&)>& change) {
  std::lock_guard lock(mutex_);
  TableState& state = StateOf(table);
  auto view = state.now->Derive();
  change(*view);
  state.now = std::move(view);
  state.new_metadata |= metadata;
  Note(state, std::move(step));
}

void DeltaTransaction::Touch(const DeltaTable& table, Step step) {
  std::lock_guard lock(mutex_);
  Note(StateOf(table), std::move(step));
}

void DeltaTransaction::Read(const DeltaTable& table, const delta::Predicate& predicate) {
  if (!table.current()) return;
  std::lock_guard lock(mutex_);
  auto it = tables_.find(Lower(table.ParentSchema().name + "/" + table.name));
  if (it != tables_.end()) it->second.reads.push_back(predicate);
}

void DeltaTransaction::Writing(const TableView& view, const std::string& prefix) {
  std::lock_guard lock(mutex_);
  auto copy = std::make_shared<TableView>(view);
  copy->files.clear();
  written_.push_back({std::move(copy), prefix});
}

void DeltaTransaction::Discard(const TableView& view, const delta::Add& add) {
  std::lock_guard lock(mutex_);
  if (auto key = delta::ObjectKey(view.table.root, add.path)) discarded_.emplace_back(view.table.store, *key);
}

// ---- how it ends

struct DeltaTransaction::Prepared {
  TableState* state;
  delta::Transaction transaction;
  delta::Operation operation;
  Step total;
  std::vector<size_t> txns;  // of the session's context
};

Step DeltaTransaction::Summary(const TableState& state) const {
  Step total;
  bool one = true;
  Json names = Json::array();
  for (const Step& step : state.steps) {
    total.inserted += step.inserted;
    total.updated += step.updated;
    total.deleted += step.deleted;
    total.copied += step.copied;
    if (total.operation.empty()) {
      total.operation = step.operation;
      total.parameters = step.parameters;
    }
    one = one && step.operation == total.operation;
    names.push_back(step.operation);
  }
  if (!one) {
    total.parameters["statements"] = names.dump();
    if (!total.operation.starts_with("CREATE") && !total.operation.starts_with("REPLACE")) {
      total.operation = "WRITE";
      total.parameters["mode"] = total.deleted + total.updated > 0 ? "Overwrite" : "Append";
    }
  }
  if (total.operation.empty()) total.operation = "WRITE";
  return total;
}

Json CommitKeys(const CommitContext& context) {
  Json extra = context.extra;
  if (!context.dag_run.empty()) extra["quernDagRun"] = context.dag_run;
  if (!context.node.empty()) extra["quernNode"] = context.node;
  if (context.logical_date) extra["quernLogicalDate"] = FormatUtc(*context.logical_date);
  if (!context.git_commit.empty()) extra["gitCommit"] = context.git_commit;
  return extra;
}

std::vector<DeltaTransaction::Prepared> DeltaTransaction::Prepare(const CommitContext& context) {
  std::vector<Prepared> prepared;
  for (auto& [key, state] : tables_) {
    if (!state.now) continue;
    std::vector<size_t> txns;
    for (size_t i = 0; i < context.txns.size(); i++) {
      const auto& table = context.txns[i].table;
      if (Lower(table.schema + "/" + table.table) == key) txns.push_back(i);
    }
    const bool changed = state.now != state.base;
    if (!changed && !(state.written && !txns.empty())) continue;

    const TableView& now = *state.now;
    delta::TransactionOptions options;
    options.clock = &storage().clock();
    Prepared p{&state,
               delta::Transaction::Begin(now.table, state.base ? state.base->base : nullptr, options),
               {},
               Summary(state),
               txns};
    if (state.new_metadata) {
      delta::Metadata metadata = now.metadata;
      if (!state.base) {
        if (metadata.id.empty()) metadata.id = RandomUuid();
        if (!metadata.created_time) metadata.created_time = MillisSinceEpoch(storage().clock().Now());
      }
      OrThrow(p.transaction.SetMetadata(std::move(metadata)));
    }
    for (const auto& predicate : state.reads) p.transaction.ReadMatching(predicate);
    std::unordered_map<std::string_view, const delta::DataFile*> after;
    for (const auto& file : now.files) after.emplace(file.data->add().path, file.data.get());
    int64_t added = 0, removed = 0, bytes = 0, vectors = 0;
    if (changed && state.base) {
      for (const auto& file : state.base->files) {
        auto it = after.find(file.data->add().path);
        if (it == after.end()) {
          p.transaction.Remove(*file.data);
          removed++;
        } else {
          const auto& vector = it->second->add().deletion_vector;
          if (vector && vector != file.data->add().deletion_vector) {
            p.transaction.UpdateDeletionVector(*file.data, *vector);
            vectors++;
          }
          after.erase(it);
        }
      }
    }
    if (changed) {
      for (const auto& file : now.files) {
        if (!after.contains(file.data->add().path)) continue;
        p.transaction.Add(file.data->add());
        added++;
        bytes += file.data->add().size;
      }
    }
    for (size_t i : txns) p.transaction.SetTxn(context.txns[i].app_id, context.txns[i].version);

    const Step& total = p.total;
    p.operation.name = total.operation;
    p.operation.parameters = total.parameters;
    auto& metrics = p.operation.metrics;
    auto metric = [&](const char* name, int64_t value) { metrics[name] = std::to_string(value); };
    if (total.operation == "MERGE") {
      metric("numTargetRowsInserted", total.inserted);
      metric("numTargetRowsUpdated", total.updated);
      metric("numTargetRowsDeleted", total.deleted);
      metric("numTargetRowsCopied", total.copied);
      metric("numTargetFilesAdded", added);
      metric("numTargetFilesRemoved", removed);
    } else if (total.operation == "DELETE" || total.operation == "UPDATE") {
      metric("numAddedFiles", added);
      metric("numRemovedFiles", removed);
      metric("numCopiedRows", total.copied);
      metric(total.operation == "DELETE" ? "numDeletedRows" : "numUpdatedRows", total.deleted + total.updated);
    } else {
      metric("numFiles", added);
      if (removed > 0) metric("numRemovedFiles", removed);
      if (total.deleted > 0) metric("numDeletedRows", total.deleted);
    }
    metric("numOutputRows", total.inserted + total.updated + total.copied);
    metric("numOutputBytes", bytes);
    if (vectors > 0) metric("numDeletionVectorsUpdated", vectors);
    p.operation.extra.update(CommitKeys(context));
    prepared.push_back(std::move(p));
  }
  // Those that can lose a race come first, so that most conflicts end the transaction before anything is
  // written.
  std::stable_partition(prepared.begin(), prepared.end(),
                        [](const Prepared& p) { return p.state->base && !p.transaction.blind_append(); });
  return prepared;
}

// After an error: whether the commit may stand all the same (its answer was lost).
bool DeltaTransaction::MayBeCommitted(const TableState& state) const {
  auto newest = storage().Load(state.schema->name, state.folder);
  if (!newest) return newest.error().code() != ErrorCode::kTableNotFound;
  for (const auto& file : state.now->files) {
    const std::string& path = file.data->add().path;
    if ((*newest)->base->FindFile(path) && !(state.base && state.base->base->FindFile(path))) return true;
  }
  return false;
}

void DeltaTransaction::CommitTables(SessionState& session) {
  std::lock_guard session_lock(session.mutex);
  CommitContext& context = session.context;
  std::vector<std::string> done;
  std::set<size_t> used_txns;
  for (Prepared& p : Prepare(context)) {
    const std::string& schema = p.state->schema->name;
    const std::string name = schema + "." + p.state->name;
    auto fail = [&](Error error) {
      error = NameTable(std::move(error), schema, p.state->name);
      if (!done.empty()) {
        error = std::move(error).Hint(
            fmt::format("other tables of the same transaction were committed before: {}", Join(done, ", ")));
      }
      engine::ThrowToDuckDb(error);
    };
    // Files that the log names, or may name, are not ours to delete.
    auto forget_files = [&] {
      std::erase_if(written_, [&](const Written& w) { return w.view->table.root == p.state->now->table.root; });
    };
    auto result = p.transaction.Commit(p.operation);
    if (!result) {
      if (MayBeCommitted(*p.state)) forget_files();
      fail(result.error());
    }
    if (auto* conflict = std::get_if<delta::Conflicted>(&*result)) fail(conflict->ToError(p.state->now->table));
    auto& committed = std::get<delta::Committed>(*result);
    forget_files();
    if (committed.snapshot) storage().Remember(schema, p.state->folder, committed.snapshot);
    used_txns.insert(p.txns.begin(), p.txns.end());
    session.commits.push_back({{schema, p.state->name},
                               committed.version,
                               p.total.operation,
                               p.total.inserted,
                               p.total.updated,
                               p.total.deleted});
    done.push_back(fmt::format("{} (version {})", name, committed.version));
  }
  for (auto it = used_txns.rbegin(); it != used_txns.rend(); ++it)
    context.txns.erase(context.txns.begin() + static_cast<ptrdiff_t>(*it));
}

void DeltaTransaction::CommitFolders() {
  for (auto& [key, view] : views_) {
    if (!view.changed) continue;
    const std::string& schema = view.schema->name;
    OrThrow(view.there ? storage().WriteView(schema, view.name, view.sql) : storage().DropView(schema, view.name));
  }
  for (const auto& change : folder_changes_) {
    if (change.table.empty()) {
      OrThrow(storage().DropSchema(change.schema));
    } else if (change.to.empty()) {
      OrThrow(storage().DropTable(change.schema, change.table));
    } else {
      OrThrow(storage().RenameTable(change.schema, change.table, change.to));
    }
  }
}

void DeltaTransaction::Commit(duck::ClientContext& context) {
  std::lock_guard lock(mutex_);
  CommitTables(SessionState::Of(context));
  CommitFolders();
  for (const auto& [store, key] : discarded_) Ignore(store->Delete(key), "an unreferenced file does no harm");
  for (const auto& written : written_) RemoveWritten(written);  // of tables that were dropped again
  written_.clear();
}

void DeltaTransaction::RemoveWritten(const Written& written) const {
  auto& store = *written.view->table.store;
  auto files = store.ListRecursively(written.view->table.root + "/");
  if (!files) return;
  for (const auto& file : *files) {
    const std::string name = file.key.substr(file.key.rfind('/') + 1);
    if (name.starts_with(written.prefix)) Ignore(store.Delete(file.key), "an unreferenced file does no harm");
  }
  if (written.view->base) return;
  // A table that never came to be: its folders go as far as they are empty.
  std::error_code ignored;
  const std::filesystem::path root = store.Location(written.view->table.root);
  std::vector<std::filesystem::path> folders;
  for (std::filesystem::recursive_directory_iterator it(root, ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    if (it->is_directory(ignored)) folders.push_back(it->path());
  }
  for (auto it = folders.rbegin(); it != folders.rend(); ++it) std::filesystem::remove(*it, ignored);
  std::filesystem::remove(root, ignored);
}

void DeltaTransaction::Rollback() {
  std::lock_guard lock(mutex_);
  for (const auto& written : written_) RemoveWritten(written);
  written_.clear();
}

duck::Transaction& DeltaTransactionManager::StartTransaction(duck::ClientContext& context) {
  auto transaction = duck::make_uniq<DeltaTransaction>(*this, context, catalog_);
  duck::Transaction& started = *transaction;
  std::lock_guard lock(mutex_);
  open_[started] = std::move(transaction);
  return started;
}

duck::ErrorData DeltaTransactionManager::CommitTransaction(duck::ClientContext& context,
                                                           duck::Transaction& transaction) {
  auto& ours = transaction.Cast<DeltaTransaction>();
  duck::ErrorData error;
  try {
    ours.Commit(context);
  } catch (const std::exception& e) {
    error = duck::ErrorData(e);
    // DuckDB keeps the text alone of what fails here, and calls no Rollback after a failed commit.
    engine::PendingError::Of(context).Set(engine::FromDuckDb(error, ""));
    ours.Rollback();
  }
  std::lock_guard lock(mutex_);
  open_.erase(transaction);
  return error;
}

void DeltaTransactionManager::RollbackTransaction(duck::Transaction& transaction) {
  transaction.Cast<DeltaTransaction>().Rollback();
  std::lock_guard lock(mutex_);
  open_.erase(transaction);
}

}  // namespace quern::warehouse
