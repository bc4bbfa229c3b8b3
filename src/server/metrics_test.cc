#include "server/metrics.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

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

TEST(MetricsTest, ReferencePageListsExactlyTheseMetrics) {
  std::set<std::string> rendered, documented;
  std::string text = RenderMetrics(Sample());
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
