#pragma once
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>

#include "schedule/node_provider.h"

namespace quern::schedule {

/// A name as one component of a path: letters, digits and ._-+=@: stay, all else becomes %XX; never "." or ".."; at
/// most 200 bytes (a longer name is cut and ends in a hash). Different names give different components.
std::string PathComponent(std::string_view name);

/// <root>/<dag>/<dag run>/<task>/<try>.log. The dag run's component is its id without the leading "<dag>/".
std::filesystem::path TaskLogPath(const std::filesystem::path& root, const std::string& dag, const std::string& dag_run,
                                  const std::string& node, int try_number);

/// Appends lines to a file, each with its time (UTC), at once, so that it can be read while the task runs. Text with
/// line breaks becomes several lines. Masks secrets. A line that cannot be written (full disk) is lost; the task goes
/// on.
class FileTaskLog : public TaskLog {
 public:
  static Result<std::unique_ptr<FileTaskLog>> Open(const std::filesystem::path& path, const Clock& clock);
  ~FileTaskLog() override;
  void Line(std::string_view text) override;
  const std::filesystem::path& path() const { return path_; }

 private:
  FileTaskLog(std::filesystem::path path, int fd, const Clock& clock)
      : path_(std::move(path)), fd_(fd), clock_(clock) {}
  std::filesystem::path path_;
  int fd_;
  const Clock& clock_;
  std::mutex mutex_;
};

/// Takes lines and drops them.
class NullTaskLog : public TaskLog {
 public:
  void Line(std::string_view) override {}
};

}  // namespace quern::schedule
