#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace quern {

/// A fixed number of threads that run jobs in the order given. The destructor runs what is queued, then joins.
/// Submit is thread-safe. A job must not throw (one that does ends the program: a bug of ours).
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Submit(std::function<void()> job);
  /// Returns when no job is queued or running.
  void Wait();
  int size() const { return static_cast<int>(threads_.size()); }

 private:
  void Work();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  int running_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace quern
