#include "ml/dataset/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ml/dataset/query.h"

namespace quern::ml {
namespace {

using testing::ElementsAre;

class FrameTest : public testing::Test {
 protected:
  Timestamp At(const char* text) const { return *ParseTimestamp(text, zone_); }
  std::optional<TimeFrame> Resolve(FrameConfig config) const {
    auto frame = ResolveFrame(config, {At("2013-05-01"), At("2013-06-01")}, zone_);
    EXPECT_TRUE(frame) << frame.error().ToString();
    return frame ? *frame : std::nullopt;
  }
  static FrameConfig Last(const char* span) {
    FrameConfig config;
    config.kind = FrameConfig::Kind::kLast;
    config.last = *ParseSpan(span);
    config.name = span;
    return config;
  }
  static FrameConfig Between(const char* from, const char* to) {
    FrameConfig config;
    config.kind = FrameConfig::Kind::kBetween;
    config.from = from;
    config.to = to;
    return config;
  }
  std::string Text(const FrameConfig& config) const {
    auto frame = Resolve(config);
    return frame ? frame->ToString(zone_) : "none";
  }

  TimeZone zone_ = *TimeZone::Find("America/New_York");
};

TEST_F(FrameTest, FramesEndWhereTheIntervalBegins) {
  EXPECT_EQ(Text({}), "until 2013-05-01");
  EXPECT_EQ(Text(Last("3 months")), "2013-02-01 to 2013-05-01");
  EXPECT_EQ(Text(Last("1 year")), "2012-05-01 to 2013-05-01");
  EXPECT_EQ(Text(Last("2 weeks")), "2013-04-17 to 2013-05-01");
  EXPECT_EQ(Text(Last("60 days")), "2013-03-02 to 2013-05-01");  // over the change to summer time
  EXPECT_EQ(Text(Between("2013-01-01", "2013-03-01")), "2013-01-01 to 2013-03-01");
  EXPECT_EQ(Text(Between("2013-01-01", "2013-12-01")), "2013-01-01 to 2013-05-01");
  EXPECT_EQ(Text(Between("2013-01-01", "")), "2013-01-01 to 2013-05-01");
  EXPECT_EQ(Text(Between("", "2013-02-01")), "until 2013-02-01");
  EXPECT_EQ(Text(Between("2013-05-01", "2013-12-01")), "none");
  EXPECT_EQ(EvaluationFrame({At("2013-05-01"), At("2013-06-01")}).ToString(zone_), "2013-05-01 to 2013-06-01");
}

TEST_F(FrameTest, FramesOfTheSameRowsCountOnce) {
  const std::vector<std::optional<TimeFrame>> frames = {Resolve(Last("1 month")), Resolve(Last("3 months")),
                                                        Resolve({}), Resolve(Between("2013-08-01", "2013-09-01")),
                                                        Resolve(Between("2013-03-01", "2013-05-01"))};
  auto equal = [&](std::optional<Timestamp> first) {
    std::vector<int> out;
    for (auto i : FirstEqualFrame(frames, first)) out.push_back(i ? static_cast<int>(*i) : -1);
    return out;
  };
  EXPECT_THAT(equal(At("2012-01-01")), ElementsAre(0, 1, 2, -1, 4));
  EXPECT_THAT(equal(At("2013-02-01")), ElementsAre(0, 1, 1, -1, 4));
  EXPECT_THAT(equal(At("2013-03-15")), ElementsAre(0, 1, 1, -1, 1));
  EXPECT_THAT(equal(At("2013-04-20")), ElementsAre(0, 0, 0, -1, 0));
  EXPECT_THAT(equal(std::nullopt), ElementsAre(0, 0, 0, -1, 0));
}

TEST_F(FrameTest, ColumnsAreComparedWithConstantsOfTheirOwnType) {
  const TimeFrame frame = *Resolve(Last("1 month"));
  EXPECT_EQ(InFrameSql("d", TimeKind::kDate, frame, zone_), "d >= DATE '2013-04-01' AND d < DATE '2013-05-01'");
  EXPECT_EQ(InFrameSql("t", TimeKind::kInstant, frame, zone_),
            "t >= TIMESTAMPTZ '2013-04-01 04:00:00.000000+00' AND t < TIMESTAMPTZ '2013-05-01 04:00:00.000000+00'");
  EXPECT_EQ(InFrameSql("t", TimeKind::kUtc, frame, zone_),
            "t >= TIMESTAMP '2013-04-01 04:00:00.000000' AND t < TIMESTAMP '2013-05-01 04:00:00.000000'");
  // A day belongs to the frame that its first moment lies in.
  const TimeFrame hours{"x", At("2013-04-01T12:00"), At("2013-04-03T12:00")};
  EXPECT_EQ(InFrameSql("d", TimeKind::kDate, hours, zone_), "d >= DATE '2013-04-02' AND d < DATE '2013-04-04'");
}

TEST_F(FrameTest, TheIntervalIsPutIntoQueriesButNotIntoTheirTexts) {
  const Interval interval{At("2013-05-01"), At("2013-06-01")};
  EXPECT_EQ(BindInterval("SELECT $interval_start, '$interval_end', \"$interval_end\" -- $interval_end\n, $1 "
                         "/* $interval_end */ FROM t WHERE x < $INTERVAL_END",
                         interval),
            "SELECT TIMESTAMPTZ '2013-05-01 04:00:00.000000+00', '$interval_end', \"$interval_end\" -- $interval_end\n"
            ", $1 /* $interval_end */ FROM t WHERE x < TIMESTAMPTZ '2013-06-01 04:00:00.000000+00'");
}

}  // namespace
}  // namespace quern::ml
