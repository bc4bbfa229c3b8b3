#include "io/python_environment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>

#include "base/text.h"
#include "io/files.h"

namespace quern::io {
namespace {

/// Holds an exclusive lock on a file as long as it lives; other processes wait.
class FileLock {
 public:
  static Result<FileLock> Take(const fs::path& path, const Cancellation& cancellation) {
    int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return Fail(SystemError("cannot lock", path, errno));
    FileLock lock(fd);
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return Fail(SystemError("cannot lock", path, errno));
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
  ProcessOptions options;
  options.argv = std::move(argv);
  options.on_stdout = options.on_stderr = [&](std::string_view line) {
    log(line);
    tail.emplace_back(line);
    if (tail.size() > 5) tail.pop_front();
  };
  auto ended = QUERN_TRY(RunProcess(options, cancellation));
  if (ended.end == ProcessResult::End::kCancelled) return Fail(ErrorCode::kCancelled, "stopped on request");
  if (ended.ok()) return {};
  return Fail(ErrorCode::kScriptFailed, fmt::format("{}: {}\n{}", doing, ended.ToString(),
                                                    Join(std::vector<std::string>(tail.begin(), tail.end()), "\n")));
}

bool HasProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (const auto& folder : Split(path ? path : "", ':')) {
    std::error_code error;
    if (!folder.empty() && fs::exists(fs::path(folder) / name, error)) return true;
  }
  return false;
}

}  // namespace

Result<void> CheckRequirements(std::string_view text, const std::string& file) {
  int number = 0, first = 0;
  std::string line;
  for (const auto& raw : Split(text, '\n')) {
    ++number;
    std::string part(Trim(raw));
    if (line.empty()) first = number;
    bool goes_on = !part.empty() && part.back() == '\\';
    if (goes_on) part.pop_back();
    line += part;
    if (goes_on) continue;
    std::string whole(Trim(line));
    line.clear();
    if (size_t comment = whole.find(" #"); comment != std::string::npos) whole.resize(comment);
    if (whole.empty() || whole[0] == '#') continue;
    auto fail = [&](std::string message, std::string hint) {
      return Fail(Error(ErrorCode::kInvalidArgument, std::move(message)).At({file, first, 1}).Hint(std::move(hint)));
    };
    if (whole.rfind("-r", 0) == 0 || whole.rfind("-c", 0) == 0 || whole.rfind("--requirement", 0) == 0 ||
        whole.rfind("--constraint", 0) == 0) {
      return fail(
          "a requirements file cannot include another: its content would not tell whether the environment is still "
          "right",
          "put all packages into one file");
    }
    if (whole[0] == '-') continue;  // an option of pip
    size_t equals = whole.find("==");
    if (equals == std::string::npos || equals == 0 || Trim(std::string_view(whole).substr(equals + 2)).empty()) {
      return fail(fmt::format("the package '{}' is not pinned", whole),
                  "write name==version, so that the script runs the same tomorrow");
    }
  }
  return {};
}

Result<fs::path> MakePythonEnvironment(const fs::path& folder, const fs::path& requirements,
                                       const std::string& shown_name, const std::function<void(std::string_view)>& log,
                                       const Cancellation& cancellation) {
  std::string text = QUERN_TRY(ReadFile(requirements));
  QUERN_TRY(CheckRequirements(text, shown_name));
  std::string version;
  ProcessOptions ask;
  ask.argv = {PythonProgram(), "-c", "import sys; print(sys.version, sys.executable)"};
  ask.on_stdout = [&](std::string_view line) { version += line; };
  auto asked = RunProcess(ask, cancellation);
  if (!asked || !asked->ok()) {
    return Fail(
        Error(ErrorCode::kNotFound, fmt::format("{} cannot be run", PythonProgram()))
            .Hint("install Python 3 with its venv module (Debian: python3-venv), or name another by QUERN_PYTHON"));
  }
  fs::path environment = folder / Sha256Hex(version + "\n" + text).substr(0, 16);
  fs::path mark = environment / ".complete";
  std::error_code ignored;
  if (fs::exists(mark, ignored)) return environment;
  QUERN_TRY(MakeFolders(folder));
  auto lock = QUERN_TRY(FileLock::Take(environment.string() + ".lock", cancellation));
  if (fs::exists(mark, ignored)) return environment;  // another process was faster
  QUERN_TRY(RemoveAll(environment));
  log(fmt::format("making a Python environment from {}", shown_name));
  QUERN_TRY(RunStep({PythonProgram(), "-m", "venv", environment.string()}, "cannot make a Python virtual environment",
                    log, cancellation));
  QUERN_TRY(RunStep({(environment / "bin/python").string(), "-m", "pip", "install", "--disable-pip-version-check",
                     "--no-input", "--quiet", "-r", requirements.string()},
                    fmt::format("cannot install the packages of {}", shown_name), log, cancellation));
  QUERN_TRY(WriteFileAtomically(mark, version + "\n"));
  return environment;
}

void UsePythonEnvironment(const fs::path& environment, ProcessOptions& process) {
  if (environment.empty()) {
    if (!process.argv.empty() && process.argv[0] == "python" && !HasProgram("python")) process.argv[0] = "python3";
    return;
  }
  const char* path = std::getenv("PATH");
  process.environment["VIRTUAL_ENV"] = environment.string();
  process.environment["PATH"] = (environment / "bin").string() + (path ? ":" + std::string(path) : "");
  process.environment["PYTHONUNBUFFERED"] = "1";
}

}  // namespace quern::io
