#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cmath>
#include <limits>
#include <thread>

#include "state/database.h"
#include "tracking/store_fixture.h"

namespace quern::tracking {
namespace {

class RunsTest : public StoreTest {
 protected:
  int64_t Count(std::string_view table) const {
    auto db = state::Database::Open({.url = Path(), .read_only = true});
    EXPECT_TRUE(db);
    return (*db)->Query(fmt::format("SELECT count(*) FROM {}", table))->at(0).Int(0);
  }
  std::map<std::string, int64_t> Counts() const {
    std::map<std::string, int64_t> counts;
    for (std::string_view table :
         {"runs", "params", "tags", "metrics", "latest_metrics", "inputs", "input_tags", "datasets", "logged_models",
          "logged_model_params", "logged_model_tags", "logged_model_metrics"}) {
      counts[std::string(table)] = Count(table);
    }
    return counts;
  }
};

TEST_F(RunsTest, RecordedRunReadsBackWhole) {
  auto store = Open();
  NewRun run = SomeRun(*store, "a");
  run.user = "ann";
  run.parent_run_id = Id("parent");
  ASSERT_TRUE(store->RecordRun(run));
  auto found = store->FindRun(run.run_id);
  ASSERT_TRUE(found && *found);
  const auto& read = **found;
  EXPECT_EQ(read.run_id, run.run_id);
  EXPECT_EQ(read.experiment_id, 1);
  EXPECT_EQ(read.name, "a");
  EXPECT_EQ(read.status, "FINISHED");
  EXPECT_EQ(read.start, run.start);
  EXPECT_EQ(read.end, run.end);
  EXPECT_TRUE(read.artifact_uri.ends_with(fmt::format("/artifacts/1/{}/artifacts", run.run_id))) << read.artifact_uri;
  EXPECT_EQ(read.params, run.params);
  EXPECT_EQ(read.tags, (Values{{"mlflow.parentRunId", Id("parent")},
                               {"mlflow.runName", "a"},
                               {"mlflow.source.name", "quern"},
                               {"mlflow.source.type", "LOCAL"},
                               {"mlflow.user", "ann"},
                               {"quern.node", "train.late_arrival.1"}}));
  ASSERT_EQ(read.metrics.size(), 2U);
  EXPECT_EQ(read.metrics.at("auc").value, 0.1 + 0.2) << "every digit is kept";
  EXPECT_EQ(read.metrics.at("auc").step, 1);
  EXPECT_EQ(read.metrics.at("auc").timestamp_ms, MillisSinceEpoch(run.end));
  EXPECT_EQ(read.metrics.at("log_loss").value, 1.0 / 3);
  ASSERT_EQ(read.datasets.size(), 1U);
  EXPECT_EQ(read.datasets[0].digest, "0123456789abcdef");
  EXPECT_EQ(read.datasets[0].source, run.datasets[0].source);
  EXPECT_EQ(read.datasets[0].context, "training");
  EXPECT_EQ(read.datasets[0].tags, run.datasets[0].tags);
  EXPECT_EQ(read.model_id, ModelId(run.run_id, "late_arrival"));
  auto history = store->MetricHistory(run.run_id, "auc");
  ASSERT_TRUE(history);
  ASSERT_EQ(history->size(), 2U);
  EXPECT_EQ(history->at(0).value, 0.5);
  EXPECT_FALSE(*store->FindRun(Id("other")));
}

TEST_F(RunsTest, RecordingAgainReplaces) {
  auto store = Open();
  NewRun run = SomeRun(*store, "a");
  ASSERT_TRUE(store->RecordRun(run));
  const auto once = Counts();
  ASSERT_TRUE(store->SetTag(run.run_id, "note", "x"));
  ASSERT_TRUE(store->LogMetrics(run.run_id, {{.key = "later", .value = 1}}));
  ASSERT_TRUE(store->RecordRun(run));
  EXPECT_EQ(Counts(), once);
  run.status = RunStatus::kFailed;
  run.model.reset();
  run.datasets.clear();
  run.params = {{"eta", "0.3"}};
  ASSERT_TRUE(store->RecordRun(run));
  auto found = *store->FindRun(run.run_id);
  EXPECT_EQ(found->status, "FAILED");
  EXPECT_EQ(found->params, (Values{{"eta", "0.3"}}));
  EXPECT_FALSE(found->model_id);
  EXPECT_TRUE(found->datasets.empty());
  EXPECT_EQ(Count("logged_models"), 0);
  EXPECT_EQ(Count("inputs"), 0);
}

TEST_F(RunsTest, RunOfAnotherExperimentIsAConflict) {
  auto store = Open();
  NewRun run = SomeRun(*store, "a");
  ASSERT_TRUE(store->RecordRun(run));
  run.experiment_id = 0;
  auto refused = store->RecordRun(run);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kTrackingConflict);
  run.experiment_id = 77;
  EXPECT_EQ(store->RecordRun(run).error().code(), ErrorCode::kTrackingNotFound);
}

TEST_F(RunsTest, WhatMlflowDoesNotTakeIsRefusedBeforeAnythingIsWritten) {
  auto store = Open();
  const NewRun good = SomeRun(*store, "a");
  const auto refused = [&](auto change) {
    NewRun run = good;
    change(run);
    auto answer = store->RecordRun(run);
    EXPECT_FALSE(answer);
    return !answer && answer.error().code() == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](NewRun& r) { r.run_id = "A"; }));
  EXPECT_TRUE(refused([](NewRun& r) { r.metrics.push_back({.key = "slice.origin=JFK", .value = 1}); }));
  EXPECT_TRUE(refused([](NewRun& r) { r.params["a//b"] = "1"; }));
  EXPECT_TRUE(refused([](NewRun& r) { r.params[""] = "1"; }));
  EXPECT_TRUE(refused([](NewRun& r) { r.tags["../x"] = "1"; }));
  EXPECT_TRUE(refused([](NewRun& r) { r.datasets[0].digest = std::string(37, 'a'); }));
  EXPECT_TRUE(refused([](NewRun& r) { r.model->name = "models/a"; }));
  EXPECT_TRUE(refused([](NewRun& r) { r.params[std::string(251, 'k')] = "1"; }));
  EXPECT_EQ(Count("runs"), 0);
}

TEST_F(RunsTest, OddValuesAreKeptAsMlflowKeepsThem) {
  auto store = Open();
  NewRun run = SomeRun(*store, "it's \"ä\"\n");
  const double inf = std::numeric_limits<double>::infinity();
  run.metrics = {{.key = "nan", .value = std::nan("")},
                 {.key = "inf", .value = inf},
                 {.key = "minus", .value = -inf},
                 {.key = "tiny", .value = 5e-324}};
  std::string umlauts;
  for (int i = 0; i < 7'000; ++i) umlauts += "ä";
  run.params["long"] = umlauts;
  run.params["quote"] = "it's :p1 \"x\"; DROP TABLE runs";
  run.params["empty"] = "";
  ASSERT_TRUE(store->RecordRun(run));
  auto found = *store->FindRun(run.run_id);
  EXPECT_EQ(found->name, run.name);
  EXPECT_TRUE(std::isnan(found->metrics.at("nan").value));
  EXPECT_EQ(found->metrics.at("inf").value, std::numeric_limits<double>::max());
  EXPECT_EQ(found->metrics.at("minus").value, std::numeric_limits<double>::lowest());
  EXPECT_EQ(found->metrics.at("tiny").value, 5e-324);
  EXPECT_EQ(Utf8Length(found->params.at("long")), 6'000U);
  EXPECT_EQ(found->params.at("quote"), run.params["quote"]);
  EXPECT_EQ(found->params.at("empty"), "");
}

TEST_F(RunsTest, FiltersByTagsParentStatusAndExperiment) {
  auto store = Open();
  NewRun parent = SomeRun(*store, "parent");
  parent.model.reset();
  ASSERT_TRUE(store->RecordRun(parent));
  for (int i = 0; i < 6; ++i) {
    NewRun run = SomeRun(*store, fmt::format("child {}", i), i);
    run.parent_run_id = parent.run_id;
    run.tags["quern.schedule"] = i % 2 == 0 ? "monthly" : "weekly";
    run.tags["n"] = std::to_string(i);
    run.status = i == 5 ? RunStatus::kFailed : RunStatus::kFinished;
    run.metrics = {{.key = "auc", .value = i == 4 ? std::nan("") : 0.5 + 0.1 * (i % 3)}};
    ASSERT_TRUE(store->RecordRun(run));
  }
  const auto names = [&](const RunFilter& filter) {
    std::vector<std::string> out;
    auto runs = store->ListRuns(filter);
    EXPECT_TRUE(runs) << runs.error().ToString();
    for (const auto& run : *runs) out.push_back(run.name);
    return out;
  };
  EXPECT_EQ(names({}).size(), 7U);
  EXPECT_EQ(names({.parent_run_id = parent.run_id}),
            (std::vector<std::string>{"child 5", "child 4", "child 3", "child 2", "child 1", "child 0"}));
  EXPECT_EQ(names({.tags = {{"quern.schedule", "monthly"}}, .limit = 2}),
            (std::vector<std::string>{"child 4", "child 2"}));
  EXPECT_EQ(names({.tags = {{"quern.schedule", "weekly"}}, .status = RunStatus::kFailed}),
            (std::vector<std::string>{"child 5"}));
  EXPECT_EQ(names({.tags = {{"quern.schedule", "weekly"}, {"n", "1"}}}), (std::vector<std::string>{"child 1"}));
  EXPECT_TRUE(names({.experiment_id = 0}).empty());
  EXPECT_EQ((*store->BestRun({.experiment_id = 1, .parent_run_id = parent.run_id}, "auc", true))->name, "child 2");
  EXPECT_EQ((*store->BestRun({.parent_run_id = parent.run_id}, "auc", false))->name, "child 0");
  EXPECT_FALSE(*store->BestRun({}, "no such", true));
}

TEST_F(RunsTest, TagsAndMetricsAreAddedToARun) {
  auto store = Open();
  const NewRun run = SomeRun(*store, "a");
  ASSERT_TRUE(store->RecordRun(run));
  ASSERT_TRUE(store->SetTag(run.run_id, "quern.decision", "promoted"));
  ASSERT_TRUE(store->SetTag(run.run_id, "quern.decision", "rejected"));
  ASSERT_TRUE(store->SetTag(run.run_id, "mlflow.runName", "b"));
  ASSERT_TRUE(store->LogMetrics(run.run_id, {{.key = "auc", .value = 0.9, .step = 2, .timestamp_ms = 5},
                                             {.key = "auc", .value = 0.2, .step = 0, .timestamp_ms = 7}}));
  ASSERT_TRUE(store->LogMetrics(
      run.run_id, {{.key = "auc", .value = 0.9, .step = 2, .timestamp_ms = 5}, {.key = "new", .value = 1}}));
  auto found = *store->FindRun(run.run_id);
  EXPECT_EQ(found->tags.at("quern.decision"), "rejected");
  EXPECT_EQ(found->name, "b");
  EXPECT_EQ(found->metrics.at("auc").value, 0.9);
  EXPECT_EQ(found->metrics.at("new").timestamp_ms, MillisSinceEpoch(clock_.Now()));
  EXPECT_EQ(store->MetricHistory(run.run_id, "auc")->size(), 4U);
  EXPECT_EQ(store->SetTag(Id("none"), "a", "b").error().code(), ErrorCode::kTrackingNotFound);
  EXPECT_EQ(store->LogMetrics(Id("none"), {{.key = "a", .value = 1}}).error().code(), ErrorCode::kTrackingNotFound);
}

TEST_F(RunsTest, LongHistoriesAndManyRunsAreQuick) {
  auto store = Open();
  NewRun run = SomeRun(*store, "a");
  run.metrics.clear();
  for (int step = 0; step < 20'000; ++step)
    run.metrics.push_back({.key = "loss", .value = 1.0 / (step + 1), .step = step});
  ASSERT_TRUE(store->RecordRun(run));
  ASSERT_TRUE(store->RecordRun(run));
  EXPECT_EQ(store->MetricHistory(run.run_id, "loss")->size(), 20'000U);
  EXPECT_EQ((*store->FindRun(run.run_id))->metrics.at("loss").step, 19'999);
  for (int i = 0; i < 900; ++i) {
    NewRun other = SomeRun(*store, fmt::format("run {}", i), i);
    other.metrics.resize(1);
    ASSERT_TRUE(store->RecordRun(other));
  }
  auto all = store->ListRuns({});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 901U);
  for (const auto& one : *all) EXPECT_EQ(one.params.size(), 2U);
}

// Runs `work` in a child process, killed without warning after `microseconds`.
void KilledAfter(int microseconds, const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  ::usleep(static_cast<useconds_t>(microseconds));
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
}

TEST_F(RunsTest, KilledWhileRecordingLeavesAllOrNothingAndIsDoneAgain) {
  const auto folder = std::filesystem::path(Path()).parent_path();
  const auto copy = folder_ / "copy";
  NewRun run;
  std::map<std::string, int64_t> whole;
  int64_t one_recording_us = 0;
  {
    auto store = Open();
    run = SomeRun(*store, "a");
    store.reset();
    std::filesystem::copy(folder, copy);
    store = Open();
    for (int step = 0; step < 2'000; ++step) {
      run.metrics.push_back({.key = "loss", .value = 1.0 / (step + 1), .step = step});
    }
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(store->RecordRun(run));
    const auto passed = std::chrono::steady_clock::now() - begin;
    one_recording_us = std::chrono::duration_cast<std::chrono::microseconds>(passed).count();
    whole = Counts();
  }
  int killed_before = 0;
  constexpr int kRounds = 20;
  for (int i = 0; i < kRounds; ++i) {
    std::filesystem::remove_all(folder);
    std::filesystem::copy(copy, folder);
    KilledAfter(static_cast<int>(one_recording_us * i / 6), [&] {
      auto store = Store::Open(Options());
      if (!store) ::_exit(1);
      while (true) {
        auto done = (*store)->RecordRun(run);
        if (!done) ::_exit(1);
      }
    });
    auto store = Store::Open(Options());
    ASSERT_TRUE(store) << store.error().ToString();
    auto found = (*store)->FindRun(run.run_id);
    ASSERT_TRUE(found);
    if (*found) {
      EXPECT_EQ(Counts(), whole) << "half a run after " << i;
    } else {
      EXPECT_EQ(Count("metrics"), 0);
      ++killed_before;
    }
    ASSERT_TRUE((*store)->RecordRun(run));
    EXPECT_EQ(Counts(), whole);
  }
  EXPECT_GT(killed_before, 0);
  EXPECT_LT(killed_before, kRounds);
}

TEST_F(RunsTest, TwoProcessesRecordAtOnce) {
  auto store = Open();
  const NewRun shared = SomeRun(*store, "shared");
  store.reset();
  std::vector<pid_t> children;
  for (int process = 0; process < 2; ++process) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto own = Store::Open(Options());
      if (!own) ::_exit(1);
      for (int i = 0; i < 40; ++i) {
        NewRun run = SomeRun(**own, fmt::format("{} {}", process, i), i);
        if (!(*own)->RecordRun(run) || !(*own)->RecordRun(shared)) ::_exit(2);
        NewVersion version = SomeVersion(run, fmt::format("effect {}", i));
        if (!(*own)->Promote(version)) ::_exit(3);
      }
      ::_exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  store = Open();
  EXPECT_EQ(store->ListRuns({})->size(), 81U);
  auto versions = store->ListVersions("late_arrival");
  ASSERT_TRUE(versions);
  EXPECT_EQ(versions->size(), 40U) << "one for each effect";
  EXPECT_EQ(versions->front().aliases, (std::vector<std::string>{"champion"}));
}

TEST_F(RunsTest, ThreadsShareAStore) {
  auto store = Open();
  const NewRun first = SomeRun(*store, "first");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        NewRun run = first;
        run.run_id = Id(fmt::format("{} {}", t, i));
        EXPECT_TRUE(store->RecordRun(run));
        EXPECT_TRUE(store->FindRun(run.run_id));
        EXPECT_TRUE(store->ListRuns({.limit = 3}));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store->ListRuns({})->size(), 40U);
}

}  // namespace
}  // namespace quern::tracking
