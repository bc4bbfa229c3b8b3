#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "ml/dataset/frame.h"
#include "ml/dataset/query.h"
#include "ml/dataset/training_set.h"
#include "ml/nodes/run_record.h"
#include "ml/nodes/tasks.h"

namespace quern::ml {
namespace {

using schedule::TaskResult;

class DatasetWork {
 public:
  DatasetWork(NodeWork& work, warehouse::Warehouse& warehouse) : work_(work), warehouse_(warehouse) {}

  Result<TaskResult> Run() {
    const auto& model = work_.model();
    const auto& run = work_.run();
    session_ = QUERN_TRY(work_.Session({}));
    std::string why;
    bound_ = QUERN_TRY(work_.Bind(*session_, &why));
    if (!bound_) return NothingToDo(why, {{"retrain", false}});
    const QueryOptions query{.rows = Rows::kLabeled, .interval = run.interval, .zone = run.zone};
    const Interval judged = EvaluationInterval(model, run);
    const TimeFrame evaluation = EvaluationFrame(judged);
    auto first = QUERN_TRY(FirstLabeledTime(model, *bound_, query, *session_));

    std::vector<std::optional<TimeFrame>> frames;
    for (const auto& config : model.train.frames) frames.push_back(QUERN_TRY(ResolveFrame(config, judged, run.zone)));
    auto equal = FirstEqualFrame(frames, first);
    // Cut to the first labelled row: what a frame says is then what it holds.
    bool any = false;
    for (size_t i = 0; i < frames.size(); ++i) {
      if (!frames[i]) continue;
      if (!first || *first >= frames[i]->to) {
        frames[i].reset();
        equal[i].reset();
        continue;
      }
      if (!frames[i]->from || *frames[i]->from < *first) frames[i]->from = *first;
      any = true;
    }
    if (!any) {
      return NothingToDo(
          fmt::format("no labelled rows before {} to train on", FormatShort(run.zone.ToLocal(judged.start))),
          {{"retrain", false}});
    }
    if (!QUERN_TRY(HasRows(evaluation))) {
      return NothingToDo(fmt::format("no labelled rows from {} to judge candidates on", PeriodName(judged, run.zone)),
                         {{"retrain", false}});
    }

    TaskResult result;
    Json sets = Json::array(), digests = Json::array();
    int64_t rows = 0;
    for (size_t i = 0; i < frames.size(); ++i) {
      if (!frames[i] || *equal[i] != i) {
        sets.push_back({{"frame", model.train.frames[i].name}, {"same_as", frames[i] ? Json(*equal[i]) : Json()}});
        continue;
      }
      auto set = QUERN_TRY(Save(model.train.frames[i].name, *frames[i], true));
      work_.Log(fmt::format("{}: {} rows, {}, digest {}", set.training_set, FormatCount(set.rows),
                            set.frame.ToString(run.zone), set.digest));
      rows += set.rows;
      digests.push_back(set.digest);
      sets.push_back({{"frame", model.train.frames[i].name}, {"set", set.ToJson()}});
    }
    auto evaluated = QUERN_TRY(Save("evaluation", evaluation, false));
    digests.push_back(evaluated.digest);
    rows += evaluated.rows;

    const std::string parent = DerivedRunId({"training", model.name, run.schedule, FormatUtc(run.logical_date),
                                             digests.dump(), TrainingConfigText(model, work_.options().project)});
    result.values = {{"retrain", true},
                     {"sets", sets},
                     {"evaluation", evaluated.ToJson()},
                     {"parent_run", parent},
                     {"metric", model.promote.metric.empty() ? DefaultMetric(bound_->task) : model.promote.metric},
                     {"reason", work_.ValuesOf("retrain").value("reason", "")}};
    QUERN_TRY(RecordParent(work_, result.values, Json()));
    result.rows = rows;
    size_t distinct = digests.size() - 1;
    result.message = fmt::format("{} training set{}, {} rows", distinct, distinct == 1 ? "" : "s", FormatCount(rows));
    if (!warnings_.empty()) {
      result.status = schedule::TaskStatus::kWarned;
      result.message += ": " + warnings_.front();
      result.details["warnings"] = warnings_;
    }
    return result;
  }

 private:
  Result<bool> HasRows(const TimeFrame& frame) {
    const QueryOptions query{
        .rows = Rows::kLabeled, .interval = work_.run().interval, .zone = work_.run().zone, .ordered = false};
    auto found = QUERN_TRY(session_->Execute(
        fmt::format("SELECT 1 FROM ({}) LIMIT 1", DatasetQuery(work_.model(), *bound_, frame, query))));
    return !found.rows.empty();
  }

  Result<TrainingSet> Save(const std::string& name, const TimeFrame& frame, bool training) {
    SaveOptions options;
    options.training_set = work_.run().dag_run + "/" + name;
    options.frame = frame;
    options.for_training = training;
    auto set = QUERN_TRY(SaveSet(work_, warehouse_, *bound_, options));
    for (const auto& warning : set.warnings) {
      work_.Log("warning: " + warning);
      if (std::find(warnings_.begin(), warnings_.end(), warning) == warnings_.end()) warnings_.push_back(warning);
    }
    return set;
  }

  NodeWork& work_;
  warehouse::Warehouse& warehouse_;
  std::unique_ptr<warehouse::Session> session_;
  std::optional<BoundDataset> bound_;
  std::vector<std::string> warnings_;
};

}  // namespace

Result<TaskResult> BuildDatasets(NodeWork& work) {
  const Json decision = work.ValuesOf("retrain");
  if (!decision.value("retrain", false)) {
    return NothingToDo(decision.empty() ? "not asked to retrain" : decision.value("reason", "not asked to retrain"),
                       {{"retrain", false}});
  }
  warehouse::Warehouse* house = QUERN_TRY(work.warehouse());
  return DatasetWork(work, *house).Run();
}

}  // namespace quern::ml
