#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "ml/nodes/monitoring_tables.h"
#include "ml/nodes/plots.h"
#include "ml/nodes/run_record.h"

namespace quern::ml {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(SqlTextTest, NumbersKeepEveryDigit) {
  EXPECT_EQ(Sql(std::optional(0.6576747720364742)), "6.5767477203647418e-01::DOUBLE");
  EXPECT_EQ(std::strtod("6.5767477203647418e-01", nullptr), 0.6576747720364742);
}

TEST(SqlTextTest, WhatIsNoNumberIsNull) {
  EXPECT_EQ(Sql(std::optional<double>()), "NULL::DOUBLE");
  EXPECT_EQ(Sql(std::optional(std::numeric_limits<double>::infinity())), "NULL::DOUBLE");
  EXPECT_EQ(Sql(std::optional(std::numeric_limits<double>::quiet_NaN())), "NULL::DOUBLE");
}

TEST(NewRowsTest, ColumnsThatAreNotSetAreNull) {
  NewRows rows({{"a", "BIGINT"}, {"it's", "VARCHAR"}});
  EXPECT_TRUE(rows.empty());
  rows.Begin();
  rows.Set("it's", Sql("x'y"));
  EXPECT_EQ(rows.InsertSql({"s", "t"}),
            "INSERT INTO \"s\".\"t\" (\"a\", \"it's\") VALUES (CAST(NULL AS BIGINT), CAST('x''y' AS VARCHAR))");
}

TEST(RunRecordTest, RunIdsAreDerivedFromTheirParts) {
  EXPECT_EQ(DerivedRunId({"a", "b"}), DerivedRunId({"a", "b"}));
  EXPECT_NE(DerivedRunId({"a", "b"}), DerivedRunId({"ab"}));
  EXPECT_NE(DerivedRunId({"a", "b"}), DerivedRunId({"a\",\"b"}));
  EXPECT_EQ(DerivedRunId({"a"}).size(), 32u);
}

TEST(RunRecordTest, ConfigurationIsReadBackAsItWas) {
  ModelConfig model;
  model.train.rounds = 17;
  model.train.early_stopping = 3;
  model.train.seed = 99;
  model.train.class_weight = {ClassWeightConfig::Kind::kGiven, {{"true", 3}}, {}};
  model.predict.threshold = 0.3;
  const auto text = TrainingConfigText(model, "/nowhere");
  const auto again = WithTrainingConfig(ModelConfig(), Json::parse(text));
  EXPECT_EQ(again.train.rounds, 17);
  EXPECT_EQ(again.train.early_stopping, 3);
  EXPECT_EQ(again.train.seed, 99);
  EXPECT_EQ(again.train.class_weight.kind, ClassWeightConfig::Kind::kGiven);
  EXPECT_EQ(again.train.class_weight.weights.at("true"), 3);
  EXPECT_EQ(again.predict.threshold, 0.3);
}

TEST(RunRecordTest, LabelsThatComeLaterMoveTheEvaluationBack) {
  ModelConfig model;
  schedule::RunContext run;
  run.zone = *TimeZone::Find("America/New_York");
  run.interval = {*ParseTimestamp("2013-05-01", run.zone), *ParseTimestamp("2013-06-01", run.zone)};
  EXPECT_EQ(EvaluationInterval(model, run), run.interval);
  model.dataset.label_delay = Span{.months = 2};
  const auto moved = EvaluationInterval(model, run);
  EXPECT_EQ(FormatInZone(moved.start, run.zone), "2013-03-01T00:00:00-05:00");
  EXPECT_EQ(FormatInZone(moved.end, run.zone), "2013-04-01T00:00:00-04:00");
}

TEST(PlotsTest, TextIsEscapedAndOneValueDraws) {
  const auto importance = ImportanceSvg({{"a<b>&c", 0, 0, 0}});
  EXPECT_THAT(importance, HasSubstr("a&lt;b&gt;&amp;c"));
  EXPECT_THAT(importance, Not(HasSubstr("nan")));
  const auto curve = LearningCurveSvg({{"train_logloss", 0, 0.5}});
  EXPECT_THAT(curve, HasSubstr("train_logloss"));
  EXPECT_THAT(curve, Not(HasSubstr("nan")));
  EXPECT_THAT(CalibrationSvg({}), HasSubstr("</svg>"));
}

}  // namespace
}  // namespace quern::ml
