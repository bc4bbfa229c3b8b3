#include "delta/literal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>

#include "base/json.h"
#include "base/text.h"
#include "delta/json_text.h"

namespace quern::delta {

namespace {

constexpr int64_t kMicrosPerDay = 86'400'000'000;

bool IsInteger(TypeId id) {
  return id == TypeId::kLong || id == TypeId::kInteger || id == TypeId::kShort || id == TypeId::kByte;
}

std::optional<int64_t> ParseInt(std::string_view text) {
  int64_t value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> ParseDouble(std::string_view text) {
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity" || text == "+Infinity" || text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity" || text == "-inf") return -std::numeric_limits<double>::infinity();
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Takes `digits` decimal digits (0: one or more) off the front.
std::optional<int64_t> TakeDigits(std::string_view& text, size_t digits) {
  size_t n = 0;
  while (n < text.size() && (digits == 0 || n < digits) && text[n] >= '0' && text[n] <= '9') ++n;
  if (n == 0 || n > 9 || (digits != 0 && n != digits)) return std::nullopt;
  int64_t value = 0;
  for (size_t i = 0; i < n; ++i) value = value * 10 + (text[i] - '0');
  text.remove_prefix(n);
  return value;
}

bool TakeChar(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<int64_t> TakeDate(std::string_view& text) {
  const bool negative = TakeChar(text, '-');
  if (!negative) TakeChar(text, '+');
  size_t year_digits = 0;
  while (year_digits < text.size() && text[year_digits] >= '0' && text[year_digits] <= '9') ++year_digits;
  if (year_digits < 4 || year_digits > 6) return std::nullopt;
  const auto year = TakeDigits(text, year_digits);
  if (!year || !TakeChar(text, '-')) return std::nullopt;
  const auto month = TakeDigits(text, 2);
  if (!month || !TakeChar(text, '-')) return std::nullopt;
  const auto day = TakeDigits(text, 2);
  if (!day || *month < 1 || *month > 12 || *day < 1 || *day > 31) return std::nullopt;
  // Years past what std::chrono::year holds (32767): by whole 400-year eras.
  int64_t y = negative ? -*year : *year;
  int64_t era_days = 0;
  while (y > 9999) {
    y -= 400;
    era_days += 146'097;
  }
  while (y < -9999) {
    y += 400;
    era_days -= 146'097;
  }
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(y)),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count() + era_days;
}

std::optional<int64_t> ParseDays(std::string_view text) {
  const auto days = TakeDate(text);
  return text.empty() ? days : std::nullopt;
}

std::optional<int64_t> ParseMicros(std::string_view text) {
  const auto days = TakeDate(text);
  if (!days) return std::nullopt;
  int64_t micros = *days * kMicrosPerDay;
  if (text.empty()) return micros;
  if (!TakeChar(text, 'T') && !TakeChar(text, ' ')) return std::nullopt;
  const auto hour = TakeDigits(text, 2);
  if (!hour || !TakeChar(text, ':')) return std::nullopt;
  const auto minute = TakeDigits(text, 2);
  if (!minute || *hour > 23 || *minute > 59) return std::nullopt;
  micros += (*hour * 60 + *minute) * 60'000'000;
  if (TakeChar(text, ':')) {
    const auto second = TakeDigits(text, 2);
    if (!second || *second > 59) return std::nullopt;
    micros += *second * 1'000'000;
    if (TakeChar(text, '.')) {
      int64_t unit = 100'000;
      size_t n = 0;
      while (n < text.size() && text[n] >= '0' && text[n] <= '9') {
        micros += (text[n] - '0') * unit;
        unit /= 10;
        ++n;
      }
      if (n == 0 || n > 9) return std::nullopt;
      text.remove_prefix(n);
    }
  }
  if (text.empty() || text == "Z" || text == "z") return micros;
  const bool east = text[0] == '+';
  if (!east && text[0] != '-') return std::nullopt;
  text.remove_prefix(1);
  const auto hours = TakeDigits(text, 2);
  TakeChar(text, ':');
  const auto minutes = text.empty() ? std::optional<int64_t>(0) : TakeDigits(text, 2);
  if (!hours || !minutes || !text.empty() || *hours > 18 || *minutes > 59) return std::nullopt;
  const int64_t offset = (*hours * 60 + *minutes) * 60'000'000;
  return micros + (east ? -offset : offset);
}

constexpr int kMaxDecimalDigits = 38;

std::optional<__int128> ScaleUp(__int128 value, int digits) {
  for (int i = 0; i < digits; ++i) {
    if (__builtin_mul_overflow(value, static_cast<__int128>(10), &value)) return std::nullopt;
  }
  return value;
}

std::partial_ordering Order(__int128 a, __int128 b) {
  return a < b   ? std::partial_ordering::less
         : a > b ? std::partial_ordering::greater
                 : std::partial_ordering::equivalent;
}

std::optional<std::partial_ordering> OrderDecimals(DecimalValue a, DecimalValue b) {
  const int scale = std::max(a.scale, b.scale);
  const auto left = ScaleUp(a.unscaled, scale - a.scale);
  const auto right = ScaleUp(b.unscaled, scale - b.scale);
  if (left && right) return Order(*left, *right);
  // The one that does not fit is beyond every value that does.
  if (!left && right) return a.unscaled > 0 ? std::partial_ordering::greater : std::partial_ordering::less;
  if (left) return b.unscaled > 0 ? std::partial_ordering::less : std::partial_ordering::greater;
  return std::nullopt;
}

std::string UnquoteJson(std::string_view token) {
  if (token.find('\\') == std::string_view::npos) return std::string(token.substr(1, token.size() - 2));
  const Json parsed = Json::parse(token, nullptr, false);
  return parsed.is_string() ? parsed.get<std::string>() : std::string();
}

}  // namespace

std::optional<std::partial_ordering> Compare(const Literal& a, const Literal& b) {
  if (IsNull(a) || IsNull(b)) return std::nullopt;
  if (a.index() == b.index()) {
    if (const bool* x = std::get_if<bool>(&a)) return *x <=> std::get<bool>(b);
    if (const int64_t* x = std::get_if<int64_t>(&a)) return *x <=> std::get<int64_t>(b);
    if (const double* x = std::get_if<double>(&a)) {
      const std::partial_ordering order = *x <=> std::get<double>(b);
      return order == std::partial_ordering::unordered ? std::nullopt : std::optional(order);
    }
    if (const DecimalValue* x = std::get_if<DecimalValue>(&a)) return OrderDecimals(*x, std::get<DecimalValue>(b));
    // char_traits<char> compares as unsigned bytes.
    return std::get<std::string>(a).compare(std::get<std::string>(b)) <=> 0;
  }
  const auto decimal = [](const Literal& v) -> std::optional<DecimalValue> {
    if (const int64_t* n = std::get_if<int64_t>(&v)) return DecimalValue{*n, 0};
    if (const DecimalValue* d = std::get_if<DecimalValue>(&v)) return *d;
    return std::nullopt;
  };
  const auto x = decimal(a);
  const auto y = decimal(b);
  if (x && y) return OrderDecimals(*x, *y);
  const auto real = [](const Literal& v) -> std::optional<long double> {
    // 64 bits of mantissa on x86: exact for every int64_t.
    static_assert(std::numeric_limits<long double>::digits >= 63);
    if (const int64_t* n = std::get_if<int64_t>(&v)) return static_cast<long double>(*n);
    if (const double* d = std::get_if<double>(&v)) return static_cast<long double>(*d);
    return std::nullopt;
  };
  const auto p = real(a);
  const auto q = real(b);
  if (!p || !q) return std::nullopt;
  const std::partial_ordering order = *p <=> *q;
  return order == std::partial_ordering::unordered ? std::nullopt : std::optional(order);
}

std::optional<DecimalValue> ParseDecimal(std::string_view text) {
  DecimalValue value;
  const bool negative = TakeChar(text, '-');
  if (!negative) TakeChar(text, '+');
  int digits = 0;
  bool any = false;
  bool point = false;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9') {
      any = true;
      if (digits > 0 || c != '0') ++digits;
      if (digits > kMaxDecimalDigits) return std::nullopt;
      value.unscaled = value.unscaled * 10 + (c - '0');
      if (point) ++value.scale;
    } else {
      break;
    }
  }
  if (!any) return std::nullopt;
  if (i < text.size()) {
    if (text[i] != 'e' && text[i] != 'E') return std::nullopt;
    const auto exponent = ParseInt(text.substr(i + 1));
    if (!exponent || *exponent > 100 || *exponent < -100) return std::nullopt;
    value.scale -= static_cast<int>(*exponent);
    if (value.scale < 0) {
      const auto scaled = ScaleUp(value.unscaled, -value.scale);
      if (!scaled) return std::nullopt;
      value = {*scaled, 0};
    }
  }
  if (negative) value.unscaled = -value.unscaled;
  return value;
}

std::string FormatDecimal(const DecimalValue& value) {
  unsigned __int128 rest = value.unscaled < 0 ? -static_cast<unsigned __int128>(value.unscaled)
                                              : static_cast<unsigned __int128>(value.unscaled);
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  } while (rest != 0);
  if (value.scale > 0) {
    const auto scale = static_cast<size_t>(value.scale);
    if (digits.size() <= scale) digits.insert(0, scale + 1 - digits.size(), '0');
    digits.insert(digits.size() - scale, ".");
  }
  return value.unscaled < 0 ? "-" + digits : digits;
}

std::string FormatDays(int64_t days) {
  int64_t year_shift = 0;
  while (days > 2'900'000) {  // about year 9900
    days -= 146'097;
    year_shift += 400;
  }
  while (days < -4'300'000) {
    days += 146'097;
    year_shift -= 400;
  }
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
  const int64_t year = static_cast<int>(date.year()) + year_shift;
  return fmt::format("{}{:04}-{:02}-{:02}", year < 0 ? "-" : "", year < 0 ? -year : year,
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::string FormatMicros(int64_t micros) {
  int64_t days = micros / kMicrosPerDay;
  int64_t rest = micros % kMicrosPerDay;
  if (rest < 0) {
    rest += kMicrosPerDay;
    --days;
  }
  const int64_t seconds = rest / 1'000'000;
  std::string out =
      fmt::format("{}T{:02}:{:02}:{:02}", FormatDays(days), seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (rest % 1'000'000) out += fmt::format(".{:06}", rest % 1'000'000);
  return out;
}

Result<Literal> ParsePartitionValue(const DataType& type, const std::optional<std::string>& text) {
  if (!text || text->empty()) return Literal();
  if (IsInteger(type.id)) {
    if (const auto n = ParseInt(*text)) return Literal(*n);
  } else {
    switch (type.id) {
      case TypeId::kString:
      case TypeId::kBinary:
        return Literal(*text);
      case TypeId::kBoolean:
        if (EqualsIgnoreCase(*text, "true")) return Literal(true);
        if (EqualsIgnoreCase(*text, "false")) return Literal(false);
        break;
      case TypeId::kFloat:
      case TypeId::kDouble:
        if (const auto d = ParseDouble(*text)) return Literal(*d);
        break;
      case TypeId::kDate:
        if (const auto days = ParseDays(*text)) return Literal(*days);
        break;
      case TypeId::kTimestamp:
      case TypeId::kTimestampNtz:
        if (const auto micros = ParseMicros(*text)) return Literal(*micros);
        break;
      case TypeId::kDecimal:
        if (auto decimal = ParseDecimal(*text)) return Literal(*decimal);
        break;
      default:
        break;
    }
  }
  return Fail(ErrorCode::kCorruptLog, fmt::format("the partition value '{}' is no {}", *text, type.ToString()));
}

std::optional<std::string> FormatPartitionValue(const DataType& type, const Literal& value) {
  if (IsNull(value)) return std::nullopt;
  if (const bool* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const double* d = std::get_if<double>(&value)) {
    if (std::isnan(*d)) return "NaN";
    if (std::isinf(*d)) return *d > 0 ? "Infinity" : "-Infinity";
    return type.id == TypeId::kFloat ? fmt::format("{}", static_cast<float>(*d)) : fmt::format("{}", *d);
  }
  if (const DecimalValue* decimal = std::get_if<DecimalValue>(&value)) return FormatDecimal(*decimal);
  if (const std::string* text = std::get_if<std::string>(&value))
    return text->empty() ? std::nullopt : std::optional(*text);
  const int64_t n = std::get<int64_t>(value);
  if (type.id == TypeId::kDate) return FormatDays(n);
  // A moment is written with its zone, so that no reader's session zone can shift it.
  if (type.id == TypeId::kTimestamp) return FormatMicros(n) + "Z";
  if (type.id == TypeId::kTimestampNtz) {
    std::string text = FormatMicros(n);
    text[text.find('T')] = ' ';
    return text;
  }
  return fmt::format("{}", n);
}

std::optional<Literal> ParseStatistic(const DataType& type, std::string_view token) {
  token = Trim(token);
  if (token.empty() || token == "null") return std::nullopt;
  const bool quoted = token.size() >= 2 && token.front() == '"' && token.back() == '"';
  if (IsInteger(type.id)) {
    if (quoted) return std::nullopt;
    if (const auto n = ParseInt(token)) return Literal(*n);
    return std::nullopt;
  }
  switch (type.id) {
    case TypeId::kString:
      if (quoted) return Literal(UnquoteJson(token));
      return std::nullopt;
    case TypeId::kFloat:
    case TypeId::kDouble: {
      const auto d = ParseDouble(quoted ? token.substr(1, token.size() - 2) : token);
      if (!d || std::isnan(*d)) return std::nullopt;
      return Literal(*d);
    }
    case TypeId::kDate: {
      const auto days = quoted ? ParseDays(token.substr(1, token.size() - 2)) : std::nullopt;
      return days ? std::optional(Literal(*days)) : std::nullopt;
    }
    case TypeId::kTimestamp:
    case TypeId::kTimestampNtz: {
      const auto micros = quoted ? ParseMicros(token.substr(1, token.size() - 2)) : std::nullopt;
      return micros ? std::optional(Literal(*micros)) : std::nullopt;
    }
    case TypeId::kDecimal: {
      const std::string_view text = quoted ? token.substr(1, token.size() - 2) : token;
      // Some writers pass decimals through a double: past 15 digits the text need not be the value.
      if (type.precision > 15 && static_cast<size_t>(std::count_if(text.begin(), text.end(), ::isdigit)) > 15)
        return std::nullopt;
      const auto decimal = ParseDecimal(text);
      return decimal ? std::optional(Literal(*decimal)) : std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

std::optional<std::string> FormatStatistic(const DataType& type, const Literal& value) {
  if (const int64_t* n = std::get_if<int64_t>(&value)) {
    if (type.id == TypeId::kDate) return fmt::format("\"{}\"", FormatDays(*n));
    if (type.id == TypeId::kTimestamp || type.id == TypeId::kTimestampNtz) {
      // To the millisecond, always with three digits, as Spark prints them.
      const int64_t floored = *n - ((*n % 1000) + 1000) % 1000;
      std::string text = FormatMicros(floored - ((floored % 1'000'000) + 1'000'000) % 1'000'000);
      text += fmt::format(".{:03}", ((floored % 1'000'000) + 1'000'000) % 1'000'000 / 1000);
      return fmt::format("\"{}{}\"", text, type.id == TypeId::kTimestamp ? "Z" : "");
    }
    return IsInteger(type.id) ? std::optional(fmt::format("{}", *n)) : std::nullopt;
  }
  if (const double* d = std::get_if<double>(&value)) {
    if (!std::isfinite(*d)) return std::nullopt;
    return type.id == TypeId::kFloat ? fmt::format("{}", static_cast<float>(*d)) : fmt::format("{}", *d);
  }
  if (const DecimalValue* decimal = std::get_if<DecimalValue>(&value)) return FormatDecimal(*decimal);
  if (const std::string* text = std::get_if<std::string>(&value); text && type.id == TypeId::kString) {
    std::string out;
    AppendJsonString(out, *text);
    return out;
  }
  return std::nullopt;
}

std::string ToString(const Literal& value) {
  if (IsNull(value)) return "null";
  if (const bool* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const int64_t* n = std::get_if<int64_t>(&value)) return fmt::format("{}", *n);
  if (const double* d = std::get_if<double>(&value)) return fmt::format("{}", *d);
  if (const DecimalValue* decimal = std::get_if<DecimalValue>(&value)) return FormatDecimal(*decimal);
  return QuoteLiteral(std::get<std::string>(value));
}

}  // namespace quern::delta
