#include "tracking/artifacts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "base/text.h"

namespace quern::tracking {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrepared = ".prepared-";

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// fsync of every file and folder of a tree, the innermost first.
Result<void> SyncTree(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->is_symlink()) continue;
    if (at->is_directory()) {
      QUERN_TRY(SyncTree(at->path()));
    } else {
      const int fd = ::open(at->path().c_str(), O_RDONLY | O_CLOEXEC);
      const int failed = fd < 0 ? errno : (::fsync(fd) == 0 ? 0 : errno);
      if (fd >= 0) ::close(fd);
      if (failed != 0) return Fail(io::SystemError("cannot sync", at->path(), failed));
    }
  }
  if (error) return Fail(io::SystemError("cannot read folder", folder, error.value()));
  return io::SyncFolder(folder);
}

/// Folders prepared for `destination` that a killed process has left.
Result<void> RemoveLeftovers(const fs::path& destination) {
  const std::string prefix = std::string(kPrepared) + destination.filename().string() + "-";
  std::vector<fs::path> left;
  std::error_code error;
  for (fs::directory_iterator at(destination.parent_path(), error), end; !error && at != end; at.increment(error)) {
    if (at->path().filename().string().starts_with(prefix)) left.push_back(at->path());
  }
  for (const auto& path : left) QUERN_TRY(io::RemoveAll(path));
  return {};
}

}  // namespace

std::string FileUri(const fs::path& path) {
  std::error_code ignored;
  const std::string text = fs::absolute(path, ignored).lexically_normal().string();
  std::string uri = "file://";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("/-_.~").find(c) != std::string_view::npos) {
      uri += c;
    } else {
      uri += fmt::format("%{:02X}", byte);
    }
  }
  return uri;
}

std::optional<fs::path> PathOfUri(std::string_view uri) {
  if (!uri.starts_with("file:")) {
    if (uri.empty() || uri.find(":/") != std::string_view::npos) return std::nullopt;
    return fs::path(uri);
  }
  uri.remove_prefix(5);
  if (uri.starts_with("//")) {
    uri.remove_prefix(2);
    const size_t slash = uri.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const std::string_view host = uri.substr(0, slash);
    if (!host.empty() && host != "localhost") return std::nullopt;
    uri.remove_prefix(slash);
  }
  std::string text;
  for (size_t i = 0; i < uri.size(); ++i) {
    if (uri[i] == '%' && i + 2 < uri.size() && HexDigit(uri[i + 1]) >= 0 && HexDigit(uri[i + 2]) >= 0) {
      text += static_cast<char>(HexDigit(uri[i + 1]) * 16 + HexDigit(uri[i + 2]));
      i += 2;
    } else {
      text += uri[i];
    }
  }
  return fs::path(text);
}

Result<io::TempFolder> PrepareArtifacts(const fs::path& run_folder) {
  QUERN_TRY(io::MakeFolders(run_folder.parent_path()));
  auto prepared = QUERN_TRY(
      io::TempFolder::Make(std::string(kPrepared) + run_folder.filename().string() + "-", run_folder.parent_path()));
  // A temporary folder is its owner's alone; what it becomes is for all who may read its parent.
  struct stat parent{};
  if (::stat(run_folder.parent_path().c_str(), &parent) != 0 ||
      ::chmod(prepared.path().c_str(), parent.st_mode & 0777) != 0) {
    return Fail(io::SystemError("cannot make readable", prepared.path(), errno));
  }
  return prepared;
}

Result<void> PublishArtifacts(io::TempFolder prepared, const fs::path& run_folder) {
  QUERN_TRY(SyncTree(prepared.path()));
  if (::rename(prepared.path().c_str(), run_folder.c_str()) != 0) {
    // A folder that is not empty is not replaced by rename: the two change places, then the old one goes.
    bool replaced = ::renameat2(AT_FDCWD, prepared.path().c_str(), AT_FDCWD, run_folder.c_str(), RENAME_EXCHANGE) == 0;
    if (!replaced && (errno == EINVAL || errno == ENOSYS)) {
      QUERN_TRY(io::RemoveAll(run_folder));
      replaced = ::rename(prepared.path().c_str(), run_folder.c_str()) == 0;
    }
    if (!replaced) return Fail(io::SystemError("cannot put artifacts in place at", run_folder, errno));
  }
  QUERN_TRY(io::SyncFolder(run_folder.parent_path()));
  return RemoveLeftovers(run_folder);
}

Result<void> CopyFolderAtomically(const fs::path& source, const fs::path& destination) {
  auto prepared = QUERN_TRY(PrepareArtifacts(destination));
  std::error_code error;
  fs::copy(source, prepared.path(), fs::copy_options::recursive, error);
  if (error) return Fail(io::SystemError("cannot copy", source, error.value()));
  return PublishArtifacts(std::move(prepared), destination);
}

}  // namespace quern::tracking
