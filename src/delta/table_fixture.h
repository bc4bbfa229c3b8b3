#pragma once
// For the tests of delta/: tables in memory, and checkpoints that need no Parquet.
#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/json.h"
#include "delta/snapshot.h"
#include "delta/transaction.h"
#include "io/fault_store.h"

namespace quern::delta {

/// Keeps "Parquet" files as JSON lines in an object store.
class JsonParquetIo : public ParquetIo {
 public:
  explicit JsonParquetIo(std::shared_ptr<io::ObjectStore> store) : store_(std::move(store)) {}
  int writes = 0;

  Result<void> Read(const std::string& location, const std::vector<ColumnSpec>& columns,
                    const std::function<Result<void>(Batch&&)>& sink) override {
    const auto text = QUERN_TRY(store_->Get(KeyOf(location)));
    if (!text) return Fail(ErrorCode::kNotFound, location + " is missing");
    const Json file = Json::parse(*text, nullptr, false);
    if (!file.is_array()) return Fail(ErrorCode::kCorrupt, location + " is broken");
    // Three rows a batch, so that borders are met.
    for (size_t begin = 0; begin < file.size(); begin += 3) {
      Batch batch;
      batch.rows = std::min<size_t>(3, file.size() - begin);
      for (const ColumnSpec& spec : columns) {
        ColumnData column;
        for (size_t row = begin; row < begin + batch.rows; ++row) {
          const Json value = file[row].value(spec.path, Json());
          column.valid.push_back(!value.is_null());
          column.longs.push_back(value.is_number_integer() ? value.get<int64_t>() : 0);
          column.strings.push_back(value.is_string() ? value.get<std::string>() : "");
          column.maps.emplace_back();
          column.lists.emplace_back();
          if (spec.type == ColumnType::kStringMap && value.is_array()) {
            for (const Json& entry : value) {
              column.maps.back().emplace_back(
                  entry[0].get<std::string>(),
                  entry[1].is_null() ? std::nullopt : std::optional(entry[1].get<std::string>()));
            }
          }
          if (spec.type == ColumnType::kStringList && value.is_array())
            column.lists.back() = value.get<std::vector<std::string>>();
        }
        batch.columns.push_back(std::move(column));
      }
      QUERN_TRY(sink(std::move(batch)));
    }
    return {};
  }

  Result<int64_t> Write(const std::string& location, const std::vector<ColumnSpec>& columns,
                        const std::function<Result<Batch>()>& next) override {
    Json file = Json::array();
    while (true) {
      const Batch batch = QUERN_TRY(next());
      if (batch.rows == 0) break;
      for (size_t row = 0; row < batch.rows; ++row) {
        Json line = Json::object();
        for (size_t i = 0; i < columns.size(); ++i) {
          const ColumnData& column = batch.columns[i];
          if (!column.valid[row]) continue;
          Json& value = line[columns[i].path];
          switch (columns[i].type) {
            case ColumnType::kStruct:
              value = true;
              break;
            case ColumnType::kBoolean:
            case ColumnType::kInteger:
            case ColumnType::kLong:
              value = column.longs[row];
              break;
            case ColumnType::kString:
            case ColumnType::kJson:
              value = column.strings[row];
              break;
            case ColumnType::kStringMap:
              value = Json::array();
              for (const auto& [k, v] : column.maps[row]) value.push_back({k, v ? Json(*v) : Json()});
              break;
            case ColumnType::kStringList:
              value = column.lists[row];
              break;
          }
        }
        file.push_back(std::move(line));
      }
    }
    const std::string text = file.dump();
    QUERN_TRY(store_->Put(KeyOf(location), text));
    ++writes;
    return static_cast<int64_t>(text.size());
  }

 private:
  static std::string KeyOf(const std::string& location) { return location.substr(std::string("memory:///").size()); }
  std::shared_ptr<io::ObjectStore> store_;
};

/// A table in memory with columns id long, name string, day date.
class TableTest : public ::testing::Test {
 protected:
  std::shared_ptr<io::FaultStore> store_ = std::make_shared<io::FaultStore>();
  std::shared_ptr<JsonParquetIo> parquet_ = std::make_shared<JsonParquetIo>(store_);
  Table table_{store_, "wh/t", parquet_};
  TransactionOptions options_;

  static constexpr const char* kSchema =
      R"({"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}},)"
      R"({"name":"name","type":"string","nullable":true,"metadata":{}},{"name":"day","type":"date","nullable":true,"metadata":{}}]})";

  static Metadata Meta(StringMap configuration = {}, std::vector<std::string> partition_columns = {}) {
    Metadata metadata;
    metadata.schema_string = kSchema;
    metadata.configuration = std::move(configuration);
    metadata.partition_columns = std::move(partition_columns);
    return metadata;
  }
  SnapshotPtr Create(StringMap configuration = {}, std::vector<std::string> partition_columns = {}) {
    Transaction tx = Transaction::Begin(table_, nullptr, options_);
    EXPECT_TRUE(tx.SetMetadata(Meta(std::move(configuration), std::move(partition_columns))));
    return Done(tx, {.name = "CREATE TABLE"});
  }
  /// A data file with ids [min, max], written as an engine would.
  Add File(const std::string& name, int64_t min = 0, int64_t max = 9, PartitionValues partition = {}) {
    store_->PutUnsynced("wh/t/" + name, "data");
    Add add;
    add.path = name;
    add.partition_values = std::move(partition);
    add.size = 4;
    add.modification_time = 1;
    StatsBuilder stats;
    stats.SetNumRecords(max - min + 1);
    stats.SetMin({"id"}, DataType::Of(TypeId::kLong), Literal(min));
    stats.SetMax({"id"}, DataType::Of(TypeId::kLong), Literal(max));
    stats.SetNullCount({"id"}, 0);
    add.stats = stats.ToJson();
    return add;
  }
  SnapshotPtr Append(const SnapshotPtr& base, const std::string& name, int64_t min = 0, int64_t max = 9) {
    Transaction tx = Transaction::Begin(table_, base, options_);
    tx.Add(File(name, min, max));
    return Done(tx);
  }
  static SnapshotPtr Done(Transaction& tx, const Operation& operation = {}) {
    Result<CommitResult> result = tx.Commit(operation);
    if (!result) {
      ADD_FAILURE() << result.error().ToString();
      return nullptr;
    }
    if (const auto* conflict = std::get_if<Conflicted>(&*result)) {
      ADD_FAILURE() << conflict->reason;
      return nullptr;
    }
    return std::get<Committed>(*result).snapshot;
  }
  static std::vector<std::string> Paths(const SnapshotPtr& snapshot) {
    std::vector<std::string> paths;
    for (const DataFilePtr& file : snapshot->files()) paths.push_back(file->add().path);
    return paths;
  }
  SnapshotPtr Load(std::optional<int64_t> version = {}) {
    Result<SnapshotPtr> loaded = Snapshot::Load(table_, version);
    if (!loaded) {
      ADD_FAILURE() << loaded.error().ToString();
      return nullptr;
    }
    return *loaded;
  }
  void PutCommit(int64_t version, const std::string& text) {
    ASSERT_TRUE(store_->Put(CommitKey(table_, version), text));
  }
};

}  // namespace quern::delta
