#include "ingest/discovery.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/text.h"

namespace quern::ingest {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kBlock = 64 * 1024;
constexpr int64_t kBlocks = 16;

Error FileError(std::string_view doing, const fs::path& path, int number) {
  const ErrorCode code = number == ENOENT || number == ENOTDIR ? ErrorCode::kNotFound
                         : number == EACCES || number == EPERM ? ErrorCode::kPermissionDenied
                                                               : ErrorCode::kIo;
  return Error(code, fmt::format("{} {}: {}", doing, path.string(), std::strerror(number)));
}

struct Walk {
  const fs::path& project;
  const PathPattern& pattern;
  const TimeZone& zone;
  bool hidden;
  std::vector<SourceFile> found;

  Result<void> Folder(const fs::path& folder, const std::string& relative, int depth) {
    std::error_code error;
    fs::directory_iterator it(folder, error);
    if (error) {
      if (error.value() == ENOENT || error.value() == ENOTDIR) return {};
      return Fail(FileError("cannot read the folder", folder, error.value()));
    }
    for (const fs::directory_iterator end; it != end; it.increment(error)) {
      if (error) return Fail(FileError("cannot read the folder", folder, error.value()));
      const std::string name = it->path().filename().string();
      if (name.starts_with('.') && !hidden) continue;
      const std::string path = relative.empty() ? name : relative + "/" + name;
      struct stat info{};
      if (::stat(it->path().c_str(), &info) != 0) {
        if (errno == ENOENT) continue;  // went away meanwhile, or a broken link
        return Fail(FileError("cannot look at", it->path(), errno));
      }
      if (S_ISDIR(info.st_mode)) {
        if (pattern.max_depth() >= 0 && depth + 1 >= pattern.max_depth()) continue;
        if (depth > 64) continue;
        if (auto ok = Folder(it->path(), path, depth + 1); !ok) return ok;
        continue;
      }
      const auto match = pattern.MatchPath(path);
      if (!match) continue;
      SourceFile file;
      file.path = path;
      file.absolute = it->path();
      if (match->time) file.time = zone.ToUtc(*match->time);
      file.size = info.st_size;
      file.modified_micros = info.st_mtim.tv_sec * 1000000 + info.st_mtim.tv_nsec / 1000;
      found.push_back(std::move(file));
    }
    return {};
  }
};

uint64_t Mix(uint64_t hash, std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<size_t>(8, bytes.size() - i));
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace

Result<std::vector<SourceFile>> FindFiles(const fs::path& project, const PathPattern& pattern, const TimeZone& zone) {
  const bool absolute = pattern.text().starts_with('/');
  const bool hidden = pattern.text().starts_with('.') || pattern.text().find("/.") != std::string::npos;
  Walk walk{project, pattern, zone, hidden, {}};
  fs::path start = project;
  if (absolute)
    start = pattern.fixed_folder().empty() ? "/" : pattern.fixed_folder();
  else if (!pattern.fixed_folder().empty())
    start = project / pattern.fixed_folder();
  if (auto ok = walk.Folder(start, pattern.fixed_folder(), 0); !ok) return Fail(std::move(ok).error());
  std::sort(walk.found.begin(), walk.found.end(), [](const SourceFile& a, const SourceFile& b) {
    return std::tie(a.time, a.path) < std::tie(b.time, b.path);
  });
  return std::move(walk.found);
}

Result<int64_t> Fingerprint(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Fail(FileError("cannot read", file, errno));
  struct stat info{};
  int failed = ::fstat(fd, &info) != 0 ? errno : 0;
  uint64_t hash = Mix(0xCBF29CE484222325ULL, std::to_string(info.st_size));
  std::string block(kBlock, '\0');
  const int64_t whole = (info.st_size + kBlock - 1) / kBlock;
  const int64_t blocks = std::min(whole, kBlocks);
  for (int64_t i = 0; i < blocks && failed == 0; ++i) {
    const int64_t index = blocks == 1 ? 0 : i * (whole - 1) / (blocks - 1);
    const ssize_t n = ::pread(fd, block.data(), block.size(), index * kBlock);
    if (n < 0)
      failed = errno;
    else
      hash = Mix(hash, std::string_view(block).substr(0, static_cast<size_t>(n)));
  }
  ::close(fd);
  if (failed != 0) return Fail(FileError("cannot read", file, failed));
  return static_cast<int64_t>(hash >> 2) | 1;
}

Compression CompressionOfName(std::string_view name) {
  const std::string lower = Lower(name);
  if (lower.ends_with(".gz")) return Compression::kGzip;
  if (lower.ends_with(".zst") || lower.ends_with(".zstd")) return Compression::kZstd;
  return Compression::kNone;
}

std::optional<Format> FormatOfName(std::string_view name) {
  std::string lower = Lower(name);
  for (const char* ending : {".gz", ".zst", ".zstd"}) {
    if (lower.ends_with(ending)) {
      lower.resize(lower.size() - std::strlen(ending));
      break;
    }
  }
  for (const char* ending : {".csv", ".tsv"}) {
    if (lower.ends_with(ending)) return Format::kCsv;
  }
  for (const char* ending : {".jsonl", ".ndjson", ".json"}) {
    if (lower.ends_with(ending)) return Format::kJsonLines;
  }
  if (lower.ends_with(".parquet")) return Format::kParquet;
  return {};
}

std::string_view FormatName(Format format) {
  switch (format) {
    case Format::kCsv:
      return "csv";
    case Format::kJsonLines:
      return "jsonl";
    case Format::kParquet:
      return "parquet";
  }
  return "";
}

}  // namespace quern::ingest
