#include "project/project.h"

#include <gtest/gtest.h>

#include "io/files.h"
#include "project/plan.h"
#include "project/summary.h"

namespace quern::project {
namespace {

using schedule::Node;
using schedule::NodeProvider;

class DoneTask : public schedule::Task {
 public:
  schedule::TaskResult Run(schedule::TaskContext&) override {
    schedule::TaskResult out;
    out.rows = 3;
    return out;
  }
};

// Offers the nodes it is given.
class FakeProvider : public NodeProvider {
 public:
  explicit FakeProvider(std::vector<Node> nodes) : nodes_(std::move(nodes)) {}
  std::string_view name() const override { return "fake"; }
  std::vector<Node> Load(Diagnostics&) override { return nodes_; }
  void Check(Diagnostics&) override {}
  Result<void> BeginRun(const schedule::RunContext&, const std::vector<const Node*>&) override { return {}; }
  Result<std::unique_ptr<schedule::Task>> MakeTask(const Node&, const schedule::RunContext&) override {
    return std::make_unique<DoneTask>();
  }
  Result<void> EndRun(const schedule::RunContext&, const std::vector<schedule::FinishedTask>&) override { return {}; }

 private:
  std::vector<Node> nodes_;
};

Node Make(const std::string& kind, const std::string& name) {
  Node node;
  node.id = kind + "." + name;
  node.kind = kind;
  node.name = name;
  node.package = "p";
  node.pos = {kind + ".yml", 1, 1};
  return node;
}

class ProjectTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = io::TempFolder::Make();
    ASSERT_TRUE(made);
    folder_.emplace(*std::move(made));
  }
  // load -> source -> model a -> model b; a test on a, which b waits for
  std::vector<Node> Nodes() {
    auto load = Make("ingest", "orders");
    load.writes = {{"raw", "orders"}};
    load.tags = {"daily"};
    auto source = Make("source", "orders");
    source.reads = {{{"RAW", "Orders"}, schedule::ReadMode::kCurrent}};
    source.runs = false;
    auto a = Make("model", "a");
    a.depends_on = {"source.orders"};
    auto b = Make("model", "b");
    b.depends_on = {"model.a"};
    b.tags = {"daily"};
    auto test = Make("test", "a_is_fine");
    test.depends_on = {"model.a"};
    test.gate = true;
    return {load, source, a, b, test};
  }
  std::unique_ptr<Project> Open(const std::string& yaml, std::vector<Node> nodes) {
    EXPECT_TRUE(io::WriteFileAtomically(folder_->path() / "quern.yml", yaml));
    OpenOptions options{.project_dir = folder_->path(), .target = {}, .vars = {{"y", 2}}, .clock = &clock_};
    auto project = Project::Open(options, diagnostics_);
    EXPECT_TRUE(project) << project.error().ToString();
    (*project)->AddProvider(std::make_unique<FakeProvider>(std::move(nodes)));
    (*project)->Load(diagnostics_);
    return *std::move(project);
  }
  std::optional<io::TempFolder> folder_;
  Diagnostics diagnostics_;
  FixedClock clock_{*ParseTimestamp("2013-03-10T12:00:00Z", TimeZone::Utc())};
};

TEST_F(ProjectTest, JoinsProvidersThroughTables) {
  auto project = Open("name: p\n", Nodes());
  ASSERT_TRUE(diagnostics_.ok()) << diagnostics_.errors()[0].ToString();
  const auto& graph = project->graph();
  auto up = graph.dependencies().Ancestors({*graph.Find("model.b")});
  EXPECT_TRUE(up[static_cast<size_t>(*graph.Find("ingest.orders"))]);
}

TEST_F(ProjectTest, ReadersOfChildTablesWaitForTheLoadThatMakesThem) {
  auto load = Make("ingest", "visits");
  load.writes = {{"raw", "visits"}};
  load.config["nested"] = "child_tables";
  auto source = Make("source", "parts");
  source.reads = {{{"raw", "visits__parts"}, schedule::ReadMode::kCurrent}};
  auto project = Open("name: p\n", {load, source});
  const auto& graph = project->graph();
  EXPECT_EQ(graph.dependencies().parents(*graph.Find("source.parts")).size(), 1U);
}

TEST_F(ProjectTest, PlanSaysWhy) {
  auto project = Open("name: p\nschedules: {daily: {cron: '@daily', select: '+b'}}\n", Nodes());
  ASSERT_TRUE(diagnostics_.ok()) << diagnostics_.errors()[0].ToString();
  auto work = project->SelectFor("daily", {}, {});
  ASSERT_TRUE(work) << work.error().ToString();
  auto context = project->ManualContext();
  context.dag_run = "daily/2013-03-09";
  auto plan = MakePlan(*project, *work, context);
  ASSERT_TRUE(plan) << plan.error().ToString();
  std::vector<std::string> lines;
  for (const auto& planned : *plan) lines.push_back(project->graph().node(planned.node).id + ": " + planned.why);
  EXPECT_EQ(lines, (std::vector<std::string>{"ingest.orders: upstream of b", "model.a: upstream of b",
                                             "test.a_is_fine: tests a", "model.b: selected by +b"}));
}

TEST_F(ProjectTest, SchedulesAreCheckedWithTheirPlaces) {
  Open("name: p\nschedules:\n  daily:\n    cron: '0 0 * *'\n    select: ['tag:daily', 'tga:daily']\n", Nodes());
  ASSERT_EQ(diagnostics_.errors().size(), 2U);
  EXPECT_EQ(diagnostics_.errors()[0].pos().ToString(), "quern.yml:4:11");
  EXPECT_EQ(diagnostics_.errors()[1].pos().ToString(), "quern.yml:5:13");
}

TEST_F(ProjectTest, RunsShareVarsAndNames) {
  auto project = Open("name: p\nvars: {x: 1, y: 1}\n", Nodes());
  auto context = project->ManualContext();
  EXPECT_EQ(context.dag_run, "manual/2013-03-10T12:00:00Z");
  EXPECT_EQ(context.vars, Json({{"x", 1}, {"y", 2}}));
  EXPECT_FALSE(*project->runs_if_any()) << "reading makes no database";
  EXPECT_FALSE(std::filesystem::exists(folder_->path() / ".quern"));
}

TEST_F(ProjectTest, RunIsRecordedAndSummarised) {
  auto project = Open("name: p\n", Nodes());
  auto work = project->Select({}, {});
  ASSERT_TRUE(work);
  auto store = project->runs();
  ASSERT_TRUE(store) << store.error().ToString();
  auto report =
      schedule::Run(*work, project->ManualContext(), {.threads = 2, .store = *store, .log_root = project->log_root()});
  ASSERT_TRUE(report) << report.error().ToString();
  auto summary = Summarise(*report);
  EXPECT_EQ(summary.Line(), "3 rows in, 2 models built, 1 test passed");
  EXPECT_EQ((*store)->LastTimes()->at("model.a").rows, 3);
}

TEST_F(ProjectTest, SeedsAreNoRowsIn) {
  auto seed = Make("seed", "countries");
  schedule::RunReport report;
  report.state = "success";
  auto& task = report.tasks.emplace_back();
  task.node = &seed;
  task.state = "success";
  task.result.rows = 6;
  EXPECT_EQ(Summarise(report).rows_in, 0);
  EXPECT_EQ(Summarise(report).loads, 1);
}

}  // namespace
}  // namespace quern::project
