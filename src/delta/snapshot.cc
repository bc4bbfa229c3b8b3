#include "delta/snapshot.h"

#include <fmt/format.h>

#include <unordered_set>

#include "base/text.h"
#include "delta/features.h"
#include "delta/path_encoding.h"
#include "delta/replay.h"

namespace quern::delta {

DataFile::DataFile(Add add) : add_(std::move(add)), canonical_(CanonicalPath(add_.path).value_or("")) {}

const FileStats& DataFile::stats() const {
  std::call_once(once_, [this] { stats_ = FileStats::Parse(add_.stats); });
  return stats_;
}

std::optional<int64_t> DataFile::live_records() const {
  const auto rows = num_records();
  if (!rows) return std::nullopt;
  return *rows - (add_.deletion_vector ? add_.deletion_vector->cardinality : 0);
}

std::string FileKey(std::string_view path, const std::optional<DeletionVectorDescriptor>& vector) {
  std::string key = CanonicalPath(path).value_or(std::string(path));
  if (vector) {
    key += '\x1f';
    key += vector->UniqueId();
  }
  return key;
}

namespace {

constexpr unsigned kStateActions =
    kAddAction | kRemoveAction | kMetadataAction | kProtocolAction | kTxnAction | kDomainAction;

bool SameVector(const std::optional<DeletionVectorDescriptor>& a, const std::optional<DeletionVectorDescriptor>& b) {
  return a.has_value() == b.has_value() && (!a || a->UniqueId() == b->UniqueId());
}

/// Physical names left over in the schema of a table that does not map its columns mean nothing.
StructType WithoutMapping(const StructType& schema);
DataType WithoutMapping(const DataType& type) {
  DataType clean = type;
  if (type.fields) clean.fields = std::make_shared<const StructType>(WithoutMapping(*type.fields));
  if (type.key) clean.key = std::make_shared<const DataType>(WithoutMapping(*type.key));
  if (type.element) clean.element = std::make_shared<const DataType>(WithoutMapping(*type.element));
  return clean;
}
StructType WithoutMapping(const StructType& schema) {
  StructType clean;
  for (const StructField& field : schema.fields) {
    StructField copy = field;
    copy.type = WithoutMapping(field.type);
    copy.metadata.erase("delta.columnMapping.physicalName");
    copy.metadata.erase("delta.columnMapping.id");
    clean.fields.push_back(std::move(copy));
  }
  return clean;
}

}  // namespace

Replay::Replay(const Table& table) : snapshot_(new Snapshot()) {
  snapshot_->table_ = table;
}

Replay::Replay(const Snapshot& base) : snapshot_(new Snapshot(base)), have_protocol_(true), have_metadata_(true) {}

void Replay::ApplyAdd(Add&& add) {
  Snapshot& s = *snapshot_;
  if (!s.tombstones_.empty()) s.tombstones_.Erase(FileKey(add.path, add.deletion_vector));
  s.total_bytes_ += add.size;
  auto file = std::make_shared<const DataFile>(std::move(add));
  if (const DataFilePtr* old = s.by_path_.Find(file->key())) {
    // The same path again (a new vector, or statistics): the entry takes the old one's place.
    s.total_bytes_ -= (*old)->add().size;
    replaced_[old->get()] = file;
  } else {
    s.files_.push_back(file);
  }
  const std::string_view key = file->key();
  s.by_path_.Set(key, std::move(file));
}

void Replay::ApplyRemove(Remove&& remove) {
  Snapshot& s = *snapshot_;
  const std::optional<std::string> canonical = CanonicalPath(remove.path);
  const std::string_view key = canonical ? *canonical : std::string_view(remove.path);
  const DataFilePtr* active = s.by_path_.Find(key);
  if (active && SameVector((*active)->add().deletion_vector, remove.deletion_vector)) {
    s.total_bytes_ -= (*active)->add().size;
    replaced_[active->get()] = nullptr;
    s.by_path_.Erase(key);
    // A long history of files that came and went must not pile up.
    if (replaced_.size() > 1024 && replaced_.size() > s.files_.size() / 2) ApplyReplacements();
  }
  AddTombstone(std::move(remove));
}

void Replay::ApplyReplacements() {
  std::vector<DataFilePtr>& files = snapshot_->files_;
  size_t to = 0;
  for (DataFilePtr& each : files) {
    DataFilePtr file = std::move(each);
    for (auto it = replaced_.find(file.get()); file && it != replaced_.end(); it = replaced_.find(file.get()))
      file = it->second;
    if (file) files[to++] = std::move(file);
  }
  files.resize(to);
  replaced_.clear();
}

void Replay::AddTombstone(Remove&& remove) {
  std::string key = FileKey(remove.path, remove.deletion_vector);
  snapshot_->tombstones_.Set(std::move(key), std::make_shared<const Remove>(std::move(remove)));
}

void Replay::Apply(Action&& action) {
  Snapshot& s = *snapshot_;
  if (Add* add = std::get_if<Add>(&action)) {
    ApplyAdd(std::move(*add));
  } else if (Remove* remove = std::get_if<Remove>(&action)) {
    ApplyRemove(std::move(*remove));
  } else if (Metadata* metadata = std::get_if<Metadata>(&action)) {
    s.metadata_ = std::move(*metadata);
    have_metadata_ = true;
    metadata_changed_ = true;
  } else if (Protocol* protocol = std::get_if<Protocol>(&action)) {
    s.protocol_ = std::move(*protocol);
    have_protocol_ = true;
  } else if (SetTransaction* txn = std::get_if<SetTransaction>(&action)) {
    std::string id = txn->app_id;
    s.txns_.insert_or_assign(std::move(id), std::move(*txn));
  } else if (DomainMetadata* domain = std::get_if<DomainMetadata>(&action)) {
    if (domain->removed) {
      s.domains_.erase(domain->domain);
    } else {
      std::string name = domain->domain;
      s.domains_.insert_or_assign(std::move(name), std::move(*domain));
    }
  }
}

Result<void> Replay::ApplyText(std::string_view text, std::string_view file) {
  // Within one commit a file's old entry (its removal) and its new one may come in any order, and the file keeps its
  // place.
  pending_adds_.clear();
  pending_removes_.clear();
  QUERN_TRY(reader_.Read(text, file, kStateActions, [&](Action&& action) {
    if (Add* add = std::get_if<Add>(&action)) {
      pending_adds_.push_back(std::move(*add));
    } else if (Remove* remove = std::get_if<Remove>(&action)) {
      pending_removes_.push_back(std::move(*remove));
    } else {
      Apply(std::move(action));
    }
  }));
  std::unordered_set<std::string_view> added;
  if (!pending_removes_.empty()) {
    for (const Add& add : pending_adds_) added.insert(add.path);
  }
  for (Remove& remove : pending_removes_) {
    if (added.count(remove.path)) {
      AddTombstone(std::move(remove));
    } else {
      ApplyRemove(std::move(remove));
    }
  }
  for (Add& add : pending_adds_) ApplyAdd(std::move(add));
  return {};
}

Result<void> Replay::ApplyCheckpoint(const LogSegment::Checkpoint& checkpoint) {
  snapshot_->checkpoint_version_ = checkpoint.version;
  return ReadCheckpoint(snapshot_->table_, checkpoint, [&](Action&& action) { Apply(std::move(action)); });
}

Result<void> Replay::ApplyCommit(const LogSegment::Commit& commit) {
  const auto text = QUERN_TRY(snapshot_->table_.store->Get(commit.key));
  const std::string location = snapshot_->table_.store->Location(commit.key);
  if (!text)
    return Fail(Error(ErrorCode::kCorruptLog, fmt::format("a commit vanished while it was read: {}", location)));
  return ApplyText(*text, location);
}

Result<SnapshotPtr> Replay::Finish(int64_t version, Timestamp modified, int64_t commit_size) {
  Snapshot& s = *snapshot_;
  if (!have_protocol_ || !have_metadata_) {
    return Fail(ErrorCode::kCorruptLog, fmt::format("version {} of {} has no {} action", version, s.table_.Location(),
                                                    have_protocol_ ? "metaData" : "protocol"));
  }
  Result<void> readable = CheckReadable(s.protocol_);
  if (!readable) return Fail(std::move(readable).error().With("table", s.table_.Location()));
  if (!replaced_.empty()) ApplyReplacements();
  if (metadata_changed_ || !s.schema_) {
    // A table may have no schema yet.
    StructType schema;
    if (!s.metadata_.schema_string.empty()) {
      schema = QUERN_TRY_CONTEXT(ParseSchema(s.metadata_.schema_string), s.table_.Location());
    }
    if (QUERN_TRY(ColumnMappingOf(s.metadata_)) == ColumnMapping::kNone) schema = WithoutMapping(schema);
    s.schema_ = std::make_shared<const StructType>(std::move(schema));
  }
  s.version_ = version;
  s.timestamp_ = modified;
  s.commit_modified_ = modified;
  s.commit_size_ = commit_size;
  return SnapshotPtr(std::move(snapshot_));
}

namespace {

/// The commit's inCommitTimestamp, where it has one.
Result<std::optional<Timestamp>> InCommitTime(std::string_view text, std::string_view file) {
  // commitInfo is the first action of such commits; the rest need not be looked at.
  const std::vector<Action> actions = QUERN_TRY(ParseActions(text.substr(0, text.find('\n')), file, kCommitInfoAction));
  for (const Action& action : actions) {
    if (const CommitInfo* info = std::get_if<CommitInfo>(&action)) {
      if (const auto ms = info->in_commit_timestamp()) return FromMicros(*ms * 1000);
    }
  }
  return std::nullopt;
}

}  // namespace

Result<SnapshotPtr> Snapshot::WithInCommitTime(SnapshotPtr snapshot, std::optional<std::string_view> text) {
  if (!snapshot->PropertyIsTrue("delta.enableInCommitTimestamps")) return snapshot;
  const Table& table = snapshot->table_;
  const std::string key = CommitKey(table, snapshot->version_);
  std::optional<std::string> read;
  if (!text) {
    read = QUERN_TRY(table.store->Get(key));
    if (!read) return snapshot;
    text = *read;
  }
  const auto time = QUERN_TRY(InCommitTime(*text, table.store->Location(key)));
  if (!time) return snapshot;
  std::shared_ptr<Snapshot> copy(new Snapshot(*snapshot));
  copy->timestamp_ = *time;
  return SnapshotPtr(std::move(copy));
}

Result<SnapshotPtr> Snapshot::Load(const Table& table, std::optional<int64_t> version) {
  const LogSegment segment = QUERN_TRY(ListLog(table, version));
  Replay replay(table);
  if (segment.checkpoint) QUERN_TRY(replay.ApplyCheckpoint(*segment.checkpoint));
  for (const LogSegment::Commit& commit : segment.commits) QUERN_TRY(replay.ApplyCommit(commit));
  return WithInCommitTime(QUERN_TRY(replay.Finish(segment.version, segment.modified, segment.size)));
}

Result<SnapshotPtr> Snapshot::Update(const SnapshotPtr& previous) {
  const Table& table = previous->table_;
  const std::vector<LogSegment::Commit> commits = QUERN_TRY(ListCommitsFrom(table, previous->version_));
  // The commit that we know must still be the same: else the table was made anew.
  const bool known = !commits.empty() && commits.front().version == previous->version_;
  if (!known || (previous->commit_size_ >= 0 && (commits.front().modified != previous->commit_modified_ ||
                                                 commits.front().size != previous->commit_size_))) {
    return Load(table);
  }
  if (commits.size() == 1) return previous;
  for (size_t i = 1; i < commits.size(); ++i) {
    if (commits[i].version != commits[i - 1].version + 1) return Load(table);  // says what is missing
  }
  Replay replay(*previous);
  for (size_t i = 1; i < commits.size(); ++i) QUERN_TRY(replay.ApplyCommit(commits[i]));
  return WithInCommitTime(
      QUERN_TRY(replay.Finish(commits.back().version, commits.back().modified, commits.back().size)));
}

std::string Snapshot::Property(std::string_view key, std::string_view otherwise) const {
  const auto it = metadata_.configuration.find(key);
  return it == metadata_.configuration.end() ? std::string(otherwise) : it->second;
}

bool Snapshot::PropertyIsTrue(std::string_view key) const {
  return EqualsIgnoreCase(Property(key), "true");
}

DataFilePtr Snapshot::FindFile(std::string_view path) const {
  const std::optional<std::string> canonical = CanonicalPath(path);
  const DataFilePtr* file = by_path_.Find(canonical ? std::string_view(*canonical) : path);
  return file ? *file : nullptr;
}

Result<std::string> Snapshot::FileLocation(const Add& add) const {
  return table_.store->Location(QUERN_TRY(ObjectKey(table_.root, add.path)));
}

std::vector<Remove> Snapshot::Tombstones() const {
  std::vector<Remove> removes;
  removes.reserve(tombstones_.size());
  tombstones_.ForEach(
      [&](const std::string&, const std::shared_ptr<const Remove>& remove) { removes.push_back(*remove); });
  return removes;
}

std::optional<int64_t> Snapshot::TxnVersion(std::string_view app_id) const {
  const auto it = txns_.find(app_id);
  return it == txns_.end() ? std::nullopt : std::optional(it->second.version);
}

std::optional<int64_t> Snapshot::total_rows() const {
  int64_t rows = 0;
  for (const DataFilePtr& file : files_) {
    const auto live = file->live_records();
    if (!live) return std::nullopt;
    rows += *live;
  }
  return rows;
}

}  // namespace quern::delta
