#pragma once
#include <fmt/format.h>

#include <string_view>

namespace quern {

/// The process's own log (stderr): what the program does, not what a task prints. Secrets are masked. Thread-safe.
enum class LogLevel { kDebug, kInfo, kWarning, kError };
void SetLogLevel(LogLevel level);
/// QUERN_LOG=debug|info|warning|error; warning when unset.
void SetLogLevelFromEnvironment();
bool LogEnabled(LogLevel level);
void Log(LogLevel level, std::string_view part, std::string_view message);

template <class... Args>
void LogDebug(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  if (LogEnabled(LogLevel::kDebug)) Log(LogLevel::kDebug, part, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void LogInfo(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  if (LogEnabled(LogLevel::kInfo)) Log(LogLevel::kInfo, part, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void LogWarning(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  if (LogEnabled(LogLevel::kWarning)) Log(LogLevel::kWarning, part, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace quern
