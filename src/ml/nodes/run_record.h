#pragma once
#include <string>
#include <vector>

#include "ml/dataset/training_set.h"
#include "ml/nodes/services.h"

// How trainings stand in the tracking database: one parent run for each, a child for each candidate. Run ids are
// derived from what makes the training, so that a killed one finds its own again and an equal rerun what is there.
namespace quern::ml {

/// 32 hexadecimal digits out of the parts.
std::string DerivedRunId(const std::vector<std::string>& parts);

/// Everything of the model's configuration that changes what a training gives.
/// Of a trainer that is a script also the SHA-256 of its files and requirements, as far as they lie in `project`.
std::string TrainingConfigText(const ModelConfig& model, const std::filesystem::path& project);
/// The model as it was when that text was written, as far as training goes.
ModelConfig WithTrainingConfig(ModelConfig model, const Json& configuration);

/// What candidates are judged on: the run's interval, earlier by the delay of the labels.
Interval EvaluationInterval(const ModelConfig& model, const schedule::RunContext& run);

/// Saves a training set once for the node's effect.
Result<TrainingSet> SaveSet(NodeWork& work, warehouse::Warehouse& warehouse, const BoundDataset& bound,
                            SaveOptions options);

/// The set of a frame, out of the values of the dataset node; nothing for a frame that has none of its own.
Result<std::optional<TrainingSet>> SetOfFrame(const Json& dataset_values, size_t frame);
Result<TrainingSet> EvaluationSet(const Json& dataset_values);

/// The dataset of a run, as MLflow lists it.
tracking::DatasetInput DatasetInputOf(const TrainingSet& set, const std::string& context);

/// Tags that every run of a node has.
tracking::Values RunTags(NodeWork& work);

/// Records the parent run: running while `decision` is null, finished with it after.
Result<void> RecordParent(NodeWork& work, const Json& dataset_values, const Json& decision);

/// The decision that an earlier try of promotion recorded; null when there is none.
Result<Json> RecordedDecision(NodeWork& work, const std::string& parent_run);

}  // namespace quern::ml
