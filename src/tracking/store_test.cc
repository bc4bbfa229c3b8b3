#include "tracking/store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>
#include <thread>

#include "state/database.h"
#include "tracking/store_fixture.h"

namespace quern::tracking {
namespace {

namespace fs = std::filesystem;

class OpenTest : public StoreTest {
 protected:
  /// An SQLite file with these statements run in it.
  void Write(const std::vector<std::string>& statements) const {
    auto db = state::Database::Open({.url = Path()});
    ASSERT_TRUE(db) << db.error().ToString();
    auto done = (*db)->Write([&](state::Connection& c) -> Result<void> {
      for (const auto& statement : statements) QUERN_TRY(c.Execute(statement));
      return {};
    });
    ASSERT_TRUE(done) << done.error().ToString();
  }
  Error OpenError(StoreOptions options) const {
    auto store = Store::Open(options);
    EXPECT_FALSE(store);
    return store ? Error(ErrorCode::kInternal, "opened") : store.error();
  }
  Error OpenError() const { return OpenError(Options()); }
};

bool Contains(const Error& error, std::string_view text) {
  return error.ToString().find(text) != std::string::npos;
}

TEST_F(OpenTest, NewFileHasTheDefaultExperimentAndOpensAgain) {
  auto store = Open();
  ASSERT_TRUE(store);
  auto experiments = store->ListExperiments();
  ASSERT_TRUE(experiments);
  ASSERT_EQ(experiments->size(), 1U);
  EXPECT_EQ(experiments->at(0).id, 0);
  EXPECT_EQ(experiments->at(0).name, "Default");
  auto made = store->GetOrCreateExperiment("late_arrival");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->id, 1);
  EXPECT_TRUE(made->artifact_location.starts_with("file:///")) << made->artifact_location;
  EXPECT_TRUE(made->artifact_location.ends_with("/artifacts/1")) << made->artifact_location;
  store.reset();
  store = Open();
  ASSERT_TRUE(store);
  EXPECT_EQ(store->GetOrCreateExperiment("late_arrival")->id, 1);
  EXPECT_EQ(store->ListExperiments()->size(), 2U);
}

TEST_F(OpenTest, UrlsOfSqlAlchemyNameTheSameFile) {
  auto store = Open();
  StoreOptions options = Options();
  for (const std::string& url : {"sqlite:///" + Path(), "sqlite:" + Path()}) {
    options.path = url;
    auto other = Store::Open(options);
    ASSERT_TRUE(other) << other.error().ToString();
    EXPECT_EQ((*other)->path(), Path());
  }
  options.path = "";
  EXPECT_EQ(OpenError(options).code(), ErrorCode::kInvalidArgument);
}

TEST_F(OpenTest, EmptyFileBecomesADatabase) {
  fs::create_directories(fs::path(Path()).parent_path());
  std::ofstream(Path()).close();
  EXPECT_TRUE(Open());
}

TEST_F(OpenTest, OlderSchemaSaysHowToUpgrade) {
  Open().reset();
  Write({"UPDATE alembic_version SET version_num = '75868b020152'"});
  const Error error = OpenError();
  EXPECT_EQ(error.code(), ErrorCode::kTrackingSchema);
  EXPECT_TRUE(Contains(error, "75868b020152")) << error.ToString();
  EXPECT_TRUE(Contains(error, "mlflow db upgrade sqlite:////")) << error.ToString();
}

TEST_F(OpenTest, UnknownSchemaIsRefused) {
  Open().reset();
  Write({"UPDATE alembic_version SET version_num = 'ffffffffffff'"});
  const Error error = OpenError();
  EXPECT_EQ(error.code(), ErrorCode::kTrackingSchema);
  EXPECT_TRUE(Contains(error, "ffffffffffff")) << error.ToString();
  EXPECT_TRUE(Contains(error, "not known")) << error.ToString();
}

TEST_F(OpenTest, DamagedSchemaIsRefused) {
  Open().reset();
  Write({"DROP TABLE latest_metrics"});
  EXPECT_TRUE(Contains(OpenError(), "latest_metrics"));
  EXPECT_EQ(OpenError().code(), ErrorCode::kTrackingSchema);
  Write({"DELETE FROM alembic_version"});
  EXPECT_TRUE(Contains(OpenError(), "0 schema revisions"));
}

TEST_F(OpenTest, DatabaseOfAnotherProgramIsRefusedAndLeftAsItIs) {
  fs::create_directories(fs::path(Path()).parent_path());
  {
    auto db = state::Database::Open({.url = Path()});
    ASSERT_TRUE((*db)->Write([](state::Connection& c) -> Result<void> {
      QUERN_TRY(c.Execute("CREATE TABLE cats (name TEXT)"));
      return {};
    }));
  }
  std::ifstream before(Path(), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(before)), {});
  const Error error = OpenError();
  EXPECT_EQ(error.code(), ErrorCode::kTrackingSchema);
  EXPECT_TRUE(Contains(error, "another program (tables cats)")) << error.ToString();
  std::ifstream after(Path(), std::ios::binary);
  EXPECT_EQ(std::string((std::istreambuf_iterator<char>(after)), {}), bytes);
}

TEST_F(OpenTest, WhatIsNoDatabaseIsRefusedAndLeftAsItIs) {
  fs::create_directories(fs::path(Path()).parent_path());
  std::ofstream(Path()) << "name,age\nTom,3\n";
  const Error error = OpenError();
  EXPECT_EQ(error.code(), ErrorCode::kTrackingSchema);
  EXPECT_TRUE(Contains(error, "no SQLite database")) << error.ToString();
  EXPECT_EQ(fs::file_size(Path()), 15U);
}

TEST_F(OpenTest, CutShortFileIsCorrupt) {
  Open().reset();
  fs::resize_file(Path(), 6000);
  const Error error = OpenError();
  EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  EXPECT_TRUE(Contains(error, "tracking database")) << error.ToString();
}

TEST_F(OpenTest, ReadOnlyNeedsAFileAndRefusesWrites) {
  StoreOptions options = Options();
  options.read_only = true;
  EXPECT_EQ(OpenError(options).code(), ErrorCode::kNotFound);
  EXPECT_FALSE(fs::exists(Path()));
  auto writer = Open();
  ASSERT_TRUE(writer->RecordRun(SomeRun(*writer, "a")));
  auto store = Store::Open(options);
  ASSERT_TRUE(store) << store.error().ToString();
  EXPECT_EQ((*store)->ListRuns({})->size(), 1U);
  auto made = (*store)->GetOrCreateExperiment("other");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), ErrorCode::kPermissionDenied);
}

TEST_F(OpenTest, FolderThatRefusesWritesIsSaid) {
  const fs::path parent = fs::path(Path()).parent_path();
  StoreOptions reading = Options();
  reading.read_only = true;
  fs::create_directories(parent);
  for (const bool there : {false, true}) {
    if (there) Open().reset();
    ASSERT_EQ(::chmod(parent.c_str(), 0555), 0);
    for (const StoreOptions& options : {Options(), reading}) {
      if (!there && options.read_only) continue;
      // In a child without root's rights: to root every folder is writable.
      const pid_t child = ::fork();
      if (child == 0) {
        if (::getuid() == 0 && ::setuid(65534) != 0) ::_exit(9);
        auto store = Store::Open(options);
        if (store) ::_exit(1);
        const bool right =
            store.error().code() == ErrorCode::kPermissionDenied && Contains(store.error(), parent.string());
        ::_exit(right ? 0 : 2);
      }
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status << there << options.read_only;
    }
    ASSERT_EQ(::chmod(parent.c_str(), 0755), 0);
  }
}

TEST_F(OpenTest, LockedDatabaseWaitsThenIsBusy) {
  auto store = Open();
  const NewRun run = SomeRun(*store, "a");
  auto other = state::Database::Open({.url = Path()});
  ASSERT_TRUE(other);
  StoreOptions options = Options();
  options.busy_timeout = std::chrono::milliseconds(50);
  auto hasty = Store::Open(options);
  ASSERT_TRUE(hasty);
  ASSERT_TRUE((*other)->Write([&](state::Connection&) -> Result<void> {
    auto refused = (*hasty)->RecordRun(run);
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kStateBusy) << refused.error().ToString();
    EXPECT_TRUE(Contains(refused.error(), "tracking database")) << refused.error().ToString();
    EXPECT_TRUE((*hasty)->ListRuns({})) << "reading does not wait";
    return {};
  }));
  EXPECT_TRUE((*hasty)->RecordRun(run));
}

TEST_F(OpenTest, SeveralOpenersMakeOneDatabase) {
  std::vector<std::thread> threads;
  std::atomic<int> opened = 0;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      auto store = Store::Open(Options());
      if (store && (*store)->GetOrCreateExperiment("late_arrival")) {
        ++opened;
      } else if (!store) {
        ADD_FAILURE() << store.error().ToString();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(opened, 6);
  EXPECT_EQ(Open()->ListExperiments()->size(), 2U);
}

TEST_F(OpenTest, DeletedExperimentIsAConflict) {
  auto store = Open();
  ASSERT_TRUE(store->GetOrCreateExperiment("late_arrival"));
  Write({"UPDATE experiments SET lifecycle_stage = 'deleted' WHERE experiment_id = 1"});
  auto again = store->GetOrCreateExperiment("late_arrival");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::kTrackingConflict);
  EXPECT_TRUE(Contains(again.error(), "restore --experiment-id 1")) << again.error().ToString();
}

}  // namespace
}  // namespace quern::tracking
