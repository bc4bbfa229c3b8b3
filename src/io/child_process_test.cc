#include "io/child_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/text.h"
#include "io/files.h"

namespace quern::io {
namespace {

using namespace std::chrono_literals;

struct Ran {
  ProcessResult result;
  std::vector<std::string> out;
  std::vector<std::string> errors;
};
Ran RunIt(ProcessOptions options, const Cancellation& cancellation = {}) {
  Ran ran;
  options.on_stdout = [&](std::string_view line) { ran.out.emplace_back(line); };
  options.on_stderr = [&](std::string_view line) { ran.errors.emplace_back(line); };
  ran.result = RunProcess(options, cancellation).value();
  return ran;
}
Ran Shell(std::string command) {
  ProcessOptions options;
  options.shell = std::move(command);
  return RunIt(options);
}
using Lines = std::vector<std::string>;

/// Gone, or a zombie that nobody has reaped yet.
bool Gone(const std::string& pid) {
  for (int i = 0; i < 2000; ++i) {
    const auto stat = ReadFile("/proc/" + pid + "/stat");
    if (!stat || stat->find(") Z") != std::string::npos) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

TEST(ChildProcessTest, CollectsLinesAndExitCode) {
  const Ran ran = Shell("echo one; echo two >&2; printf 'three\\r\\n\\nfour'; exit 3");
  EXPECT_EQ(ran.result.end, ProcessResult::End::kExited);
  EXPECT_EQ(ran.result.exit_code, 3);
  EXPECT_EQ(ran.result.ToString(), "exit code 3");
  EXPECT_EQ(ran.out, (Lines{"one", "three", "", "four"}));
  EXPECT_EQ(ran.errors, Lines{"two"});
}

TEST(ChildProcessTest, ArgumentsEnvironmentFolderAndInput) {
  const TempFolder folder = TempFolder::Make().value();
  ProcessOptions options;
  options.argv = {"sh", "-c", "pwd; echo \"$A|$HOME|$1\"; cat", "sh", "x y"};
  options.inherit_environment = false;
  options.environment = {{"A", "b c"}, {"PATH", "/usr/bin:/bin"}};
  options.working_folder = folder.path();
  const std::vector<char> many(300'000, 'i');  // GCC 12 warns of any shorter way
  options.input.assign(many.begin(), many.end());
  options.input += "\nend";
  options.max_line = 1 << 20;
  const Ran ran = RunIt(options);
  ASSERT_EQ(ran.out.size(), 4U);
  EXPECT_EQ(ran.out[0], fs::canonical(folder.path()).string());
  EXPECT_EQ(ran.out[1], "b c||x y");
  EXPECT_EQ(ran.out[2].size(), 300'000U);
}

TEST(ChildProcessTest, LongLinesComeInPiecesOfWholeCharacters) {
  ProcessOptions options;
  options.shell = "printf 'aäöü%.0s' 1 2 3 4 5 6 7 8 9; echo; printf 'x\\377y\\n'";
  options.max_line = 16;
  const Ran ran = RunIt(options);
  std::string joined;
  for (size_t i = 0; i + 1 < ran.out.size(); ++i) {
    EXPECT_LE(ran.out[i].size(), 16U);
    EXPECT_TRUE(IsValidUtf8(ran.out[i]));
    joined += ran.out[i];
  }
  EXPECT_EQ(joined.size(), 9U * 7);
  EXPECT_EQ(joined.find("\xEF\xBF\xBD"), std::string::npos);
  EXPECT_EQ(ran.out.back(), "x\xEF\xBF\xBDy");
}

TEST(ChildProcessTest, MuchOutputOnBothStreamsDoesNotBlock) {
  const Ran ran = Shell("i=0; while [ $i -lt 3000 ]; do echo $i; echo e$i >&2; i=$((i+1)); done");
  EXPECT_EQ(ran.out.size(), 3000U);
  EXPECT_EQ(ran.errors.size(), 3000U);
  EXPECT_EQ(ran.out.back(), "2999");
}

TEST(ChildProcessTest, SignalIsTold) {
  const Ran ran = Shell("kill -SEGV $$");
  EXPECT_EQ(ran.result.end, ProcessResult::End::kSignaled);
  EXPECT_EQ(ran.result.signal, SIGSEGV);
  EXPECT_FALSE(ran.result.ok());
}

TEST(ChildProcessTest, WhatCannotStartIsAnError) {
  ProcessOptions options;
  options.argv = {"no-such-program-anywhere"};
  EXPECT_EQ(RunProcess(options, {}).error().code(), ErrorCode::kNotFound);
  const TempFolder folder = TempFolder::Make().value();
  ASSERT_TRUE(WriteFileAtomically(folder.path() / "plain", "x"));
  options.argv = {(folder.path() / "plain").string()};
  EXPECT_EQ(RunProcess(options, {}).error().code(), ErrorCode::kPermissionDenied);
  options.argv = {"true"};
  options.working_folder = "/no/such/folder";
  const auto ran = RunProcess(options, {});
  EXPECT_EQ(ran.error().code(), ErrorCode::kNotFound);
  EXPECT_NE(ran.error().message().find("/no/such/folder"), std::string::npos);
  EXPECT_FALSE(RunProcess({}, {}));
}

TEST(ChildProcessTest, TimeoutKillsTheWholeGroup) {
  ProcessOptions options;
  options.shell = "trap '' TERM; sleep 100 & echo $!; sleep 100";
  options.timeout = 200ms;
  options.grace = 100ms;
  const Ran ran = RunIt(options);
  EXPECT_EQ(ran.result.end, ProcessResult::End::kTimedOut);
  EXPECT_LT(ran.result.duration, 20s);
  ASSERT_EQ(ran.out.size(), 1U);
  EXPECT_TRUE(Gone(ran.out[0]));
}

TEST(ChildProcessTest, CancellationIsPoliteFirst) {
  Cancellation cancellation;
  ProcessOptions options;
  options.shell = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
  std::vector<std::string> out;
  options.on_stdout = [&](std::string_view line) {
    out.emplace_back(line);
    if (line == "ready") cancellation.Cancel();
  };
  const ProcessResult result = RunProcess(options, cancellation).value();
  EXPECT_EQ(result.end, ProcessResult::End::kCancelled);
  EXPECT_EQ(out, (Lines{"ready", "bye"}));
  EXPECT_EQ(RunProcess(options, cancellation).value().end, ProcessResult::End::kCancelled);
}

TEST(ChildProcessTest, BackgroundProcessOfAnEndedChildIsKilled) {
  const Ran ran = Shell("sleep 1000 & echo $!");
  EXPECT_TRUE(ran.result.ok());
  EXPECT_LT(ran.result.duration, 20s);
  EXPECT_TRUE(Gone(ran.out.at(0)));
}

TEST(ChildProcessTest, NothingOfOursIsInherited) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Ran ran = Shell("ls /proc/self/fd | wc -l");
  EXPECT_EQ(ran.out.at(0), "4");  // three streams and the folder that ls reads
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(ChildProcessTest, ChildrenDieWithUs) {
  const TempFolder folder = TempFolder::Make().value();
  const std::string pids = (folder.path() / "pids").string();
  const pid_t parent = ::fork();
  if (parent == 0) {
    ProcessOptions options;
    options.shell = "sleep 1000 & echo $! > " + pids + ".tmp; echo $$ >> " + pids + ".tmp; mv " + pids + ".tmp " +
                    pids + "; wait; :";
    Ignore(RunProcess(options, {}), "it is killed");
    ::_exit(0);
  }
  for (int i = 0; i < 2000 && !fs::exists(pids); ++i) std::this_thread::sleep_for(5ms);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  for (const std::string& pid : SplitWords(ReadFile(pids).value())) EXPECT_TRUE(Gone(pid)) << pid;
}

TEST(ChildProcessTest, ManyAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 10; ++k) {
        const Ran ran = Shell(fmt::format("echo {}; exit {}", i, k));
        if (ran.result.exit_code == k && ran.out == Lines{std::to_string(i)}) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 40);
}

}  // namespace
}  // namespace quern::io
