#pragma once
#include "report/model_data.h"

namespace quern::report {

/// A binary model of three months: kept, then retrained and promoted, then rejected.
inline ModelData SampleModel() {
  ModelData m;
  m.name = "late_arrival";
  m.task = ModelTask::kBinary;
  for (int month = 5; month <= 7; ++month) {
    auto at = [](int of) { return *ParseTimestamp("2013-0" + std::to_string(of) + "-01", TimeZone::Utc()); };
    m.periods.push_back({at(month), at(month + 1), ""});
  }
  LabelPeriods(m.periods, TimeZone::Utc());
  auto performance = [](int period, std::string slice, int64_t version, double auc) {
    Performance one;
    one.period = period;
    one.slice = std::move(slice);
    one.version = version;
    one.rows = 1000;
    one.labeled = 990;
    one.positive_share = 0.25;
    one.metrics = {{"auc", auc}, {"log_loss", 0.5}, {"tp", 100.0}, {"fp", 50.0}, {"tn", 700.0}, {"fn", 140.0}};
    one.dummy = {{"auc", 0.5}, {"log_loss", 0.56}};
    one.calibration = {{0, 0.5, 0.2, 0.22, 800}, {0.5, 1, 0.7, 0.6, 190}};
    return one;
  };
  m.performance = {performance(0, "", 1, 0.71), performance(1, "", 1, 0.66), performance(2, "", 2, 0.72),
                   performance(2, "origin=JFK", 2, 0.6), performance(2, "origin=EWR", 2, 0.75)};
  for (int period = 0; period < 3; ++period) {
    PredictionFigures figures;
    figures.period = period;
    figures.version = period < 2 ? 1 : 2;
    figures.rows = 1000;
    figures.mean = 0.24;
    figures.p05 = 0.05;
    figures.p25 = 0.1;
    figures.p50 = 0.2;
    figures.p75 = 0.3;
    figures.p95 = 0.6;
    figures.class_shares = {{"false", 0.85}, {"true", 0.15}};
    figures.confidence = Histogram{{0, 0.5, 1}, {800, 200}};
    m.predictions.push_back(figures);
    m.drift.push_back({period, figures.version, "carrier", "jensenshannon", 0.02, 0.1, false, 5000, 1000, ""});
    m.drift.push_back({period, figures.version, "hour", "wasserstein", 0.1 + 0.05 * period, 0.1, true, 5000, 1000, ""});
    m.drift.push_back({period, figures.version, "prediction", "psi", 0.3, 0.1, true, 5000, 1000, ""});
  }
  m.verdicts = {{0, false, "auc < 0.7", "auc 0.71 is not < 0.7", "monthly/2013-05-01", 1},
                {1, true, "auc < 0.7", "auc 0.66 < 0.7", "monthly/2013-06-01", 1},
                {2, true, "auc < 0.7", "age 7 months > 6 months", "monthly/2013-07-01", 2}};
  Decision promoted{
      .period = 1,
      .decision = "promoted",
      .candidate = "p2_last_3_months",
      .run_id = "0123",
      .version = 2,
      .champion_before = 1,
      .metric = "auc",
      .candidate_value = 0.73,
      .champion_value = 0.66,
      .dummy_value = 0.5,
      .reason = "auc 0.73 beats 0.66",
      .decided_by = "monthly/2013-06-01",
      .at = {},
      .candidates = {
          {"p1_all", "aa", "all", {{"eta", "0.1"}, {"max_depth", "4"}}, 9000, {{"auc", 0.7}, {"log_loss", 0.5}}},
          {"p2_last_3_months", "bb", "last_3_months", {{"eta", "0.1"}, {"max_depth", "6"}}, 3000, {{"auc", 0.73}}}}};
  Decision rejected{.period = 2, .decision = "rejected", .candidate = "p1_all", .metric = "auc", .reason = "no better"};
  m.decisions = {promoted, rejected};
  m.decided = {{"promoted", 1}, {"rejected", 1}};
  m.retrainings = 2;
  m.predictions_ever = 3000;
  return m;
}

}  // namespace quern::report
