#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "base/text.h"
#include "schedule/run_store.h"

namespace quern::schedule {
namespace {

std::string FirstLine(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

/// Clock ticks between boot and the process's start: field 22 of /proc/<pid>/stat. 0 when there is no such process.
int64_t StartOf(int64_t pid) {
  const std::string stat = FirstLine(fmt::format("/proc/{}/stat", pid));
  // The second field is the program's name in parentheses and may hold anything.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  const auto fields = SplitWords(std::string_view(stat).substr(name_end + 1));
  constexpr size_t kState = 0;
  constexpr size_t kStart = 19;
  if (fields.size() <= kStart || fields[kState] == "Z" || fields[kState] == "X") return 0;
  return std::strtoll(fields[kStart].c_str(), nullptr, 10);
}

}  // namespace

ProcessIdentity ProcessIdentity::Self() {
  ProcessIdentity out;
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) == 0) out.host = host;
  char name_space[256] = {};
  const ssize_t size = ::readlink("/proc/self/ns/pid", name_space, sizeof name_space - 1);
  out.boot = FirstLine("/proc/sys/kernel/random/boot_id") + "/" +
             std::string(name_space, size > 0 ? static_cast<size_t>(size) : 0);
  out.pid = ::getpid();
  out.started = StartOf(out.pid);
  return out;
}

std::optional<bool> ProcessIdentity::Alive() const {
  if (pid <= 0) return false;
  const ProcessIdentity self = Self();
  if (boot != self.boot || host != self.host) {
    // The same host, started anew since: nothing of then is alive.
    const auto boot_id = [](const std::string& text) { return text.substr(0, text.find('/')); };
    if (host == self.host && boot_id(boot) != boot_id(self.boot)) return false;
    return std::nullopt;
  }
  const int64_t now = StartOf(pid);
  return now != 0 && now == started;
}

}  // namespace quern::schedule
