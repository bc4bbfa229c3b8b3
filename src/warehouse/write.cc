// INSERT, CREATE TABLE AS, DELETE, UPDATE and MERGE: one sink for all. It takes chunks [the table's
// columns][file_index, file_row_number]: the columns go to DuckDB's own COPY operator, the row ids into sets
// of dead rows.
#include <duckdb/catalog/catalog_entry/copy_function_catalog_entry.hpp>
#include <duckdb/execution/operator/persistent/physical_copy_to_file.hpp>
#include <duckdb/execution/operator/persistent/physical_merge_into.hpp>
#include <duckdb/execution/operator/projection/physical_projection.hpp>
#include <duckdb/execution/operator/scan/physical_dummy_scan.hpp>
#include <duckdb/execution/physical_plan_generator.hpp>
#include <duckdb/parallel/thread_context.hpp>
#include <duckdb/planner/expression/bound_cast_expression.hpp>
#include <duckdb/planner/expression/bound_columnref_expression.hpp>
#include <duckdb/planner/expression/bound_reference_expression.hpp>
#include <duckdb/planner/operator/logical_copy_to_file.hpp>
#include <duckdb/planner/operator/logical_create_table.hpp>
#include <duckdb/planner/operator/logical_delete.hpp>
#include <duckdb/planner/operator/logical_get.hpp>
#include <duckdb/planner/operator/logical_insert.hpp>
#include <duckdb/planner/operator/logical_merge_into.hpp>
#include <duckdb/planner/operator/logical_projection.hpp>
#include <duckdb/planner/operator/logical_update.hpp>
#include <duckdb/planner/parsed_data/bound_create_table_info.hpp>

#include "base/ids.h"
#include "base/text.h"
#include "warehouse/catalog.h"
#include "warehouse/written_files.h"

namespace quern::warehouse {

using duck::idx_t;
using duck::PhysicalCopyToFile;
using duck::PhysicalOperator;

namespace {

// Not an operation by itself: belongs to the CREATE TABLE before.
constexpr const char* kAsSelect = " AS SELECT";

enum class RowChange { kInsert, kUpdate, kDelete };

/// What one statement does to one table; shared by the actions of a MERGE, applied by the last that ends.
struct StatementChange {
  std::string operation;
  std::string prefix;  ///< of the names of all files that it writes
  std::mutex mutex;
  std::map<idx_t, delta::RowSet> dead;  ///< by position in the state that the statement was bound to
  std::vector<delta::Add> added;
  int running = 0;
  int64_t inserted = 0;
  int64_t updated = 0;
  int64_t deleted = 0;
};

void Apply(duck::ClientContext& context, const DeltaTable& table, StatementChange& change) {
  auto& tx = DeltaTransaction::Get(context, table.catalog);
  auto& storage = table.catalog.Cast<DeltaCatalog>().storage();
  const TableView& bound = *table.view();
  Step step;
  step.operation = change.operation;
  step.inserted = change.inserted;
  step.updated = change.updated;
  step.deleted = change.deleted;
  if (change.operation == "WRITE") {
    step.parameters = {{"mode", "Append"}, {"partitionBy", Json(bound.metadata.partition_columns).dump()}};
  }

  if (change.dead.empty() && change.added.empty()) return tx.Touch(table, std::move(step));

  // Files of the bound state by path, in the state as it is now: the same unless statements of one
  // transaction overlapped.
  std::map<std::string, TableView::File> rewritten;  // path -> what replaces it; without data: nothing
  std::vector<TableView::File> copy;
  std::vector<std::pair<std::string, RowSetPtr>> vectors;
  for (auto& [index, rows] : change.dead) {
    const TableView::File& file = bound.files.at(index);
    auto dead = std::make_shared<delta::RowSet>(rows);
    if (auto before = OrThrow(storage.deletion_vectors().RowsOf(bound, file))) dead->Union(*before);
    const auto total = file.data->num_records();
    if (total && dead->cardinality() >= static_cast<uint64_t>(*total)) {
      rewritten[file.data->add().path] = {};
    } else if (bound.uses_deletion_vectors()) {
      vectors.emplace_back(file.data->add().path, std::move(dead));
    } else {
      copy.push_back({file.data, std::move(dead), nullptr});
    }
  }
  std::vector<delta::Add> copied;
  if (!copy.empty()) {
    for (const auto& file : copy) {
      if (auto rows = TableView::LiveRows(file)) step.copied += *rows;
      rewritten[file.data->add().path] = {};
    }
    copied = OrThrow(RewriteFiles(context, storage, bound, std::move(copy), change.prefix));
  }
  if (!vectors.empty()) {
    // Named by the writer itself, so it is listed apart for the case that the transaction ends without a
    // commit.
    delta::DeletionVectorWriter writer(*bound.table.store, bound.table.root);
    std::vector<delta::DeletionVectorDescriptor> descriptors;
    for (auto& [path, rows] : vectors) descriptors.push_back(writer.Append(*rows));
    const std::string key = OrThrow(writer.Finish());
    tx.Writing(bound, key.substr(key.rfind('/') + 1));
    for (size_t i = 0; i < vectors.size(); i++) {
      const auto& file = *std::find_if(bound.files.begin(), bound.files.end(), [&](const TableView::File& f) {
        return f.data->add().path == vectors[i].first;
      });
      delta::Add add = file.data->add();
      add.deletion_vector = descriptors[i];
      rewritten[vectors[i].first] = {std::make_shared<delta::DataFile>(std::move(add)), nullptr, vectors[i].second};
    }
  }
  tx.Change(table, std::move(step), false, [&](TableView& view) {
    std::vector<TableView::File> files;
    for (auto& file : view.files) {
      auto it = rewritten.find(file.data->add().path);
      if (it == rewritten.end()) {
        files.push_back(std::move(file));
        continue;
      }
      if (it->second.data) {
        files.push_back(it->second);
      } else if (!view.base || !view.base->FindFile(file.data->add().path)) {
        tx.Discard(view, file.data->add());  // written by this transaction, and never committed
      }
    }
    for (auto& add : copied) files.push_back({std::make_shared<delta::DataFile>(std::move(add)), nullptr, nullptr});
    for (auto& add : change.added)
      files.push_back({std::make_shared<delta::DataFile>(std::move(add)), nullptr, nullptr});
    view.files = std::move(files);
  });
}

struct WriteGlobal : duck::GlobalSinkState {
  duck::optional_ptr<DeltaTable> table;
  std::vector<std::pair<idx_t, std::string>> required;  ///< columns that must not be null
  std::atomic<int64_t> count{0};
};

struct WriteLocal : duck::LocalSinkState {
  duck::unique_ptr<duck::LocalSinkState> copy;
  duck::DataChunk rows;
};

class WriteOperator : public PhysicalOperator {
 public:
  WriteOperator(duck::PhysicalPlan& plan, RowChange kind_p, duck::optional_ptr<DeltaTable> table_p, idx_t columns_p,
                duck::optional_ptr<PhysicalOperator> copy_p, std::shared_ptr<StatementChange> change_p)
      : PhysicalOperator(plan, duck::PhysicalOperatorType::EXTENSION, {duck::LogicalType::BIGINT}, 1),
        kind(kind_p),
        table(table_p),
        columns(columns_p),
        copy(copy_p),
        change(std::move(change_p)) {}

  RowChange kind;
  duck::optional_ptr<DeltaTable> table;
  idx_t columns;                              ///< before the row id; 0 when nothing is written
  duck::optional_ptr<PhysicalOperator> copy;  ///< not part of the pipeline: driven by hand
  std::shared_ptr<StatementChange> change;
  duck::optional_ptr<duck::SchemaCatalogEntry> schema;  ///< of CREATE TABLE AS
  duck::unique_ptr<duck::BoundCreateTableInfo> create;

  bool has_row_ids() const { return kind != RowChange::kInsert; }
  std::string GetName() const override { return create ? "QUERN_CREATE_TABLE_AS" : "QUERN_" + change->operation; }
  bool IsSink() const override { return true; }
  bool ParallelSink() const override { return true; }
  bool IsSource() const override { return true; }

  duck::unique_ptr<duck::GlobalSinkState> GetGlobalSinkState(duck::ClientContext& context) const override {
    auto state = duck::make_uniq<WriteGlobal>();
    state->table = table;
    if (create) {
      auto made = schema.get_mutable()->CreateTable(schema->catalog.GetCatalogTransaction(context), *create);
      state->table = &made->Cast<DeltaTable>();
    }
    {
      std::lock_guard lock(change->mutex);
      if (change->running++ == 0) {
        change->dead.clear();
        change->added.clear();
        change->inserted = change->updated = change->deleted = 0;
      }
    }
    const auto& fields = state->table->view()->schema->fields;
    for (idx_t i = 0; i < columns; i++) {
      if (!fields[i].nullable) state->required.emplace_back(i, fields[i].name);
    }
    auto& tx = DeltaTransaction::Get(context, state->table->catalog);
    tx.Writing(*state->table->view(), change->prefix);
    if (copy) copy.get_mutable()->sink_state = copy->GetGlobalSinkState(context);
    return state;
  }

  duck::unique_ptr<duck::LocalSinkState> GetLocalSinkState(duck::ExecutionContext& context) const override {
    auto state = duck::make_uniq<WriteLocal>();
    if (copy) {
      state->copy = copy->GetLocalSinkState(context);
      state->rows.InitializeEmpty(copy->Cast<PhysicalCopyToFile>().expected_types);
    }
    return state;
  }

  duck::SinkResultType Sink(duck::ExecutionContext& context, duck::DataChunk& chunk,
                            duck::OperatorSinkInput& input) const override {
    auto& global = input.global_state.Cast<WriteGlobal>();
    auto& local = input.local_state.Cast<WriteLocal>();
    if (has_row_ids()) MarkDead(global, chunk);
    global.count += static_cast<int64_t>(chunk.size());
    if (!copy || chunk.size() == 0) return duck::SinkResultType::NEED_MORE_INPUT;
    for (const auto& [column, name] : global.required) CheckNotNull(*global.table, chunk, column, name);
    for (idx_t i = 0; i < columns; i++) local.rows.data[i].Reference(chunk.data[i]);
    local.rows.SetCardinality(chunk.size());
    duck::OperatorSinkInput copy_input{*copy->sink_state, *local.copy, input.interrupt_state};
    return copy->Sink(context, local.rows, copy_input);
  }

  duck::SinkCombineResultType Combine(duck::ExecutionContext& context,
                                      duck::OperatorSinkCombineInput& input) const override {
    if (!copy) return duck::SinkCombineResultType::FINISHED;
    duck::OperatorSinkCombineInput copy_input{*copy->sink_state, *input.local_state.Cast<WriteLocal>().copy,
                                              input.interrupt_state};
    return copy->Combine(context, copy_input);
  }

  duck::SinkFinalizeType Finalize(duck::Pipeline& pipeline, duck::Event& event, duck::ClientContext& context,
                                  duck::OperatorSinkFinalizeInput& input) const override {
    auto& global = input.global_state.Cast<WriteGlobal>();
    if (copy) {
      duck::OperatorSinkFinalizeInput copy_input{*copy->sink_state, input.interrupt_state};
      copy->Finalize(pipeline, event, context, copy_input);
      CollectFiles(context, *global.table, input.interrupt_state);
    }
    bool last = false;
    {
      std::lock_guard lock(change->mutex);
      (kind == RowChange::kInsert   ? change->inserted
       : kind == RowChange::kUpdate ? change->updated
                                    : change->deleted) += global.count;
      last = --change->running == 0;
    }
    if (last) Apply(context, *global.table, *change);
    return duck::SinkFinalizeType::READY;
  }

  duck::SourceResultType GetDataInternal(duck::ExecutionContext&, duck::DataChunk& chunk,
                                         duck::OperatorSourceInput&) const override {
    chunk.SetCardinality(1);
    chunk.SetValue(0, 0, duck::Value::BIGINT(sink_state->Cast<WriteGlobal>().count));
    return duck::SourceResultType::FINISHED;
  }

 private:
  // A row that is matched twice: counts once for DELETE; the first match wins for UPDATE; is an error for
  // MERGE.
  void MarkDead(const WriteGlobal& global, duck::DataChunk& chunk) const {
    duck::UnifiedVectorFormat files, rows;
    chunk.data[columns].ToUnifiedFormat(chunk.size(), files);
    chunk.data[columns + 1].ToUnifiedFormat(chunk.size(), rows);
    const auto* file = duck::UnifiedVectorFormat::GetData<uint64_t>(files);
    const auto* row = duck::UnifiedVectorFormat::GetData<int64_t>(rows);
    duck::SelectionVector kept(STANDARD_VECTOR_SIZE);
    idx_t count = 0;
    std::lock_guard lock(change->mutex);
    for (idx_t i = 0; i < chunk.size(); i++) {
      auto& dead = change->dead[file[files.sel->get_index(i)]];
      const auto at = static_cast<uint64_t>(row[rows.sel->get_index(i)]);
      if (!dead.Contains(at)) {
        dead.Add(at);
        kept.set_index(count++, i);
      } else if (change->operation == "MERGE") {
        engine::ThrowToDuckDb(
            Error(ErrorCode::kSqlExecution,
                  fmt::format("MERGE INTO {}.{}: a row of the table matches more than one row of the source",
                              global.table->ParentSchema().name, global.table->name))
                .Hint("make the source unique by the columns of ON"));
      }
    }
    if (count < chunk.size()) chunk.Slice(kept, count);
  }

  static void CheckNotNull(const DeltaTable& table, duck::DataChunk& chunk, idx_t column, const std::string& name) {
    duck::UnifiedVectorFormat format;
    chunk.data[column].ToUnifiedFormat(chunk.size(), format);
    if (format.validity.AllValid()) return;
    for (idx_t i = 0; i < chunk.size(); i++) {
      if (!format.validity.RowIsValid(format.sel->get_index(i))) {
        throw duck::ConstraintException("NOT NULL constraint failed: %s.%s.%s", table.ParentSchema().name, table.name,
                                        name);
      }
    }
  }

  void CollectFiles(duck::ClientContext& context, const DeltaTable& table, duck::InterruptState& interrupt) const {
    duck::ThreadContext thread(context);
    duck::ExecutionContext execution(context, thread, nullptr);
    auto global = copy->GetGlobalSourceState(context);
    auto local = copy->GetLocalSourceState(execution, *global);
    duck::OperatorSourceInput input{*global, *local, interrupt};
    duck::DataChunk chunk;
    chunk.Initialize(context, copy->types);
    const int64_t now = MillisSinceEpoch(table.catalog.Cast<DeltaCatalog>().storage().clock().Now());
    for (auto more = duck::SourceResultType::HAVE_MORE_OUTPUT; more == duck::SourceResultType::HAVE_MORE_OUTPUT;) {
      chunk.Reset();
      more = copy->GetData(execution, chunk, input);
      for (idx_t i = 0; i < chunk.size(); i++) {
        duck::vector<duck::Value> row;
        for (idx_t column = 0; column < chunk.ColumnCount(); column++) row.push_back(chunk.GetValue(column, i));
        if (row[1].GetValue<int64_t>() == 0) continue;
        auto add = OrThrow(AddOf(*table.view(), row, now));
        std::lock_guard lock(change->mutex);
        change->added.push_back(std::move(add));
      }
    }
  }
};

// ---- planning

struct Target {
  std::string folder;
  duck::vector<std::string> names;
  duck::vector<duck::LogicalType> types;
  std::vector<std::string> partition_columns;
};

PhysicalOperator& PlanCopy(duck::ClientContext& context, duck::PhysicalPlanGenerator& planner, Target target,
                           const std::string& prefix) {
  auto& function = duck::Catalog::GetSystemCatalog(context)
                       .GetEntry<duck::CopyFunctionCatalogEntry>(context, DEFAULT_SCHEMA, "parquet")
                       .function;
  duck::vector<idx_t> partitions;
  for (const auto& column : target.partition_columns) {
    for (idx_t i = 0; i < target.names.size(); i++) {
      if (EqualsIgnoreCase(target.names[i], column)) partitions.push_back(i);
    }
  }
  duck::CopyInfo info;
  info.file_path = target.folder;
  info.format = "parquet";
  info.is_from = false;
  duck::CopyFunctionBindInput bind_input(info);
  auto bind = function.copy_to_bind(
      context, bind_input, duck::LogicalCopyToFile::GetNamesWithoutPartitions(target.names, partitions, false),
      duck::LogicalCopyToFile::GetTypesWithoutPartitions(target.types, partitions, false));
  auto& copy = planner
                   .Make<PhysicalCopyToFile>(
                       duck::GetCopyFunctionReturnLogicalTypes(duck::CopyFunctionReturnType::WRITTEN_FILE_STATISTICS),
                       function, std::move(bind), idx_t(1))
                   .Cast<PhysicalCopyToFile>();
  copy.file_path = target.folder;
  copy.use_tmp_file = false;
  copy.filename_pattern.SetFilenamePattern(prefix + "{uuidv7}");
  copy.file_extension = "parquet";
  copy.overwrite_mode = duck::CopyOverwriteMode::COPY_OVERWRITE_OR_IGNORE;
  copy.parallel = true;
  copy.per_thread_output = false;
  copy.partition_output = !partitions.empty();
  copy.hive_file_pattern = copy.partition_output;
  copy.rotate = !copy.partition_output;
  if (copy.rotate) copy.file_size_bytes = static_cast<idx_t>(kTargetFileBytes);
  copy.partition_columns = std::move(partitions);
  copy.write_partition_columns = false;
  copy.write_empty_file = copy.partition_output;  // only then no file is opened for the folder itself
  copy.return_type = duck::CopyFunctionReturnType::WRITTEN_FILE_STATISTICS;
  copy.names = std::move(target.names);
  copy.expected_types = target.types;
  copy.children.push_back(planner.Make<duck::PhysicalDummyScan>(std::move(target.types), idx_t(1)));
  return copy;
}

std::shared_ptr<StatementChange> NewChange(std::string operation) {
  auto change = std::make_shared<StatementChange>();
  change->operation = std::move(operation);
  change->prefix = "part-" + RandomUuid().substr(0, 13) + "-";
  return change;
}

DeltaTable& WritableTable(duck::TableCatalogEntry& entry, bool removes) {
  auto& table = dynamic_cast<DeltaTable&>(entry);
  auto check = [&](Result<void> result) {
    if (!result) engine::ThrowToDuckDb(NameTable(std::move(result).error(), table.ParentSchema().name, table.name));
  };
  const TableView& view = *table.view();
  if (!table.current()) {
    check(Fail(ErrorCode::kSqlBind, fmt::format("{}.{} is read as it stood at version {} and cannot be written",
                                                table.ParentSchema().name, table.name, view.version())));
  }
  if (view.base) check(delta::CheckWritable(view.base->protocol(), view.metadata, *view.schema));
  if (view.mapping != delta::ColumnMapping::kNone) {
    check(Fail(ErrorCode::kUnsupportedFeature, "writing to a table with the feature columnMapping is not supported"));
  }
  if (removes) check(delta::CheckRemovable(view.metadata));
  return table;
}

WriteOperator& PlanWrite(duck::ClientContext& context, duck::PhysicalPlanGenerator& planner, RowChange kind,
                         DeltaTable& table, const std::shared_ptr<StatementChange>& change) {
  duck::optional_ptr<PhysicalOperator> copy;
  idx_t columns = 0;
  if (kind != RowChange::kDelete) {
    Target target{table.view()->table.Location(), table.GetColumns().GetColumnNames(),
                  table.GetColumns().GetColumnTypes(), table.view()->metadata.partition_columns};
    columns = target.names.size();
    copy = &PlanCopy(context, planner, std::move(target), change->prefix);
  }
  return static_cast<WriteOperator&>(
      planner.Make<WriteOperator>(kind, duck::optional_ptr<DeltaTable>(&table), columns, copy, change));
}

void AddRowId(duck::vector<duck::unique_ptr<duck::Expression>>& expressions, idx_t at) {
  expressions.push_back(duck::make_uniq<duck::BoundReferenceExpression>(duck::LogicalType::UBIGINT, at));
  expressions.push_back(duck::make_uniq<duck::BoundReferenceExpression>(duck::LogicalType::BIGINT, at + 1));
}

PhysicalOperator& Project(duck::PhysicalPlanGenerator& planner,
                          duck::vector<duck::unique_ptr<duck::Expression>> expressions, PhysicalOperator& child) {
  duck::vector<duck::LogicalType> types;
  for (const auto& expression : expressions) types.push_back(expression->return_type);
  auto& projection =
      planner.Make<duck::PhysicalProjection>(std::move(types), std::move(expressions), child.estimated_cardinality);
  projection.children.push_back(child);
  return projection;
}

duck::vector<duck::unique_ptr<duck::Expression>> InTableOrder(
    const duck::vector<duck::PhysicalIndex>& columns,
    const duck::vector<duck::unique_ptr<duck::Expression>>& expressions) {
  duck::vector<duck::unique_ptr<duck::Expression>> ordered(columns.size());
  for (idx_t i = 0; i < columns.size(); i++) {
    if (expressions[i]->GetExpressionType() == duck::ExpressionType::VALUE_DEFAULT) {
      throw duck::BinderException("SET ... = DEFAULT is not supported on Delta tables: they have no defaults");
    }
    ordered[columns[i].index] = expressions[i]->Copy();
  }
  return ordered;
}

void RefuseReturning(bool returning) {
  if (returning) throw duck::BinderException("RETURNING is not supported on Delta tables");
}

}  // namespace

// An update is a delete and an insert: every other column is fetched too.
void DeltaTable::BindUpdateConstraints(duck::Binder&, duck::LogicalGet& get, duck::LogicalProjection& projection,
                                       duck::LogicalUpdate& update, duck::ClientContext&) {
  update.update_is_del_and_insert = true;
  for (auto& column : columns.Physical()) {
    const auto index = column.Physical();
    if (std::find(update.columns.begin(), update.columns.end(), index) != update.columns.end()) continue;
    const auto& ids = get.GetColumnIds();
    idx_t at = 0;
    while (at < ids.size() && ids[at].GetPrimaryIndex() != index.index) at++;
    if (at == ids.size()) get.AddColumnId(index.index);
    update.expressions.push_back(duck::make_uniq<duck::BoundColumnRefExpression>(
        column.Type(), duck::ColumnBinding(projection.table_index, projection.expressions.size())));
    projection.expressions.push_back(
        duck::make_uniq<duck::BoundColumnRefExpression>(column.Type(), duck::ColumnBinding(get.table_index, at)));
    update.columns.push_back(index);
  }
}

PhysicalOperator& DeltaCatalog::PlanInsert(duck::ClientContext& context, duck::PhysicalPlanGenerator& planner,
                                           duck::LogicalInsert& op, duck::optional_ptr<PhysicalOperator> plan) {
  RefuseReturning(op.return_chunk);
  if (op.on_conflict_info.action_type != duck::OnConflictAction::THROW) {
    throw duck::BinderException("ON CONFLICT is not supported on Delta tables: use MERGE INTO");
  }
  if (!op.column_index_map.empty()) plan = planner.ResolveDefaultsProjection(op, *plan);
  auto& write = PlanWrite(context, planner, RowChange::kInsert, WritableTable(op.table, false), NewChange("WRITE"));
  write.children.push_back(*plan);
  return write;
}

PhysicalOperator& DeltaCatalog::PlanCreateTableAs(duck::ClientContext& context, duck::PhysicalPlanGenerator& planner,
                                                  duck::LogicalCreateTable& op, PhysicalOperator& plan) {
  auto& base = op.info->Base();
  OrThrow(Storage::CheckName(base.table, "table"));
  auto change = NewChange(kAsSelect);
  duck::vector<duck::unique_ptr<duck::Expression>> casts;
  bool any = false;
  for (auto& column : base.columns.Logical()) {
    const auto to = Storable(column.Type());
    (void)OrThrow(FieldOf(column.Name(), to, true));  // what has no type fails before a row is computed
    any |= to != column.Type() || !duck::LogicalType(to).EqualTypeInfo(column.Type());
    casts.push_back(duck::BoundCastExpression::AddCastToType(
        context, duck::make_uniq<duck::BoundReferenceExpression>(column.Type(), casts.size()), to));
  }
  PhysicalOperator* source = &plan;
  if (any) {
    for (idx_t i = 0; i < casts.size(); i++)
      base.columns.GetColumnMutable(duck::LogicalIndex(i)).SetType(casts[i]->return_type);
    source = &Project(planner, std::move(casts), plan);
  }
  auto& schema = op.schema.Cast<DeltaSchema>();
  std::string folder = base.table;
  if (auto existing = storage_->FindTable(schema.name, base.table)) folder = *existing;
  Target target{storage_->TableOf(schema.name, folder).Location(),
                base.columns.GetColumnNames(),
                base.columns.GetColumnTypes(),
                {}};
  for (const auto& key : base.partition_keys) {
    if (key->GetExpressionClass() == duck::ExpressionClass::COLUMN_REF)
      target.partition_columns.push_back(key->GetName());
  }
  if (!storage_->FindSchema(schema.name)) OrThrow(storage_->CreateSchema(schema.name));
  const idx_t columns = target.names.size();
  auto& copy = PlanCopy(context, planner, std::move(target), change->prefix);
  auto& write = static_cast<WriteOperator&>(
      planner.Make<WriteOperator>(RowChange::kInsert, duck::optional_ptr<DeltaTable>(), columns,
                                  duck::optional_ptr<PhysicalOperator>(&copy), change));
  write.schema = &op.schema;
  write.create = std::move(op.info);
  write.children.push_back(*source);
  return write;
}

PhysicalOperator& DeltaCatalog::PlanDelete(duck::ClientContext& context, duck::PhysicalPlanGenerator& planner,
                                           duck::LogicalDelete& op, PhysicalOperator& plan) {
  RefuseReturning(op.return_chunk);
  auto& write = PlanWrite(context, planner, RowChange::kDelete, WritableTable(op.table, true), NewChange("DELETE"));
  write.children.push_back(Project(planner, std::move(op.expressions), plan));  // the row id's columns
  return write;
}

PhysicalOperator& DeltaCatalog::PlanUpdate(duck::ClientContext& context, duck::PhysicalPlanGenerator& planner,
                                           duck::LogicalUpdate& op, PhysicalOperator& plan) {
  RefuseReturning(op.return_chunk);
  auto expressions = InTableOrder(op.columns, op.expressions);
  AddRowId(expressions, plan.types.size() - 2);  // the binder appends the row id last
  auto& write = PlanWrite(context, planner, RowChange::kUpdate, WritableTable(op.table, true), NewChange("UPDATE"));
  write.children.push_back(Project(planner, std::move(expressions), plan));
  return write;
}

// DuckDB's own operator routes the rows and evaluates the expressions that make our sink's input.
PhysicalOperator& DeltaCatalog::PlanMergeInto(duck::ClientContext& context, duck::PhysicalPlanGenerator& planner,
                                              duck::LogicalMergeInto& op, PhysicalOperator& plan) {
  RefuseReturning(op.return_chunk);
  bool removes = false;
  for (const auto& [condition, list] : op.actions) {
    for (const auto& action : list) {
      removes |= action->action_type == duck::MergeActionType::MERGE_UPDATE ||
                 action->action_type == duck::MergeActionType::MERGE_DELETE;
    }
  }
  DeltaTable& table = WritableTable(op.table, removes);
  auto change = NewChange("MERGE");
  duck::map<duck::MergeActionCondition, duck::vector<duck::unique_ptr<duck::MergeIntoOperator>>> actions;
  for (auto& [condition, list] : op.actions) {
    for (auto& action : list) {
      auto merge = duck::make_uniq<duck::MergeIntoOperator>();
      merge->action_type = action->action_type;
      merge->condition = std::move(action->condition);
      switch (action->action_type) {
        case duck::MergeActionType::MERGE_UPDATE:
          merge->expressions = InTableOrder(action->columns, action->expressions);
          AddRowId(merge->expressions, op.row_id_start);
          merge->op = PlanWrite(context, planner, RowChange::kUpdate, table, change);
          break;
        case duck::MergeActionType::MERGE_DELETE:
          AddRowId(merge->expressions, op.row_id_start);
          merge->op = PlanWrite(context, planner, RowChange::kDelete, table, change);
          break;
        case duck::MergeActionType::MERGE_INSERT:
          if (action->column_index_map.empty()) {
            merge->expressions = std::move(action->expressions);
          } else {
            for (auto& column : table.GetColumns().Physical()) {
              const auto at = action->column_index_map[column.Physical()];
              merge->expressions.push_back(at == duck::DConstants::INVALID_INDEX
                                               ? op.bound_defaults[column.StorageOid()]->Copy()
                                               : std::move(action->expressions[at]));
            }
          }
          merge->op = PlanWrite(context, planner, RowChange::kInsert, table, change);
          break;
        default:  // ERROR, DO NOTHING
          merge->expressions = std::move(action->expressions);
          break;
      }
      actions[condition].push_back(std::move(merge));
    }
  }
  auto& merge = planner.Make<duck::PhysicalMergeInto>(op.types, std::move(actions), op.row_id_start, op.source_marker,
                                                      true, false);
  merge.children.push_back(plan);
  return merge;
}

}  // namespace quern::warehouse
