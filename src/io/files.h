#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace quern::io {

namespace fs = std::filesystem;

/// The Error of a failed system call: kNotFound (ENOENT, ENOTDIR), kNoSpace (ENOSPC, EDQUOT), kPermissionDenied
/// (EACCES, EPERM, EROFS), else kIo; "doing path: reason of the system".
Error SystemError(std::string_view doing, const fs::path& path, int errno_value);

/// The whole file. Errors: kNotFound, kPermissionDenied, kIo.
Result<std::string> ReadFile(const fs::path& path);
/// Temporary file beside it, fsync, rename, fsync of the folder; makes missing parent folders. The old file, or none,
/// is there until the new one is whole.
Result<void> WriteFileAtomically(const fs::path& path, std::string_view bytes);
/// fsync of a file that somebody else wrote, and of its folder's entry.
Result<void> SyncFile(const fs::path& path);
Result<void> SyncFolder(const fs::path& path);
Result<void> MakeFolders(const fs::path& path);
/// Removes a file or a whole tree; what is missing is not an error.
Result<void> RemoveAll(const fs::path& path);

/// Files (not folders) that match, sorted bytewise, as paths that begin with `root` (an empty root: as written). `*`
/// and `?` stay inside one component, `**` as a component spans any number of folders (also none), `[a-z]` `[!a]` are
/// classes,
/// `{a,b}` are alternatives. Names that begin with '.' match only a pattern that says the dot. Links to folders are
/// followed in named components, not under `**`. A missing folder matches nothing; one that cannot be read is an error.
Result<std::vector<fs::path>> Glob(const fs::path& root, std::string_view pattern);
/// Whether a path (relative, '/'-separated) matches such a pattern; no disk.
bool PathMatches(std::string_view pattern, std::string_view path);
bool HasGlob(std::string_view pattern);  ///< it holds any of * ? [ {

/// A folder of its own, removed with all in it when the guard goes.
class TempFolder {
 public:
  /// `<parent>/<prefix>XXXXXX`; without a parent, in TMPDIR or /tmp.
  static Result<TempFolder> Make(std::string_view prefix = "quern-", const fs::path& parent = {});
  /// The same in a folder that is made if need be; those of this prefix that a killed process left there go first. Safe
  /// beside other processes that do the same: each holds its folder by flock.
  static Result<TempFolder> MakeAmong(std::string_view prefix, const fs::path& parent);
  TempFolder(TempFolder&& other) noexcept;
  TempFolder& operator=(TempFolder&& other) noexcept;
  ~TempFolder();

  const fs::path& path() const { return path_; }
  /// Leaves the folder to the caller.
  fs::path Keep();

 private:
  explicit TempFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
  int lock_ = -1;  ///< of MakeAmong: the folder itself, open
};

/// A file seen as bytes, read by the system as needed. The view is valid while the object lives; an empty file is "".
/// A file that shrinks while it is mapped ends the process by SIGBUS: only for files that nobody rewrites in place.
class MappedFile {
 public:
  static Result<MappedFile> Open(const fs::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::string_view bytes() const { return {data_, size_}; }

 private:
  MappedFile() = default;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

enum class Compression { kNone, kGzip, kZstd };
/// By the ending: .gz, .zst (case ignored), else none.
Compression CompressionOf(const fs::path& path);

/// Reads a file from its beginning to its end, decompressing as it goes, in bounded memory. Not thread-safe.
class FileReader {
 public:
  virtual ~FileReader() = default;
  /// Opens with the compression that the name says, or the given one. A gzip file of several members is their sequence,
  /// a zstd file of several frames too.
  static Result<std::unique_ptr<FileReader>> Open(const fs::path& path);
  static Result<std::unique_ptr<FileReader>> Open(const fs::path& path, Compression compression);

  /// Up to `size` bytes; 0 only at the end. Errors: kCorrupt, naming the file, when compressed data is broken or ends
  /// too early; kIo.
  virtual Result<size_t> Read(char* buffer, size_t size) = 0;
  /// Bytes of the file itself read so far, and in all: progress.
  virtual int64_t position() const = 0;
  virtual int64_t file_size() const = 0;

  /// All that is left.
  Result<std::string> ReadAll();
};

/// Compresses a whole buffer: for tests and small files. Errors: kIo.
Result<std::string> GzipCompress(std::string_view bytes);
Result<std::string> ZstdCompress(std::string_view bytes);

}  // namespace quern::io
