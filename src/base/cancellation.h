#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "base/result.h"

namespace quern {

/// Tells work to stop. Copies share one state. Thread-safe; Cancel() runs the callbacks on the caller's thread, once,
/// so it must not be called from a signal handler (a handler writes to a pipe or sets a flag that a thread watches).
class Cancellation {
 public:
  Cancellation() : state_(std::make_shared<State>()) {}

  void Cancel() const;
  bool cancelled() const { return state_->cancelled.load(std::memory_order_acquire); }
  /// kCancelled once cancelled.
  Result<void> Check() const;

  /// Unregisters its callback when it goes; waits for one that is running.
  class Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&&) = default;
    Subscription& operator=(Subscription&& other) noexcept;
    ~Subscription() { Reset(); }

   private:
    friend class Cancellation;
    void Reset();
    std::shared_ptr<void> state_;
    int id_ = 0;
  };
  /// `callback` runs once when cancelled (at once if it already is). It must not block long.
  [[nodiscard]] Subscription OnCancel(std::function<void()> callback) const;

 private:
  struct State {
    std::atomic<bool> cancelled{false};
    std::mutex mutex;
    int next = 1;
    std::map<int, std::function<void()>> callbacks;
  };
  std::shared_ptr<State> state_;
};

}  // namespace quern
