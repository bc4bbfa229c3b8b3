#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/workspace.h"
#include "io/child_process.h"
#include "io/files.h"
#include "io/git.h"
#include "ml/provider.h"
#include "ml/xgboost/library.h"

namespace quern::cli {
namespace {

namespace fs = std::filesystem;

enum class Verdict { kGood, kNote, kBad };

struct Finding {
  Verdict verdict = Verdict::kGood;
  std::string what;   ///< "disk space"
  std::string found;  ///< "12 GB free in /data"
  std::string mend;   ///< what to do; "" when good
};

class Doctor {
 public:
  explicit Doctor(Invocation& invocation) : invocation_(invocation) {}

  void LookAtMachine() {
    Cores();
    Memory();
    TimeZones();
    Python();
    Git();
  }

  void LookAtProject() {
    Diagnostics diagnostics;
    auto opened = OpenProject(invocation_, diagnostics);
    if (!opened) {
      // Outside any project only the machine is looked at.
      bool outside = !invocation_.args.Flag("project-dir") && opened.error().code() == ErrorCode::kProject &&
                     !opened.error().pos().known();
      Add(outside ? Verdict::kNote : Verdict::kBad, "project", opened.error().message(), opened.error().hint());
      Space(fs::current_path());
      return;
    }
    auto& project = **opened;
    Space(project.root());
    Writable("project folder", project.root());
    Writable("warehouse folder", project.target().warehouse);
    Writable("state folder", project.target().state.parent_path());
    State(project);
    Tables(project);
    Models(project);
    project.Load(diagnostics);
    project.Check(diagnostics);
    diagnostics.Sort();
    if (diagnostics.ok()) {
      Add(Verdict::kGood, "project",
          fmt::format("'{}', {} nodes, in order", project.config().name, project.graph().size()), "");
    } else {
      const auto& first = diagnostics.errors().front();
      Add(Verdict::kBad, "project",
          fmt::format("{} errors, the first: {}: {}", diagnostics.errors().size(), first.pos().ToString(),
                      first.message()),
          "quern check shows them all");
    }
  }

  const std::vector<Finding>& findings() const { return findings_; }

 private:
  void Models(project::Project& project) {
    Diagnostics ignored;
    const auto models = ml::LoadModels(project.root(), ignored);
    if (models.empty()) return;
    auto library = ml::XgboostLibrary::Get();
    Add(library ? Verdict::kGood : Verdict::kBad, "xgboost", library ? (*library)->version : library.error().message(),
        library ? "" : library.error().hint());
    auto store = project.tracking_if_any();
    if (!store) return Add(Verdict::kBad, "tracking database", store.error().message(), store.error().hint());
    if (!*store) return Add(Verdict::kGood, "tracking database", "none yet, the first training makes it", "");
    auto registered = (*store)->ListModels();
    if (!registered)
      return Add(Verdict::kBad, "tracking database", registered.error().message(), registered.error().hint());
    Add(Verdict::kGood, "tracking database", fmt::format("{} registered models", registered->size()), "");
  }

  void Add(Verdict verdict, std::string what, std::string found, std::string mend) {
    findings_.push_back({verdict, std::move(what), std::move(found), std::move(mend)});
  }

  void Cores() {
    auto cores = std::thread::hardware_concurrency();
    Add(Verdict::kGood, "processor", fmt::format("{} {}", cores, cores == 1 ? "core" : "cores"), "");
  }

  void Memory() {
    std::ifstream in("/proc/meminfo");
    std::string key, unit;
    int64_t kilobytes = 0, available = -1;
    while (in >> key >> kilobytes) {
      std::getline(in, unit);
      if (key == "MemAvailable:") available = kilobytes * 1024;
    }
    // A container's own limit counts when it is lower.
    std::ifstream limit_file("/sys/fs/cgroup/memory.max"), used_file("/sys/fs/cgroup/memory.current");
    int64_t limit = 0, used = 0;
    if (limit_file >> limit && used_file >> used && limit - used < available) available = limit - used;
    if (available < 0) return Add(Verdict::kNote, "memory", "cannot be told on this system", "");
    bool little = available < 500'000'000;
    Add(little ? Verdict::kNote : Verdict::kGood, "memory", FormatBytes(available) + " available",
        little ? "set memory_limit of the target in quern.yml, or end other programs" : "");
  }

  void TimeZones() {
    auto zone = TimeZone::Find("America/New_York");
    Add(zone ? Verdict::kGood : Verdict::kBad, "time zones", zone ? "data found" : "data not found",
        zone ? "" : "install it: apt-get install tzdata");
  }

  std::string OutputOf(std::vector<std::string> argv, bool& ok) {
    std::string out;
    auto take = [&](std::string_view line) { out += (out.empty() ? "" : " ") + std::string(line); };
    auto done = io::RunProcess({.argv = std::move(argv),
                                .shell = {},
                                .working_folder = {},
                                .environment = {},
                                .input = {},
                                .on_stdout = take,
                                .on_stderr = take,
                                .timeout = std::chrono::seconds(20)},
                               invocation_.cancellation);
    ok = done && done->ok();
    return out;
  }

  void Python() {
    bool ok = false;
    auto version =
        OutputOf({"python3", "-c",
                  "import sys, platform; print(platform.python_version()); sys.exit(sys.version_info < (3, 11))"},
                 ok);
    if (!ok) {
      return Add(Verdict::kNote, "python3", version.empty() ? "not found" : version + " is older than 3.11",
                 "only scripts in Python need it: apt-get install python3 python3-venv");
    }
    bool venv = false;
    OutputOf({"python3", "-c", "import venv, ensurepip"}, venv);
    Add(venv ? Verdict::kGood : Verdict::kNote, "python3", version + (venv ? ", with venv" : ", without venv"),
        venv ? "" : "scripts with a requirements file need it: apt-get install python3-venv");
  }

  void Git() {
    bool ok = false;
    auto version = OutputOf({"git", "--version"}, ok);
    Add(ok ? Verdict::kGood : Verdict::kNote, "git", ok ? version : "not found",
        ok ? "" : "tables then do not say which commit wrote them: apt-get install git");
  }

  void Space(const fs::path& folder) {
    struct statvfs info{};
    if (statvfs(folder.c_str(), &info) != 0) return;
    auto free = static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
    bool little = free < 1'000'000'000;
    Add(free < 100'000'000 ? Verdict::kBad
        : little           ? Verdict::kNote
                           : Verdict::kGood,
        "disk space", fmt::format("{} free in {}", FormatBytes(free), folder.string()),
        little ? "make room, or let the target's warehouse lie elsewhere" : "");
  }

  void Writable(const std::string& what, fs::path folder) {
    std::error_code error;
    auto shown = folder;
    while (!fs::exists(folder, error) && folder.has_parent_path() && folder != folder.parent_path())
      folder = folder.parent_path();
    // A file is really made: permissions alone do not tell (read-only file systems, quotas).
    auto made = io::TempFolder::Make(".quern-doctor-", folder);
    Add(made ? Verdict::kGood : Verdict::kBad, what,
        shown.string() + (made ? " can be written" : " cannot be written: " + made.error().message()),
        made ? ""
             : fmt::format("give yourself the right to write there (ls -ld {}), or name another place in quern.yml",
                           folder.string()));
  }

  void State(project::Project& project) {
    auto store = project.runs_if_any();
    if (!store)
      return Add(Verdict::kBad, "state database", store.error().message(),
                 Mend(store.error(), "restore " + project.target().state.string() +
                                         " from a copy, or move it away: a new one is made"));
    if (!*store) return Add(Verdict::kGood, "state database", "none yet, the first run makes it", "");
    auto runs = (*store)->Runs({.dag = {}, .states = {}, .from = {}, .to = {}});
    if (!runs)
      return Add(Verdict::kBad, "state database", runs.error().message(), Mend(runs.error(), "restore it from a copy"));
    Add(Verdict::kGood, "state database", fmt::format("{} runs", FormatCount(static_cast<int64_t>(runs->size()))), "");
    for (const auto& run : *runs) {
      if (run.state == "interrupted") {
        Add(Verdict::kNote, "interrupted run", run.id + ": its process ended in the middle",
            "go on with it: quern retry " + run.id);
      } else if (run.state == "running" && !run.owner.Alive().has_value()) {
        Add(Verdict::kNote, "running run", fmt::format("{} on {}: cannot be seen from here", run.id, run.owner.host),
            "look on that machine; if it is gone: quern retry " + run.id);
      }
    }
  }

  void Tables(project::Project& project) {
    std::error_code error;
    if (!fs::exists(project.target().warehouse, error))
      return Add(Verdict::kGood, "warehouse", "none yet, the first run makes it", "");
    auto house = project.warehouse();
    auto listed = house ? (*house)->List() : Result<std::vector<warehouse::Warehouse::Listed>>(Fail(house.error()));
    if (!listed) return Add(Verdict::kBad, "warehouse", listed.error().message(), listed.error().hint());
    int good = 0;
    for (const auto& entry : *listed) {
      if (entry.kind == warehouse::Warehouse::Kind::kView) continue;
      auto info = (*house)->Describe(entry.name);
      if (info) {
        ++good;
        continue;
      }
      Add(Verdict::kBad, "table " + entry.name.ToString(), info.error().message(),
          Mend(info.error(), "restore the table's folder from a copy, or remove it and load it anew"));
    }
    Add(Verdict::kGood, "warehouse", fmt::format("{} {} can be opened", good, good == 1 ? "table" : "tables"), "");
  }

  static std::string Mend(const Error& error, std::string otherwise) {
    return error.hint().empty() ? otherwise : error.hint();
  }

  Invocation& invocation_;
  std::vector<Finding> findings_;
};

}  // namespace

int RunDoctor(Invocation& invocation) {
  Doctor doctor(invocation);
  doctor.LookAtMachine();
  doctor.LookAtProject();
  int bad = 0;
  Json list = Json::array();
  auto& terminal = invocation.terminal;
  for (const auto& finding : doctor.findings()) {
    bad += finding.verdict == Verdict::kBad ? 1 : 0;
    const char* word = finding.verdict == Verdict::kGood ? "ok" : finding.verdict == Verdict::kNote ? "note" : "WRONG";
    if (invocation.json()) {
      list.push_back(
          {{"what", finding.what}, {"verdict", Lower(word)}, {"found", finding.found}, {"mend", finding.mend}});
      continue;
    }
    auto colour = finding.verdict == Verdict::kGood   ? Colour::kGreen
                  : finding.verdict == Verdict::kNote ? Colour::kYellow
                                                      : Colour::kRed;
    if (terminal.quiet() && finding.verdict == Verdict::kGood) continue;
    terminal.Out(fmt::format("{}  {}  {}", terminal.Paint(Fit(word, 5), colour),
                             Fit(finding.what, std::max<size_t>(16, DisplayWidth(finding.what))), finding.found));
    if (!finding.mend.empty()) terminal.Out("       " + terminal.Paint("-> ", Colour::kCyan) + finding.mend);
  }
  if (invocation.json()) invocation.PrintJson({{"ok", bad == 0}, {"findings", list}});
  return bad == 0 ? kDone : kFailed;
}

}  // namespace quern::cli
