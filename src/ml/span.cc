#include "ml/span.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"

namespace quern::ml {
namespace {

// More than any calendar holds; keeps the arithmetic below far from overflow.
constexpr int64_t kMostMonths = 12 * 10'000;
constexpr int64_t kMostDays = 366 * 10'000;

Timestamp Move(Timestamp t, const Span& span, int sign, const TimeZone& zone) {
  if (span.months != 0 || span.days != 0) {
    const LocalTime local = zone.ToLocal(t);
    auto day = std::chrono::floor<std::chrono::days>(local);
    const auto time_of_day = local - day;
    if (span.months != 0) {
      std::chrono::year_month_day date(day);
      const auto month =
          date.year() / date.month() +
          std::chrono::months(static_cast<int>(sign * std::clamp(span.months, -kMostMonths, kMostMonths)));
      const auto last = (month / std::chrono::last).day();
      day = std::chrono::local_days(month / std::min(date.day(), last));
    }
    day += std::chrono::days(static_cast<int>(sign * std::clamp(span.days, -kMostDays, kMostDays)));
    t = zone.ToUtc(LocalTime(day + time_of_day));
  }
  return t + sign * span.time;
}

}  // namespace

std::string Span::ToString() const {
  std::string text;
  auto add = [&](int64_t count, std::string_view unit) {
    if (count == 0) return;
    text += fmt::format("{}{} {}{}", text.empty() ? "" : " ", count, unit, count == 1 || count == -1 ? "" : "s");
  };
  const bool years = months % 12 == 0;
  add(years ? months / 12 : months, years ? "year" : "month");
  const bool weeks = days % 7 == 0;
  add(weeks ? days / 7 : days, weeks ? "week" : "day");
  const auto minutes = std::chrono::floor<std::chrono::minutes>(time).count();
  const bool hours = minutes % 60 == 0;
  add(hours ? minutes / 60 : minutes, hours ? "hour" : "minute");
  return text.empty() ? "0 days" : text;
}

std::string_view SpanUnits() {
  return "minutes, hours, days, weeks, months, years";
}

std::optional<Span> SpanOf(int64_t count, std::string_view unit_text) {
  std::string unit = Lower(unit_text);
  if (unit.size() > 1 && unit.back() == 's') unit.pop_back();
  if (count < -kMostDays || count > kMostDays) return std::nullopt;
  if (unit == "minute") return Span{.time = std::chrono::minutes(count)};
  if (unit == "hour") return Span{.time = std::chrono::hours(count)};
  if (unit == "day") return Span{.days = count};
  if (unit == "week") return Span{.days = 7 * count};
  if (unit == "month") return Span{.months = count};
  if (unit == "year") return Span{.months = 12 * count};
  return std::nullopt;
}

std::optional<Span> ParseSpan(std::string_view text) {
  const auto words = SplitWords(text);
  if (words.size() != 2) return std::nullopt;
  int64_t count = 0;
  auto [end, error] = std::from_chars(words[0].data(), words[0].data() + words[0].size(), count);
  if (error != std::errc() || end != words[0].data() + words[0].size() || count < 0) return std::nullopt;
  return SpanOf(count, words[1]);
}

Timestamp Add(Timestamp t, const Span& span, const TimeZone& zone) {
  return Move(t, span, 1, zone);
}
Timestamp Subtract(Timestamp t, const Span& span, const TimeZone& zone) {
  return Move(t, span, -1, zone);
}

}  // namespace quern::ml
