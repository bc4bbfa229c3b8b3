#include "schedule/task_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/secrets.h"
#include "base/text.h"
#include "io/files.h"

namespace quern::schedule {

std::string PathComponent(std::string_view name) {
  constexpr size_t kLongest = 200;
  std::string out;
  for (char c : name) {
    const bool plain =
        std::isalnum(static_cast<unsigned char>(c)) || std::string_view("._-+=@:").find(c) != std::string_view::npos;
    if (plain && !(c == '.' && out.empty())) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  if (out.empty()) return "%";
  if (out.size() <= kLongest) return out;
  return out.substr(0, kLongest - 33) + "~" + Sha256Hex(name).substr(0, 32);
}

std::filesystem::path TaskLogPath(const std::filesystem::path& root, const std::string& dag, const std::string& dag_run,
                                  const std::string& node, int try_number) {
  std::string_view run = dag_run;
  if (run.starts_with(dag + "/")) run.remove_prefix(dag.size() + 1);
  return root / PathComponent(dag) / PathComponent(run) / PathComponent(node) / fmt::format("{}.log", try_number);
}

Result<std::unique_ptr<FileTaskLog>> FileTaskLog::Open(const std::filesystem::path& path, const Clock& clock) {
  QUERN_TRY(io::MakeFolders(path.parent_path()));
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return Fail(io::SystemError("opening the task's log", path, errno));
  return std::unique_ptr<FileTaskLog>(new FileTaskLog(path, fd, clock));
}

FileTaskLog::~FileTaskLog() {
  ::close(fd_);
}

void FileTaskLog::Line(std::string_view text) {
  const std::string masked = MaskSecrets(std::string(text));
  const LocalTime now(clock_.Now().time_since_epoch());
  const std::string time = FormatTime(now, "%Y-%m-%dT%H:%M:%S.%f").substr(0, 23) + "Z ";
  std::string out;
  for (const auto& line : Split(masked, '\n')) {
    if (!out.empty() && line.empty()) continue;
    out += time + line + "\n";
  }
  std::lock_guard lock(mutex_);
  std::string_view rest = out;
  while (!rest.empty()) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // a full disk must not end a task that does not need it; the task's own writes will tell
    rest.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace quern::schedule
