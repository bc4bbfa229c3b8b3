#include "base/time.h"

#include <gtest/gtest.h>

namespace quern {
namespace {

TimeZone NewYork() {
  return TimeZone::Find("America/New_York").value();
}
std::string Utc(std::string_view text) {
  return FormatUtc(ParseTimestamp(text, NewYork()).value());
}

TEST(TimeTest, ParsesWithAndWithoutOffset) {
  EXPECT_EQ(Utc("2013-05-01"), "2013-05-01T04:00:00Z");
  EXPECT_EQ(Utc("2013-01-01T12:30"), "2013-01-01T17:30:00Z");
  EXPECT_EQ(Utc("2013-05-01 02:03:04.5Z"), "2013-05-01T02:03:04.500000Z");
  EXPECT_EQ(Utc("2013-05-01T00:00+02:00"), "2013-04-30T22:00:00Z");
}

TEST(TimeTest, RefusesWhatIsNoTime) {
  for (auto text : {"", "2013", "2013-13-01", "2013-02-30", "2013-05-01T25:00", "2013-05-01x", "2013-05-01T10",
                    "2013-05-01T10:00+2"}) {
    auto r = ParseTimestamp(text, TimeZone::Utc());
    ASSERT_FALSE(r) << text;
    EXPECT_FALSE(r.error().hint().empty());
  }
}

TEST(TimeZoneTest, GapAndFold) {
  EXPECT_EQ(Utc("2013-03-10T02:30"), "2013-03-10T07:00:00Z");  // 02:30 does not exist: the first moment after the gap
  EXPECT_EQ(Utc("2013-11-03T01:30"), "2013-11-03T05:30:00Z");  // 01:30 is there twice: the earlier one
  EXPECT_EQ(NewYork().OffsetAt(ParseTimestamp("2013-07-01", TimeZone::Utc()).value()), std::chrono::hours(-4));
}

TEST(TimeZoneTest, UnknownNameGetsAHint) {
  auto r = TimeZone::Find("America/New_Yrok");
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().hint(), "did you mean 'America/New_York'?");
}

TEST(TimeTest, FormatsInZone) {
  auto t = ParseTimestamp("2013-05-01", NewYork()).value();
  EXPECT_EQ(FormatInZone(t, NewYork()), "2013-05-01T00:00:00-04:00");
  EXPECT_EQ(FormatShort(NewYork().ToLocal(t)), "2013-05-01");
  EXPECT_EQ(FormatShort(TimeZone::Utc().ToLocal(t)), "2013-05-01T04:00");
}

TEST(TimeFormatTest, ReadsWhatItWrites) {
  auto t = ParseTimeFormat("07/Feb/2013 03:05:06 PM", "%d/%b/%Y %I:%M:%S %p");
  ASSERT_TRUE(t);
  EXPECT_EQ(FormatTime(*t, "%Y-%m-%d %H:%M:%S %j"), "2013-02-07 15:05:06 038");
  EXPECT_EQ(FormatTime(*ParseTimeFormat("2013-05-01T00:00:00-0400", "%Y-%m-%dT%H:%M:%S%z"), "%H"), "04");
  EXPECT_FALSE(ParseTimeFormat("2013-05-01x", "%Y-%m-%d"));
  EXPECT_FALSE(ParseTimeFormat("2013-5", "%Y-%m-%d"));
  EXPECT_FALSE(CheckTimeFormat("%Q"));
  EXPECT_FALSE(CheckTimeFormat("100%"));
  EXPECT_TRUE(CheckTimeFormat("%Y%%"));
}

}  // namespace
}  // namespace quern
