#include <fmt/format.h>

#include <algorithm>

#include "io/object_store.h"
#include "io/system_files.h"

namespace quern::io {

namespace {

std::string_view WithoutSlash(std::string_view key) {
  while (key.ends_with('/')) key.remove_suffix(1);
  return key;
}

}  // namespace

Result<void> CheckKey(std::string_view key) {
  std::string_view rest = key.starts_with('/') ? key.substr(1) : key;
  while (true) {
    const size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..") {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is no object key", key));
    }
    if (slash == std::string_view::npos) return {};
    rest.remove_prefix(slash + 1);
  }
}

std::string InMemoryObjectStore::Location(std::string_view key) const {
  return fmt::format("memory:///{}", key.starts_with('/') ? key.substr(1) : key);
}

Result<std::optional<std::string>> InMemoryObjectStore::Get(std::string_view key) {
  QUERN_TRY(CheckKey(key));
  std::shared_ptr<const std::string> bytes;
  {
    std::lock_guard lock(mutex_);
    const auto it = objects_.find(key);
    if (it == objects_.end()) return std::nullopt;
    bytes = it->second.bytes;
  }
  return *bytes;
}

Result<std::optional<std::string>> InMemoryObjectStore::GetRange(std::string_view key, int64_t offset, int64_t length) {
  if (offset < 0 || length < 0) return Fail(ErrorCode::kInvalidArgument, fmt::format("a negative range of '{}'", key));
  std::optional<std::string> bytes = QUERN_TRY(InMemoryObjectStore::Get(key));
  if (!bytes) return std::nullopt;
  if (static_cast<size_t>(offset) >= bytes->size()) return std::string();
  return bytes->substr(static_cast<size_t>(offset), static_cast<size_t>(length));
}

Result<std::optional<ObjectMeta>> InMemoryObjectStore::Head(std::string_view key) {
  QUERN_TRY(CheckKey(key));
  std::lock_guard lock(mutex_);
  const auto it = objects_.find(key);
  if (it == objects_.end()) return std::nullopt;
  return ObjectMeta{it->first, static_cast<int64_t>(it->second.bytes->size()), it->second.modified};
}

Result<void> InMemoryObjectStore::Put(std::string_view key, std::string_view bytes) {
  QUERN_TRY(CheckKey(key));
  auto copy = std::make_shared<const std::string>(bytes);
  std::lock_guard lock(mutex_);
  objects_.insert_or_assign(std::string(key), Object{std::move(copy), clock_.Now()});
  return {};
}

Result<PutResult> InMemoryObjectStore::PutIfAbsent(std::string_view key, std::string_view bytes) {
  QUERN_TRY(CheckKey(key));
  auto copy = std::make_shared<const std::string>(bytes);
  std::lock_guard lock(mutex_);
  const bool created = objects_.try_emplace(std::string(key), Object{std::move(copy), clock_.Now()}).second;
  return created ? PutResult::kCreated : PutResult::kExists;
}

Result<void> InMemoryObjectStore::Delete(std::string_view key) {
  QUERN_TRY(CheckKey(key));
  std::lock_guard lock(mutex_);
  if (const auto it = objects_.find(key); it != objects_.end()) objects_.erase(it);
  return {};
}

Result<void> InMemoryObjectStore::Sync(std::string_view key) {
  if (!QUERN_TRY(InMemoryObjectStore::Head(key))) {
    return Fail(ErrorCode::kNotFound, fmt::format("cannot sync {}: it is not there", Location(key)));
  }
  return {};
}

Result<std::vector<ObjectMeta>> InMemoryObjectStore::List(std::string_view prefix, std::string_view start_after) {
  std::vector<ObjectMeta> found;
  std::lock_guard lock(mutex_);
  const std::string_view from = std::max(prefix, start_after);
  for (auto it = objects_.lower_bound(from); it != objects_.end() && it->first.starts_with(prefix); ++it) {
    if (!start_after.empty() && it->first <= start_after) continue;
    if (it->first.find('/', prefix.size()) != std::string::npos) continue;
    found.push_back({it->first, static_cast<int64_t>(it->second.bytes->size()), it->second.modified});
  }
  return found;
}

Result<std::vector<ObjectMeta>> InMemoryObjectStore::ListRecursively(std::string_view prefix) {
  std::string folder(WithoutSlash(prefix));
  if (!folder.empty()) folder += '/';
  std::vector<ObjectMeta> found;
  std::lock_guard lock(mutex_);
  for (auto it = objects_.lower_bound(folder); it != objects_.end() && it->first.starts_with(folder); ++it) {
    found.push_back({it->first, static_cast<int64_t>(it->second.bytes->size()), it->second.modified});
  }
  return found;
}

Result<std::vector<std::string>> InMemoryObjectStore::ListFolders(std::string_view prefix) {
  std::string folder(WithoutSlash(prefix));
  if (!folder.empty()) folder += '/';
  std::vector<std::string> found;
  std::lock_guard lock(mutex_);
  for (auto it = objects_.lower_bound(folder); it != objects_.end() && it->first.starts_with(folder); ++it) {
    const std::string_view rest = std::string_view(it->first).substr(folder.size());
    const size_t slash = rest.find('/');
    if (slash == std::string_view::npos || slash == 0) continue;
    if (found.empty() || found.back() != rest.substr(0, slash)) found.emplace_back(rest.substr(0, slash));
  }
  // Keys in order are not folders in order: "a-b/" sorts before "a/".
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace quern::io
