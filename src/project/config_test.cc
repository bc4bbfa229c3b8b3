#include "project/config.h"

#include <gtest/gtest.h>

#include "io/files.h"

namespace quern::project {
namespace {

struct Loaded {
  std::optional<Config> config;
  Diagnostics diagnostics;
  std::vector<std::string> Places() const {
    std::vector<std::string> out;
    for (const auto& error : diagnostics.errors()) out.push_back(error.pos().ToString() + " " + error.message());
    return out;
  }
};

class ConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = io::TempFolder::Make();
    ASSERT_TRUE(made);
    folder_.emplace(*std::move(made));
  }
  void Write(const std::string& path, std::string_view text) {
    ASSERT_TRUE(io::WriteFileAtomically(root() / path, text));
  }
  Loaded Load(std::string_view text) {
    Write("quern.yml", text);
    Loaded out;
    out.config = LoadConfig(root(), out.diagnostics);
    out.diagnostics.Sort();
    return out;
  }
  std::filesystem::path root() const { return folder_->path(); }
  std::optional<io::TempFolder> folder_;
};

TEST_F(ConfigTest, SmallestFileGetsDefaults) {
  auto loaded = Load("name: shop\n");
  ASSERT_TRUE(loaded.config);
  EXPECT_TRUE(loaded.diagnostics.ok());
  auto target = loaded.config->FindTarget("");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->name, "dev");
  EXPECT_EQ(target->warehouse, root() / "warehouse");
  EXPECT_EQ(target->state, root() / ".quern/state.db");
  EXPECT_FALSE(loaded.config->dbt_project);
}

TEST_F(ConfigTest, ReadsEveryKey) {
  Write("transform/dbt_project.yml", "name: x\n");
  auto loaded = Load(R"(name: shop
dbt_project: transform
default_target: prod
targets:
  dev: {warehouse: w1, state: s1.db, threads: 3, memory_limit: 800MB}
  prod: {warehouse: /data/w2}
vars: {a: 1, b: [x, y]}
schedules:
  daily:
    cron: "0 0 * * *"
    timezone: America/New_York
    select: ["+tag:daily", "seeds"]
    exclude: tag:slow
    start: 2013-01-01
    end: 2013-12-31
    catchup: true
    full_refresh: true
)");
  ASSERT_TRUE(loaded.diagnostics.ok()) << loaded.diagnostics.errors()[0].ToString();
  const auto& config = *loaded.config;
  EXPECT_EQ(config.dbt_project, root() / "transform");
  EXPECT_EQ(config.FindTarget("")->name, "prod");
  EXPECT_EQ(config.FindTarget("prod")->warehouse, "/data/w2");
  EXPECT_EQ(config.FindTarget("dev")->threads, 3);
  EXPECT_EQ(config.FindTarget("dev")->memory_limit, "800MB");
  EXPECT_EQ(config.vars["b"][1], "y");
  auto schedule = config.FindSchedule("daily");
  ASSERT_TRUE(schedule);
  EXPECT_EQ(schedule->select.size(), 2U);
  EXPECT_EQ(schedule->exclude, (std::vector<std::string>{"tag:slow"}));
  EXPECT_EQ(FormatUtc(*schedule->start), "2013-01-01T05:00:00Z");
  EXPECT_TRUE(schedule->catchup && schedule->full_refresh);
}

TEST_F(ConfigTest, EverythingWrongIsReportedWithItsPlace) {
  auto loaded = Load(R"(name: my shop
nmae: x
default_target: prd
targets:
  prod: {warehouse: az://x/y, thraeds: 2, memory_limit: much}
  dev: {threads: 0}
schedules:
  daily:
    cron: "0 0 * * *"
    timezone: America/New_Yrok
    start: 2013-02-31
    catchup: maybe
  weekly: {start: 2014-01-01, end: 2013-01-01}
  manual: {cron: "@daily"}
)");
  ASSERT_TRUE(loaded.config);
  auto places = loaded.Places();
  std::vector<std::string> starts;
  for (const auto& place : places) starts.push_back(place.substr(0, place.find(' ')));
  EXPECT_EQ(starts, (std::vector<std::string>{"quern.yml:1:7", "quern.yml:2:1", "quern.yml:3:17", "quern.yml:5:21",
                                              "quern.yml:5:31", "quern.yml:5:57", "quern.yml:6:18", "quern.yml:10:15",
                                              "quern.yml:11:12", "quern.yml:12:14", "quern.yml:13:11",
                                              "quern.yml:13:36", "quern.yml:14:3"}))
      << testing::PrintToString(places);
}

TEST_F(ConfigTest, UnknownTargetsAndSchedulesHaveAHint) {
  auto loaded = Load("name: x\ntargets: {dev: {}, prod: {}}\nschedules: {daily: {cron: '@daily'}}\n");
  EXPECT_EQ(loaded.config->FindTarget("prdo").error().hint(), "did you mean 'prod'?");
  EXPECT_EQ(loaded.config->FindSchedule("dayly").error().hint(), "did you mean 'daily'?");
  EXPECT_EQ(loaded.config->FindSchedule("hourly-x").error().hint(), "it has: daily");
}

TEST_F(ConfigTest, ProjectIsFoundByNameOrUpwards) {
  Write("quern.yml", "name: x\n");
  Write("a/b/c.txt", "");
  EXPECT_EQ(FindProject(root()).value(), root());
  auto none = FindProject(root() / "a");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), ErrorCode::kProject);
  auto before = std::filesystem::current_path();
  std::filesystem::current_path(root() / "a/b");
  EXPECT_EQ(std::filesystem::canonical(FindProject({}).value()), std::filesystem::canonical(root()));
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace quern::project
