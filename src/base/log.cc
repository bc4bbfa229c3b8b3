#include "base/log.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/clock.h"
#include "base/secrets.h"

namespace quern {
namespace {
std::atomic<LogLevel> level_now{LogLevel::kWarning};
}

void SetLogLevel(LogLevel level) {
  level_now = level;
}

void SetLogLevelFromEnvironment() {
  const char* text = std::getenv("QUERN_LOG");
  std::string_view value = text ? text : "";
  if (value == "debug") SetLogLevel(LogLevel::kDebug);
  if (value == "info") SetLogLevel(LogLevel::kInfo);
  if (value == "error") SetLogLevel(LogLevel::kError);
}

bool LogEnabled(LogLevel level) {
  return level >= level_now.load(std::memory_order_relaxed);
}

void Log(LogLevel level, std::string_view part, std::string_view message) {
  if (!LogEnabled(level)) return;
  static constexpr const char* kNames[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
  std::string line = MaskSecrets(
      fmt::format("{} {} [{}] {}\n", FormatUtc(Clock::System().Now()), kNames[static_cast<int>(level)], part, message));
  std::fwrite(line.data(), 1, line.size(), stderr);  // one call: lines of several threads do not mix
}

}  // namespace quern
