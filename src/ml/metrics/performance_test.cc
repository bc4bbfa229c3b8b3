#include "ml/metrics/performance.h"

#include <gtest/gtest.h>

#include "engine/duckdb/database.h"

namespace quern::ml {
namespace {

class PerformanceTest : public testing::Test {
 protected:
  PerformanceTest() : db_(*engine::DuckDatabase::Open({.threads = 2})), con_(*db_->Connect()) {}

  std::vector<Performance> Judge(std::string_view relation, const PerformanceSpec& spec) {
    auto result = Evaluate(*con_, relation, spec);
    if (!result) {
      ADD_FAILURE() << result.error().ToString();
      return std::vector<Performance>(1);
    }
    return *std::move(result);
  }

  std::unique_ptr<engine::DuckDatabase> db_;
  std::unique_ptr<engine::Connection> con_;
};

constexpr auto kScores = R"(
  SELECT label, CASE WHEN score >= 0.5 THEN 'true' ELSE 'false' END AS prediction, score, origin FROM (VALUES
    (true, 0.9, 'JFK'), (false, 0.8, 'JFK'), (true, 0.8, 'LGA'), (true, 0.6, 'LGA'), (false, 0.4, 'LGA'),
    (false, 0.4, NULL), (true, 0.2, 'LGA'), (false, 0.0, 'LGA'), (NULL, 0.7, 'EWR')) t(label, score, origin))";

// Recorded from scikit-learn 1.9.1.
TEST_F(PerformanceTest, BinaryMetricsAreScikitLearns) {
  const auto all = Judge(kScores, {.dummy = DummyModel{.positive_share = 0.25}})[0];
  const std::map<std::string, double> expected = {{"accuracy", 0.75},
                                                  {"auc", 0.71875},
                                                  {"average_precision", 0.74702380952380953},
                                                  {"log_loss", 0.63498209539227624},
                                                  {"brier", 0.22625000000000003},
                                                  {"precision", 0.75},
                                                  {"recall", 0.75},
                                                  {"f1", 0.75},
                                                  {"tp", 3},
                                                  {"fp", 1},
                                                  {"tn", 3},
                                                  {"fn", 1}};
  ASSERT_EQ(all.metrics.size(), expected.size());
  for (const auto& [name, value] : expected) EXPECT_NEAR(all.metrics.at(name).value(), value, 1e-14) << name;
  EXPECT_EQ(all.rows, 9);
  EXPECT_EQ(all.labeled, 8);
  EXPECT_EQ(all.positive_share, 0.5);
  EXPECT_NEAR(all.dummy.at("log_loss").value(), 0.83698821678583568, 1e-14);
  EXPECT_NEAR(all.dummy.at("brier").value(), 0.3125, 1e-14);
  EXPECT_EQ(all.dummy.at("average_precision"), 0.5);
  EXPECT_EQ(all.dummy.at("auc"), 0.5);
  EXPECT_EQ(all.dummy.at("tp"), 0);
  EXPECT_EQ(all.dummy.at("precision"), 0);
}

TEST_F(PerformanceTest, SlicesComeAfterAllRowsInOrderOfTheirValues) {
  const auto all = Judge(kScores, {.slices = {"origin"}});
  std::vector<std::string> names;
  for (const auto& one : all) names.push_back(one.Slice());
  EXPECT_EQ(names, (std::vector<std::string>{"", "origin=null", "origin=EWR", "origin=JFK", "origin=LGA"}));
  EXPECT_EQ(all[2].labeled, 0);
  EXPECT_EQ(all[2].metrics.at("accuracy"), std::nullopt);
  EXPECT_EQ(all[1].metrics.at("auc"), std::nullopt) << "one class";
  EXPECT_EQ(all[1].metrics.at("accuracy"), 1);
  EXPECT_EQ(all[3].metrics.at("auc"), 1);
}

TEST_F(PerformanceTest, CalibrationBinsHoldTheirUpperEnds) {
  const auto all = Judge(kScores, {.calibration_bins = 5})[0];
  ASSERT_EQ(all.calibration.size(), 5);
  EXPECT_EQ(all.calibration[0].rows, 2);  // 0 and 0.2
  EXPECT_EQ(all.calibration[0].mean_score, 0.1);
  EXPECT_EQ(all.calibration[0].positive_share, 0.5);
  EXPECT_EQ(all.calibration[1].rows, 2);
  EXPECT_EQ(all.calibration[4].rows, 1);
}

TEST_F(PerformanceTest, MulticlassNeedsNoProbabilities) {
  const auto all = Judge("SELECT * FROM (VALUES ('a', 'a'), ('b', 'a'), ('c', 'c'), (NULL, 'c')) t(label, prediction)",
                         {.task = Task::kMulticlass, .classes = {"a", "b", "c"}})[0];
  EXPECT_EQ(all.rows, 4);
  EXPECT_EQ(all.labeled, 3);
  EXPECT_NEAR(all.metrics.at("accuracy").value(), 2.0 / 3, 1e-15);
  EXPECT_NEAR(all.metrics.at("precision").value(), 0.5, 1e-15);
  EXPECT_NEAR(all.metrics.at("f1").value(), (2.0 / 3 + 0 + 1) / 3, 1e-15);
  EXPECT_EQ(all.metrics.at("log_loss"), std::nullopt);
  EXPECT_EQ(all.confusion, (Json{{"a", {{"a", 1}}}, {"b", {{"a", 1}}}, {"c", {{"c", 1}}}}));
}

// Recorded from scikit-learn 1.9.1.
TEST_F(PerformanceTest, RegressionMetricsAreScikitLearns) {
  const auto all = Judge("SELECT * FROM (VALUES (1, 1.5), (2, 2), (4, 3), (NULL, 9)) t(label, prediction)",
                         {.task = Task::kRegression, .dummy = DummyModel{.mean = 2}})[0];
  const std::map<std::string, double> expected = {
      {"rmse", 0.6454972243679028}, {"mae", 0.5},     {"mape", 0.25},
      {"r2", 0.7321428571428571},   {"max_error", 1}, {"mean_error", -0.5 / 3}};
  for (const auto& [name, value] : expected) EXPECT_NEAR(all.metrics.at(name).value(), value, 1e-14) << name;
  EXPECT_EQ(all.dummy.at("mae"), 1);
  const auto one = Judge("SELECT 1.0 AS label, 2.0 AS prediction", {.task = Task::kRegression})[0];
  EXPECT_EQ(one.metrics.at("rmse"), 1);
  EXPECT_EQ(one.metrics.at("r2"), std::nullopt);
}

TEST_F(PerformanceTest, NoRowsGiveOneElementWithoutValues) {
  for (const auto task : {Task::kBinary, Task::kMulticlass, Task::kRegression}) {
    const auto all = Judge("SELECT 1 AS label, 1 AS prediction, 0.5 AS score, 'x' AS s WHERE false",
                           {.task = task, .slices = {"s"}, .dummy = DummyModel{.class_shares = {{"a", 1}}}});
    ASSERT_EQ(all.size(), 1);
    EXPECT_EQ(all[0].metrics.size(), MetricsOf(task).size());
    for (const auto& [name, value] : all[0].metrics) EXPECT_EQ(value, std::nullopt) << name;
    for (const auto& [name, value] : all[0].dummy) EXPECT_EQ(value, std::nullopt) << name;
  }
}

TEST_F(PerformanceTest, AColumnThatIsNotThereIsAnError) {
  const auto result = Evaluate(*con_, "SELECT 1 AS label, 1 AS prediction", {});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code(), ErrorCode::kSqlBind);
}

}  // namespace
}  // namespace quern::ml
