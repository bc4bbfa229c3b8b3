#include "schedule/runner.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "base/secrets.h"
#include "base/text.h"
#include "schedule/task_log.h"
#include "schedule/testing.h"

namespace quern::schedule {
namespace {

namespace fs = std::filesystem;
using testing::Failed;
using testing::FakeProvider;
using testing::MakeGraph;
using testing::MakeNode;
using testing::MakeRun;

class RunnerTest : public ::testing::Test {
 protected:
  RunnerTest() {
    folder_ = fs::temp_directory_path() / fmt::format("quern_runner_{}_{}", ::getpid(),
                                                      ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  ~RunnerTest() override { fs::remove_all(folder_); }

  void UseStore() {
    auto database = state::Database::Open({.url = (folder_ / "state.db").string()});
    ASSERT_TRUE(database) << database.error().ToString();
    database_ = std::move(*database);
    auto store = RunStore::Open(database_.get(), "dev", nullptr);
    ASSERT_TRUE(store) << store.error().ToString();
    store_ = std::move(*store);
  }

  RunReport Go(const NodeGraph& graph, RunnerOptions options = {}, RunContext run = MakeRun("daily", "2013-05-01"),
               std::vector<bool> selected = {}) {
    Workload work{.graph = &graph, .selected = std::move(selected), .select = {}, .exclude = {}};
    if (work.selected.empty()) work.selected.assign(static_cast<size_t>(graph.size()), true);
    if (!options.threads) options.threads = 2;
    options.store = store_.get();
    auto report = schedule::Run(work, run, options);
    EXPECT_TRUE(report) << report.error().ToString();
    return report ? *report : RunReport{};
  }

  static std::string States(const RunReport& report) {
    std::map<std::string, std::string> states;
    for (const auto& task : report.tasks) states[task.node->id] = task.state;
    std::string out;
    for (const auto& [node, state] : states) out += (out.empty() ? "" : " ") + node + "=" + state;
    return out;
  }

  fs::path folder_;
  FakeProvider provider_;
  std::unique_ptr<state::Database> database_;
  std::unique_ptr<RunStore> store_;
};

TEST_F(RunnerTest, OneThreadTakesTheLongestWayFirstThenIdOrder) {
  auto graph = MakeGraph(
      {MakeNode("a"), MakeNode("b"), MakeNode("c", {"b"}), MakeNode("d", {"c"}), MakeNode("e", {"a"})}, provider_);
  auto report = Go(graph, {.threads = 1});
  EXPECT_EQ(report.state, "success");
  EXPECT_EQ(provider_.Started(), "b a c d e");
  EXPECT_EQ(provider_.begun.size(), 1U);
  EXPECT_EQ(provider_.ended.size(), 1U);
  EXPECT_EQ(provider_.ended_tasks, 5);
}

TEST_F(RunnerTest, FailureSkipsDescendantsOnly) {
  auto graph = MakeGraph(
      {MakeNode("a"), MakeNode("b", {"a"}), MakeNode("c", {"b"}), MakeNode("x"), MakeNode("y", {"x"})}, provider_);
  provider_.work["a"] = [](TaskContext&) { return Failed("boom"); };
  auto report = Go(graph);
  EXPECT_EQ(report.state, "failed");
  EXPECT_EQ(States(report), "a=failed b=skipped c=skipped x=success y=success");
  for (const auto& task : report.tasks) {
    EXPECT_EQ(task.result.message, task.state == "skipped" ? "a failed" : task.state == "failed" ? "boom" : "");
  }
}

TEST_F(RunnerTest, OrderAndSkippingPassThroughNodesThatAreNotSelected) {
  auto source = MakeNode("source", {"a"});
  source.runs = false;
  auto graph = MakeGraph({MakeNode("a"), source, MakeNode("b", {"source"}), MakeNode("c", {"b"})}, provider_);
  provider_.work["a"] = [](TaskContext&) { return Failed("boom"); };
  auto report = Go(graph, {}, MakeRun("daily", "2013-05-01"), {true, false, true, true});
  EXPECT_EQ(States(report), "a=failed c=skipped");
}

TEST_F(RunnerTest, SourceBetweenWriterAndReaderOrdersThem) {
  auto writer = MakeNode("ingest.raw");
  writer.writes = {{"RAW", "Orders"}};
  auto source = MakeNode("source.raw");
  source.runs = false;
  source.reads = {{{"raw", "orders"}, ReadMode::kCurrent}};
  auto graph = MakeGraph({MakeNode("a.model", {"source.raw"}), writer, source}, provider_);
  EXPECT_EQ(Go(graph, {.threads = 1}).state, "success");
  EXPECT_EQ(provider_.Started(), "ingest.raw a.model");
}

TEST_F(RunnerTest, FailedTestHoldsBackWhatIsDownstreamOfAllItTests) {
  auto test = MakeNode("test.ab", {"a", "b"});
  test.gate = true;
  auto graph = MakeGraph({MakeNode("a"), MakeNode("b"), MakeNode("only_a", {"a"}), MakeNode("joined", {"a", "b"}),
                          MakeNode("last", {"joined"}), test},
                         provider_);
  provider_.work["test.ab"] = [](TaskContext&) { return Failed("3 rows"); };
  EXPECT_EQ(States(Go(graph)), "a=success b=success joined=skipped last=skipped only_a=success test.ab=failed");
  EXPECT_EQ(graph.Select({"+last"}, {}, {graph::IndirectSelection::kEmpty, ""})->count(), 4)
      << "'+' does not follow gate edges";
}

TEST_F(RunnerTest, WarnedTestHoldsNothingBack) {
  auto test = MakeNode("test.a", {"a"});
  test.gate = true;
  auto graph = MakeGraph({MakeNode("a"), MakeNode("b", {"a"}), test}, provider_);
  provider_.work["test.a"] = [](TaskContext&) {
    TaskResult result;
    result.status = TaskStatus::kWarned;
    return result;
  };
  auto report = Go(graph, {.threads = 1});
  EXPECT_EQ(States(report), "a=success b=success test.a=warned");
  EXPECT_EQ(provider_.Started(), "a test.a b");
  EXPECT_EQ(report.state, "success");
}

TEST_F(RunnerTest, RetriesUntilItWorksAndNoMoreThanAllowed) {
  auto flaky = MakeNode("flaky");
  flaky.config = {{"retries", 3}, {"retry_delay", "1ms"}};
  auto hopeless = MakeNode("hopeless");
  hopeless.config = {{"retries", 5}};
  auto graph = MakeGraph({flaky, hopeless, MakeNode("after", {"flaky"}), MakeNode("broken")}, provider_);
  std::atomic<int> tries{0};
  std::atomic<int> broken{0};
  provider_.work["flaky"] = [&](TaskContext& context) {
    EXPECT_EQ(context.try_number, ++tries);
    return tries < 3 ? Failed("again") : TaskResult{};
  };
  provider_.work["hopeless"] = [&](TaskContext&) {
    auto result = Failed("no use");
    result.retryable = false;
    return result;
  };
  provider_.work["broken"] = [&](TaskContext&) { return ++broken, Failed("always"); };
  auto report = Go(graph, {.retry = {.retries = 2, .delay = std::chrono::milliseconds(1)}});
  EXPECT_EQ(States(report), "after=success broken=failed flaky=success hopeless=failed");
  EXPECT_EQ(tries, 3);
  EXPECT_EQ(broken, 3);
}

TEST_F(RunnerTest, RetryDelayReads) {
  auto node = MakeNode("a");
  const auto delay = [&](Json value) {
    node.config = {{"retry_delay", std::move(value)}};
    return RetryPolicyOf(node, {.retries = 0, .delay = std::chrono::milliseconds(7)}).delay.count();
  };
  EXPECT_EQ(delay("30s"), 30'000);
  EXPECT_EQ(delay("5m"), 300'000);
  EXPECT_EQ(delay("1.5"), 1'500);
  EXPECT_EQ(delay(2), 2'000);
  EXPECT_EQ(delay(-2), 0);
  EXPECT_EQ(delay("soon"), 7);
}

TEST_F(RunnerTest, FailFastStopsTheRest) {
  auto graph = MakeGraph({MakeNode("a"), MakeNode("b"), MakeNode("c", {"b"}), MakeNode("d", {"c"})}, provider_);
  std::atomic<bool> running{false};
  provider_.work["b"] = [&](TaskContext& context) {
    running = true;
    while (!context.cancellation.cancelled()) std::this_thread::yield();
    return Failed("stopped", ErrorCode::kCancelled);
  };
  provider_.work["a"] = [&](TaskContext&) {
    while (!running) std::this_thread::yield();
    return Failed("boom");
  };
  auto report = Go(graph, {.fail_fast = true});
  EXPECT_EQ(States(report), "a=failed b=cancelled c=skipped d=skipped");
  EXPECT_EQ(report.state, "failed");
}

TEST_F(RunnerTest, CancellationEndsRunningTasksAndStartsNoMore) {
  auto graph = MakeGraph({MakeNode("a"), MakeNode("b", {"a"}), MakeNode("c")}, provider_);
  Cancellation cancellation;
  provider_.work["a"] = [&](TaskContext& context) {
    cancellation.Cancel();
    while (!context.cancellation.cancelled()) std::this_thread::yield();
    return Failed("stopped", ErrorCode::kCancelled);
  };
  auto report = Go(graph, {.threads = 1, .cancellation = cancellation});
  EXPECT_EQ(States(report), "a=cancelled b=cancelled c=cancelled");
  EXPECT_EQ(report.state, "cancelled");
}

TEST_F(RunnerTest, ValuesReachLaterNodesAlsoAfterAResume) {
  UseStore();
  auto graph = MakeGraph({MakeNode("a"), MakeNode("b", {"a"})}, provider_);
  provider_.work["a"] = [](TaskContext&) {
    TaskResult result;
    result.values = {{"threshold", 0.5}};
    result.rows = 42;
    return result;
  };
  bool fail = true;
  Json seen;
  provider_.work["b"] = [&](TaskContext& context) {
    seen = context.values("a").value_or(Json());
    EXPECT_FALSE(context.values("nobody"));
    return fail ? Failed("boom") : TaskResult{};
  };
  EXPECT_EQ(Go(graph).state, "failed");
  EXPECT_EQ(seen, (Json{{"threshold", 0.5}}));
  seen = {};
  fail = false;
  auto report = Go(graph);
  EXPECT_EQ(seen, (Json{{"threshold", 0.5}}));
  EXPECT_EQ(States(report), "b=success");
  EXPECT_EQ(report.done_before, std::vector<std::string>{"a"});
}

TEST_F(RunnerTest, FinishedIntervalIsNotRunAgain) {
  UseStore();
  auto graph = MakeGraph({MakeNode("a")}, provider_);
  EXPECT_EQ(Go(graph).state, "success");
  auto again = Go(graph);
  EXPECT_TRUE(again.already_done);
  EXPECT_EQ(again.state, "success");
  EXPECT_EQ(provider_.Started(), "a");
  EXPECT_EQ(Go(graph, {}, MakeRun("daily", "2013-05-02")).already_done, false);
  EXPECT_EQ(provider_.Started(), "a a");
}

TEST_F(RunnerTest, HistoryIsRecorded) {
  UseStore();
  auto flaky = MakeNode("flaky");
  flaky.config = {{"retries", 1}};
  auto graph = MakeGraph({MakeNode("a"), flaky, MakeNode("later", {"a"})}, provider_);
  int tries = 0;
  provider_.work["flaky"] = [&](TaskContext&) { return ++tries == 1 ? Failed("first \xff") : TaskResult{}; };
  provider_.work["a"] = [](TaskContext&) {
    auto result = Failed("boom", ErrorCode::kScriptFailed);
    result.rows_discarded = 3;
    return result;
  };
  EXPECT_EQ(Go(graph).state, "failed");
  auto run = store_->FindRun("daily/2013-05-01");
  ASSERT_TRUE(run) << run.error().ToString();
  EXPECT_EQ(run->state, "failed");
  EXPECT_EQ(run->message, "1 failed, 1 skipped, 1 success");
  EXPECT_EQ(run->attempt, 1);
  auto tasks = *store_->Tasks(run->key);
  ASSERT_EQ(tasks.size(), 3U);
  std::map<std::string, TaskInstance> by_node;
  for (const auto& task : tasks) by_node[task.node] = task;
  EXPECT_EQ(by_node["a"].state, "failed");
  EXPECT_EQ(by_node["a"].error->at("code"), "Q1001");
  EXPECT_EQ(by_node["a"].rows_discarded, 3);
  EXPECT_EQ(by_node["later"].state, "skipped");
  EXPECT_EQ(by_node["later"].message, "a failed");
  EXPECT_EQ(by_node["flaky"].state, "success");
  EXPECT_EQ(by_node["flaky"].try_number, 2);
  auto all_tries = *store_->Tries(run->key);
  ASSERT_EQ(all_tries.size(), 3U);
  EXPECT_EQ(all_tries[1].state, "failed");
  EXPECT_EQ(all_tries[2].state, "success");
  EXPECT_EQ(store_->FindRun("2013-05-01")->id, "daily/2013-05-01");
  EXPECT_EQ(store_->FindRun("latest")->id, "daily/2013-05-01");
  auto unknown = store_->FindRun("daly/2013-05-01");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), ErrorCode::kRunNotFound);
  EXPECT_NE(unknown.error().hint().find("daily/2013-05-01"), std::string::npos);
  EXPECT_EQ(store_->LastTimes()->at("flaky").state, "success");
  EXPECT_FALSE(store_->LastTimes()->contains("a"));
  auto totals = *store_->Metrics();
  EXPECT_EQ((totals.runs[{"daily", "failed"}]), 1);
  EXPECT_EQ((totals.tasks[{"fake", "success"}]), 1);
}

TEST_F(RunnerTest, SecondAttemptGoesOnWithTriesAndLogs) {
  UseStore();
  auto graph = MakeGraph({MakeNode("a")}, provider_);
  provider_.work["a"] = [](TaskContext& context) { return context.try_number < 2 ? Failed("boom") : TaskResult{}; };
  RunnerOptions options;
  options.log_root = folder_ / "logs";
  EXPECT_EQ(Go(graph, options).state, "failed");
  EXPECT_EQ(Go(graph, options).state, "success");
  EXPECT_TRUE(fs::exists(folder_ / "logs/daily/2013-05-01/a/1.log"));
  EXPECT_TRUE(fs::exists(folder_ / "logs/daily/2013-05-01/a/2.log"));
  EXPECT_EQ(store_->FindRun("latest")->attempt, 2);
}

TEST_F(RunnerTest, SameIntervalTwiceAtOnceIsRefusedNamingTheHolder) {
  UseStore();
  auto graph = MakeGraph({MakeNode("a")}, provider_);
  provider_.work["a"] = [&](TaskContext&) {
    Workload work{.graph = &graph, .selected = {true}};
    RunnerOptions options{.threads = 1};
    options.store = store_.get();
    auto second = schedule::Run(work, MakeRun("daily", "2013-05-01"), options);
    EXPECT_FALSE(second);
    if (!second) {
      EXPECT_EQ(second.error().code(), ErrorCode::kIntervalRunning);
      EXPECT_EQ(second.error().fields().at("pid"), std::to_string(::getpid()));
      EXPECT_EQ(second.error().fields().at("dag_run"), "daily/2013-05-01");
    }
    auto other_interval = schedule::Run(work, MakeRun("daily", "2013-05-02"), options);
    EXPECT_FALSE(other_interval) << "intervals of one schedule run one at a time";
    return TaskResult{};
  };
  EXPECT_EQ(Go(graph).state, "success");
}

TEST_F(RunnerTest, DeadProcessIsTakenOverAtOnce) {
  UseStore();
  auto graph = MakeGraph({MakeNode("a"), MakeNode("b")}, provider_);
  provider_.work["b"] = [](TaskContext&) { return Failed("boom"); };
  EXPECT_EQ(Go(graph).state, "failed");
  // As a killed process leaves it: the run and a task say running, and nobody of that start time is there.
  ASSERT_TRUE(database_->Write([&](state::Connection& db) -> Result<void> {
    QUERN_TRY(db.Execute("UPDATE dag_run SET state = 'running', process_start = 1"));
    QUERN_TRY(db.Execute("UPDATE task_instance SET state = 'running' WHERE node = 'b'"));
    QUERN_TRY(db.Execute("UPDATE task_try SET state = 'running' WHERE node = 'b'"));
    return {};
  }));
  EXPECT_EQ(store_->FindRun("latest")->state, "interrupted");
  provider_.work.clear();
  auto report = Go(graph);
  EXPECT_EQ(States(report), "b=success");
  auto tries = *store_->Tries(store_->FindRun("latest")->key);
  ASSERT_EQ(tries.size(), 3U);
  EXPECT_EQ(tries[1].state, "interrupted");
  EXPECT_EQ(tries[2].state, "success");
}

TEST_F(RunnerTest, OtherHostHoldsUntilItsHeartbeatStops) {
  UseStore();
  auto graph = MakeGraph({MakeNode("a")}, provider_);
  provider_.work["a"] = [](TaskContext&) { return Failed("boom"); };
  Go(graph);
  const auto set = [&](Timestamp heartbeat) {
    ASSERT_TRUE(database_->Write([&](state::Connection& db) -> Result<void> {
      QUERN_TRY(db.Execute("UPDATE dag_run SET state = 'running', host = 'elsewhere', boot = 'b', heartbeat = :p1",
                           {MicrosSinceEpoch(heartbeat)}));
      return {};
    }));
  };
  set(Clock::System().Now());
  Workload work{.graph = &graph, .selected = {true}};
  RunnerOptions options{.threads = 1};
  options.store = store_.get();
  auto refused = schedule::Run(work, MakeRun("daily", "2013-05-01"), options);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("elsewhere"), std::string::npos);
  set(Clock::System().Now() - std::chrono::minutes(2));
  EXPECT_EQ(store_->FindRun("latest")->state, "interrupted");
  provider_.work.clear();
  EXPECT_EQ(Go(graph).state, "success");
}

TEST_F(RunnerTest, PartOfAFailedRunDoesNotMakeItASuccess) {
  UseStore();
  auto graph = MakeGraph({MakeNode("a"), MakeNode("b")}, provider_);
  provider_.work["b"] = [](TaskContext&) { return Failed("boom"); };
  provider_.work["a"] = [](TaskContext&) { return Failed("boom"); };
  Go(graph);
  provider_.work.erase("a");
  EXPECT_EQ(Go(graph, {}, MakeRun("daily", "2013-05-01"), {true, false}).state, "success");
  EXPECT_EQ(store_->FindRun("latest")->state, "success") << "same selection text: b has left it";
}

TEST_F(RunnerTest, ProviderThatCannotBeginFailsTheRun) {
  UseStore();
  auto graph = MakeGraph({MakeNode("a")}, provider_);
  provider_.begin_error = Error(ErrorCode::kDbtProject, "no profile");
  Workload work{.graph = &graph, .selected = {true}};
  RunnerOptions options{.threads = 1};
  options.store = store_.get();
  auto report = schedule::Run(work, MakeRun("daily", "2013-05-01"), options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().message(), "no profile");
  EXPECT_EQ(store_->FindRun("latest")->state, "failed");
  provider_.begin_error.reset();
  EXPECT_EQ(Go(graph).state, "success");
}

TEST_F(RunnerTest, FailingDatabaseStopsTheRunAndWhatIsNotRecordedRunsAgain) {
  UseStore();
  auto graph = MakeGraph({MakeNode("a"), MakeNode("b", {"a"}), MakeNode("c", {"b"})}, provider_);
  provider_.work["a"] = [&](TaskContext&) {
    EXPECT_TRUE(database_->Write([&](state::Connection& db) -> Result<void> {
      QUERN_TRY(db.Execute("ALTER TABLE task_try RENAME TO gone"));
      return {};
    }));
    return TaskResult{};
  };
  provider_.work["b"] = [](TaskContext& context) {
    while (!context.cancellation.cancelled()) std::this_thread::yield();
    return Failed("stopped", ErrorCode::kCancelled);
  };
  Workload work{.graph = &graph, .selected = {true, true, true}, .select = {}, .exclude = {}};
  RunnerOptions options{.threads = 1};
  options.store = store_.get();
  auto report = schedule::Run(work, MakeRun("daily", "2013-05-01"), options);
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().message().find("recording what the tasks did"), std::string::npos);
  ASSERT_TRUE(database_->Write([&](state::Connection& db) -> Result<void> {
    QUERN_TRY(db.Execute("ALTER TABLE gone RENAME TO task_try"));
    return {};
  }));
  provider_.work.clear();
  EXPECT_EQ(Go(graph).state, "success");
}

TEST_F(RunnerTest, TaskThatThrowsFailsAlone) {
  auto graph = MakeGraph({MakeNode("a"), MakeNode("b")}, provider_);
  provider_.work["a"] = [](TaskContext&) -> TaskResult { throw std::runtime_error("odd"); };
  auto report = Go(graph);
  EXPECT_EQ(States(report), "a=failed b=success");
}

TEST_F(RunnerTest, EmptySelectionSucceeds) {
  UseStore();
  auto graph = MakeGraph({MakeNode("a")}, provider_);
  auto report = Go(graph, {}, MakeRun("daily", "2013-05-01"), {false});
  EXPECT_EQ(report.state, "success");
  EXPECT_TRUE(report.tasks.empty());
}

class Watcher : public RunObserver {
 public:
  void RunBegins(const RunContext&, int total, int done) override {
    lines.push_back(fmt::format("run {} {}", total, done));
  }
  void TaskStarts(const Node& node, int try_number) override {
    lines.push_back(fmt::format("start {} {}", node.id, try_number));
  }
  void TaskRetries(const Node& node, int try_number, const TaskResult&) override {
    lines.push_back(fmt::format("retry {} {}", node.id, try_number));
  }
  void TaskEnds(const FinishedTask& task, int finished, int total) override {
    lines.push_back(fmt::format("end {} {} {}/{}", task.node->id, task.state, finished, total));
  }
  std::vector<std::string> lines;
};

TEST_F(RunnerTest, ObserverSeesEverythingInOrder) {
  auto flaky = MakeNode("a");
  flaky.config = {{"retries", 1}};
  auto graph = MakeGraph({flaky, MakeNode("b", {"a"}), MakeNode("c", {"b"})}, provider_);
  provider_.work["a"] = [](TaskContext& context) { return context.try_number == 1 ? Failed("x") : TaskResult{}; };
  provider_.work["b"] = [](TaskContext&) { return Failed("y"); };
  Watcher watcher;
  Go(graph, {.observer = &watcher});
  EXPECT_EQ(watcher.lines,
            (std::vector<std::string>{"run 3 0", "start a 1", "retry a 1", "start a 2", "end a success 1/3",
                                      "start b 1", "end b failed 2/3", "end c skipped 3/3"}));
}

TEST_F(RunnerTest, SlotsBoundTasksOverSeveralRuns) {
  std::vector<Node> nodes;
  for (int i = 0; i < 20; ++i) nodes.push_back(MakeNode(fmt::format("n{:02}", i)));
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  for (const auto& node : nodes) {
    provider_.work[node.id] = [&](TaskContext&) {
      const int at_once = ++now;
      int seen = most;
      while (at_once > seen && !most.compare_exchange_weak(seen, at_once)) {
      }
      std::this_thread::yield();
      --now;
      return TaskResult{};
    };
  }
  auto graph = MakeGraph(nodes, provider_);
  TaskSlots slots(2);
  std::vector<std::thread> runs;
  for (int r = 0; r < 3; ++r) {
    runs.emplace_back([&] {
      Workload work{.graph = &graph, .selected = std::vector<bool>(20, true), .select = {}, .exclude = {}};
      RunnerOptions options{.threads = 4};
      options.slots = &slots;
      auto report = schedule::Run(work, MakeRun("daily", "2013-05-01"), options);
      EXPECT_TRUE(report && report->state == "success");
    });
  }
  for (auto& run : runs) run.join();
  EXPECT_LE(most, 2);
}

TEST_F(RunnerTest, LongChainKeepsTheGapBetweenTasksUnderAMillisecond) {
  UseStore();
  std::vector<Node> nodes;
  for (int i = 0; i < 300; ++i)
    nodes.push_back(
        MakeNode(fmt::format("n{:03}", i), i ? std::vector{fmt::format("n{:03}", i - 1)} : std::vector<std::string>{}));
  auto graph = MakeGraph(nodes, provider_);
  auto report = Go(graph);
  ASSERT_EQ(report.tasks.size(), 300U);
  std::vector<int64_t> gaps;
  for (size_t i = 1; i < report.tasks.size(); ++i)
    gaps.push_back((report.tasks[i].started - report.tasks[i - 1].ended).count());
  std::sort(gaps.begin(), gaps.end());
  EXPECT_LT(gaps[gaps.size() / 2], 1000) << "median, in microseconds";
}

TEST_F(RunnerTest, RandomGraphsRunEachNodeOnceAfterItsParents) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    std::mt19937 random(seed);
    const int n = 1 + static_cast<int>(random() % 30);
    FakeProvider provider;
    std::vector<Node> nodes;
    std::map<std::string, std::set<std::string>> parents;
    std::set<std::string> bad;
    for (int i = 0; i < n; ++i) {
      std::vector<std::string> depends;
      for (int j = 0; j < i; ++j) {
        if (random() % 6 == 0) depends.push_back(fmt::format("n{}", j));
      }
      const std::string id = fmt::format("n{}", i);
      parents[id] = {depends.begin(), depends.end()};
      nodes.push_back(MakeNode(id, depends));
      if (random() % 10 == 0) {
        bad.insert(id);
        provider.work[id] = [](TaskContext&) { return Failed("bad"); };
      }
    }
    auto graph = MakeGraph(nodes, provider);
    auto report = Go(graph, {.threads = 4});
    std::map<std::string, std::string> state;
    for (const auto& task : report.tasks) {
      EXPECT_TRUE(state.emplace(task.node->id, task.state).second);
      for (const auto& parent : parents[task.node->id]) EXPECT_TRUE(state.contains(parent)) << "seed " << seed;
      const bool blocked = std::any_of(parents[task.node->id].begin(), parents[task.node->id].end(),
                                       [&](const auto& parent) { return state[parent] != "success"; });
      EXPECT_EQ(task.state, blocked ? "skipped" : (bad.contains(task.node->id) ? "failed" : "success"))
          << "seed " << seed;
    }
    EXPECT_EQ(state.size(), static_cast<size_t>(n));
  }
}

TEST(NodeGraphTest, EverythingWrongIsReportedAtOnce) {
  FakeProvider provider;
  auto unknown = MakeNode("a", {"ingst.raw"});
  unknown.pos = {"a.yml", 3, 5};
  auto first = MakeNode("ingest.raw");
  first.writes = {{"raw", "t"}};
  auto second = MakeNode("script.raw");
  second.writes = {{"RAW", "T"}};
  auto self = MakeNode("self");
  self.reads = {{{"raw", "s"}, ReadMode::kCurrent}};
  self.writes = {{"raw", "s"}};
  auto before = MakeNode("before");
  before.reads = {{{"raw", "b"}, ReadMode::kBeforeRun}};
  before.writes = {{"raw", "b"}};
  std::vector<NodeGraph::Entry> entries;
  for (auto& node : {unknown, first, second, self, before, MakeNode("x", {"y"}), MakeNode("y", {"x"}), MakeNode("x")})
    entries.push_back({node, &provider});
  Diagnostics diagnostics;
  NodeGraph::Build(entries, diagnostics);
  std::vector<std::string> messages;
  for (const auto& error : diagnostics.errors()) messages.push_back(error.ToString());
  const std::string all = Join(messages, "\n");
  EXPECT_EQ(messages.size(), 5U) << all;
  for (std::string needle :
       {"a.yml:3:5", "did you mean 'ingest.raw'", "there are two nodes 'x'", "ingest.raw and script.raw both write",
        "self reads raw.s, which it writes itself", "x -> y -> x"}) {
    EXPECT_NE(all.find(needle), std::string::npos) << needle << "\n" << all;
  }
}

TEST(TaskLogTest, PathsCannotLeaveTheirFolder) {
  EXPECT_EQ(TaskLogPath("/l", "monthly", "monthly/2013-05-01", "ingest.outcomes", 2),
            "/l/monthly/2013-05-01/ingest.outcomes/2.log");
  EXPECT_EQ(PathComponent(".."), "%2E.");
  EXPECT_EQ(PathComponent("a/b"), "a%2Fb");
  EXPECT_EQ(PathComponent(""), "%");
  EXPECT_NE(PathComponent(std::string(300, 'a')), PathComponent(std::string(301, 'a')));
  EXPECT_LE(PathComponent(std::string(3000, '/')).size(), 200U);
}

TEST(TaskLogTest, LinesAreReadableAtOnceAndMasked) {
  const auto folder = fs::temp_directory_path() / fmt::format("quern_log_{}", ::getpid());
  FixedClock clock(*ParseTimestamp("2013-06-01T04:00:00.5", TimeZone::Utc()));
  RegisterSecret("hunter2hunter2");
  auto log = FileTaskLog::Open(folder / "a" / "1.log", clock);
  ASSERT_TRUE(log);
  (*log)->Line("one\ntwo hunter2hunter2\n");
  std::stringstream text;
  text << std::ifstream(folder / "a" / "1.log").rdbuf();
  EXPECT_EQ(text.str(), "2013-06-01T04:00:00.500Z one\n2013-06-01T04:00:00.500Z two *****\n");
  fs::remove_all(folder);
}

}  // namespace
}  // namespace quern::schedule
