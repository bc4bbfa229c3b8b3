#include "io/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string>

#include "base/text.h"
#include "io/files.h"
#include "io/system_files.h"

extern char** environ;

namespace quern::io {

namespace {

using Steady = std::chrono::steady_clock;

// Between us and the program stands a watcher, forked from us: it starts the program, kills the program's whole group
// when the lifeline pipe closes (we died) or says so, and sends back how the program ended. A parent-death signal alone
// would reach the program but not what a shell has started.
//
// After fork() in a process with threads only async-signal-safe calls are allowed: all memory is made before.

struct Report {
  int wait_status = 0;
  int start_errno = 0;  ///< not 0: the program was not started
  bool folder_failed = false;
};

struct Launch {
  const char* program;
  char* const* argv;
  char* const* envp;
  const char* folder;  ///< null: stay
  int input;
  int output;
  int errors;
  int lifeline;  ///< the watcher's end
  int report;
};

void ResetSignals() {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void CloseRange(int first, int last) {
  if (first > last || ::syscall(SYS_close_range, first, last, 0) == 0) return;
  for (int fd = first; fd <= std::min(last, 65535); ++fd) ::close(fd);
}

/// Closes every descriptor but three.
void CloseAllBut(int a, int b, int c) {
  if (a > b) std::swap(a, b);
  if (b > c) std::swap(b, c);
  if (a > b) std::swap(a, b);
  CloseRange(0, a - 1);
  CloseRange(a + 1, b - 1);
  CloseRange(b + 1, c - 1);
  CloseRange(c + 1, INT_MAX);
}

[[noreturn]] void RunProgram(const Launch& launch, int error_pipe) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ResetSignals();
  int failure[2] = {0, 0};
  if (launch.folder && ::chdir(launch.folder) != 0) {
    failure[0] = errno;
    failure[1] = 1;
  } else if (::dup2(launch.input, 0) < 0 || ::dup2(launch.output, 1) < 0 || ::dup2(launch.errors, 2) < 0) {
    failure[0] = errno;
  } else {
    // error_pipe was moved to 3 and closes on exec.
    if (::dup2(error_pipe, 3) == 3) ::fcntl(3, F_SETFD, FD_CLOEXEC);
    CloseRange(4, INT_MAX);
    ::execve(launch.program, launch.argv, launch.envp);
    failure[0] = errno;
    error_pipe = 3;
  }
  const ssize_t ignored = ::write(error_pipe, failure, sizeof failure);
  (void)ignored;
  ::_exit(127);
}

/// Moves the descriptors that matter to 10..., so that the later dup2 to 0..3 cannot overwrite one.
int MoveUp(int fd) {
  return ::fcntl(fd, F_DUPFD_CLOEXEC, 10);
}

[[noreturn]] void Watch(Launch launch) {
  ::setpgid(0, 0);
  launch.input = MoveUp(launch.input);
  launch.output = MoveUp(launch.output);
  launch.errors = MoveUp(launch.errors);
  launch.lifeline = MoveUp(launch.lifeline);
  launch.report = MoveUp(launch.report);
  // Signals of the terminal or a supervisor are ours to pass on, not the watcher's to die of.
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGUSR1, SIGUSR2})
    ::sigaction(number, &ignore, nullptr);
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  Report report;
  int error_pipe[2];
  if (::pipe2(error_pipe, O_CLOEXEC) != 0) {
    report.start_errno = errno;
    const ssize_t ignored = ::write(launch.report, &report, sizeof report);
    (void)ignored;
    ::_exit(1);
  }
  error_pipe[1] = MoveUp(error_pipe[1]);
  const pid_t child = ::fork();
  if (child == 0) RunProgram(launch, error_pipe[1]);
  int failure[2] = {child < 0 ? errno : 0, 0};
  // The program's descriptors and all that we inherited: an end of a pipe held here would keep others waiting.
  CloseAllBut(launch.lifeline, launch.report, error_pipe[0]);
  if (child > 0) {
    ::setpgid(child, child);
    ssize_t n;
    do {
      n = ::read(error_pipe[0], failure, sizeof failure);
    } while (n < 0 && errno == EINTR);
    if (n != static_cast<ssize_t>(sizeof failure)) failure[0] = 0;
  }
  if (failure[0] != 0) {
    report.start_errno = failure[0];
    report.folder_failed = failure[1] != 0;
    if (child > 0) ::waitpid(child, nullptr, 0);
  } else {
    const int pid_fd = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
    bool alive = true;  // whether the lifeline still has our side
    while (true) {
      siginfo_t info{};
      // WNOWAIT: while the child is not reaped its number, and so its group's, is not given to anybody else.
      if (::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child)
        break;
      pollfd polled[2] = {{alive ? launch.lifeline : -1, POLLIN, 0}, {pid_fd, POLLIN, 0}};
      ::poll(polled, 2, pid_fd >= 0 ? -1 : 20);
      if (polled[0].revents != 0) {
        char command = 0;
        const ssize_t n = ::read(launch.lifeline, &command, 1);
        if (n == 0) {
          alive = false;
          ::kill(-child, SIGKILL);
        } else if (n == 1) {
          ::kill(-child, command == 't' ? SIGTERM : SIGKILL);
        }
      }
    }
    ::kill(-child, SIGKILL);
    ::waitpid(child, &report.wait_status, 0);
  }
  const ssize_t ignored = ::write(launch.report, &report, sizeof report);
  (void)ignored;
  ::_exit(0);
}

std::string RepairUtf8(std::string_view bytes) {
  if (IsValidUtf8(bytes)) return std::string(bytes);
  std::string out;
  size_t i = 0;
  while (i < bytes.size()) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const size_t want = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    const std::string_view piece = bytes.substr(i, want);
    if (piece.size() == want && IsValidUtf8(piece)) {
      out += piece;
      i += want;
    } else {
      out += "\xEF\xBF\xBD";
      ++i;
    }
  }
  return out;
}

/// Cuts a stream into lines for a callback.
class Lines {
 public:
  Lines(const std::function<void(std::string_view)>& sink, size_t limit)
      : sink_(sink), limit_(std::max<size_t>(limit, 16)) {}

  void Feed(std::string_view bytes) {
    if (!sink_) return;
    while (!bytes.empty()) {
      const size_t end = bytes.find('\n');
      const size_t room = limit_ - pending_.size();
      if (end != std::string_view::npos && end <= room) {
        pending_ += bytes.substr(0, end);
        bytes.remove_prefix(end + 1);
        if (pending_.ends_with('\r')) pending_.pop_back();
        if (!pending_.empty() || !cut_) sink_(RepairUtf8(pending_));
        pending_.clear();
        cut_ = false;
        continue;
      }
      const size_t take = std::min(room, bytes.size());
      pending_ += bytes.substr(0, take);
      bytes.remove_prefix(take);
      if (pending_.size() >= limit_) EmitPiece();
    }
  }
  void Finish() {
    if (sink_ && !pending_.empty()) sink_(RepairUtf8(pending_));
    pending_.clear();
  }

 private:
  void EmitPiece() {
    // Not through the middle of a character.
    size_t cut = pending_.size();
    while (cut > pending_.size() - 4 && (static_cast<unsigned char>(pending_[cut - 1]) & 0xC0) == 0x80) --cut;
    if ((static_cast<unsigned char>(pending_[cut - 1]) & 0xC0) == 0xC0) --cut;
    const std::string rest = pending_.substr(cut);
    pending_.resize(cut);
    sink_(RepairUtf8(pending_));
    pending_ = rest;
    cut_ = true;
  }

  const std::function<void(std::string_view)>& sink_;
  size_t limit_;
  std::string pending_;
  bool cut_ = false;
};

struct Pipe {
  Fd read;
  Fd write;
  static Result<Pipe> Make() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return Fail(SystemError("cannot make a pipe for", "a process", errno));
    return Pipe{Fd(ends[0]), Fd(ends[1])};
  }
};

/// The program's file: searched in the child's PATH when the name has no '/'.
Result<std::string> FindProgram(const std::string& name, const std::map<std::string, std::string>& environment) {
  if (name.empty()) return Fail(ErrorCode::kInvalidArgument, "an empty command");
  if (name.find('/') != std::string::npos) return name;
  const auto path = environment.find("PATH");
  const std::string search = path == environment.end() ? "/usr/local/bin:/usr/bin:/bin" : path->second;
  bool forbidden = false;
  for (const std::string& folder : Split(search, ':')) {
    const std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    struct stat info{};
    if (::stat(candidate.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    forbidden = true;
  }
  if (forbidden)
    return Fail(ErrorCode::kPermissionDenied, fmt::format("cannot run '{}': the file is not executable", name));
  return Fail(Error(ErrorCode::kNotFound, fmt::format("cannot run '{}': no such program", name))
                  .Hint(fmt::format("It was looked for in PATH: {}", search)));
}

Result<Fd> OpenInput(const std::string& input) {
  if (input.empty()) {
    Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return Fail(SystemError("cannot read", "/dev/null", errno));
    return fd;
  }
  Fd fd(::memfd_create("input", MFD_CLOEXEC));
  std::string_view left = input;
  while (fd.get() >= 0 && !left.empty()) {
    const ssize_t n = ::write(fd.get(), left.data(), left.size());
    if (n < 0 && errno != EINTR) break;
    if (n > 0) left.remove_prefix(static_cast<size_t>(n));
  }
  if (fd.get() < 0 || !left.empty() || ::lseek(fd.get(), 0, SEEK_SET) != 0)
    return Fail(SystemError("cannot hold", "a process's input", errno));
  return fd;
}

/// Reads what there is; false at the stream's end.
bool Drain(int fd, Lines& lines) {
  char buffer[32 * 1024];
  // A few rounds: one loud stream must not starve the other, nor the clock.
  for (int round = 0; round < 8; ++round) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n > 0) {
      lines.Feed({buffer, static_cast<size_t>(n)});
    } else if (n == 0) {
      return false;
    } else if (errno != EINTR) {
      return errno == EAGAIN || errno == EWOULDBLOCK;
    }
  }
  return true;
}

}  // namespace

std::string ProcessResult::ToString() const {
  const std::string how = signal ? fmt::format(" (ended by signal {}, {})", signal, ::strsignal(signal)) : "";
  switch (end) {
    case End::kExited:
      return fmt::format("exit code {}", exit_code);
    case End::kSignaled:
      return fmt::format("killed by signal {} ({})", signal, ::strsignal(signal));
    case End::kTimedOut:
      return fmt::format("timed out after {}{}", FormatDuration(static_cast<double>(duration.count()) / 1000.0), how);
    case End::kCancelled:
      return "cancelled" + how;
  }
  return "";
}

Result<ProcessResult> RunProcess(const ProcessOptions& options, const Cancellation& cancellation) {
  std::map<std::string, std::string> environment;
  if (options.inherit_environment) {
    for (char** entry = environ; entry && *entry; ++entry) {
      const std::string_view text = *entry;
      const size_t equal = text.find('=');
      if (equal != std::string_view::npos) environment.emplace(text.substr(0, equal), text.substr(equal + 1));
    }
  }
  for (const auto& [key, value] : options.environment) environment[key] = value;
  std::vector<std::string> arguments = options.argv;
  if (!options.shell.empty()) arguments = {"/bin/sh", "-c", options.shell};
  if (arguments.empty()) return Fail(ErrorCode::kInvalidArgument, "an empty command");
  const std::string program = QUERN_TRY(FindProgram(arguments[0], environment));

  std::vector<std::string> assignments;
  for (const auto& [key, value] : environment) assignments.push_back(key + "=" + value);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (std::string& assignment : assignments) envp.push_back(assignment.data());
  envp.push_back(nullptr);
  const std::string folder = options.working_folder.string();

  Fd input = QUERN_TRY(OpenInput(options.input));
  Pipe output = QUERN_TRY(Pipe::Make());
  Pipe errors = QUERN_TRY(Pipe::Make());
  Pipe lifeline = QUERN_TRY(Pipe::Make());
  Pipe report_pipe = QUERN_TRY(Pipe::Make());
  Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake.get() < 0) return Fail(SystemError("cannot watch", program, errno));

  const Launch launch{program.c_str(),
                      argv.data(),
                      envp.data(),
                      folder.empty() ? nullptr : folder.c_str(),
                      input.get(),
                      output.write.get(),
                      errors.write.get(),
                      lifeline.read.get(),
                      report_pipe.write.get()};
  const Steady::time_point start = Steady::now();
  const pid_t watcher = ::fork();
  if (watcher < 0) return Fail(SystemError("cannot start a process for", program, errno));
  if (watcher == 0) Watch(launch);
  input.Reset();
  output.write.Reset();
  errors.write.Reset();
  lifeline.read.Reset();
  report_pipe.write.Reset();
  ::fcntl(output.read.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(errors.read.get(), F_SETFL, O_NONBLOCK);

  const Cancellation::Subscription subscription = cancellation.OnCancel([fd = wake.get()] {
    const uint64_t one = 1;
    const ssize_t ignored = ::write(fd, &one, sizeof one);
    (void)ignored;
  });
  Lines out_lines(options.on_stdout, options.max_line);
  Lines error_lines(options.on_stderr, options.max_line);
  const auto tell = [&](char command) {
    const ssize_t ignored = ::write(lifeline.write.get(), &command, 1);  // the watcher lives until it has reported
    (void)ignored;
  };
  std::optional<ProcessResult::End> stopped;
  std::optional<Steady::time_point> kill_at;
  const auto stop = [&](ProcessResult::End why) {
    if (stopped) return;
    stopped = why;
    kill_at = Steady::now() + options.grace;
    tell('t');
  };
  bool out_open = true;
  bool errors_open = true;
  bool reported = false;
  while (!reported) {
    const Steady::time_point now = Steady::now();
    if (cancellation.cancelled()) stop(ProcessResult::End::kCancelled);
    if (options.timeout && now - start >= *options.timeout) stop(ProcessResult::End::kTimedOut);
    if (kill_at && now >= *kill_at) {
      tell('k');
      kill_at.reset();
    }
    std::optional<Steady::time_point> next = kill_at;
    if (options.timeout && !stopped) next = start + *options.timeout;
    int wait_ms = -1;
    if (next)
      wait_ms = static_cast<int>(
          std::clamp<int64_t>(std::chrono::ceil<std::chrono::milliseconds>(*next - now).count(), 0, 60'000));
    pollfd polled[4] = {{out_open ? output.read.get() : -1, POLLIN, 0},
                        {errors_open ? errors.read.get() : -1, POLLIN, 0},
                        {report_pipe.read.get(), POLLIN, 0},
                        {stopped ? -1 : wake.get(), POLLIN, 0}};
    ::poll(polled, 4, wait_ms);
    if (polled[0].revents) out_open = Drain(output.read.get(), out_lines);
    if (polled[1].revents) errors_open = Drain(errors.read.get(), error_lines);
    reported = polled[2].revents != 0;
  }
  // What the ended group wrote is in the pipes by now; a daemon that left the group may hold them open: it is not
  // waited for.
  for (int round = 0; round < 1024 && (out_open || errors_open); ++round) {
    pollfd polled[2] = {{out_open ? output.read.get() : -1, POLLIN, 0},
                        {errors_open ? errors.read.get() : -1, POLLIN, 0}};
    if (::poll(polled, 2, 0) <= 0) break;
    if (polled[0].revents) out_open = Drain(output.read.get(), out_lines);
    if (polled[1].revents) errors_open = Drain(errors.read.get(), error_lines);
  }
  out_lines.Finish();
  error_lines.Finish();

  Report report;
  ssize_t got;
  do {
    got = ::read(report_pipe.read.get(), &report, sizeof report);
  } while (got < 0 && errno == EINTR);
  while (::waitpid(watcher, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (got != static_cast<ssize_t>(sizeof report)) {
    // Somebody killed the watcher, and with it the program.
    report = Report{};
    report.wait_status = SIGKILL;
  }
  if (report.start_errno) {
    return Fail(SystemError(report.folder_failed ? "cannot run in folder" : "cannot run",
                            report.folder_failed ? folder : program, report.start_errno));
  }
  ProcessResult result;
  result.duration = std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - start);
  if (WIFSIGNALED(report.wait_status)) {
    result.end = ProcessResult::End::kSignaled;
    result.signal = WTERMSIG(report.wait_status);
  } else {
    result.exit_code = WEXITSTATUS(report.wait_status);
  }
  if (stopped) result.end = *stopped;
  return result;
}

}  // namespace quern::io
