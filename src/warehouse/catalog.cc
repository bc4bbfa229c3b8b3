// ATTACH, schemas, lookup (with AT), CREATE, DROP, ALTER, COMMENT and views.
#include "warehouse/catalog.h"

#include <duckdb/main/attached_database.hpp>
#include <duckdb/main/config.hpp>
#include <duckdb/parser/constraints/check_constraint.hpp>
#include <duckdb/parser/constraints/not_null_constraint.hpp>
#include <duckdb/parser/expression/columnref_expression.hpp>
#include <duckdb/parser/expression/constant_expression.hpp>
#include <duckdb/parser/expression/function_expression.hpp>
#include <duckdb/parser/parsed_data/alter_table_info.hpp>
#include <duckdb/parser/parsed_data/attach_info.hpp>
#include <duckdb/parser/parsed_data/comment_on_column_info.hpp>
#include <duckdb/parser/parsed_data/create_schema_info.hpp>
#include <duckdb/parser/parsed_data/create_view_info.hpp>
#include <duckdb/parser/parsed_data/drop_info.hpp>
#include <duckdb/planner/parsed_data/bound_create_table_info.hpp>
#include <duckdb/planner/tableref/bound_at_clause.hpp>
#include <duckdb/storage/database_size.hpp>
#include <duckdb/storage/storage_extension.hpp>

#include "base/text.h"
#include "delta/history.h"

namespace quern::warehouse {

namespace {

[[noreturn]] void Throw(ErrorCode code, std::string message, std::string hint = "") {
  Error error(code, std::move(message));
  if (!hint.empty()) error = std::move(error).Hint(std::move(hint));
  engine::ThrowToDuckDb(error);
}

// Delta's properties are spelt with capitals; SQL's unquoted names lose them.
const char* const kProperties[] = {"delta.appendOnly",
                                   "delta.autoOptimize.autoCompact",
                                   "delta.autoOptimize.optimizeWrite",
                                   "delta.checkpoint.writeStatsAsJson",
                                   "delta.checkpoint.writeStatsAsStruct",
                                   "delta.checkpointInterval",
                                   "delta.columnMapping.mode",
                                   "delta.dataSkippingNumIndexedCols",
                                   "delta.dataSkippingStatsColumns",
                                   "delta.deletedFileRetentionDuration",
                                   "delta.enableChangeDataFeed",
                                   "delta.enableDeletionVectors",
                                   "delta.enableInCommitTimestamps",
                                   "delta.enableRowTracking",
                                   "delta.isolationLevel",
                                   "delta.logRetentionDuration",
                                   "delta.minReaderVersion",
                                   "delta.minWriterVersion",
                                   "delta.setTransactionRetentionDuration",
                                   "delta.targetFileSize"};

std::string TextOf(const duck::Value& value) {
  if (value.type().id() == duck::LogicalTypeId::BOOLEAN) return value.GetValue<bool>() ? "true" : "false";
  return value.ToString();
}

}  // namespace

Result<delta::StringMap> PropertiesOf(
    const duck::case_insensitive_map_t<duck::unique_ptr<duck::ParsedExpression>>& options) {
  delta::StringMap properties;
  for (const auto& [name, expression] : options) {
    std::string key = name;
    for (const char* known : kProperties) {
      if (EqualsIgnoreCase(known, name)) key = known;
    }
    if (expression->GetExpressionClass() == duck::ExpressionClass::CONSTANT) {
      properties[key] = TextOf(expression->Cast<duck::ConstantExpression>().value);
    } else if (expression->GetExpressionClass() == duck::ExpressionClass::COLUMN_REF) {  // a word without quotes
      properties[key] = expression->Cast<duck::ColumnRefExpression>().GetColumnName();
    } else if (expression->GetExpressionClass() == duck::ExpressionClass::CAST) {
      properties[key] = EqualsIgnoreCase(expression->ToString(), "CAST('t' AS BOOLEAN)") ? "true" : "false";
    } else {
      return Fail(
          Error(ErrorCode::kSqlBind, fmt::format("the value of the table property '{}' is not a constant", key)));
    }
  }
  return properties;
}

// ---- schema

DeltaCatalog& DeltaSchema::delta() const {
  return catalog.Cast<DeltaCatalog>();
}

void DeltaSchema::Refuse(const char* what) {
  Throw(ErrorCode::kSqlBind, fmt::format("a Delta warehouse has no {}", what));
}

duck::optional_ptr<duck::CatalogEntry> DeltaSchema::LookupEntry(duck::CatalogTransaction transaction,
                                                                const duck::EntryLookupInfo& lookup) {
  const auto type = lookup.GetCatalogType();
  if (type != duck::CatalogType::TABLE_ENTRY && type != duck::CatalogType::VIEW_ENTRY) return nullptr;
  auto& tx = DeltaTransaction::Get(transaction.GetContext(), catalog);
  const auto& asked = lookup.GetEntryName();
  const auto at = lookup.GetAtClause();
  auto& session = SessionState::Of(transaction.GetContext());
  if (auto* state = tx.Table(*this, asked)) {
    const std::string folder = state->folder;
    int64_t version = 0;
    if (!at) {
      std::optional<int64_t> pinned;
      {
        std::lock_guard lock(session.mutex);
        if (auto pin = session.pins.find(Lower(name + "." + state->name)); pin != session.pins.end())
          pinned = pin->second;
      }
      if (!pinned) return tx.Entry(*state).get();
      return tx.EntryOf(*this, state->name, OrThrow(tx.storage().LoadVersion(name, folder, *pinned)), false).get();
    }
    const duck::Value& value = at->GetValue();
    if (value.IsNull()) Throw(ErrorCode::kSqlBind, fmt::format("{}.{}: the AT clause is NULL", name, asked));
    if (EqualsIgnoreCase(at->Unit(), "version")) {
      version = value.DefaultCastAs(duck::LogicalType::BIGINT).GetValue<int64_t>();
    } else if (EqualsIgnoreCase(at->Unit(), "timestamp")) {
      const auto moment =
          value.CastAs(transaction.GetContext(), duck::LogicalType::TIMESTAMP_TZ).GetValueUnsafe<duck::timestamp_t>();
      auto found = delta::VersionAt(tx.storage().TableOf(name, folder), FromMicros(moment.value));
      if (!found) engine::ThrowToDuckDb(NameTable(std::move(found).error(), name, folder));
      version = *found;
    } else {
      Throw(ErrorCode::kSqlBind, fmt::format("AT ({} => ...) is not known", at->Unit()), "use VERSION or TIMESTAMP");
    }
    return tx.EntryOf(*this, state->name, OrThrow(tx.storage().LoadVersion(name, folder, version)), false).get();
  }
  if (auto* view = tx.View(*this, asked)) {
    if (at) Throw(ErrorCode::kSqlBind, fmt::format("{}.{} is a view: it has no versions", name, view->name));
    std::lock_guard lock(session.mutex);
    session.reads.views[name + "." + view->name] = view->sql;
    return view->entry.get();
  }
  return nullptr;
}

// From the names alone: no log is read for a misspelt table.
duck::SimilarCatalogEntry DeltaSchema::GetSimilarEntry(duck::CatalogTransaction transaction,
                                                       const duck::EntryLookupInfo& lookup) {
  duck::SimilarCatalogEntry best;
  const auto type = lookup.GetCatalogType();
  if (type != duck::CatalogType::TABLE_ENTRY && type != duck::CatalogType::VIEW_ENTRY) return best;
  for (const auto& candidate : DeltaTransaction::Get(transaction.GetContext(), catalog).Names(*this)) {
    const double score = duck::StringUtil::SimilarityRating(candidate, lookup.GetEntryName());
    if (score > best.score) {
      best.score = score;
      best.name = candidate;
    }
  }
  return best;
}

void DeltaSchema::Scan(duck::ClientContext& context, duck::CatalogType type,
                       const std::function<void(duck::CatalogEntry&)>& callback) {
  if (type != duck::CatalogType::TABLE_ENTRY && type != duck::CatalogType::VIEW_ENTRY) return;
  auto& tx = DeltaTransaction::Get(context, catalog);
  for (const auto& each : tx.Names(*this)) {
    duck::optional_ptr<duck::CatalogEntry> entry;
    try {
      if (auto* table = tx.Table(*this, each)) {
        entry = tx.Entry(*table).get();
      } else if (auto* view = tx.View(*this, each)) {
        entry = view->entry.get();
      }
    } catch (const std::exception&) {
      // A table that cannot be read must not hide the others; using it by name says what is wrong.
      continue;
    }
    if (entry) callback(*entry);
  }
}

void DeltaSchema::Scan(duck::CatalogType, const std::function<void(duck::CatalogEntry&)>&) {}

duck::optional_ptr<duck::CatalogEntry> DeltaSchema::CreateTable(duck::CatalogTransaction transaction,
                                                                duck::BoundCreateTableInfo& bound) {
  auto& info = bound.Base();
  auto& tx = DeltaTransaction::Get(transaction.GetContext(), catalog);
  const std::string full = name + "." + info.table;
  OrThrow(Storage::CheckName(info.table, "table"));
  if (!delta().storage().FindSchema(name)) OrThrow(delta().storage().CreateSchema(name));
  if (tx.View(*this, info.table)) Throw(ErrorCode::kSqlBind, fmt::format("{} is a view", full), "drop the view first");
  auto* existing = tx.Table(*this, info.table);
  if (existing && info.on_conflict == duck::OnCreateConflict::IGNORE_ON_CONFLICT) return nullptr;
  if (existing && info.on_conflict != duck::OnCreateConflict::REPLACE_ON_CONFLICT) {
    throw duck::CatalogException::EntryAlreadyExists(duck::CatalogType::TABLE_ENTRY, info.table);
  }
  auto view = std::make_shared<TableView>()->Derive();
  delta::StructType schema;
  for (const auto& column : info.columns.Logical()) {
    if (column.Generated())
      Throw(ErrorCode::kSqlBind,
            fmt::format("{}: the column {} is generated; a Delta table here has no such columns", full, column.Name()));
    if (column.HasDefaultValue()) {
      Throw(ErrorCode::kSqlBind,
            fmt::format("{}: the column {} has a default; a Delta table here has none", full, column.Name()),
            "write the value in the INSERT");
    }
    for (const auto& other : schema.fields) {
      if (EqualsIgnoreCase(other.name, column.Name())) {
        Throw(ErrorCode::kSqlBind, fmt::format("{}: two columns are called {}", full, column.Name()));
      }
    }
    schema.fields.push_back(OrThrow(FieldOf(column.Name(), Storable(column.Type()), true)));
  }
  for (const auto& constraint : info.constraints) {
    switch (constraint->type) {
      case duck::ConstraintType::NOT_NULL:
        schema.fields.at(constraint->Cast<duck::NotNullConstraint>().index.index).nullable = false;
        break;
      case duck::ConstraintType::CHECK:
        Throw(ErrorCode::kSqlBind, full + ": CHECK constraints are not supported on Delta tables here",
              "test the data instead");
      case duck::ConstraintType::UNIQUE:
        Throw(ErrorCode::kSqlBind, full + ": PRIMARY KEY and UNIQUE are not supported on Delta tables",
              "test the data instead");
      default:
        Throw(ErrorCode::kSqlBind, full + ": FOREIGN KEY is not supported on Delta tables");
    }
  }
  Json partitions = Json::array();
  for (const auto& key : info.partition_keys) {
    if (key->GetExpressionClass() != duck::ExpressionClass::COLUMN_REF) {
      Throw(ErrorCode::kSqlBind, fmt::format("{}: PARTITIONED BY takes columns, not {}", full, key->ToString()));
    }
    const auto* field = schema.Find(key->Cast<duck::ColumnRefExpression>().GetColumnName());
    if (!field)
      Throw(ErrorCode::kSqlBind, fmt::format("{}: there is no column {} to partition by", full, key->ToString()));
    if (field->type.nested())
      Throw(ErrorCode::kSqlBind, fmt::format("{}: {} is nested: it cannot be partitioned by", full, field->name));
    view->metadata.partition_columns.push_back(field->name);
    partitions.push_back(field->name);
  }
  if (!partitions.empty() && partitions.size() == schema.fields.size()) {
    Throw(ErrorCode::kSqlBind, full + ": a table needs a column that is not partitioned by");
  }
  view->metadata.configuration = OrThrow(PropertiesOf(info.options));
  view->metadata.schema_string = delta::PrintSchema(schema);
  view->schema = std::make_shared<const delta::StructType>(std::move(schema));
  view->mapping = OrThrow(delta::ColumnMappingOf(view->metadata));
  (void)OrThrow(delta::ProtocolFor(*view->schema, view->metadata.configuration));  // what cannot be written fails here

  Step step;
  const bool replace = info.on_conflict == duck::OnCreateConflict::REPLACE_ON_CONFLICT;
  step.operation = replace ? "CREATE OR REPLACE TABLE" : "CREATE TABLE";
  step.parameters = {{"partitionBy", partitions.dump()},
                     {"properties", Json(view->metadata.configuration).dump()},
                     {"isManaged", "true"}};
  return tx.Entry(tx.Create(*this, info.table, std::move(view), std::move(step))).get();
}

duck::optional_ptr<duck::CatalogEntry> DeltaSchema::CreateView(duck::CatalogTransaction transaction,
                                                               duck::CreateViewInfo& info) {
  auto& tx = DeltaTransaction::Get(transaction.GetContext(), catalog);
  OrThrow(Storage::CheckName(info.view_name, "view"));
  if (!delta().storage().FindSchema(name)) OrThrow(delta().storage().CreateSchema(name));
  if (tx.Table(*this, info.view_name)) {
    Throw(ErrorCode::kSqlBind, fmt::format("{}.{} is a table", name, info.view_name), "drop the table first");
  }
  if (tx.View(*this, info.view_name)) {
    if (info.on_conflict == duck::OnCreateConflict::IGNORE_ON_CONFLICT) return nullptr;
    if (info.on_conflict != duck::OnCreateConflict::REPLACE_ON_CONFLICT) {
      throw duck::CatalogException::EntryAlreadyExists(duck::CatalogType::VIEW_ENTRY, info.view_name);
    }
  }
  // The file names neither catalog nor schema, so that the warehouse can be moved and attached by another
  // name.
  auto stored = duck::unique_ptr_cast<duck::CreateInfo, duck::CreateViewInfo>(info.Copy());
  stored->catalog.clear();
  stored->schema.clear();
  stored->on_conflict = duck::OnCreateConflict::ERROR_ON_CONFLICT;
  stored->sql.clear();
  tx.SetView(*this, info.view_name, stored->ToString() + "\n");
  return tx.View(*this, info.view_name)->entry.get();
}

void DeltaSchema::DropEntry(duck::ClientContext& context, duck::DropInfo& info) {
  auto& tx = DeltaTransaction::Get(context, catalog);
  if (info.type == duck::CatalogType::TABLE_ENTRY) {
    if (auto* table = tx.Table(*this, info.name)) return tx.DropTable(*table);
    if (tx.View(*this, info.name))
      Throw(ErrorCode::kSqlBind, fmt::format("{}.{} is a view", name, info.name), "use DROP VIEW");
  } else if (info.type == duck::CatalogType::VIEW_ENTRY) {
    if (auto* view = tx.View(*this, info.name)) return tx.DropView(*view);
    if (tx.Table(*this, info.name))
      Throw(ErrorCode::kSqlBind, fmt::format("{}.{} is a table", name, info.name), "use DROP TABLE");
  } else {
    Refuse("entries of this kind");
  }
  if (info.if_not_found == duck::OnEntryNotFound::THROW_EXCEPTION) {
    Throw(ErrorCode::kTableNotFound, fmt::format("{}.{} does not exist", name, info.name));
  }
}

void DeltaSchema::Comment(DeltaTransaction& tx, duck::AlterInfo& info) {
  const bool of_column = info.type == duck::AlterType::SET_COLUMN_COMMENT;
  const duck::Value& value = of_column ? info.Cast<duck::SetColumnCommentInfo>().comment_value
                                       : info.Cast<duck::SetCommentInfo>().comment_value;
  if (auto* view = tx.View(*this, info.name)) {
    if (of_column)
      Throw(ErrorCode::kSqlBind, fmt::format("{}.{} is a view: its columns have no comments", name, info.name));
    std::string sql = view->sql.substr(0, view->sql.rfind("\nCOMMENT ON VIEW "));
    if (!sql.ends_with('\n')) sql += '\n';
    if (!value.IsNull()) {
      sql += fmt::format("COMMENT ON VIEW {} IS {};\n", QuoteIdentifier(view->name), QuoteLiteral(value.ToString()));
    }
    return tx.SetView(*this, view->name, std::move(sql));
  }
  auto* state = tx.Table(*this, info.name);
  if (!state) Throw(ErrorCode::kTableNotFound, fmt::format("{}.{} does not exist", name, info.name));
  Step step;
  step.operation = of_column ? "CHANGE COLUMN" : "SET TBLPROPERTIES";
  step.parameters = {{"comment", value.IsNull() ? "" : value.ToString()}};
  tx.Change(*tx.Entry(*state), std::move(step), true, [&](TableView& view) {
    if (!of_column) {
      view.metadata.description = value.IsNull() ? std::nullopt : std::optional(value.ToString());
      return;
    }
    delta::StructType schema = *view.schema;
    const std::string& column = info.Cast<duck::SetColumnCommentInfo>().column_name;
    for (auto& field : schema.fields) {
      if (!EqualsIgnoreCase(field.name, column)) continue;
      if (value.IsNull()) {
        field.metadata.erase("comment");
      } else {
        field.metadata["comment"] = value.ToString();
      }
      view.metadata.schema_string = delta::PrintSchema(schema);
      view.schema = std::make_shared<const delta::StructType>(std::move(schema));
      return;
    }
    Throw(ErrorCode::kSqlBind, fmt::format("{}.{} has no column {}", name, info.name, column));
  });
}

void DeltaSchema::Alter(duck::CatalogTransaction transaction, duck::AlterInfo& info) {
  auto& tx = DeltaTransaction::Get(transaction.GetContext(), catalog);
  if (info.type == duck::AlterType::SET_COMMENT || info.type == duck::AlterType::SET_COLUMN_COMMENT)
    return Comment(tx, info);
  if (info.type == duck::AlterType::ALTER_VIEW) {
    auto* view = tx.View(*this, info.name);
    if (!view) {
      if (info.if_not_found == duck::OnEntryNotFound::RETURN_NULL) return;
      Throw(ErrorCode::kTableNotFound, fmt::format("{}.{} does not exist", name, info.name));
    }
    const std::string& to = info.Cast<duck::RenameViewInfo>().new_view_name;
    OrThrow(Storage::CheckName(to, "view"));
    if (tx.Table(*this, to) || tx.View(*this, to))
      Throw(ErrorCode::kSqlBind, fmt::format("{}.{} exists already", name, to));
    const std::string sql = view->sql;
    tx.DropView(*view);
    return tx.SetView(*this, to, sql);
  }
  if (info.type != duck::AlterType::ALTER_TABLE) Refuse("ALTER of this kind");
  auto* state = tx.Table(*this, info.name);
  if (!state) {
    if (info.if_not_found == duck::OnEntryNotFound::RETURN_NULL) return;
    Throw(ErrorCode::kTableNotFound, fmt::format("{}.{} does not exist", name, info.name));
  }
  AlterTable(tx, *state, info);
}

void DeltaSchema::AlterTable(DeltaTransaction& tx, DeltaTransaction::TableState& state, duck::AlterInfo& info) {
  const std::string full = name + "." + state.name;
  auto& table = *tx.Entry(state);
  auto set_schema = [](TableView& view, delta::StructType schema) {
    view.metadata.schema_string = delta::PrintSchema(schema);
    view.schema = std::make_shared<const delta::StructType>(std::move(schema));
  };
  auto& alter = info.Cast<duck::AlterTableInfo>();
  Step step;
  switch (alter.alter_table_type) {
    case duck::AlterTableType::ADD_COLUMN: {
      auto& add = alter.Cast<duck::AddColumnInfo>();
      const auto& column = add.new_column;
      if (table.view()->schema->Find(column.Name())) {
        if (add.if_column_not_exists) return;
        Throw(ErrorCode::kSqlBind, fmt::format("{} has a column {} already", full, column.Name()));
      }
      if (column.Generated()) Throw(ErrorCode::kSqlBind, full + ": generated columns are not supported");
      if (column.HasDefaultValue()) {
        Throw(ErrorCode::kSqlBind, fmt::format("{}: a default for {} is not supported", full, column.Name()),
              "add the column without it, then UPDATE");
      }
      if (table.view()->mapping != delta::ColumnMapping::kNone) {
        Throw(ErrorCode::kUnsupportedFeature,
              full + ": adding a column to a table with columnMapping is not supported");
      }
      auto field = OrThrow(FieldOf(column.Name(), Storable(column.Type()), true));
      step.operation = "ADD COLUMNS";
      step.parameters = {
          {"columns",
           Json::array(
               {{{"column", {{"name", field.name}, {"type", delta::DataTypeToJson(field.type)}, {"nullable", true}}}}})
               .dump()}};
      return tx.Change(table, std::move(step), true, [&](TableView& view) {
        delta::StructType schema = *view.schema;
        schema.fields.push_back(field);
        set_schema(view, std::move(schema));
      });
    }
    case duck::AlterTableType::DROP_NOT_NULL: {
      const std::string& column = alter.Cast<duck::DropNotNullInfo>().column_name;
      step.operation = "CHANGE COLUMN";
      step.parameters = {{"column", column}, {"nullable", "true"}};
      return tx.Change(table, std::move(step), true, [&](TableView& view) {
        delta::StructType schema = *view.schema;
        for (auto& field : schema.fields) {
          if (EqualsIgnoreCase(field.name, column)) field.nullable = true;
        }
        set_schema(view, std::move(schema));
      });
    }
    case duck::AlterTableType::RENAME_TABLE: {
      const std::string& to = alter.Cast<duck::RenameTableInfo>().new_table_name;
      OrThrow(Storage::CheckName(to, "table"));
      if (EqualsIgnoreCase(to, state.name) || tx.Table(*this, to) || tx.View(*this, to)) {
        Throw(ErrorCode::kSqlBind, fmt::format("{}.{} exists already", name, to));
      }
      return tx.Rename(state, to);
    }
    case duck::AlterTableType::SET_TABLE_OPTIONS: {
      const auto properties = OrThrow(PropertiesOf(alter.Cast<duck::SetTableOptionsInfo>().table_options));
      step.operation = "SET TBLPROPERTIES";
      step.parameters = {{"properties", Json(properties).dump()}};
      return tx.Change(table, std::move(step), true, [&](TableView& view) {
        for (const auto& [key, value] : properties) {
          if (key == "delta.columnMapping.mode")
            Throw(ErrorCode::kUnsupportedFeature, full + ": changing columnMapping is not supported");
          view.metadata.configuration[key] = value;
        }
      });
    }
    case duck::AlterTableType::RESET_TABLE_OPTIONS: {
      step.operation = "UNSET TBLPROPERTIES";
      return tx.Change(table, std::move(step), true, [&](TableView& view) {
        for (const auto& option : alter.Cast<duck::ResetTableOptionsInfo>().table_options) {
          std::erase_if(view.metadata.configuration,
                        [&](const auto& entry) { return EqualsIgnoreCase(entry.first, option); });
        }
      });
    }
    case duck::AlterTableType::SET_NOT_NULL:
      Throw(ErrorCode::kSqlBind, full + ": SET NOT NULL is not supported",
            "CREATE OR REPLACE TABLE with the column NOT NULL");
    case duck::AlterTableType::RENAME_COLUMN:
    case duck::AlterTableType::REMOVE_COLUMN:
      Throw(ErrorCode::kUnsupportedFeature,
            full + ": renaming and dropping columns needs the feature columnMapping, which is not written",
            "CREATE OR REPLACE TABLE ... AS SELECT with other columns keeps the history");
    case duck::AlterTableType::ALTER_COLUMN_TYPE:
      Throw(ErrorCode::kUnsupportedFeature,
            full + ": changing a column's type needs the feature typeWidening, which is not written",
            "CREATE OR REPLACE TABLE ... AS SELECT with a cast keeps the history");
    default:
      Throw(ErrorCode::kSqlBind, full + ": this ALTER TABLE is not supported on Delta tables");
  }
}

// ---- catalog

DeltaSchema* DeltaCatalog::Schema(const std::string& asked) {
  auto found = storage_->FindSchema(asked);
  if (!found) {
    if (!EqualsIgnoreCase(asked, GetDefaultSchema())) return nullptr;
    found = GetDefaultSchema();
  }
  std::lock_guard lock(mutex_);
  auto it = schemas_.find(*found);
  if (it == schemas_.end()) {
    duck::CreateSchemaInfo info;
    info.catalog = GetName();
    info.schema = *found;
    it = schemas_.emplace(*found, duck::make_uniq<DeltaSchema>(*this, info)).first;
  }
  return it->second.get();
}

duck::optional_ptr<duck::SchemaCatalogEntry> DeltaCatalog::LookupSchema(duck::CatalogTransaction transaction,
                                                                        const duck::EntryLookupInfo& lookup,
                                                                        duck::OnEntryNotFound if_not_found) {
  if (auto* schema = Schema(lookup.GetEntryName())) {
    if (!transaction.HasContext() || schema->name == GetDefaultSchema() ||
        !DeltaTransaction::Get(transaction.GetContext(), *this).SchemaDropped(schema->name)) {
      return schema;
    }
  }
  if (if_not_found == duck::OnEntryNotFound::THROW_EXCEPTION) {
    throw duck::CatalogException(lookup.GetErrorContext(), "Schema with name %s does not exist!",
                                 lookup.GetEntryName());
  }
  return nullptr;
}

void DeltaCatalog::ScanSchemas(duck::ClientContext&, std::function<void(duck::SchemaCatalogEntry&)> callback) {
  callback(*Schema(GetDefaultSchema()));
  for (const auto& name : storage_->Schemas()) {
    if (auto* schema = Schema(name); schema && !EqualsIgnoreCase(name, GetDefaultSchema())) callback(*schema);
  }
}

// A folder, at once: making one that is there is no error, and ROLLBACK leaves it.
duck::optional_ptr<duck::CatalogEntry> DeltaCatalog::CreateSchema(duck::CatalogTransaction transaction,
                                                                  duck::CreateSchemaInfo& info) {
  if (auto* schema = Schema(info.schema)) {
    auto& tx = DeltaTransaction::Get(transaction.GetContext(), *this);
    if (tx.SchemaDropped(schema->name)) {
      tx.KeepSchema(schema->name);
      return schema;
    }
    if (info.on_conflict == duck::OnCreateConflict::ERROR_ON_CONFLICT) {
      throw duck::CatalogException::EntryAlreadyExists(duck::CatalogType::SCHEMA_ENTRY, info.schema);
    }
    return nullptr;
  }
  OrThrow(storage_->CreateSchema(info.schema));
  return Schema(info.schema);
}

void DeltaCatalog::DropSchema(duck::ClientContext& context, duck::DropInfo& info) {
  auto* schema = Schema(info.name);
  if (!schema) {
    if (info.if_not_found == duck::OnEntryNotFound::THROW_EXCEPTION) {
      Throw(ErrorCode::kSqlBind, fmt::format("schema {} does not exist", info.name));
    }
    return;
  }
  auto& tx = DeltaTransaction::Get(context, *this);
  if (!info.cascade && !tx.Names(*schema).empty()) {
    Throw(ErrorCode::kSqlBind, fmt::format("schema {} is not empty", schema->name),
          "use CASCADE to drop its tables and views too");
  }
  tx.DropSchema(*schema);
}

duck::DatabaseSize DeltaCatalog::GetDatabaseSize(duck::ClientContext&) {
  return {};
}

duck::ErrorData DeltaCatalog::SupportsCreateTable(duck::BoundCreateTableInfo& info) {
  if (!info.Base().sort_keys.empty()) {
    return duck::ErrorData(duck::ExceptionType::BINDER, "SORTED BY is not supported: write the rows with ORDER BY");
  }
  return duck::ErrorData();
}

namespace {

struct CatalogExtensionInfo : duck::StorageExtensionInfo {
  explicit CatalogExtensionInfo(std::shared_ptr<Storage> s) : storage(std::move(s)) {}
  std::shared_ptr<Storage> storage;
};

class CatalogExtension : public duck::StorageExtension {
 public:
  explicit CatalogExtension(std::shared_ptr<Storage> storage) {
    storage_info = duck::make_shared_ptr<CatalogExtensionInfo>(std::move(storage));
    attach = [](duck::optional_ptr<duck::StorageExtensionInfo> info, duck::ClientContext&, duck::AttachedDatabase& db,
                const std::string&, duck::AttachInfo& attached,
                duck::AttachOptions& options) -> duck::unique_ptr<duck::Catalog> {
      for (const auto& [name, value] : options.options) {
        if (!EqualsIgnoreCase(name, "type"))
          Throw(ErrorCode::kSqlBind, fmt::format("ATTACH ... (TYPE quern) has no option '{}'", name));
      }
      auto& known = dynamic_cast<CatalogExtensionInfo&>(*info).storage;
      std::error_code error;
      if (std::filesystem::weakly_canonical(attached.path, error) ==
          std::filesystem::weakly_canonical(known->root(), error)) {
        return duck::make_uniq<DeltaCatalog>(db, known);
      }
      if (!std::filesystem::is_directory(attached.path, error)) {
        Throw(ErrorCode::kNotFound, fmt::format("{} is not a folder", attached.path));
      }
      return duck::make_uniq<DeltaCatalog>(db, known->ForRoot(attached.path));
    };
    create_transaction_manager = [](duck::optional_ptr<duck::StorageExtensionInfo>, duck::AttachedDatabase& db,
                                    duck::Catalog& catalog) -> duck::unique_ptr<duck::TransactionManager> {
      return duck::make_uniq<DeltaTransactionManager>(db, catalog.Cast<DeltaCatalog>());
    };
  }
};

}  // namespace

void RegisterCatalog(duck::DatabaseInstance& db, std::shared_ptr<Storage> storage) {
  duck::StorageExtension::Register(duck::DBConfig::GetConfig(db), "quern",
                                   duck::make_shared_ptr<CatalogExtension>(std::move(storage)));
}

}  // namespace quern::warehouse
