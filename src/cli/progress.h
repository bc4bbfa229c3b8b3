#pragma once
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "cli/terminal.h"
#include "schedule/runner.h"

namespace quern::cli {

/// Shows a run on the terminal: a line for each finished node, and, on a terminal, a last line of what is running.
class Progress : public schedule::RunObserver {
 public:
  enum class Detail {
    kEveryNode,
    kTroubleOnly,  ///< failed and warned nodes: for backfills, which print a line for each interval
  };
  Progress(const Terminal& terminal, Detail detail) : terminal_(terminal), detail_(detail) {}
  ~Progress() override { ClearLive(); }

  void RunBegins(const schedule::RunContext& run, int total, int done) override;
  void TaskStarts(const schedule::Node& node, int try_number) override;
  void TaskRetries(const schedule::Node& node, int try_number, const schedule::TaskResult& failed) override;
  void TaskEnds(const schedule::FinishedTask& task, int finished, int total) override;

  /// Takes the last line away, so that something else can be printed.
  void ClearLive();

 private:
  void ShowLive();
  const Terminal& terminal_;
  Detail detail_;
  std::vector<std::string> running_;
  std::string run_;
  int total_ = 0, finished_ = 0;
  bool live_ = false;
};

/// "ok", "warned", "FAILED", ... as it is shown, and in which colour.
std::string_view StateWord(const std::string& state);
Colour StateColour(const std::string& state);

/// "model   marts.fct_orders": kind and short name of a node, for one line.
std::string ShortName(const schedule::Node& node);

}  // namespace quern::cli
