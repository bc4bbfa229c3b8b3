#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancellation.h"
#include "base/result.h"

namespace quern::io {

struct ProcessOptions {
  std::vector<std::string> argv;         ///< argv[0] is looked up in the PATH of the child's environment
  std::string shell;                     ///< instead of argv: run by `sh -c`
  std::filesystem::path working_folder;  ///< empty: ours
  bool inherit_environment = true;
  std::map<std::string, std::string> environment;  ///< added to ours, or all of it when nothing is inherited
  std::string input;                               ///< the child's standard input; empty: /dev/null

  /// Whole lines without their end, valid UTF-8 (other bytes become U+FFFD), at most `max_line` bytes (longer lines are
  /// handed on in pieces). Called on the thread that runs Run(), both streams interleaved as they came.
  std::function<void(std::string_view)> on_stdout;
  std::function<void(std::string_view)> on_stderr;
  size_t max_line = 64 * 1024;

  std::optional<std::chrono::milliseconds> timeout;
  /// After SIGTERM to the child's whole process group: how long until SIGKILL.
  std::chrono::milliseconds grace = std::chrono::seconds(10);
};

struct ProcessResult {
  enum class End { kExited, kSignaled, kTimedOut, kCancelled };
  End end = End::kExited;
  int exit_code = 0;  ///< of kExited
  int signal = 0;     ///< of kSignaled (and of a timed-out or cancelled child that a signal ended)
  std::chrono::milliseconds duration{0};
  bool ok() const { return end == End::kExited && exit_code == 0; }
  /// "exit code 3", "killed by signal 9 (Killed)", "timed out after 5 s", "cancelled".
  std::string ToString() const;
};

/// Runs a program to its end in a process group of its own. The child inherits nothing but its three streams, starts
/// with default signals, and is killed by the system when we die. What the child left running in its group when it
/// ended is killed. Blocks; thread-safe. How the child ended is a value; an error is a child that could not be started:
/// kNotFound (no such program, folder), kPermissionDenied, kIo.
Result<ProcessResult> RunProcess(const ProcessOptions& options, const Cancellation& cancellation);

}  // namespace quern::io
