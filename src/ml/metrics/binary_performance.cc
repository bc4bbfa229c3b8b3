#include <cmath>

#include "base/text.h"
#include "ml/metrics/rank_curve.h"
#include "ml/metrics/slices.h"
#include "ml/metrics/task_performance.h"

// One stream gives everything: the distinct scores of each slice, from the highest to the lowest, with their numbers of
// rows by label and prediction.
namespace quern::ml {
namespace {

struct ScoreRow {
  std::optional<double> score;
  int64_t rows = 0;
  int64_t positives = 0, negatives = 0;    // labels
  int64_t tp = 0, fp = 0, tn = 0, fn = 0;  // of rows with label and prediction
};

void ClassMetrics(MetricValues& out, double tp, double fp, double tn, double fn) {
  if (tp + fp + tn + fn == 0) return;
  out["accuracy"] = (tp + tn) / (tp + fp + tn + fn);
  out["precision"] = Share(tp, tp + fp);
  out["recall"] = Share(tp, tp + fn);
  out["f1"] = Share(2 * tp, 2 * tp + fp + fn);
  out["tp"] = tp;
  out["fp"] = fp;
  out["tn"] = tn;
  out["fn"] = fn;
}

class BinarySlice {
 public:
  explicit BinarySlice(int bins) {
    const double step = 1.0 / bins;
    for (int i = 0; i < bins; i++) {
      bins_.push_back(
          {.lower = i * step, .upper = i + 1 == bins ? 1.0 : (i + 1) * step, .mean_score = {}, .positive_share = {}});
    }
    sums_.resize(bins_.size());
  }

  void Add(const ScoreRow& row) {
    rows_ += row.rows;
    positives_ += row.positives;
    negatives_ += row.negatives;
    tp_ += row.tp;
    fp_ += row.fp;
    tn_ += row.tn;
    fn_ += row.fn;
    if (!row.score || row.positives + row.negatives == 0) return;
    const double score = *row.score;
    curve_.Add(row.positives, row.negatives);
    const auto positives = static_cast<double>(row.positives);
    const auto negatives = static_cast<double>(row.negatives);
    if (score < 0 || score > 1) {
      probabilities_ = false;
      return;
    }
    if (row.positives > 0) log_loss_.Add(-positives * std::log(ClipProbability(score)));
    if (row.negatives > 0) log_loss_.Add(-negatives * std::log(ClipProbability(1 - score)));
    brier_.Add(positives * (1 - score) * (1 - score) + negatives * score * score);
    if (bins_.empty()) return;
    size_t bin = 0;
    while (bin + 1 < bins_.size() && bins_[bin].upper < score) bin++;
    bins_[bin].rows += row.positives + row.negatives;
    sums_[bin].score.Add(score * (positives + negatives));
    sums_[bin].positives += row.positives;
  }

  Performance Finish(const std::optional<DummyModel>& dummy) {
    Performance out;
    out.rows = rows_;
    out.labeled = positives_ + negatives_;
    const auto positives = static_cast<double>(positives_);
    const auto negatives = static_cast<double>(negatives_);
    const double labeled = positives + negatives;
    if (labeled > 0) out.positive_share = positives / labeled;
    ClassMetrics(out.metrics, static_cast<double>(tp_), static_cast<double>(fp_), static_cast<double>(tn_),
                 static_cast<double>(fn_));
    out.metrics["auc"] = curve_.Auc();
    out.metrics["average_precision"] = curve_.AveragePrecision();
    const auto scored = static_cast<double>(curve_.positives() + curve_.negatives());
    if (scored > 0 && probabilities_) {
      out.metrics["log_loss"] = log_loss_.Get() / scored;
      out.metrics["brier"] = brier_.Get() / scored;
    }
    for (size_t i = 0; i < bins_.size(); i++) {
      if (bins_[i].rows == 0) continue;
      const auto rows = static_cast<double>(bins_[i].rows);
      bins_[i].mean_score = sums_[i].score.Get() / rows;
      bins_[i].positive_share = static_cast<double>(sums_[i].positives) / rows;
    }
    out.calibration = std::move(bins_);
    if (dummy && labeled > 0) {
      const double share = dummy->positive_share;
      // The more frequent class; the first of two equal ones, as DummyClassifier chooses.
      if (share > 0.5) {
        ClassMetrics(out.dummy, positives, negatives, 0, 0);
      } else {
        ClassMetrics(out.dummy, 0, 0, negatives, positives);
      }
      if (positives_ > 0 && negatives_ > 0) out.dummy["auc"] = 0.5;
      out.dummy["average_precision"] = positives / labeled;
      out.dummy["log_loss"] =
          -(positives * std::log(ClipProbability(share)) + negatives * std::log(ClipProbability(1 - share))) / labeled;
      out.dummy["brier"] = (positives * (1 - share) * (1 - share) + negatives * share * share) / labeled;
    }
    return out;
  }

 private:
  struct BinSums {
    Sum score;
    int64_t positives = 0;
  };
  int64_t rows_ = 0, positives_ = 0, negatives_ = 0, tp_ = 0, fp_ = 0, tn_ = 0, fn_ = 0;
  bool probabilities_ = true;
  RankCurve curve_;
  Sum log_loss_, brier_;
  std::vector<CalibrationBin> bins_;
  std::vector<BinSums> sums_;
};

std::string Query(std::string_view relation, const PerformanceSpec& spec, const SliceSql& slices) {
  const auto is_positive = [&](const std::string& column) {
    return fmt::format("CAST({} AS VARCHAR) = {}", QuoteIdentifier(column), QuoteLiteral(spec.positive));
  };
  // Adding 0 makes -0 and 0 one score.
  const auto score = spec.score.empty() ? std::string("CAST(NULL AS DOUBLE)")
                                        : fmt::format("CAST({} AS DOUBLE) + 0", QuoteIdentifier(spec.score));
  return fmt::format(
      "SELECT {select}, quern_score, count(*), count(*) FILTER (quern_label), count(*) FILTER (NOT quern_label), "
      "count(*) FILTER (quern_label AND quern_prediction), count(*) FILTER (NOT quern_label AND quern_prediction), "
      "count(*) FILTER (NOT quern_label AND NOT quern_prediction), "
      "count(*) FILTER (quern_label AND NOT quern_prediction) "
      "FROM (SELECT * REPLACE (CASE WHEN quern_label IS NOT NULL AND isfinite(quern_score) THEN quern_score END AS "
      "quern_score) FROM (SELECT {columns}{label} AS quern_label, {prediction} AS quern_prediction, {score} AS "
      "quern_score FROM (\n{relation}\n))) GROUP BY {sets} "
      "ORDER BY set_number, slice_value NULLS FIRST, quern_score DESC NULLS LAST",
      fmt::arg("select", slices.select()), fmt::arg("columns", slices.columns()),
      fmt::arg("label", is_positive(spec.label)), fmt::arg("prediction", is_positive(spec.prediction)),
      fmt::arg("score", score), fmt::arg("relation", relation), fmt::arg("sets", slices.Sets("quern_score")));
}

}  // namespace

Result<std::vector<Performance>> EvaluateBinary(engine::Connection& connection, std::string_view relation,
                                                const PerformanceSpec& spec) {
  const SliceSql slices(spec.slices);
  std::vector<Performance> out;
  BinarySlice slice(spec.calibration_bins);
  const auto finish = [&](int64_t set, const std::optional<std::string>& value) {
    out.push_back(slice.Finish(spec.dummy));
    out.back().column = slices.Name(set);
    out.back().value = value;
    slice = BinarySlice(spec.calibration_bins);
  };
  const auto add = [&](const engine::Batch& batch, size_t row) {
    const auto& column = batch.columns;
    const auto count = [&](size_t at) { return column[at].integers[row]; };
    ScoreRow score{.score = {},
                   .rows = count(3),
                   .positives = count(4),
                   .negatives = count(5),
                   .tp = count(6),
                   .fp = count(7),
                   .tn = count(8),
                   .fn = count(9)};
    if (column[2].IsValid(row)) score.score = column[2].doubles[row];
    slice.Add(score);
  };
  QUERN_TRY(ForEachSlice(connection, Query(relation, spec, slices), add, finish));
  return out;
}

}  // namespace quern::ml
