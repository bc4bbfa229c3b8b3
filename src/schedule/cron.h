#pragma once
#include <bitset>
#include <string>
#include <string_view>

#include "base/time.h"

namespace quern::schedule {

/// A cron expression in a time zone: minute, hour, day of month, month, day of week; or @yearly (@annually), @monthly,
/// @weekly, @daily (@midnight), @hourly. A field is `*` (or `?` in the day fields), a number, a name (jan..dec,
/// sun..sat), a range a-b, any of them with a step (a-b/n, */n, a/n up to the field's end), or a list of those. 7 is
/// Sunday too; ranges of days of the week may wrap (fri-mon). `L` as day of month is the month's last. #, W, six
/// fields, @reboot and the like are refused by name.
///
/// When both day fields are restricted, a day that fits either fits (a field that lists every value is not restricted).
///
/// Daylight saving, as Airflow does it: an expression that fires in every hour of the day follows elapsed time: it
/// skips the hour that does not exist and fires in both passes of the hour that comes twice. Any other follows the wall
/// clock: a time that does not exist fires at the first moment after the gap (once), a time that comes twice fires the
/// first time.
///
/// Value type; thread-safe to read.
class Cron {
 public:
  /// Errors: kCron, naming the field; also for dates that never come (30 February).
  static Result<Cron> Parse(std::string_view text, const TimeZone& zone);

  /// The first moment strictly after `t`. Errors: kCron past the year 9999.
  Result<Timestamp> Next(Timestamp t) const;
  /// The last moment strictly before `t`. Errors: kCron before the year 1.
  Result<Timestamp> Previous(Timestamp t) const;
  /// Whether it fires at exactly `t`.
  bool FiresAt(Timestamp t) const;

  const std::string& text() const { return text_; }
  const TimeZone& zone() const { return zone_; }

 private:
  explicit Cron(const TimeZone& zone) : zone_(zone) {}
  bool DayMatches(std::chrono::local_days day) const;
  /// Moments of one local day, in order.
  std::vector<Timestamp> MomentsOf(std::chrono::local_days day) const;
  bool EveryHour() const { return hours_.all(); }
  bool Uniform(std::chrono::local_days day) const;

  std::string text_;
  TimeZone zone_;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     // 1..31
  std::bitset<13> months_;   // 1..12
  std::bitset<7> weekdays_;  // 0 = Sunday
  bool last_day_ = false;
};

}  // namespace quern::schedule
