// The scan of a table: DuckDB's own Parquet scan with our list of files (pruned before one is opened) and our
// reader (partition values, column mapping, deletion vectors).
#include <duckdb/common/multi_file/multi_file_reader.hpp>
#include <duckdb/common/multi_file/multi_file_states.hpp>
#include <duckdb/common/serializer/deserializer.hpp>
#include <duckdb/common/serializer/serializer.hpp>
#include <duckdb/function/cast/default_casts.hpp>
#include <duckdb/main/extension/extension_loader.hpp>
#include <duckdb/parser/tableref/table_function_ref.hpp>
#include <duckdb/planner/expression/bound_cast_expression.hpp>

#include "warehouse/catalog.h"
#include "warehouse/filters.h"

namespace quern::warehouse {

using duck::idx_t;
using duck::MultiFileReader;

namespace {

constexpr const char* kScan = "quern_scan";
constexpr const char* kState = "quern_state";

/// Shared by the threads of a scan: no state of its own.
class DeletedRows : public duck::DeleteFilter {
 public:
  explicit DeletedRows(RowSetPtr rows) : rows_(std::move(rows)) {}
  // `start` counts rows of the file; the selection comes in without memory.
  idx_t Filter(duck::row_t start, idx_t count, duck::SelectionVector& selection) override {
    selection.Initialize(STANDARD_VECTOR_SIZE);
    std::vector<uint32_t> deleted;
    rows_->Deleted(static_cast<uint64_t>(start), static_cast<uint64_t>(start) + count, deleted);
    idx_t kept = 0;
    size_t next = 0;
    for (idx_t i = 0; i < count; i++) {
      if (next < deleted.size() && deleted[next] == i) {
        next++;
      } else {
        selection.set_index(kept++, i);
      }
    }
    return kept;
  }

 private:
  RowSetPtr rows_;
};

/// What is scanned: a table of the catalog, or a state by itself.
struct Scanned {
  TableViewPtr view;
  duck::optional_ptr<DeltaTable> table;
  DeletionVectorCache* vectors = nullptr;
};

class FileList : public duck::MultiFileList {
 public:
  FileList(Scanned scanned, std::vector<idx_t> live, delta::Predicate predicate)
      : scanned_(std::move(scanned)), live_(std::move(live)), predicate_(std::move(predicate)) {}
  static std::vector<idx_t> All(const TableView& view) {
    std::vector<idx_t> all(view.files.size());
    for (idx_t i = 0; i < all.size(); i++) all[i] = i;
    return all;
  }

  const Scanned& scanned() const { return scanned_; }
  const TableView& view() const { return *scanned_.view; }
  const std::vector<idx_t>& live() const { return live_; }
  const delta::Predicate& predicate() const { return predicate_; }

  duck::vector<duck::OpenFileInfo> GetAllFiles() const override {
    duck::vector<duck::OpenFileInfo> files;
    for (idx_t i = 0; i < live_.size(); i++) files.push_back(GetFile(i));
    return files;
  }
  idx_t GetTotalFileCount() const override { return live_.size(); }
  duck::OpenFileInfo GetFile(idx_t i) const override {
    if (i >= live_.size()) return duck::OpenFileInfo("");
    const auto& file = view().files[live_[i]];
    const auto& add = file.data->add();
    duck::OpenFileInfo info(OrThrow(view().Location(add)));
    info.extended_info = duck::make_shared_ptr<duck::ExtendedOpenFileInfo>();
    auto& options = info.extended_info->options;
    options["quern_index"] = duck::Value::UBIGINT(live_[i]);
    options["file_size"] = duck::Value::UBIGINT(static_cast<uint64_t>(add.size));
    options["has_deletes"] = duck::Value::BOOLEAN(add.deletion_vector.has_value() || file.overlay != nullptr);
    // Data files never change under their name.
    options["validate_external_file_cache"] = duck::Value::BOOLEAN(false);
    options["etag"] = duck::Value("");
    options["last_modified"] = duck::Value::TIMESTAMP(duck::timestamp_t(0));
    return info;
  }
  // One file too is "multiple": a single one would be read by one thread, as its row groups are not known
  // before.
  duck::FileExpandResult GetExpandResult() const override {
    return live_.empty() ? duck::FileExpandResult::NO_FILES : duck::FileExpandResult::MULTIPLE_FILES;
  }
  duck::unique_ptr<duck::MultiFileList> Copy() const override {
    return duck::make_uniq<FileList>(scanned_, live_, predicate_);
  }
  duck::unique_ptr<duck::NodeStatistics> GetCardinality(duck::ClientContext&) const override {
    idx_t total = 0;
    for (idx_t i : live_) {
      auto rows = TableView::LiveRows(view().files[i]);
      if (!rows) return nullptr;
      total += static_cast<idx_t>(*rows);
    }
    return duck::make_uniq<duck::NodeStatistics>(total, total);
  }

  duck::unique_ptr<duck::MultiFileList> ComplexFilterPushdown(
      duck::ClientContext&, const duck::MultiFileOptions&, duck::MultiFilePushdownInfo& info,
      duck::vector<duck::unique_ptr<duck::Expression>>& filters) const override {
    ScanColumns columns{info.table_index, {info.column_ids.begin(), info.column_ids.end()}, view().schema.get()};
    auto pruned = Prune(PredicateOf(filters, columns), true);
    if (pruned) {  // EXPLAIN says so
      info.extra_info.file_filters = dynamic_cast<FileList&>(*pruned).predicate().ToString();
      info.extra_info.total_files = view().files.size();
      info.extra_info.filtered_files = pruned->GetTotalFileCount();
    }
    return pruned;
  }
  duck::unique_ptr<duck::MultiFileList> DynamicFilterPushdown(duck::ClientContext&, const duck::MultiFileOptions&,
                                                              const duck::vector<std::string>&,
                                                              const duck::vector<duck::LogicalType>&,
                                                              const duck::vector<duck::column_t>& column_ids,
                                                              duck::TableFilterSet& filters) const override {
    ScanColumns columns{0, {column_ids.begin(), column_ids.end()}, view().schema.get()};
    return Prune(PredicateOf(filters, columns), false);
  }

 private:
  duck::unique_ptr<duck::MultiFileList> Prune(const delta::Predicate& predicate, bool remember) const {
    if (predicate.kind() == delta::Predicate::Kind::kTrue || predicate.kind() == delta::Predicate::Kind::kUnknown)
      return nullptr;
    const delta::FilePredicate judge(predicate, *view().schema, view().metadata.partition_columns);
    std::vector<idx_t> kept;
    for (idx_t i : live_) {
      if (judge.MayMatch(*view().files[i].data)) kept.push_back(i);
    }
    // What a filter at run time leaves out says nothing of what the statement depends on.
    auto all = remember ? delta::Predicate::And({predicate_, predicate}) : predicate_;
    return duck::make_uniq<FileList>(scanned_, std::move(kept), std::move(all));
  }

  Scanned scanned_;
  std::vector<idx_t> live_;
  delta::Predicate predicate_;
};

// ---- states by name

struct States {
  std::mutex mutex;
  std::map<std::string, std::pair<TableViewPtr, DeletionVectorCache*>> by_name;
  static States& Get() {
    static States states;
    return states;
  }
};

struct ScanInfo : duck::TableFunctionInfo {
  Scanned scanned;
};

bool HoldsStruct(const delta::DataType& type) {
  if (type.id == delta::TypeId::kStruct) return true;
  return (type.key && HoldsStruct(*type.key)) || (type.element && HoldsStruct(*type.element));
}

class Reader : public MultiFileReader {
 public:
  static duck::unique_ptr<MultiFileReader> Create(const duck::TableFunction& function) {
    auto reader = duck::make_uniq<Reader>();
    if (function.function_info) reader->scanned_ = dynamic_cast<ScanInfo&>(*function.function_info).scanned;
    return reader;
  }
  duck::unique_ptr<MultiFileReader> Copy() const override {
    auto copy = duck::make_uniq<Reader>();
    copy->scanned_ = scanned_;
    copy->function_name = function_name;
    return copy;
  }
  duck::shared_ptr<duck::MultiFileList> CreateFileList(duck::ClientContext&, const duck::vector<std::string>& names,
                                                       const duck::FileGlobInput&) override {
    if (!scanned_.view) {
      std::lock_guard lock(States::Get().mutex);
      auto it = States::Get().by_name.find(names.at(0));
      if (it == States::Get().by_name.end()) throw duck::BinderException("%s is internal", kState);
      scanned_.view = it->second.first;
      scanned_.vectors = it->second.second;
    }
    return duck::make_shared_ptr<FileList>(scanned_, FileList::All(*scanned_.view), delta::Predicate::True());
  }
  // No file is opened: the schema is the log's.
  bool Bind(duck::MultiFileOptions& options, duck::MultiFileList&, duck::vector<duck::LogicalType>& types,
            duck::vector<std::string>& names, duck::MultiFileReaderBindData& bind_data) override {
    for (const auto& field : scanned_.view->schema->fields) {
      auto type = OrThrow(SqlTypeOf(field.type));
      names.push_back(field.name);
      types.push_back(type);
      bind_data.schema.emplace_back(field.name, type);
    }
    options.hive_partitioning = options.auto_detect_hive_partitioning = options.union_by_name = false;
    return true;
  }

  duck::ReaderInitializeType InitializeReader(duck::MultiFileReaderData& data, const duck::MultiFileBindData& bind,
                                              const duck::vector<duck::MultiFileColumnDefinition>&,
                                              const duck::vector<duck::ColumnIndex>& ids,
                                              duck::optional_ptr<duck::TableFilterSet> filters,
                                              duck::ClientContext& context,
                                              duck::MultiFileGlobalState& global) override {
    const TableView& view = *scanned_.view;
    const idx_t index = data.reader->file.extended_info->options.at("quern_index").GetValue<idx_t>();
    const auto& file = view.files[index];
    // file_index is the position in the table's state, whatever was pruned: half of the row id.
    data.reader->file_list_idx = index;

    duck::vector<duck::MultiFileColumnDefinition> columns;
    for (const auto& field : view.schema->fields)
      columns.push_back(Resolve(field.name, field.type, Find(field, data.reader->GetColumns())));
    FinalizeBind(data, bind.file_options, bind.reader_bind, columns, ids, context,
                 global.multi_file_reader_state.get());
    for (idx_t i = 0; i < ids.size(); i++) {
      const auto column = ids[i].GetPrimaryIndex();
      if (column >= view.schema->fields.size()) continue;
      const auto& field = view.schema->fields[column];
      if (!view.IsPartitionColumn(field.name)) continue;
      const auto* text = file.data->add().partition_values.Find(field.physical_name());
      const auto value = OrThrow(delta::ParsePartitionValue(field.type, text ? *text : std::nullopt));
      data.constant_map.Add(duck::MultiFileGlobalIndex(i), ValueOf(value, columns[column].type));
    }
    if (auto rows = OrThrow(scanned_.vectors->RowsOf(view, file)))
      data.reader->deletion_filter = duck::make_uniq<DeletedRows>(rows);
    auto result = CreateMapping(context, data, columns, ids, filters, global.file_list, bind.reader_bind,
                                bind.virtual_columns, duck::MultiFileColumnMappingMode::BY_NAME);
    // INT96 arrives as a TIMESTAMP; the cast to TIMESTAMPTZ would shift it by the session's time zone.
    auto mend = [](duck::unique_ptr<duck::Expression>& expression) {
      if (!expression || expression->GetExpressionClass() != duck::ExpressionClass::BOUND_CAST) return;
      auto& cast = expression->Cast<duck::BoundCastExpression>();
      if (cast.return_type.id() != duck::LogicalTypeId::TIMESTAMP_TZ ||
          cast.child->return_type.id() != duck::LogicalTypeId::TIMESTAMP)
        return;
      expression =
          duck::make_uniq<duck::BoundCastExpression>(std::move(cast.child), duck::LogicalType::TIMESTAMP_TZ,
                                                     duck::BoundCastInfo(duck::DefaultCasts::ReinterpretCast), false);
    };
    for (auto& expression : data.expressions) mend(expression);
    for (auto& entry : data.reader->expression_map) mend(entry.second);
    return result;
  }

 private:
  // Which of the file's columns is a field. Not by DuckDB's own mapping: by field id it stops at the first
  // column without one, and it knows one kind of mapping for a whole file.
  const duck::MultiFileColumnDefinition* Find(const delta::StructField& field,
                                              const duck::vector<duck::MultiFileColumnDefinition>& locals) const {
    for (const auto& local : locals) {
      if (scanned_.view->mapping == delta::ColumnMapping::kId) {
        if (!local.identifier.IsNull() && local.identifier.type().id() == duck::LogicalTypeId::INTEGER &&
            field.column_id() && local.GetIdentifierFieldId() == *field.column_id()) {
          return &local;
        }
      } else if (duck::StringUtil::CIEquals(local.name, field.physical_name())) {
        return &local;
      }
    }
    return nullptr;
  }
  duck::MultiFileColumnDefinition Resolve(const std::string& name, const delta::DataType& type,
                                          const duck::MultiFileColumnDefinition* local) const {
    const auto sql = OrThrow(SqlTypeOf(type));
    duck::MultiFileColumnDefinition column(name, sql);
    column.default_expression =
        duck::make_uniq<duck::ConstantExpression>(duck::Value(sql));  // a column added later is null
    column.identifier = duck::Value(local ? local->name : "\x01missing");
    if (!local || !HoldsStruct(type)) return column;  // read as it is, and cast
    switch (type.id) {
      case delta::TypeId::kStruct:
        for (const auto& field : type.fields->fields) {
          column.children.push_back(Resolve(field.name, field.type, Find(field, local->children)));
        }
        break;
      case delta::TypeId::kArray:
        if (!local->children.empty()) column.children.push_back(Resolve("element", *type.element, &local->children[0]));
        break;
      case delta::TypeId::kMap:
        if (!local->children.empty() && local->children[0].children.size() == 2) {
          column.children.push_back(Resolve("key", *type.key, &local->children[0].children[0]));
          column.children.push_back(Resolve("value", *type.element, &local->children[0].children[1]));
        }
        break;
      default:
        break;
    }
    return column;
  }

  Scanned scanned_;
};

FileList& ListOf(const duck::FunctionData& data) {
  return dynamic_cast<FileList&>(*data.Cast<duck::MultiFileBindData>().file_list);
}

duck::virtual_column_map_t VirtualColumns() {
  duck::virtual_column_map_t columns;
  columns.emplace(MultiFileReader::COLUMN_IDENTIFIER_FILENAME,
                  duck::TableColumn("filename", duck::LogicalType::VARCHAR));
  columns.emplace(MultiFileReader::COLUMN_IDENTIFIER_FILE_ROW_NUMBER,
                  duck::TableColumn("file_row_number", duck::LogicalType::BIGINT));
  columns.emplace(MultiFileReader::COLUMN_IDENTIFIER_FILE_INDEX,
                  duck::TableColumn("file_index", duck::LogicalType::UBIGINT));
  columns.emplace(duck::COLUMN_IDENTIFIER_EMPTY, duck::TableColumn("", duck::LogicalType::BOOLEAN));
  return columns;
}

// A plan is serialized to be copied, and to find equal parts of a query. Without it, scans of two tables with
// equal columns, or of two versions of one, would be taken for one another. The list counts too: it may be
// pruned differently.
void Serialize(duck::Serializer& serializer, const duck::optional_ptr<duck::FunctionData> data,
               const duck::TableFunction&) {
  const FileList& list = ListOf(*data);
  if (!list.scanned().table) throw duck::NotImplementedException("this scan cannot be copied");
  const DeltaTable& table = *list.scanned().table;
  serializer.WriteProperty(100, "catalog", table.catalog.GetName());
  serializer.WriteProperty(101, "schema", table.ParentSchema().name);
  serializer.WriteProperty(102, "table", table.name);
  serializer.WriteProperty(103, "state", list.view().id);
  serializer.WriteProperty(104, "files", duck::vector<idx_t>(list.live().begin(), list.live().end()));
}

// In the same process and transaction: the state is found by its id.
duck::unique_ptr<duck::FunctionData> Deserialize(duck::Deserializer& deserializer, duck::TableFunction& function) {
  auto& context = deserializer.Get<duck::ClientContext&>();
  const auto catalog_name = deserializer.ReadProperty<std::string>(100, "catalog");
  const auto schema = deserializer.ReadProperty<std::string>(101, "schema");
  const auto name = deserializer.ReadProperty<std::string>(102, "table");
  const auto id = deserializer.ReadProperty<uint64_t>(103, "state");
  const auto live = deserializer.ReadProperty<duck::vector<idx_t>>(104, "files");
  auto& catalog = duck::Catalog::GetCatalog(context, catalog_name);
  auto table = DeltaTransaction::Get(context, catalog).EntryById(id);
  if (!table) throw duck::BinderException("the table %s.%s is gone", schema, name);
  duck::unique_ptr<duck::FunctionData> data;
  function = table->GetScanFunction(context, data);
  auto& list = ListOf(*data);
  data->Cast<duck::MultiFileBindData>().file_list = duck::make_shared_ptr<FileList>(
      list.scanned(), std::vector<idx_t>(live.begin(), live.end()), delta::Predicate::True());
  return data;
}

// count(*) without a filter, from the log alone.
duck::vector<duck::PartitionStatistics> CountsFromLog(duck::ClientContext& context,
                                                      duck::GetPartitionStatsInput& input) {
  duck::vector<duck::PartitionStatistics> counts;
  const FileList& list = ListOf(*input.bind_data);
  idx_t start = 0;
  for (idx_t i : list.live()) {
    auto rows = TableView::LiveRows(list.view().files[i]);
    if (!rows) return {};
    duck::PartitionStatistics count;
    count.row_start = start;
    count.count = static_cast<idx_t>(*rows);
    count.count_type = duck::CountType::COUNT_EXACT;
    start += count.count;
    counts.push_back(std::move(count));
  }
  if (const auto table = list.scanned().table)
    DeltaTransaction::Get(context, table->catalog).Read(*table, list.predicate());
  return counts;
}

std::atomic<duck::table_function_init_global_t> parquet_init_global = nullptr;

duck::unique_ptr<duck::GlobalTableFunctionState> InitGlobal(duck::ClientContext& context,
                                                            duck::TableFunctionInitInput& input) {
  const FileList& list = ListOf(*input.bind_data);
  if (const auto table = list.scanned().table)
    DeltaTransaction::Get(context, table->catalog).Read(*table, list.predicate());
  return parquet_init_global.load()(context, input);
}

duck::TableFunction ScanOf(duck::ClientContext& context, Scanned scanned,
                           duck::unique_ptr<duck::FunctionData>& bind_data) {
  auto& entry = duck::Catalog::GetSystemCatalog(context).GetEntry<duck::TableFunctionCatalogEntry>(
      context, DEFAULT_SCHEMA, "parquet_scan");
  duck::TableFunction function = entry.functions.GetFunctionByOffset(0);
  auto info = duck::make_shared_ptr<ScanInfo>();
  info->scanned = std::move(scanned);
  function.name = kScan;
  function.function_info = info;
  function.get_multi_file_reader = Reader::Create;
  function.statistics = nullptr;  // Parquet's know the first file only
  function.serialize = Serialize;
  function.deserialize = Deserialize;
  parquet_init_global = function.init_global;
  function.init_global = InitGlobal;
  // How the binder finds the table of a scan; without it DELETE says "can only delete from base table".
  function.get_bind_info = [](const duck::optional_ptr<duck::FunctionData> data) {
    const auto table = ListOf(*data).scanned().table;
    return table ? duck::BindInfo(*table.get_mutable()) : duck::BindInfo(duck::ScanType::EXTERNAL);
  };
  function.get_virtual_columns = [](duck::ClientContext&, duck::optional_ptr<duck::FunctionData> data) {
    auto columns = VirtualColumns();
    data->Cast<duck::MultiFileBindData>().virtual_columns = columns;
    return columns;
  };
  function.get_row_id_columns = [](duck::ClientContext&,
                                   duck::optional_ptr<duck::FunctionData>) -> duck::vector<duck::column_t> {
    return {MultiFileReader::COLUMN_IDENTIFIER_FILE_INDEX, MultiFileReader::COLUMN_IDENTIFIER_FILE_ROW_NUMBER};
  };
  function.get_partition_stats = CountsFromLog;
  duck::vector<duck::Value> inputs{duck::Value("")};
  duck::named_parameter_map_t named;
  duck::vector<duck::LogicalType> input_types, types;
  duck::vector<std::string> input_names, names;
  duck::TableFunctionRef ref;
  duck::TableFunctionBindInput bind(inputs, named, input_types, input_names, nullptr, nullptr, function, ref);
  bind_data = function.bind(context, bind, types, names);
  bind_data->Cast<duck::MultiFileBindData>().virtual_columns = VirtualColumns();
  return function;
}

}  // namespace

duck::virtual_column_map_t DeltaTable::GetVirtualColumns() const {
  return VirtualColumns();
}

duck::vector<duck::column_t> DeltaTable::GetRowIdColumns() const {
  return {MultiFileReader::COLUMN_IDENTIFIER_FILE_INDEX, MultiFileReader::COLUMN_IDENTIFIER_FILE_ROW_NUMBER};
}

duck::TableStorageInfo DeltaTable::GetStorageInfo(duck::ClientContext&) {
  duck::TableStorageInfo info;
  if (auto rows = view_->rows()) info.cardinality = static_cast<idx_t>(*rows);
  return info;
}

duck::TableFunction DeltaTable::GetScanFunction(duck::ClientContext& context,
                                                duck::unique_ptr<duck::FunctionData>& bind_data) {
  auto& storage = catalog.Cast<DeltaCatalog>().storage();
  {
    auto& session = SessionState::Of(context);
    std::lock_guard lock(session.mutex);
    int64_t& version = session.reads.tables.try_emplace(ParentSchema().name + "." + name, -1).first->second;
    if (current_ || version < 0) version = view_->version();
  }
  return ScanOf(context, {view_, this, &storage.deletion_vectors()}, bind_data);
}

ScannableState::ScannableState(TableViewPtr view, DeletionVectorCache& vectors)
    : name_("state" + std::to_string(view->id)) {
  std::lock_guard lock(States::Get().mutex);
  States::Get().by_name[name_] = {std::move(view), &vectors};
}

ScannableState::~ScannableState() {
  std::lock_guard lock(States::Get().mutex);
  States::Get().by_name.erase(name_);
}

std::string ScannableState::Sql() const {
  return std::string(kState) + "('" + name_ + "')";
}

void RegisterScan(duck::DatabaseInstance& db) {
  duck::ExtensionLoader loader(db, "quern");
  // Its name must be in the system catalog for a copy of a plan to find it.
  duck::TableFunction scan(kScan, {duck::LogicalType::VARCHAR}, nullptr,
                           [](duck::ClientContext&, duck::TableFunctionBindInput&, duck::vector<duck::LogicalType>&,
                              duck::vector<std::string>&) -> duck::unique_ptr<duck::FunctionData> {
                             throw duck::BinderException("%s is internal", kScan);
                           });
  scan.serialize = Serialize;
  scan.deserialize = Deserialize;
  loader.RegisterFunction(scan);

  duck::TableFunction state =
      loader.GetTableFunction("parquet_scan").Cast<duck::TableFunctionCatalogEntry>().functions.GetFunctionByOffset(0);
  state.name = kState;
  state.get_multi_file_reader = Reader::Create;
  state.statistics = nullptr;
  state.get_partition_stats = nullptr;
  state.serialize = nullptr;
  state.deserialize = nullptr;
  loader.RegisterFunction(state);
}

}  // namespace quern::warehouse
