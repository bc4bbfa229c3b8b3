#pragma once
#include <optional>
#include <vector>

#include "schedule/cron.h"

namespace quern::schedule {

/// The data intervals of a schedule: each moment at which its cron fires ends one interval and starts the next. A run's
/// logical date is its interval's start; it is due at the interval's end.
class Timetable {
 public:
  struct Bounds {
    std::optional<Timestamp> start;  ///< no interval starts before
    std::optional<Timestamp> end;    ///< no interval starts after (the last logical date, inclusive)
  };
  explicit Timetable(Cron cron) : cron_(std::move(cron)) {}
  Timetable(Cron cron, Bounds bounds) : cron_(std::move(cron)), bounds_(bounds) {}

  const Cron& cron() const { return cron_; }
  const TimeZone& zone() const { return cron_.zone(); }
  const Bounds& bounds() const { return bounds_; }

  /// The interval whose logical date is `t`; nothing when the cron does not fire then. Heeds no bounds.
  std::optional<Interval> At(Timestamp t) const;
  /// The first interval within bounds whose logical date is >= t (or > t).
  std::optional<Interval> FirstFrom(Timestamp t) const;
  std::optional<Interval> FirstAfter(Timestamp t) const;
  /// The last interval within bounds that is complete at `now` (end <= now).
  std::optional<Interval> LatestComplete(Timestamp now) const;
  /// Intervals within bounds with from <= logical date <= to, in order. Errors: kInvalidArgument for more than a
  /// million.
  Result<std::vector<Interval>> Between(Timestamp from, Timestamp to) const;

 private:
  Cron cron_;
  Bounds bounds_;
};

/// How `start:` and `--from` read: a date or time in the schedule's zone.
Result<Timestamp> ParseFirstLogicalDate(std::string_view text, const TimeZone& zone);
/// How `end:` and `--to` read: inclusive; a date without a time means up to that day's end.
Result<Timestamp> ParseLastLogicalDate(std::string_view text, const TimeZone& zone);

/// "monthly/2013-05-01": the schedule and the logical date on the zone's wall clock; with the offset when that wall
/// clock time comes twice.
std::string DagRunId(const std::string& schedule, Timestamp logical_date, const TimeZone& zone);

}  // namespace quern::schedule
