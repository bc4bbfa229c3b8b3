#include "server/metrics.h"

#include <unistd.h>

#include <fstream>
#include <sstream>

#include "base/text.h"
#include "server/metric_families.h"

namespace quern::server {
namespace {
using prometheus::MetricType;

double Seconds(Timestamp t) {
  return static_cast<double>(MicrosSinceEpoch(t)) / 1e6;
}

// The standard process metrics of Prometheus clients.
void AddProcess(Families& families) {
  long page = sysconf(_SC_PAGESIZE), ticks = sysconf(_SC_CLK_TCK);
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0, resident = 0;
  if (statm >> size >> resident) {
    auto& family = families.New("process_resident_memory_bytes", "Resident memory size in bytes.", MetricType::Gauge);
    Families::Add(family, static_cast<double>(resident * page));
  }
  std::ifstream stat("/proc/self/stat");
  std::string line;
  if (std::getline(stat, line)) {
    auto words = SplitWords(line.substr(line.rfind(')') + 1));  // fields from the third on
    if (words.size() > 12) {
      auto& family = families.New("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
                                  MetricType::Counter);
      Families::Add(family,
                    static_cast<double>(std::stoll(words[11]) + std::stoll(words[12])) / static_cast<double>(ticks));
    }
  }
}
}  // namespace

std::string RenderMetrics(const MetricsInput& input) {
  Families families;
  auto& info = families.New("quern_build_info", "Version of the running program.", MetricType::Gauge);
  Families::Add(info, 1, {{"version", input.version}});

  auto& runs = families.New("quern_dag_runs_total", "DAG runs by schedule and state.", MetricType::Gauge);
  for (const auto& [key, count] : input.totals.runs)
    Families::Add(runs, static_cast<double>(count), {{"dag", key.first}, {"state", key.second}});
  auto& tasks =
      families.New("quern_task_instances_total", "Task instances by kind of node and state.", MetricType::Gauge);
  for (const auto& [key, count] : input.totals.tasks)
    Families::Add(tasks, static_cast<double>(count), {{"kind", key.first}, {"state", key.second}});
  auto& failures = families.New("quern_task_failures_total", "Task instances that ended as failed, by kind of node.",
                                MetricType::Gauge);
  for (const auto& [key, count] : input.totals.tasks) {
    if (key.second == "failed") Families::Add(failures, static_cast<double>(count), {{"kind", key.first}});
  }
  auto& seconds =
      families.New("quern_task_duration_seconds_total", "Time spent in tasks by kind of node.", MetricType::Counter);
  for (const auto& [kind, value] : input.totals.task_seconds) Families::Add(seconds, value, {{"kind", kind}});
  auto& tests = families.New("quern_test_results_total", "Results of tests by state.", MetricType::Gauge);
  for (const auto& [key, count] : input.totals.tasks) {
    if (key.first == "test") Families::Add(tests, static_cast<double>(count), {{"state", key.second}});
  }
  auto total = [](const std::map<std::string, int64_t>& counts, const std::string& kind) {
    auto it = counts.find(kind);
    return it == counts.end() ? 0.0 : static_cast<double>(it->second);
  };
  auto& ingested = families.New("quern_rows_ingested_total", "Rows brought in by ingestion.", MetricType::Counter);
  Families::Add(ingested, total(input.totals.rows, "ingest"));
  auto& discarded =
      families.New("quern_rows_discarded_total", "Rows that ingestion put into quarantine.", MetricType::Counter);
  Families::Add(discarded, total(input.totals.rows_discarded, "ingest"));
  auto& rows = families.New("quern_rows_written_total", "Rows written by kind of node.", MetricType::Counter);
  for (const auto& [kind, count] : input.totals.rows) {
    if (kind != "test") Families::Add(rows, static_cast<double>(count), {{"kind", kind}});
  }

  auto& states = families.New("quern_schedule_state", "1 for the state that a schedule is in.", MetricType::Gauge);
  auto& due = families.New("quern_schedule_next_due_timestamp_seconds", "When a waiting schedule's next run is due.",
                           MetricType::Gauge);
  for (const auto& status : input.schedules) {
    Families::Add(states, 1, {{"dag", status.schedule}, {"state", status.state}});
    if (status.next_due) Families::Add(due, Seconds(*status.next_due), {{"dag", status.schedule}});
  }
  auto& heartbeat = families.New("quern_scheduler_heartbeat_timestamp_seconds",
                                 "The scheduler answered this scrape at this time.", MetricType::Gauge);
  Families::Add(heartbeat, Seconds(input.now));
  if (input.started) {
    auto& started = families.New("process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
                                 MetricType::Gauge);
    Families::Add(started, Seconds(*input.started));
  }
  if (input.models != nullptr) AddModels(families, *input.models, input.now);
  AddProcess(families);
  return families.Serialize();
}

}  // namespace quern::server
