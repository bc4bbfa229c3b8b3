#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "ingest/path_pattern.h"

namespace quern::ingest {

enum class Format { kCsv, kJsonLines, kParquet };
enum class Compression { kNone, kGzip, kZstd };

/// A file that matches a table's path pattern.
struct SourceFile {
  std::string path;  ///< relative to the project, '/' between
  std::filesystem::path absolute;
  std::optional<Timestamp> time;  ///< the logical time in its path, in UTC
  int64_t size = 0;
  int64_t modified_micros = 0;
};

/// Files that match, ordered by (logical time, path); none without logical time come first. A folder that is missing
/// gives none. Hidden files are left out unless the pattern's component begins with '.'. `zone` is the zone of the
/// times in paths. Errors: kPermissionDenied, kIo.
Result<std::vector<SourceFile>> FindFiles(const std::filesystem::path& project, const PathPattern& pattern,
                                          const TimeZone& zone);

/// Tells content apart: a positive number made of the size and up to 1 MiB of the content in evenly spread blocks.
/// Errors: kNotFound, kPermissionDenied, kIo.
Result<int64_t> Fingerprint(const std::filesystem::path& file);

/// By the name's endings (".csv.gz"). Nothing when the ending says nothing.
std::optional<Format> FormatOfName(std::string_view name);
Compression CompressionOfName(std::string_view name);
std::string_view FormatName(Format format);

}  // namespace quern::ingest
