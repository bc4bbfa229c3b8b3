#include <fmt/format.h>

#include "base/text.h"
#include "report/model_section.h"
#include "server/page.h"
#include "server/status_pages.h"

namespace quern::server {
namespace {

using report::ModelData;

std::string Versions(const ModelData& model) {
  if (model.versions.empty()) return "";
  HtmlTable table({"version", "aliases", "registered", "run of MLflow", "state", "description"});
  constexpr size_t kMost = 100;
  for (size_t i = 0; i < std::min(model.versions.size(), kMost); ++i) {
    const auto& version = model.versions[i];
    std::string aliases;
    for (const auto& alias : version.aliases)
      aliases +=
          fmt::format("<span class=\"pill {}\">{}</span> ", alias == "champion" ? "promoted" : "plain", Escape(alias));
    table.Row({fmt::format("v{}", version.version), aliases, When(version.created),
               "<code>" + Escape(version.run_id) + "</code>",
               version.status == "READY" ? "" : Escape(Lower(version.status)),
               "<span class=\"soft\">" + Escape(version.description) + "</span>"});
  }
  return Section(model.name + ": versions",
                 model.versions.size() > kMost ? fmt::format("the newest {} of {}", kMost, model.versions.size()) : "",
                 table.Markup());
}

}  // namespace

std::string ModelTable(const std::vector<ModelData>& models) {
  HtmlTable table({"model", "champion", "last period", "quality", "#features drifted", "retraining"});
  for (const auto& model : models) {
    const auto champion = model.Champion();
    std::string period, quality, drifted, retraining;
    if (const auto* last = model.LastJudged()) {
      period = Escape(model.periods[static_cast<size_t>(last->period)].label);
      size_t shown = 0;
      for (const auto& metric : report::MetricsToShow(model.task)) {
        auto value = last->metrics.find(metric);
        if (shown == 2 || value == last->metrics.end() || !value->second) continue;
        auto dummy = last->dummy.find(metric);
        quality += fmt::format("{}{} {}", shown++ ? ", " : "", Escape(report::MetricTitle(metric)),
                               report::ShortNumber(*value->second));
        if (dummy != last->dummy.end() && dummy->second)
          quality += fmt::format(" <small>dummy {}</small>", report::ShortNumber(*dummy->second));
      }
    }
    for (int i = static_cast<int>(model.periods.size()) - 1; i >= 0 && drifted.empty(); --i) {
      if (auto share = model.DriftShare(i)) drifted = report::Percent(*share);
    }
    if (!model.verdicts.empty())
      retraining = Escape((model.verdicts.back().retrain ? "asked for: " : "no: ") + model.verdicts.back().reason);
    table.Row({Link(ModelPath(model.name), model.name), champion ? fmt::format("<b>v{}</b>", *champion) : "–", period,
               quality, drifted, "<span class=\"soft\">" + retraining + "</span>"});
  }
  return table.Markup();
}

HttpResponse ModelsPage(const StatusSources& sources, ModelCache& models) {
  const auto known = models.Get();
  std::string content;
  if (!known->problem.empty()) content += "<p class=\"bad\">" + Escape(known->problem) + "</p>";
  content += known->models.empty()
                 ? "<p class=\"note\">the project has no models, or they have not been trained or judged yet</p>"
                 : ModelTable(known->models);
  return Render(sources, {.title = "Models", .active = "/models", .body = Section("", "", content)});
}

HttpResponse ModelPage(const StatusSources& sources, ModelCache& models, const HttpRequest& request) {
  const auto known = models.Get();
  const std::string name = request.segments.size() == 2 ? request.segments[1] : "";
  std::vector<std::string> names;
  for (const auto& model : known->models) {
    names.push_back(model.name);
    if (model.name != name) continue;
    return Render(sources, {.title = model.name,
                            .active = "/models",
                            .body = report::RenderModel(model, {.links = true, .profile = true}) + Versions(model)});
  }
  const auto near = Nearest(name, names);
  return NotFound(sources, "There is no model '" + (name.empty() ? request.path : name) + "'.",
                  near ? "Did you mean " + Link(ModelPath(*near), *near) + "?" : Link("/models", "All models"));
}

}  // namespace quern::server
