#include "dbt/seed_csv.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "base/time.h"

namespace quern::dbt {

namespace {

enum Type { kInteger, kBigint, kNumber, kDate, kTimestamp, kBoolean, kText };
const char* const kNames[] = {"integer", "bigint", "float8", "date", "timestamp without time zone", "boolean", "text"};

bool IsNull(const std::string& text) {
  return text.empty() || EqualsIgnoreCase(text, "null");
}

bool IsInteger(const std::string& text, bool& wide) {
  std::string_view t = Trim(text);
  if (!t.empty() && t[0] == '+') t.remove_prefix(1);
  int64_t value = 0;
  auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), value);
  if (error != std::errc() || end != t.data() + t.size() || t.empty()) return false;
  if (value > INT32_MAX || value < INT32_MIN) wide = true;
  return true;
}

bool IsNumber(const std::string& text) {
  std::string_view t = Trim(text);
  if (!t.empty() && t[0] == '+') t.remove_prefix(1);
  if (t.empty() || t.find_first_not_of("0123456789+-.eE") != std::string_view::npos) return false;
  double value = 0;
  auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), value);
  return error == std::errc() && end == t.data() + t.size();
}

bool Digits(std::string_view t, size_t at, size_t n) {
  for (size_t i = at; i < at + n; ++i) {
    if (i >= t.size() || t[i] < '0' || t[i] > '9') return false;
  }
  return true;
}

bool IsDate(const std::string& text) {
  std::string_view t = Trim(text);
  return t.size() == 10 && Digits(t, 0, 4) && t[4] == '-' && Digits(t, 5, 2) && t[7] == '-' && Digits(t, 8, 2) &&
         ParseTimestamp(t, TimeZone::Utc()).has_value();
}

bool IsTimestamp(const std::string& text) {
  std::string_view t = Trim(text);
  return t.size() >= 16 && Digits(t, 0, 4) && t[4] == '-' && (t[10] == ' ' || t[10] == 'T') &&
         ParseTimestamp(t, TimeZone::Utc()).has_value();
}

bool IsBoolean(const std::string& text) {
  std::string lower = Lower(Trim(text));
  return lower == "true" || lower == "false";
}

Type Infer(const std::vector<std::vector<std::string>>& rows, size_t column) {
  bool wide = false;
  auto all = [&](auto fits) {
    return std::all_of(rows.begin(), rows.end(),
                       [&](const auto& row) { return IsNull(row[column]) || fits(row[column]); });
  };
  if (all([&](const std::string& t) { return IsInteger(t, wide); })) return wide ? kBigint : kInteger;
  if (all(IsNumber)) return kNumber;
  if (all(IsDate)) return kDate;
  if (all([](const std::string& t) { return IsDate(t) || IsTimestamp(t); })) return kTimestamp;
  if (all(IsBoolean)) return kBoolean;
  return kText;
}

}  // namespace

Result<SeedTable> ParseSeed(std::string_view text, char delimiter, const std::string& shown) {
  SeedTable out;
  std::vector<std::string> row;
  std::string field;
  bool quoted = false, was_quoted = false, any = false;
  int line = 1, row_line = 1;
  auto fail = [&](const std::string& message, int at) {
    return Fail(Error(ErrorCode::kParse, message).At({shown, at, 1}));
  };
  auto end_field = [&] {
    row.push_back(std::move(field));
    field.clear();
    was_quoted = false;
  };
  auto end_row = [&]() -> Result<void> {
    end_field();
    if (row.size() == 1 && row[0].empty()) {
      row.clear();
      any = false;
      return {};
    }
    if (out.names.empty()) {
      out.names = std::move(row);
    } else if (row.size() != out.names.size()) {
      return fail(
          "the row has " + std::to_string(row.size()) + " fields, the header " + std::to_string(out.names.size()),
          row_line);
    } else {
      out.rows.push_back(std::move(row));
    }
    row.clear();
    any = false;
    return {};
  };
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (!any) {
      any = true;
      row_line = line;
    }
    if (quoted) {
      if (c == '"') {
        if (i + 1 < text.size() && text[i + 1] == '"') {
          field += '"';
          ++i;
        } else {
          quoted = false;
        }
      } else {
        if (c == '\n') ++line;
        field += c;
      }
    } else if (c == '"' && field.empty() && !was_quoted) {
      quoted = was_quoted = true;
    } else if (c == delimiter) {
      end_field();
    } else if (c == '\n' || c == '\r') {
      if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
      QUERN_TRY(end_row());
      ++line;
    } else {
      field += c;
    }
  }
  if (quoted) return fail("a quote is not closed", row_line);
  if (any && (!field.empty() || !row.empty())) QUERN_TRY(end_row());
  if (out.names.empty()) return fail("the file has no header", 1);
  for (size_t c = 0; c < out.names.size(); ++c) {
    for (size_t d = 0; d < c; ++d) {
      if (out.names[c] == out.names[d]) return fail("column '" + out.names[c] + "' is there twice", 1);
    }
    out.types.emplace_back(kNames[Infer(out.rows, c)]);
  }
  return out;
}

}  // namespace quern::dbt
