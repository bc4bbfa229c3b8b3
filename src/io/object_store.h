#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace quern::io {

struct ObjectMeta {
  std::string key;
  int64_t size = 0;
  Timestamp modified;
};

enum class PutResult { kCreated, kExists };

/// A flat space of immutable-by-convention byte objects under '/'-separated keys ("sales/_delta_log/0.json"), without a
/// leading or doubled '/', and without "." or ".." as a component (kInvalidArgument). Thread-safe.
/// A missing object is an empty optional, never an error. Errors: kNoSpace, kPermissionDenied, kIo, each naming the
/// object.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  virtual Result<std::optional<std::string>> Get(std::string_view key) = 0;
  /// Bytes [offset, offset + length), cut at the object's end.
  virtual Result<std::optional<std::string>> GetRange(std::string_view key, int64_t offset, int64_t length) = 0;
  virtual Result<std::optional<ObjectMeta>> Head(std::string_view key) = 0;

  /// Replaces or creates; readers see the old or the new bytes, never a part. Durable when it returns.
  virtual Result<void> Put(std::string_view key, std::string_view bytes) = 0;
  /// Creates the object unless it exists; of several callers exactly one gets kCreated. Durable when it returns
  /// kCreated. After an *error* the object may be there or not: read it back.
  virtual Result<PutResult> PutIfAbsent(std::string_view key, std::string_view bytes) = 0;
  /// Deleting what is missing is not an error.
  virtual Result<void> Delete(std::string_view key) = 0;
  /// Makes durable what another writer (the engine's own file system) has put under the key. A missing object:
  /// kNotFound.
  virtual Result<void> Sync(std::string_view key) = 0;

  /// The objects whose key begins with `prefix`, lies in the prefix's own folder (nothing after a further '/') and
  /// sorts after `start_after` (a whole key; "" = from the start), by key (bytewise). Cost: one listing of that folder.
  virtual Result<std::vector<ObjectMeta>> List(std::string_view prefix, std::string_view start_after) = 0;
  Result<std::vector<ObjectMeta>> List(std::string_view prefix) { return List(prefix, ""); }
  /// Everything under the folder `prefix`, however deep, by key.
  virtual Result<std::vector<ObjectMeta>> ListRecursively(std::string_view prefix) = 0;
  /// Names of the folders directly in the folder `prefix` ("" = the root), sorted; folders that hold nothing may be
  /// missing.
  virtual Result<std::vector<std::string>> ListFolders(std::string_view prefix) = 0;

  /// What the engine opens, and people read: an absolute path for local files, else a URL.
  virtual std::string Location(std::string_view key) const = 0;
};

/// Joins two key parts by exactly one '/'; an empty part leaves the other.
std::string JoinKey(std::string_view folder, std::string_view name);

/// Files under a root folder. A key that begins with '/' names that absolute path itself (Delta's shallow clones).
/// Put: temporary file, fsync, rename, fsync of the folder. PutIfAbsent: the same with link(). Folders are made as
/// needed. Temporary files are called ".quern-tmp-*", are not listed, and are left behind by a killed process only.
class LocalObjectStore : public ObjectStore {
 public:
  explicit LocalObjectStore(std::filesystem::path root);

  using ObjectStore::List;
  Result<std::optional<std::string>> Get(std::string_view key) override;
  Result<std::optional<std::string>> GetRange(std::string_view key, int64_t offset, int64_t length) override;
  Result<std::optional<ObjectMeta>> Head(std::string_view key) override;
  Result<void> Put(std::string_view key, std::string_view bytes) override;
  Result<PutResult> PutIfAbsent(std::string_view key, std::string_view bytes) override;
  Result<void> Delete(std::string_view key) override;
  Result<void> Sync(std::string_view key) override;
  Result<std::vector<ObjectMeta>> List(std::string_view prefix, std::string_view start_after) override;
  Result<std::vector<ObjectMeta>> ListRecursively(std::string_view prefix) override;
  Result<std::vector<std::string>> ListFolders(std::string_view prefix) override;
  std::string Location(std::string_view key) const override;

 private:
  Result<std::string> PathOf(std::string_view key) const;
  std::string root_;
};

/// Keeps everything in memory: for tests and scratch tables.
class InMemoryObjectStore : public ObjectStore {
 public:
  explicit InMemoryObjectStore(const Clock& clock = Clock::System()) : clock_(clock) {}

  using ObjectStore::List;
  Result<std::optional<std::string>> Get(std::string_view key) override;
  Result<std::optional<std::string>> GetRange(std::string_view key, int64_t offset, int64_t length) override;
  Result<std::optional<ObjectMeta>> Head(std::string_view key) override;
  Result<void> Put(std::string_view key, std::string_view bytes) override;
  Result<PutResult> PutIfAbsent(std::string_view key, std::string_view bytes) override;
  Result<void> Delete(std::string_view key) override;
  Result<void> Sync(std::string_view key) override;
  Result<std::vector<ObjectMeta>> List(std::string_view prefix, std::string_view start_after) override;
  Result<std::vector<ObjectMeta>> ListRecursively(std::string_view prefix) override;
  Result<std::vector<std::string>> ListFolders(std::string_view prefix) override;
  std::string Location(std::string_view key) const override;  ///< "memory:///key"

 private:
  struct Object {
    std::shared_ptr<const std::string> bytes;
    Timestamp modified;
  };
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Object, std::less<>> objects_;
};

}  // namespace quern::io
