#include "schedule/backfill.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/text.h"
#include "schedule/retry.h"
#include "schedule/testing.h"

namespace quern::schedule {
namespace {

namespace fs = std::filesystem;
using testing::Failed;
using testing::FakeProvider;
using testing::MakeGraph;
using testing::MakeNode;

/// A table that each interval appends to, with the history and txn records that a Delta table would have.
struct FakeTable {
  struct Commit {
    Timestamp logical_date;
    std::vector<std::string> content;  ///< after the commit
    std::optional<Timestamp> txn;      ///< the effect recorded last, after the commit
  };
  std::vector<Commit> commits;
  std::vector<std::string> Content() const {
    return commits.empty() ? std::vector<std::string>{} : commits.back().content;
  }
  bool Recorded(Timestamp t) const { return !commits.empty() && commits.back().txn && *commits.back().txn >= t; }
  void Append(Timestamp t, const std::string& row) {
    auto content = Content();
    content.push_back(row);
    commits.push_back({t, content, t});
  }
};

class FakePreparer : public RerunPreparer {
 public:
  explicit FakePreparer(FakeTable& table) : table_(table) {}
  Result<void> Check(const std::string&, Timestamp, const std::vector<const Node*>&) override {
    ++checks;
    if (refuse) return Fail(ErrorCode::kInvalidArgument, "raw.t was changed by hand");
    return {};
  }
  Result<std::vector<Restored>> Restore(const std::string&, Timestamp from,
                                        const std::vector<const Node*>& nodes) override {
    ++restores;
    EXPECT_FALSE(nodes.empty());
    if (fail_restore) return Fail(ErrorCode::kNoSpace, "no space");
    size_t first = 0;
    while (first < table_.commits.size() && table_.commits[first].logical_date < from) ++first;
    if (first == table_.commits.size()) return std::vector<Restored>{};
    FakeTable::Commit before{from - std::chrono::hours(10'000), {}, {}};
    if (first > 0) before = table_.commits[first - 1];
    table_.commits.push_back(before);
    return std::vector<Restored>{{"raw.t", static_cast<int64_t>(first) - 1}};
  }
  int checks = 0;
  int restores = 0;
  bool refuse = false;
  bool fail_restore = false;

 private:
  FakeTable& table_;
};

class BackfillTest : public ::testing::Test {
 protected:
  BackfillTest() : preparer_(table_), clock_(At("2013-07-01")) {
    folder_ = fs::temp_directory_path() / fmt::format("quern_backfill_{}_{}", ::getpid(),
                                                      ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    auto database = state::Database::Open({.url = (folder_ / "state.db").string()});
    EXPECT_TRUE(database);
    database_ = std::move(*database);
    store_ = std::move(*RunStore::Open(database_.get(), "dev", &clock_));
    graph_ = MakeGraph({MakeNode("append"), MakeNode("after", {"append"})}, provider_);
    provider_.work["append"] = [this](TaskContext& context) {
      const Timestamp date = context.run->logical_date;
      if (table_.Recorded(date)) {
        TaskResult result;
        result.status = TaskStatus::kNoOp;
        return result;
      }
      if (date == fail_at_) return Failed("boom");
      table_.Append(date, FormatUtc(date).substr(5, 2) + suffix_);
      return TaskResult{};
    };
  }
  ~BackfillTest() override { fs::remove_all(folder_); }

  static Timestamp At(std::string_view text) { return *ParseTimestamp(text, TimeZone::Utc()); }

  Result<BackfillReport> Go(std::string_view from, std::string_view to, bool rerun = false) {
    options_.runner.store = store_.get();
    options_.runner.threads = 1;
    options_.base.clock = &clock_;
    options_.rerun = rerun;
    options_.preparer = &preparer_;
    Workload work{.graph = &graph_, .selected = {true, true}};
    return Backfill(monthly_, work, At(from), *ParseLastLogicalDate(to, TimeZone::Utc()), options_);
  }
  static std::string Items(const BackfillReport& report) {
    std::vector<std::string> out;
    for (const auto& item : report.items)
      out.push_back(item.dag_run.substr(13, 2) + ":" + item.state + (item.replay ? "*" : ""));
    return Join(out, " ");
  }
  std::string Table() const { return Join(table_.Content(), " "); }
  std::string RunStates() {
    std::vector<std::string> out;
    const auto runs = *store_->Runs({.newest_first = false});
    for (const auto& run : runs) out.push_back(run.state);
    return Join(out, " ");
  }

  fs::path folder_;
  FakeProvider provider_;
  FakeTable table_;
  FakePreparer preparer_;
  FixedClock clock_;
  std::unique_ptr<state::Database> database_;
  std::unique_ptr<RunStore> store_;
  NodeGraph graph_;
  BackfillOptions options_;
  Timestamp fail_at_{};
  std::string suffix_;
  Schedule monthly_{"monthly", Timetable(*Cron::Parse("@monthly", TimeZone::Utc()), {At("2013-01-01"), {}})};
};

TEST_F(BackfillTest, PlaysIntervalsInOrderAndSkipsFinishedOnes) {
  auto first = Go("2013-02-01", "2013-03-31");
  ASSERT_TRUE(first) << first.error().ToString();
  EXPECT_EQ(Items(*first), "02:success 03:success");
  auto all = Go("2013-01-01", "2013-12-31");
  ASSERT_TRUE(all);
  EXPECT_EQ(Items(*all), "01:success 02:done 03:done 04:success 05:success 06:success")
      << "July's end is still to come";
  EXPECT_EQ(all->state, "success");
  EXPECT_EQ(provider_.begun.front(), "monthly/2013-02-01");
}

TEST_F(BackfillTest, StopsAtTheFirstFailureAndGoesOnFromThere) {
  fail_at_ = At("2013-03-01");
  auto report = Go("2013-01-01", "2013-05-31");
  ASSERT_TRUE(report);
  EXPECT_EQ(Items(*report), "01:success 02:success 03:failed");
  EXPECT_EQ(report->remaining, 2);
  EXPECT_EQ(report->state, "failed");
  EXPECT_FALSE(report->advice.empty());
  fail_at_ = {};
  auto run = store_->FindRun("monthly/2013-03-01");
  ASSERT_TRUE(run);
  RunContext base;
  base.clock = &clock_;
  auto retried = Retry(*run, {.graph = &graph_, .selected = {true, true}}, base, TimeZone::Utc(), options_.runner);
  ASSERT_TRUE(retried);
  EXPECT_EQ(retried->state, "success");
  auto again = Go("2013-01-01", "2013-05-31");
  EXPECT_EQ(Items(*again), "01:done 02:done 03:done 04:success 05:success");
  EXPECT_EQ(Table(), "01 02 03 04 05");
}

TEST_F(BackfillTest, NoCompleteIntervalIsAnErrorThatSaysWhy) {
  for (auto [from, to, hint] : {std::tuple{"2013-01-02", "2013-01-20", "the cron is '@monthly'"},
                                {"2012-01-01", "2012-05-01", "starts at 2013-01-01"},
                                {"2013-07-01", "2013-07-31", "its first one ends at 2013-08-01"}}) {
    auto report = Go(from, to);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(report.error().hint().find(hint), std::string::npos) << report.error().hint();
  }
}

TEST_F(BackfillTest, CancellationStopsBetweenAndInIntervals) {
  provider_.work["after"] = [&](TaskContext& context) {
    if (context.run->dag_run == "monthly/2013-02-01") options_.runner.cancellation.Cancel();
    return TaskResult{};
  };
  auto report = Go("2013-01-01", "2013-05-31");
  ASSERT_TRUE(report);
  EXPECT_EQ(report->state, "cancelled");
  EXPECT_EQ(Items(*report), "01:success 02:success");
  EXPECT_EQ(report->remaining, 3);
}

TEST_F(BackfillTest, RerunInTheMiddleReplacesItsEffectsAndReplaysWhatFollows) {
  ASSERT_TRUE(Go("2013-01-01", "2013-05-31"));
  suffix_ = "'";
  auto report = Go("2013-03-01", "2013-03-31", true);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(Items(*report), "03:success 04:success* 05:success*");
  EXPECT_EQ(Table(), "01 02 03' 04' 05'");
  EXPECT_EQ(RunStates(), "success success success success success");
  EXPECT_FALSE(*store_->PendingRerun("monthly"));
  EXPECT_EQ(Items(*Go("2013-01-01", "2013-06-30")), "01:done 02:done 03:done 04:done 05:done 06:success");
  EXPECT_EQ(Table(), "01 02 03' 04' 05' 06'");
}

TEST_F(BackfillTest, RefusedRerunChangesNothing) {
  ASSERT_TRUE(Go("2013-01-01", "2013-03-31"));
  preparer_.refuse = true;
  auto report = Go("2013-02-01", "2013-02-28", true);
  ASSERT_FALSE(report);
  EXPECT_EQ(preparer_.restores, 0);
  EXPECT_FALSE(*store_->PendingRerun("monthly"));
  EXPECT_EQ(RunStates(), "success success success");
}

TEST_F(BackfillTest, RerunThatCouldNotRestoreGoesOnLater) {
  ASSERT_TRUE(Go("2013-01-01", "2013-03-31"));
  preparer_.fail_restore = true;
  EXPECT_FALSE(Go("2013-02-01", "2013-02-28", true));
  EXPECT_EQ(RunStates(), "success success success") << "nothing is marked before the tables are restored";
  preparer_.fail_restore = false;
  suffix_ = "'";
  EXPECT_EQ(Items(*Go("2013-01-01", "2013-03-31")), "02:success 03:success 01:done 02:done 03:done");
  EXPECT_EQ(Table(), "01 02' 03'");
}

TEST_F(BackfillTest, FailedRerunHoldsBackEverythingElseUntilItIsFinished) {
  ASSERT_TRUE(Go("2013-01-01", "2013-04-30"));
  suffix_ = "'";
  fail_at_ = At("2013-03-01");
  auto report = Go("2013-02-01", "2013-02-28", true);
  ASSERT_TRUE(report);
  EXPECT_EQ(Items(*report), "02:success 03:failed*");
  EXPECT_NE(report->advice.find("without --rerun"), std::string::npos);
  RunContext other = ContextOf(monthly_, *monthly_.timetable.At(At("2013-05-01")), options_.base);
  auto refused = schedule::Run({.graph = &graph_, .selected = {true, true}}, other, options_.runner);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kRerunPending);
  fail_at_ = {};
  auto finished = Go("2013-05-01", "2013-05-31");
  ASSERT_TRUE(finished);
  EXPECT_EQ(Items(*finished), "02:done 03:success 04:success 05:success");
  EXPECT_EQ(preparer_.restores, 1);
  EXPECT_EQ(Table(), "01 02' 03' 04' 05'");
}

TEST_F(BackfillTest, KilledBetweenRestoreAndItsRecordRestoresAgain) {
  ASSERT_TRUE(Go("2013-01-01", "2013-04-30"));
  // As the process leaves it that dies right after restoring.
  ASSERT_TRUE(store_->BeginRerun("monthly", At("2013-03-01"), At("2013-03-01")));
  ASSERT_TRUE(preparer_.Restore("monthly", At("2013-03-01"), {&graph_.node(0)}));
  suffix_ = "'";
  ASSERT_TRUE(Go("2013-01-01", "2013-04-30"));
  EXPECT_EQ(Table(), "01 02 03' 04'");
}

TEST_F(BackfillTest, RerunWithoutAPreparerIsRefused) {
  options_.runner.store = store_.get();
  options_.rerun = true;
  options_.base.clock = &clock_;
  auto report =
      Backfill(monthly_, {.graph = &graph_, .selected = {true, true}}, At("2013-01-01"), At("2013-01-01"), options_);
  ASSERT_FALSE(report);
  EXPECT_FALSE(*store_->PendingRerun("monthly"));
}

}  // namespace
}  // namespace quern::schedule
