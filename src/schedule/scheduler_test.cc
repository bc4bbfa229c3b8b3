#include "schedule/scheduler.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/text.h"
#include "schedule/testing.h"

namespace quern::schedule {
namespace {

namespace fs = std::filesystem;
using testing::Failed;
using testing::FakeProvider;
using testing::MakeGraph;
using testing::MakeNode;

class MovingClock : public Clock {
 public:
  explicit MovingClock(Timestamp now) : now_(MicrosSinceEpoch(now)) {}
  Timestamp Now() const override { return FromMicros(now_); }
  void Set(Timestamp now) { now_ = MicrosSinceEpoch(now); }

 private:
  std::atomic<int64_t> now_;
};

class SchedulerTest : public ::testing::Test {
 protected:
  SchedulerTest() : clock_(At("2013-04-10")) {
    folder_ = fs::temp_directory_path() / fmt::format("quern_scheduler_{}_{}", ::getpid(),
                                                      ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    database_ = std::move(*state::Database::Open({.url = (folder_ / "state.db").string()}));
    store_ = std::move(*RunStore::Open(database_.get(), "dev", &clock_));
    graph_ = MakeGraph({MakeNode("a")}, provider_);
  }
  ~SchedulerTest() override {
    Stop();
    fs::remove_all(folder_);
  }

  static Timestamp At(std::string_view text) { return *ParseTimestamp(text, TimeZone::Utc()); }
  static Schedule Make(const std::string& name, const std::string& cron, std::optional<std::string> start, bool catchup,
                       std::optional<std::string> end = {}) {
    Timetable::Bounds bounds;
    if (start) bounds.start = At(*start);
    if (end) bounds.end = At(*end);
    return {name, Timetable(*Cron::Parse(cron, TimeZone::Utc()), bounds), catchup};
  }

  void Start(std::vector<Schedule> schedules, int parallel = 2) {
    scheduler_ = std::make_unique<Scheduler>(
        std::move(schedules), Scheduler::Options{&clock_, store_.get(), parallel, std::chrono::minutes(10)},
        [this](const Schedule& schedule, const Interval& interval, const Cancellation& cancellation) {
          return RunOne(schedule, interval, cancellation);
        });
    thread_ = std::thread([this] { scheduler_->Loop(cancellation_); });
  }
  Result<RunReport> RunOne(const Schedule& schedule, const Interval& interval, const Cancellation& cancellation) {
    RunContext base;
    base.clock = &clock_;
    RunnerOptions options{
        .threads = 1, .cancellation = cancellation, .store = store_.get(), .requeue_when_cancelled = true};
    auto report = schedule::Run({.graph = &graph_, .selected = {true}}, ContextOf(schedule, interval, base), options);
    std::lock_guard lock(mutex_);
    ran_.push_back(report ? report->dag_run + ":" + report->state : report.error().message());
    changed_.notify_all();
    return report;
  }
  void Stop() {
    cancellation_.Cancel();
    if (thread_.joinable()) thread_.join();
  }
  /// Waits until `count` runs have ended.
  std::string Ran(size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return ran_.size() >= count; }))
        << Join(ran_, " ");
    return Join(ran_, " ");
  }
  /// Waits until a schedule says it is in this state.
  Scheduler::Status Await(const std::string& schedule, const std::string& state) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < until) {
      for (const auto& status : scheduler_->status()) {
        if (status.schedule == schedule && status.state == state) return status;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ADD_FAILURE() << schedule << " never became " << state;
    return {};
  }

  fs::path folder_;
  MovingClock clock_;
  FakeProvider provider_;
  NodeGraph graph_;
  std::unique_ptr<state::Database> database_;
  std::unique_ptr<RunStore> store_;
  Cancellation cancellation_;
  std::unique_ptr<Scheduler> scheduler_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> ran_;
};

TEST_F(SchedulerTest, CatchesUpInOrderThenWaitsForTheNext) {
  Start({Make("monthly", "@monthly", "2013-01-01", true)});
  EXPECT_EQ(Ran(3), "monthly/2013-01-01:success monthly/2013-02-01:success monthly/2013-03-01:success");
  EXPECT_EQ(Await("monthly", "waiting").next_due, At("2013-05-01"));
  clock_.Set(At("2013-05-01"));
  scheduler_->Wake();
  EXPECT_TRUE(Ran(4).ends_with("monthly/2013-03-01:success monthly/2013-04-01:success"));
}

TEST_F(SchedulerTest, WithoutCatchupOnlyTheLatestIsRun) {
  Start({Make("daily", "@daily", "2013-01-01", false)});
  EXPECT_EQ(Ran(1), "daily/2013-04-09:success");
  EXPECT_EQ(Await("daily", "waiting").next_due, At("2013-04-11"));
  clock_.Set(At("2013-04-15T00:00:01"));
  scheduler_->Wake();
  EXPECT_EQ(Ran(2), "daily/2013-04-09:success daily/2013-04-14:success");
}

TEST_F(SchedulerTest, EndIsInclusive) {
  Start({Make("monthly", "@monthly", "2013-01-01", true, "2013-02-01")});
  EXPECT_EQ(Ran(2), "monthly/2013-01-01:success monthly/2013-02-01:success");
  Await("monthly", "ended");
}

TEST_F(SchedulerTest, FutureStartWaits) {
  Start({Make("monthly", "@monthly", "2014-01-01", true), Make("daily", "@daily", "2014-01-01", false)});
  EXPECT_EQ(Await("monthly", "waiting").next_due, At("2014-02-01"));
  EXPECT_EQ(Await("daily", "waiting").next_due, At("2014-01-02"));
}

TEST_F(SchedulerTest, CatchupWaitsAtAFailureUntilItIsRetried) {
  provider_.work["a"] = [](TaskContext& context) {
    return context.run->dag_run == "monthly/2013-02-01" ? Failed("boom") : TaskResult{};
  };
  Start({Make("monthly", "@monthly", "2013-01-01", true)});
  EXPECT_EQ(Ran(2), "monthly/2013-01-01:success monthly/2013-02-01:failed");
  EXPECT_NE(Await("monthly", "blocked").message.find("quern retry monthly/2013-02-01"), std::string::npos);
  {
    std::lock_guard lock(provider_.mutex);
    provider_.work.clear();
  }
  const Schedule schedule = Make("monthly", "@monthly", "2013-01-01", true);
  ASSERT_TRUE(RunOne(schedule, *schedule.timetable.At(At("2013-02-01")), Cancellation()));
  scheduler_->Wake();
  EXPECT_EQ(
      Ran(4),
      "monthly/2013-01-01:success monthly/2013-02-01:failed monthly/2013-02-01:success monthly/2013-03-01:success");
}

TEST_F(SchedulerTest, WithoutCatchupAFailureDoesNotBlock) {
  provider_.work["a"] = [](TaskContext&) { return Failed("boom"); };
  Start({Make("daily", "@daily", {}, false)});
  EXPECT_EQ(Ran(1), "daily/2013-04-09:failed");
  Await("daily", "waiting");
  clock_.Set(At("2013-04-11"));
  scheduler_->Wake();
  EXPECT_EQ(Ran(2), "daily/2013-04-09:failed daily/2013-04-10:failed");
}

TEST_F(SchedulerTest, StopCancelsWhatRunsAndTheNextSchedulerGoesOnWithIt) {
  provider_.work["a"] = [](TaskContext& context) {
    while (!context.cancellation.cancelled()) std::this_thread::yield();
    return Failed("stopped", ErrorCode::kCancelled);
  };
  Start({Make("daily", "@daily", {}, false)});
  Await("daily", "running");
  while (provider_.Started().empty()) std::this_thread::yield();
  Stop();
  EXPECT_EQ(Ran(1), "daily/2013-04-09:cancelled");
  EXPECT_EQ(store_->FindRun("latest")->state, "queued");
  provider_.work.clear();
  cancellation_ = Cancellation();
  clock_.Set(At("2013-04-20"));
  Start({Make("daily", "@daily", {}, false)});
  EXPECT_EQ(Ran(3), "daily/2013-04-09:cancelled daily/2013-04-09:success daily/2013-04-19:success");
}

TEST_F(SchedulerTest, KilledRunIsResumedFirst) {
  provider_.work["a"] = [](TaskContext&) { return Failed("boom"); };
  const Schedule schedule = Make("daily", "@daily", {}, false);
  ASSERT_TRUE(RunOne(schedule, *schedule.timetable.At(At("2013-03-01")), Cancellation()));
  ASSERT_TRUE(database_->Write([](state::Connection& db) -> Result<void> {
    QUERN_TRY(db.Execute("UPDATE dag_run SET state = 'running', process_start = 1"));
    return {};
  }));
  provider_.work.clear();
  Start({schedule});
  EXPECT_EQ(Ran(3), "daily/2013-03-01:failed daily/2013-03-01:success daily/2013-04-09:success");
}

TEST_F(SchedulerTest, SchedulesRunSideBySideWithinTheBound) {
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  provider_.work["a"] = [&](TaskContext&) {
    const int at_once = ++now;
    int seen = most;
    while (at_once > seen && !most.compare_exchange_weak(seen, at_once)) {
    }
    // Each stays until two were at it; a scheduler that runs one at a time is found out when nobody comes.
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (most < 2 && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    --now;
    return TaskResult{};
  };
  Start({Make("m1", "@monthly", "2013-01-01", true), Make("m2", "@monthly", "2013-01-01", true),
         Make("m3", "@monthly", "2013-01-01", true)},
        2);
  Ran(9);
  EXPECT_EQ(most, 2);
}

TEST_F(SchedulerTest, AnotherProcessAtTheIntervalIsWaitedFor) {
  Start({});
  const Schedule schedule = Make("monthly", "@monthly", "2013-01-01", true);
  provider_.work["a"] = [](TaskContext&) { return Failed("boom"); };
  ASSERT_TRUE(RunOne(schedule, *schedule.timetable.At(At("2013-01-01")), Cancellation()));
  const auto hold = [&](const std::string& state) {
    ASSERT_TRUE(database_->Write([&](state::Connection& db) -> Result<void> {
      QUERN_TRY(db.Execute("UPDATE dag_run SET state = :p1, host = 'elsewhere', boot = 'b', heartbeat = :p2",
                           {state, MicrosSinceEpoch(clock_.Now())}));
      return {};
    }));
  };
  hold("running");
  provider_.work.clear();
  Stop();
  cancellation_ = Cancellation();
  Start({schedule});
  EXPECT_NE(Await("monthly", "blocked").message.find("elsewhere"), std::string::npos);
  hold("queued");
  scheduler_->Wake();
  while (Ran(1).find("monthly/2013-03-01:success") == std::string::npos)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

}  // namespace
}  // namespace quern::schedule
