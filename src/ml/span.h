#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace quern::ml {

/// A length of calendar time: "3 months", "2 weeks", "1 year", "36 hours". Months and days are the calendar's: moving a
/// moment by them keeps its wall-clock time in a zone.
struct Span {
  int64_t months = 0;
  int64_t days = 0;
  std::chrono::microseconds time{0};

  bool positive() const { return months >= 0 && days >= 0 && time.count() >= 0 && (months || days || time.count()); }
  /// "3 months", "1 month 2 days", "0 days".
  std::string ToString() const;
  friend bool operator==(const Span&, const Span&) = default;
};

/// A whole number and a unit: minutes, hours, days, weeks, months, years (singular or plural). Nothing otherwise.
std::optional<Span> ParseSpan(std::string_view text);
/// The units that ParseSpan knows, for messages: "minutes, hours, days, weeks, months, years".
std::string_view SpanUnits();
/// One unit's span of `count`; nothing for an unknown unit.
std::optional<Span> SpanOf(int64_t count, std::string_view unit);

/// Moves a moment by a span, first months (31 May back by 3 months is the last of February), then days, both as wall
/// clocks in `zone` show them, then the rest. Saturates at the calendar's ends.
Timestamp Add(Timestamp t, const Span& span, const TimeZone& zone);
Timestamp Subtract(Timestamp t, const Span& span, const TimeZone& zone);

}  // namespace quern::ml
