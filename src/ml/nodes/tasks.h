#pragma once
#include <memory>

#include "ml/nodes/services.h"

// The work of each kind of node of a model. In one run: monitor -> retrain -> dataset -> train (each candidate) ->
// promote -> predict. Each hands values (JSON) on to those after it, and leaves its effect once however often it runs.
namespace quern::ml {

/// Judges predictions whose labels have come, describes and compares those of the interval with what their model was
/// trained on; writes the monitoring tables. Values: metrics, dummy, drift, predictions, rows, model_version.
Result<schedule::TaskResult> Monitor(NodeWork& work);
/// Decides by `retrain_when`, and writes its verdict. Values: retrain, reason, first.
Result<schedule::TaskResult> DecideRetraining(NodeWork& work);
/// What the two above would find, as far as it can be known before: for `quern plan`. Change nothing.
Result<std::string> MonitorOutlook(NodeWork& work);
Result<std::string> RetrainingOutlook(NodeWork& work);
/// Saves the training sets of the frames and the evaluation set. Values: sets, evaluation, parent_run.
Result<schedule::TaskResult> BuildDatasets(NodeWork& work);
/// Trains and evaluates one candidate, recorded as a run. Values: run_id, metrics, slices, dummy.
Result<schedule::TaskResult> TrainCandidate(NodeWork& work, const CandidateConfig& candidate);
/// Compares candidates and champion, promotes, writes the decision.
Result<schedule::TaskResult> Promote(NodeWork& work);
/// Predicts the period with the champion of now.
Result<schedule::TaskResult> Predict(NodeWork& work);

}  // namespace quern::ml
