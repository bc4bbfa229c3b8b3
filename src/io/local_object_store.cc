#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "io/files.h"
#include "io/object_store.h"
#include "io/system_files.h"

namespace quern::io {

namespace {

Timestamp ModifiedAt(const struct stat& info) {
  return FromMicros(int64_t{info.st_mtim.tv_sec} * 1'000'000 + info.st_mtim.tv_nsec / 1000);
}

struct FolderCloser {
  void operator()(DIR* folder) const { ::closedir(folder); }
};
using Folder = std::unique_ptr<DIR, FolderCloser>;

/// The folder's names; null when there is no such folder.
Result<std::vector<std::pair<std::string, unsigned char>>> Names(const std::string& path) {
  std::vector<std::pair<std::string, unsigned char>> names;
  Folder folder(::opendir(path.c_str()));
  if (!folder) {
    if (errno == ENOENT || errno == ENOTDIR) return names;
    return Fail(SystemError("cannot list", path, errno));
  }
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(folder.get());
    if (!entry) {
      if (errno) return Fail(SystemError("cannot list", path, errno));
      return names;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == ".." || name.starts_with(kTempPrefix)) continue;
    names.emplace_back(name, entry->d_type);
  }
}

/// Whether an entry is a folder; links are followed.
bool IsFolder(const std::string& path, unsigned char type) {
  if (type == DT_DIR) return true;
  if (type == DT_REG) return false;
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

}  // namespace

std::string JoinKey(std::string_view folder, std::string_view name) {
  if (folder.empty()) return std::string(name);
  if (name.empty()) return std::string(folder);
  const bool slash = folder.ends_with('/');
  if (name.starts_with('/')) name.remove_prefix(1);
  return fmt::format("{}{}{}", folder, slash ? "" : "/", name);
}

LocalObjectStore::LocalObjectStore(std::filesystem::path root) : root_(root.string()) {
  while (root_.size() > 1 && root_.ends_with('/')) root_.pop_back();
  if (root_.empty()) root_ = ".";
}

std::string LocalObjectStore::Location(std::string_view key) const {
  if (key.starts_with('/')) return std::string(key);
  if (root_ == ".") return std::string(key);
  return JoinKey(root_, key);
}

Result<std::string> LocalObjectStore::PathOf(std::string_view key) const {
  QUERN_TRY(CheckKey(key));
  return Location(key);
}

Result<std::optional<std::string>> LocalObjectStore::Get(std::string_view key) {
  return ReadIfThere(QUERN_TRY(PathOf(key)), 0, -1);
}

Result<std::optional<std::string>> LocalObjectStore::GetRange(std::string_view key, int64_t offset, int64_t length) {
  if (offset < 0 || length < 0) return Fail(ErrorCode::kInvalidArgument, fmt::format("a negative range of '{}'", key));
  return ReadIfThere(QUERN_TRY(PathOf(key)), offset, length);
}

Result<std::optional<ObjectMeta>> LocalObjectStore::Head(std::string_view key) {
  const std::string path = QUERN_TRY(PathOf(key));
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    return Fail(SystemError("cannot look at", path, errno));
  }
  if (S_ISDIR(info.st_mode)) return std::nullopt;
  return ObjectMeta{std::string(key), info.st_size, ModifiedAt(info)};
}

Result<void> LocalObjectStore::Put(std::string_view key, std::string_view bytes) {
  return WriteFileAtomically(QUERN_TRY(PathOf(key)), bytes);
}

Result<PutResult> LocalObjectStore::PutIfAbsent(std::string_view key, std::string_view bytes) {
  const std::string path = QUERN_TRY(PathOf(key));
  // Cheap answer first: the common loser of a race need not write anything.
  if (::access(path.c_str(), F_OK) == 0) return PutResult::kExists;
  const fs::path folder = fs::path(path).has_parent_path() ? fs::path(path).parent_path() : fs::path(".");
  const fs::path temp = QUERN_TRY(WriteTempFile(folder, bytes, path));
  int failed = ::link(temp.c_str(), path.c_str()) == 0 ? 0 : errno;
  if (failed == EPERM || failed == EOPNOTSUPP || failed == ENOSYS || failed == EMLINK) {
    // A file system without hard links.
    failed = ::renameat2(AT_FDCWD, temp.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
  }
  ::unlink(temp.c_str());
  if (failed == EEXIST) return PutResult::kExists;
  if (failed) return Fail(SystemError("cannot write", path, failed));
  QUERN_TRY(SyncFolder(folder));
  return PutResult::kCreated;
}

Result<void> LocalObjectStore::Delete(std::string_view key) {
  const std::string path = QUERN_TRY(PathOf(key));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
    return Fail(SystemError("cannot delete", path, errno));
  }
  return {};
}

Result<void> LocalObjectStore::Sync(std::string_view key) {
  return SyncFile(QUERN_TRY(PathOf(key)));
}

Result<std::vector<ObjectMeta>> LocalObjectStore::List(std::string_view prefix, std::string_view start_after) {
  const size_t slash = prefix.rfind('/');
  const std::string_view folder = slash == std::string_view::npos ? "" : prefix.substr(0, slash);
  const std::string_view begin = slash == std::string_view::npos ? prefix : prefix.substr(slash + 1);
  if (!folder.empty()) QUERN_TRY(CheckKey(folder));
  const std::string path = folder.empty() ? (prefix.starts_with('/') ? "/" : root_) : Location(folder);
  auto names = QUERN_TRY(Names(path));
  std::vector<ObjectMeta> found;
  std::vector<std::string> kept;
  const std::string key_prefix(slash == std::string_view::npos ? "" : prefix.substr(0, slash + 1));
  for (auto& [name, type] : names) {
    if (type == DT_DIR || !std::string_view(name).starts_with(begin)) continue;
    if (!start_after.empty() && key_prefix + name <= start_after) continue;
    kept.push_back(std::move(name));
  }
  std::sort(kept.begin(), kept.end());
  Fd at(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const std::string& name : kept) {
    struct stat info{};
    if (::fstatat(at.get(), name.c_str(), &info, 0) != 0) continue;  // deleted meanwhile, or a dangling link
    if (!S_ISREG(info.st_mode)) continue;
    found.push_back({key_prefix + name, info.st_size, ModifiedAt(info)});
  }
  return found;
}

Result<std::vector<ObjectMeta>> LocalObjectStore::ListRecursively(std::string_view prefix) {
  while (prefix.size() > 1 && prefix.ends_with('/')) prefix.remove_suffix(1);
  if (!prefix.empty()) QUERN_TRY(CheckKey(prefix));
  std::vector<ObjectMeta> found;
  std::vector<std::string> folders{std::string(prefix)};
  while (!folders.empty()) {
    const std::string folder = std::move(folders.back());
    folders.pop_back();
    const std::string path = folder.empty() ? root_ : Location(folder);
    const auto names = QUERN_TRY(Names(path));
    for (const auto& [name, type] : names) {
      const std::string key = JoinKey(folder, name);
      struct stat info{};
      // Links to folders are not followed: they may lead in a circle.
      if (::lstat(Location(key).c_str(), &info) != 0) continue;
      if (S_ISDIR(info.st_mode)) {
        folders.push_back(key);
      } else if (::stat(Location(key).c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
        found.push_back({key, info.st_size, ModifiedAt(info)});
      }
    }
  }
  std::sort(found.begin(), found.end(), [](const ObjectMeta& a, const ObjectMeta& b) { return a.key < b.key; });
  return found;
}

Result<std::vector<std::string>> LocalObjectStore::ListFolders(std::string_view prefix) {
  while (prefix.size() > 1 && prefix.ends_with('/')) prefix.remove_suffix(1);
  if (!prefix.empty()) QUERN_TRY(CheckKey(prefix));
  const std::string path = prefix.empty() ? root_ : Location(prefix);
  std::vector<std::string> found;
  const auto names = QUERN_TRY(Names(path));
  for (const auto& [name, type] : names) {
    if (IsFolder(JoinKey(path, name), type)) found.push_back(name);
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace quern::io
