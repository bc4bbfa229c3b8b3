#include "base/clock.h"

#include <cstdlib>

namespace quern {
namespace {
class SystemClock : public Clock {
 public:
  Timestamp Now() const override {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  }
};

class ShiftedClock : public Clock {
 public:
  explicit ShiftedClock(Timestamp start) : shift_(start - Clock::System().Now()) {}
  Timestamp Now() const override { return Clock::System().Now() + shift_; }

 private:
  std::chrono::microseconds shift_;
};
}  // namespace

const Clock& Clock::System() {
  static const SystemClock clock;
  return clock;
}

Result<std::unique_ptr<Clock>> Clock::FromEnvironment() {
  const char* text = std::getenv("QUERN_NOW");
  if (!text || !*text) return std::make_unique<SystemClock>();
  auto now = QUERN_TRY_CONTEXT(ParseTimestamp(text, TimeZone::Utc()), "QUERN_NOW");
  return std::make_unique<ShiftedClock>(now);
}

}  // namespace quern
