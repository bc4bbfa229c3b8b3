#include "io/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <system_error>

#include "io/system_files.h"

namespace quern::io {

namespace {

ErrorCode CodeOf(int errno_value) {
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::kNotFound;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::kNoSpace;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::kPermissionDenied;
    default:
      return ErrorCode::kIo;
  }
}

Result<void> WriteAll(int fd, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return Fail(SystemError("cannot write", path, errno));
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace

Error SystemError(std::string_view doing, const fs::path& path, int errno_value) {
  Error error(CodeOf(errno_value),
              fmt::format("{} {}: {}", doing, path.string(), std::generic_category().message(errno_value)));
  if (errno_value == ENOSPC || errno_value == EDQUOT) {
    return std::move(error).Hint("Free some space on the disk that holds this folder, then run again.");
  }
  return error;
}

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> Fd::Close(const fs::path& path) {
  const int fd = fd_;
  fd_ = -1;
  // EINTR: Linux has closed the descriptor all the same.
  if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) return Fail(SystemError("cannot write", path, errno));
  return {};
}

Result<std::optional<std::string>> ReadIfThere(const fs::path& path, int64_t offset, int64_t length) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    return Fail(SystemError("cannot read", path, errno));
  }
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return Fail(SystemError("cannot read", path, errno));
  if (S_ISDIR(info.st_mode)) return Fail(SystemError("cannot read", path, EISDIR));
  const bool whole = length < 0;
  // What is no regular file (a pipe, /proc) tells no size: grow as it comes.
  int64_t want = whole ? (S_ISREG(info.st_mode) ? static_cast<int64_t>(info.st_size) : 0)
                       : std::max<int64_t>(0, std::min<int64_t>(length, info.st_size - offset));
  std::string bytes;
  bytes.resize(static_cast<size_t>(want));
  size_t got = 0;
  while (got < bytes.size()) {
    const ssize_t n =
        whole ? ::read(fd.get(), bytes.data() + got, bytes.size() - got)
              : ::pread(fd.get(), bytes.data() + got, bytes.size() - got, offset + static_cast<int64_t>(got));
    if (n < 0) {
      if (errno == EINTR) continue;
      return Fail(SystemError("cannot read", path, errno));
    }
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  bytes.resize(got);
  if (whole && !S_ISREG(info.st_mode)) {
    char buffer[16 * 1024];
    while (true) {
      const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Fail(SystemError("cannot read", path, errno));
      if (n == 0) break;
      bytes.append(buffer, static_cast<size_t>(n));
    }
  }
  return bytes;
}

fs::path TempNameIn(const fs::path& folder) {
  static std::atomic<uint64_t> next{0};
  // The process and a counter: unique while the process lives; a stale name of an older process is passed over by
  // O_EXCL.
  return folder / fmt::format("{}{}-{}-{:x}", kTempPrefix, ::getpid(), next.fetch_add(1),
                              std::chrono::steady_clock::now().time_since_epoch().count());
}

Result<fs::path> WriteTempFile(const fs::path& folder, std::string_view bytes, const fs::path& purpose) {
  for (int attempt = 0;; ++attempt) {
    fs::path temp = TempNameIn(folder);
    Fd fd(::open(temp.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666));
    if (fd.get() < 0) {
      if (errno == ENOENT && attempt < 3) {
        QUERN_TRY(MakeFolders(folder));
        continue;
      }
      if (errno == EEXIST && attempt < 100) continue;
      return Fail(SystemError("cannot write", purpose, errno));
    }
    Result<void> written = WriteAll(fd.get(), bytes, purpose);
    if (written && ::fsync(fd.get()) != 0) written = Fail(SystemError("cannot write", purpose, errno));
    if (written) written = fd.Close(purpose);
    if (!written) {
      ::unlink(temp.c_str());
      return Fail(std::move(written).error());
    }
    return temp;
  }
}

Result<std::string> ReadFile(const fs::path& path) {
  std::optional<std::string> bytes = QUERN_TRY(ReadIfThere(path, 0, -1));
  if (!bytes) return Fail(SystemError("cannot read", path, ENOENT));
  return *std::move(bytes);
}

Result<void> WriteFileAtomically(const fs::path& path, std::string_view bytes) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::path temp = QUERN_TRY(WriteTempFile(folder, bytes, path));
  if (::rename(temp.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temp.c_str());
    return Fail(SystemError("cannot write", path, error));
  }
  return SyncFolder(folder);
}

Result<void> SyncFile(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0 || ::fsync(fd.get()) != 0) return Fail(SystemError("cannot sync", path, errno));
  return SyncFolder(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

Result<void> SyncFolder(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return Fail(SystemError("cannot sync folder", path, errno));
  // EINVAL: a file system that has nothing to sync in a folder.
  if (::fsync(fd.get()) != 0 && errno != EINVAL) return Fail(SystemError("cannot sync folder", path, errno));
  return {};
}

Result<void> MakeFolders(const fs::path& path) {
  if (path.empty()) return {};
  if (::mkdir(path.c_str(), 0777) == 0) {
    return SyncFolder(path.has_parent_path() ? path.parent_path() : fs::path("."));
  }
  if (errno == EEXIST) {
    struct stat info{};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return Fail(ErrorCode::kIo, fmt::format("cannot make folder {}: a file of that name is there", path.string()));
  }
  if (errno != ENOENT || !path.has_parent_path() || path.parent_path() == path) {
    return Fail(SystemError("cannot make folder", path, errno));
  }
  QUERN_TRY(MakeFolders(path.parent_path()));
  if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) return Fail(SystemError("cannot make folder", path, errno));
  return SyncFolder(path.parent_path());
}

Result<void> RemoveAll(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error && error != std::errc::no_such_file_or_directory)
    return Fail(SystemError("cannot remove", path, error.value()));
  return {};
}

Result<TempFolder> TempFolder::Make(std::string_view prefix, const fs::path& parent) {
  fs::path base = parent;
  if (base.empty()) {
    const char* configured = std::getenv("TMPDIR");
    base = configured && *configured ? configured : "/tmp";
  } else {
    QUERN_TRY(MakeFolders(base));
  }
  std::string name = (base / fmt::format("{}XXXXXX", prefix)).string();
  if (!::mkdtemp(name.data())) return Fail(SystemError("cannot make a temporary folder in", base, errno));
  return TempFolder(name);
}

Result<TempFolder> TempFolder::MakeAmong(std::string_view prefix, const fs::path& parent) {
  QUERN_TRY(MakeFolders(parent));
  std::error_code error;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix) || name.size() != prefix.size() + 6) continue;
    Fd left(::open(it->path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (left.get() >= 0 && ::flock(left.get(), LOCK_EX | LOCK_NB) == 0)
      Ignore(RemoveAll(it->path()), "what a killed process left is a nuisance, not a failure");
  }
  // Another process may come between the making of a folder and its lock, and take it for an abandoned one.
  for (int tries = 0; tries < 100; tries++) {
    TempFolder folder = QUERN_TRY(Make(prefix, parent));
    folder.lock_ = ::open(folder.path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder.lock_ < 0) continue;
    struct stat there{}, held{};
    if (::flock(folder.lock_, LOCK_EX | LOCK_NB) == 0 && ::fstat(folder.lock_, &held) == 0 &&
        ::stat(folder.path_.c_str(), &there) == 0 && there.st_ino == held.st_ino)
      return folder;
  }
  return Fail(ErrorCode::kIo, fmt::format("cannot make a temporary folder in {}: others remove it", parent.string()));
}

TempFolder::TempFolder(TempFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {
  other.path_.clear();
}

TempFolder& TempFolder::operator=(TempFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  return *this;
}

TempFolder::~TempFolder() {
  if (!path_.empty()) Ignore(RemoveAll(path_), "a temporary folder that stays is a nuisance, not a failure");
  if (lock_ >= 0) ::close(lock_);
}

fs::path TempFolder::Keep() {
  return std::exchange(path_, fs::path());
}

Result<MappedFile> MappedFile::Open(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info{};
  if (fd.get() < 0 || ::fstat(fd.get(), &info) != 0) return Fail(SystemError("cannot read", path, errno));
  if (S_ISDIR(info.st_mode)) return Fail(SystemError("cannot read", path, EISDIR));
  MappedFile file;
  if (info.st_size > 0) {
    void* at = ::mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (at == MAP_FAILED) return Fail(SystemError("cannot map", path, errno));
    file.data_ = static_cast<const char*>(at);
    file.size_ = static_cast<size_t>(info.st_size);
  }
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<char*>(data_), size_);
}

}  // namespace quern::io
