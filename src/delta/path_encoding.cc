#include "delta/path_encoding.h"

#include <fmt/format.h>

#include "base/text.h"
#include "io/object_store.h"

namespace quern::delta {

namespace {

constexpr std::string_view kHex = "0123456789ABCDEF";

void AppendEncoded(std::string& out, unsigned char c) {
  out += '%';
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The scheme's length when the text begins with one ("s3", "file"), else 0.
size_t SchemeLength(std::string_view path) {
  size_t n = 0;
  while (n < path.size() && (std::isalnum(static_cast<unsigned char>(path[n])) ||
                             (n > 0 && (path[n] == '+' || path[n] == '-' || path[n] == '.'))))
    ++n;
  // "a:b.parquet" is a file; a scheme is followed by a slash.
  return n > 1 && path.substr(n).starts_with(":/") ? n : 0;
}

}  // namespace

std::string EncodePath(std::string_view path) {
  constexpr std::string_view kPlain = "-_.!~*'();/:@&=+$,";
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || std::isalnum(byte) || kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      AppendEncoded(out, byte);
    }
  }
  return out;
}

std::string DecodePath(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%' && i + 2 < path.size()) {
      const int high = HexDigit(path[i + 1]);
      const int low = HexDigit(path[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    out += path[i];
  }
  return out;
}

bool IsAbsolute(std::string_view path) {
  return path.starts_with('/') || SchemeLength(path) > 0;
}

Result<std::string> ObjectKey(std::string_view root, std::string_view log_path) {
  if (const size_t scheme = SchemeLength(log_path)) {
    if (log_path.substr(0, scheme) != "file") {
      return Fail(ErrorCode::kUnsupportedFeature,
                  fmt::format("the table refers to a file in another store: {}", log_path));
    }
    std::string_view rest = log_path.substr(scheme + 1);
    // file:///a, file://localhost/a, file:/a
    if (rest.starts_with("//")) {
      rest.remove_prefix(2);
      rest.remove_prefix(std::min(rest.find('/'), rest.size()));
    }
    return DecodePath(rest);
  }
  std::string decoded = DecodePath(log_path);
  if (decoded.starts_with('/')) return decoded;
  for (const std::string& part : Split(decoded, '/')) {
    if (part == "..")
      return Fail(ErrorCode::kCorruptLog, fmt::format("the log names a file outside of the table: {}", log_path));
  }
  return io::JoinKey(root, decoded);
}

std::optional<std::string> CanonicalPath(std::string_view log_path) {
  if (!IsAbsolute(log_path)) return std::nullopt;
  Result<std::string> key = ObjectKey("", log_path);
  if (!key || *key == log_path) return std::nullopt;
  return *std::move(key);
}

std::string EscapePartition(std::string_view text) {
  constexpr std::string_view kEscaped = "\"#%'*/:=?\\\x7F{[]^";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || kEscaped.find(c) != std::string_view::npos) {
      AppendEncoded(out, byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string UnescapePartition(std::string_view text) {
  return DecodePath(text);
}

std::string PartitionFolder(const PartitionValues& values) {
  std::string out;
  for (const auto& [column, value] : values.entries()) {
    if (!out.empty()) out += '/';
    out += EscapePartition(column);
    out += '=';
    out += value && !value->empty() ? EscapePartition(*value) : "__HIVE_DEFAULT_PARTITION__";
  }
  return out;
}

}  // namespace quern::delta
