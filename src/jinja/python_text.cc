#include "jinja/python_text.h"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "jinja/thrown.h"

namespace quern::jinja {

// --- numbers -------------------------------------------------------------------------------------------------------
std::string FloatRepr(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
  char buffer[40];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), d, std::chars_format::scientific);
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  size_t e = text.find('e');
  int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  std::string digits;
  std::string out;
  for (char c : text.substr(0, e)) {
    if (c == '-') {
      out = "-";
    } else if (c != '.') {
      digits += c;
    }
  }
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (digits.size() > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::optional<int64_t> ParseInt(std::string_view text, int base) {
  text = Strip(text);
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  auto prefix = [&](char lower, int its_base) {
    if (base != its_base && base != 0) return;
    if (text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == lower) {
      text.remove_prefix(2);
      base = its_base;
      if (text.size() > 1 && text[0] == '_') text.remove_prefix(1);
    }
  };
  prefix('x', 16);
  prefix('o', 8);
  prefix('b', 2);
  if (base == 0) base = 10;
  std::string digits(negative ? "-" : "");
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_') {
      if (i == 0 || i + 1 == text.size() || text[i + 1] == '_') return std::nullopt;
      continue;
    }
    if (text[i] == '-' || text[i] == '+') return std::nullopt;
    digits += text[i];
  }
  int64_t value = 0;
  const char* end = digits.data() + digits.size();
  auto [at, error] = std::from_chars(digits.data(), end, value, base);
  if (error != std::errc() || at != end) return std::nullopt;
  return value;
}

std::optional<double> ParseFloat(std::string_view text) {
  text = Strip(text);
  std::string clean;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_') {
      auto digit = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
      if (i == 0 || !digit(i - 1) || !digit(i + 1)) return std::nullopt;
      continue;
    }
    clean += static_cast<char>(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
  }
  std::string_view body = clean;
  bool negative = false;
  if (!body.empty() && (body[0] == '+' || body[0] == '-')) {
    negative = body[0] == '-';
    body.remove_prefix(1);
  }
  if (body == "inf" || body == "infinity") return negative ? -INFINITY : INFINITY;
  if (body == "nan") return NAN;
  if (body.empty() || body.find_first_not_of("0123456789.e+-") != std::string_view::npos) return std::nullopt;
  if (body[0] == '+' || body[0] == '-') return std::nullopt;
  double value = 0;
  auto [at, error] = std::from_chars(body.data(), body.data() + body.size(), value);
  if (at != body.data() + body.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range)
    value = std::strtod(std::string(body).c_str(), nullptr);
  else if (error != std::errc())
    return std::nullopt;
  return negative ? -value : value;
}

// --- characters ----------------------------------------------------------------------------------------------------
size_t CharacterBytes(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char c = byte(at);
  size_t bytes = c < 0x80 ? 1 : (c >> 5) == 6 ? 2 : (c >> 4) == 14 ? 3 : (c >> 3) == 30 ? 4 : 1;
  if (at + bytes > text.size()) return 1;
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(at + i) >> 6) != 2) return 1;
  }
  return bytes;
}
bool IsAscii(std::string_view text) {
  for (char c : text) {
    if (c & 0x80) return false;
  }
  return true;
}
size_t CharacterCount(std::string_view text) {
  if (IsAscii(text)) return text.size();
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at += CharacterBytes(text, at)) ++count;
  return count;
}
size_t CharacterOffset(std::string_view text, size_t n) {
  if (IsAscii(text)) return std::min(n, text.size());
  size_t at = 0;
  while (n-- > 0 && at < text.size()) at += CharacterBytes(text, at);
  return at;
}
uint32_t DecodeCharacter(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[at + i])); };
  switch (CharacterBytes(text, at)) {
    case 2:
      return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
    case 3:
      return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    case 4:
      return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    default:
      return byte(0);
  }
}
void AppendUtf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

void AppendStringRepr(std::string& out, std::string_view text) {
  char quote = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
  out += quote;
  for (size_t at = 0; at < text.size();) {
    size_t bytes = CharacterBytes(text, at);
    char c = text[at];
    uint32_t code = DecodeCharacter(text, at);
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (code < 0x20 || code == 0x7F || (bytes == 1 && code >= 0x80) || (code >= 0x80 && code <= 0xA0) ||
               code == 0xAD) {
      out += fmt::format("\\x{:02x}", code);
    } else if ((code >= 0x2000 && code <= 0x200F) || (code >= 0x2028 && code <= 0x202F) || code == 0xFEFF ||
               code == 0x3000) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      out += text.substr(at, bytes);
    }
    at += bytes;
  }
  out += quote;
}

bool IsSpace(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}
std::string_view Strip(std::string_view text, bool left, bool right) {
  while (left && !text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (right && !text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

namespace {

uint32_t UpperOf(uint32_t c) {
  if (c >= 'a' && c <= 'z') return c - 32;
  if (c < 0x80) return c;
  if ((c >= 0xE0 && c <= 0xFE && c != 0xF7)) return c - 32;
  if (c == 0xFF) return 0x178;
  if (c == 0xB5) return 0x39C;
  if ((c >= 0x100 && c <= 0x137) || (c >= 0x14A && c <= 0x177)) return c & ~1U;
  if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E)) return c % 2 == 0 ? c - 1 : c;
  if (c >= 0x3B1 && c <= 0x3C9 && c != 0x3C2) return c - 32;
  if (c == 0x3C2) return 0x3A3;
  if (c >= 0x430 && c <= 0x44F) return c - 32;
  if (c >= 0x450 && c <= 0x45F) return c - 80;
  return c;
}
uint32_t LowerOf(uint32_t c) {
  if (c >= 'A' && c <= 'Z') return c + 32;
  if (c < 0x80) return c;
  if (c >= 0xC0 && c <= 0xDE && c != 0xD7) return c + 32;
  if (c == 0x178) return 0xFF;
  if ((c >= 0x100 && c <= 0x137 && c != 0x130) || (c >= 0x14A && c <= 0x177)) return c | 1U;
  if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E)) return c % 2 == 1 ? c + 1 : c;
  if (c >= 0x391 && c <= 0x3A9 && c != 0x3A2) return c + 32;
  if (c >= 0x410 && c <= 0x42F) return c + 32;
  if (c >= 0x400 && c <= 0x40F) return c + 80;
  return c;
}
template <class F>
std::string MapCharacters(std::string_view text, F map) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    size_t bytes = CharacterBytes(text, at);
    if (bytes == 1 && (text[at] & 0x80)) {
      out += text[at];
    } else {
      AppendUtf8(out, map(DecodeCharacter(text, at)));
    }
    at += bytes;
  }
  return out;
}

}  // namespace

std::string UpperText(std::string_view text) {
  std::string upper = MapCharacters(text, UpperOf);
  // The one common letter whose upper case is two.
  for (size_t at = 0; (at = upper.find("\xC3\x9F", at)) != std::string::npos;) upper.replace(at, 2, "SS");
  return upper;
}
std::string LowerText(std::string_view text) {
  return MapCharacters(text, LowerOf);
}
bool IsUpperLetter(uint32_t c) {
  return LowerOf(c) != c;
}
bool IsLowerLetter(uint32_t c) {
  return UpperOf(c) != c || c == 0xDF;
}
bool IsLetter(uint32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return c >= 0xC0 && c != 0xD7 && c != 0xF7 && !(c >= 0x2000 && c <= 0x2BFF) && !(c >= 0x3000 && c <= 0x3004) &&
         c != 0xFEFF && !(c >= 0x1F000 && c <= 0x1FAFF);
}

// --- format specifications -----------------------------------------------------------------------------------------
namespace {

struct Spec {
  std::string fill = " ";
  char align = 0;
  char sign = '-';
  bool alternate = false;
  bool zero = false;
  size_t width = 0;
  char grouping = 0;
  int precision = -1;
  char type = 0;
};

constexpr size_t kMaxWidth = 100000;

std::string Pad(std::string body, const Spec& spec, char default_align, size_t prefix = 0) {
  size_t length = CharacterCount(body);
  if (length >= spec.width) return body;
  size_t missing = spec.width - length;
  auto fill = [&](size_t n) {
    std::string out;
    for (size_t i = 0; i < n; ++i) out += spec.fill;
    return out;
  };
  switch (spec.align ? spec.align : default_align) {
    case '<':
      return body + fill(missing);
    case '^':
      return fill(missing / 2) + body + fill(missing - missing / 2);
    case '=':
      return body.substr(0, prefix) + fill(missing) + body.substr(prefix);
    default:
      return fill(missing) + body;
  }
}

std::string Grouped(std::string digits, char separator, size_t every) {
  if (!separator) return digits;
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % every == 0) out += separator;
    out += digits[i];
  }
  return out;
}

/// Digits of an absolute value in a printf-like style ('f', 'e', 'g' and the like).
std::string FloatDigits(double d, char type, int precision, bool alternate) {
  bool upper = type == 'F' || type == 'E' || type == 'G';
  if (std::isnan(d)) return upper ? "NAN" : "nan";
  if (std::isinf(d)) return upper ? "INF" : "inf";
  std::string format = std::string("%") + (alternate ? "#" : "") + ".*" + type;
  int size = std::snprintf(nullptr, 0, format.c_str(), precision, d);
  std::string out(static_cast<size_t>(size) + 1, '\0');
  std::snprintf(out.data(), out.size(), format.c_str(), precision, d);
  out.pop_back();
  return out;
}

std::string FormatInt(int64_t value, const Spec& spec) {
  bool negative = value < 0;
  uint64_t magnitude = negative ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  std::string digits;
  std::string prefix = negative ? "-" : spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
  size_t every = 3;
  switch (spec.type) {
    case 'b':
      digits = fmt::format("{:b}", magnitude);
      if (spec.alternate) prefix += "0b";
      every = 4;
      break;
    case 'o':
      digits = fmt::format("{:o}", magnitude);
      if (spec.alternate) prefix += "0o";
      every = 4;
      break;
    case 'x':
      digits = fmt::format("{:x}", magnitude);
      if (spec.alternate) prefix += "0x";
      every = 4;
      break;
    case 'X':
      digits = fmt::format("{:X}", magnitude);
      if (spec.alternate) prefix += "0X";
      every = 4;
      break;
    case 'c': {
      std::string out;
      AppendUtf8(out, static_cast<uint32_t>(std::clamp<int64_t>(value, 0, 0x10FFFF)));
      return Pad(out, spec, '<');
    }
    default:
      digits = std::to_string(magnitude);
      break;
  }
  return Pad(prefix + Grouped(digits, spec.grouping, every), spec, spec.zero ? '=' : '>', prefix.size());
}

std::string FormatFloat(double value, Spec spec) {
  bool negative = std::signbit(value) && !std::isnan(value);
  std::string prefix = negative ? "-" : spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
  std::string digits;
  double magnitude = std::abs(value);
  int precision = std::min(spec.precision, 1000);
  if (spec.type == 0 && precision < 0) {
    digits = FloatRepr(magnitude);
  } else if (spec.type == 0) {
    digits = FloatDigits(magnitude, 'g', precision == 0 ? 1 : precision, false);
    if (digits.find_first_of(".en") == std::string::npos) digits += ".0";
  } else if (spec.type == '%') {
    digits = FloatDigits(magnitude * 100, 'f', precision < 0 ? 6 : precision, spec.alternate) + "%";
  } else {
    char type = spec.type == 'n' ? 'g' : spec.type;
    digits = FloatDigits(magnitude, type, precision < 0 ? 6 : precision, spec.alternate);
  }
  if (spec.grouping) {
    size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
    digits = Grouped(digits.substr(0, whole), spec.grouping, 3) + digits.substr(whole);
  }
  return Pad(prefix + digits, spec, spec.zero ? '=' : '>', prefix.size());
}

Spec ParseSpec(std::string_view text) {
  Spec spec;
  auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  size_t at = 0;
  if (!text.empty()) {
    size_t first = CharacterBytes(text, 0);
    if (text.size() > first && is_align(text[first])) {
      spec.fill = std::string(text.substr(0, first));
      spec.align = text[first];
      at = first + 1;
    } else if (is_align(text[0])) {
      spec.align = text[0];
      at = 1;
    }
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-' || text[at] == ' ')) spec.sign = text[at++];
  if (at < text.size() && text[at] == '#') spec.alternate = true, ++at;
  if (at < text.size() && text[at] == '0') {
    spec.zero = true;
    if (!spec.align) {
      spec.fill = "0";
    }
    ++at;
  }
  auto number = [&] {
    size_t n = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9')
      n = std::min<size_t>(n * 10 + static_cast<size_t>(text[at++] - '0'), kMaxWidth + 1);
    if (n > kMaxWidth) ThrowLimit("the width of a format is larger than {}", kMaxWidth);
    return n;
  };
  spec.width = number();
  if (at < text.size() && (text[at] == ',' || text[at] == '_')) spec.grouping = text[at++];
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (at >= text.size() || text[at] < '0' || text[at] > '9') ThrowType("Format specifier missing precision");
    spec.precision = static_cast<int>(number());
  }
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) ThrowType("Invalid format specifier '{}'", text);
  return spec;
}

}  // namespace

std::string FormatWithSpec(const Value& value, std::string_view text) {
  if (text.empty()) return TextOf(value);
  if (!value.is_string() && !value.is_number()) {
    ThrowType("unsupported format string passed to {}.__format__", value.TypeName());
  }
  Spec spec = ParseSpec(text);
  if (value.is_string()) {
    if (spec.type && spec.type != 's') ThrowType("Unknown format code '{}' for object of type 'str'", spec.type);
    if (spec.align == '=') ThrowType("'=' alignment not allowed in string format specifier");
    std::string body = value.AsString();
    if (spec.precision >= 0) body.resize(CharacterOffset(body, static_cast<size_t>(spec.precision)));
    return Pad(std::move(body), spec, '<');
  }
  if (value.is_float() || (spec.type && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos)) {
    if (spec.type && std::string_view("eEfFgG%n").find(spec.type) == std::string_view::npos) {
      ThrowType("Unknown format code '{}' for object of type 'float'", spec.type);
    }
    return FormatFloat(value.AsDouble(), spec);
  }
  if (spec.type && std::string_view("bcdoxXn").find(spec.type) == std::string_view::npos) {
    ThrowType("Unknown format code '{}' for object of type '{}'", spec.type, value.TypeName());
  }
  if (spec.precision >= 0) ThrowType("Precision not allowed in integer format specifier");
  return FormatInt(value.AsInt(), spec);
}

std::string PercentFormat(const std::string& format, const Value& arguments) {
  std::string out;
  size_t next = 0;
  bool by_name = false;
  auto take = [&]() -> Value {
    if (arguments.is_tuple()) {
      if (next >= arguments.AsList().items.size()) ThrowType("not enough arguments for format string");
      return arguments.AsList().items[next++];
    }
    if (next++ > 0) ThrowType("not enough arguments for format string");
    return arguments;
  };
  for (size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      out += format[at];
      continue;
    }
    ++at;
    if (at < format.size() && format[at] == '%') {
      out += '%';
      continue;
    }
    std::optional<Value> named;
    if (at < format.size() && format[at] == '(') {
      size_t end = format.find(')', at);
      if (end == std::string::npos) ThrowType("incomplete format key");
      if (!arguments.is_dict()) ThrowType("format requires a mapping");
      std::string key = format.substr(at + 1, end - at - 1);
      named = arguments.Get(key);
      if (!named) ThrowType("the format's key {} is missing", Value(key).Repr());
      by_name = true;
      at = end + 1;
    }
    Spec spec;
    for (; at < format.size(); ++at) {
      char c = format[at];
      if (c == '-')
        spec.align = '<';
      else if (c == '+')
        spec.sign = '+';
      else if (c == ' ')
        spec.sign = spec.sign == '+' ? '+' : ' ';
      else if (c == '#')
        spec.alternate = true;
      else if (c == '0')
        spec.zero = true;
      else
        break;
    }
    auto number = [&] {
      size_t n = 0;
      if (at < format.size() && format[at] == '*') {
        ++at;
        Value width = take();
        if (!width.is_int()) ThrowType("* wants int");
        n = static_cast<size_t>(std::clamp<int64_t>(width.AsInt(), 0, kMaxWidth + 1));
      }
      while (at < format.size() && format[at] >= '0' && format[at] <= '9')
        n = std::min<size_t>(n * 10 + static_cast<size_t>(format[at++] - '0'), kMaxWidth + 1);
      if (n > kMaxWidth) ThrowLimit("the width of a format is larger than {}", kMaxWidth);
      return n;
    };
    spec.width = number();
    if (at < format.size() && format[at] == '.') {
      ++at;
      spec.precision = static_cast<int>(number());
    }
    while (at < format.size() && (format[at] == 'l' || format[at] == 'h' || format[at] == 'L')) ++at;
    if (at >= format.size()) ThrowType("incomplete format");
    char type = format[at];
    if (spec.zero && spec.align != '<') spec.fill = "0";
    Value value = named ? *named : take();
    switch (type) {
      case 's':
      case 'r':
      case 'a': {
        std::string text = type == 's' ? TextOf(value) : value.Repr();
        if (spec.precision >= 0) text.resize(CharacterOffset(text, static_cast<size_t>(spec.precision)));
        spec.fill = " ";
        out += Pad(std::move(text), spec, '>');
        break;
      }
      case 'd':
      case 'i':
      case 'u': {
        if (value.is_undefined()) Throw(value.UndefinedError());
        if (!value.is_number()) ThrowType("%{} format: a real number is required, not {}", type, value.TypeName());
        double d = value.AsDouble();
        if (value.is_float() && !(std::abs(d) < 9.2e18)) ThrowType("cannot convert {} to integer", FloatRepr(d));
        spec.type = 'd';
        int precision = std::exchange(spec.precision, -1);
        int64_t n = value.is_float() ? static_cast<int64_t>(d) : value.AsInt();
        if (precision > 0) {
          std::string digits =
              fmt::format("{:0{}}", n < 0 ? 0 - static_cast<uint64_t>(n) : static_cast<uint64_t>(n), precision);
          std::string sign = n < 0 ? "-" : spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
          out += Pad(sign + digits, spec, spec.zero ? '=' : '>', sign.size());
        } else {
          out += FormatInt(n, spec);
        }
        break;
      }
      case 'x':
      case 'X':
      case 'o':
        if (!value.is_number() || value.is_float())
          ThrowType("%{} format: an integer is required, not {}", type, value.TypeName());
        spec.type = type;
        spec.precision = -1;
        out += FormatInt(value.AsInt(), spec);
        break;
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        if (value.is_undefined()) Throw(value.UndefinedError());
        if (!value.is_number()) ThrowType("must be real number, not {}", value.TypeName());
        spec.type = type;
        out += FormatFloat(value.AsDouble(), spec);
        break;
      case 'c':
        if (value.is_string() && CharacterCount(value.AsString()) == 1) {
          out += Pad(value.AsString(), spec, '>');
        } else if (value.is_int()) {
          spec.type = 'c';
          if (!spec.align) spec.align = '>';
          out += FormatInt(value.AsInt(), spec);
        } else {
          ThrowType("%c requires int or char");
        }
        break;
      default:
        ThrowType("unsupported format character '{}' at index {}", type, at);
    }
    if (out.size() > (256u << 20)) ThrowLimit("a formatted text is too large");
  }
  if (!by_name) {
    if (arguments.is_tuple() ? next < arguments.AsList().items.size()
                             : next == 0 && !arguments.is_dict() && !arguments.is_list()) {
      ThrowType("not all arguments converted during string formatting");
    }
  }
  return out;
}

std::string BraceFormat(const std::string& format, const std::function<Value(std::string_view)>& field) {
  std::string out;
  int automatic = 0;
  auto value_of = [&](std::string name) {
    size_t end = name.find_first_of(".[");
    std::string first = name.substr(0, end);
    if (first.empty()) name = std::to_string(automatic++) + name;
    return field(name);
  };
  for (size_t at = 0; at < format.size();) {
    char c = format[at];
    if ((c == '{' || c == '}') && at + 1 < format.size() && format[at + 1] == c) {
      out += c;
      at += 2;
      continue;
    }
    if (c == '}') ThrowType("Single '}}' encountered in format string");
    if (c != '{') {
      out += c;
      ++at;
      continue;
    }
    int depth = 1;
    size_t end = at + 1;
    while (end < format.size() && depth > 0) {
      if (format[end] == '{') ++depth;
      if (format[end] == '}') --depth;
      ++end;
    }
    if (depth > 0) ThrowType("Single '{{' encountered in format string");
    std::string inside = format.substr(at + 1, end - at - 2);
    at = end;
    size_t colon = inside.find_first_of(":!");
    std::string name = inside.substr(0, colon);
    std::string spec;
    char conversion = 0;
    if (colon != std::string::npos && inside[colon] == '!') {
      if (colon + 1 >= inside.size()) ThrowType("end of string while looking for conversion specifier");
      conversion = inside[colon + 1];
      if (colon + 2 < inside.size() && inside[colon + 2] != ':') ThrowType("expected ':' after conversion specifier");
      spec = colon + 3 <= inside.size() ? inside.substr(std::min(colon + 3, inside.size())) : "";
    } else if (colon != std::string::npos) {
      spec = inside.substr(colon + 1);
    }
    Value value = value_of(name);
    if (conversion == 'r' || conversion == 'a')
      value = Value(value.Repr());
    else if (conversion == 's')
      value = Value(TextOf(value));
    else if (conversion)
      ThrowType("Unknown conversion specifier '{}'", conversion);
    // Fields inside of the specification: {:{width}}
    for (size_t open; (open = spec.find('{')) != std::string::npos;) {
      size_t close = spec.find('}', open);
      if (close == std::string::npos) ThrowType("Single '{{' encountered in format string");
      std::string inner = TextOf(value_of(spec.substr(open + 1, close - open - 1)));
      if (inner.find('{') != std::string::npos) ThrowType("Max string recursion exceeded");
      spec = spec.substr(0, open) + inner + spec.substr(close + 1);
    }
    out += FormatWithSpec(value, spec);
    if (out.size() > (256u << 20)) ThrowLimit("a formatted text is too large");
  }
  return out;
}

}  // namespace quern::jinja
