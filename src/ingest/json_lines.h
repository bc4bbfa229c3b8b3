#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "ingest/byte_reader.h"

namespace quern::ingest {

struct JsonLine {
  int64_t line = 0;       ///< from 1
  std::string_view text;  ///< trimmed
  std::string reason;     ///< "" when it is one JSON object in UTF-8 without repeated keys at its top
  int column = 0;         ///< of the problem, in bytes from 1; 0 unknown
};

/// Cuts a JSON-lines file into lines and checks each. Blank lines are left out.
class JsonLineScanner {
 public:
  static constexpr size_t kMaxLine = 16u << 20;

  explicit JsonLineScanner(std::unique_ptr<ByteReader> reader) : reader_(std::move(reader)) {}
  /// False at the end; the text is valid until the next call. Errors: those of the reader, kBadRow (too long).
  Result<bool> Next(JsonLine& line);

 private:
  std::unique_ptr<ByteReader> reader_;
  std::string buffer_;
  size_t position_ = 0;
  int64_t line_ = 1;
  bool ended_ = false;
};

/// What is wrong with a line as a row of a table; fills reason and column.
void CheckJsonLine(JsonLine& line);

}  // namespace quern::ingest
