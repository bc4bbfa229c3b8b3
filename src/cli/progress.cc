#include "cli/progress.h"

#include "base/text.h"

namespace quern::cli {

std::string_view StateWord(const std::string& state) {
  if (state == "success") return "ok";
  if (state == "no_op") return "unchanged";
  if (state == "failed") return "FAILED";
  return state;
}

Colour StateColour(const std::string& state) {
  if (state == "success" || state == "done") return Colour::kGreen;
  if (state == "failed") return Colour::kRed;
  if (state == "warned" || state == "cancelled" || state == "interrupted") return Colour::kYellow;
  if (state == "running") return Colour::kCyan;
  return Colour::kGrey;
}

std::string ShortName(const schedule::Node& node) {
  if (!node.writes.empty() && node.kind != "test") return node.writes[0].schema + "." + node.writes[0].table;
  return node.name.empty() ? node.id : node.name;
}

void Progress::RunBegins(const schedule::RunContext& run, int total, int done) {
  run_ = run.dag_run;
  total_ = total;
  finished_ = 0;
  running_.clear();
  if (detail_ == Detail::kTroubleOnly) return;
  auto line = fmt::format("run {}: {} {}", run.dag_run, total, total == 1 ? "node" : "nodes");
  if (done > 0) line += fmt::format(", {} done before", done);
  terminal_.Say(terminal_.Paint(line, Colour::kBold));
}

void Progress::TaskStarts(const schedule::Node& node, int) {
  running_.push_back(ShortName(node));
  ShowLive();
}

void Progress::TaskRetries(const schedule::Node& node, int try_number, const schedule::TaskResult& failed) {
  std::erase(running_, ShortName(node));
  ClearLive();
  terminal_.Say(fmt::format("        {}  {} {}: try {} failed{}", terminal_.Paint(Fit("retry", 9), Colour::kYellow),
                            node.kind, ShortName(node), try_number,
                            failed.error ? ": " + failed.error->message() : ""));
  ShowLive();
}

void Progress::TaskEnds(const schedule::FinishedTask& task, int finished, int total) {
  std::erase(running_, ShortName(*task.node));
  finished_ = finished;
  total_ = total;
  bool trouble = task.state == "failed" || task.state == "warned";
  // Errors are shown whatever else is not.
  if (terminal_.quiet() && task.state == "failed" && task.result.error) {
    terminal_.Err(task.node->id);
    terminal_.PrintError(*task.result.error);
  }
  if (detail_ == Detail::kEveryNode || trouble) {
    ClearLive();
    auto seconds = std::chrono::duration<double>(task.ended - task.started).count();
    std::string result = task.result.message;
    if (result.empty() && task.result.rows) {
      result = fmt::format("{} {}", FormatCount(*task.result.rows), *task.result.rows == 1 ? "row" : "rows");
    }
    // The whole error follows on its own lines.
    if (task.state == "failed" && task.result.error && result.size() > 40) result.clear();
    auto width = std::to_string(total).size();
    bool ran = task.state != "skipped" && task.state != "cancelled";
    int room = terminal_.width() > 0 ? std::clamp(terminal_.width() - 60, 24, 60) : 44;
    auto name = ShortName(*task.node);
    auto shown = DisplayWidth(name) > static_cast<size_t>(room) && terminal_.width() == 0
                     ? name
                     : Fit(name, static_cast<size_t>(room));
    auto line = fmt::format("{:>{}}/{}  {}  {}  {}  {}", finished, width, total,
                            terminal_.Paint(Fit(StateWord(task.state), 9), StateColour(task.state)),
                            Fit(task.node->kind, 8), shown, result);
    if (ran) line += (result.empty() ? "" : "  ") + terminal_.Paint(FormatDuration(seconds), Colour::kGrey);
    terminal_.Say(
        std::string(line.begin(), std::find_if(line.rbegin(), line.rend(), [](char c) { return c != ' '; }).base()));
    if (task.state == "failed" && task.result.error) {
      terminal_.Say("    " + task.node->id);
      for (const auto& text : Split(terminal_.DescribeError(*task.result.error), '\n')) terminal_.Say("    " + text);
    }
  }
  ShowLive();
}

void Progress::ShowLive() {
  if (!terminal_.out_is_terminal() || terminal_.quiet()) return;
  if (running_.empty()) return ClearLive();
  auto text = fmt::format("{} {}/{}: {}", run_, finished_, total_, Join(running_, ", "));
  auto width = static_cast<size_t>(std::max(20, terminal_.width() - 1));
  terminal_.OutRaw("\r\x1b[2K" + terminal_.Paint(DisplayWidth(text) > width ? Fit(text, width) : text, Colour::kGrey));
  std::fflush(stdout);
  live_ = true;
}

void Progress::ClearLive() {
  if (!live_) return;
  terminal_.OutRaw("\r\x1b[2K");
  std::fflush(stdout);
  live_ = false;
}

}  // namespace quern::cli
