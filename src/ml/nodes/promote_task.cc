#include <fmt/format.h>

#include <cmath>

#include "base/text.h"
#include "ml/expression.h"
#include "ml/nodes/candidate.h"
#include "ml/nodes/monitoring_tables.h"
#include "ml/nodes/run_record.h"
#include "ml/nodes/tasks.h"
#include "tracking/artifacts.h"

namespace quern::ml {
namespace {

using schedule::TaskResult;

struct Challenger {
  Trained trained;
  std::optional<double> value;
  std::string blocked;  ///< why it must not be promoted; "" when it may
};

// Figures of the champion on the evaluation set.
struct ChampionFigures {
  ModelInUse model;
  MetricValues metrics;
  std::string unjudged;  ///< why there are none
};

class PromotionWork {
 public:
  PromotionWork(NodeWork& work, warehouse::Warehouse& warehouse, tracking::Store& store)
      : work_(work), warehouse_(warehouse), store_(store) {}

  Result<TaskResult> Run(const Json& dataset) {
    const auto parent = dataset.at("parent_run").get<std::string>();
    Json decision = QUERN_TRY(RecordedDecision(work_, parent));
    if (decision.is_null() || QUERN_TRY(MustDecideAgain(decision))) {
      decision = QUERN_TRY(Decide(dataset));
      QUERN_TRY(RecordParent(work_, dataset, decision));
    }
    // From here on everything is found again after a kill: by the effect, by the folder's content, by the txn.
    const bool promote = decision.value("decision", "") == "promoted";
    if (promote) {
      tracking::NewVersion version;
      version.model = work_.model().name;
      version.run_id = decision.at("run_id").get<std::string>();
      version.effect = fmt::format("{}/{}", schedule::EffectAppId(work_.run(), work_.task().node->id), version.run_id);
      version.description = decision.value("reason", "");
      version.tags = {{"quern.dag_run", work_.run().dag_run},
                      {"quern.candidate", decision.value("candidate", "")},
                      {"quern.training", parent}};
      auto promotion = QUERN_TRY(store_.Promote(version));
      decision["model_version"] = promotion.version;
      if (!promotion.made) QUERN_TRY(TakeChampionAgain(promotion.version));
      QUERN_TRY(SaveTo(promotion.version));
    }
    QUERN_TRY(WriteDecision(decision));
    return ResultOf(decision);
  }

 private:
  // A rerun may meet the same training with another champion, or with other rules, than the first time.
  Result<bool> MustDecideAgain(const Json& decision) {
    if (!work_.run().rerun || QUERN_TRY(work_.IsDone(DecisionsTable(work_.model())))) return false;
    auto champion = QUERN_TRY(work_.Champion());
    // An earlier try of this rerun came as far as promoting it.
    if (champion && decision.value("decision", "") == "promoted" &&
        champion->version.run_id == decision.value("run_id", ""))
      return false;
    const int64_t now = champion ? champion->version.version : 0;
    return decision.value("champion_before", int64_t{0}) != now || decision.value("rules", Json()) != Rules();
  }

  // What of the configuration decides between candidates and champion.
  Json Rules() const {
    const auto& promote = work_.model().promote;
    Json require = Json::array(), slices = Json::array();
    for (const auto& rule : promote.require) require.push_back(rule.text());
    for (const auto& slice : promote.slices) slices.push_back(slice.name);
    return {{"metric", promote.metric},
            {"least_improvement", promote.least_improvement},
            {"require", require},
            {"slices", slices},
            {"refit", promote.refit}};
  }

  // In a rerun the same training is found, and its version with it; it becomes champion again.
  Result<void> TakeChampionAgain(int64_t version) {
    if (!work_.run().rerun || QUERN_TRY(work_.IsDone(DecisionsTable(work_.model())))) return {};
    QUERN_TRY(store_.PromoteVersion(work_.model().name, version));
    return {};
  }

  Result<Json> Decide(const Json& dataset) {
    const auto& model = work_.model();
    const auto evaluation = QUERN_TRY(EvaluationSet(dataset));
    std::vector<Challenger> challengers;
    for (const auto& config : model.candidates) {
      auto values = work_.task().values ? work_.task().values("train." + model.name + "." + config.name) : std::nullopt;
      if (!values || !values->contains("run_id")) continue;
      challengers.push_back({Trained::FromJson(*values), {}, {}});
    }
    if (challengers.empty()) {
      return Fail(Error(ErrorCode::kTraining, "no candidate was trained in this run")
                      .Hint("select the candidates together with the promotion: train." + model.name + ".*"));
    }
    const std::string metric = challengers.front().trained.MetricName(model);
    const bool larger = LargerIsBetter(metric);
    auto champion = QUERN_TRY(JudgeChampion(evaluation));
    for (auto& challenger : challengers) {
      if (auto it = challenger.trained.metrics.find(metric); it != challenger.trained.metrics.end())
        challenger.value = it->second;
      challenger.blocked = WhyBlocked(challenger.trained, champion, evaluation.rows);
      if (!challenger.value) challenger.blocked = metric + " is not defined";
    }
    auto better = [&](double a, double b) { return larger ? a > b : a < b; };
    const Challenger* best = nullptr;   // of those that may be promoted
    const Challenger* first = nullptr;  // of all
    for (const auto& challenger : challengers) {
      if (!challenger.value) continue;
      if (!first || better(*challenger.value, *first->value)) first = &challenger;
      if (challenger.blocked.empty() && (!best || better(*challenger.value, *best->value))) best = &challenger;
    }
    Json decision = {{"metric", metric},
                     {"rules", Rules()},
                     {"parent_run", dataset["parent_run"]},
                     {"reason_to_retrain", dataset.value("reason", "")},
                     {"evaluation", evaluation.training_set},
                     {"evaluation_rows", evaluation.rows}};
    if (champion) decision["champion_before"] = champion->model.version.version;
    std::optional<double> champion_value;
    if (champion) {
      decision["champion_metrics"] = ToJson(champion->metrics);
      if (auto it = champion->metrics.find(metric); it != champion->metrics.end()) champion_value = it->second;
      if (champion_value) decision["champion_value"] = *champion_value;
      if (!champion->unjudged.empty()) decision["champion_unjudged"] = champion->unjudged;
    }
    Json all = Json::array();
    for (const auto& challenger : challengers) {
      Json one = challenger.trained.ToJson();
      one.erase("slices");
      if (!challenger.blocked.empty()) one["blocked"] = challenger.blocked;
      all.push_back(std::move(one));
    }
    decision["candidates"] = all;
    const Challenger* shown = best ? best : first;
    if (shown) {
      decision["candidate"] = shown->trained.name;
      decision["run_id"] = shown->trained.run_id;
      if (shown->value) decision["candidate_value"] = *shown->value;
      auto dummy = shown->trained.dummy.find(metric);
      if (dummy != shown->trained.dummy.end() && dummy->second) decision["dummy_value"] = *dummy->second;
    }
    if (!best) {
      decision["decision"] = "blocked";
      decision["reason"] = shown ? fmt::format("{}: {}", shown->trained.name, shown->blocked)
                                 : fmt::format("{} is not defined for any candidate", metric);
      return decision;
    }
    if (champion_value) {
      const double gain = larger ? *best->value - *champion_value : *champion_value - *best->value;
      const double least = model.promote.least_improvement;
      if (gain <= 0 || gain < least) {
        decision["decision"] = "rejected";
        decision["reason"] =
            fmt::format("{} {} {:.4f} against the champion's {:.4f}: {} is less than {}", best->trained.name, metric,
                        *best->value, *champion_value, fmt::format("{:+.4f}", larger ? gain : -gain), least);
        return decision;
      }
      decision["reason"] = fmt::format("{} {} {:.4f} against the champion's {:.4f}", best->trained.name, metric,
                                       *best->value, *champion_value);
    } else {
      decision["reason"] =
          champion ? fmt::format("{}; {} {} {:.4f}", champion->unjudged, best->trained.name, metric, *best->value)
                   : fmt::format("the first champion: {} {} {:.4f}", best->trained.name, metric, *best->value);
    }
    decision["decision"] = "promoted";
    if (model.promote.refit) {
      auto refitted = QUERN_TRY(Refit(best->trained, dataset, evaluation));
      decision["run_id"] = refitted.run_id;
      decision["refit_of"] = best->trained.run_id;
      decision["reason"] = decision["reason"].get<std::string>() + ", trained once more with the evaluation's rows";
    }
    return decision;
  }

  Result<std::optional<ChampionFigures>> JudgeChampion(const TrainingSet& evaluation) {
    auto champion = QUERN_TRY(work_.Champion());
    if (!champion) return std::nullopt;
    ChampionFigures out;
    out.model = *champion;
    auto session = QUERN_TRY(work_.Session({}));
    std::vector<std::string> slices;
    for (const auto& slice : work_.model().promote.slices) slices.push_back(slice.name);
    std::string why;
    auto bound = QUERN_TRY(work_.Bind(*session, &why));
    if (!bound) return Fail(ErrorCode::kTrainingData, why);
    auto judged = [&]() -> Result<MetricValues> {
      auto scorer = QUERN_TRY(Scorer::Open(
          *session, champion->folder, fmt::format("{}_v{}", work_.model().name, champion->version.version),
          work_.options(), work_.model(), QUERN_TRY(work_.Like(*session, *champion, *bound)), &work_.task()));
      auto figures = QUERN_TRY(Judge(*session, scorer, evaluation, {}, std::nullopt));
      return figures.front().metrics;
    }();
    if (judged) {
      out.metrics = *judged;
    } else if (judged.error().code() == ErrorCode::kSqlBind) {
      // It was trained on columns that the dataset no longer has.
      out.unjudged = fmt::format("the champion (version {}) cannot be judged on this dataset: {}",
                                 champion->version.version, judged.error().message());
      work_.Log(out.unjudged);
    } else {
      return Fail(judged.error());
    }
    return std::optional<ChampionFigures>(std::move(out));
  }

  std::string WhyBlocked(const Trained& trained, const std::optional<ChampionFigures>& champion, int64_t rows) const {
    const auto& model = work_.model();
    Environment environment;
    environment.now = work_.run().interval.end;
    environment.zone = work_.run().zone;
    auto add = [&](const std::string& prefix, const MetricValues& values) {
      for (const auto& [name, value] : values)
        environment.values[prefix + name] = Measured::Number(value, "it is not defined on these rows");
    };
    add("", trained.metrics);
    environment.values["rows"] = Measured::Number(static_cast<double>(rows));
    add("dummy.", trained.dummy);
    if (champion) add("champion.", champion->metrics);
    std::map<std::string, std::pair<double, double>> range;
    for (const auto& slice : trained.slices) {
      for (const auto& [name, value] : slice.metrics) {
        environment.values[fmt::format("slice.{}.{}", slice.Slice(), name)] =
            Measured::Number(value, "it is not defined on these rows");
        if (!value) continue;
        auto [it, fresh] = range.try_emplace(name, *value, *value);
        it->second = {std::min(it->second.first, *value), std::max(it->second.second, *value)};
      }
    }
    for (const auto& [name, ends] : range) {
      environment.values["min_slice." + name] = Measured::Number(ends.first);
      environment.values["max_slice." + name] = Measured::Number(ends.second);
    }
    for (const auto& rule : model.promote.require) {
      // What a rule asks of the champion holds while there is none.
      if (!champion) {
        bool of_champion = false;
        for (const auto& name : rule.names()) of_champion |= name.starts_with("champion.");
        if (of_champion) continue;
      }
      auto verdict = rule.Evaluate(environment);
      if (!verdict.holds()) return fmt::format("required: {} ({})", rule.text(), verdict.reason);
    }
    return "";
  }

  Result<Trained> Refit(const Trained& best, const Json& dataset, const TrainingSet& evaluation) {
    const auto& model = work_.model();
    std::optional<TrainingSet> of_frame;
    for (size_t i = 0; i < model.train.frames.size(); ++i) {
      if (model.train.frames[i].name == best.frame) of_frame = QUERN_TRY(SetOfFrame(dataset, i));
    }
    if (!of_frame) return Fail(ErrorCode::kTraining, "the training set of " + best.name + " is not among this run's");
    auto session = QUERN_TRY(work_.Session({}));
    std::string why;
    auto bound = QUERN_TRY(work_.Bind(*session, &why));
    if (!bound) return Fail(ErrorCode::kTrainingData, why);
    SaveOptions options;
    options.training_set = work_.run().dag_run + "/refit_" + best.frame;
    options.frame = {"refit_" + best.frame, of_frame->frame.from, evaluation.frame.to};
    options.for_training = false;  // its rows were looked at before
    Training training;
    training.name = "refit";
    training.parent_run = dataset.at("parent_run").get<std::string>();
    training.parameters = best.parameters;
    training.frame = options.frame.name;
    training.at = work_.run().interval.end;
    training.set = QUERN_TRY(SaveSet(work_, warehouse_, *bound, options));
    training.validation = 0;
    training.rounds = std::max<int64_t>(best.rounds, 1);
    training.baseline = ToJson(best.metrics);
    return Train(work_, training);
  }

  Result<void> SaveTo(int64_t version) {
    if (work_.model().promote.save_to.empty()) return {};
    auto champion = QUERN_TRY(work_.Champion());
    if (!champion || champion->version.version != version) return {};  // somebody promoted another since
    return SaveChampion(work_.model(), work_.options(), champion->version);
  }

  Result<void> WriteDecision(const Json& decision) {
    const auto& run = work_.run();
    const auto table = DecisionsTable(work_.model());
    QUERN_TRY(EnsureTable(warehouse_, table, DecisionsColumns(), work_.CommitContext()));
    if (QUERN_TRY(work_.IsDone(table))) return {};
    NewRows rows(DecisionsColumns());
    rows.Begin();
    auto text = [&](const char* column) {
      if (decision.contains(column) && decision[column].is_string())
        rows.Set(column, Sql(decision[column].get<std::string>()));
    };
    auto number = [&](const char* column) {
      if (decision.contains(column) && decision[column].is_number())
        rows.Set(column, Sql(std::optional(decision[column].get<double>())));
    };
    rows.Set("period_start", InstantSql(run.interval.start));
    rows.Set("period_end", InstantSql(run.interval.end));
    for (const char* column : {"decision", "candidate", "run_id", "metric", "reason"}) text(column);
    for (const char* column : {"candidate_value", "champion_value", "dummy_value"}) number(column);
    for (const char* column : {"model_version", "champion_before"}) {
      if (decision.contains(column) && decision[column].is_number())
        rows.Set(column, Sql(decision[column].get<int64_t>()));
    }
    rows.Set("decided_by", Sql("rule"));
    rows.Set("candidates", SqlOf(decision.value("candidates", Json::array())));
    rows.Set("dag_run", Sql(run.dag_run));
    rows.Set("_quern_computed_at", InstantSql(run.clock->Now()));
    auto session = QUERN_TRY(work_.Session({table}));
    std::string before;
    if (run.full_refresh)
      before = fmt::format("DELETE FROM {} WHERE dag_run = {}", QuoteTable(table), QuoteLiteral(run.dag_run));
    return WriteRows(*session, table, before, rows);
  }

  static TaskResult ResultOf(const Json& decision) {
    TaskResult result;
    result.values = decision;
    const auto what = decision.value("decision", "");
    result.message =
        decision.contains("model_version")
            ? fmt::format("version {}: {}", decision["model_version"].get<int64_t>(), decision.value("reason", ""))
            : fmt::format("{}: {}", what, decision.value("reason", ""));
    return result;
  }

  NodeWork& work_;
  warehouse::Warehouse& warehouse_;
  tracking::Store& store_;
};

}  // namespace

Result<TaskResult> Promote(NodeWork& work) {
  const Json dataset = work.ValuesOf("dataset");
  if (!dataset.value("retrain", false)) return NothingToDo("no retraining");
  warehouse::Warehouse* house = QUERN_TRY(work.warehouse());
  tracking::Store* store = QUERN_TRY(work.tracking());
  return PromotionWork(work, *house, *store).Run(dataset);
}

}  // namespace quern::ml
