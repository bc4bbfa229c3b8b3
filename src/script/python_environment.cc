#include "script/python_environment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>

#include "base/text.h"
#include "io/child_process.h"
#include "io/files.h"
#include "script/config.h"

namespace quern::script {
namespace fs = std::filesystem;
namespace {

/// Holds an exclusive lock on a file as long as it lives; other processes wait.
class FileLock {
 public:
  static Result<FileLock> Take(const fs::path& path, const Cancellation& cancellation) {
    int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return Fail(io::SystemError("cannot lock", path, errno));
    FileLock lock(fd);
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return Fail(io::SystemError("cannot lock", path, errno));
      QUERN_TRY(cancellation.Check());
      ::usleep(50'000);  // another process installs packages; there is no lock with a wake-up and a way to be cancelled
    }
    return lock;
  }
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~FileLock() {
    if (fd_ >= 0) ::close(fd_);
  }

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

std::string PythonProgram() {
  const char* chosen = std::getenv("QUERN_PYTHON");
  return chosen && *chosen ? chosen : "python3";
}

Result<void> RunStep(std::vector<std::string> argv, const std::string& doing,
                     const std::function<void(std::string_view)>& log, const Cancellation& cancellation) {
  std::deque<std::string> tail;
  io::ProcessOptions options;
  options.argv = std::move(argv);
  options.on_stdout = options.on_stderr = [&](std::string_view line) {
    log(line);
    tail.emplace_back(line);
    if (tail.size() > 5) tail.pop_front();
  };
  auto ended = QUERN_TRY(io::RunProcess(options, cancellation));
  if (ended.end == io::ProcessResult::End::kCancelled) return Fail(ErrorCode::kCancelled, "stopped on request");
  if (ended.ok()) return {};
  return Fail(ErrorCode::kScriptFailed, fmt::format("{}: {}\n{}", doing, ended.ToString(),
                                                    Join(std::vector<std::string>(tail.begin(), tail.end()), "\n")));
}

}  // namespace

Result<fs::path> MakePythonEnvironment(const fs::path& folder, const fs::path& requirements,
                                       const std::string& shown_name, const std::function<void(std::string_view)>& log,
                                       const Cancellation& cancellation) {
  std::string text = QUERN_TRY(io::ReadFile(requirements));
  QUERN_TRY(CheckRequirements(text, shown_name));
  std::string version;
  io::ProcessOptions ask;
  ask.argv = {PythonProgram(), "-c", "import sys; print(sys.version, sys.executable)"};
  ask.on_stdout = [&](std::string_view line) { version += line; };
  auto asked = io::RunProcess(ask, cancellation);
  if (!asked || !asked->ok()) {
    return Fail(
        Error(ErrorCode::kNotFound, fmt::format("{} cannot be run", PythonProgram()))
            .Hint("install Python 3 with its venv module (Debian: python3-venv), or name another by QUERN_PYTHON"));
  }
  fs::path environment = folder / Sha256Hex(version + "\n" + text).substr(0, 16);
  fs::path mark = environment / ".complete";
  std::error_code ignored;
  if (fs::exists(mark, ignored)) return environment;
  QUERN_TRY(io::MakeFolders(folder));
  auto lock = QUERN_TRY(FileLock::Take(environment.string() + ".lock", cancellation));
  if (fs::exists(mark, ignored)) return environment;  // another process was faster
  QUERN_TRY(io::RemoveAll(environment));
  log(fmt::format("making a Python environment from {}", shown_name));
  QUERN_TRY(RunStep({PythonProgram(), "-m", "venv", environment.string()}, "cannot make a Python virtual environment",
                    log, cancellation));
  QUERN_TRY(RunStep({(environment / "bin/python").string(), "-m", "pip", "install", "--disable-pip-version-check",
                     "--no-input", "--quiet", "-r", requirements.string()},
                    fmt::format("cannot install the packages of {}", shown_name), log, cancellation));
  QUERN_TRY(io::WriteFileAtomically(mark, version + "\n"));
  return environment;
}

}  // namespace quern::script
