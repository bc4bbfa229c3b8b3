#include <fmt/format.h>

#include "base/text.h"
#include "io/files.h"
#include "ml/model/model_folder.h"
#include "ml/nodes/candidate.h"
#include "ml/nodes/run_record.h"
#include "ml/nodes/tasks.h"

namespace quern::ml {

Result<schedule::TaskResult> TrainCandidate(NodeWork& work, const CandidateConfig& config) {
  const Json dataset = work.ValuesOf("dataset");
  if (!dataset.value("retrain", false)) return NothingToDo("no retraining");
  auto set = QUERN_TRY(SetOfFrame(dataset, config.frame_index));
  if (!set) {
    const auto& one = dataset["sets"].at(config.frame_index);
    if (!one.contains("same_as") || one["same_as"].is_null())
      return NothingToDo("no labelled rows in " + one.value("frame", ""));
    return NothingToDo("the same rows as " +
                       dataset["sets"].at(one["same_as"].get<size_t>()).value("frame", "an earlier frame"));
  }
  Training training;
  training.name = config.name;
  training.parent_run = dataset.at("parent_run").get<std::string>();
  training.parameters = config.parameters;
  training.frame = work.model().train.frames.at(config.frame_index).name;
  training.set = *set;
  training.at = work.run().interval.end;
  training.evaluation = QUERN_TRY(EvaluationSet(dataset));
  training.validation = work.model().train.validation;
  auto trained = QUERN_TRY(Train(work, training));
  schedule::TaskResult result;
  result.status = trained.found ? schedule::TaskStatus::kNoOp : schedule::TaskStatus::kSuccess;
  result.values = trained.ToJson();
  result.rows = set->rows;
  const auto metric = trained.MetricName(work.model());
  auto value = trained.metrics.find(metric);
  result.message = fmt::format("{}{} {}", trained.found ? "already trained, " : "", metric,
                               value != trained.metrics.end() && value->second ? fmt::format("{:.4f}", *value->second)
                                                                               : std::string("is not defined"));
  return result;
}

}  // namespace quern::ml
