#include "ml/operations.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "io/files.h"
#include "ml/dataset/query.h"
#include "ml/dataset/training_set.h"
#include "ml/nodes/candidate.h"
#include "ml/nodes/monitoring_tables.h"
#include "ml/nodes/run_record.h"
#include "tracking/artifacts.h"

namespace quern::ml {
namespace fs = std::filesystem;
namespace {

// A node's work outside the graph.
class ByHand {
 public:
  ByHand(const OperationContext& context, const char* what) {
    node_.id = what;
    task_.run = context.run;
    task_.node = &node_;
    work_ = std::make_unique<NodeWork>(*context.model, *context.options, task_);
  }
  NodeWork& work() { return *work_; }

 private:
  schedule::Node node_;
  schedule::TaskContext task_;
  std::unique_ptr<NodeWork> work_;
};

Result<void> SaveVersion(NodeWork& work, int64_t version) {
  tracking::Store* store = QUERN_TRY(work.tracking());
  auto found = QUERN_TRY(store->FindVersion(work.model().name, version));
  if (!found) return {};
  return SaveChampion(work.model(), work.options(), *found);
}

Result<void> WriteDecision(const OperationContext& context, NodeWork& work, const std::string& decision,
                           const tracking::Promotion& promotion, const std::string& run_id) {
  warehouse::Warehouse* house = QUERN_TRY(work.warehouse());
  const auto table = DecisionsTable(*context.model);
  QUERN_TRY(EnsureTable(*house, table, DecisionsColumns(), work.CommitContext()));
  NewRows rows(DecisionsColumns());
  rows.Begin();
  const Timestamp now = context.run->clock->Now();
  rows.Set("period_start", InstantSql(now));
  rows.Set("period_end", InstantSql(now));
  rows.Set("decision", Sql(decision));
  rows.Set("run_id", Sql(run_id));
  rows.Set("model_version", Sql(promotion.version));
  if (promotion.former) rows.Set("champion_before", Sql(*promotion.former));
  rows.Set("reason", Sql(context.why.empty() ? "by hand" : context.why));
  rows.Set("decided_by", Sql(context.by));
  rows.Set("_quern_computed_at", InstantSql(now));
  auto session = QUERN_TRY(work.Session({}));
  return WriteRows(*session, table, "", rows);
}

// The version that the table of decisions last made champion.
Result<std::optional<int64_t>> LastDecided(const OperationContext& context, NodeWork& work) {
  warehouse::Warehouse* house = QUERN_TRY(work.warehouse());
  const auto table = DecisionsTable(*context.model);
  if (!QUERN_TRY(house->Exists({table.schema, table.table}))) return std::nullopt;
  auto session = QUERN_TRY(work.Session({}));
  auto found = QUERN_TRY(session->Execute(fmt::format(
      "SELECT model_version FROM {} WHERE model_version IS NOT NULL ORDER BY _quern_computed_at DESC LIMIT 1",
      QuoteTable(table))));
  if (found.rows.empty()) return std::nullopt;
  return std::get<int64_t>(found.rows[0][0]);
}

// The record that a training left in its run's folder.
Result<Json> RecordOf(tracking::Store& store, const tracking::Run& run) {
  const fs::path file = store.RunFolder(run.experiment_id, run.run_id) / "training.json";
  std::error_code error;
  if (!fs::exists(file, error)) {
    return Fail(
        Error(ErrorCode::kNotReproducible,
              fmt::format("run {} has no training.json: it was not trained here, or its files are gone", run.run_id))
            .With("run", run.run_id));
  }
  return ParseJson(QUERN_TRY(io::ReadFile(file)), file.string());
}

std::string FirstDifference(const std::string& then, const std::string& now) {
  const auto a = Split(then, '\n'), b = Split(now, '\n');
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string left = i < a.size() ? std::string(Trim(a[i])) : "",
                      right = i < b.size() ? std::string(Trim(b[i])) : "";
    if (left != right) return fmt::format("line {}: `{}` then, `{}` now", i + 1, left, right);
  }
  return "";
}

std::string DifferentKeys(const Json& then, const Json& now) {
  std::vector<std::string> out;
  for (const auto& [key, value] : then.items()) {
    if (!now.contains(key)) {
      out.push_back(fmt::format("{}: {} then, nothing now", key, value.dump()));
    } else if (now[key] != value) {
      out.push_back(fmt::format("{}: {} then, {} now", key, value.dump(), now[key].dump()));
    }
  }
  for (const auto& [key, value] : now.items()) {
    if (!then.contains(key)) out.push_back(fmt::format("{}: nothing then, {} now", key, value.dump()));
  }
  return Join(out, "; ");
}

class Reproducing {
 public:
  Reproducing(const OperationContext& context, NodeWork& work, Json record)
      : context_(context), work_(work), record_(std::move(record)) {}

  Result<Reproduction> Run() {
    set_ = QUERN_TRY(TrainingSet::FromJson(record_.at("training_set")));
    out_.run_id = record_.value("run_id", "");
    QUERN_TRY(CompareData());
    CompareConfiguration();
    QUERN_TRY(TrainAgain());
    return out_;
  }

 private:
  void Add(std::string name, bool same, std::string note) {
    out_.parts.push_back({std::move(name), same, std::move(note)});
  }

  Result<void> CompareData() {
    warehouse::Warehouse* house = QUERN_TRY(work_.warehouse());
    auto session = QUERN_TRY(work_.Session({}));
    auto saved = QUERN_TRY(VerifyTrainingSet(set_, *house, *session));
    std::vector<std::string> notes;
    bool same = saved.equal;
    notes.push_back(saved.equal ? fmt::format("{} at version {}: {} rows, the same digest", set_.table, set_.version,
                                              FormatCount(saved.rows))
                                : fmt::format("{} at version {} is no longer what was recorded: {} rows, digest {}",
                                              set_.table, set_.version, FormatCount(saved.rows), saved.digest));
    // What the recorded query gives of the sources as they are now.
    auto now = RebuildTrainingSet(set_.query, {}, *session);
    if (!now) {
      same = false;
      notes.push_back("the query no longer runs: " + now.error().message());
    } else if (now->digest.Hex() != set_.digest) {
      same = false;
      std::vector<std::string> changed;
      for (const auto& [table, version] : set_.sources) {
        auto it = now->sources.find(table);
        if (it != now->sources.end() && it->second != version)
          changed.push_back(fmt::format("{} (version {} then, {} now)", table, version, it->second));
      }
      notes.push_back(now->digest.rows != set_.rows
                          ? fmt::format("the sources now give {} rows in place of {}", FormatCount(now->digest.rows),
                                        FormatCount(set_.rows))
                          : std::string("the sources now give other values in the same number of rows"));
      if (!changed.empty()) notes.push_back("changed since: " + Join(changed, ", "));
      auto then = RebuildTrainingSet(set_.query, set_.sources, *session);
      if (then && then->digest.Hex() == set_.digest)
        notes.push_back("as they stood at the recorded versions they give the same");
    }
    Add("data", same, Join(notes, "; "));

    std::string why;
    auto bound = work_.Bind(*session, &why);
    if (!bound || !*bound) {
      Add("query", false, bound ? why : bound.error().message());
      return {};
    }
    auto interval = QUERN_TRY(RecordedInterval());
    const QueryOptions options{
        .rows = Rows::kLabeled, .interval = interval.first, .zone = interval.second, .ordered = false};
    const auto query = DatasetQuery(*context_.model, **bound, set_.frame, options);
    std::string note = FirstDifference(set_.query, query);
    if (now) {
      for (const auto& [view, hash] : set_.views) {
        auto it = now->views.find(view);
        if (it == now->views.end() || it->second != hash)
          note += (note.empty() ? "" : "; ") + ("the view " + view) + " is defined in another way";
      }
    }
    Add("query", note.empty(), note);
    return {};
  }

  Result<std::pair<Interval, TimeZone>> RecordedInterval() {
    auto zone = QUERN_TRY(TimeZone::Find(record_.value("timezone", "UTC")));
    auto start = QUERN_TRY(ParseTimestamp(record_.value("interval_start", ""), TimeZone::Utc()));
    auto end = QUERN_TRY(ParseTimestamp(record_.value("interval_end", ""), TimeZone::Utc()));
    return std::pair{Interval{start, end}, zone};
  }

  void CompareConfiguration() {
    const auto& model = *context_.model;
    auto then = record_.value("configuration", Json::object());
    Json now = Json::parse(TrainingConfigText(model, work_.options().project), nullptr, false);
    const Json code_then = then.value("code", Json::object()), code_now = now.value("code", Json::object());
    then.erase("code");
    now.erase("code");
    // Of the whole list of parameters only the candidate's own set counts.
    then.erase("parameters");
    now.erase("parameters");
    std::string note = DifferentKeys(then, now);
    const Json parameters = record_.value("parameters", Json::object());
    const bool listed = std::any_of(model.candidates.begin(), model.candidates.end(),
                                    [&](const auto& candidate) { return candidate.parameters == parameters; });
    if (!listed && note.empty()) note = "no candidate has the parameters " + parameters.dump() + " any more";
    Add("parameters", note.empty(), note);
    const std::string commit = record_.value("git_commit", ""), current = context_.run->git_commit;
    const std::string changed = DifferentKeys(code_then, code_now);
    note = commit == current ? ""
                             : fmt::format("trained at {}, now at {}", commit.empty() ? "no commit" : commit,
                                           current.empty() ? "no commit" : current);
    // A commit elsewhere in the project changes nothing of the training: what matters is compared by itself.
    if (!changed.empty()) note = changed;
    Add("code", changed.empty(), note);
  }

  Result<void> TrainAgain() {
    Training training;
    training.name = record_["trained"].value("candidate", "");
    training.parent_run = record_.value("parent_run", "");
    training.parameters = record_.value("parameters", Json::object());
    training.frame = record_.value("frame", "");
    training.set = set_;
    training.at = QUERN_TRY(RecordedInterval()).first.end;
    if (record_["evaluation_set"].is_object())
      training.evaluation = QUERN_TRY(TrainingSet::FromJson(record_["evaluation_set"]));
    training.validation = record_.value("validation_share", 0.2);
    if (record_["given_rounds"].is_number()) training.rounds = record_["given_rounds"].get<int64_t>();
    auto folder = QUERN_TRY(io::TempFolder::MakeAmong("reproduce-", work_.options().work));
    const auto then_configured = WithTrainingConfig(*context_.model, record_.value("configuration", Json::object()));
    NodeWork as_then(then_configured, work_.options(), work_.task());
    const Fit fit = QUERN_TRY(FitModel(as_then, training, folder.path() / "model", out_.run_id));
    const auto library = record_.value("library", "");
    Add("library", library == fit.library,
        library == fit.library ? library : fmt::format("{} then, {} now", library, fit.library));
    const auto then = Trained::FromJson(record_["trained"]);
    auto note = DifferentKeys(ToJson(then.metrics), ToJson(fit.trained.metrics));
    if (note.empty()) note = DifferentKeys(ToJson(then.validation), ToJson(fit.trained.validation));
    Add("metrics", note.empty(), note);
    std::map<std::string, std::string> before;
    for (const auto& file : record_["files"]) before[file.value("path", "")] = file.value("sha256", "");
    std::vector<std::string> different;
    for (const auto& file : fit.files) {
      auto it = before.find(file.path);
      if (it == before.end() || it->second != file.sha256) different.push_back(file.path);
    }
    Add("model", different.empty(),
        fit.files.empty()   ? std::string("what a trainer of one's own wrote is compared by its figures")
        : different.empty() ? fmt::format("{} files, the same bytes", fit.files.size())
                            : "other bytes in " + Join(different, ", "));
    return {};
  }

  const OperationContext& context_;
  NodeWork& work_;
  Json record_;
  TrainingSet set_;
  Reproduction out_;
};

}  // namespace

Result<int64_t> PromoteByHand(const OperationContext& context, const std::string& run_id) {
  ByHand hand(context, "quern model promote");
  tracking::Store* store = QUERN_TRY(hand.work().tracking());
  const auto run = QUERN_TRY(store->FindRun(run_id));
  if (run) {
    auto of = run->tags.find("quern.model");
    if (of != run->tags.end() && of->second != context.model->name) {
      return Fail(Error(ErrorCode::kInvalidArgument, fmt::format("run {} is a training of the model '{}', not of '{}'",
                                                                 run_id, of->second, context.model->name))
                      .With("run", run_id));
    }
  }
  tracking::NewVersion version;
  version.model = context.model->name;
  version.run_id = run_id;
  version.effect = "by hand/" + run_id;
  version.description = context.why;
  version.tags = {{"quern.promoted_by", context.by}};
  // A version of this run that is there is taken, not made once more.
  for (const auto& there : QUERN_TRY(store->VersionsOfRun(run_id))) {
    if (there.model == context.model->name) return PromoteVersionByHand(context, there.version, "manual");
  }
  auto promotion = QUERN_TRY(store->Promote(version));
  QUERN_TRY(SaveVersion(hand.work(), promotion.version));
  QUERN_TRY(WriteDecision(context, hand.work(), "manual", promotion, run_id));
  return promotion.version;
}

Result<int64_t> PromoteVersionByHand(const OperationContext& context, int64_t version, const std::string& decision) {
  ByHand hand(context, "quern model promote");
  tracking::Store* store = QUERN_TRY(hand.work().tracking());
  auto promotion = QUERN_TRY(store->PromoteVersion(context.model->name, version));
  QUERN_TRY(SaveVersion(hand.work(), version));
  // It was the champion already; a process that died between the alias and the row left the row to us.
  if (!promotion.made && QUERN_TRY(LastDecided(context, hand.work())) == version) return version;
  auto found = QUERN_TRY(store->FindVersion(context.model->name, version));
  QUERN_TRY(WriteDecision(context, hand.work(), decision, promotion, found ? found->run_id : ""));
  return version;
}

bool Reproduction::equal() const {
  return std::all_of(parts.begin(), parts.end(), [](const Part& part) { return part.same; });
}

std::vector<std::string> Reproduction::different() const {
  std::vector<std::string> out;
  for (const auto& part : parts) {
    if (!part.same) out.push_back(part.name);
  }
  return out;
}

Result<Reproduction> Reproduce(const OperationContext& context, const std::string& run_id) {
  ByHand hand(context, "quern model reproduce");
  tracking::Store* store = QUERN_TRY(hand.work().tracking());
  auto run = QUERN_TRY(store->FindRun(run_id));
  if (!run) return Fail(ErrorCode::kTrackingNotFound, fmt::format("there is no run {}", run_id));
  auto record = QUERN_TRY(RecordOf(*store, *run));
  return Reproducing(context, hand.work(), std::move(record)).Run();
}

Result<std::vector<VersionCheck>> VerifyVersions(const OperationContext& context) {
  ByHand hand(context, "quern model verify");
  tracking::Store* store = QUERN_TRY(hand.work().tracking());
  warehouse::Warehouse* house = QUERN_TRY(hand.work().warehouse());
  std::vector<VersionCheck> out;
  for (const auto& version : QUERN_TRY(store->ListVersions(context.model->name))) {
    VersionCheck check{.version = version.version};
    auto opened = hand.work().Open(version);
    if (!opened) {
      check.note = opened.error().message();
    } else if (!opened->training.is_object()) {
      check.foreign = check.good = true;
      check.note = "it was not trained here: there is no training set of it to look for";
    } else {
      auto session = QUERN_TRY(house->NewSession());
      auto set = QUERN_TRY(TrainingSet::FromJson(opened->training.at("training_set")));
      auto verified = VerifyTrainingSet(set, *house, *session);
      check.good = verified && verified->equal;
      check.note = !verified ? verified.error().message()
                   : verified->equal
                       ? fmt::format("{} rows of {} at version {}", FormatCount(set.rows), set.table, set.version)
                       : fmt::format("{} at version {} has other rows than recorded", set.table, set.version);
    }
    std::error_code error;
    if (check.good && !fs::exists(opened->folder / "MLmodel", error)) {
      check.good = false;
      check.note = "the model's files are gone from " + opened->folder.string();
    }
    out.push_back(std::move(check));
  }
  return out;
}

}  // namespace quern::ml
