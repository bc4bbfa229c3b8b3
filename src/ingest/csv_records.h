#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/byte_reader.h"
#include "ingest/discovery.h"

namespace quern::ingest {

struct CsvDialect {
  char delimiter = ',';
  char quote = '"';  ///< 0: none
  char escape = '"';
  bool header = true;
  int64_t skip_lines = 0;  ///< in front of the header
  bool latin1 = false;     ///< else UTF-8
};

/// One record, as the scanner cuts it out of the bytes.
struct CsvRecord {
  int64_t line = 0;                      ///< of its first byte, from 1
  std::string_view text;                 ///< without the line end; UTF-8 when the record is good
  std::vector<std::string_view> fields;  ///< raw, quotes included
  std::string reason;                    ///< "" when its quoting and encoding are right
  int column = 0;                        ///< of the problem, in bytes from 1
};

/// Cuts a CSV file into records, exactly: quoted line ends, \n, \r\n and \r, any compression. A byte-order mark and
/// blank lines are left out. A quoted value that is not closed takes the rest of its line, so that what follows is not
/// swallowed. Memory is bounded by the longest record (`kMaxRecord`); a longer one is an error.
class CsvScanner {
 public:
  static constexpr size_t kMaxRecord = 16u << 20;

  CsvScanner(std::unique_ptr<ByteReader> reader, CsvDialect dialect);
  /// False at the end. The record's views are valid until the next call. Errors: those of the reader, kBadRow (too
  /// long).
  Result<bool> Next(CsvRecord& record);

 private:
  Result<bool> More();
  bool CutLine(size_t begin, size_t end, CsvRecord& record);
  void Cut(size_t begin, size_t end, CsvRecord& record);

  std::unique_ptr<ByteReader> reader_;
  CsvDialect dialect_;
  std::string buffer_;
  size_t position_ = 0;
  int64_t line_ = 1;
  bool ended_ = false;
  bool begun_ = false;
  std::string converted_;
};

/// A field's text without its quotes.
std::string Unquote(std::string_view field, const CsvDialect& dialect);

/// The column names in a file's header; with `header: false` as many "column0", ... as the first record has fields.
/// Empty when the file holds no record at all. Errors: kBadRow for a broken header and for a name that is empty;
/// kContract for two names that are equal but for case; those of the reader.
Result<std::vector<std::string>> ReadHeader(const SourceFile& file, const CsvDialect& dialect);

}  // namespace quern::ingest
