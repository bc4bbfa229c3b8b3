#pragma once
#include <filesystem>
#include <memory>
#include <string_view>

#include "base/cancellation.h"
#include "base/result.h"
#include "ingest/discovery.h"

namespace quern::ingest {

/// Streams a file's content, decompressed, in blocks. What a reader of CSV cannot see, it does: a compressed file that
/// ends before its end (even where a line ends), a wrong checksum, bytes that are no such stream are errors, never
/// short data.
class ByteReader {
 public:
  /// `name` stands for the file in errors. Errors: kNotFound, kPermissionDenied, kIo.
  static Result<std::unique_ptr<ByteReader>> Open(const std::filesystem::path& file, Compression compression,
                                                  std::string name);
  virtual ~ByteReader() = default;
  /// The next block, valid until the next call; empty at the end. Errors: kCorrupt, kIo.
  virtual Result<std::string_view> Next() = 0;
};

/// Reads a compressed file to its end to see that it is whole. Plain files are only opened.
Result<void> VerifyWhole(const std::filesystem::path& file, Compression compression, std::string name,
                         const Cancellation& cancellation);

}  // namespace quern::ingest
