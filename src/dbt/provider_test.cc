// Whole projects through the provider and the runner, on the Delta warehouse and on .duckdb files.
#include "dbt/provider.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/clock.h"
#include "base/text.h"
#include "dbt/command.h"
#include "schedule/node_graph.h"
#include "schedule/runner.h"
#include "warehouse/warehouse.h"

namespace quern::dbt {
namespace {

namespace fs = std::filesystem;

class ProjectTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("quern-dbt-" + std::to_string(::getpid()) + "-" +
                                         testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    Write("dbt_project.yml", "name: p\nversion: '1.0'\nprofile: p\n");
  }
  void TearDown() override {
    warehouse_.reset();
    fs::remove_all(root_);
  }
  void Write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  warehouse::Warehouse& Wh() {
    if (!warehouse_) {
      warehouse::Options options;
      options.root = root_ / "warehouse";
      auto opened = warehouse::Warehouse::Open(options);
      EXPECT_TRUE(opened) << opened.error().ToString();
      warehouse_ = *std::move(opened);
    }
    return *warehouse_;
  }
  std::string Query(const std::string& sql) {
    auto session = Wh().NewSession();
    if (!session) return session.error().ToString();
    auto result = (*session)->Execute(sql);
    if (!result) return result.error().ToString();
    std::string out;
    for (const auto& row : result->rows) {
      for (size_t i = 0; i < row.size(); ++i) out += (i ? "," : "") + engine::ToText(row[i]);
      out += ";";
    }
    return out;
  }
  ProviderOptions Options() {
    ProviderOptions options;
    options.project_root = root_;
    options.workspace.project_dir = root_;
    options.workspace.profiles_dir = root_;
    options.workspace.quern = QuernTarget{root_ / "warehouse", "dev", "main", 2};
    options.workspace.only_quern = true;
    options.workspace.clock = &clock_;
    options.warehouse = [this]() -> Result<warehouse::Warehouse*> { return &Wh(); };
    return options;
  }
  schedule::RunContext Day(int day) {
    schedule::RunContext run;
    run.schedule = "daily";
    run.logical_date = *ParseTimestamp(fmt::format("2024-01-{:02}", day), TimeZone::Utc());
    run.interval = {run.logical_date, run.logical_date + std::chrono::hours(24)};
    run.dag_run = fmt::format("daily/2024-01-{:02}", day);
    run.clock = &clock_;
    return run;
  }
  /// State of each node, by its name.
  std::map<std::string, std::string> Run(const schedule::RunContext& run) {
    Provider provider(Options());
    Diagnostics diagnostics;
    std::vector<schedule::NodeGraph::Entry> entries;
    for (schedule::Node& node : provider.Load(diagnostics)) entries.push_back({std::move(node), &provider});
    schedule::NodeGraph graph = schedule::NodeGraph::Build(std::move(entries), diagnostics);
    for (const Error& error : diagnostics.errors()) ADD_FAILURE() << error.ToString();
    schedule::Workload work;
    work.graph = &graph;
    work.selected.assign(static_cast<size_t>(graph.size()), true);
    schedule::RunnerOptions options;
    options.threads = 2;
    auto report = schedule::Run(work, run, options);
    std::map<std::string, std::string> states;
    if (!report) {
      ADD_FAILURE() << report.error().ToString();
      return states;
    }
    if (report->error) ADD_FAILURE() << report->error->ToString();
    for (const auto& task : report->tasks) {
      states[task.node->name] = task.state;
      if (task.result.error) errors_[task.node->name] = task.result.error->ToString();
    }
    return states;
  }
  FixedClock clock_{*ParseTimestamp("2024-06-01T00:00:00Z", TimeZone::Utc())};
  fs::path root_;
  std::unique_ptr<warehouse::Warehouse> warehouse_;
  std::map<std::string, std::string> errors_;
};

TEST_F(ProjectTest, AnIncrementalEffectIsRecordedOnce) {
  Write("models/inc.sql",
        "{{ config(materialized='incremental') }} select '{{ var('data_interval_start')[:10] }}' as day");
  EXPECT_EQ(Run(Day(1))["inc"], "success") << errors_["inc"];
  EXPECT_EQ(Run(Day(2))["inc"], "success") << errors_["inc"];
  EXPECT_EQ(Run(Day(2))["inc"], "no_op");
  EXPECT_EQ(Query("select day from main.inc order by 1"), "2024-01-01;2024-01-02;");
}

TEST_F(ProjectTest, AKilledRerunThatGoesOnFindsWhatItDid) {
  Write("models/inc.sql",
        "{{ config(materialized='incremental') }} select '{{ var('data_interval_start')[:10] }}' as day");
  EXPECT_EQ(Run(Day(1))["inc"], "success") << errors_["inc"];
  EXPECT_EQ(Run(Day(2))["inc"], "success") << errors_["inc"];
  ASSERT_TRUE(Wh().Restore({"main", "inc"}, 0, {}));
  schedule::RunContext again = Day(2);
  again.rerun = true;
  EXPECT_EQ(Run(again)["inc"], "success") << errors_["inc"];
  EXPECT_EQ(Run(again)["inc"], "no_op");
  EXPECT_EQ(Query("select day from main.inc order by 1"), "2024-01-01;2024-01-02;");
}

TEST_F(ProjectTest, AnIntervalBehindALaterOneIsNotPassedOverInSilence) {
  Write("models/inc.sql",
        "{{ config(materialized='incremental') }} select '{{ var('data_interval_start')[:10] }}' as day");
  EXPECT_EQ(Run(Day(1))["inc"], "success") << errors_["inc"];
  EXPECT_EQ(Run(Day(3))["inc"], "success") << errors_["inc"];
  EXPECT_EQ(Run(Day(1))["inc"], "no_op");
  EXPECT_EQ(Run(Day(2))["inc"], "failed");
  EXPECT_NE(errors_["inc"].find("daily/2024-01-03"), std::string::npos) << errors_["inc"];
  EXPECT_NE(errors_["inc"].find("quern backfill daily --from 2024-01-02 --rerun"), std::string::npos) << errors_["inc"];
  EXPECT_EQ(Query("select day from main.inc order by 1"), "2024-01-01;2024-01-03;");
}

TEST_F(ProjectTest, SchemaChangeAndRowsAreOneCommit) {
  Write("models/inc.sql",
        "{{ config(materialized='incremental', on_schema_change='append_new_columns') }} select 1 as a {% if "
        "is_incremental() %}, 2 as b{% endif %}");
  EXPECT_EQ(Run(Day(1))["inc"], "success");
  EXPECT_EQ(Wh().Describe({"main", "inc"})->version, 0);
  EXPECT_EQ(Run(Day(2))["inc"], "success") << errors_["inc"];
  EXPECT_EQ(Wh().Describe({"main", "inc"})->version, 1);
  EXPECT_EQ(Query("select a, b from main.inc order by b nulls first"), "1,;1,2;");
}

TEST_F(ProjectTest, DeleteAndInsertAreOneCommit) {
  Write("models/inc.sql",
        "{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='k') }} select 1 as k, "
        "'{{ var('logical_date')[:10] }}' as d");
  Run(Day(1));
  EXPECT_EQ(Run(Day(2))["inc"], "success") << errors_["inc"];
  EXPECT_EQ(Wh().Describe({"main", "inc"})->version, 1);
  EXPECT_EQ(Query("select * from main.inc"), "1,2024-01-02;");
}

TEST_F(ProjectTest, BeforeRunReadsWhatStoodBefore) {
  ASSERT_EQ(Query("create schema if not exists main; create table main.start as select 0 as n; select 1"), "1;");
  Write("models/sources.yml", "sources: [{name: s, schema: main, tables: [{name: grown}, {name: start}]}]\n");
  Write("models/grown.sql",
        "{{ config(materialized='incremental', alias='grown') }} select {{ var('logical_date')[8:10] | int }} as n "
        "from {{ source('s', 'start') }}");
  Write("models/seen.sql",
        "{{ config(materialized='table', before_run=['s.grown']) }} select count(*) as n from {{ source('s', 'grown') "
        "}}");
  auto first = Run(Day(1));
  EXPECT_EQ(first["grown"], "success") << errors_["grown"];
  EXPECT_EQ(first["seen"], "failed");  // there is nothing before the first run
  EXPECT_NE(errors_["seen"].find("did not exist before this interval"), std::string::npos) << errors_["seen"];
  EXPECT_EQ(Run(Day(2))["seen"], "success") << errors_["seen"];
  EXPECT_EQ(Query("select n from main.seen"), "1;");
  EXPECT_EQ(Run(Day(3))["seen"], "success");
  EXPECT_EQ(Query("select n from main.seen"), "2;");
  Write("models/seen.sql",
        "{{ config(materialized='table', before_run=['s.grown']) }} -- {{ source('s', 'grown') if not execute }}\n"
        "{% set before = before_run('s.grown') %}{% if before %}select count(*) as n from {{ before }}{% else %}select "
        "0 as n{% endif %}");
  EXPECT_EQ(Run(Day(1))["seen"], "success") << errors_["seen"];
  EXPECT_EQ(Query("select n from main.seen"), "0;");
}

TEST_F(ProjectTest, SnapshotTimeIsTheIntervalsEnd) {
  Write("models/src.sql", "{{ config(materialized='table') }} select 1 as id, '{{ var('logical_date')[:10] }}' as v");
  Write("snapshots/s.sql",
        "{% snapshot snap %}{{ config(strategy='check', unique_key='id', check_cols='all') }}select * from {{ "
        "ref('src') }}{% endsnapshot %}");
  EXPECT_EQ(Run(Day(1))["snap"], "success") << errors_["snap"];
  EXPECT_EQ(Run(Day(2))["snap"], "success") << errors_["snap"];
  EXPECT_EQ(Run(Day(2))["snap"], "no_op");
  EXPECT_EQ(Query("select v, dbt_valid_from, dbt_valid_to from main.snap order by 1"),
            "2024-01-01,2024-01-02 00:00:00,2024-01-03 00:00:00;2024-01-02,2024-01-03 00:00:00,;");
}

TEST_F(ProjectTest, AFailedTestHoldsBackWhatLiesDownstream) {
  Write("models/a.sql", "{{ config(materialized='table') }} select 1 as id union all select 1");
  Write("models/b.sql", "{{ config(materialized='table') }} select * from {{ ref('a') }}");
  Write("models/p.yml", "models:\n  - name: a\n    columns: [{name: id, data_tests: [unique]}]\n");
  auto states = Run(Day(1));
  EXPECT_EQ(states["unique_a_id"], "failed");
  EXPECT_EQ(states["b"], "skipped");
  EXPECT_NE(errors_["unique_a_id"].find("models/p.yml:3:39"), std::string::npos) << errors_["unique_a_id"];
}

TEST_F(ProjectTest, TheTestCommandRunsEveryTestWhateverTheOthersFind) {
  Write("profiles.yml", "p: {target: dev, outputs: {dev: {type: duckdb, path: p.duckdb}}}\n");
  Write("models/a.sql", "{{ config(materialized='table') }} select 1 as id union all select 1");
  Write("models/b.sql", "{{ config(materialized='table') }} select * from {{ ref('a') }}");
  Write("models/p.yml",
        "models:\n  - name: a\n    columns: [{name: id, data_tests: [unique]}]\n"
        "  - name: b\n    columns: [{name: id, data_tests: [not_null]}]\n");
  std::ostringstream out, err;
  CommandEnvironment environment;
  environment.working_directory = root_;
  environment.clock = &clock_;
  environment.out = &out;
  environment.err = &err;
  EXPECT_EQ(RunCommand({"run"}, environment), 0) << err.str();
  EXPECT_EQ(RunCommand({"test"}, environment), 1);
  EXPECT_NE(out.str().find("PASS=1 WARN=0 ERROR=1 SKIP=0"), std::string::npos) << out.str();
  out.str("");
  EXPECT_EQ(RunCommand({"build"}, environment), 1);
  EXPECT_NE(out.str().find("PASS=1 WARN=0 ERROR=1 SKIP=2"), std::string::npos) << out.str();
}

TEST_F(ProjectTest, SqlErrorsPointThroughMacros) {
  Write("macros/m.sql", "{% macro total(c) %}\n  sum({{ c }})\n{% endmacro %}\n");
  Write("models/a.sql", "{{ config(materialized='table') }}\nselect 1 as x");
  Write("models/b.sql", "{{ config(materialized='table') }}\nselect\n  {{ total('y') }} as t\nfrom {{ ref('a') }}");
  Run(Day(1));
  EXPECT_NE(errors_["b"].find("macros/m.sql:2:7"), std::string::npos) << errors_["b"];
  EXPECT_NE(errors_["b"].find("models/b.sql:3:6"), std::string::npos) << errors_["b"];
}

TEST_F(ProjectTest, CheckFindsSqlThatDoesNotBind) {
  Write("seeds/s.csv", "id,name\n1,a\n");
  Write("models/a.sql", "select id, nam from {{ ref('s') }}");
  Write("models/b.sql", "select * from {{ source('x', 'unknown_columns') }} where anything = 1");
  Write("models/p.yml", "sources: [{name: x, tables: [{name: unknown_columns}]}]\n");
  Provider provider(Options());
  Diagnostics diagnostics;
  provider.Load(diagnostics);
  provider.Check(diagnostics);
  ASSERT_EQ(diagnostics.errors().size(), 1u)
      << (diagnostics.errors().empty() ? "" : diagnostics.errors().back().ToString());
  EXPECT_EQ(diagnostics.errors()[0].pos().ToString(), "models/a.sql:1:12") << diagnostics.errors()[0].ToString();
  EXPECT_FALSE(fs::exists(root_ / "warehouse"));
}

TEST_F(ProjectTest, ContractsAreEnforced) {
  Write("models/a.sql", "{{ config(materialized='table', contract={'enforced': true}) }} select 1 as id, 'x' as name");
  Write("models/p.yml",
        "models:\n  - name: a\n    columns: [{name: id, data_type: integer, constraints: [{type: not_null}]}, {name: "
        "name, data_type: integer}]\n");
  EXPECT_EQ(Run(Day(1))["a"], "failed");
  EXPECT_NE(errors_["a"].find("column 'name' is VARCHAR"), std::string::npos) << errors_["a"];
  Write("models/p.yml",
        "models:\n  - name: a\n    columns: [{name: id, data_type: integer, constraints: [{type: not_null}]}, {name: "
        "name, data_type: varchar}]\n");
  EXPECT_EQ(Run(Day(1))["a"], "success") << errors_["a"];
  EXPECT_FALSE(Wh().Describe({"main", "a"})->nullable[0]);
}

/// Every folder of tests/cases/dbt/check: a project, and expected.txt with what reading and checking it says.
TEST(Cases, CheckSaysWhatIsExpected) {
  fs::path cases = fs::path(QUERN_SOURCE_DIR) / "tests/cases/dbt/check";
  bool update = std::getenv("QUERN_UPDATE_CASES") != nullptr;
  int seen = 0;
  for (const auto& folder : fs::directory_iterator(cases)) {
    ++seen;
    ProviderOptions options;
    options.project_root = options.workspace.project_dir = folder.path();
    options.workspace.profiles_dir = folder.path();
    options.workspace.quern = QuernTarget{folder.path() / "warehouse", "dev", "main", 1};
    Provider provider(std::move(options));
    Diagnostics diagnostics;
    std::vector<schedule::NodeGraph::Entry> entries;
    for (schedule::Node& node : provider.Load(diagnostics)) entries.push_back({std::move(node), &provider});
    schedule::NodeGraph::Build(std::move(entries), diagnostics);
    if (diagnostics.ok()) provider.Check(diagnostics);
    diagnostics.Sort();
    std::string text;
    for (const Error& warning : diagnostics.warnings()) text += "warning: " + warning.ToString() + "\n";
    for (const Error& error : diagnostics.errors()) text += error.ToString() + "\n";
    fs::path file = folder.path() / "expected.txt";
    if (update) std::ofstream(file) << text;
    std::ifstream in(file);
    std::string expected((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    EXPECT_EQ(text, expected) << folder.path();
  }
  EXPECT_GT(seen, 3);
}

}  // namespace
}  // namespace quern::dbt
