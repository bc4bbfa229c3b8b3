#include "report/report.h"

#include <algorithm>

#include "base/json.h"
#include "base/secrets.h"
#include "base/text.h"
#include "report/model_section.h"

namespace quern::report {

// The page with a mark where the data goes; made from report.html.in by CMake.
extern const char kTemplate[];
extern const size_t kTemplateSize;
extern const char kTheme[];
extern const size_t kThemeSize;

namespace {
Json NodeJson(const ReportNode& node) {
  return {{"id", node.id},
          {"kind", node.kind},
          {"name", node.name},
          {"materialized", node.materialized},
          {"description", node.description},
          {"tags", node.tags},
          {"parents", node.parents}};
}

Json TaskJson(const ReportTask& task) {
  Json out = {{"node", task.node}, {"state", task.state}};
  if (task.seconds) out["seconds"] = *task.seconds;
  if (task.rows) out["rows"] = *task.rows;
  if (task.discarded) out["discarded"] = *task.discarded;
  if (!task.message.empty()) out["message"] = task.message;
  if (!task.error.empty()) out["error"] = task.error;
  return out;
}
}  // namespace

std::string RenderHtml(const ReportData& data) {
  Json nodes = Json::array();
  for (const auto& node : data.nodes) nodes.push_back(NodeJson(node));
  Json runs = Json::array();
  for (const auto& run : data.runs) {
    Json tasks = Json::array();
    for (const auto& task : run.tasks) tasks.push_back(TaskJson(task));
    runs.push_back({{"dag_run", run.dag_run},
                    {"label", run.label},
                    {"state", run.state},
                    {"seconds", run.seconds},
                    {"tasks", tasks}});
  }
  Json all = {{"project", data.project},
              {"target", data.target},
              {"git_commit", data.git_commit},
              {"version", data.version},
              {"generated", FormatUtc(data.generated)},
              {"nodes", nodes},
              {"runs", runs}};
  // Bytes that are not UTF-8 (a script's output in a message) become U+FFFD; "<" must not end the script element.
  std::string text = MaskSecrets(all.dump(-1, ' ', false, Json::error_handler_t::replace));
  text = ReplaceAll(std::move(text), "<", "\\u003c");
  std::string models;
  for (const auto& model : data.models) {
    if (!model.empty() || !model.problems.empty()) models += RenderModel(model);
  }
  // In one pass: what is put in may hold the marks' own text.
  std::string out;
  std::string_view rest(kTemplate, kTemplateSize);
  for (const auto& [mark, content] : {std::pair<std::string_view, std::string_view>{"@REPORT_STYLE@", ThemeCss()},
                                      {"@REPORT_MODELS@", models},
                                      {"@REPORT_DATA@", text}}) {
    const size_t at = rest.find(mark);
    QUERN_CHECK(at != std::string_view::npos);
    out.append(rest.substr(0, at)).append(content);
    rest.remove_prefix(at + mark.size());
  }
  return out.append(rest);
}

std::string_view ThemeCss() {
  return {kTheme, kThemeSize};
}

std::vector<std::string> AxisLabels(const std::vector<std::string>& dag_runs) {
  std::vector<std::string> dates;
  for (const auto& run : dag_runs) {
    size_t slash = run.rfind('/');
    dates.push_back(slash == std::string::npos ? run : run.substr(slash + 1));
  }
  auto plain = [](const std::string& d) { return d.size() == 10 && d[4] == '-' && d[7] == '-'; };
  if (dates.empty() || !std::all_of(dates.begin(), dates.end(), plain)) return dates;
  bool months = std::all_of(dates.begin(), dates.end(), [](const std::string& d) { return d.substr(8) == "01"; });
  bool one_year = std::all_of(dates.begin(), dates.end(),
                              [&](const std::string& d) { return d.substr(0, 4) == dates[0].substr(0, 4); });
  for (auto& date : dates) {
    if (months)
      date.resize(7);
    else if (one_year)
      date.erase(0, 5);
  }
  return dates;
}

}  // namespace quern::report
