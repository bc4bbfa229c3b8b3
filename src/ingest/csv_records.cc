#include "ingest/csv_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace quern::ingest {
namespace {

std::string Latin1ToUtf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + 16);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xC0 | (byte >> 6));
      out += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return out;
}

size_t FirstInvalidUtf8(std::string_view text) {
  size_t low = 0;
  while (low < text.size()) {
    size_t n = 1;
    const auto lead = static_cast<unsigned char>(text[low]);
    if (lead >= 0xF0)
      n = 4;
    else if (lead >= 0xE0)
      n = 3;
    else if (lead >= 0xC0)
      n = 2;
    if (low + n > text.size() || !IsValidUtf8(text.substr(low, n))) return low;
    low += n;
  }
  return text.size();
}

}  // namespace

CsvScanner::CsvScanner(std::unique_ptr<ByteReader> reader, CsvDialect dialect)
    : reader_(std::move(reader)), dialect_(dialect) {}

// Appends a block to the buffer; false at the end of the file.
Result<bool> CsvScanner::More() {
  if (ended_) return false;
  if (position_ > 0) {
    buffer_.erase(0, position_);
    position_ = 0;
  }
  const std::string_view block = QUERN_TRY(reader_->Next());
  if (block.empty()) {
    ended_ = true;
    return false;
  }
  buffer_ += block;
  return true;
}

Result<bool> CsvScanner::Next(CsvRecord& record) {
  if (!begun_) {
    begun_ = true;
    while (buffer_.size() < 3 && QUERN_TRY(More())) {
    }
    if (buffer_.starts_with("\xEF\xBB\xBF")) position_ = 3;
  }
  size_t begin = position_;
  size_t i = position_;
  bool quoted = false;                        // inside quotes
  bool field_start = true;                    // the next byte begins a field
  size_t first_line_end = std::string::npos;  // of an unclosed quote: where its line ends
  int64_t lines_inside = 0;
  while (true) {
    if (i >= buffer_.size()) {
      const size_t offset = i - begin;
      if (offset > kMaxRecord && quoted && first_line_end != std::string::npos)
        return CutLine(begin, first_line_end, record);
      if (offset > kMaxRecord) {
        return Fail(Error(ErrorCode::kBadRow, fmt::format("a record is longer than {}", FormatBytes(kMaxRecord)))
                        .At({"", static_cast<int>(line_)})
                        .Hint("look for a quote that is not closed"));
      }
      const size_t first = first_line_end == std::string::npos ? first_line_end : first_line_end - begin;
      const bool more = QUERN_TRY(More());
      begin = position_;
      i = begin + offset;
      if (first != std::string::npos) first_line_end = begin + first;
      if (!more) break;
      continue;
    }
    const char c = buffer_[i];
    if (quoted) {
      if (c == dialect_.escape && dialect_.escape != dialect_.quote) {
        i += 2;
        continue;
      }
      if (c == dialect_.quote) {
        if (dialect_.escape == dialect_.quote) {
          if (i + 1 >= buffer_.size() && !ended_) {
            const size_t offset = i - begin;
            const size_t first = first_line_end == std::string::npos ? first_line_end : first_line_end - begin;
            QUERN_TRY(More());
            begin = position_;
            i = begin + offset;
            if (first != std::string::npos) first_line_end = begin + first;
          }
          if (i + 1 < buffer_.size() && buffer_[i + 1] == dialect_.quote) {
            i += 2;
            continue;
          }
        }
        quoted = false;
      } else if (c == '\n') {
        ++lines_inside;
        if (first_line_end == std::string::npos) first_line_end = i;
      }
      ++i;
      continue;
    }
    if (c == '\n' || c == '\r') {
      if (c == '\r' && i + 1 >= buffer_.size() && !ended_) {
        const size_t offset = i - begin;
        const size_t first = first_line_end == std::string::npos ? first_line_end : first_line_end - begin;
        QUERN_TRY(More());
        begin = position_;
        i = begin + offset;
        if (first != std::string::npos) first_line_end = begin + first;
      }
      const size_t end = i;
      i += c == '\r' && i + 1 < buffer_.size() && buffer_[i + 1] == '\n' ? 2 : 1;
      const int64_t line = line_;
      line_ += lines_inside + 1;
      lines_inside = 0;
      first_line_end = std::string::npos;
      position_ = i;
      if (end == begin || line <= dialect_.skip_lines) {  // blank, or before the header
        begin = i;
        field_start = true;
        continue;
      }
      record.line = line;
      Cut(begin, end, record);
      return true;
    }
    if (c == dialect_.delimiter) {
      field_start = true;
    } else {
      if (field_start && dialect_.quote != 0 && c == dialect_.quote) quoted = true;
      field_start = false;
    }
    ++i;
  }
  // The end of the file.
  if (i > buffer_.size()) i = buffer_.size();
  if (begin == i) return false;
  if (quoted && first_line_end != std::string::npos) return CutLine(begin, first_line_end, record);
  record.line = line_;
  position_ = i;
  ++line_;
  if (record.line <= dialect_.skip_lines) return false;
  Cut(begin, i, record);
  return true;
}

// A quote that is never closed: its record ends with its line.
bool CsvScanner::CutLine(size_t begin, size_t end, CsvRecord& record) {
  record.line = line_++;
  position_ = end + 1;
  if (end > begin && buffer_[end - 1] == '\r') --end;
  Cut(begin, end, record);
  return true;
}

// Splits the bytes of one record into fields and finds what is wrong with them.
void CsvScanner::Cut(size_t begin, size_t end, CsvRecord& record) {
  record.text = std::string_view(buffer_).substr(begin, end - begin);
  record.fields.clear();
  record.reason.clear();
  record.column = 0;
  if (dialect_.latin1) {
    converted_ = Latin1ToUtf8(record.text);
    record.text = converted_;
  } else if (!IsValidUtf8(record.text)) {
    record.reason = "invalid UTF-8";
    record.column = static_cast<int>(FirstInvalidUtf8(record.text)) + 1;
  }
  const std::string_view text = record.text;
  const auto problem = [&record](const char* reason, size_t at) {
    if (!record.reason.empty()) return;
    record.reason = reason;
    record.column = static_cast<int>(at) + 1;
  };
  if (text.find('\0') != std::string_view::npos) problem("a NUL byte", text.find('\0'));
  size_t i = 0;
  while (true) {
    const size_t start = i;
    if (i < text.size() && dialect_.quote != 0 && text[i] == dialect_.quote) {
      ++i;
      bool closed = false;
      while (i < text.size()) {
        if (text[i] == dialect_.escape && dialect_.escape != dialect_.quote) {
          i += 2;
          continue;
        }
        if (text[i] == dialect_.quote) {
          if (dialect_.escape == dialect_.quote && i + 1 < text.size() && text[i + 1] == dialect_.quote) {
            i += 2;
            continue;
          }
          closed = true;
          ++i;
          break;
        }
        ++i;
      }
      if (!closed) {
        i = text.size();
        problem("a quoted value is not closed", start);
      } else if (i < text.size() && text[i] != dialect_.delimiter) {
        problem("text after a closing quote", i);
        while (i < text.size() && text[i] != dialect_.delimiter) ++i;
      }
    } else {
      while (i < text.size() && text[i] != dialect_.delimiter) ++i;
    }
    record.fields.push_back(text.substr(start, i - start));
    if (i >= text.size()) break;
    ++i;
  }
}

std::string Unquote(std::string_view field, const CsvDialect& dialect) {
  if (dialect.quote == 0 || field.empty() || field.front() != dialect.quote) return std::string(field);
  std::string out;
  for (size_t i = 1; i < field.size(); ++i) {
    if (field[i] == dialect.escape && i + 1 < field.size() &&
        (field[i + 1] == dialect.quote || field[i + 1] == dialect.escape)) {
      out += field[++i];
    } else if (field[i] == dialect.quote) {
      break;
    } else {
      out += field[i];
    }
  }
  return out;
}

Result<std::vector<std::string>> ReadHeader(const SourceFile& file, const CsvDialect& dialect) {
  auto reader = QUERN_TRY(ByteReader::Open(file.absolute, CompressionOfName(file.path), file.path));
  CsvScanner scanner(std::move(reader), dialect);
  CsvRecord record;
  std::vector<std::string> names;
  if (!QUERN_TRY(scanner.Next(record))) return names;
  if (!record.reason.empty()) {
    return Fail(Error(ErrorCode::kBadRow, fmt::format("the header is broken: {}", record.reason))
                    .At({file.path, static_cast<int>(record.line), record.column}));
  }
  std::set<std::string> seen;
  int position = 1;
  for (const std::string_view field : record.fields) {
    std::string name = dialect.header ? Unquote(field, dialect) : fmt::format("column{}", names.size());
    if (dialect.header) name = std::string(Trim(name));
    const SourcePos pos{file.path, static_cast<int>(record.line), position};
    if (name.empty()) {
      return Fail(
          Error(ErrorCode::kBadRow, fmt::format("column {} has no name in the header", names.size() + 1)).At(pos));
    }
    if (!seen.insert(Lower(name)).second) {
      return Fail(Error(ErrorCode::kContract, fmt::format("the header names the column '{}' twice", name))
                      .At(pos)
                      .Hint("names are compared without case"));
    }
    names.push_back(std::move(name));
    position += static_cast<int>(field.size()) + 1;
  }
  return names;
}

}  // namespace quern::ingest
