#pragma once
// What the files of io/ share about the system's files; not for other parts.
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace quern::io {

inline constexpr std::string_view kTempPrefix = ".quern-tmp-";

/// Owns a file descriptor.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  void Reset() { *this = Fd(); }
  /// Closes and tells what a late write failed with.
  Result<void> Close(const std::filesystem::path& path);

 private:
  int fd_;
};

/// kInvalidArgument for what is no key of an object store (see ObjectStore).
Result<void> CheckKey(std::string_view key);
/// Bytes [offset, offset + length); length -1: all from the start. Nothing when there is no such file.
Result<std::optional<std::string>> ReadIfThere(const std::filesystem::path& path, int64_t offset, int64_t length);
std::filesystem::path TempNameIn(const std::filesystem::path& folder);
/// A new synced file in `folder` (made when missing); errors name `purpose`.
Result<std::filesystem::path> WriteTempFile(const std::filesystem::path& folder, std::string_view bytes,
                                            const std::filesystem::path& purpose);

}  // namespace quern::io
