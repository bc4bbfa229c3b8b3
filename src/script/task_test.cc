#include "script/task.h"

#include <gtest/gtest.h>

#include "io/files.h"
#include "script/provider.h"

namespace quern::script {
namespace {
namespace fs = std::filesystem;
using schedule::TaskStatus;

class Lines : public schedule::TaskLog {
 public:
  void Line(std::string_view text) override { text_ += std::string(text) + "\n"; }
  std::string text_;
};

class ScriptTaskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_.emplace(*io::TempFolder::Make("script-test-"));
    auto opened = warehouse::Warehouse::Open({.root = folder_->path() / "warehouse", .threads = 1});
    ASSERT_TRUE(opened) << opened.error().ToString();
    warehouse_ = *std::move(opened);
    options_.project = folder_->path();
    options_.package = "p";
    options_.environments = folder_->path() / "envs";
    options_.work = folder_->path() / "work";
    options_.warehouse = [this]() -> Result<warehouse::Warehouse*> { return warehouse_.get(); };
    run_.schedule = "daily";
    Day(1);
    ASSERT_TRUE(Sql("create schema raw"));
    ASSERT_TRUE(Sql("create table raw.orders as select 1 as id"));
  }

  void Day(int day) {
    run_.dag_run = "daily/2024-01-0" + std::to_string(day);
    run_.logical_date = *ParseTimestamp("2024-01-0" + std::to_string(day), TimeZone::Utc());
    run_.interval = {run_.logical_date, run_.logical_date + std::chrono::hours(24)};
  }

  Result<engine::QueryResult> Sql(const std::string& sql) {
    auto session = warehouse_->NewSession();
    EXPECT_TRUE(session);
    return (*session)->Execute(sql);
  }
  int64_t Number(const std::string& sql) {
    auto r = Sql(sql);
    EXPECT_TRUE(r) << r.error().ToString();
    return r ? std::get<int64_t>(r->rows.at(0).at(0)) : -1;
  }

  schedule::TaskResult Run(const std::string& shell, const std::string& more = "") {
    Diagnostics d;
    std::string yaml =
        "scripts:\n  - name: s\n    command: |\n      " + shell + "\n" +
        (more.empty() ? "    reads: [raw.orders]\n    writes: [{table: raw.out, mode: append}]\n" : more);
    auto scripts = ParseScripts(yaml, "s.yml", d);
    EXPECT_TRUE(d.ok()) << d.errors()[0].ToString();
    config_ = scripts.at(0);
    ScriptTask task(config_, options_);
    schedule::TaskContext context;
    context.run = &run_;
    context.log = &log_;
    context.cancellation = cancellation_;
    return task.Run(context);
  }

  // Nothing of the script is left over in the work folder.
  bool WorkIsClean() {
    for (const auto& entry : fs::directory_iterator(options_.work)) {
      if (entry.path().filename() != "results") return false;
    }
    return true;
  }

  std::optional<io::TempFolder> folder_;
  std::unique_ptr<warehouse::Warehouse> warehouse_;
  ScriptOptions options_;
  schedule::RunContext run_;
  ScriptConfig config_;
  Cancellation cancellation_;
  Lines log_;
};

const char kGood[] =
    R"(mkdir -p "$QUERN_OUT/raw.out"; echo '{"id": 1, "day": "'$QUERN_LOGICAL_DATE'"}' > "$QUERN_OUT/raw.out/a.jsonl"; echo '{"n": 5}' > "$QUERN_RESULT"; echo hello)";

TEST_F(ScriptTaskTest, CommitsOnceWithTheEffectAndHandsValuesOn) {
  auto first = Run(kGood);
  ASSERT_EQ(first.status, TaskStatus::kSuccess) << first.message;
  EXPECT_EQ(first.rows, 1);
  EXPECT_EQ(first.values["n"], 5);
  EXPECT_EQ(first.details["inputs"]["raw.orders"], 0);
  EXPECT_NE(log_.text_.find("hello"), std::string::npos);
  auto again = Run(kGood);
  EXPECT_EQ(again.status, TaskStatus::kNoOp);
  EXPECT_EQ(again.values["n"], 5);
  Day(2);
  EXPECT_EQ(Run(kGood).status, TaskStatus::kSuccess);
  EXPECT_EQ(Number("select count(*) from raw.out"), 2);
  auto history = warehouse_->History({"raw", "out"}, -1);
  ASSERT_TRUE(history);
  EXPECT_EQ(history->front().commit_info["quernNode"], "script.s");
  EXPECT_TRUE(WorkIsClean());
}

TEST_F(ScriptTaskTest, AnAppendBehindALaterIntervalIsNotPassedOverInSilence) {
  ASSERT_EQ(Run(kGood).status, TaskStatus::kSuccess);
  Day(3);
  ASSERT_EQ(Run(kGood).status, TaskStatus::kSuccess);
  Day(1);
  EXPECT_EQ(Run(kGood).status, TaskStatus::kNoOp);
  Day(2);
  auto late = Run(kGood);
  EXPECT_EQ(late.status, TaskStatus::kFailed);
  ASSERT_TRUE(late.error);
  EXPECT_EQ(late.error->code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(Number("select count(*) from raw.out"), 2);
}

TEST_F(ScriptTaskTest, SeesItsInputs) {
  auto r = Run(
      R"(test -d "$QUERN_INPUT_RAW_ORDERS/_delta_log" && test "$QUERN_INPUT_RAW_ORDERS_VERSION" = 0 && test -z "$QUERN_INPUT_RAW_PAST" && test "$X" = y)",
      "    reads: [raw.orders, {table: raw.past, as_of: before_run}]\n    environment: {variables: {X: y}}\n");
  EXPECT_EQ(r.status, TaskStatus::kSuccess) << r.message;
}

TEST_F(ScriptTaskTest, AViewIsWrittenOut) {
  ASSERT_TRUE(Sql("create view raw.v as select id + 1 as id from raw.orders"));
  auto r = Run(R"(mkdir -p "$QUERN_OUT/out"; cp "$QUERN_INPUT_RAW_V" "$QUERN_OUT/out/a.parquet")",
               "    reads: [raw.v]\n    writes: [raw.out]\n");
  ASSERT_EQ(r.status, TaskStatus::kSuccess) << r.message;
  EXPECT_EQ(Number("select id from raw.out"), 2);
}

TEST_F(ScriptTaskTest, FailureLeavesNothing) {
  auto r = Run(std::string(kGood) + "; echo no moon >&2; exit 3");
  EXPECT_EQ(r.status, TaskStatus::kFailed);
  EXPECT_NE(r.message.find("exit code 3"), std::string::npos) << r.message;
  EXPECT_NE(r.message.find("no moon"), std::string::npos) << r.message;
  EXPECT_EQ(r.error->pos().ToString(), "s.yml:2:5");
  EXPECT_FALSE(*warehouse_->Exists({"raw", "out"}));
  EXPECT_TRUE(WorkIsClean());
}

TEST_F(ScriptTaskTest, MalformedOutputIsNamedAndNothingCommitted) {
  const std::string
      two = "    writes: [raw.a, raw.b]\n",
      make = R"(mkdir -p "$QUERN_OUT/raw.a" "$QUERN_OUT/raw.b"; echo '{"x":1}' > "$QUERN_OUT/raw.a/a.jsonl"; )";
  for (auto [lines, named] : std::vector<std::pair<std::string, std::string>>{
           {R"(printf '{"id": 1}\n{"id": 2, "sc' > "$QUERN_OUT/raw.b/b.jsonl")",
            "raw.b/b.jsonl, which cannot be read as JSON lines: line 2 is"},
           {R"(echo not json > "$QUERN_OUT/raw.b/b.jsonl")",
            "raw.b/b.jsonl, which cannot be read as JSON lines: line 1 is"},
           {R"(echo PAR1 > "$QUERN_OUT/raw.b/b.parquet")", "raw.b/b.parquet"},
           {R"(echo x > "$QUERN_OUT/raw.b/b.csv")", "raw.b/b.csv"},
           {R"(echo x > "$QUERN_OUT/stray.jsonl")", "stray.jsonl"},
           {R"(mkdir "$QUERN_OUT/raw.c"; echo '{"x":1}' > "$QUERN_OUT/raw.c/c.jsonl")", "raw.c"},
           {R"(echo '[1]' > "$QUERN_RESULT")", "QUERN_RESULT"}}) {
    auto r = Run(make + lines, two);
    EXPECT_EQ(r.status, TaskStatus::kFailed);
    EXPECT_NE(r.message.find(named), std::string::npos) << r.message;
    EXPECT_EQ(r.message.find("/raw.b/b"), std::string::npos) << r.message;
    EXPECT_FALSE(*warehouse_->Exists({"raw", "a"})) << named;
  }
}

TEST_F(ScriptTaskTest, RowsThatDoNotFitTheTableAreRefused) {
  ASSERT_EQ(Run(kGood).status, TaskStatus::kSuccess);
  Day(2);
  auto r = Run(R"(mkdir -p "$QUERN_OUT/raw.out"; echo '{"id": "x", "day": "d"}' > "$QUERN_OUT/raw.out/a.jsonl")");
  EXPECT_EQ(r.status, TaskStatus::kFailed);
  EXPECT_EQ(r.error->code(), ErrorCode::kScriptOutput);
  EXPECT_NE(r.message.find("raw.out"), std::string::npos) << r.message;
  EXPECT_EQ(Number("select count(*) from raw.out"), 1);
}

TEST_F(ScriptTaskTest, TimeoutEndsTheWholeGroup) {
  auto r = Run("sleep 600 & sleep 600", "    timeout: 1s\n");
  EXPECT_EQ(r.status, TaskStatus::kFailed);
  EXPECT_NE(r.message.find("1s"), std::string::npos) << r.message;
}

TEST_F(ScriptTaskTest, AnAppendOfNothingIsRecorded) {
  ASSERT_EQ(Run(kGood).status, TaskStatus::kSuccess);
  Day(2);
  EXPECT_EQ(Run("true").status, TaskStatus::kSuccess);
  EXPECT_EQ(Run("false").status, TaskStatus::kNoOp);
}

TEST(ScriptProviderTest, LoadsNodes) {
  auto folder = *io::TempFolder::Make("script-test-");
  ASSERT_TRUE(io::WriteFileAtomically(folder.path() / "scripts/a.yml",
                                      "scripts:\n  - {name: x, command: 'true', reads: [a.b], writes: [c.d], retries: "
                                      "1, environment: {requirements: none.txt}}\n"));
  ScriptProvider provider({.project = folder.path(), .package = "p"});
  Diagnostics d;
  auto nodes = provider.Load(d);
  ASSERT_TRUE(d.ok());
  ASSERT_EQ(nodes.size(), 1U);
  EXPECT_EQ(nodes[0].id, "script.x");
  EXPECT_EQ(nodes[0].writes[0].Key(), "c.d");
  provider.Check(d);
  ASSERT_EQ(d.errors().size(), 1U);
  EXPECT_EQ(d.errors()[0].pos().file, "scripts/a.yml");
}

}  // namespace
}  // namespace quern::script
