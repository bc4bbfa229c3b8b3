#include "schedule/timetable.h"

#include "base/text.h"

namespace quern::schedule {
namespace {

constexpr std::chrono::microseconds kTick{1};

bool IsDateOnly(std::string_view text) {
  return Trim(text).find_first_of("T: ") == std::string_view::npos;
}

}  // namespace

std::optional<Interval> Timetable::At(Timestamp t) const {
  if (!cron_.FiresAt(t)) return std::nullopt;
  auto end = cron_.Next(t);
  if (!end) return std::nullopt;
  return Interval{t, *end};
}

std::optional<Interval> Timetable::FirstFrom(Timestamp t) const {
  if (bounds_.start && t < *bounds_.start) t = *bounds_.start;
  auto start = cron_.Next(t - kTick);
  if (!start || (bounds_.end && *start > *bounds_.end)) return std::nullopt;
  auto end = cron_.Next(*start);
  if (!end) return std::nullopt;
  return Interval{*start, *end};
}

std::optional<Interval> Timetable::FirstAfter(Timestamp t) const {
  return FirstFrom(t + kTick);
}

std::optional<Interval> Timetable::LatestComplete(Timestamp now) const {
  auto end = cron_.Previous(now + kTick);
  if (!end) return std::nullopt;
  auto start = cron_.Previous(*end);
  if (!start) return std::nullopt;
  if (bounds_.end && *start > *bounds_.end) {
    start = cron_.Previous(*bounds_.end + kTick);
    if (!start) return std::nullopt;
    end = cron_.Next(*start);
    if (!end) return std::nullopt;
  }
  if (bounds_.start && *start < *bounds_.start) return std::nullopt;
  return Interval{*start, *end};
}

Result<std::vector<Interval>> Timetable::Between(Timestamp from, Timestamp to) const {
  constexpr size_t kMost = 1'000'000;
  std::vector<Interval> out;
  for (auto interval = FirstFrom(from); interval && interval->start <= to; interval = FirstFrom(interval->end)) {
    if (out.size() == kMost) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("more than {} intervals lie between {} and {}",
                                                           FormatCount(kMost), FormatUtc(from), FormatUtc(to)));
    }
    out.push_back(*interval);
  }
  return out;
}

Result<Timestamp> ParseFirstLogicalDate(std::string_view text, const TimeZone& zone) {
  return ParseTimestamp(text, zone);
}

Result<Timestamp> ParseLastLogicalDate(std::string_view text, const TimeZone& zone) {
  const Timestamp t = QUERN_TRY(ParseTimestamp(text, zone));
  if (!IsDateOnly(text)) return t;
  const auto day = std::chrono::floor<std::chrono::days>(zone.ToLocal(t));
  return zone.ToUtc(LocalTime(day + std::chrono::days(1))) - kTick;
}

std::string DagRunId(const std::string& schedule, Timestamp logical_date, const TimeZone& zone) {
  const LocalTime wall = zone.ToLocal(logical_date);
  std::string id = schedule + "/" + FormatShort(wall);
  if (zone.ToUtc(wall) == logical_date) return id;
  // The second pass of an hour that comes twice.
  const std::string in_zone = FormatInZone(logical_date, zone);
  return id + in_zone.substr(in_zone.size() - 6);
}

}  // namespace quern::schedule
