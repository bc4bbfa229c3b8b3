#include "state/database.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace quern::state {
namespace {

namespace fs = std::filesystem;

class DatabaseTest : public testing::Test {
 protected:
  DatabaseTest() {
    folder_ = fs::temp_directory_path() / fmt::format("quern state '{}' {}", ::getpid(),
                                                      testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  ~DatabaseTest() override { fs::remove_all(folder_); }

  std::unique_ptr<Database> Open(std::chrono::milliseconds busy = std::chrono::seconds(30)) {
    auto db = Database::Open({.url = (folder_ / "sub" / "state.db").string(), .busy_timeout = busy});
    EXPECT_TRUE(db) << db.error().ToString();
    return db ? std::move(*db) : nullptr;
  }
  static std::vector<Migration> Steps(size_t count) {
    std::vector<Migration> all = {{"numbers", {"CREATE TABLE t_numbers (a BIGINT, b TEXT, c DOUBLE PRECISION)"}},
                                  {"index", {"CREATE INDEX t_numbers_a ON t_numbers (a)"}}};
    all.resize(count);
    return all;
  }
  static Result<void> Insert(Database& db, int64_t a) {
    return db.Write([&](Connection& c) -> Result<void> {
      QUERN_TRY(c.Execute("INSERT INTO t_numbers (a, b, c) VALUES (:p1, :p2, :p3)", {a, std::string("it's"), 1.5}));
      return {};
    });
  }
  static int64_t Count(Database& db) { return db.Query("SELECT count(*) FROM t_numbers")->at(0).Int(0); }

  fs::path folder_;
};

TEST_F(DatabaseTest, ValuesComeBackAsGiven) {
  auto db = Open();
  ASSERT_TRUE(db->Migrate("t", Steps(1)));
  const int64_t large = 9'007'199'254'740'993;
  ASSERT_TRUE(db->Write([&](Connection& c) -> Result<void> {
    QUERN_TRY(c.Execute("INSERT INTO t_numbers (a, b, c) VALUES (:p1, :p2, :p3)", {large, std::string("ü\n'"), 0.25}));
    QUERN_TRY(c.Execute("INSERT INTO t_numbers (a, b, c) VALUES (:p1, :p2, :p3)", {Param(), Param(), Param()}));
    return {};
  }));
  auto rows = db->Query("SELECT a, b, c FROM t_numbers WHERE a = :p1 OR a IS NULL ORDER BY a IS NULL", {large});
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ(rows->at(0).Int(0), large);
  EXPECT_EQ(rows->at(0).Text(1), "ü\n'");
  EXPECT_EQ(rows->at(0).Float(2), 0.25);
  EXPECT_TRUE(rows->at(1).IsNull(0));
  EXPECT_FALSE(rows->at(1).OptionalText(1));
}

TEST_F(DatabaseTest, FailedWorkLeavesNothing) {
  auto db = Open();
  ASSERT_TRUE(db->Migrate("t", Steps(1)));
  auto failed = db->Write([&](Connection& c) -> Result<void> {
    QUERN_TRY(c.Execute("INSERT INTO t_numbers (a) VALUES (1)"));
    QUERN_TRY(c.Execute("INSERT INTO no_such_table VALUES (1)"));
    return {};
  });
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message().find("no such table"), std::string::npos);
  EXPECT_EQ(Count(*db), 0);
  EXPECT_TRUE(Insert(*db, 1));
}

TEST_F(DatabaseTest, MigrationsRunOnceAndGoOn) {
  ASSERT_TRUE(Open()->Migrate("t", Steps(1)));
  auto db = Open();
  ASSERT_TRUE(db->Migrate("t", Steps(2)));
  ASSERT_TRUE(db->Migrate("t", Steps(2)));
  EXPECT_EQ(db->Query("SELECT max(version), count(*) FROM schema_version")->at(0).Int(1), 2);
}

TEST_F(DatabaseTest, NewerSchemaIsRefused) {
  ASSERT_TRUE(Open()->Migrate("t", Steps(2)));
  auto older = Open()->Migrate("t", Steps(1));
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code(), ErrorCode::kStateSchema);
  EXPECT_NE(older.error().message().find("newer version of Quern"), std::string::npos);
}

TEST_F(DatabaseTest, FailedMigrationLeavesNothing) {
  auto db = Open();
  auto steps = Steps(1);
  steps.push_back({"broken", {"CREATE TABLE t_other (a BIGINT)", "CREATE NONSENSE"}});
  ASSERT_FALSE(db->Migrate("t", steps));
  EXPECT_FALSE(db->Query("SELECT * FROM t_other"));
  EXPECT_TRUE(db->Migrate("t", Steps(1)));
}

TEST_F(DatabaseTest, OtherDatabasesAreRefusedByName) {
  for (std::string url : {"postgresql://u@h/d", "postgres://h/d", "mysql://h/d", "redis://h"}) {
    auto db = Database::Open({.url = url});
    ASSERT_FALSE(db);
    EXPECT_EQ(db.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(db.error().message().find(url.substr(0, 5)), std::string::npos);
  }
  fs::create_directories(folder_);
  EXPECT_TRUE(Database::Open({.url = "sqlite:" + (folder_ / "a.db").string()}));
}

TEST_F(DatabaseTest, WhatIsNoDatabaseIsCorrupt) {
  fs::create_directories(folder_ / "sub");
  std::ofstream(folder_ / "sub" / "state.db") << std::string(5000, 'x');
  auto db = Database::Open({.url = (folder_ / "sub" / "state.db").string()});
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(db.error().message().find("state.db"), std::string::npos);
}

TEST_F(DatabaseTest, FolderThatCannotBeMadeIsSaid) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "file") << "x";
  auto db = Database::Open({.url = (folder_ / "file" / "state.db").string()});
  ASSERT_FALSE(db);
  EXPECT_NE(db.error().message().find("folder cannot be made"), std::string::npos);
}

TEST_F(DatabaseTest, ReadOnlyNeedsAFileAndRefusesWrites) {
  const auto url = (folder_ / "sub" / "state.db").string();
  auto none = Database::Open({.url = url, .read_only = true});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(fs::exists(folder_));
  ASSERT_TRUE(Open()->Migrate("t", Steps(1)));
  auto db = Database::Open({.url = url, .read_only = true});
  ASSERT_TRUE(db);
  EXPECT_EQ(Count(**db), 0);
  auto refused = Insert(**db, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kPermissionDenied);
}

TEST_F(DatabaseTest, FullDiskIsSaidAndKeepsWhatWas) {
  auto db = Open();
  ASSERT_TRUE(db->Migrate("t", Steps(1)));
  ASSERT_TRUE(Insert(*db, 1));
  auto full = db->Write([&](Connection& c) -> Result<void> {
    QUERN_TRY(c.Query("PRAGMA max_page_count = 1"));
    QUERN_TRY(c.Execute("INSERT INTO t_numbers (b) VALUES (:p1)", {std::string(1'000'000, 'x')}));
    return {};
  });
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), ErrorCode::kNoSpace);
  EXPECT_EQ(Count(*db), 1);
}

TEST_F(DatabaseTest, BusyPastTheTimeoutIsSaid) {
  auto first = Open();
  ASSERT_TRUE(first->Migrate("t", Steps(1)));
  auto second = Open(std::chrono::milliseconds(20));
  ASSERT_TRUE(first->Write([&](Connection&) -> Result<void> {
    auto busy = Insert(*second, 1);
    EXPECT_FALSE(busy);
    EXPECT_TRUE(!busy && busy.error().code() == ErrorCode::kStateBusy);
    return {};
  }));
}

TEST_F(DatabaseTest, ManyThreadsAndConnectionsAtOnce) {
  auto first = Open();
  ASSERT_TRUE(first->Migrate("t", Steps(1)));
  auto second = Open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Database& db = t % 2 ? *first : *second;
      for (int i = 0; i < 25; ++i) {
        EXPECT_TRUE(Insert(db, t * 100 + i));
        EXPECT_GE(Count(db), 1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Count(*first), 100);
}

TEST_F(DatabaseTest, SeveralOpenersAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      auto db = Open();
      ASSERT_TRUE(db);
      auto migrated = db->Migrate("t", Steps(2));
      EXPECT_TRUE(migrated) << migrated.error().ToString();
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace quern::state
