#pragma once
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "ml/expression.h"
#include "ml/span.h"
#include "schedule/node_provider.h"

// ml/*.yml as plain structs. Every key with its default: docs/reference/ml.md.
namespace quern::ml {

enum class TaskType { kClassification, kMulticlass, kRegression };
std::string_view ToString(TaskType task);  ///< "classification", "multiclass", "regression"
std::optional<TaskType> ParseTaskType(std::string_view text);

/// A name that a file gives and that can only be checked later, with its place.
struct Named {
  std::string name;
  SourcePos pos;
};

/// A point-in-time join: the row of `table` with equal `on` columns and valid_from <= time < valid_to.
struct JoinConfig {
  schedule::TableRef table;
  struct On {
    std::string left;   ///< column of the dataset's source
    std::string right;  ///< column of `table`
    SourcePos pos;
  };
  std::vector<On> on;
  Named valid_from;
  std::optional<Named> valid_to;  ///< absent: the next row's valid_from
  std::optional<Span> ttl;        ///< counted back from each row's time; older counts as missing
  struct Column {
    std::string from;  ///< in `table`
    std::string as;    ///< in the dataset
    SourcePos pos;
  };
  std::vector<Column> columns;
  SourcePos pos;
};

enum class LeakageMode { kOff, kWarn, kFail };

struct DatasetConfig {
  std::optional<schedule::TableRef> from;  ///< either this
  std::string query;                       ///< or this SQL
  SourcePos source_pos;                    ///< of `from` or of the first line of `query`
  std::vector<Named> key;
  Named time;
  Named label;
  std::vector<Named> features;  ///< in the order of the file; empty: all but key, time, label and `exclude`
  std::vector<Named> exclude;
  std::vector<Named> categorical;
  std::vector<JoinConfig> joins;
  LeakageMode leakage = LeakageMode::kWarn;
  std::optional<Span> label_delay;  ///< how much later than its row a label comes: what candidates are judged on, and
                                    ///< the frames before it, are earlier by this
  SourcePos pos;
};

/// A time frame as written; dataset/frame.h resolves it for an interval.
struct FrameConfig {
  enum class Kind { kAll, kLast, kBetween };
  Kind kind = Kind::kAll;
  Span last;         ///< kLast
  std::string from;  ///< kBetween, as written, in the schedule's zone
  std::string to;
  std::string name;  ///< stable and readable: "last_3_months", "2013-01-01_to_2013-06-01", "all"
  SourcePos pos;
};

/// A trainer that is a command: `command`, `requirements`, `timeout`.
struct ScriptTrainerConfig {
  std::vector<std::string> argv;
  std::filesystem::path requirements;  ///< relative to the project; empty: no Python environment of its own
  SourcePos requirements_pos;
  std::optional<std::chrono::milliseconds> timeout;
};

struct ClassWeightConfig {
  enum class Kind { kNone, kBalanced, kGiven };
  Kind kind = Kind::kNone;
  std::map<std::string, double> weights;  ///< kGiven: by class; classes not named weigh 1
  SourcePos pos;
};

struct TrainConfig {
  std::optional<TaskType> task;               ///< absent: from the label's type (see dataset/binding.h)
  std::optional<ScriptTrainerConfig> script;  ///< absent: the built-in XGBoost trainer
  std::vector<FrameConfig> frames;            ///< at least one
  double validation = 0.2;                    ///< share of each frame's rows, the last by time
  std::vector<Json> parameters;               ///< the expanded list: one object per parameter set, at least one ({})
  Json fixed = Json::object();                ///< for every candidate
  int64_t rounds = 300;
  int64_t early_stopping = 30;  ///< 0: none
  ClassWeightConfig class_weight;
  int64_t seed = 7;
  int64_t threads = 1;
  SourcePos pos;
};

/// One parameter set x one frame.
struct CandidateConfig {
  std::string name;  ///< "p2_last_3_months"; unique in the model, stable while the file is
  size_t parameters_index = 0;
  size_t frame_index = 0;
  Json parameters;  ///< `fixed` and the set's own, joined
};

struct PromoteConfig {
  std::string metric;  ///< "" until the task is known: DefaultMetric(task)
  SourcePos metric_pos;
  double least_improvement = 0;
  std::vector<Expression> require;
  std::vector<Named> slices;
  bool refit = false;
  std::filesystem::path save_to;  ///< relative to the project; empty: none
  SourcePos pos;
};

struct PredictConfig {
  enum class Period { kNext, kThis };
  Period period = Period::kNext;
  schedule::TableRef table;  ///< [predictions.<model>]
  double threshold = 0.5;
  SourcePos threshold_pos;  ///< known when the file gives it
  SourcePos pos;
};

struct MonitorConfig {
  std::vector<Named> slices;
  struct Drift {
    bool all_methods = true;           ///< neither a list nor `default` was given
    bool default_only = false;         ///< `methods: default`: each column's default method alone
    std::vector<std::string> methods;  ///< the list; empty with the two above
    std::map<std::string, double> thresholds;
    double share = 0.5;
  } drift;
  Span labels_within{.months = 3};
  SourcePos pos;
};

struct ModelConfig {
  std::string name;
  std::string description;
  std::vector<std::string> tags;
  DatasetConfig dataset;
  TrainConfig train;
  PromoteConfig promote;
  PredictConfig predict;
  MonitorConfig monitor;
  std::optional<Expression> retrain_when;  ///< absent: only when there is no champion
  std::vector<CandidateConfig> candidates;
  SourcePos pos;
  std::filesystem::path file;  ///< relative to the project

  schedule::TableRef training_table() const { return {"training", name}; }
  /// Tables that building a dataset reads: `from` or those that `query` names, and the joins'. In order, once each.
  std::vector<schedule::TableRef> source_tables() const;
  /// Nodes are "<kind>.<name>": monitor, retrain, dataset, promote, predict; train.<name>.<candidate>.
  std::string node(std::string_view kind) const { return std::string(kind) + "." + name; }
};

/// Reads one file's text. `file` is how it is named to the user, relative to the project. Everything wrong goes to
/// `diagnostics`; models that could be read are returned all the same.
std::vector<ModelConfig> ParseModels(std::string_view text, const std::string& file, Diagnostics& diagnostics);
/// Reports names that two models share, tables that two models write.
void CheckModels(const std::vector<ModelConfig>& models, Diagnostics& diagnostics);

/// The metrics of a task, as they are named everywhere.
const std::vector<std::string>& MetricNames(TaskType task);
bool LargerIsBetter(std::string_view metric);
std::string DefaultMetric(TaskType task);
/// Those of them that have a better and a worse: what `promote.metric` may be.
std::vector<std::string> PromotionMetrics(std::optional<TaskType> task);

/// Names that `retrain_when` and `require` may use; without a task the names of all tasks.
/// (and `drift.<feature>` for any feature, while they are not known).
Names RetrainNames(std::optional<TaskType> task, const std::vector<std::string>* features = nullptr);
Names RequireNames(std::optional<TaskType> task);
/// Checks metric, expressions, threshold and class weights as far as task and features are known: ParseModels calls it
/// with the file's own task, BindDataset with what the tables say.
void CheckTask(const ModelConfig& model, std::optional<TaskType> task, const std::vector<std::string>* features,
               Diagnostics& diagnostics);

/// Tables named after FROM and JOIN (schema.table), common table expressions left out.
std::vector<schedule::TableRef> TablesNamedIn(std::string_view sql);

}  // namespace quern::ml
