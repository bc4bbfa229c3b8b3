#include <cmath>

#include "base/text.h"
#include "ml/metrics/rank_curve.h"
#include "ml/metrics/slices.h"
#include "ml/metrics/task_performance.h"

// A row becomes one entry for its label and prediction (class_number 0), and one a class with that class's probability;
// the grouped stream of entries gives everything in one pass.
namespace quern::ml {
namespace {

using Confusion = std::map<std::string, std::map<std::string, int64_t>>;

struct ClassCounts {
  int64_t labels = 0, predictions = 0, hits = 0;
};

void ClassMetrics(MetricValues& out, const Confusion& confusion) {
  std::map<std::string, ClassCounts> classes;
  int64_t rows = 0;
  int64_t hits = 0;
  for (const auto& [label, predictions] : confusion) {
    for (const auto& [prediction, count] : predictions) {
      rows += count;
      classes[label].labels += count;
      classes[prediction].predictions += count;
      if (label != prediction) continue;
      hits += count;
      classes[label].hits += count;
    }
  }
  if (rows == 0) return;
  double precision = 0;
  double recall = 0;
  double f1 = 0;
  for (const auto& [name, counts] : classes) {
    const auto right = static_cast<double>(counts.hits);
    precision += Share(right, static_cast<double>(counts.predictions));
    recall += Share(right, static_cast<double>(counts.labels));
    f1 += Share(2 * right, static_cast<double>(counts.predictions + counts.labels));
  }
  const auto n = static_cast<double>(classes.size());
  out["accuracy"] = static_cast<double>(hits) / static_cast<double>(rows);
  out["precision"] = precision / n;
  out["recall"] = recall / n;
  out["f1"] = f1 / n;
}

class MulticlassSlice {
 public:
  explicit MulticlassSlice(size_t classes) : curves_(classes) {}

  void AddRows(std::optional<std::string> label, std::optional<std::string> prediction, bool scored, int64_t rows) {
    rows_ += rows;
    if (!label) return;
    labels_[*label] += rows;
    if (scored) scored_ += rows;
    if (prediction) confusion_[*label][*prediction] += rows;
  }
  void AddProbability(size_t index, double p, int64_t hits, int64_t misses) {
    curves_[index].Add(hits, misses);
    if (p < 0 || p > 1) probabilities_ = false;
    if (hits > 0) log_loss_.Add(-static_cast<double>(hits) * std::log(ClipProbability(p)));
    known_ += hits;
  }

  Performance Finish(const std::optional<DummyModel>& dummy) const {
    Performance out;
    out.rows = rows_;
    for (const auto& [label, rows] : labels_) out.labeled += rows;
    ClassMetrics(out.metrics, confusion_);
    out.confusion = Json::object();
    for (const auto& [label, predictions] : confusion_) out.confusion[label] = predictions;
    if (scored_ > 0 && probabilities_) {
      // A label that the model does not know had no probability.
      const double unknown = static_cast<double>(scored_ - known_) * -std::log(ClipProbability(0));
      out.metrics["log_loss"] = (log_loss_.Get() + unknown) / static_cast<double>(scored_);
    }
    out.metrics["auc"] = Auc();
    if (dummy && out.labeled > 0) FillDummy(*dummy, out);
    return out;
  }

 private:
  std::optional<double> Auc() const {
    double sum = 0;
    for (const auto& curve : curves_) {
      const auto auc = curve.Auc();
      if (!auc) return std::nullopt;
      sum += *auc;
    }
    if (curves_.empty()) return std::nullopt;
    return sum / static_cast<double>(curves_.size());
  }
  void FillDummy(const DummyModel& dummy, Performance& out) const {
    // The first of the most frequent, as DummyClassifier chooses.
    const std::string* majority = nullptr;
    double most = -1;
    for (const auto& [name, share] : dummy.class_shares) {
      if (share <= most) continue;
      most = share;
      majority = &name;
    }
    if (majority == nullptr) return;
    Confusion confusion;
    double loss = 0;
    for (const auto& [label, rows] : labels_) {
      confusion[label][*majority] += rows;
      const auto share = dummy.class_shares.find(label);
      loss -=
          static_cast<double>(rows) * std::log(ClipProbability(share == dummy.class_shares.end() ? 0 : share->second));
    }
    ClassMetrics(out.dummy, confusion);
    out.dummy["log_loss"] = loss / static_cast<double>(out.labeled);
    if (Auc()) out.dummy["auc"] = 0.5;
  }

  int64_t rows_ = 0, scored_ = 0, known_ = 0;
  bool probabilities_ = true;
  std::map<std::string, int64_t> labels_;
  Confusion confusion_;
  std::vector<RankCurve> curves_;
  Sum log_loss_;
};

// The place of a class in the JSON text: a JSON pointer (RFC 6901).
std::string Pointer(const std::string& name) {
  return "/" + ReplaceAll(ReplaceAll(name, "~", "~0"), "/", "~1");
}

std::string Query(std::string_view relation, const PerformanceSpec& spec, const SliceSql& slices) {
  std::string probabilities = "CAST([] AS DOUBLE[])";
  std::string entries =
      "[{class_number: 0, p: CAST(NULL AS DOUBLE), label: quern_label, prediction: quern_prediction, "
      "hit: scored}]";
  if (!spec.probabilities.empty() && !spec.classes.empty()) {
    std::vector<std::string> pointers;
    std::string scored;
    for (size_t i = 0; i < spec.classes.size(); i++) {
      pointers.push_back(QuoteLiteral(Pointer(spec.classes[i])));
      scored += fmt::format(
          ", {{class_number: {0}, p: quern_p[{0}] + 0, label: CAST(NULL AS VARCHAR), prediction: "
          "CAST(NULL AS VARCHAR), hit: quern_label = {1}}}",
          i + 1, QuoteLiteral(spec.classes[i]));
    }
    probabilities = fmt::format("TRY_CAST(json_extract_string(CAST({} AS VARCHAR), [{}]) AS DOUBLE[])",
                                QuoteIdentifier(spec.probabilities), Join(pointers, ", "));
    entries =
        fmt::format("CASE WHEN scored THEN {}{}] ELSE {} END", entries.substr(0, entries.size() - 1), scored, entries);
  }
  // A row is scored when it has a label and every class a number.
  return fmt::format(
      "SELECT {select}, entry.class_number, entry.p, entry.label, entry.prediction, count(*) FILTER (entry.hit), "
      "count(*) FILTER (NOT entry.hit), count(*) FROM (SELECT * EXCLUDE (quern_label, quern_prediction, quern_p, "
      "scored), unnest({entries}) AS entry FROM (SELECT *, coalesce(quern_label IS NOT NULL AND len(quern_p) = "
      "{classes} AND len(list_filter(quern_p, lambda x: isfinite(x))) = {classes} AND {classes} > 0, false) AS scored "
      "FROM (SELECT {columns}CAST({label} AS VARCHAR) AS quern_label, CAST({prediction} AS VARCHAR) AS "
      "quern_prediction, {probabilities} AS quern_p FROM (\n{relation}\n)))) GROUP BY {sets} ORDER BY set_number, "
      "slice_value NULLS FIRST, entry.class_number, entry.p DESC NULLS LAST",
      fmt::arg("select", slices.select()), fmt::arg("columns", slices.columns()), fmt::arg("entries", entries),
      fmt::arg("classes", spec.classes.size()), fmt::arg("label", QuoteIdentifier(spec.label)),
      fmt::arg("prediction", QuoteIdentifier(spec.prediction)), fmt::arg("probabilities", probabilities),
      fmt::arg("relation", relation),
      fmt::arg("sets", slices.Sets("entry.class_number, entry.p, entry.label, entry.prediction")));
}

}  // namespace

Result<std::vector<Performance>> EvaluateMulticlass(engine::Connection& connection, std::string_view relation,
                                                    const PerformanceSpec& spec) {
  const SliceSql slices(spec.slices);
  std::vector<Performance> out;
  MulticlassSlice slice(spec.probabilities.empty() ? 0 : spec.classes.size());
  const auto finish = [&](int64_t set, const std::optional<std::string>& value) {
    out.push_back(slice.Finish(spec.dummy));
    out.back().column = slices.Name(set);
    out.back().value = value;
    slice = MulticlassSlice(spec.probabilities.empty() ? 0 : spec.classes.size());
  };
  const auto add = [&](const engine::Batch& batch, size_t row) {
    const auto& column = batch.columns;
    const auto text = [&](size_t at) {
      return column[at].IsValid(row) ? std::optional<std::string>(column[at].texts[row]) : std::nullopt;
    };
    const auto index = column[2].integers[row];
    const auto hits = column[6].integers[row];
    if (index == 0) {
      const auto rows = column[8].integers[row];
      slice.AddRows(text(4), text(5), false, rows - hits);
      slice.AddRows(text(4), text(5), true, hits);
    } else {
      slice.AddProbability(static_cast<size_t>(index) - 1, column[3].doubles[row], hits, column[7].integers[row]);
    }
  };
  QUERN_TRY(ForEachSlice(connection, Query(relation, spec, slices), add, finish));
  return out;
}

}  // namespace quern::ml
