#include "project/summary.h"

#include "base/text.h"

namespace quern::project {
namespace {

int Badness(const std::string& state) {
  return state == "success" ? 0 : state == "cancelled" ? 1 : 2;
}

void Count(const schedule::FinishedTask& task, RunSummary& out) {
  const auto& kind = task.node->kind;
  if (task.result.rows_discarded) out.rows_discarded += *task.result.rows_discarded;
  if (task.state == "failed") {
    if (task.node->gate) ++out.tests_failed;
    out.failed.push_back({task.node->id, task.result.error ? task.result.error->message() : task.result.message});
  } else if (task.state == "skipped") {
    out.skipped.push_back({task.node->id, task.result.message});
  } else if (task.state == "cancelled") {
    ++out.cancelled;
  } else if (task.state == "no_op") {
    ++out.unchanged;
  } else if (task.node->gate) {
    ++(task.state == "warned" ? out.tests_warned : out.tests_passed);
  } else if (kind == "ingest" || kind == "seed") {
    ++out.loads;
    if (kind == "ingest") out.rows_in += task.result.rows.value_or(0);
  } else if (kind == "script") {
    ++out.scripts_run;
  } else {
    ++out.models_built;
  }
}

}  // namespace

RunSummary Summarise(const schedule::RunReport& report) {
  RunSummary out;
  out.state = report.state;
  out.seconds = std::chrono::duration<double>(report.ended - report.started).count();
  out.done_before = static_cast<int>(report.done_before.size());
  for (const auto& task : report.tasks) Count(task, out);
  return out;
}

void RunSummary::Add(const RunSummary& other) {
  if (state.empty() || Badness(other.state) > Badness(state)) state = other.state;
  seconds += other.seconds;
  rows_in += other.rows_in;
  rows_discarded += other.rows_discarded;
  loads += other.loads;
  models_built += other.models_built;
  scripts_run += other.scripts_run;
  tests_passed += other.tests_passed;
  tests_warned += other.tests_warned;
  tests_failed += other.tests_failed;
  unchanged += other.unchanged;
  done_before += other.done_before;
  cancelled += other.cancelled;
  failed.insert(failed.end(), other.failed.begin(), other.failed.end());
  skipped.insert(skipped.end(), other.skipped.begin(), other.skipped.end());
}

std::string RunSummary::Line() const {
  std::vector<std::string> parts;
  auto add = [&](int64_t n, std::string_view one, std::string_view many) {
    if (n > 0) parts.push_back(fmt::format("{} {}", FormatCount(n), n == 1 ? one : many));
  };
  add(rows_in, "row in", "rows in");
  add(rows_discarded, "row discarded", "rows discarded");
  add(models_built, "model built", "models built");
  add(scripts_run, "script run", "scripts run");
  add(tests_passed, "test passed", "tests passed");
  add(tests_warned, "test warned", "tests warned");
  add(tests_failed, "test failed", "tests failed");
  add(static_cast<int64_t>(failed.size()) - tests_failed, "node failed", "nodes failed");
  add(static_cast<int64_t>(skipped.size()), "skipped", "skipped");
  add(cancelled, "cancelled", "cancelled");
  add(unchanged, "unchanged", "unchanged");
  add(done_before, "done before", "done before");
  return parts.empty() ? "nothing to do" : Join(parts, ", ");
}

Json RunSummary::ToJson() const {
  auto notes = [](const std::vector<Note>& list) {
    Json out = Json::array();
    for (const auto& note : list) out.push_back({{"node", note.node}, {"why", note.why}});
    return out;
  };
  return {{"state", state},
          {"seconds", seconds},
          {"rows_in", rows_in},
          {"rows_discarded", rows_discarded},
          {"loads", loads},
          {"models_built", models_built},
          {"scripts_run", scripts_run},
          {"tests", {{"passed", tests_passed}, {"warned", tests_warned}, {"failed", tests_failed}}},
          {"unchanged", unchanged},
          {"done_before", done_before},
          {"cancelled", cancelled},
          {"failed", notes(failed)},
          {"skipped", notes(skipped)}};
}

}  // namespace quern::project
