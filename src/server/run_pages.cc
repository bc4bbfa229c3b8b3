#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>

#include "base/text.h"
#include "schedule/task_log.h"
#include "server/page.h"
#include "server/status_pages.h"

namespace quern::server {
namespace {

namespace fs = std::filesystem;
using schedule::DagRun;
using schedule::RunStore;
using schedule::TaskInstance;

constexpr int kRunsAPage = 50;
constexpr int64_t kLogPart = 256 * 1024;
const std::vector<std::string> kStates = {"success", "failed", "running", "queued", "cancelled", "interrupted"};

double Seconds(const DagRun& run, Timestamp now) {
  return run.started ? std::chrono::duration<double>(run.ended.value_or(now) - *run.started).count() : 0;
}

// Within a run the day is known.
std::string TimeOfDay(const std::optional<Timestamp>& at) {
  const std::string when = When(at);
  const size_t blank = when.find(' ');
  return blank == std::string::npos ? when : when.substr(blank + 1, 8);
}

std::string ErrorMarkup(const std::optional<Json>& error) {
  if (!error || !error->is_object()) return "";
  auto text = [&](const char* key) {
    auto it = error->find(key);
    return it == error->end() || it->is_null() ? std::string() : it->is_string() ? it->get<std::string>() : it->dump();
  };
  std::string place = text("file");
  for (const char* key : {"line", "column"}) {
    if (!place.empty() && !text(key).empty()) place += ":" + text(key);
  }
  std::string out = (place.empty() ? "" : place + ": ") + text("message");
  if (!text("hint").empty()) out += "\nhint: " + text("hint");
  return "<pre class=\"error\">" + Escape(out) + "</pre>";
}

std::string QueryOf(const HttpRequest& request, const char* name) {
  auto it = request.query.find(name);
  return it == request.query.end() ? "" : it->second;
}

// Choices as links; what is chosen is bold.
std::string Choices(const std::string& label, const std::vector<std::string>& all, const std::string& chosen,
                    const std::function<std::string(const std::string&)>& path) {
  std::string out = "<p class=\"filter\"><span class=\"soft\">" + label + "</span>";
  out += chosen.empty() ? "<b>all</b>" : Link(path(""), "all");
  for (const auto& one : all)
    out +=
        one == chosen ? "<b>" + Escape(ReplaceAll(one, "_", " ")) + "</b>" : Link(path(one), ReplaceAll(one, "_", " "));
  return out + "</p>";
}

// The run of exactly this id: FindRun would take parts of ids too.
Result<std::optional<DagRun>> ExactRun(RunStore& store, const std::string& id) {
  auto run = store.FindRun(id);
  if (run && run->id == id) return std::optional(*std::move(run));
  if (!run && run.error().code() != ErrorCode::kRunNotFound) return Fail(run.error());
  return std::optional<DagRun>();
}

std::vector<std::string> DagsOf(const StatusSources& sources) {
  std::vector<std::string> out;
  for (const auto& status : sources.schedules()) out.push_back(status.schedule);
  out.emplace_back("manual");
  return out;
}

HttpResponse RunPage(const StatusSources& sources, const DagRun& run) {
  auto tasks = sources.store->Tasks(run.key);
  if (!tasks) return CannotRead(sources, tasks.error());
  std::stable_sort(tasks->begin(), tasks->end(), [](const TaskInstance& a, const TaskInstance& b) {
    // What has not begun comes last.
    if (a.started.has_value() != b.started.has_value()) return a.started.has_value();
    return a.started < b.started;
  });
  const auto now = sources.clock->Now();
  std::string facts = "<dl><dt>state</dt><dd>" + StateMark(run.state) + "</dd>";
  auto fact = [&](const std::string& name, const std::string& markup) {
    if (!markup.empty()) facts += "<dt>" + name + "</dt><dd>" + markup + "</dd>";
  };
  fact("data interval", run.interval.start == run.interval.end ? "" : IntervalText(sources, run.dag, run.interval));
  fact("started", run.started ? When(run.started) + ", " + Ago(run.started, now) : "");
  fact("took", run.started ? FormatDuration(Seconds(run, now)) : "");
  fact("attempts", std::to_string(run.attempt));
  fact("commit", Escape(run.git_commit));
  fact("selected", Escape(Join(run.select, " ")));
  fact("left out", Escape(Join(run.exclude, " ")));
  fact("kind", run.rerun ? "rerun" : run.full_refresh ? "full refresh" : "");
  fact("message", Escape(run.message));
  std::string body = Section("", "", facts + "</dl>");

  std::map<std::string, int> count;
  std::string troubles;
  HtmlTable table({"state", "task", "#rows", "#time", "message", "started", "#tries"});
  for (const auto& task : *tasks) {
    ++count[task.state];
    const bool has_log = task.try_number > 0;
    const std::string name = has_log ? Link(LogPath(run.id, task.node), task.node) : Escape(task.node);
    table.Row({StateMark(task.state), name, task.rows ? FormatCount(*task.rows) : "",
               task.started && task.ended ? FormatDuration(task.seconds) : "",
               "<span class=\"soft\">" + Escape(task.message) + "</span>", TimeOfDay(task.started),
               std::to_string(task.try_number)});
    if (task.error) troubles += "<p>" + name + " " + StateMark(task.state) + "</p>" + ErrorMarkup(task.error);
  }
  if (!troubles.empty()) body += Section("What went wrong", "", troubles);
  std::vector<std::string> counts;
  for (const auto& [state, n] : count) counts.push_back(fmt::format("{} {}", n, StateWords(state)));
  body += Section("Tasks", tasks->empty() ? "none yet" : Join(counts, ", "), tasks->empty() ? "" : table.Markup());
  const bool over = run.state != "running" && run.state != "queued";
  return Render(sources, {.title = run.id, .active = "/runs", .body = body, .refresh_seconds = over ? 0 : 5});
}

// A part of a log, in whole lines. Part 0 is the first; nothing: the last.
struct LogPart {
  std::string text;
  int64_t part = 0;
  int64_t parts = 1;
};

std::optional<LogPart> ReadLog(const fs::path& path, std::optional<int64_t> part) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return std::nullopt;
  const auto size = static_cast<int64_t>(in.tellg());
  LogPart out;
  out.parts = std::max<int64_t>(1, (size + kLogPart - 1) / kLogPart);
  out.part = std::clamp<int64_t>(part.value_or(out.parts - 1), 0, out.parts - 1);
  const int64_t begin = out.part * kLogPart;
  // A line belongs to the part that it begins in.
  const int64_t from = std::max<int64_t>(begin - 1, 0), to = std::min(size, begin + kLogPart + 65536);
  std::string bytes(static_cast<size_t>(to - from), '\0');
  in.seekg(from);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  size_t first = 0;
  if (begin > 0) {
    const size_t end = bytes.find('\n');
    first = end == std::string::npos ? 1 : end + 1;
  }
  const auto limit = static_cast<size_t>(begin + kLogPart - from);
  size_t last = bytes.size();
  if (last > limit && limit > 0) {
    const size_t end = bytes.find('\n', limit - 1);
    last = end == std::string::npos ? bytes.size() : end + 1;
  }
  if (first < last) out.text = bytes.substr(first, last - first);
  return out;
}

std::optional<int64_t> Number(const std::string& text) {
  int64_t out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

// The file is found by what the database knows of the run, never by a part of the address.
HttpResponse LogPage(const StatusSources& sources, const DagRun& run, const HttpRequest& request) {
  const std::string& node = request.segments[4];
  auto tasks = sources.store->Tasks(run.key);
  if (!tasks) return CannotRead(sources, tasks.error());
  auto task = std::find_if(tasks->begin(), tasks->end(), [&](const auto& t) { return t.node == node; });
  const std::string back = "Look at " + Link(RunPath(run.id), run.id) + ".";
  if (task == tasks->end()) return NotFound(sources, "The run has no task '" + node + "'.", back);
  const std::string asked = QueryOf(request, "try");
  auto number = asked.empty() ? std::optional<int64_t>(task->try_number) : Number(asked);
  if (!number || *number < 1 || *number > task->try_number) {
    return NotFound(sources,
                    asked.empty() ? "The task has not begun yet."
                                  : fmt::format("The task has no try '{}': it has {}.", asked, task->try_number),
                    back);
  }
  const int chosen = static_cast<int>(*number);
  auto tries = sources.store->Tries(run.key);
  if (!tries) return CannotRead(sources, tries.error());
  std::string picker;
  if (task->try_number > 1) {
    picker = "<p class=\"filter\"><span class=\"soft\">try</span>";
    for (int i = 1; i <= task->try_number; ++i) {
      std::string name = std::to_string(i);
      for (const auto& one : *tries) {
        if (one.node == node && one.try_number == i) name += ", " + StateWords(one.state);
      }
      picker +=
          i == chosen ? "<b>" + Escape(name) + "</b>" : Link(fmt::format("{}?try={}", LogPath(run.id, node), i), name);
    }
    picker += "</p>";
  }
  std::string body = "<section><p>" + StateMark(task->state) + " in run " + Link(RunPath(run.id), run.id) + ", " +
                     Link(NodePath(node), "the node in the graph") + "</p>" + picker;
  if (task->error) body += ErrorMarkup(task->error);
  body += "</section>";
  const auto path = schedule::TaskLogPath(sources.log_root, run.dag, run.id, node, chosen);
  auto log = ReadLog(path, Number(QueryOf(request, "part")));
  std::string content;
  if (!log) {
    content = "<p class=\"note\">no log was kept of this try</p>";
  } else {
    std::string parts;
    if (log->parts > 1) {
      auto part = [&](int64_t to, const std::string& name) {
        return Link(fmt::format("{}?try={}&part={}", LogPath(run.id, node), chosen, to), name);
      };
      parts = "<p class=\"pager\">";
      if (log->part > 0) parts += part(0, "⇤ begin") + part(log->part - 1, "← before");
      parts += fmt::format("<span>part {} of {}</span>", log->part + 1, log->parts);
      if (log->part + 1 < log->parts) parts += part(log->part + 1, "after →") + part(log->parts - 1, "end ⇥");
      parts += "</p>";
    }
    content = parts +
              (log->text.empty() ? "<p class=\"note\">nothing was logged</p>"
                                 : "<pre class=\"log\">" + Escape(log->text) + "</pre>") +
              parts;
  }
  body += Section(fmt::format("Log of try {}", chosen), "", content);
  const bool under_way = task->state == "running" && chosen == task->try_number && QueryOf(request, "part").empty();
  return Render(sources, {.title = node, .active = "/runs", .body = body, .refresh_seconds = under_way ? 5 : 0});
}

}  // namespace

std::string RunTable(const std::vector<DagRun>& runs, Timestamp now) {
  HtmlTable table({"run", "state", "started", "", "#took", "#attempts", "commit", "message"});
  for (const auto& run : runs) {
    table.Row({Link(RunPath(run.id), run.id), StateMark(run.state), When(run.started),
               "<span class=\"soft\">" + Ago(run.started, now) + "</span>",
               run.started ? FormatDuration(Seconds(run, now)) : "", std::to_string(run.attempt),
               "<code>" + Escape(run.git_commit.substr(0, 8)) + "</code>",
               "<span class=\"soft\">" + Escape(run.message) + "</span>"});
  }
  return table.Markup();
}

HttpResponse RunsPage(const StatusSources& sources, const HttpRequest& request) {
  const int page = PageNumber(request, 400);
  const std::string dag = QueryOf(request, "dag"), state = QueryOf(request, "state");
  RunStore::Filter filter;
  filter.dag = dag;
  if (!state.empty()) filter.states = {state};
  filter.limit = static_cast<int64_t>(page) * kRunsAPage + 1;
  auto runs = sources.store->Runs(filter);
  if (!runs) return CannotRead(sources, runs.error());
  const bool more = static_cast<int64_t>(runs->size()) == filter.limit;
  if (more) runs->pop_back();
  const auto skipped = std::min<size_t>(runs->size(), static_cast<size_t>(page - 1) * kRunsAPage);
  runs->erase(runs->begin(), runs->begin() + static_cast<std::ptrdiff_t>(skipped));
  auto path = [](const std::string& of_dag, const std::string& of_state) {
    std::string out = "/runs";
    if (!of_dag.empty()) out += "?dag=" + UrlEncode(of_dag);
    if (!of_state.empty()) out += (of_dag.empty() ? "?state=" : "&state=") + UrlEncode(of_state);
    return out;
  };
  std::string content =
      Choices("schedule", DagsOf(sources), dag, [&](const std::string& one) { return path(one, state); }) +
      Choices("state", kStates, state, [&](const std::string& one) { return path(dag, one); });
  content += runs->empty() ? "<p class=\"note\">no such runs</p>" : RunTable(*runs, sources.clock->Now());
  content += Pager(path(dag, state), page, more);
  return Render(sources, {.title = "Runs", .active = "/runs", .body = Section("", "", content)});
}

HttpResponse RunPages(const StatusSources& sources, const HttpRequest& request) {
  const auto& parts = request.segments;
  if (parts.size() == 2) {
    const auto dags = DagsOf(sources);
    if (std::find(dags.begin(), dags.end(), parts[1]) != dags.end())
      return NotFound(sources, "'" + parts[1] + "' is a schedule, not a run.",
                      "Its runs: " + Link("/runs?dag=" + UrlEncode(parts[1]), parts[1]));
    return NotFound(sources, "There is no run '" + parts[1] + "'.", Link("/runs", "All runs"));
  }
  const std::string id = parts[1] + "/" + parts[2];
  auto run = ExactRun(*sources.store, id);
  if (!run) return CannotRead(sources, run.error());
  if (!*run) return NotFound(sources, "There is no run '" + id + "'.", Link("/runs", "All runs"));
  if (parts.size() == 3) return RunPage(sources, **run);
  if (parts.size() == 5 && parts[3] == "logs") return LogPage(sources, **run, request);
  return NotFound(sources, "There is no page " + request.path + ".", "Look at " + Link(RunPath(id), id) + ".");
}

}  // namespace quern::server
