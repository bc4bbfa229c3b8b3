#include "delta/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "base/json.h"
#include "base/text.h"
#include "delta/log_segment.h"
#include "delta/path_encoding.h"
#include "delta/replay.h"

namespace quern::delta {

namespace {

constexpr size_t kBatchRows = 8192;

using T = ColumnType;

std::vector<ColumnSpec> VectorColumns(const std::string& action) {
  const std::string base = action + ".deletionVector";
  return {{base, T::kStruct},
          {base + ".storageType", T::kString},
          {base + ".pathOrInlineDv", T::kString},
          {base + ".offset", T::kInteger},
          {base + ".sizeInBytes", T::kInteger},
          {base + ".cardinality", T::kLong}};
}

std::vector<ColumnSpec> FileColumns() {
  std::vector<ColumnSpec> columns = {
      {"add", T::kStruct},         {"add.path", T::kString},           {"add.partitionValues", T::kStringMap},
      {"add.size", T::kLong},      {"add.modificationTime", T::kLong}, {"add.dataChange", T::kBoolean},
      {"add.tags", T::kStringMap}, {"add.stats", T::kString}};
  const auto append = [&](std::vector<ColumnSpec> more) { columns.insert(columns.end(), more.begin(), more.end()); };
  append(VectorColumns("add"));
  append({{"add.baseRowId", T::kLong},
          {"add.defaultRowCommitVersion", T::kLong},
          {"add.clusteringProvider", T::kString},
          {"remove", T::kStruct},
          {"remove.path", T::kString},
          {"remove.deletionTimestamp", T::kLong},
          {"remove.dataChange", T::kBoolean},
          {"remove.extendedFileMetadata", T::kBoolean},
          {"remove.partitionValues", T::kStringMap},
          {"remove.size", T::kLong},
          {"remove.tags", T::kStringMap}});
  append(VectorColumns("remove"));
  append({{"remove.baseRowId", T::kLong}, {"remove.defaultRowCommitVersion", T::kLong}});
  return columns;
}

std::vector<ColumnSpec> StateColumns() {
  return {{"metaData", T::kStruct},
          {"metaData.id", T::kString},
          {"metaData.name", T::kString},
          {"metaData.description", T::kString},
          {"metaData.format", T::kStruct},
          {"metaData.format.provider", T::kString},
          {"metaData.format.options", T::kStringMap},
          {"metaData.schemaString", T::kString},
          {"metaData.partitionColumns", T::kStringList},
          {"metaData.configuration", T::kStringMap},
          {"metaData.createdTime", T::kLong},
          {"protocol", T::kStruct},
          {"protocol.minReaderVersion", T::kInteger},
          {"protocol.minWriterVersion", T::kInteger},
          {"protocol.readerFeatures", T::kStringList},
          {"protocol.writerFeatures", T::kStringList},
          {"txn", T::kStruct},
          {"txn.appId", T::kString},
          {"txn.version", T::kLong},
          {"txn.lastUpdated", T::kLong},
          {"domainMetadata", T::kStruct},
          {"domainMetadata.domain", T::kString},
          {"domainMetadata.configuration", T::kString},
          {"domainMetadata.removed", T::kBoolean}};
}

// ---- reading

/// The columns of a batch by path.
class Columns {
 public:
  Columns(const std::vector<ColumnSpec>& specs) {
    for (size_t i = 0; i < specs.size(); ++i) index_[specs[i].path] = i;
  }
  void Bind(const Batch& batch) { batch_ = &batch; }

  const ColumnData* Valid(std::string_view path, size_t row) const {
    const auto it = index_.find(path);
    if (it == index_.end()) return nullptr;
    const ColumnData& column = batch_->columns[it->second];
    return row < column.valid.size() && column.valid[row] ? &column : nullptr;
  }
  std::string String(std::string_view path, size_t row) const {
    const ColumnData* column = Valid(path, row);
    return column ? column->strings[row] : std::string();
  }
  std::optional<std::string> OptionalString(std::string_view path, size_t row) const {
    const ColumnData* column = Valid(path, row);
    return column ? std::optional(column->strings[row]) : std::nullopt;
  }
  std::optional<int64_t> Int(std::string_view path, size_t row) const {
    const ColumnData* column = Valid(path, row);
    return column ? std::optional(column->longs[row]) : std::nullopt;
  }
  bool Bool(std::string_view path, size_t row, bool otherwise) const {
    return Int(path, row).value_or(otherwise ? 1 : 0) != 0;
  }
  StringMap Map(std::string_view path, size_t row) const {
    StringMap map;
    if (const ColumnData* column = Valid(path, row)) {
      for (const auto& [key, value] : column->maps[row]) {
        if (value) map[key] = *value;
      }
    }
    return map;
  }
  PartitionValues Partitions(std::string_view path, size_t row) const {
    PartitionValues values;
    if (const ColumnData* column = Valid(path, row)) {
      for (const auto& [key, value] : column->maps[row]) values.Set(key, value);
    }
    return values;
  }
  std::optional<std::vector<std::string>> List(std::string_view path, size_t row) const {
    const ColumnData* column = Valid(path, row);
    return column ? std::optional(column->lists[row]) : std::nullopt;
  }
  std::optional<DeletionVectorDescriptor> Vector(const std::string& base, size_t row) const {
    const ColumnData* storage = Valid(base + ".storageType", row);
    if (!storage || storage->strings[row].empty()) return std::nullopt;
    DeletionVectorDescriptor vector;
    vector.storage = static_cast<DeletionVectorDescriptor::Storage>(storage->strings[row][0]);
    vector.path_or_inline = String(base + ".pathOrInlineDv", row);
    if (const auto offset = Int(base + ".offset", row)) vector.offset = static_cast<int32_t>(*offset);
    vector.size_in_bytes = static_cast<int32_t>(Int(base + ".sizeInBytes", row).value_or(0));
    vector.cardinality = Int(base + ".cardinality", row).value_or(0);
    return vector;
  }

 private:
  std::map<std::string, size_t, std::less<>> index_;
  const Batch* batch_ = nullptr;
};

std::optional<Action> ActionAt(const Columns& c, size_t row) {
  if (c.Valid("add.path", row)) {
    Add add;
    add.path = c.String("add.path", row);
    add.partition_values = c.Partitions("add.partitionValues", row);
    add.size = c.Int("add.size", row).value_or(0);
    add.modification_time = c.Int("add.modificationTime", row).value_or(0);
    add.data_change = c.Bool("add.dataChange", row, false);
    add.stats = c.String("add.stats", row);
    add.tags = c.Map("add.tags", row);
    add.deletion_vector = c.Vector("add.deletionVector", row);
    add.base_row_id = c.Int("add.baseRowId", row);
    add.default_row_commit_version = c.Int("add.defaultRowCommitVersion", row);
    add.clustering_provider = c.OptionalString("add.clusteringProvider", row);
    return add;
  }
  if (c.Valid("remove.path", row)) {
    Remove remove;
    remove.path = c.String("remove.path", row);
    remove.deletion_timestamp = c.Int("remove.deletionTimestamp", row);
    remove.data_change = c.Bool("remove.dataChange", row, false);
    remove.extended_file_metadata = c.Bool("remove.extendedFileMetadata", row, false);
    remove.partition_values = c.Partitions("remove.partitionValues", row);
    remove.size = c.Int("remove.size", row);
    remove.tags = c.Map("remove.tags", row);
    remove.deletion_vector = c.Vector("remove.deletionVector", row);
    remove.base_row_id = c.Int("remove.baseRowId", row);
    remove.default_row_commit_version = c.Int("remove.defaultRowCommitVersion", row);
    return remove;
  }
  if (c.Valid("metaData.id", row) || c.Valid("metaData.schemaString", row)) {
    Metadata metadata;
    metadata.id = c.String("metaData.id", row);
    metadata.name = c.OptionalString("metaData.name", row);
    metadata.description = c.OptionalString("metaData.description", row);
    metadata.format_provider = c.OptionalString("metaData.format.provider", row).value_or("parquet");
    metadata.format_options = c.Map("metaData.format.options", row);
    metadata.schema_string = c.String("metaData.schemaString", row);
    metadata.partition_columns = c.List("metaData.partitionColumns", row).value_or(std::vector<std::string>());
    metadata.configuration = c.Map("metaData.configuration", row);
    metadata.created_time = c.Int("metaData.createdTime", row);
    return metadata;
  }
  if (c.Valid("protocol.minReaderVersion", row)) {
    Protocol protocol;
    protocol.min_reader_version = static_cast<int>(c.Int("protocol.minReaderVersion", row).value_or(1));
    protocol.min_writer_version = static_cast<int>(c.Int("protocol.minWriterVersion", row).value_or(1));
    protocol.reader_features = c.List("protocol.readerFeatures", row);
    protocol.writer_features = c.List("protocol.writerFeatures", row);
    for (auto* list : {&protocol.reader_features, &protocol.writer_features}) {
      if (*list) std::sort((*list)->begin(), (*list)->end());
    }
    // Parquet writers leave an empty list where the versions have none.
    if (protocol.min_reader_version < 3) protocol.reader_features.reset();
    if (protocol.min_writer_version < 7) protocol.writer_features.reset();
    return protocol;
  }
  if (c.Valid("txn.appId", row)) {
    return SetTransaction{c.String("txn.appId", row), c.Int("txn.version", row).value_or(0),
                          c.Int("txn.lastUpdated", row)};
  }
  if (c.Valid("domainMetadata.domain", row)) {
    return DomainMetadata{c.String("domainMetadata.domain", row), c.String("domainMetadata.configuration", row),
                          c.Bool("domainMetadata.removed", row, false)};
  }
  if (c.Valid("sidecar.path", row)) {
    return Sidecar{c.String("sidecar.path", row),
                   c.Int("sidecar.sizeInBytes", row).value_or(0),
                   c.Int("sidecar.modificationTime", row).value_or(0),
                   {}};
  }
  return std::nullopt;
}

class CheckpointReader {
 public:
  CheckpointReader(const Table& table, const std::function<void(Action&&)>& sink) : table_(table), sink_(sink) {}

  Result<void> Read(const LogSegment::Checkpoint& checkpoint) {
    std::vector<ColumnSpec> columns = FileColumns();
    const std::vector<ColumnSpec> state = StateColumns();
    columns.insert(columns.end(), state.begin(), state.end());
    columns.insert(
        columns.end(),
        {{"sidecar.path", T::kString}, {"sidecar.sizeInBytes", T::kLong}, {"sidecar.modificationTime", T::kLong}});
    for (const std::string& key : checkpoint.keys) {
      if (checkpoint.json) {
        QUERN_TRY(ReadJson(key));
      } else {
        QUERN_TRY(ReadParquet(key, columns));
      }
    }
    const std::vector<ColumnSpec> files = FileColumns();
    for (const Sidecar& sidecar : sidecars_) {
      const std::string key = IsAbsolute(sidecar.path)
                                  ? QUERN_TRY(ObjectKey(table_.root, sidecar.path))
                                  : io::JoinKey(LogFolder(table_) + "_sidecars", DecodePath(sidecar.path));
      QUERN_TRY(ReadParquet(key, files));
    }
    if (!adds_.empty()) QUERN_TRY(FillStatistics());
    for (Add& add : adds_) sink_(Action(std::move(add)));
    return {};
  }

 private:
  void Take(Action&& action) {
    if (Sidecar* sidecar = std::get_if<Sidecar>(&action)) {
      sidecars_.push_back(std::move(*sidecar));
      return;
    }
    if (const Metadata* metadata = std::get_if<Metadata>(&action)) {
      const auto it = metadata->configuration.find("delta.checkpoint.writeStatsAsJson");
      struct_stats_ = it != metadata->configuration.end() && EqualsIgnoreCase(it->second, "false");
    }
    // Held back, in case their statistics are elsewhere.
    if (Add* add = std::get_if<Add>(&action)) {
      adds_.push_back(std::move(*add));
      return;
    }
    sink_(std::move(action));
  }

  Result<void> ReadJson(const std::string& key) {
    const auto text = QUERN_TRY(table_.store->Get(key));
    if (!text)
      return Fail(ErrorCode::kCorruptLog, fmt::format("the checkpoint {} is missing", table_.store->Location(key)));
    ActionReader reader;
    return reader.Read(*text, table_.store->Location(key), kAllActions,
                       [&](Action&& action) { Take(std::move(action)); });
  }

  Result<void> ReadParquet(const std::string& key, const std::vector<ColumnSpec>& columns) {
    const std::string location = table_.store->Location(key);
    if (!table_.parquet) {
      return Fail(ErrorCode::kUnsupportedFeature,
                  fmt::format("the checkpoint {} is in Parquet, and no Parquet reader is given", location));
    }
    parquet_.push_back(location);
    Columns view(columns);
    Result<void> read = table_.parquet->Read(location, columns, [&](Batch&& batch) -> Result<void> {
      view.Bind(batch);
      for (size_t row = 0; row < batch.rows; ++row) {
        if (auto action = ActionAt(view, row)) Take(*std::move(action));
      }
      return {};
    });
    if (read) return read;
    const ErrorCode code = read.error().code();
    if (code == ErrorCode::kNotFound || code == ErrorCode::kCorrupt) {
      return Fail(Error(ErrorCode::kCorruptLog, fmt::format("cannot read the checkpoint {}", location))
                      .At({location, 0, 0})
                      .Because(std::move(read).error()));
    }
    return read;
  }

  /// Tables may keep statistics in checkpoints as a struct only (delta.checkpoint.writeStatsAsJson = false).
  Result<void> FillStatistics() {
    if (!struct_stats_) return {};
    std::unordered_map<std::string, Add*> missing;
    for (Add& add : adds_) {
      if (add.stats.empty()) missing[add.path] = &add;
    }
    if (missing.empty()) return {};
    const std::vector<ColumnSpec> columns = {{"add.path", T::kString}, {"add.stats_parsed", T::kJson}};
    for (const std::string& location : parquet_) {
      QUERN_TRY(table_.parquet->Read(location, columns, [&](Batch&& batch) -> Result<void> {
        for (size_t row = 0; row < batch.rows; ++row) {
          if (!batch.columns[0].valid[row] || !batch.columns[1].valid[row]) continue;
          const auto it = missing.find(batch.columns[0].strings[row]);
          if (it != missing.end()) it->second->stats = std::move(batch.columns[1].strings[row]);
        }
        return {};
      }));
    }
    return {};
  }

  const Table& table_;
  const std::function<void(Action&&)>& sink_;
  std::vector<Sidecar> sidecars_;
  std::vector<Add> adds_;
  std::vector<std::string> parquet_;
  bool struct_stats_ = false;
};

// ---- writing

/// Fills batches column by column out of actions.
class BatchBuilder {
 public:
  explicit BatchBuilder(const std::vector<ColumnSpec>& specs) : specs_(specs) {
    for (size_t i = 0; i < specs.size(); ++i) index_[specs[i].path] = i;
    Clear();
  }
  size_t rows() const { return batch_.rows; }
  Batch Take() {
    Batch full = std::move(batch_);
    Clear();
    return full;
  }

  void Append(const Action& action) {
    ++batch_.rows;
    for (size_t i = 0; i < specs_.size(); ++i) {
      ColumnData& column = batch_.columns[i];
      column.valid.push_back(0);
      switch (specs_[i].type) {
        case T::kStruct:
          break;
        case T::kBoolean:
        case T::kInteger:
        case T::kLong:
          column.longs.push_back(0);
          break;
        case T::kString:
        case T::kJson:
          column.strings.emplace_back();
          break;
        case T::kStringMap:
          column.maps.emplace_back();
          break;
        case T::kStringList:
          column.lists.emplace_back();
          break;
      }
    }
    std::visit([this](const auto& a) { Fill(a); }, action);
  }

 private:
  void Clear() {
    batch_ = Batch();
    batch_.columns.resize(specs_.size());
  }
  ColumnData* Valid(std::string_view path) {
    const auto it = index_.find(path);
    if (it == index_.end()) return nullptr;
    ColumnData& column = batch_.columns[it->second];
    column.valid.back() = 1;
    return &column;
  }
  void Struct(std::string_view path) { Valid(path); }
  void Set(std::string_view path, std::string text) {
    if (ColumnData* column = Valid(path)) column->strings.back() = std::move(text);
  }
  void Set(std::string_view path, int64_t n) {
    if (ColumnData* column = Valid(path)) column->longs.back() = n;
  }
  template <class V>
  void Set(std::string_view path, const std::optional<V>& value) {
    if (value) Set(path, *value);
  }
  void Set(std::string_view path, const StringMap& map) {
    if (ColumnData* column = Valid(path)) {
      for (const auto& [key, value] : map) column->maps.back().emplace_back(key, value);
    }
  }
  void Set(std::string_view path, const PartitionValues& values) {
    if (ColumnData* column = Valid(path)) {
      for (const auto& [key, value] : values.entries()) column->maps.back().emplace_back(key, value);
    }
  }
  void Set(std::string_view path, const std::vector<std::string>& list) {
    if (ColumnData* column = Valid(path)) column->lists.back() = list;
  }
  void Vector(const std::string& base, const std::optional<DeletionVectorDescriptor>& vector) {
    if (!vector) return;
    Struct(base);
    Set(base + ".storageType", std::string(1, static_cast<char>(vector->storage)));
    Set(base + ".pathOrInlineDv", vector->path_or_inline);
    if (vector->offset) Set(base + ".offset", static_cast<int64_t>(*vector->offset));
    Set(base + ".sizeInBytes", static_cast<int64_t>(vector->size_in_bytes));
    Set(base + ".cardinality", vector->cardinality);
  }

  void Fill(const Add& add) {
    Struct("add");
    Set("add.path", add.path);
    Set("add.partitionValues", add.partition_values);
    Set("add.size", add.size);
    Set("add.modificationTime", add.modification_time);
    Set("add.dataChange", int64_t{0});
    if (!add.stats.empty()) Set("add.stats", add.stats);
    if (!add.tags.empty()) Set("add.tags", add.tags);
    Vector("add.deletionVector", add.deletion_vector);
    Set("add.baseRowId", add.base_row_id);
    Set("add.defaultRowCommitVersion", add.default_row_commit_version);
    Set("add.clusteringProvider", add.clustering_provider);
  }
  void Fill(const Remove& remove) {
    Struct("remove");
    Set("remove.path", remove.path);
    Set("remove.deletionTimestamp", remove.deletion_timestamp);
    Set("remove.dataChange", int64_t{0});
    Set("remove.extendedFileMetadata", int64_t{remove.extended_file_metadata});
    if (remove.extended_file_metadata) Set("remove.partitionValues", remove.partition_values);
    Set("remove.size", remove.size);
    if (!remove.tags.empty()) Set("remove.tags", remove.tags);
    Vector("remove.deletionVector", remove.deletion_vector);
    Set("remove.baseRowId", remove.base_row_id);
    Set("remove.defaultRowCommitVersion", remove.default_row_commit_version);
  }
  void Fill(const Metadata& metadata) {
    Struct("metaData");
    Set("metaData.id", metadata.id);
    Set("metaData.name", metadata.name);
    Set("metaData.description", metadata.description);
    Struct("metaData.format");
    Set("metaData.format.provider", metadata.format_provider);
    Set("metaData.format.options", metadata.format_options);
    Set("metaData.schemaString", metadata.schema_string);
    Set("metaData.partitionColumns", metadata.partition_columns);
    Set("metaData.configuration", metadata.configuration);
    Set("metaData.createdTime", metadata.created_time);
  }
  void Fill(const Protocol& protocol) {
    Struct("protocol");
    Set("protocol.minReaderVersion", int64_t{protocol.min_reader_version});
    Set("protocol.minWriterVersion", int64_t{protocol.min_writer_version});
    Set("protocol.readerFeatures", protocol.reader_features);
    Set("protocol.writerFeatures", protocol.writer_features);
  }
  void Fill(const SetTransaction& txn) {
    Struct("txn");
    Set("txn.appId", txn.app_id);
    Set("txn.version", txn.version);
    Set("txn.lastUpdated", txn.last_updated);
  }
  void Fill(const DomainMetadata& domain) {
    Struct("domainMetadata");
    Set("domainMetadata.domain", domain.domain);
    Set("domainMetadata.configuration", domain.configuration);
    Set("domainMetadata.removed", int64_t{domain.removed});
  }
  void Fill(const CommitInfo&) {}
  void Fill(const Cdc&) {}
  void Fill(const CheckpointMetadata&) {}
  void Fill(const Sidecar&) {}

  const std::vector<ColumnSpec>& specs_;
  std::map<std::string, size_t, std::less<>> index_;
  Batch batch_;
};

Result<std::optional<std::chrono::milliseconds>> Retention(const Snapshot& snapshot, std::string_view property) {
  const std::string text = snapshot.Property(property);
  if (text.empty()) return std::nullopt;
  return QUERN_TRY_CONTEXT(ParseInterval(text), property);
}

}  // namespace

Result<void> ReadCheckpoint(const Table& table, const LogSegment::Checkpoint& checkpoint,
                            const std::function<void(Action&&)>& sink) {
  return CheckpointReader(table, sink).Read(checkpoint);
}

Result<std::chrono::milliseconds> ParseInterval(std::string_view text) {
  std::vector<std::string> words = SplitWords(Lower(text));
  if (!words.empty() && words[0] == "interval") words.erase(words.begin());
  int64_t total = 0;
  const auto bad = [&] {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is no interval, such as 'interval 7 days'", text));
  };
  if (words.empty() || words.size() % 2 != 0) return bad();
  for (size_t i = 0; i < words.size(); i += 2) {
    int64_t n = 0;
    const char* end = words[i].data() + words[i].size();
    const auto parsed = std::from_chars(words[i].data(), end, n);
    if (parsed.ec != std::errc() || parsed.ptr != end || n < 0 || n > 1'000'000'000) return bad();
    std::string unit = words[i + 1];
    if (unit.ends_with('s') && unit.size() > 2) unit.pop_back();
    int64_t ms = 0;
    if (unit == "week")
      ms = 7 * 86'400'000LL;
    else if (unit == "day")
      ms = 86'400'000LL;
    else if (unit == "hour")
      ms = 3'600'000LL;
    else if (unit == "minute")
      ms = 60'000LL;
    else if (unit == "second")
      ms = 1000LL;
    else if (unit == "millisecond" || unit == "m")
      ms = 1;
    else if (unit == "microsecond")
      ms = 0;
    else
      return bad();
    total += n * ms;
  }
  return std::chrono::milliseconds(total);
}

Result<void> WriteCheckpoint(const Snapshot& snapshot, Timestamp now) {
  const Table& table = snapshot.table();
  if (!table.parquet) return Fail(ErrorCode::kInvalidArgument, "no Parquet writer is given for checkpoints");
  const int64_t now_ms = MillisSinceEpoch(now);
  const auto files_kept = QUERN_TRY(Retention(snapshot, "delta.deletedFileRetentionDuration"));
  const auto txns_kept = QUERN_TRY(Retention(snapshot, "delta.setTransactionRetentionDuration"));
  const int64_t oldest_remove = now_ms - files_kept.value_or(std::chrono::hours(7 * 24)).count();

  std::vector<SetTransaction> txns;
  for (const auto& [id, txn] : snapshot.txns()) {
    if (!txns_kept || !txn.last_updated || *txn.last_updated > now_ms - txns_kept->count()) txns.push_back(txn);
  }
  std::vector<Remove> removes;
  for (Remove& remove : snapshot.Tombstones()) {
    if (remove.deletion_timestamp.value_or(0) > oldest_remove) removes.push_back(std::move(remove));
  }
  std::sort(removes.begin(), removes.end(), [](const Remove& a, const Remove& b) { return a.path < b.path; });

  std::vector<ColumnSpec> columns = StateColumns();
  if (snapshot.domains().empty())
    std::erase_if(columns, [](const ColumnSpec& c) { return c.path.starts_with("domainMetadata"); });
  const std::vector<ColumnSpec> file_columns = FileColumns();
  bool rows_tracked = false;
  bool clustered = false;
  for (const DataFilePtr& file : snapshot.files()) {
    rows_tracked = rows_tracked || file->add().base_row_id.has_value();
    clustered = clustered || file->add().clustering_provider.has_value();
  }
  for (const ColumnSpec& column : file_columns) {
    if (!rows_tracked && (column.path.ends_with(".baseRowId") || column.path.ends_with(".defaultRowCommitVersion")))
      continue;
    if (!clustered && column.path == "add.clusteringProvider") continue;
    columns.push_back(column);
  }

  std::vector<Action> head{snapshot.protocol(), snapshot.metadata()};
  head.insert(head.end(), txns.begin(), txns.end());
  for (const auto& [name, domain] : snapshot.domains()) head.push_back(domain);
  const size_t total = head.size() + removes.size() + snapshot.files().size();
  size_t next = 0;
  BatchBuilder builder(columns);
  const std::string key = fmt::format("{}{:020}.checkpoint.parquet", LogFolder(table), snapshot.version());
  const int64_t bytes = QUERN_TRY(table.parquet->Write(table.store->Location(key), columns, [&]() -> Result<Batch> {
    for (; next < total && builder.rows() < kBatchRows; ++next) {
      if (next < head.size()) {
        builder.Append(head[next]);
      } else if (next - head.size() < removes.size()) {
        builder.Append(removes[next - head.size()]);
      } else {
        builder.Append(snapshot.files()[next - head.size() - removes.size()]->add());
      }
    }
    return builder.Take();
  }));
  const Json hint = {{"version", snapshot.version()},
                     {"size", total},
                     {"sizeInBytes", bytes},
                     {"numOfAddFiles", snapshot.files().size()}};
  return table.store->Put(LogFolder(table) + "_last_checkpoint", hint.dump());
}

}  // namespace quern::delta
