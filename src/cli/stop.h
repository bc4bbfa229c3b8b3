#pragma once
#include <functional>
#include <thread>

#include "base/cancellation.h"

namespace quern::cli {

/// Turns SIGINT and SIGTERM into a cancellation: the first cancels, a second one ends the process at once. The handlers
/// only write to a pipe; a thread does the work. One per process.
class StopOnSignal {
 public:
  explicit StopOnSignal(Cancellation cancellation);
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

 private:
  void Watch();
  Cancellation cancellation_;
  int pipe_[2] = {-1, -1};
  std::thread thread_;
};

/// While it lives, SIGINT calls `handler` (on the watching thread) instead of stopping the process: for shells. One at
/// a time.
class InterruptHandler {
 public:
  explicit InterruptHandler(std::function<void()> handler);
  ~InterruptHandler();
  InterruptHandler(const InterruptHandler&) = delete;
  InterruptHandler& operator=(const InterruptHandler&) = delete;
};

/// Writing to a pipe that nobody reads gives an error instead of ending the process; child processes are not affected.
void SurviveBrokenPipes();

}  // namespace quern::cli
