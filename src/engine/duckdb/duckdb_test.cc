#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "engine/duckdb/database.h"

namespace quern::engine {
namespace {

class DuckDbTest : public testing::Test {
 protected:
  DuckDbTest() {
    auto db = DuckDatabase::Open({.threads = 2});
    EXPECT_TRUE(db.has_value());
    db_ = *std::move(db);
    con_ = *db_->Connect();
  }
  QueryResult Run(std::string_view sql, const ExecuteOptions& options = {}) {
    auto result = con_->Execute(sql, options);
    if (!result) {
      ADD_FAILURE() << result.error().ToString();
      return {};
    }
    return *std::move(result);
  }
  Error Fails(std::string_view sql) {
    auto result = con_->Execute(sql);
    if (result) {
      ADD_FAILURE() << sql << " did not fail";
      return Error(ErrorCode::kInternal, "");
    }
    return result.error();
  }
  std::unique_ptr<DuckDatabase> db_;
  std::unique_ptr<Connection> con_;
};

TEST_F(DuckDbTest, ValuesHaveTheContractsTypes) {
  auto r =
      Run("SELECT NULL, true, 7::TINYINT, 2::UBIGINT, 18446744073709551615::UBIGINT, sum(5), 0.1::FLOAT, "
          "1.5::DOUBLE, 1.50::DECIMAL(9,2), "
          "DATE '2013-05-01', TIMESTAMP '2013-05-01 02:03:04.5', TIMESTAMPTZ '2013-05-01 02:03:04+02', "
          "'\\xAA\\x01'::BLOB, "
          "{'a': 1, 'b': [true, NULL]}, MAP {'k': DATE '2013-05-01'}, "
          "170141183460469231731687303715884105727::HUGEINT, 'x'");
  ASSERT_EQ(r.rows.size(), 1u);
  const std::vector<Value> want = {Value(),
                                   true,
                                   int64_t{7},
                                   int64_t{2},
                                   "18446744073709551615",
                                   int64_t{5},
                                   0.1,
                                   1.5,
                                   "1.50",
                                   "2013-05-01",
                                   "2013-05-01 02:03:04.5",
                                   "2013-05-01 00:03:04+00",
                                   "\\xAA\\x01",
                                   "{\"a\":1,\"b\":[true,null]}",
                                   "{\"k\":\"2013-05-01\"}",
                                   "170141183460469231731687303715884105727",
                                   "x"};
  EXPECT_EQ(r.rows[0], want);
  EXPECT_EQ(r.columns[8].type, "DECIMAL(9,2)");
  EXPECT_EQ(r.rows_changed, -1);
  EXPECT_EQ(ToText(Value(0.1)), "0.1");
  EXPECT_EQ(ToText(Value()), "");
}

TEST_F(DuckDbTest, RunsAllStatementsAndGivesTheLast) {
  auto r =
      Run("CREATE TABLE t(i INTEGER); INSERT INTO t SELECT range FROM range(5000); SELECT count(*), max(i) "
          "FROM t;");
  EXPECT_EQ(r.rows, (std::vector<std::vector<Value>>{{int64_t{5000}, int64_t{4999}}}));
  r = Run("DELETE FROM t WHERE i < 10");
  EXPECT_EQ(r.rows_changed, 10);
  EXPECT_TRUE(r.columns.empty());
  EXPECT_EQ(Run("CREATE TABLE u AS SELECT * FROM t").rows_changed, 4990);
  r = Run("SELECT * FROM t ORDER BY i", {.max_rows = 3});
  EXPECT_EQ(r.rows.size(), 3u);
  EXPECT_TRUE(r.truncated);
  EXPECT_FALSE(Run("SELECT 1", {.max_rows = 1}).truncated);
  EXPECT_EQ(Run("").rows.size(), 0u);
}

TEST_F(DuckDbTest, TakesParameters) {
  auto r = Run("SELECT $1 + 1, $2, $3::DATE < '2014-01-01', $4 IS NULL, ?5",
               {.params = {int64_t{4}, "it's", "2013-01-01", Value(), 2.5}});
  EXPECT_EQ(r.rows[0], (std::vector<Value>{int64_t{5}, "it's", true, true, 2.5}));
  EXPECT_FALSE(con_->Execute("SELECT 1; SELECT $1", {.params = {int64_t{1}}}));
}

TEST_F(DuckDbTest, ErrorsHaveCodePlaceAndHint) {
  auto e = Fails("SELECT 1;\nSELEC 2");
  EXPECT_EQ(e.code(), ErrorCode::kSqlSyntax);
  EXPECT_EQ(e.pos().line, 2);
  EXPECT_EQ(e.pos().column, 1);

  Run("CREATE TABLE flights(carrier VARCHAR, delay INTEGER)");
  e = Fails("SELECT 1;\nSELECT carrier,\n  dely FROM flights");
  EXPECT_EQ(e.code(), ErrorCode::kSqlBind);
  EXPECT_EQ(e.pos().line, 3);
  EXPECT_EQ(e.pos().column, 3);
  EXPECT_THAT(e.hint(), testing::HasSubstr("delay"));
  EXPECT_THAT(e.message(), testing::Not(testing::HasSubstr("LINE")));

  e = Fails("SELECT * FROM flihgts");
  EXPECT_EQ(e.code(), ErrorCode::kTableNotFound);
  EXPECT_EQ(e.pos().column, 15);
  EXPECT_EQ(e.hint(), "did you mean 'flights'?");
  EXPECT_EQ(Fails("SELECT * FROM customers").hint(), "");  // not "sqlite_master"

  EXPECT_EQ(Fails("SELECT 'x'::INTEGER").code(), ErrorCode::kSqlExecution);
  EXPECT_EQ(Fails("SELECT * FROM read_csv('/no/such/file.csv')").code(), ErrorCode::kNotFound);
  EXPECT_EQ(Fails("SELECT nosuch(1)").code(), ErrorCode::kSqlBind);
}

TEST_F(DuckDbTest, AnErrorInATransactionLeavesTheConnectionUsable) {
  Run("CREATE TABLE t(i INTEGER); BEGIN; INSERT INTO t VALUES (1)");
  Fails("SELECT error('x')");
  Run("ROLLBACK");
  EXPECT_EQ(Run("SELECT count(*) FROM t").rows[0][0], Value(int64_t{0}));
}

struct Counter : RowSink {
  Result<void> Begin(const std::vector<Column>& columns) override {
    names = columns.at(0).name;
    return {};
  }
  Result<void> Row(const std::vector<Value>& row) override {
    sum += std::get<int64_t>(row.at(0));
    if (++rows == stop) return Fail(ErrorCode::kIo, "enough");
    return {};
  }
  std::string names;
  int64_t rows = 0, sum = 0, stop = -1;
};

TEST_F(DuckDbTest, StreamsRowsAndStopsWhenTheSinkDoes) {
  Counter all;
  ASSERT_TRUE(con_->Stream("SELECT range AS n FROM range(300000)", all));
  EXPECT_EQ(all.rows, 300000);
  EXPECT_EQ(all.sum, 300000LL * 299999 / 2);
  EXPECT_EQ(all.names, "n");
  Counter some;
  some.stop = 10;
  auto result = con_->Stream("SELECT range AS n FROM range(300000)", some);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message(), "enough");
  EXPECT_EQ(Run("SELECT 1").rows.size(), 1u);
}

TEST_F(DuckDbTest, InterruptEndsAStatement) {
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    con_->Interrupt();
  });
  auto e = Fails("SELECT count(*) FROM range(100000000000) a, range(1000) b WHERE hash(a.range, b.range) = 3");
  other.join();
  EXPECT_EQ(e.code(), ErrorCode::kCancelled);
  EXPECT_EQ(Run("SELECT 1").rows.size(), 1u);
}

TEST_F(DuckDbTest, DescribesWithoutRunning) {
  auto columns = con_->Describe("SELECT 1 AS a, error('never') AS b, [1.5] AS c");
  ASSERT_TRUE(columns);
  ASSERT_EQ(columns->size(), 3u);
  EXPECT_EQ((*columns)[2].type, "DECIMAL(2,1)[]");
  EXPECT_FALSE(con_->Describe("SELECT nosuch"));
}

TEST_F(DuckDbTest, IsFencedIn) {
  EXPECT_EQ(Run("SELECT current_setting('TimeZone')").rows[0][0], Value("UTC"));
  EXPECT_FALSE(con_->Execute("INSTALL httpfs"));
  EXPECT_FALSE(con_->Execute("LOAD '/tmp/no.duckdb_extension'"));
  EXPECT_EQ(
      Run("SELECT current_setting('allow_unsigned_extensions'), current_setting('autoload_known_extensions')").rows[0],
      (std::vector<Value>{false, false}));
}

TEST_F(DuckDbTest, MemoryRunsOutWithACode) {
  auto db = DuckDatabase::Open({.threads = 1, .memory_limit = "20MB"});
  ASSERT_TRUE(db);
  auto con = *(*db)->Connect();
  ASSERT_TRUE(con->Execute("SET max_temp_directory_size = '0KB'"));
  const char* query = "SELECT count(DISTINCT hash(range)), list(range) FROM range(20000000)";
  auto result = con->Execute(query);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), ErrorCode::kNoSpace) << result.error().ToString();
  auto diskless = DuckDatabase::Open({.threads = 1, .memory_limit = "20MB"});
  ASSERT_TRUE(diskless);
  con = *(*diskless)->Connect();
  ASSERT_TRUE(con->Execute("SET temp_directory = ''"));
  result = con->Execute(query);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), ErrorCode::kOutOfMemory) << result.error().ToString();
}

TEST(DuckDatabaseTest, FilesPersistAndBadOnesAreRefused) {
  auto dir = std::filesystem::temp_directory_path() / fmt::format("quern-duckdb-test-{}", getpid());
  std::filesystem::create_directories(dir);
  {
    auto db = *DuckDatabase::Open({.file = dir / "x.duckdb"});
    ASSERT_TRUE((*db->Connect())->Execute("CREATE TABLE t AS SELECT 42 AS a"));
  }
  {
    auto db = *DuckDatabase::Open({.file = dir / "x.duckdb", .read_only = true});
    auto con = *db->Connect();
    EXPECT_EQ(con->Execute("SELECT a FROM t")->rows[0][0], Value(int64_t{42}));
    EXPECT_FALSE(con->Execute("CREATE TABLE u(a INTEGER)"));
  }
  std::ofstream(dir / "bad.duckdb") << std::string(20000, 'x');
  auto bad = DuckDatabase::Open({.file = dir / "bad.duckdb"});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code(), ErrorCode::kCorrupt) << bad.error().ToString();
  auto option = DuckDatabase::Open({.memory_limit = "many"});
  ASSERT_FALSE(option);
  EXPECT_EQ(option.error().code(), ErrorCode::kInvalidArgument) << option.error().ToString();
  std::filesystem::remove_all(dir);
}

class Gatherer : public BatchSink {
 public:
  Result<void> Begin(const std::vector<Column>&, const std::vector<BatchType>& types) override {
    types_ = types;
    return {};
  }
  Result<void> Add(const Batch& batch) override {
    for (size_t row = 0; row < batch.rows; ++row) {
      for (const auto& column : batch.columns) {
        if (!column.IsValid(row)) {
          text += "null ";
        } else if (column.bools) {
          text += column.bools[row] ? "true " : "false ";
        } else if (column.integers) {
          text += fmt::format("{} ", column.integers[row]);
        } else if (column.doubles) {
          text += fmt::format("{} ", column.doubles[row]);
        } else {
          text += fmt::format("'{}' ", column.texts[row]);
        }
      }
      text += "| ";
    }
    rows += batch.rows;
    return {};
  }
  std::vector<BatchType> types_;
  std::string text;
  size_t rows = 0;
};

TEST_F(DuckDbTest, BatchesHaveColumnsAsPlainArrays) {
  Gatherer sink;
  auto done = con_->StreamBatches(
      "SELECT * FROM (VALUES (true, 3::TINYINT, 0.5::FLOAT, 'a', DATE '2013-05-01', [1, 2]), "
      "(NULL, NULL, NULL, NULL, NULL, NULL)) t",
      sink);
  ASSERT_TRUE(done) << done.error().ToString();
  EXPECT_EQ(sink.text, "true 3 0.5 'a' '2013-05-01' '[1,2]' | null null null null null null | ");
  EXPECT_EQ(sink.types_, (std::vector{BatchType::kBool, BatchType::kInteger, BatchType::kDouble, BatchType::kText,
                                      BatchType::kText, BatchType::kText}));
  Gatherer many;
  ASSERT_TRUE(con_->StreamBatches("SELECT i, 'x' || i FROM range(100000) t(i)", many));
  EXPECT_EQ(many.rows, 100000u);
}

TEST_F(DuckDbTest, FunctionsOfOursRunOverBatches) {
  ScalarFunction function;
  function.name = "quern_test";
  function.arguments = {BatchType::kDouble, BatchType::kText};
  function.outputs = 2;
  function.call = [](const Batch& batch, double* out) -> Result<void> {
    for (size_t row = 0; row < batch.rows; ++row) {
      const auto& number = batch.columns[0];
      const auto& text = batch.columns[1];
      if (text.IsValid(row) && text.texts[row] == "bad") return Fail(ErrorCode::kInvalidArgument, "a bad one");
      out[row * 2] = number.IsValid(row) ? number.doubles[row] : -1;
      out[row * 2 + 1] = text.IsValid(row) ? static_cast<double>(text.texts[row].size()) : -1;
    }
    return {};
  };
  auto made = con_->CreateFunction(function);
  ASSERT_TRUE(made) << made.error().ToString();
  auto r = Run("SELECT sum(p[1]), sum(p[2]) FROM (SELECT quern_test(i, i::VARCHAR) AS p FROM range(100000) t(i))");
  EXPECT_EQ(r.rows, (std::vector<std::vector<Value>>{{4999950000.0, 488890.0}}));
  EXPECT_EQ(Run("SELECT quern_test(NULL, NULL)[2]").rows, (std::vector<std::vector<Value>>{{-1.0}}));
  auto other = *db_->Connect();
  EXPECT_TRUE(other->Execute("SELECT quern_test(1, 'a')"));
  auto error = Fails("SELECT quern_test(1, 'bad')");
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error.message(), "a bad one");
  function.outputs = 1;
  function.call = [](const Batch& batch, double* out) -> Result<void> {
    for (size_t row = 0; row < batch.rows; ++row) out[row] = 7;
    return {};
  };
  ASSERT_TRUE(con_->CreateFunction(function));
  EXPECT_EQ(Run("SELECT quern_test(1, 'a')[1]").rows, (std::vector<std::vector<Value>>{{7.0}}));
}

}  // namespace
}  // namespace quern::engine
