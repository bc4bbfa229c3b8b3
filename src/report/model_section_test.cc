#include "report/model_section.h"

#include <gtest/gtest.h>

#include "base/secrets.h"
#include "report/model_fixture.h"
#include "report/model_summary.h"
#include "report/model_tables.h"

namespace quern::report {
namespace {

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(ModelDataTest, PeriodsChampionAndDrift) {
  auto model = SampleModel();
  EXPECT_EQ(model.periods[1].label, "2013-06");
  EXPECT_EQ(model.LastJudged()->period, 2);
  EXPECT_EQ(model.Champion(), 2);
  EXPECT_EQ(model.ChampionSince(), model.periods[1].end);
  EXPECT_EQ(model.DriftShare(0), 0.5);  // the prediction does not count
  EXPECT_EQ(model.DecisionOf(0), nullptr);
  // The registry's word counts more than the decisions'.
  model.versions = {{.version = 2}, {.version = 1, .aliases = {"champion"}}};
  EXPECT_EQ(model.Champion(), 1);
}

TEST(DriftTest, OneIsWhereDriftBegins) {
  auto relative = [](const char* method, double value, double threshold, bool drifted) {
    return Drift{0, 1, "x", method, value, threshold, drifted, 0, 0, ""}.Relative().value();
  };
  EXPECT_DOUBLE_EQ(relative("wasserstein", 0.25, 0.1, true), 2.5);
  EXPECT_DOUBLE_EQ(relative("psi", 0.05, 0.1, false), 0.5);
  EXPECT_DOUBLE_EQ(relative("ks", 0.0025, 0.05, true), 2);
  EXPECT_LT(relative("chisquare", 0.5, 0.05, false), 0.3);
  EXPECT_EQ(relative("chisquare", 0, 0.05, true), 1e3);
  EXPECT_FALSE((Drift{0, 1, "x", "psi", {}, 0.1, false, 0, 0, ""}.Relative()));
}

TEST(ModelSectionTest, SaysWhatHappened) {
  std::string html = RenderModel(SampleModel());
  for (const char* text : {"champion v2 since the run of 2013-06", "AUC", "log loss", "dummy 0.5000",
                           "asked for because auc 0.66 &lt; 0.7", "p2_last_3_months ★", "<td>max_depth 6</td>",
                           "all with eta 0.1", "promoted", "rejected", "calibration", "class balance",
                           "predicted scores", "class=\"h5\"", "50 %", "origin=JFK", "auc &lt; 0.7"})
    EXPECT_TRUE(Has(html, text)) << text;
  EXPECT_LT(html.find("origin=JFK"), html.find("origin=EWR")) << "the worst slice first";
  EXPECT_FALSE(Has(html, "style=")) << "style=";
  EXPECT_FALSE(Has(html, "href=")) << "href=";
}

TEST(ModelSectionTest, RegressionHasItsOwnMetrics) {
  ModelData m;
  m.name = "use";
  m.task = ModelTask::kRegression;
  m.periods = {{FromMicros(0), FromMicros(1), "09"}};
  m.performance = {{.period = 0,
                    .slice = "",
                    .version = 1,
                    .rows = 10,
                    .labeled = 10,
                    .positive_share = {},
                    .metrics = {{"rmse", 2.5}, {"mae", 2.0}, {"r2", 0.5}},
                    .dummy = {{"rmse", 4.0}},
                    .calibration = {}}};
  std::string html = RenderModel(m);
  for (const char* text : {"RMSE", "MAE", "R²", "2.500", "regression"}) EXPECT_TRUE(Has(html, text)) << text;
  for (const char* text : {"AUC", "calibration", "class balance"}) EXPECT_FALSE(Has(html, text)) << text;
}

TEST(ModelSectionTest, WhatIsWrittenInTablesIsText) {
  RegisterSecret("hunter2-secret");
  auto model = SampleModel();
  const std::string evil = "</svg><script>alert(1)</script>\"'hunter2-secret\xff";
  model.name = model.description = evil;
  model.periods[0].label = evil;
  model.performance[3].slice = evil;
  model.drift[0].feature = model.drift[0].method = model.drift[0].note = evil;
  model.verdicts[1].reason = model.verdicts[2].expression = evil;
  model.decisions[0].decision = model.decisions[0].reason = model.decisions[0].decided_by = evil;
  model.decisions[0].metric = evil;
  model.decisions[0].candidates[0] = {evil, evil, evil, {{evil, evil}}, 1, {{evil, 1.0}}, {{evil, 1.0}}, evil};
  model.profile = {{evil, evil, 1, {}, {}, {}, {}, {}, {}, {}}};
  model.problems = {evil};
  for (bool links : {true, false}) {
    std::string html = RenderModel(model, {.links = links, .profile = true});
    EXPECT_FALSE(Has(html, "<script")) << "<script";
    EXPECT_FALSE(Has(html, "hunter2")) << "hunter2";
    EXPECT_FALSE(Has(html, "\xff")) << "\xff";
    EXPECT_TRUE(Has(html, "&lt;script&gt;")) << "&lt;script&gt;";
  }
}

TEST(ModelSectionTest, LittleOrOddDataIsNoTrouble) {
  ModelData m;
  m.name = "new";
  EXPECT_TRUE(Has(RenderModel(m), "no champion yet")) << "no champion yet";
  m = SampleModel();
  m.performance.clear();
  EXPECT_FALSE(RenderModel(m).empty());
  m = SampleModel();
  m.predictions.clear();
  m.drift.resize(1);
  for (auto& one : m.performance) {
    one.metrics["auc"] = std::nullopt;
    one.version = std::nullopt;
    one.calibration.clear();
  }
  EXPECT_FALSE(RenderModel(m, {.profile = true}).empty());
}

TEST(ModelSummaryTest, OneLineAPeriod) {
  auto table = SummariseModel(SampleModel(), 2);
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_EQ(table.columns[2], "AUC (dummy)");
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"2013-06", "v1", "0.6600 (0.5000)", "0.5000 (0.5600)", "50 %",
                                                     "promoted v2", "auc 0.73 beats 0.66"}));
  EXPECT_EQ(table.rows[1][5], "rejected");
  EXPECT_EQ(SummaryLine(SampleModel()), "late_arrival: champion v2; 2 retrainings: 1 promoted, 1 rejected");
}

TEST(ModelTablesTest, OddJsonIsLeftOut) {
  EXPECT_TRUE(CandidatesOf("nonsense").empty());
  EXPECT_TRUE(CandidatesOf("[1, null, \"x\"]").empty());
  auto list = CandidatesOf(
      R"([{"candidate": "a", "frame": {"x": 1}, "parameters": {"eta": 0.1, "booster": "gbtree"}, "rows": 1e300,
           "metrics": {"auc": 0.5, "note": "x"}, "dummy": [], "blocked": ["auc > 0.6"]}])");
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].parameters, (std::map<std::string, std::string>{{"booster", "gbtree"}, {"eta", "0.1"}}));
  EXPECT_EQ(list[0].metrics.at("note"), std::nullopt);
  EXPECT_EQ(list[0].rows, 0);
  EXPECT_EQ(list[0].blocked, "[\"auc > 0.6\"]");
  EXPECT_FALSE(HistogramOf(R"({"edges": [0, 1], "counts": [1, 2]})"));
  EXPECT_TRUE(HistogramOf(R"({"edges": [0, 1, 2], "counts": [1, 2]})"));
  EXPECT_TRUE(CalibrationOf(R"([{"mean_score": null, "positive_share": 1}, 3])").empty());
  EXPECT_EQ(SharesOf(R"({"true": 0.25, "x": "y"})").size(), 1U);
}

}  // namespace
}  // namespace quern::report
