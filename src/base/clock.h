#pragma once
#include <memory>

#include "base/time.h"

namespace quern {

/// The one source of "now". Tests and QUERN_NOW inject another. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp Now() const = 0;

  static const Clock& System();
  /// The system's clock, or one that starts at the moment that QUERN_NOW names (UTC) and runs on from there.
  /// Errors: kInvalidArgument when QUERN_NOW is no time.
  static Result<std::unique_ptr<Clock>> FromEnvironment();
};

/// Stands still until moved; for tests. Not thread-safe to move.
class FixedClock : public Clock {
 public:
  explicit FixedClock(Timestamp now) : now_(now) {}
  Timestamp Now() const override { return now_; }
  void Set(Timestamp now) { now_ = now; }

 private:
  Timestamp now_;
};

}  // namespace quern
