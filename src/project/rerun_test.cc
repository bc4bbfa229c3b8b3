#include "project/rerun.h"

#include <gtest/gtest.h>

namespace quern::project {
namespace {

using warehouse::HistoryEntry;

// A table's history, written oldest first as "operation dag/date" or "RESTORE n".
class History {
 public:
  History& Run(const std::string& dag, const std::string& date, const std::string& operation = "WRITE") {
    HistoryEntry entry = Next(operation);
    entry.commit_info = {
        {"quernDagRun", dag + "/" + date}, {"quernNode", "model.a"}, {"quernLogicalDate", date + "T00:00:00Z"}};
    return Add(entry);
  }
  History& Hand(const std::string& operation) { return Add(Next(operation)); }
  History& Restore(int64_t version) {
    HistoryEntry entry = Next("RESTORE");
    entry.operation_parameters = {{"version", version}};
    return Add(entry);
  }
  std::vector<HistoryEntry> NewestFirst() const { return {entries_.rbegin(), entries_.rend()}; }

 private:
  HistoryEntry Next(const std::string& operation) const {
    HistoryEntry entry;
    entry.version = static_cast<int64_t>(entries_.size());
    entry.operation = operation;
    entry.commit_info = Json::object();
    return entry;
  }
  History& Add(HistoryEntry entry) {
    entries_.push_back(std::move(entry));
    return *this;
  }
  std::vector<HistoryEntry> entries_;
};

Timestamp At(const char* date) {
  return *ParseTimestamp(date, TimeZone::Utc());
}

auto Find(const History& history, const char* from) {
  return FindUndoPoint("s.t", history.NewestFirst(), "monthly", At(from), {"model.a"});
}

TEST(UndoPointTest, VersionBeforeTheFirstRerunCommit) {
  History h;
  h.Run("monthly", "2013-01-01").Run("monthly", "2013-02-01").Run("monthly", "2013-02-01").Run("monthly", "2013-03-01");
  EXPECT_EQ(Find(h, "2013-02-01").value()->version, 0);
  EXPECT_EQ(Find(h, "2013-03-01").value()->version, 2);
  EXPECT_FALSE(Find(h, "2013-04-01").value());
}

TEST(UndoPointTest, TableMadeByTheFirstRerunIsDropped) {
  History h;
  h.Run("monthly", "2013-01-01").Run("monthly", "2013-02-01");
  EXPECT_EQ(Find(h, "2013-01-01").value()->version, std::nullopt);
}

TEST(UndoPointTest, OtherSchedulesAreNotTouched) {
  History h;
  h.Run("weekly", "2013-02-01").Run("weekly", "2013-03-01");
  EXPECT_FALSE(Find(h, "2013-01-01").value());
}

TEST(UndoPointTest, ForeignCommitsAfterwardsAreRefused) {
  History h;
  h.Run("monthly", "2013-01-01").Run("monthly", "2013-02-01").Hand("DELETE");
  auto refused = Find(h, "2013-02-01");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("version 2 (DELETE)"), std::string::npos);
  History other;
  other.Run("monthly", "2013-01-01").Run("monthly", "2013-02-01").Run("weekly", "2013-02-01");
  EXPECT_FALSE(Find(other, "2013-02-01"));
  History earlier;
  earlier.Run("monthly", "2013-02-01").Run("monthly", "2013-01-01");
  EXPECT_FALSE(Find(earlier, "2013-02-01"));
}

TEST(UndoPointTest, CommitsOfOtherNodesAreForeign) {
  History h;
  h.Run("monthly", "2013-01-01").Run("monthly", "2013-02-01");
  EXPECT_FALSE(FindUndoPoint("s.t", h.NewestFirst(), "monthly", At("2013-02-01"), {"model.b"}).value());
}

TEST(UndoPointTest, MaintenanceAndEarlierForeignCommitsAreFine) {
  History h;
  h.Hand("CREATE TABLE").Run("monthly", "2013-02-01").Hand("OPTIMIZE");
  EXPECT_EQ(Find(h, "2013-02-01").value()->version, 0);
}

TEST(UndoPointTest, RepeatedReruns) {
  History h;
  h.Run("monthly", "2013-01-01").Run("monthly", "2013-02-01").Run("monthly", "2013-03-01");
  h.Restore(0);
  EXPECT_FALSE(Find(h, "2013-02-01").value()) << "already undone: nothing to do";
  h.Run("monthly", "2013-02-01").Run("monthly", "2013-03-01");
  // The rerun of March goes back to the new February, not the old one.
  EXPECT_EQ(Find(h, "2013-03-01").value()->version, 4);
  EXPECT_EQ(Find(h, "2013-02-01").value()->version, 3);
}

TEST(UndoPointTest, ForeignCommitThatARestoreGaveUpIsNoObstacle) {
  History h;
  h.Run("monthly", "2013-01-01").Run("monthly", "2013-02-01").Hand("DELETE").Restore(1);
  EXPECT_EQ(Find(h, "2013-02-01").value()->version, 0);
}

}  // namespace
}  // namespace quern::project
