#include "ingest/planner.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace quern::ingest {
namespace {

Timestamp Day(int day) {
  return *ParseTimestamp(fmt::format("2026-01-{:02}", day), TimeZone::Utc());
}

SourceFile File(const std::string& path, int day) {
  SourceFile file;
  file.path = path;
  if (day > 0) file.time = Day(day);
  return file;
}

std::string Show(const LoadPlan& plan) {
  std::string text;
  for (const LoadGroup& group : plan.groups) {
    text += "[";
    for (const SourceFile& file : group.files) text += file.path;
    text += "]";
  }
  const auto list = [&text](const char* name, const std::vector<SourceFile>& files) {
    if (files.empty()) return;
    text += fmt::format(" {}:", name);
    for (const SourceFile& file : files) text += file.path;
  };
  list("superseded", plan.superseded);
  list("changed", plan.changed);
  list("late", plan.late);
  if (plan.waiting > 0) text += fmt::format(" waiting:{}", plan.waiting);
  return text;
}

const std::vector<SourceFile> kFiles = {File("a", 1), File("b", 2), File("c", 2), File("d", 3)};

TEST(PlannerTest, DueIsInclusive) {
  EXPECT_EQ(Show(PlanLoad(Mode::kAppend, kFiles, {}, Day(2), {})), "[abc] waiting:1");
  EXPECT_EQ(Show(PlanLoad(Mode::kAppend, kFiles, {{"b", {}}}, Day(3), {})), "[acd]");
  EXPECT_EQ(Show(PlanLoad(Mode::kAppend, kFiles, {{"a", {}}, {"b", {}}, {"c", {}}, {"d", {}}}, Day(3), {})), "");
}

TEST(PlannerTest, HistoryGoesTimeByTime) {
  EXPECT_EQ(Show(PlanLoad(Mode::kHistory, kFiles, {}, Day(9), {})), "[a][bc][d]");
  EXPECT_EQ(Show(PlanLoad(Mode::kHistory, kFiles, {{"b", {}}}, Day(9), {})), "[c][d] late:a");
}

TEST(PlannerTest, ReplaceTakesTheNewest) {
  EXPECT_EQ(Show(PlanLoad(Mode::kReplace, kFiles, {}, Day(2), {})), "[bc] superseded:a waiting:1");
  EXPECT_EQ(Show(PlanLoad(Mode::kReplace, kFiles, {{"b", {}}, {"c", {}}}, Day(2), {})), " waiting:1");
  EXPECT_EQ(Show(PlanLoad(Mode::kReplace, kFiles, {{"b", {1, 5}}, {"c", {1, 6}}}, Day(2), {{"b", 7}, {"c", 6}})),
            "[bc] superseded:a changed:b waiting:1");
  const std::vector<SourceFile> untimed = {File("a", 0), File("b", 0)};
  EXPECT_EQ(Show(PlanLoad(Mode::kReplace, untimed, {{"a", {}}, {"b", {}}}, Day(2), {})), "");
  EXPECT_EQ(Show(PlanLoad(Mode::kReplace, untimed, {{"a", {}}, {"b", {}}, {"gone", {}}}, Day(2), {})), "[ab]");
}

TEST(PlannerTest, MemoryIsReadFromTxns) {
  const auto files = RememberedFiles({{"quern-file/a", 5},
                                      {"quern-content/a", 7},
                                      {"quern-rows/a", 9},
                                      {"quern-file/b", -1},
                                      {"quern-rows/b", 3},
                                      {"quern-file/c/d", 0}});
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files.at("a").run, 5);
  EXPECT_EQ(files.at("a").content, 7);
  EXPECT_EQ(files.at("a").rows, 9);
  EXPECT_EQ(files.at("c/d").rows, -1);
}

TEST(RowCheckTest, ComparesWithTheMedian) {
  const RowCheck check;
  EXPECT_FALSE(CheckRowCount(check, {100, 100}, 0));  // too few loads to judge
  EXPECT_FALSE(CheckRowCount(check, {100, 100, 1000}, 30));
  EXPECT_TRUE(CheckRowCount(check, {100, 100, 1000}, 29));
  EXPECT_TRUE(CheckRowCount(check, {1, 1, 1}, 0));
  EXPECT_FALSE(CheckRowCount(check, {0, 0, 0}, 0));
  EXPECT_FALSE(CheckRowCount(check, {0, 1, 0}, 0));
  EXPECT_FALSE(CheckRowCount({.action = RowCheck::Action::kOff}, {9, 9, 9}, 0));
}

TEST(RowCheckTest, FilesOfOneTimeAreOneLoad) {
  const auto pattern = *PathPattern::Parse("in/{%Y-%m-%d}*.csv");
  const std::map<std::string, LoadedFile> remembered = {{"in/2026-01-01a.csv", {1, 1, 10}},
                                                        {"in/2026-01-01b.csv", {1, 1, 5}},
                                                        {"in/2026-01-02.csv", {1, 1, 7}},
                                                        {"in/2026-01-03.csv", {2, 1, 8}}};
  EXPECT_EQ(EarlierLoads(pattern, TimeZone::Utc(), remembered, {File("in/2026-01-03.csv", 3)}),
            (std::vector<int64_t>{7, 15}));
}

}  // namespace
}  // namespace quern::ingest
