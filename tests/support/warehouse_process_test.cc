// A warehouse under several processes, and under SIGKILL. The processes are warehouse_shell.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "base/json.h"
#include "io/files.h"
#include "warehouse/warehouse.h"

extern char** environ;

namespace quern {
namespace {

namespace fs = std::filesystem;

class WarehouseProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = io::TempFolder::Make("quern-process-test-");
    ASSERT_TRUE(folder);
    folder_.emplace(*std::move(folder));
    root_ = folder_->path() / "w";
  }
  // A shell that runs the statements of a file; its answers go to `<name>.out`.
  pid_t Start(const std::string& name, const std::vector<std::string>& statements) {
    const std::string in = (folder_->path() / (name + ".sql")).string(),
                      out = (folder_->path() / (name + ".out")).string();
    {
      std::ofstream file(in);
      for (const auto& sql : statements) file << sql << "\n";
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, in.c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0644);
    std::string program = QUERN_WAREHOUSE_SHELL, root = root_.string();
    char* argv[] = {program.data(), root.data(), nullptr};
    pid_t pid = -1;
    EXPECT_EQ(posix_spawn(&pid, program.c_str(), &actions, nullptr, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
  }
  static int Wait(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
  }
  // Statements answered without an error.
  int Answered(const std::string& name) {
    std::ifstream file(folder_->path() / (name + ".out"));
    std::string line;
    int done = 0;
    while (std::getline(file, line)) {
      Json answer = Json::parse(line, nullptr, false);
      if (answer.is_discarded()) continue;
      EXPECT_FALSE(answer.contains("error")) << line;
      done++;
    }
    return done;
  }
  int64_t Int(const std::string& sql) {
    auto warehouse = warehouse::Warehouse::Open({.root = root_, .threads = 1});
    if (!warehouse) {
      ADD_FAILURE() << warehouse.error().ToString();
      return -1;
    }
    auto session = *(*warehouse)->NewSession();
    auto result = session->Execute(sql);
    if (!result) {
      ADD_FAILURE() << result.error().ToString();
      return -1;
    }
    return std::get<int64_t>(result->rows.at(0).at(0));
  }
  std::optional<io::TempFolder> folder_;
  fs::path root_;
};

TEST_F(WarehouseProcessTest, TwoProcessesAppendAndNoCommitIsLost) {
  Wait(Start("make", {"CREATE TABLE t(id BIGINT)"}));
  std::vector<pid_t> processes;
  for (int p = 0; p < 2; p++) {
    std::vector<std::string> inserts;
    for (int i = 0; i < 20; i++) inserts.push_back(fmt::format("INSERT INTO t VALUES ({})", p * 1000 + i));
    processes.push_back(Start(fmt::format("p{}", p), inserts));
  }
  for (pid_t pid : processes) EXPECT_EQ(Wait(pid), 0);
  EXPECT_EQ(Int("SELECT count(*) FROM t"), 40);
  EXPECT_EQ(Int("SELECT count(DISTINCT id) FROM t"), 40);
}

// Each statement adds a row and raises all others by one: after n of them there are n rows whose sum is 0 + 1
// + ... + n-1. One that is lost, doubled or half done shows. QUERN_KILLS sets how often.
class Killed : public WarehouseProcessTest, public testing::WithParamInterface<const char*> {};

TEST_P(Killed, TheTableIsWholeAndNothingIsLostOrDoubled) {
  Wait(Start("make", {fmt::format("CREATE TABLE t(id BIGINT, v BIGINT) WITH ({})", GetParam())}));
  std::mt19937 random(7);
  const char* kills = std::getenv("QUERN_KILLS");
  int64_t done = 0;
  for (int round = 0; round < (kills ? std::atoi(kills) : 6); round++) {
    std::vector<std::string> statements;
    for (int64_t i = done; i < done + 40; i++) {
      statements.push_back(
          fmt::format("MERGE INTO t USING (SELECT range AS id FROM range({})) s ON t.id = s.id "
                      "WHEN MATCHED THEN UPDATE SET v = v + 1 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 0)",
                      i + 1));
    }
    const pid_t pid = Start("killed", statements);
    std::this_thread::sleep_for(std::chrono::milliseconds(100 + random() % 700));
    kill(pid, SIGKILL);
    Wait(pid);
    const int answered = Answered("killed");
    const int64_t rows = Int("SELECT count(*) FROM t");
    ASSERT_GE(rows, done + answered);
    ASSERT_LE(rows, done + answered + 1);  // committed, and killed before it could say so
    ASSERT_EQ(Int("SELECT coalesce(sum(v), 0)::BIGINT FROM t"), rows * (rows - 1) / 2);
    ASSERT_EQ(Int("SELECT count(DISTINCT id) FROM t WHERE id < " + std::to_string(rows)), rows);
    done = rows;
  }
  EXPECT_GT(done, 0);
}
INSTANTIATE_TEST_SUITE_P(Ways, Killed,
                         testing::Values("\"delta.enableDeletionVectors\" = false",
                                         "\"delta.enableDeletionVectors\" = true"));

}  // namespace
}  // namespace quern
