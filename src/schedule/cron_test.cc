#include "schedule/cron.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "schedule/timetable.h"

namespace quern::schedule {
namespace {

TimeZone Zone(const std::string& name) {
  return *TimeZone::Find(name);
}
Timestamp At(std::string_view text, const TimeZone& zone = TimeZone::Utc()) {
  return *ParseTimestamp(text, zone);
}
Cron Make(std::string_view text, const TimeZone& zone = TimeZone::Utc()) {
  auto cron = Cron::Parse(text, zone);
  EXPECT_TRUE(cron) << cron.error().ToString();
  return *cron;
}
/// The next moments after `from`, in the zone.
std::string Following(std::string_view text, std::string_view from, int count, const TimeZone& zone = TimeZone::Utc()) {
  const Cron cron = Make(text, zone);
  Timestamp t = At(from, zone);
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i) {
    t = *cron.Next(t);
    out.push_back(FormatInZone(t, zone));
  }
  return Join(out, " ");
}

TEST(CronTest, Fields) {
  EXPECT_EQ(Following("0 0 1 * *", "2013-01-01", 2), "2013-02-01T00:00:00+00:00 2013-03-01T00:00:00+00:00");
  EXPECT_EQ(Following("*/20 6 * * *", "2013-01-01", 4),
            "2013-01-01T06:00:00+00:00 2013-01-01T06:20:00+00:00 2013-01-01T06:40:00+00:00 2013-01-02T06:00:00+00:00");
  EXPECT_EQ(Following("5/25 23 * * *", "2013-01-01", 3),
            "2013-01-01T23:05:00+00:00 2013-01-01T23:30:00+00:00 2013-01-01T23:55:00+00:00");
  EXPECT_EQ(Following("0 12 * jan-mar,DEC Mon-fri/2", "2013-03-28", 3),
            "2013-03-29T12:00:00+00:00 2013-12-02T12:00:00+00:00 2013-12-04T12:00:00+00:00");
  EXPECT_EQ(Following("0 0 * * fri-mon", "2013-01-02", 5),  // 2 January 2013 was a Wednesday
            "2013-01-04T00:00:00+00:00 2013-01-05T00:00:00+00:00 2013-01-06T00:00:00+00:00 2013-01-07T00:00:00+00:00 "
            "2013-01-11T00:00:00+00:00");
  EXPECT_EQ(Following("0 0 * * 7", "2013-01-01", 1), Following("0 0 * * 0", "2013-01-01", 1));
  EXPECT_EQ(Following("0 0 * * 5-7", "2013-01-01", 3),
            "2013-01-04T00:00:00+00:00 2013-01-05T00:00:00+00:00 2013-01-06T00:00:00+00:00");
  EXPECT_EQ(Following("0 0 29 2 *", "2097-01-01", 2), "2104-02-29T00:00:00+00:00 2108-02-29T00:00:00+00:00");
  EXPECT_EQ(Following("0 0 L * *", "2013-01-31", 2), "2013-02-28T00:00:00+00:00 2013-03-31T00:00:00+00:00");
  EXPECT_EQ(Following("0 0 1 1 ?", "2013-01-01", 1), "2014-01-01T00:00:00+00:00");
}

TEST(CronTest, EitherDayFieldFitsWhenBothAreRestricted) {
  EXPECT_EQ(Following("0 0 13 * fri", "2013-09-01", 4),
            "2013-09-06T00:00:00+00:00 2013-09-13T00:00:00+00:00 2013-09-20T00:00:00+00:00 2013-09-27T00:00:00+00:00");
  EXPECT_EQ(Following("0 0 30 2 mon", "2013-02-20", 1), "2013-02-25T00:00:00+00:00");
}

TEST(CronTest, Presets) {
  EXPECT_EQ(Following("@monthly", "2013-01-15", 1), "2013-02-01T00:00:00+00:00");
  EXPECT_EQ(Following("@weekly", "2013-01-01", 1), "2013-01-06T00:00:00+00:00");
  EXPECT_EQ(Following("@daily", "2013-01-01", 1), "2013-01-02T00:00:00+00:00");
  EXPECT_EQ(Following("@hourly", "2013-01-01", 1), "2013-01-01T01:00:00+00:00");
  EXPECT_EQ(Following("@yearly", "2013-01-01", 1), "2014-01-01T00:00:00+00:00");
}

TEST(CronTest, WhatCannotBeIsSaid) {
  const auto message = [](std::string_view text) {
    auto cron = Cron::Parse(text, TimeZone::Utc());
    EXPECT_FALSE(cron) << text;
    if (cron) return std::string();
    EXPECT_EQ(cron.error().code(), ErrorCode::kCron);
    return cron.error().message() + " | " + cron.error().hint();
  };
  const auto says = [&](std::string_view text, std::string_view needle) {
    EXPECT_NE(message(text).find(needle), std::string::npos) << text << ": " << message(text);
  };
  says("0 0 30 2 *", "never fires");
  says("0 0 31 4,6,9,11 *", "never fires");
  says("60 0 * * *", "minute: 60 is not between 0 and 59");
  says("0 24 * * *", "hour: 24");
  says("0 0 0 * *", "day of month: 0");
  says("0 0 * 13 *", "month: 13");
  says("0 0 * * 8", "day of week: 8");
  says("0 0 * * fry", "there is no 'fry'");
  says("0 0 * * mon#2", "# (the nth weekday) is not supported");
  says("0 0 15W * *", "W is not supported");
  says("0 0 * * 5L", "L is not supported");
  says("0 0 * * *  *", "6 fields");
  says("0 0 * *", "4 fields");
  says("", "0 fields");
  says("@reboot", "'@reboot' is not supported");
  says("@once", "'@once' is not supported");
  says("*/0 * * * *", "a step must be at least 1");
  says("1,,2 * * * *", "a value is missing");
  says("a * * * *", "'a' is no number");
  says("-1 * * * *", "no number");
  says("1- * * * *", "no number");
  says("1-2-3 * * * *", "no number");
  says("0 22-2 * * *", "runs backwards");
  says("? * * * *", "no number");
  says("99999999999999 * * * *", "no number");
}

TEST(CronTest, WallClockScheduleInTheSpringGap) {
  const TimeZone zone = Zone("America/New_York");  // 2013-03-10: 02:00 EST becomes 03:00 EDT
  EXPECT_EQ(Following("30 2 * * *", "2013-03-09", 3, zone),
            "2013-03-09T02:30:00-05:00 2013-03-10T03:00:00-04:00 2013-03-11T02:30:00-04:00");
  EXPECT_EQ(Following("*/20 2 * * *", "2013-03-10", 2, zone), "2013-03-10T03:00:00-04:00 2013-03-11T02:00:00-04:00");
  EXPECT_EQ(Following("0 2,3 * * *", "2013-03-10", 2, zone), "2013-03-10T03:00:00-04:00 2013-03-11T02:00:00-04:00");
}

TEST(CronTest, WallClockScheduleInTheAutumnOverlap) {
  const TimeZone zone = Zone("America/New_York");  // 2013-11-03: 02:00 EDT becomes 01:00 EST
  EXPECT_EQ(Following("30 1 * * *", "2013-11-02T12:00", 2, zone),
            "2013-11-03T01:30:00-04:00 2013-11-04T01:30:00-05:00");
  EXPECT_EQ(Following("0 0 * * *", "2013-11-02T12:00", 2, zone), "2013-11-03T00:00:00-04:00 2013-11-04T00:00:00-05:00");
}

TEST(CronTest, HourlyScheduleFollowsElapsedTime) {
  const TimeZone zone = Zone("America/New_York");
  EXPECT_EQ(Following("0 * * * *", "2013-03-10T00:30", 3, zone),
            "2013-03-10T01:00:00-05:00 2013-03-10T03:00:00-04:00 2013-03-10T04:00:00-04:00");
  EXPECT_EQ(Following("30 * * * *", "2013-11-03T00:30", 4, zone),
            "2013-11-03T01:30:00-04:00 2013-11-03T01:30:00-05:00 2013-11-03T02:30:00-05:00 2013-11-03T03:30:00-05:00");
}

/// Every minute of a span looked at by the rule as it is written down.
std::vector<Timestamp> BruteForce(const Cron& cron, bool every_hour, auto&& fits, Timestamp from, Timestamp to) {
  const TimeZone& zone = cron.zone();
  const std::chrono::minutes minute(1);
  std::vector<Timestamp> out;
  for (Timestamp t = from; t <= to; t += minute) {
    const LocalTime wall = zone.ToLocal(t);
    bool fires = fits(wall) && (every_hour || zone.ToUtc(wall) == t);
    if (!every_hour) {
      // Wall clock times that the jump to `t` left out.
      for (LocalTime missing = zone.ToLocal(t - minute) + minute; missing < wall; missing += minute)
        fires = fires || fits(missing);
    }
    if (fires) out.push_back(t);
  }
  return out;
}

TEST(CronProperty, AgreesWithAMinuteScan) {
  const std::vector<std::string> zones = {
      "UTC",          "America/New_York", "Europe/Berlin",    "Australia/Lord_Howe", "America/Sao_Paulo",
      "Pacific/Apia", "Asia/Kathmandu",   "Africa/Casablanca"};
  const std::vector<std::string> starts = {"2013-03-08", "2013-11-01", "2011-12-28", "2017-10-13", "2018-02-15",
                                           "2013-10-04", "2019-05-03", "2016-02-26", "2013-03-29"};
  std::mt19937 random(7);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<uint32_t>(n)); };
  for (int round = 0; round < 160; ++round) {
    const TimeZone zone = Zone(zones[random() % zones.size()]);
    std::set<int> minutes;
    std::set<int> hours;
    for (int i = 0; i <= pick(3); ++i) minutes.insert(pick(60));
    for (int i = 0; i <= pick(4); ++i) hours.insert(pick(24));
    const bool every_hour = pick(3) == 0;
    if (pick(2)) hours.insert({0, 1, 2, 23});
    const int day = pick(4) ? 0 : 1 + pick(28);
    const int weekday = pick(4) ? -1 : pick(7);
    const auto list = [](const std::set<int>& values) { return fmt::format("{}", fmt::join(values, ",")); };
    const std::string text = fmt::format("{} {} {} * {}", list(minutes), every_hour ? "*" : list(hours),
                                         day ? std::to_string(day) : "*", weekday < 0 ? "*" : std::to_string(weekday));
    const Cron cron = Make(text, zone);
    const auto fits = [&](LocalTime wall) {
      const auto date = std::chrono::floor<std::chrono::days>(wall);
      const auto minute = std::chrono::floor<std::chrono::minutes>(wall - date).count();
      if (!minutes.contains(static_cast<int>(minute % 60))) return false;
      if (!every_hour && !hours.contains(static_cast<int>(minute / 60))) return false;
      const std::chrono::year_month_day calendar(date);
      const bool by_day = static_cast<int>(static_cast<unsigned>(calendar.day())) == day;
      const bool by_week = static_cast<int>(std::chrono::weekday(date).c_encoding()) == weekday;
      if (day && weekday >= 0) return by_day || by_week;
      return (!day || by_day) && (weekday < 0 || by_week);
    };
    const Timestamp from = At(starts[random() % starts.size()]);
    const Timestamp to = from + std::chrono::days(5);
    const auto expected = BruteForce(cron, every_hour || hours.size() == 24, fits, from, to);
    std::vector<Timestamp> forward;
    for (Timestamp t = *cron.Next(from - std::chrono::minutes(1)); t <= to; t = *cron.Next(t)) forward.push_back(t);
    ASSERT_EQ(forward, expected) << text << " in " << zone.name() << " from " << FormatUtc(from);
    std::vector<Timestamp> backward;
    for (Timestamp t = *cron.Previous(to + std::chrono::minutes(1)); t >= from; t = *cron.Previous(t))
      backward.push_back(t);
    std::reverse(backward.begin(), backward.end());
    ASSERT_EQ(backward, expected) << text << " in " << zone.name() << " from " << FormatUtc(from);
  }
}

TEST(TimetableTest, IntervalsTouch) {
  for (std::string text : {"0 0 1 * *", "30 1,2 * * *", "0 * * * *", "15 6 * * mon"}) {
    const Timetable timetable(Make(text, Zone("America/New_York")));
    auto intervals = timetable.Between(At("2013-01-01"), At("2013-12-31"));
    ASSERT_TRUE(intervals);
    for (size_t i = 1; i < intervals->size(); ++i) EXPECT_EQ((*intervals)[i - 1].end, (*intervals)[i].start) << text;
    for (const auto& interval : *intervals) EXPECT_EQ(timetable.At(interval.start), interval);
  }
}

TEST(TimetableTest, AYearOfMonths) {
  const TimeZone zone = Zone("America/New_York");
  const Timetable timetable(Make("0 0 1 * *", zone),
                            {*ParseFirstLogicalDate("2013-01-01", zone), *ParseLastLogicalDate("2013-12-31", zone)});
  auto all = timetable.Between(At("2000-01-01"), At("2030-01-01"));
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 12U);
  EXPECT_EQ(FormatUtc((*all)[4].start), "2013-05-01T04:00:00Z");
  EXPECT_EQ(FormatUtc((*all)[4].end), "2013-06-01T04:00:00Z");
  EXPECT_EQ(DagRunId("monthly", (*all)[4].start, zone), "monthly/2013-05-01");
  EXPECT_EQ(timetable.LatestComplete(At("2013-06-01", zone))->start, (*all)[4].start);
  EXPECT_EQ(timetable.LatestComplete(At("2013-06-01", zone) - std::chrono::seconds(1))->start, (*all)[3].start);
  EXPECT_EQ(timetable.LatestComplete(At("2026-11-24"))->start, (*all)[11].start);
  EXPECT_FALSE(timetable.LatestComplete(At("2013-01-20")));
  EXPECT_FALSE(timetable.FirstAfter((*all)[11].start));
  EXPECT_FALSE(timetable.At(At("2013-05-01")));
}

TEST(TimetableTest, LastDateWithoutATimeMeansTheWholeDay) {
  const TimeZone zone = Zone("America/New_York");
  const Timetable hourly(Make("@hourly", zone));
  const auto on = [&](std::string_view from, std::string_view to) {
    return hourly.Between(*ParseFirstLogicalDate(from, zone), *ParseLastLogicalDate(to, zone))->size();
  };
  EXPECT_EQ(on("2013-05-01", "2013-05-01"), 24U);
  EXPECT_EQ(on("2013-03-10", "2013-03-10"), 23U);
  EXPECT_EQ(on("2013-11-03", "2013-11-03"), 25U);
  EXPECT_EQ(on("2013-05-01", "2013-05-01T02:00"), 3U);
}

TEST(TimetableTest, RunsOfAnHourThatComesTwiceHaveTwoIds) {
  const TimeZone zone = Zone("America/New_York");
  EXPECT_EQ(DagRunId("h", At("2013-11-03T05:00Z"), zone), "h/2013-11-03T01:00");
  EXPECT_EQ(DagRunId("h", At("2013-11-03T06:00Z"), zone), "h/2013-11-03T01:00-05:00");
}

TEST(TimetableTest, TooManyIntervalsAreRefused) {
  EXPECT_FALSE(Timetable(Make("0 0 * * *")).Between(At("0100-01-01"), At("9000-01-01")));
}

}  // namespace
}  // namespace quern::schedule
