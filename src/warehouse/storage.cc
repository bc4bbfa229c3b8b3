#include "warehouse/storage.h"

#include <algorithm>

#include "base/ids.h"
#include "base/text.h"
#include "delta/log_segment.h"
#include "io/files.h"

namespace quern::warehouse {

namespace fs = std::filesystem;

namespace {

constexpr const char* kViews = "_views";
constexpr size_t kMaxOlder = 32;

bool IsHidden(std::string_view name) {
  return name.empty() || name[0] == '.';
}

bool IsTableFolder(const fs::path& folder) {
  std::error_code ignored;
  for (fs::directory_iterator it(folder / "_delta_log", ignored), end; !ignored && it != end; it.increment(ignored)) {
    if (delta::IsLogFileName(it->path().filename().string())) return true;
  }
  return false;
}

// Names of a folder's entries, sorted; a missing folder has none.
template <class Keep>
std::vector<std::string> Entries(const fs::path& folder, Keep keep) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (fs::directory_iterator it(folder, ignored), end; it != end; it.increment(ignored)) {
    if (ignored) break;
    std::string name = it->path().filename().string();
    if (!IsHidden(name) && keep(*it)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<std::string> WithoutCase(const std::vector<std::string>& names, std::string_view name) {
  for (const auto& candidate : names) {
    if (EqualsIgnoreCase(candidate, name)) return candidate;
  }
  return std::nullopt;
}

}  // namespace

Error NameTable(Error error, std::string_view schema, std::string_view table) {
  std::string name = std::string(schema) + "." + std::string(table);
  if (error.message().find(name) == std::string::npos) error = std::move(error).Context(name);
  return std::move(error).With("table", name);
}

Storage::Storage(fs::path root, const Clock& clock)
    : root_(std::move(root)), clock_(&clock), store_(std::make_shared<io::LocalObjectStore>(root_)) {}

std::shared_ptr<Storage> Storage::ForRoot(fs::path root) const {
  auto storage = std::make_shared<Storage>(std::move(root), *clock_);
  storage->parquet_ = parquet_;
  return storage;
}

std::vector<std::string> Storage::Schemas() const {
  return Entries(root_, [](const fs::directory_entry& entry) {
    std::error_code ignored;
    return entry.is_directory(ignored) && entry.path().filename().string()[0] != '_';
  });
}

std::optional<std::string> Storage::FindSchema(std::string_view name) const {
  if (IsHidden(name) || name[0] == '_' || name.find('/') != std::string_view::npos) return std::nullopt;
  std::error_code ignored;
  if (fs::is_directory(root_ / name, ignored)) return std::string(name);
  return WithoutCase(Schemas(), name);
}

Result<void> Storage::CreateSchema(const std::string& name) {
  QUERN_TRY(CheckName(name, "schema"));
  return io::MakeFolders(root_ / name);
}

bool Storage::SchemaIsEmpty(const std::string& schema) const {
  return Tables(schema).empty() && Views(schema).empty();
}

Result<void> Storage::DropSchema(const std::string& schema) {
  {
    std::lock_guard lock(mutex_);
    std::erase_if(newest_, [&](const auto& entry) { return entry.first.starts_with(schema + "/"); });
  }
  return Trash(root_ / schema);
}

std::vector<std::string> Storage::Tables(const std::string& schema) const {
  return Entries(root_ / schema, [](const fs::directory_entry& entry) { return IsTableFolder(entry.path()); });
}

std::vector<std::string> Storage::Views(const std::string& schema) const {
  auto names = Entries(root_ / schema / kViews,
                       [](const fs::directory_entry& entry) { return entry.path().extension() == ".sql"; });
  for (auto& name : names) name.resize(name.size() - 4);
  return names;
}

std::optional<std::string> Storage::FindTable(const std::string& schema, std::string_view name) const {
  if (IsHidden(name) || name.find('/') != std::string_view::npos) return std::nullopt;
  if (IsTableFolder(root_ / schema / name)) return std::string(name);
  return WithoutCase(Tables(schema), name);
}

std::optional<std::string> Storage::FindView(const std::string& schema, std::string_view name) const {
  if (IsHidden(name) || name.find('/') != std::string_view::npos) return std::nullopt;
  std::error_code ignored;
  if (fs::exists(ViewPath(schema, std::string(name)), ignored)) return std::string(name);
  return WithoutCase(Views(schema), name);
}

Result<void> Storage::CheckName(std::string_view name, std::string_view what) {
  auto refuse = [&](std::string_view why) {
    return Fail(
        Error(ErrorCode::kInvalidArgument, fmt::format("'{}' cannot be the name of a {}: {}", name, what, why)));
  };
  if (name.empty()) return refuse("it is empty");
  if (name[0] == '.') return refuse("it begins with a dot");
  if (what == "schema" && name[0] == '_') return refuse("it begins with '_'");
  if (name == kViews) return refuse("it is reserved");
  if (name.size() > 200) return refuse("it is longer than 200 bytes");
  for (unsigned char c : name) {
    if (c == '/' || c < 0x20 || c == 0x7f) return refuse("it holds a '/' or a control character");
  }
  return {};
}

delta::Table Storage::TableOf(const std::string& schema, const std::string& table) const {
  return {store_, schema + "/" + table, parquet_};
}

Result<TableViewPtr> Storage::Load(const std::string& schema, const std::string& table) {
  const std::string key = schema + "/" + table;
  const delta::Table where = TableOf(schema, table);
  Cached known;
  {
    std::lock_guard lock(mutex_);
    if (auto it = newest_.find(key); it != newest_.end()) known = it->second;
  }
  auto commit = [&](int64_t version) { return store_->Head(delta::CommitKey(where, version)); };
  Result<delta::SnapshotPtr> snapshot = delta::SnapshotPtr();
  if (known.view) {
    const int64_t version = known.view->version();
    auto same = QUERN_TRY(commit(version));
    if (same && same->size == known.commit_size && same->modified == known.commit_time) {
      if (!QUERN_TRY(commit(version + 1))) return known.view;
      snapshot = delta::Snapshot::Update(known.view->base);
    }
  }
  if (snapshot && !*snapshot) snapshot = delta::Snapshot::Load(where);
  if (!snapshot) {
    Forget(schema, table);
    return Fail(NameTable(std::move(snapshot).error(), schema, table));
  }
  return Remember(schema, table, *std::move(snapshot));
}

TableViewPtr Storage::Remember(const std::string& schema, const std::string& table, delta::SnapshotPtr snapshot) {
  Cached cached;
  auto commit = store_->Head(delta::CommitKey(snapshot->table(), snapshot->version()));
  cached.view = TableView::FromSnapshot(std::move(snapshot));
  if (commit && *commit) {
    cached.commit_size = (*commit)->size;
    cached.commit_time = (*commit)->modified;
    std::lock_guard lock(mutex_);
    newest_[schema + "/" + table] = cached;
  }
  return cached.view;
}

Result<TableViewPtr> Storage::LoadVersion(const std::string& schema, const std::string& table, int64_t version) {
  TableViewPtr newest = QUERN_TRY(Load(schema, table));
  if (newest->version() == version) return newest;
  const std::string key = fmt::format("{}/{}@{}#{}", schema, table, version, newest->metadata.id);
  {
    std::lock_guard lock(mutex_);
    auto it = std::find_if(older_.begin(), older_.end(), [&](const auto& entry) { return entry.first == key; });
    if (it != older_.end()) {
      older_.splice(older_.begin(), older_, it);
      return older_.front().second;
    }
  }
  auto snapshot = delta::Snapshot::Load(TableOf(schema, table), version);
  if (!snapshot) return Fail(NameTable(std::move(snapshot).error(), schema, table));
  TableViewPtr view = TableView::FromSnapshot(*std::move(snapshot));
  std::lock_guard lock(mutex_);
  older_.emplace_front(key, view);
  if (older_.size() > kMaxOlder) older_.pop_back();
  return view;
}

void Storage::Forget(const std::string& schema, const std::string& table) {
  std::lock_guard lock(mutex_);
  newest_.erase(schema + "/" + table);
  std::erase_if(older_, [&](const auto& entry) { return entry.first.starts_with(schema + "/" + table + "@"); });
}

// A rename makes it disappear as one.
Result<void> Storage::Trash(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return {};
  const fs::path trash = root_ / (".trash-" + RandomUuid());
  fs::rename(folder, trash, error);
  if (error) return Fail(io::SystemError("removing", folder, error.value()));
  Ignore(io::SyncFolder(folder.parent_path()), "the drop itself has happened");
  Ignore(io::RemoveAll(trash), "left-over files do no harm");
  return {};
}

void Storage::EmptyTrash() const {
  std::error_code ignored;
  for (fs::directory_iterator it(root_, ignored), end; !ignored && it != end; it.increment(ignored)) {
    if (it->path().filename().string().starts_with(".trash-"))
      Ignore(io::RemoveAll(it->path()), "left-over files do no harm");
  }
}

Result<void> Storage::DropTable(const std::string& schema, const std::string& table) {
  Forget(schema, table);
  return Trash(FolderOf(schema, table));
}

Result<void> Storage::RenameTable(const std::string& schema, const std::string& from, const std::string& to) {
  std::error_code error;
  if (fs::exists(FolderOf(schema, to), error)) {
    return Fail(Error(ErrorCode::kAlreadyExists, fmt::format("{}.{} exists already", schema, to)));
  }
  fs::rename(FolderOf(schema, from), FolderOf(schema, to), error);
  if (error) return Fail(io::SystemError("renaming", FolderOf(schema, from), error.value()));
  Forget(schema, from);
  Forget(schema, to);
  return io::SyncFolder(root_ / schema);
}

fs::path Storage::ViewPath(const std::string& schema, const std::string& view) const {
  return root_ / schema / kViews / (view + ".sql");
}

Result<std::string> Storage::ReadView(const std::string& schema, const std::string& view) const {
  return io::ReadFile(ViewPath(schema, view));
}

Result<void> Storage::WriteView(const std::string& schema, const std::string& view, std::string_view sql) {
  return io::WriteFileAtomically(ViewPath(schema, view), sql);
}

Result<void> Storage::DropView(const std::string& schema, const std::string& view) {
  return io::RemoveAll(ViewPath(schema, view));
}

}  // namespace quern::warehouse
