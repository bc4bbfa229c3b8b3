#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace quern::delta {

/// Partition column (physical name) -> text, or nothing for null. In the order of the log; few entries.
class PartitionValues {
 public:
  using Entry = std::pair<std::string, std::optional<std::string>>;
  PartitionValues() = default;
  PartitionValues(std::initializer_list<Entry> entries) : entries_(entries) {}

  /// Null when the column is not there at all.
  const std::optional<std::string>* Find(std::string_view column) const;
  void Set(std::string column, std::optional<std::string> value);
  const std::vector<Entry>& entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }
  friend bool operator==(const PartitionValues&, const PartitionValues&) = default;

 private:
  std::vector<Entry> entries_;
};

/// Where a data file's deleted row positions are (see deletion_vector.h).
struct DeletionVectorDescriptor {
  enum class Storage : char { kUuid = 'u', kInline = 'i', kPath = 'p' };
  Storage storage = Storage::kUuid;
  std::string path_or_inline;
  std::optional<int32_t> offset;
  int32_t size_in_bytes = 0;
  int64_t cardinality = 0;
  /// storage + path_or_inline [+ "@" + offset]: names the vector, part of a file's key.
  std::string UniqueId() const;
  friend bool operator==(const DeletionVectorDescriptor&, const DeletionVectorDescriptor&) = default;
};

using StringMap = std::map<std::string, std::string, std::less<>>;

struct Add {
  std::string path;  ///< as in the log: a percent-encoded relative path, or an absolute URI (see path_encoding.h)
  PartitionValues partition_values;
  int64_t size = 0;
  int64_t modification_time = 0;  ///< ms
  bool data_change = true;
  std::string stats;  ///< JSON text as in the log; "" when there is none
  StringMap tags;
  std::optional<DeletionVectorDescriptor> deletion_vector;
  std::optional<int64_t> base_row_id;
  std::optional<int64_t> default_row_commit_version;
  std::optional<std::string> clustering_provider;
  friend bool operator==(const Add&, const Add&) = default;
};

struct Remove {
  std::string path;
  std::optional<int64_t> deletion_timestamp;  ///< ms
  bool data_change = true;
  bool extended_file_metadata = false;  ///< partition_values, size and tags are given
  PartitionValues partition_values;
  std::optional<int64_t> size;
  std::string stats;
  StringMap tags;
  std::optional<DeletionVectorDescriptor> deletion_vector;
  std::optional<int64_t> base_row_id;
  std::optional<int64_t> default_row_commit_version;
  friend bool operator==(const Remove&, const Remove&) = default;
};

/// A change data file; read only.
struct Cdc {
  std::string path;
  PartitionValues partition_values;
  int64_t size = 0;
  StringMap tags;
  friend bool operator==(const Cdc&, const Cdc&) = default;
};

struct Metadata {
  std::string id;
  std::optional<std::string> name;
  std::optional<std::string> description;
  std::string format_provider = "parquet";
  StringMap format_options;
  std::string schema_string;                   ///< see ParseSchema
  std::vector<std::string> partition_columns;  ///< logical names
  StringMap configuration;
  std::optional<int64_t> created_time;  ///< ms
  friend bool operator==(const Metadata&, const Metadata&) = default;
};

struct Protocol {
  int min_reader_version = 1;
  int min_writer_version = 2;
  std::optional<std::vector<std::string>> reader_features;  ///< there at reader version 3, sorted
  std::optional<std::vector<std::string>> writer_features;  ///< there at writer version 7, sorted
  friend bool operator==(const Protocol&, const Protocol&) = default;
};

struct SetTransaction {
  std::string app_id;
  int64_t version = 0;
  std::optional<int64_t> last_updated;  ///< ms
  friend bool operator==(const SetTransaction&, const SetTransaction&) = default;
};

struct DomainMetadata {
  std::string domain;
  std::string configuration;
  bool removed = false;
  friend bool operator==(const DomainMetadata&, const DomainMetadata&) = default;
};

/// Free-form; the usual keys are timestamp, operation, operationParameters, operationMetrics, engineInfo, txnId,
/// isBlindAppend, inCommitTimestamp.
struct CommitInfo {
  Json json = Json::object();
  std::optional<int64_t> timestamp() const;            ///< ms
  std::optional<int64_t> in_commit_timestamp() const;  ///< ms
  std::string operation() const;                       ///< "" when not given
  std::optional<bool> is_blind_append() const;
  friend bool operator==(const CommitInfo&, const CommitInfo&) = default;
};

/// Of V2 checkpoints.
struct CheckpointMetadata {
  int64_t version = 0;
  StringMap tags;
  friend bool operator==(const CheckpointMetadata&, const CheckpointMetadata&) = default;
};
struct Sidecar {
  std::string path;  ///< name in _delta_log/_sidecars, or an absolute URI
  int64_t size_in_bytes = 0;
  int64_t modification_time = 0;
  StringMap tags;
  friend bool operator==(const Sidecar&, const Sidecar&) = default;
};

using Action = std::variant<Add, Remove, Metadata, Protocol, SetTransaction, CommitInfo, DomainMetadata, Cdc,
                            CheckpointMetadata, Sidecar>;

/// One line of a commit, without the line's end.
std::string PrintAction(const Action& action);
/// Lines, each with its '\n'.
std::string PrintActions(const std::vector<Action>& actions);

/// Which actions a reader wants; others are skipped unparsed.
enum ActionKind : unsigned {
  kAddAction = 1,
  kRemoveAction = 2,
  kMetadataAction = 4,
  kProtocolAction = 8,
  kTxnAction = 16,
  kCommitInfoAction = 32,
  kDomainAction = 64,
  kCdcAction = 128,
  kCheckpointActions = 256,
  kAllActions = 511,
};

/// Reads lines of JSON, one action each; blank lines and unknown actions are skipped. Statistics stay text.
/// Errors: kCorruptLog at file:line. Reusing one reader for many files saves its buffers. Not thread-safe.
class ActionReader {
 public:
  ActionReader();
  ~ActionReader();
  ActionReader(const ActionReader&) = delete;
  ActionReader& operator=(const ActionReader&) = delete;

  /// `file` names the text in errors. `sink(Action&&)` gets every wanted action in order.
  template <class Sink>
  Result<void> Read(std::string_view text, std::string_view file, unsigned wanted, Sink&& sink) {
    return ReadInto(
        text, file, wanted,
        [](void* s, Action&& a) { (*static_cast<std::remove_reference_t<Sink>*>(s))(std::move(a)); }, &sink);
  }

 private:
  Result<void> ReadInto(std::string_view text, std::string_view file, unsigned wanted, void (*sink)(void*, Action&&),
                        void* context);
  struct Parser;
  std::unique_ptr<Parser> parser_;
};
Result<std::vector<Action>> ParseActions(std::string_view text, std::string_view file, unsigned wanted = kAllActions);

}  // namespace quern::delta
