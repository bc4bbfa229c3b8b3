#include "warehouse/written_files.h"

#include "base/ids.h"
#include "base/text.h"
#include "delta/path_encoding.h"
#include "delta/stats.h"

namespace quern::warehouse {

namespace {

// The Parquet writer's name of a leaf column: "a"."b".
std::string LeafName(const delta::ColumnPath& path) {
  std::string name;
  for (const auto& part : path) {
    if (!name.empty()) name += '.';
    name += QuoteIdentifier(part);
  }
  return name;
}

}  // namespace

Result<delta::Add> AddOf(const TableView& view, const duck::vector<duck::Value>& row, int64_t now_ms) {
  delta::Add add;
  const std::string path = row[0].ToString();
  const std::string folder = view.table.Location();
  if (!path.starts_with(folder + "/"))
    return Fail(ErrorCode::kInternal, fmt::format("{} was written outside of {}", path, folder));
  add.path = delta::EncodePath(path.substr(folder.size() + 1));
  add.size = row[2].GetValue<int64_t>();
  add.modification_time = now_ms;

  std::map<std::string, std::optional<std::string>> keys;
  if (!row[5].IsNull()) {
    for (const auto& entry : duck::MapValue::GetChildren(row[5])) {
      const auto& pair = duck::StructValue::GetChildren(entry);
      keys[pair[0].ToString()] = pair[1].IsNull() ? std::nullopt : std::optional(pair[1].ToString());
    }
  }
  for (const auto& column : view.metadata.partition_columns) {
    const auto* field = view.schema->Find(column);
    auto key = keys.find(column);
    if (!field || key == keys.end())
      return Fail(ErrorCode::kInternal, fmt::format("{} was written without its partition {}", path, column));
    std::optional<delta::Literal> value = delta::Literal();
    if (key->second) value = LiteralFromText(*key->second, field->type);
    if (!value) {
      return Fail(
          ErrorCode::kSqlExecution,
          fmt::format("the value '{}' of the partition column {} cannot be kept in a log", *key->second, column));
    }
    add.partition_values.Set(field->physical_name(), delta::FormatPartitionValue(field->type, *value));
  }

  std::map<std::string, const duck::Value*> columns;
  for (const auto& entry : duck::MapValue::GetChildren(row[4])) {
    const auto& pair = duck::StructValue::GetChildren(entry);
    columns[pair[0].ToString()] = &pair[1];
  }
  delta::StatsBuilder stats;
  stats.SetNumRecords(row[1].GetValue<int64_t>());
  for (const auto& column : delta::StatsColumns(*view.schema, view.metadata)) {
    auto found = columns.find(LeafName(column.physical));
    if (found == columns.end()) continue;
    std::optional<std::string> min, max;
    bool has_nan = false;
    for (const auto& entry : duck::MapValue::GetChildren(*found->second)) {
      const auto& pair = duck::StructValue::GetChildren(entry);
      const std::string key = pair[0].ToString();
      if (key == "min") min = pair[1].ToString();
      if (key == "max") max = pair[1].ToString();
      if (key == "has_nan") has_nan = pair[1].ToString() == "true";
      if (key == "null_count")
        stats.SetNullCount(column.physical, std::strtoll(pair[1].ToString().c_str(), nullptr, 10));
    }
    // Binary comes as hexadecimal and has no statistics in a log; NaN is left out of the writer's bounds.
    if (has_nan || column.type.id == delta::TypeId::kBinary || column.type.id == delta::TypeId::kBoolean) continue;
    if (min) {
      if (auto value = LiteralFromText(*min, column.type)) stats.SetMin(column.physical, column.type, *value);
    }
    if (max) {
      if (auto value = LiteralFromText(*max, column.type)) stats.SetMax(column.physical, column.type, *value);
    }
  }
  add.stats = stats.ToJson();
  return add;
}

Result<std::vector<delta::Add>> RewriteFiles(duck::ClientContext& outer, Storage& storage, const TableView& view,
                                             std::vector<TableView::File> files, const std::string& prefix) {
  int64_t bytes = 0;
  for (const auto& file : files) bytes += file.data->add().size;
  auto kept = view.Derive();
  kept->files = std::move(files);
  const ScannableState state(kept, storage.deletion_vectors());

  const std::string folder = view.table.Location();
  std::string target = folder;
  std::string options = "FORMAT parquet, RETURN_STATS true, PRESERVE_ORDER false";
  if (!view.metadata.partition_columns.empty()) {
    std::vector<std::string> columns;
    for (const auto& column : view.metadata.partition_columns) columns.push_back(QuoteIdentifier(column));
    options += fmt::format(", PARTITION_BY ({}), OVERWRITE_OR_IGNORE true, FILENAME_PATTERN {}", Join(columns, ", "),
                           QuoteLiteral(prefix + "{uuidv7}"));
  } else if (bytes > 2 * kTargetFileBytes) {
    options = fmt::format(
        "FORMAT parquet, RETURN_STATS true, OVERWRITE_OR_IGNORE true, FILE_SIZE_BYTES {}, FILENAME_PATTERN "
        "{}",
        kTargetFileBytes, QuoteLiteral(prefix + "{uuidv7}"));
  } else {
    target = folder + "/" + prefix + TimeUuid() + ".parquet";
    options += ", USE_TMP_FILE false";
  }

  std::vector<delta::Add> adds;
  try {
    duck::Connection connection(*outer.db);
    auto pending =
        connection.PendingQuery(fmt::format("COPY (FROM {}) TO {} ({})", state.Sql(), QuoteLiteral(target), options));
    if (pending->HasError()) return Fail(engine::FromDuckDb(pending->GetErrorObject(), ""));
    for (auto step = duck::PendingExecutionResult::RESULT_NOT_READY; !duck::PendingQueryResult::IsResultReady(step);) {
      if (outer.IsInterrupted()) return Fail(ErrorCode::kCancelled, "interrupted");
      step = pending->ExecuteTask();
      if (step == duck::PendingExecutionResult::BLOCKED || step == duck::PendingExecutionResult::NO_TASKS_AVAILABLE) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    }
    auto result = pending->Execute();
    if (result->HasError()) return Fail(engine::FromDuckDb(result->GetErrorObject(), ""));
    while (auto chunk = result->Fetch()) {
      if (chunk->size() == 0) break;
      for (duck::idx_t i = 0; i < chunk->size(); i++) {
        duck::vector<duck::Value> row;
        for (duck::idx_t column = 0; column < chunk->ColumnCount(); column++) row.push_back(chunk->GetValue(column, i));
        if (row[1].GetValue<int64_t>() == 0) continue;
        adds.push_back(QUERN_TRY(AddOf(view, row, MillisSinceEpoch(storage.clock().Now()))));
      }
    }
  } catch (const std::exception& e) {
    return Fail(engine::FromDuckDb(duck::ErrorData(e), ""));
  }
  return adds;
}

}  // namespace quern::warehouse
