#include "cli/stop.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <mutex>

namespace quern::cli {
namespace {

int write_end = -1;
std::mutex interrupt_mutex;
std::function<void()> interrupt_handler;  // guarded by interrupt_mutex

bool HandledAsInterrupt(int number) {
  if (number != SIGINT) return false;
  std::lock_guard lock(interrupt_mutex);
  if (interrupt_handler) interrupt_handler();
  return interrupt_handler != nullptr;
}

void Handle(int number) {
  int saved = errno;
  auto byte = static_cast<char>(number);
  [[maybe_unused]] ssize_t n = write(write_end, &byte, 1);
  errno = saved;
}

void Nothing(int) {}

void Install(int number, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, nullptr);
}

}  // namespace

// A handler, not SIG_IGN: exec gives children the default back, an ignored signal would stay ignored in them.
void SurviveBrokenPipes() {
  Install(SIGPIPE, Nothing);
}

StopOnSignal::StopOnSignal(Cancellation cancellation) : cancellation_(std::move(cancellation)) {
  if (pipe2(pipe_, O_CLOEXEC) != 0) return;
  write_end = pipe_[1];
  thread_ = std::thread([this] { Watch(); });
  Install(SIGINT, Handle);
  Install(SIGTERM, Handle);
}

StopOnSignal::~StopOnSignal() {
  if (!thread_.joinable()) return;
  Install(SIGINT, SIG_DFL);
  Install(SIGTERM, SIG_DFL);
  char end = 0;
  [[maybe_unused]] ssize_t n = write(pipe_[1], &end, 1);
  thread_.join();
  write_end = -1;
  close(pipe_[0]);
  close(pipe_[1]);
}

InterruptHandler::InterruptHandler(std::function<void()> handler) {
  std::lock_guard lock(interrupt_mutex);
  interrupt_handler = std::move(handler);
}

InterruptHandler::~InterruptHandler() {
  std::lock_guard lock(interrupt_mutex);
  interrupt_handler = nullptr;
}

void StopOnSignal::Watch() {
  // Cancel() runs callbacks that may take a moment (interrupting queries, signalling children); a second signal must
  // still be seen, so they run on a thread of their own.
  std::thread canceller;
  char byte = 0;
  int seen = 0;
  while (true) {
    ssize_t n = read(pipe_[0], &byte, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || byte == 0) break;
    if (HandledAsInterrupt(byte)) continue;
    if (++seen == 1) {
      canceller = std::thread([this] { cancellation_.Cancel(); });
    } else {
      Install(byte, SIG_DFL);
      kill(getpid(), byte);
    }
  }
  if (canceller.joinable()) canceller.join();
}

}  // namespace quern::cli
