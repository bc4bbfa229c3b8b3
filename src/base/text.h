#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

std::vector<std::string> Split(std::string_view text, char separator);  ///< keeps empty fields; "" gives {""}
std::vector<std::string> SplitWords(std::string_view text);             ///< by runs of white space, no empty words
std::string Join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view Trim(std::string_view text);  ///< a view into `text`
std::string Lower(std::string_view text);      ///< ASCII only
std::string Upper(std::string_view text);      ///< ASCII only
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
std::string ReplaceAll(std::string text, std::string_view from, std::string_view to);
bool IsValidUtf8(std::string_view bytes);
/// Number of code points; `text` must be valid UTF-8.
size_t Utf8Length(std::string_view text);

/// Shell-style match of a whole text: `*`, `?`, `[a-z]`; `*` also matches '/'. Linear in practice, never exponential.
bool GlobMatch(std::string_view pattern, std::string_view text);

/// The candidate nearest to `word` (optimal string alignment distance, at most a third of its length), for
/// "did you mean". Nothing when none is near.
std::optional<std::string> Nearest(std::string_view word, const std::vector<std::string>& candidates);
/// "did you mean 'x'?" or "" .
std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates);

/// SQL identifier in double quotes, inner quotes doubled; SQL string in single quotes.
std::string QuoteIdentifier(std::string_view name);
std::string QuoteLiteral(std::string_view text);

std::string HexEncode(std::string_view bytes);
/// SHA-256 in lower-case hexadecimal (64 characters).
std::string Sha256Hex(std::string_view bytes);
/// MD5 in lower-case hexadecimal (dbt's checksums and unique ids of tests).
std::string Md5Hex(std::string_view bytes);

/// "1,234,567"; "1.2 s", "350 ms"; "1.4 MB" (powers of 1,000).
std::string FormatCount(int64_t n);
std::string FormatDuration(double seconds);
std::string FormatBytes(int64_t bytes);

/// 1-based line and column (in bytes) of a byte offset.
struct LineColumn {
  int line = 1;
  int column = 1;
};
LineColumn LineColumnAt(std::string_view text, size_t offset);

}  // namespace quern
