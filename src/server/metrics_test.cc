#include "server/metrics.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "report/model_fixture.h"

namespace quern::server {
namespace {

MetricsInput Sample() {
  MetricsInput input;
  input.totals.runs[{"monthly", "success"}] = 12;
  input.totals.tasks[{"test", "failed"}] = 2;
  input.totals.tasks[{"ingest", "success"}] = 30;
  input.totals.task_seconds["ingest"] = 1.5;
  input.totals.rows["ingest"] = 336776;
  input.totals.rows_discarded["ingest"] = 3;
  input.schedules.push_back({"monthly", "waiting", {}, FromMicros(1'000'000), ""});
  input.version = "0.1.0";
  input.started = FromMicros(0);
  return input;
}

TEST(MetricsTest, ValuesAndLabels) {
  std::string text = RenderMetrics(Sample());
  for (auto line :
       {"quern_dag_runs_total{dag=\"monthly\",state=\"success\"} 12", "quern_rows_ingested_total 336776",
        "quern_rows_discarded_total 3", "quern_test_results_total{state=\"failed\"} 2",
        "quern_task_failures_total{kind=\"test\"} 2", "quern_schedule_next_due_timestamp_seconds{dag=\"monthly\"} 1"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
}

TEST(MetricsTest, ModelsAreThereWhenThereAreSome) {
  auto input = Sample();
  EXPECT_EQ(RenderMetrics(input).find("ml_model"), std::string::npos);
  std::vector<report::ModelData> models = {report::SampleModel()};
  models[0].drift[7].feature = "a\"b\n";
  input.models = &models;
  input.now = models[0].periods[1].end + std::chrono::hours(1);
  std::string text = RenderMetrics(input);
  for (auto line :
       {"ml_model_auc{model=\"late_arrival\",predictor=\"model\"} 0.72",
        "ml_model_auc{model=\"late_arrival\",predictor=\"dummy\"} 0.5",
        "ml_model_drift_share{model=\"late_arrival\"} 0.5",
        "ml_model_feature_drift{model=\"late_arrival\",feature=\"carrier\",method=\"jensenshannon\"} 0.02",
        "feature=\"a\\\"b\\n\"", "model_retraining_triggered_total{model=\"late_arrival\"} 2",
        "model_retraining_promoted_total{model=\"late_arrival\"} 1",
        "model_retraining_rejected_total{model=\"late_arrival\"} 1",
        "ml_model_champion_version{model=\"late_arrival\"} 2", "ml_model_age_seconds{model=\"late_arrival\"} 3600",
        "ml_model_predictions{model=\"late_arrival\"} 3000"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
}

TEST(MetricsTest, ReferencePageListsExactlyTheseMetrics) {
  std::set<std::string> rendered, documented;
  auto input = Sample();
  report::ModelData regression;
  regression.name = "use";
  regression.task = report::ModelTask::kRegression;
  regression.periods = {{FromMicros(0), FromMicros(1), "1"}};
  auto& judged = regression.performance.emplace_back();
  for (const auto& metric : report::MetricsToShow(report::ModelTask::kRegression)) judged.metrics[metric] = 1;
  auto binary = report::SampleModel();
  for (const auto& metric : report::MetricsToShow(report::ModelTask::kBinary))
    binary.performance[2].metrics[metric] = 1;
  std::vector<report::ModelData> models = {binary, regression};
  input.models = &models;
  std::string text = RenderMetrics(input);
  std::regex help("# HELP (\\w+)");
  for (std::sregex_iterator it(text.begin(), text.end(), help), end; it != end; ++it) rendered.insert((*it)[1]);
  std::ifstream in(QUERN_SOURCE_DIR "/docs/reference/metrics.md");
  std::stringstream page;
  page << in.rdbuf();
  std::string doc = page.str();
  std::regex row("\\| `(\\w+)` \\|");
  for (std::sregex_iterator it(doc.begin(), doc.end(), row), end; it != end; ++it) documented.insert((*it)[1]);
  EXPECT_EQ(rendered, documented);
}

}  // namespace
}  // namespace quern::server
