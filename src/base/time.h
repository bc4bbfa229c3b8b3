#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace quern {

/// A moment in UTC, microseconds since 1970-01-01 (as Delta and DuckDB keep timestamps).
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;
/// A wall-clock time without a zone.
using LocalTime = std::chrono::local_time<std::chrono::microseconds>;

inline int64_t MicrosSinceEpoch(Timestamp t) {
  return t.time_since_epoch().count();
}
inline int64_t MillisSinceEpoch(Timestamp t) {
  return std::chrono::floor<std::chrono::milliseconds>(t).time_since_epoch().count();
}
inline Timestamp FromMicros(int64_t micros) {
  return Timestamp(std::chrono::microseconds(micros));
}

/// A time zone of the IANA database. Value type, cheap to copy; the database is loaded once (thread-safe).
class TimeZone {
 public:
  static TimeZone Utc();
  /// Errors: kInvalidArgument with "did you mean" for an unknown name.
  static Result<TimeZone> Find(std::string_view name);

  const std::string& name() const { return name_; }
  LocalTime ToLocal(Timestamp t) const;
  /// The moment that a wall clock shows `local`. In a gap (clocks go forward) the first moment after it; of two moments
  /// (clocks go back) the earlier one.
  Timestamp ToUtc(LocalTime local) const;
  std::chrono::seconds OffsetAt(Timestamp t) const;  ///< east of UTC is positive

 private:
  TimeZone(std::string name, const void* zone) : name_(std::move(name)), zone_(zone) {}
  std::string name_;
  const void* zone_;  // date::time_zone, null for UTC
};

/// A half-open data interval [start, end).
struct Interval {
  Timestamp start;
  Timestamp end;
  friend bool operator==(const Interval&, const Interval&) = default;
};

/// Accepts 2013-05-01, 2013-05-01T02:03[:04[.ffffff]] (or a blank for the T), each with Z, +hh:mm, -hhmm or nothing;
/// nothing means `zone`. Errors: kInvalidArgument that says what is wrong.
Result<Timestamp> ParseTimestamp(std::string_view text, const TimeZone& zone);
/// strptime-like: %Y %m %d %H %M %S %y %j %b %B %p %I %z %f %%; all other characters stand for themselves. Missing
/// parts are those of 1970-01-01 00:00. Nothing when the text does not fit as a whole.
std::optional<LocalTime> ParseTimeFormat(std::string_view text, std::string_view format);
/// Whether a format for ParseTimeFormat is well formed; errors name the character.
Result<void> CheckTimeFormat(std::string_view format);

/// "2013-05-01T04:00:00Z", with .ffffff only when not zero.
std::string FormatUtc(Timestamp t);
/// "2013-05-01T00:00:00-04:00" in a zone.
std::string FormatInZone(Timestamp t, const TimeZone& zone);
/// "2013-05-01" of a wall-clock time; "2013-05-01T02:00" when it is not midnight.
std::string FormatShort(LocalTime t);
/// "2013-05-01".
std::string FormatDate(LocalTime t);
/// strftime's letters as listed for ParseTimeFormat.
std::string FormatTime(LocalTime t, std::string_view format);

}  // namespace quern
