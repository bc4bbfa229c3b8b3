#pragma once
#include <optional>
#include <string>
#include <vector>

#include "ml/dataset/training_set.h"
#include "ml/metrics/performance.h"
#include "ml/model/model_folder.h"
#include "ml/nodes/services.h"
#include "ml/xgboost/trainer.h"

// Training one model on one training set, judged on the evaluation set, recorded as a run.
namespace quern::ml {

struct Training {
  std::string name;  ///< "p1_last_3_months", "refit"
  std::string parent_run;
  Json parameters;
  std::string frame;
  TrainingSet set;
  std::optional<TrainingSet> evaluation;  ///< absent: not judged (a model trained once more with it)
  double validation = 0.2;                ///< share of the rows kept for early stopping, the last by time; 0: none
  std::optional<int64_t> rounds;          ///< absent: the configuration's
  Timestamp at;                           ///< end of the interval in which it is trained
  Json baseline;                          ///< absent evaluation: the figures that it is taken to have
};

struct Trained {
  bool found = false;  ///< an equal run was there
  std::string name;
  std::string run_id;
  std::string frame;
  Json parameters;
  Task task = Task::kBinary;
  MetricValues metrics;     ///< on the evaluation set
  MetricValues dummy;       ///< the dummy's there
  MetricValues validation;  ///< the trainer's own: train_…, validation_…
  std::vector<Performance> slices;
  int64_t rows = 0;
  int64_t rounds = 0;

  Json ToJson() const;
  static Trained FromJson(const Json& json);
  std::string MetricName(const ModelConfig& model) const;  ///< by which candidates are compared
};

/// What a trainer gave, whichever it was, and how good that is.
struct Fit {
  Trained trained;
  std::vector<Performance> figures;  ///< on the evaluation set: all rows, then slices; empty without one
  DummyModel dummy;
  std::string validation_from;  ///< value of the time column where the validation part begins; "" without one
  std::map<std::string, double> metrics;
  std::vector<HistoryPoint> history;
  std::vector<FeatureImportance> importance;
  std::vector<std::string> classes;
  std::vector<ModelFile> files;      ///< of the built-in trainer
  Json parameters = Json::object();  ///< all that were set
  std::string library;               ///< "xgboost 1.7.4"
};

/// Trains and judges, and puts the model into `folder`. Records nothing.
Result<Fit> FitModel(NodeWork& work, const Training& training, const std::filesystem::path& folder,
                     const std::string& run_id);

/// Trains, unless an equal run is there. Errors: the trainer's, the engine's, the tracking database's.
Result<Trained> Train(NodeWork& work, const Training& training);

/// A run's id, before it is trained.
std::string TrainingRunId(const NodeWork& work, const Training& training);

/// Figures of a model on a saved set. `slices`: columns of the set.
Result<std::vector<Performance>> Judge(engine::Connection& connection, Scorer& scorer, const TrainingSet& set,
                                       const std::vector<std::string>& slices, const std::optional<DummyModel>& dummy);

/// The dummy model of a training set.
Result<DummyModel> DummyOf(engine::Connection& connection, const TrainingSet& set, Task task,
                           const std::vector<std::string>& classes);

/// Metric values as JSON: undefined ones are null.
Json ToJson(const MetricValues& values);
MetricValues MetricsFromJson(const Json& json);

}  // namespace quern::ml
