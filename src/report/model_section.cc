#include "report/model_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "report/charts.h"
#include "report/html.h"
#include "report/model_figures.h"

namespace quern::report {
namespace {

std::string TaskName(ModelTask task) {
  switch (task) {
    case ModelTask::kBinary:
      return "classification";
    case ModelTask::kMulticlass:
      return "classification, several classes";
    case ModelTask::kRegression:
      return "regression";
    case ModelTask::kUnknown:
      break;
  }
  return "model";
}

std::string NumberOr(const std::optional<double>& value) {
  return value ? ShortNumber(*value) : "–";
}

class ModelRenderer {
 public:
  ModelRenderer(const ModelData& model, const ModelSectionOptions& options) : model_(model), options_(options) {
    for (const auto& metric : MetricsToShow(model.task)) {
      for (const auto& one : model.performance) {
        if (FigureOf(one.metrics, metric)) {
          metrics_.push_back(metric);
          break;
        }
      }
    }
    for (const auto& period : model.periods) labels_.push_back(period.label);
  }

  std::string Render() {
    Head();
    Charts();
    ByPeriod();
    Retrainings();
    DriftMap();
    Slices();
    if (options_.profile) Profile();
    return std::move(out_);
  }

 private:
  void Section(const std::string& title, const std::string& text, const std::string& content) {
    out_ += fmt::format("<section><h2>{}</h2>{}{}</section>\n", Escape(title),
                        text.empty() ? "" : "<p>" + Escape(text) + "</p>", content);
  }
  std::string Titled(const std::string& what) const { return model_.name + ": " + what; }
  const std::string& Label(int period) const { return labels_[static_cast<size_t>(period)]; }
  int periods() const { return static_cast<int>(labels_.size()); }

  // --- head: what it is, and how it does ---------------------------------------------------------------------------
  void Head() {
    std::vector<std::string> words = {TaskName(model_.task)};
    if (auto champion = model_.Champion()) {
      words.push_back("champion " + VersionName(champion));
      for (auto it = model_.decisions.rbegin(); it != model_.decisions.rend(); ++it) {
        if (it->Changes() && it->version == champion && it->period) {
          words.back() += " since the run of " + Label(*it->period);
          break;
        }
      }
    } else {
      words.emplace_back("no champion yet");
    }
    if (model_.periods_left_out > 0) words.push_back(fmt::format("the newest {} periods", labels_.size()));
    std::string content = model_.description.empty() ? "" : "<p>" + Escape(model_.description) + "</p>";
    content += "<div class=\"tiles\">";
    if (const auto* last = model_.LastJudged()) {
      for (size_t i = 0; i < std::min<size_t>(metrics_.size(), 3); ++i) {
        const auto value = FigureOf(last->metrics, metrics_[i]), dummy = FigureOf(last->dummy, metrics_[i]);
        Tile(content, NumberOr(value), MetricTitle(metrics_[i]) + ", " + Label(last->period),
             dummy ? "dummy " + ShortNumber(*dummy) : "", Worse(metrics_[i], value, dummy));
      }
    }
    for (int period = periods() - 1; period >= 0; --period) {
      if (auto share = model_.DriftShare(period)) {
        Tile(content, Percent(*share), "of the features drifted, " + Label(period), "", false);
        break;
      }
    }
    if (model_.predictions_ever) Tile(content, FormatCount(*model_.predictions_ever), "predictions", "", false);
    std::vector<std::string> counts;
    for (const auto& [decision, count] : model_.decided) counts.push_back(fmt::format("{} {}", count, decision));
    if (model_.retrainings)
      Tile(content, FormatCount(*model_.retrainings), *model_.retrainings == 1 ? "retraining" : "retrainings",
           Join(counts, ", "), false);
    content += "</div>";
    for (const auto& problem : model_.problems)
      content += "<p class=\"bad\">" + Escape("cannot be read: " + problem) + "</p>";
    const std::string name =
        options_.links ? fmt::format("<a href=\"/models/{}\">{}</a>", UrlEncode(model_.name), Escape(model_.name))
                       : Escape(model_.name);
    out_ += fmt::format("<section class=\"model\"><h2>Model {}</h2><p>{}</p>{}</section>\n", name,
                        Escape(Join(words, " · ")), content);
  }
  static bool Worse(const std::string& metric, std::optional<double> value, std::optional<double> dummy) {
    return value && dummy && (LargerIsBetter(metric) ? *value < *dummy : *value > *dummy);
  }
  static void Tile(std::string& out, const std::string& value, const std::string& name, const std::string& note,
                   bool bad) {
    out += fmt::format("<div class=\"tile\"><b{}>{}</b><span>{}</span>{}</div>", bad ? " class=\"bad\"" : "",
                       Escape(value), Escape(name), note.empty() ? "" : "<small>" + Escape(note) + "</small>");
  }

  void Charts() {
    const std::string figures = QualityFigures(model_, metrics_);
    if (!figures.empty())
      Section(Titled("quality and predictions"),
              "by the period that was predicted; v… is the version that predicted it",
              "<div class=\"figures\">" + figures + "</div>");
  }

  // --- tables ------------------------------------------------------------------------------------------------------
  void ByPeriod() {
    if (model_.periods.empty()) return;
    const size_t count = std::min<size_t>(metrics_.size(), 4);
    std::string head = "<th>period</th><th>champion</th><th class=\"num\">predicted</th><th class=\"num\">labeled</th>";
    for (size_t i = 0; i < count; ++i)
      head += fmt::format("<th class=\"num\">{} <small>dummy</small></th>", Escape(MetricTitle(metrics_[i])));
    if (model_.task == ModelTask::kBinary) head += "<th class=\"num\">positive</th>";
    head += "<th class=\"num\">drifted</th><th>what its run decided</th>";
    std::string body;
    for (int period = 0; period < periods(); ++period) {
      const auto* judged = model_.Judged(period);
      const auto* predicted = model_.Predicted(period);
      const auto version = judged ? judged->version : predicted ? predicted->version : std::nullopt;
      const auto rows = judged      ? std::optional(judged->rows)
                        : predicted ? std::optional(predicted->rows)
                                    : std::nullopt;
      body += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>",
                          Escape(Label(period)), version ? "<b>" + VersionName(version) + "</b>" : "–",
                          rows ? FormatCount(*rows) : "", judged ? FormatCount(judged->labeled) : "");
      for (size_t i = 0; i < count; ++i) body += FigureCell(judged, metrics_[i]);
      if (model_.task == ModelTask::kBinary)
        body += fmt::format("<td class=\"num\">{}</td>",
                            judged && judged->positive_share ? Percent(*judged->positive_share) : "");
      const auto share = model_.DriftShare(period);
      body += fmt::format("<td class=\"num\">{}</td><td class=\"wrap\">{}</td></tr>", share ? Percent(*share) : "",
                          Outcome(period));
    }
    Section(
        Titled("champion by period"),
        "a period is judged by the version that predicted it, once its labels are known; the dummy always says what "
        "the training labels say on average",
        "<div class=\"scroll\"><table><thead><tr>" + head + "</tr></thead><tbody>" + body + "</tbody></table></div>");
  }

  std::string FigureCell(const Performance* judged, const std::string& metric) const {
    if (judged == nullptr) return "<td class=\"num\"></td>";
    const auto value = FigureOf(judged->metrics, metric), dummy = FigureOf(judged->dummy, metric);
    return fmt::format("<td class=\"num\"><span{}>{}</span> <small>{}</small></td>",
                       Worse(metric, value, dummy) ? " class=\"bad\"" : "", NumberOr(value),
                       dummy ? ShortNumber(*dummy) : "");
  }

  std::string Outcome(int period) const {
    if (const auto* decision = model_.DecisionOf(period))
      return Badge(decision->decision) + " " + (decision->version ? VersionName(decision->version) : "");
    const auto* verdict = model_.VerdictOf(period);
    if (verdict == nullptr) return "";
    return verdict->retrain ? Badge("retrain") : "kept";
  }

  static std::string Badge(const std::string& decision) {
    static const std::set<std::string> kKnown = {"promoted", "manual", "rollback", "rejected", "blocked"};
    return fmt::format("<span class=\"pill {}\">{}</span>", kKnown.contains(decision) ? decision : "plain",
                       Escape(decision));
  }

  void Retrainings() {
    if (model_.decisions.empty() && model_.verdicts.empty()) return;
    std::string content;
    if (!model_.verdicts.empty() && !model_.verdicts.back().expression.empty())
      content += fmt::format("<p>retrain when <code>{}</code></p>", Escape(model_.verdicts.back().expression));
    for (auto it = model_.decisions.rbegin(); it != model_.decisions.rend(); ++it)
      content += DecisionText(*it, it == model_.decisions.rbegin());
    Section(Titled("retrainings"), "newest first; what was tried, on the same data, and why it was taken or not",
            content);
  }

  std::string DecisionText(const Decision& decision, bool open) const {
    std::string when = decision.period ? Label(*decision.period)
                       : decision.at   ? FormatUtc(std::chrono::floor<std::chrono::seconds>(*decision.at))
                                       : "by hand";
    std::string head =
        fmt::format("<b>{}</b> {} {}", Escape(when), Badge(decision.decision), VersionName(decision.version));
    if (!decision.metric.empty() && decision.candidate_value) {
      head += fmt::format(" <span class=\"soft\">{} {}{}{}</span>", Escape(MetricTitle(decision.metric)),
                          NumberOr(decision.candidate_value),
                          decision.champion_value ? ", champion " + ShortNumber(*decision.champion_value) : "",
                          decision.dummy_value ? ", dummy " + ShortNumber(*decision.dummy_value) : "");
    }
    std::string body;
    const auto* verdict = decision.period ? model_.VerdictOf(*decision.period) : nullptr;
    if (verdict != nullptr && !verdict->reason.empty())
      body += "<p>asked for because " + Escape(verdict->reason) + "</p>";
    if (!decision.reason.empty()) body += "<p>" + Escape(decision.decision + ": " + decision.reason) + "</p>";
    if (!decision.decided_by.empty()) body += "<p class=\"soft\">decided by " + Escape(decision.decided_by) + "</p>";
    body += CandidateTable(decision);
    return fmt::format("<details{}><summary>{}</summary>{}</details>", open ? " open" : "", head, body);
  }

  // Those that `without` does not have.
  static std::string ParametersText(const Candidate& candidate, const std::map<std::string, std::string>& without) {
    std::vector<std::string> parts;
    for (const auto& [name, value] : candidate.parameters) {
      if (!without.contains(name)) parts.push_back(name + " " + value);
    }
    return Join(parts, ", ");
  }

  std::string CandidateTable(const Decision& decision) const {
    if (decision.candidates.empty()) return "";
    std::vector<std::string> shown;
    auto has = [&](const std::string& metric) {
      return std::any_of(decision.candidates.begin(), decision.candidates.end(),
                         [&](const Candidate& c) { return FigureOf(c.metrics, metric).has_value(); });
    };
    if (has(decision.metric)) shown.push_back(decision.metric);
    for (const auto& metric : MetricsToShow(model_.task)) {
      if (shown.size() < 5 && metric != decision.metric && has(metric)) shown.push_back(metric);
    }
    if (shown.empty()) {
      for (const auto& [metric, value] : decision.candidates.front().metrics) {
        if (shown.size() < 5) shown.push_back(metric);
      }
    }
    // What all have in common is said once.
    auto common = decision.candidates.front().parameters;
    for (const auto& candidate : decision.candidates) {
      std::erase_if(common, [&](const auto& one) {
        auto it = candidate.parameters.find(one.first);
        return it == candidate.parameters.end() || it->second != one.second;
      });
    }
    if (decision.candidates.size() == 1) common.clear();
    std::string head = "<th>candidate</th><th>trained on</th><th>parameters</th><th class=\"num\">rows</th>";
    for (const auto& metric : shown)
      head += fmt::format("<th class=\"num\">{} <small>dummy</small></th>", Escape(MetricTitle(metric)));
    std::string body;
    for (const auto& candidate : decision.candidates) {
      const bool chosen = candidate.name == decision.candidate;
      body += fmt::format("<tr{}><td>{}{}</td><td>{}</td><td>{}</td><td class=\"num\">{}</td>",
                          chosen ? " class=\"chosen\"" : "", Escape(candidate.name), chosen ? " ★" : "",
                          Escape(ReplaceAll(candidate.frame, "_", " ")), Escape(ParametersText(candidate, common)),
                          candidate.rows ? FormatCount(*candidate.rows) : "");
      for (const auto& metric : shown) {
        const auto dummy = FigureOf(candidate.dummy, metric);
        body += fmt::format("<td class=\"num\">{} <small>{}</small></td>",
                            NumberOr(FigureOf(candidate.metrics, metric)), dummy ? ShortNumber(*dummy) : "");
      }
      body += "</tr>";
      if (!candidate.blocked.empty())
        body += fmt::format("<tr><td></td><td class=\"wrap bad\" colspan=\"{}\">blocked: {}</td></tr>",
                            shown.size() + 3, Escape(candidate.blocked));
    }
    return (common.empty()
                ? ""
                : "<p class=\"soft\">all with " + Escape(ParametersText({.parameters = common}, {})) + "</p>") +
           "<div class=\"scroll\"><table><thead><tr>" + head + "</tr></thead><tbody>" + body + "</tbody></table></div>";
  }

  void DriftMap() {
    if (model_.drift.empty()) return;
    std::map<std::string, std::map<int, const Drift*>> features;
    for (const auto& one : model_.drift) {
      const auto* predicted = model_.Predicted(one.period);
      auto& cell = features[one.feature][one.period];
      if (cell == nullptr || (predicted != nullptr && one.version == predicted->version)) cell = &one;
    }
    // What drifts most comes first, the model's output last.
    auto strength = [&](const std::string& feature) {
      double sum = feature == kPredictionFeature ? -1e9 : 0;
      for (const auto& [period, drift] : features[feature]) sum += std::min(drift->Relative().value_or(0), 4.0);
      return sum;
    };
    std::vector<std::pair<double, std::string>> order;
    for (const auto& [feature, cells] : features) order.emplace_back(-strength(feature), feature);
    std::sort(order.begin(), order.end());
    HeatMap map{.columns = labels_, .rows = {}};
    HeatMap::Row total{.name = "share drifted", .cells = {}, .total = true};
    for (int i = 0; i < periods(); ++i) {
      auto share = model_.DriftShare(i);
      total.cells.push_back({share, share ? Percent(*share) : "", ""});
    }
    map.rows.push_back(std::move(total));
    for (const auto& [rank, feature] : order) {
      HeatMap::Row row{.name = feature == kPredictionFeature ? "the prediction" : feature, .cells = {}};
      for (int i = 0; i < periods(); ++i) {
        auto it = features[feature].find(i);
        row.cells.push_back(it == features[feature].end() ? HeatMap::Cell{} : DriftCell(*it->second));
      }
      map.rows.push_back(std::move(row));
    }
    Section(Titled("drift"),
            "each feature beside the data that the champion was trained on, by the method that fits it; 1 is the "
            "threshold, and drift begins there",
            DrawHeatMap(map));
  }

  HeatMap::Cell DriftCell(const Drift& drift) const {
    const auto relative = drift.Relative();
    HeatMap::Cell cell;
    cell.value = relative;
    cell.text = !relative          ? "–"
                : *relative >= 100 ? "≫"
                : *relative >= 10
                    ? fmt::format("{:.0f}", *relative)
                    : fmt::format("{:.1f}", drift.drifted ? std::max(*relative, 1.0) : std::min(*relative, 0.9));
    cell.hint = fmt::format("{} in {}\n{} {}, threshold {}{}\n{} rows beside {}{}", drift.feature, Label(drift.period),
                            drift.method, NumberOr(drift.value), ShortNumber(drift.threshold),
                            drift.drifted ? ": drifted" : "", FormatCount(drift.current_rows),
                            FormatCount(drift.reference_rows), drift.note.empty() ? "" : "\n" + drift.note);
    return cell;
  }

  void Slices() {
    const auto* last = model_.LastJudged();
    if (last == nullptr || metrics_.empty()) return;
    std::vector<const Performance*> slices;
    for (const auto& one : model_.performance) {
      if (one.period == last->period && !one.slice.empty() && one.version == last->version) slices.push_back(&one);
    }
    if (slices.empty()) return;
    // The worst first; those without a figure last.
    const auto& metric = metrics_[0];
    auto badness = [&](const Performance* one) {
      auto value = FigureOf(one->metrics, metric);
      return value ? (LargerIsBetter(metric) ? *value : -*value) : HUGE_VAL;
    };
    std::stable_sort(slices.begin(), slices.end(),
                     [&](const auto* a, const auto* b) { return badness(a) < badness(b); });
    const size_t all = slices.size();
    if (all > 24) slices.resize(24);
    const size_t count = std::min<size_t>(metrics_.size(), 4);
    std::string head = "<th>slice</th><th class=\"num\">predicted</th><th class=\"num\">labeled</th>";
    for (size_t i = 0; i < count; ++i)
      head += fmt::format("<th class=\"num\">{} <small>dummy</small></th>", Escape(MetricTitle(metrics_[i])));
    std::string body;
    for (const auto* one : slices) {
      body += fmt::format("<tr><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>", Escape(one->slice),
                          FormatCount(one->rows), FormatCount(one->labeled));
      for (size_t i = 0; i < count; ++i) body += FigureCell(one, metrics_[i]);
      body += "</tr>";
    }
    Section(
        Titled("slices of " + Label(last->period)),
        all > slices.size() ? fmt::format("the worst {} of {}", slices.size(), all) : "the worst first",
        "<div class=\"scroll\"><table><thead><tr>" + head + "</tr></thead><tbody>" + body + "</tbody></table></div>");
  }

  void Profile() {
    if (model_.profile.empty()) return;
    std::string body;
    for (const auto& one : model_.profile) {
      body += fmt::format(
          "<tr><td>{}</td><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>"
          "<td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>"
          "<td class=\"num\">{}</td><td class=\"num\">{}</td></tr>",
          Escape(one.feature), Escape(Lower(one.type)), FormatCount(one.rows),
          one.null_rate ? Percent(*one.null_rate) : "", one.cardinality ? FormatCount(*one.cardinality) : "",
          one.mean ? ShortNumber(*one.mean) : "", one.min ? ShortNumber(*one.min) : "",
          one.p50 ? ShortNumber(*one.p50) : "", one.max ? ShortNumber(*one.max) : "");
    }
    Section(
        Titled("features"), "in the last period that was looked at",
        "<div class=\"scroll\"><table><thead><tr><th>feature</th><th>type</th><th class=\"num\">rows</th>"
        "<th class=\"num\">missing</th><th class=\"num\">distinct</th><th class=\"num\">mean</th>"
        "<th class=\"num\">least</th><th class=\"num\">median</th><th class=\"num\">largest</th></tr></thead><tbody>" +
            body + "</tbody></table></div>");
  }

  const ModelData& model_;
  const ModelSectionOptions& options_;
  std::vector<std::string> metrics_;  // those that have a value somewhere
  std::vector<std::string> labels_;
  std::string out_;
};

}  // namespace

std::string RenderModel(const ModelData& model, const ModelSectionOptions& options) {
  return ModelRenderer(model, options).Render();
}

}  // namespace quern::report
