#include "warehouse/warehouse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <thread>

#include "base/text.h"
#include "io/files.h"

namespace quern::warehouse {
namespace {

namespace fs = std::filesystem;
using engine::Value;

class WarehouseTest : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = io::TempFolder::Make("quern-warehouse-test-");
    ASSERT_TRUE(folder);
    folder_.emplace(*std::move(folder));
    Reopen();
  }
  void Reopen() {
    session_.reset();
    warehouse_.reset();
    auto opened = Warehouse::Open({.root = root(), .threads = 2, .clock = &clock_});
    ASSERT_TRUE(opened) << opened.error().ToString();
    warehouse_ = *std::move(opened);
    session_ = *warehouse_->NewSession();
  }
  fs::path root() const { return folder_->path() / "w"; }

  engine::QueryResult Run(std::string_view sql, Session* session = nullptr) {
    auto result = (session ? session : session_.get())->Execute(sql);
    if (!result) {
      ADD_FAILURE() << sql << "\n" << result.error().ToString();
      return {};
    }
    return *std::move(result);
  }
  int64_t Int(std::string_view sql, Session* session = nullptr) {
    auto result = Run(sql, session);
    if (result.rows.size() != 1 || !std::holds_alternative<int64_t>(result.rows[0][0])) {
      ADD_FAILURE() << sql << " gives no integer";
      return -1;
    }
    return std::get<int64_t>(result.rows[0][0]);
  }
  Error Fails(std::string_view sql) {
    auto result = session_->Execute(sql);
    if (result) {
      ADD_FAILURE() << sql << " did not fail";
      return Error(ErrorCode::kInternal, "");
    }
    return result.error();
  }
  std::string Explain(std::string_view sql) {
    std::string text;
    for (const auto& row : Run("EXPLAIN " + std::string(sql)).rows) text += engine::ToText(row.back());
    return text;
  }
  size_t FilesIn(const fs::path& folder) {
    size_t files = 0;
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(folder, ignored))
      files += entry.path().extension() == ".parquet";
    return files;
  }

  FixedClock clock_{*ParseTimestamp("2013-06-01T00:00:00Z", TimeZone::Utc())};
  std::optional<io::TempFolder> folder_;
  std::unique_ptr<Warehouse> warehouse_;
  std::unique_ptr<Session> session_;
};

const TableName kT{"main", "t"};

TEST_F(WarehouseTest, CommitInfoSaysWhoWrote) {
  CommitContext context;
  context.dag_run = "monthly/2013-05-01";
  context.node = "model.flights.fct";
  context.git_commit = "abc-dirty";
  context.logical_date = *ParseTimestamp("2013-05-01T04:00:00Z", TimeZone::Utc());
  session_->SetContext(context);
  Run("CREATE TABLE t AS SELECT range AS id FROM range(10)");
  Run("DELETE FROM t WHERE id < 3");
  auto history = warehouse_->History(kT, -1);
  ASSERT_TRUE(history) << history.error().ToString();
  ASSERT_EQ(history->size(), 2u);
  const auto& last = history->front();
  EXPECT_EQ(last.version, 1);
  EXPECT_EQ(last.operation, "DELETE");
  EXPECT_EQ(last.commit_info["quernDagRun"], "monthly/2013-05-01");
  EXPECT_EQ(last.commit_info["quernNode"], "model.flights.fct");
  EXPECT_EQ(last.commit_info["quernLogicalDate"], "2013-05-01T04:00:00Z");
  EXPECT_EQ(last.commit_info["gitCommit"], "abc-dirty");
  EXPECT_EQ(last.operation_metrics["numDeletedRows"], "3");
  EXPECT_EQ(last.operation_metrics["numOutputRows"], "7");
  EXPECT_EQ(last.commit_info["timestamp"], MillisSinceEpoch(clock_.Now()));
  EXPECT_EQ(history->back().operation, "CREATE TABLE AS SELECT");
  EXPECT_EQ(history->back().operation_metrics["numOutputRows"], "10");
  EXPECT_EQ(warehouse_->History(kT, 1)->size(), 1u);

  auto commits = session_->TakeCommits();
  ASSERT_EQ(commits.size(), 2u);
  EXPECT_EQ(commits[0].table.ToString(), "main.t");
  EXPECT_EQ(commits[0].rows_inserted, 10);
  EXPECT_EQ(commits[1].version, 1);
  EXPECT_EQ(commits[1].rows_deleted, 3);
  EXPECT_TRUE(session_->TakeCommits().empty());
}

TEST_F(WarehouseTest, TxnsGoWithTheNextCommitOfTheirTableOnce) {
  Run("CREATE TABLE t AS SELECT 1 AS id; CREATE TABLE u AS SELECT 1 AS id");
  session_->TakeCommits();
  CommitContext context;
  context.txns = {{{"main", "T"}, "run/1", 7}, {{"main", "t"}, "quern-file/a.csv", 1}, {{"main", "u"}, "run/1", 7}};
  session_->SetContext(context);
  Run("SELECT * FROM t");
  EXPECT_EQ(*warehouse_->TxnVersion(kT, "run/1"), std::nullopt);
  Run("INSERT INTO t VALUES (2)");
  EXPECT_EQ(*warehouse_->TxnVersion(kT, "run/1"), 7);
  EXPECT_EQ(*warehouse_->Txns(kT, "quern-file/"), (std::map<std::string, int64_t>{{"quern-file/a.csv", 1}}));
  EXPECT_EQ(*warehouse_->TxnVersion({"main", "u"}, "run/1"), std::nullopt);
  // A write that changes nothing takes them too.
  Run("DELETE FROM u WHERE id = 99");
  EXPECT_EQ(*warehouse_->TxnVersion({"main", "u"}, "run/1"), 7);
  EXPECT_EQ(session_->TakeCommits().size(), 2u);
  Run("DELETE FROM u WHERE id = 99");
  EXPECT_TRUE(session_->TakeCommits().empty());
  EXPECT_EQ(*warehouse_->TxnVersion({"nosuch", "t"}, "run/1"), std::nullopt);
}

TEST_F(WarehouseTest, CommitTxnsRecordsThatThereWasNothingToDo) {
  Run("CREATE TABLE t AS SELECT 1 AS id");
  session_->TakeCommits();
  CommitContext context;
  context.node = "ingest.t";
  context.txns = {{kT, "run/2", 1}};
  session_->SetContext(context);
  ASSERT_TRUE(session_->CommitTxns());
  EXPECT_EQ(*warehouse_->TxnVersion(kT, "run/2"), 1);
  auto commits = session_->TakeCommits();
  ASSERT_EQ(commits.size(), 1u);
  EXPECT_EQ(commits[0].version, 1);
  ASSERT_TRUE(session_->CommitTxns());
  EXPECT_TRUE(session_->TakeCommits().empty());
  context.txns = {{{"main", "nosuch"}, "run/2", 1}};
  session_->SetContext(context);
  auto missing = session_->CommitTxns();
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kTableNotFound);
  EXPECT_EQ(Int("SELECT count(*) FROM t"), 1);
}

TEST_F(WarehouseTest, ATxnOfAFailedTransactionIsKeptForTheNext) {
  Run("CREATE TABLE t AS SELECT 1 AS id");
  CommitContext context;
  context.txns = {{kT, "run/3", 1}};
  session_->SetContext(context);
  Run("BEGIN; INSERT INTO t VALUES (2); ROLLBACK");
  EXPECT_EQ(*warehouse_->TxnVersion(kT, "run/3"), std::nullopt);
  Run("INSERT INTO t VALUES (2)");
  EXPECT_EQ(*warehouse_->TxnVersion(kT, "run/3"), 1);
}

TEST_F(WarehouseTest, RestoreTakesContentAndTxnsBack) {
  Run("CREATE TABLE t AS SELECT 1 AS id");
  CommitContext context;
  context.txns = {{kT, "old", 1}};
  session_->SetContext(context);
  Run("INSERT INTO t VALUES (2)");
  context.txns = {{kT, "old", 2}, {kT, "new", 1}};
  session_->SetContext(context);
  Run("CREATE OR REPLACE TABLE t AS SELECT 'x' AS other");
  auto version = warehouse_->Restore(kT, 1, {});
  ASSERT_TRUE(version) << version.error().ToString();
  EXPECT_EQ(*version, 3);
  EXPECT_EQ(Int("SELECT sum(id) FROM t"), 3);
  EXPECT_EQ(*warehouse_->TxnVersion(kT, "old"), 1);
  EXPECT_EQ(*warehouse_->TxnVersion(kT, "new"), std::nullopt);
  EXPECT_EQ(warehouse_->Txns(kT, "")->size(), 1u);
  EXPECT_EQ(warehouse_->History(kT, 1)->front().operation, "RESTORE");
  EXPECT_FALSE(warehouse_->Restore(kT, 77, {}));
}

TEST_F(WarehouseTest, DescribesTables) {
  Run("CREATE SCHEMA raw; CREATE TABLE raw.T(id BIGINT NOT NULL, p VARCHAR, at_time TIMESTAMP) PARTITIONED "
      "BY (p) "
      "WITH (\"delta.appendOnly\" = false)");
  Run("INSERT INTO raw.t SELECT range, 'p' || range % 2, NULL FROM range(10)");
  auto info = warehouse_->Describe({"RAW", "t"});
  ASSERT_TRUE(info) << info.error().ToString();
  EXPECT_EQ(info->name.ToString(), "raw.T");
  EXPECT_EQ(info->version, 1);
  EXPECT_EQ(info->columns[0].type, "BIGINT");
  EXPECT_EQ(info->nullable, (std::vector<bool>{false, true, true}));
  EXPECT_EQ(info->partition_columns, std::vector<std::string>{"p"});
  EXPECT_EQ(info->properties.at("delta.appendOnly"), "false");
  EXPECT_EQ(info->files, 2);
  EXPECT_EQ(info->rows, 10);
  EXPECT_GT(info->bytes, 0);
  EXPECT_EQ(info->location, (root() / "raw" / "T").string());
  EXPECT_THAT(info->features, testing::Contains("timestampNtz"));
  EXPECT_EQ(info->created, clock_.Now());
  EXPECT_EQ(warehouse_->Describe({"raw", "t"}, 0)->rows, 0);
  auto missing = warehouse_->Describe({"raw", "tt"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kTableNotFound);
  EXPECT_THAT(missing.error().hint(), testing::HasSubstr("T"));

  Run("CREATE VIEW raw.v AS SELECT 1 AS one");
  auto all = *warehouse_->List();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].kind, Warehouse::Kind::kView);
  EXPECT_TRUE(*warehouse_->Exists({"raw", "V"}));
  EXPECT_FALSE(*warehouse_->Exists({"raw", "w"}));
}

TEST_F(WarehouseTest, ReadsAreToldWithTheirVersionsThroughViews) {
  Run("CREATE SCHEMA s; CREATE TABLE s.a AS SELECT 1 AS x; CREATE TABLE s.B AS SELECT 2 AS x");
  Run("CREATE VIEW s.v AS SELECT x FROM s.a UNION ALL SELECT x FROM s.b; INSERT INTO s.a VALUES (5)");
  (void)session_->TakeReads();
  Run("CREATE TEMP TABLE copy AS SELECT * FROM s.v WHERE x > 100");
  Reads reads = session_->TakeReads();
  EXPECT_EQ(reads.tables, (std::map<std::string, int64_t>{{"s.B", 0}, {"s.a", 1}}));
  ASSERT_EQ(reads.views.size(), 1u);
  EXPECT_THAT(reads.views.at("s.v"), testing::HasSubstr("UNION ALL"));
  EXPECT_TRUE(session_->TakeReads().tables.empty());
  Run("INSERT INTO s.a VALUES (6)");
  EXPECT_TRUE(session_->TakeReads().tables.empty());
}

TEST_F(WarehouseTest, PinnedVersionsAreReadThroughViewsAndNotWritten) {
  Run("CREATE SCHEMA s; CREATE TABLE s.a AS SELECT 1 AS x; INSERT INTO s.a VALUES (2); CREATE TABLE s.b(x BIGINT)");
  Run("CREATE VIEW s.v AS SELECT sum(x)::BIGINT AS x FROM s.a");
  session_->PinVersions({{"S.A", 0}});
  EXPECT_EQ(Int("SELECT x FROM s.v"), 1);
  EXPECT_EQ(Int("SELECT count(*) FROM s.a"), 1);
  EXPECT_THAT(Fails("INSERT INTO s.a VALUES (3)").message(), testing::HasSubstr("version 0"));
  Run("INSERT INTO s.b SELECT x FROM s.v");
  session_->PinVersions({{"s.a", 9}});
  EXPECT_EQ(Fails("SELECT x FROM s.v").code(), ErrorCode::kVersionNotFound);
  session_->PinVersions({});
  EXPECT_EQ(Int("SELECT x FROM s.v"), 3);
  EXPECT_EQ(Int("SELECT x FROM s.b"), 1);
}

TEST_F(WarehouseTest, VersionsAreFoundByTime) {
  Run("CREATE TABLE t WITH (\"delta.enableInCommitTimestamps\" = true) AS SELECT 1 AS id");
  const auto first = clock_.Now();
  clock_.Set(first + std::chrono::hours(1));
  Run("INSERT INTO t VALUES (2)");
  EXPECT_EQ(*warehouse_->VersionAt(kT, first), 0);
  EXPECT_EQ(*warehouse_->VersionAt(kT, first + std::chrono::minutes(59)), 0);
  EXPECT_EQ(*warehouse_->VersionAt(kT, first + std::chrono::hours(2)), 1);
  auto before = warehouse_->VersionAt(kT, first - std::chrono::hours(1));
  ASSERT_FALSE(before);
  EXPECT_EQ(before.error().code(), ErrorCode::kVersionNotFound);
  EXPECT_EQ(Int("SELECT count(*) FROM t AT (TIMESTAMP => TIMESTAMPTZ '2013-06-01 00:30:00+00')"), 1);
}

TEST_F(WarehouseTest, FiltersLeaveFilesOut) {
  Run("CREATE TABLE t(id BIGINT, p VARCHAR, s STRUCT(x INTEGER), d DATE) PARTITIONED BY (p)");
  for (int i = 0; i < 10; i++) {
    Run(
        fmt::format("INSERT INTO t SELECT {0} * 100 + range, 'p{1}', {{'x': {0}}}, DATE '2013-01-01' + {0} "
                    "FROM range(100)",
                    i, i % 2));
  }
  auto scans = [&](std::string_view filter, std::string_view files) {
    const std::string plan = Explain(fmt::format("SELECT id FROM t WHERE {}", filter));
    EXPECT_THAT(plan, testing::HasSubstr(fmt::format("Scanning Files: {}/10", files))) << filter << "\n" << plan;
  };
  scans("id = 250", "1");
  scans("id < 150", "2");
  scans("id BETWEEN 250 AND 310", "2");
  scans("id IN (5, 905)", "2");
  scans("id < 50 OR id >= 950", "2");
  scans("NOT (id >= 100)", "1");
  scans("p = 'p1'", "5");
  scans("p = 'p1' AND id < 200", "1");
  scans("s.x = 3", "1");
  scans("d >= '2013-01-09'", "2");
  scans("id IS NULL", "0");
  scans("id > 0 AND (p = 'p0' OR id = 150) AND length(p) = 2", "6");
  EXPECT_EQ(Int("SELECT count(*) FROM t WHERE id < 50 OR id >= 950"), 100);
}

// The bounds of a join's build side leave files out while the query runs: files that are not needed may be
// gone.
TEST_F(WarehouseTest, JoinsLeaveFilesOut) {
  Run("CREATE TABLE t(other VARCHAR, id BIGINT)");
  for (int i = 0; i < 5; i++) {
    Run(fmt::format("INSERT INTO t SELECT 'x', {} * 100 + range FROM range(100)", i));
  }
  // The newest file is the one with 400 to 499.
  const std::string needed = engine::ToText(Run("SELECT DISTINCT filename FROM t WHERE id = 450").rows[0][0]);
  for (const auto& entry : fs::directory_iterator(root() / "main" / "t")) {
    if (entry.path().extension() == ".parquet" && entry.path() != needed) fs::remove(entry.path());
  }
  EXPECT_EQ(Int("SELECT count(*) FROM t JOIN (SELECT 450 + range AS id FROM range(2)) x USING (id)"), 2);
}

TEST_F(WarehouseTest, AWrongNameReadsNoLog) {
  for (int i = 0; i < 3; i++) Run(fmt::format("CREATE TABLE orders{} AS SELECT 1 AS id", i));
  for (int i = 0; i < 3; i++) {
    fs::resize_file(root() / fmt::format("main/orders{}/_delta_log/00000000000000000000.json", i), 1);
  }
  Reopen();
  Error error = Fails("SELECT * FROM ordres1");
  EXPECT_EQ(error.code(), ErrorCode::kTableNotFound) << error.ToString();
  EXPECT_THAT(error.hint(), testing::HasSubstr("orders1"));
}

TEST_F(WarehouseTest, CountsComeFromTheLogAlone) {
  Run("CREATE TABLE t AS SELECT range AS id FROM range(1000)");
  Run("DELETE FROM t WHERE id < 10");
  for (const auto& entry : fs::directory_iterator(root() / "main" / "t")) {
    if (entry.path().extension() == ".parquet") fs::resize_file(entry.path(), 0);
  }
  Reopen();
  EXPECT_EQ(Int("SELECT count(*) FROM t"), 990);
  EXPECT_FALSE(session_->Execute("SELECT sum(id) FROM t"));
}

TEST_F(WarehouseTest, BlindAppendsOfManySessionsAllStay) {
  Run("CREATE TABLE t(id BIGINT)");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&, i] {
      auto session = *warehouse_->NewSession();
      for (int j = 0; j < 10; j++) Run(fmt::format("INSERT INTO t VALUES ({})", i * 100 + j), session.get());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Int("SELECT count(DISTINCT id) FROM t"), 40);
  EXPECT_EQ(warehouse_->Describe(kT)->version, 40);
}

TEST_F(WarehouseTest, ConflictsNameTheTableAndLeaveNoFiles) {
  Run("CREATE TABLE t AS SELECT range AS id FROM range(100)");
  auto other = *warehouse_->NewSession();
  Run("BEGIN; UPDATE t SET id = id + 1000 WHERE id = 5");
  Run("UPDATE t SET id = id + 1000 WHERE id = 6", other.get());
  const size_t files = FilesIn(root() / "main" / "t");
  Error error = Fails("COMMIT");
  EXPECT_EQ(error.code(), ErrorCode::kCommitConflict);
  EXPECT_THAT(error.message(), testing::HasSubstr("main.t"));
  EXPECT_LT(FilesIn(root() / "main" / "t"), files);
  EXPECT_EQ(Int("SELECT count(*) FROM t WHERE id > 1000"), 1);
  // The connection goes on.
  Run("UPDATE t SET id = id + 1000 WHERE id = 5");
  EXPECT_EQ(Int("SELECT count(*) FROM t WHERE id > 1000"), 2);
}

TEST_F(WarehouseTest, DeletesOfDifferentPartitionsDoNotConflict) {
  Run("CREATE TABLE t PARTITIONED BY (p) AS SELECT range AS id, range % 2 AS p FROM range(100)");
  auto other = *warehouse_->NewSession();
  Run("BEGIN; DELETE FROM t WHERE p = 0; INSERT INTO t VALUES (1000, 0)");
  Run("BEGIN; DELETE FROM t WHERE p = 1; INSERT INTO t VALUES (1001, 1); COMMIT", other.get());
  Run("COMMIT");
  EXPECT_EQ(Int("SELECT sum(id) FROM t"), 2001);
}

TEST_F(WarehouseTest, ATableMadeAnewByOthersIsSeen) {
  Run("CREATE TABLE t AS SELECT 1 AS id");
  EXPECT_EQ(Int("SELECT id FROM t"), 1);
  auto second = *Warehouse::Open({.root = root(), .threads = 1});
  auto other = *second->NewSession();
  Run("DROP TABLE t; CREATE TABLE t AS SELECT 2 AS id", other.get());
  EXPECT_EQ(Int("SELECT id FROM t"), 2);
  Run("INSERT INTO t VALUES (3)", other.get());
  EXPECT_EQ(Int("SELECT sum(id) FROM t"), 5);
}

TEST_F(WarehouseTest, ReadOnlyWarehousesRefuseWrites) {
  Run("CREATE TABLE t AS SELECT 1 AS id");
  auto reader = Warehouse::Open({.root = root(), .threads = 1, .read_only = true});
  ASSERT_TRUE(reader) << reader.error().ToString();
  auto session = *(*reader)->NewSession();
  EXPECT_EQ(Int("SELECT id FROM t", session.get()), 1);
  auto refused = session->Execute("INSERT INTO t VALUES (2)");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("read-only"));
  auto missing = Warehouse::Open({.root = root() / "nosuch", .read_only = true});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
}

TEST_F(WarehouseTest, BrokenLogsAreNamedAndDoNotHideOtherTables) {
  Run("CREATE TABLE t AS SELECT 1 AS id; CREATE TABLE u AS SELECT 1 AS id");
  ASSERT_TRUE(io::WriteFileAtomically(root() / "main/t/_delta_log/00000000000000000001.json", "{\"add\": broken\n"));
  Reopen();
  Error error = Fails("SELECT * FROM t");
  EXPECT_EQ(error.code(), ErrorCode::kCorruptLog) << error.ToString();
  EXPECT_THAT(error.ToString(), testing::HasSubstr("00000000000000000001.json"));
  EXPECT_EQ(Int("SELECT count(*) FROM information_schema.tables WHERE table_catalog = 'warehouse'"), 1);
  EXPECT_EQ(Int("SELECT id FROM u"), 1);
}

TEST_F(WarehouseTest, AFolderWithoutACommitIsNoTable) {
  // As a process leaves it that dies before its first commit.
  const fs::path log = root() / "main/t/_delta_log";
  fs::create_directories(log);
  ASSERT_TRUE(io::WriteFileAtomically(log / ".tmp-1", "{}"));
  ASSERT_TRUE(io::WriteFileAtomically(root() / "main/t/part-0.parquet", "half"));
  Reopen();
  EXPECT_EQ(Int("SELECT count(*) FROM information_schema.tables WHERE table_catalog = 'warehouse'"), 0);
  EXPECT_FALSE(*warehouse_->Exists(kT));
  EXPECT_EQ(Fails("SELECT * FROM t").code(), ErrorCode::kTableNotFound);
  Run("CREATE OR REPLACE TABLE t AS SELECT 7 AS id");
  EXPECT_EQ(Int("SELECT id FROM t"), 7);
}

TEST_F(WarehouseTest, UnsupportedFeaturesAreNamed) {
  Run("CREATE TABLE t AS SELECT 1 AS id");
  ASSERT_TRUE(io::WriteFileAtomically(root() / "main/t/_delta_log/00000000000000000001.json",
                                      "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,"
                                      "\"readerFeatures\":[\"someday\"],\"writerFeatures\":[\"someday\"]}}\n"));
  Reopen();
  Error error = Fails("SELECT * FROM t");
  EXPECT_EQ(error.code(), ErrorCode::kUnsupportedFeature);
  EXPECT_THAT(error.message(), testing::HasSubstr("someday"));
}

TEST_F(WarehouseTest, AppendOnlyTablesRefuseDeletes) {
  Run("CREATE TABLE t WITH (\"delta.appendOnly\" = true) AS SELECT 1 AS id");
  Run("INSERT INTO t VALUES (2)");
  EXPECT_EQ(Fails("DELETE FROM t").code(), ErrorCode::kUnsupportedFeature);
  EXPECT_EQ(Fails("UPDATE t SET id = 3").code(), ErrorCode::kUnsupportedFeature);
  EXPECT_EQ(Int("SELECT count(*) FROM t"), 2);
}

TEST_F(WarehouseTest, ManyCommitsMakeCheckpointsThatAreReadAgain) {
  Run("CREATE TABLE t(id BIGINT, name VARCHAR, p INTEGER) PARTITIONED BY (p) WITH "
      "(\"delta.enableDeletionVectors\" = true)");
  CommitContext context;
  context.txns = {{kT, "app", 5}};
  session_->SetContext(context);
  for (int i = 0; i < 25; i++) Run(fmt::format("INSERT INTO t SELECT range, 'n' || range, {} FROM range(10)", i % 3));
  Run("DELETE FROM t WHERE id = 3");
  int checkpoints = 0;
  for (const auto& entry : fs::directory_iterator(root() / "main/t/_delta_log"))
    checkpoints += entry.path().extension() == ".parquet";
  EXPECT_GE(checkpoints, 2);
  fs::remove(root() / "main/t/_delta_log/00000000000000000005.json");
  Reopen();
  EXPECT_EQ(Int("SELECT count(*) FROM t"), 225);
  EXPECT_EQ(Int("SELECT count(*) FROM t WHERE name = 'n4' AND p = 0"), 9);
  EXPECT_EQ(*warehouse_->TxnVersion(kT, "app"), 5);
  EXPECT_EQ(warehouse_->Describe(kT)->rows, 225);
}

TEST_F(WarehouseTest, TheSessionsTimeZoneMovesNoRow) {
  Run("CREATE TABLE t PARTITIONED BY (at_time) AS SELECT 1 AS id, TIMESTAMPTZ '2013-05-01 12:00:00+00' AS "
      "at_time, "
      "TIMESTAMPTZ '2013-05-01 12:00:00+00' AS also");
  Run("SET TimeZone = 'America/New_York'");
  Run("INSERT INTO t VALUES (2, '2013-05-01 08:00:00', '2013-05-01 08:00:00')");
  EXPECT_EQ(Int("SELECT count(*) FROM t WHERE at_time = TIMESTAMPTZ '2013-05-01 12:00:00+00' AND also = at_time"), 2);
  Run("DELETE FROM t WHERE id = 1");
  EXPECT_EQ(Int("SELECT count(*) FROM t WHERE epoch(also) = 1367409600 AND also = at_time"), 1);
}

TEST_F(WarehouseTest, InterruptEndsAWriteAndLeavesNothing) {
  Run("CREATE TABLE t AS SELECT 1 AS id");
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    session_->Interrupt();
  });
  Error error = Fails(
      "INSERT INTO t SELECT a.range FROM range(100000) a, range(1000000) b WHERE hash(a.range, b.range) % 3 "
      "= 1");
  other.join();
  EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  EXPECT_EQ(Int("SELECT count(*) FROM t"), 1);
  EXPECT_EQ(FilesIn(root() / "main" / "t"), 1u);
}

// Random statements on a warehouse table and on a native one, in and out of transactions: always equal, both
// ways.
class RandomDml : public WarehouseTest, public testing::WithParamInterface<int> {};

TEST_P(RandomDml, EqualsANativeTable) {
  const int seed = GetParam();
  std::mt19937 random(static_cast<unsigned>(seed));
  auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const std::string select =
      "SELECT range AS id, range % 17 AS k, 'x' || range AS s, range / 3.0 AS d FROM range(3000)";
  const char* with[] = {"", " WITH (\"delta.enableDeletionVectors\" = true)", " PARTITIONED BY (k)",
                        " PARTITIONED BY (k) WITH (\"delta.enableDeletionVectors\" = true)"};
  Run(fmt::format("CREATE TABLE t{} AS {}", with[seed % 4], select));
  Run("ATTACH ':memory:' AS m; CREATE TABLE m.t AS " + select);
  auto statement = [&]() -> std::string {
    const int a = pick(5000), b = 1 + pick(600), k = pick(17);
    switch (pick(8)) {
      case 0:
        return fmt::format("INSERT INTO @ SELECT range + {}, range % 17, 'i' || range, NULL FROM range({})", a, b);
      case 1:
        return fmt::format("DELETE FROM @ WHERE id BETWEEN {} AND {}", a, a + b);
      case 2:
        return fmt::format("DELETE FROM @ WHERE k = {} AND id % 3 = 0", k);
      case 3:
        return fmt::format("UPDATE @ SET k = (k + 1) % 17, s = s || 'u' WHERE id BETWEEN {} AND {}", a, a + b);
      case 4:
        return fmt::format("UPDATE @ SET d = {} WHERE k = {} OR id = {}", b, k, a);
      case 5:
        return fmt::format("DELETE FROM @ WHERE id IN (SELECT id FROM @ WHERE k = {} ORDER BY id, s, d LIMIT 20)", k);
      case 6:
        return fmt::format(
            "MERGE INTO @ AS t USING (SELECT range + {} AS id FROM range({})) AS s ON t.id = s.id AND t.k = "
            "{} "
            "WHEN MATCHED AND s.id % 5 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET s = 'm' "
            "WHEN NOT MATCHED THEN INSERT VALUES (s.id, {}, 'new', 1.5)",
            a, b, k, k);
      default:
        return fmt::format(
            "UPDATE @ AS t SET s = x.s FROM (SELECT range + {} AS id, 'f' AS s FROM range({})) x WHERE t.id "
            "= x.id",
            a, b);
    }
  };
  for (int step = 0; step < 12; step++) {
    const int n = 1 + pick(3);
    std::vector<std::string> statements;
    for (int i = 0; i < n; i++) statements.push_back(statement());
    const char* end = pick(4) == 0 ? "ROLLBACK" : "COMMIT";
    for (const char* name : {"warehouse.main.t", "m.t"}) {
      if (n > 1) Run("BEGIN");
      for (const auto& sql : statements) Run(ReplaceAll(sql, "@", name));
      if (n > 1) Run(end);
    }
    ASSERT_EQ(Int("SELECT (SELECT count(*) FROM (FROM warehouse.main.t EXCEPT ALL FROM m.t)) + (SELECT count(*) "
                  "FROM (FROM m.t EXCEPT ALL FROM "
                  "warehouse.main.t)) + abs((SELECT count(*) FROM warehouse.main.t) - (SELECT count(*) FROM m.t))"),
              0)
        << "seed " << seed << ", step " << step << ": " << Join(statements, "; ");
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, RandomDml, testing::Range(0, 8));

}  // namespace
}  // namespace quern::warehouse
