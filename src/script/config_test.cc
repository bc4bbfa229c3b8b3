#include "script/config.h"

#include <gtest/gtest.h>

namespace quern::script {
namespace {

TEST(ScriptConfigTest, ReadsEverything) {
  Diagnostics d;
  auto scripts = ParseScripts(R"(
scripts:
  - name: score
    description: scores
    tags: [daily]
    command: [python, scripts/score.py, --fast]
    environment: {requirements: scripts/r.txt, variables: {DAYS: 7}}
    reads: [raw.orders, {table: marts.scores, as_of: before_run}]
    writes: [{table: marts.scores, mode: append, format: jsonl}, raw.log]
    depends_on: [script.other]
    timeout: 10m
    retries: 2
    retry_delay: 30s
)",
                              "scripts/a.yml", d);
  ASSERT_TRUE(d.ok()) << d.errors()[0].ToString();
  ASSERT_EQ(scripts.size(), 1U);
  const auto& s = scripts[0];
  EXPECT_EQ(s.argv.size(), 3U);
  EXPECT_EQ(s.variables.at("DAYS"), "7");
  ASSERT_EQ(s.reads.size(), 2U);
  EXPECT_EQ(s.reads[1].mode, schedule::ReadMode::kBeforeRun);
  ASSERT_EQ(s.writes.size(), 2U);
  EXPECT_EQ(s.writes[0].mode, WriteMode::kAppend);
  EXPECT_EQ(s.writes[1].mode, WriteMode::kReplace);
  EXPECT_EQ(s.timeout, std::chrono::minutes(10));
  EXPECT_EQ(s.retries, 2);
}

TEST(ScriptConfigTest, EveryMistakeIsReportedWithItsPlace) {
  Diagnostics d;
  ParseScripts(R"(scripts:
  - name: a b
    comand: x
    reads: [orders]
    writes: [raw.x, raw.X]
    environment: {variables: {QUERN_OUT: /tmp}}
    timeout: soon
)",
               "s.yml", d);
  d.Sort();
  std::vector<std::string> places;
  for (const auto& e : d.errors()) places.push_back(e.pos().ToString());
  EXPECT_EQ(places, (std::vector<std::string>{"s.yml:2:5", "s.yml:2:11", "s.yml:3:5", "s.yml:4:13", "s.yml:5:21",
                                              "s.yml:6:31", "s.yml:7:14"}));
}

TEST(ScriptConfigTest, Durations) {
  EXPECT_EQ(ParseDuration("90s"), std::chrono::seconds(90));
  EXPECT_EQ(ParseDuration("15"), std::chrono::seconds(15));
  EXPECT_EQ(ParseDuration("2h"), std::chrono::hours(2));
  for (auto bad : {"", "s", "-1s", "1 d", "1.5m"}) EXPECT_FALSE(ParseDuration(bad)) << bad;
}

}  // namespace
}  // namespace quern::script
