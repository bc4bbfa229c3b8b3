#include <pwd.h>
#include <unistd.h>

#include <set>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/table_text.h"
#include "cli/workspace.h"
#include "ml/operations.h"
#include "ml/provider.h"

namespace quern::cli {
namespace {

using Cell = std::optional<std::string>;

// The project with its models and its tracking database.
struct ModelWorkspace {
  std::unique_ptr<project::Project> project;
  std::vector<ml::ModelConfig> models;
  ml::ProviderOptions options;
  schedule::RunContext run;
  tracking::Store* store = nullptr;  ///< null when nothing was ever tracked
};

Result<ModelWorkspace> OpenModels(Invocation& invocation) {
  ModelWorkspace out;
  Diagnostics diagnostics;
  out.project = QUERN_TRY(OpenProject(invocation, diagnostics));
  if (!diagnostics.ok()) return Fail(diagnostics.errors().front());
  out.models = ml::LoadModels(out.project->root(), diagnostics);
  if (!diagnostics.ok()) return Fail(diagnostics.errors().front());
  out.options = ModelOptions(*out.project);
  out.run = out.project->ManualContext();
  out.store = QUERN_TRY(out.project->tracking_if_any());
  return out;
}

Result<const ml::ModelConfig*> FindModel(const ModelWorkspace& workspace, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& model : workspace.models) {
    if (model.name == name) return &model;
    names.push_back(model.name);
  }
  auto hint = DidYouMean(name, names);
  return Fail(Error(ErrorCode::kTrackingNotFound, fmt::format("there is no model '{}' in ml/*.yml", name))
                  .Hint(!hint.empty()   ? hint
                        : names.empty() ? "the project has no models"
                                        : "there are: " + Join(names, ", ")));
}

Result<tracking::Store*> Tracked(const ModelWorkspace& workspace) {
  if (workspace.store) return workspace.store;
  return Fail(Error(ErrorCode::kTrackingNotFound, "nothing was trained yet").Hint("run a schedule: quern run"));
}

ml::OperationContext ContextOf(const ModelWorkspace& workspace, const ml::ModelConfig& model, Invocation& invocation) {
  const auto* user = getpwuid(getuid());
  return {.model = &model,
          .options = &workspace.options,
          .run = &workspace.run,
          .by = user ? user->pw_name : std::to_string(getuid()),
          .why = invocation.args.GetOr("reason", "")};
}

Cell Number(const std::map<std::string, tracking::Metric>& metrics, const std::string& name) {
  auto it = metrics.find(name);
  return it == metrics.end() ? Cell() : Cell(fmt::format("{:.4f}", it->second.value));
}

// The metric that a run's training is judged by.
std::string MetricOf(const ml::ModelConfig& model, const tracking::Run& run) {
  if (!model.promote.metric.empty()) return model.promote.metric;
  if (auto it = run.tags.find("quern.metric"); it != run.tags.end()) return it->second;
  return ml::DefaultMetric(model.train.task.value_or(ml::TaskType::kClassification));
}

// A version by its number ("3", "v3") or an alias.
Result<std::optional<tracking::ModelVersion>> FindVersion(tracking::Store& store, const std::string& model,
                                                          const std::string& text) {
  const std::string digits = text.starts_with("v") ? text.substr(1) : text;
  if (!digits.empty() && digits.size() < 10 && digits.find_first_not_of("0123456789") == std::string::npos) {
    if (auto version = QUERN_TRY(store.FindVersion(model, std::stoll(digits)))) return version;
  }
  return store.FindVersionByAlias(model, text);
}

// A run by its id, the beginning of it, a version's number or an alias.
Result<tracking::Run> FindRun(tracking::Store& store, const std::string& model, const std::string& text) {
  if (auto run = QUERN_TRY(store.FindRun(text))) return *run;
  if (!model.empty()) {
    auto version = QUERN_TRY(FindVersion(store, model, text));
    if (version && !version->run_id.empty()) {
      if (auto run = QUERN_TRY(store.FindRun(version->run_id))) return *run;
    }
  }
  std::vector<tracking::Run> found;
  std::vector<std::string> ids;
  for (auto& run : QUERN_TRY(store.ListRuns({}))) {
    ids.push_back(run.run_id);
    if (text.size() >= 4 && run.run_id.starts_with(text)) found.push_back(run);
  }
  if (found.size() == 1) return found.front();
  return Fail(Error(ErrorCode::kTrackingNotFound,
                    found.empty() ? fmt::format("there is no run or version '{}'", text)
                                  : fmt::format("'{}' begins the ids of {} runs", text, found.size()))
                  .Hint(found.empty() ? DidYouMean(text, ids) : "give more of the id"));
}

Json RunJson(const tracking::Run& run) {
  Json metrics = Json::object();
  for (const auto& [name, metric] : run.metrics) metrics[name] = metric.value;
  return {{"run_id", run.run_id},
          {"name", run.name},
          {"status", run.status},
          {"params", run.params},
          {"tags", run.tags},
          {"metrics", metrics},
          {"artifact_uri", run.artifact_uri}};
}

Json VersionJson(const tracking::ModelVersion& version) {
  return {{"model", version.model},
          {"version", version.version},
          {"run_id", version.run_id},
          {"aliases", version.aliases},
          {"created", FormatUtc(version.created)},
          {"source", version.source},
          {"status", version.status},
          {"description", version.description},
          {"tags", version.tags}};
}

// The candidates of every training of a model, newest first.
Result<std::vector<tracking::Run>> Candidates(tracking::Store& store, const std::string& model) {
  auto experiment = QUERN_TRY(store.FindExperiment(model));
  if (!experiment) return std::vector<tracking::Run>();
  return store.ListRuns({.experiment_id = experiment->id, .tags = {{"quern.kind", "candidate"}}});
}

std::string ParentOf(const tracking::Run& run) {
  auto it = run.tags.find("mlflow.parentRunId");
  return it == run.tags.end() ? "" : it->second;
}

template <class Body>
int WithModels(Invocation& invocation, Body body) {
  auto workspace = OpenModels(invocation);
  if (!workspace) return invocation.Failed(workspace.error());
  Result<int> done = body(*workspace);
  return done ? *done : invocation.Failed(done.error());
}

template <class Body>
int WithModel(Invocation& invocation, Body body) {
  return WithModels(invocation, [&](ModelWorkspace& workspace) -> Result<int> {
    const ml::ModelConfig* model = QUERN_TRY(FindModel(workspace, *invocation.args.Positional("MODEL")));
    return body(workspace, *model);
  });
}

void Show(Invocation& invocation, TextTable table) {
  for (auto& row : table.rows) {
    for (auto& cell : row) cell = cell.value_or("");
  }
  invocation.terminal.OutRaw(Draw(table, invocation.terminal.width(), invocation.terminal));
}

}  // namespace

int RunModelList(Invocation& invocation) {
  return WithModels(invocation, [&](ModelWorkspace& workspace) -> Result<int> {
    TextTable table{{{"model"}, {"versions", true}, {"champion", true}, {"trained for"}, {"metric"}, {"value", true}},
                    {}};
    Json list = Json::array();
    for (const auto& model : workspace.models) {
      std::vector<tracking::ModelVersion> versions;
      std::optional<tracking::ModelVersion> champion;
      std::optional<tracking::Run> run;
      if (workspace.store) {
        versions = QUERN_TRY(workspace.store->ListVersions(model.name));
        champion = QUERN_TRY(workspace.store->FindVersionByAlias(model.name, "champion"));
        if (champion && !champion->run_id.empty()) run = QUERN_TRY(workspace.store->FindRun(champion->run_id));
      }
      Cell trained, metric, value;
      Json exact;  // the value as it is
      if (run) {
        if (auto it = run->tags.find("quern.dag_run"); it != run->tags.end()) trained = it->second;
        metric = MetricOf(model, *run);
        auto take = [&](const std::map<std::string, tracking::Metric>& metrics) {
          value = Number(metrics, *metric);
          if (value) exact = metrics.at(*metric).value;
        };
        take(run->metrics);
        if (!value && champion->tags.contains("quern.candidate")) {
          // A model trained once more is known by the figures of its candidate.
          for (const auto& sibling : QUERN_TRY(Candidates(*workspace.store, model.name))) {
            if (sibling.name == champion->tags["quern.candidate"] && sibling.tags.contains("mlflow.parentRunId") &&
                run->tags.contains("mlflow.parentRunId") &&
                sibling.tags.at("mlflow.parentRunId") == run->tags.at("mlflow.parentRunId"))
              metric = MetricOf(model, sibling), take(sibling.metrics);
          }
        }
      }
      table.Add({model.name, std::to_string(versions.size()),
                 champion ? Cell(std::to_string(champion->version)) : Cell(), trained, metric, value});
      list.push_back({{"name", model.name},
                      {"versions", versions.size()},
                      {"champion", champion ? Json(champion->version) : Json()},
                      {"metric", metric ? Json(*metric) : Json()},
                      {"value", exact}});
    }
    if (invocation.json()) {
      invocation.PrintJson({{"models", list}});
    } else if (workspace.models.empty()) {
      invocation.terminal.Say("the project has no models: describe one in ml/*.yml");
    } else {
      Show(invocation, table);
    }
    return kDone;
  });
}

int RunModelShow(Invocation& invocation) {
  return WithModel(invocation, [&](ModelWorkspace& workspace, const ml::ModelConfig& model) -> Result<int> {
    tracking::Store* store = QUERN_TRY(Tracked(workspace));
    auto versions = QUERN_TRY(store->ListVersions(model.name));
    auto candidates = QUERN_TRY(Candidates(*store, model.name));
    std::map<std::string, const tracking::Run*> by_id;
    for (const auto& run : candidates) by_id[run.run_id] = &run;
    if (invocation.json()) {
      Json list = Json::array();
      for (const auto& version : versions) {
        Json one = VersionJson(version);
        if (auto it = by_id.find(version.run_id); it != by_id.end()) one["run"] = RunJson(*it->second);
        list.push_back(std::move(one));
      }
      invocation.PrintJson({{"name", model.name},
                            {"description", model.description},
                            {"candidates", model.candidates.size()},
                            {"versions", list}});
      return kDone;
    }
    auto& terminal = invocation.terminal;
    terminal.Say(fmt::format("{}{}", model.name, model.description.empty() ? "" : ": " + model.description));
    TextTable table{{{"version", true}, {"aliases"}, {"trained in"}, {"candidate"}, {"rows", true}, {"run"}, {"why"}},
                    {}};
    for (const auto& version : versions) {
      auto tag = [&](const char* key) {
        auto it = version.tags.find(key);
        return it == version.tags.end() ? Cell() : Cell(it->second);
      };
      Cell rows;
      if (auto it = by_id.find(version.run_id); it != by_id.end() && it->second->params.contains("rows"))
        rows = it->second->params.at("rows");
      table.Add({std::to_string(version.version), Join(version.aliases, ", "), tag("quern.dag_run"),
                 tag("quern.candidate"), rows, version.run_id.substr(0, 8), version.description});
    }
    Show(invocation, table);
    return kDone;
  });
}

int RunModelCompare(Invocation& invocation) {
  return WithModel(invocation, [&](ModelWorkspace& workspace, const ml::ModelConfig& model) -> Result<int> {
    tracking::Store* store = QUERN_TRY(Tracked(workspace));
    std::vector<tracking::Run> runs;
    for (const auto& text : invocation.args.Positionals("RUN"))
      runs.push_back(QUERN_TRY(FindRun(*store, model.name, text)));
    if (runs.empty()) {
      // The candidates of the newest training.
      auto candidates = QUERN_TRY(Candidates(*store, model.name));
      for (const auto& run : candidates) {
        if (ParentOf(run) == ParentOf(candidates.front())) runs.push_back(run);
      }
    }
    if (runs.empty()) return Fail(ErrorCode::kTrackingNotFound, "no run of " + model.name + " is there to compare");
    if (invocation.json()) {
      Json list = Json::array();
      for (const auto& run : runs) list.push_back(RunJson(run));
      invocation.PrintJson({{"model", model.name}, {"runs", list}});
      return kDone;
    }
    TextTable table{{{""}}, {}};
    std::set<std::string> params, metrics;
    for (const auto& run : runs) {
      table.columns.push_back({fmt::format("{} {}", run.name, run.run_id.substr(0, 8)), true});
      for (const auto& [name, value] : run.params) params.insert(name);
      for (const auto& [name, value] : run.metrics) metrics.insert(name);
    }
    for (const auto& name : metrics) {
      std::vector<Cell> row = {name};
      for (const auto& run : runs) row.push_back(Number(run.metrics, name));
      table.Add(row);
    }
    for (const auto& name : params) {
      std::vector<Cell> row = {name};
      std::set<std::string> values;
      for (const auto& run : runs) {
        auto it = run.params.find(name);
        row.push_back(it == run.params.end() ? Cell() : Cell(it->second));
        values.insert(row.back().value_or(""));
      }
      // What all have in common tells nothing apart.
      if (values.size() > 1 || runs.size() == 1) table.Add(row);
    }
    Show(invocation, table);
    return kDone;
  });
}

int RunModelBest(Invocation& invocation) {
  return WithModel(invocation, [&](ModelWorkspace& workspace, const ml::ModelConfig& model) -> Result<int> {
    tracking::Store* store = QUERN_TRY(Tracked(workspace));
    auto candidates = QUERN_TRY(Candidates(*store, model.name));
    if (candidates.empty()) return Fail(ErrorCode::kTrackingNotFound, "nothing was trained for " + model.name + " yet");
    const std::string metric = invocation.args.GetOr("metric", MetricOf(model, candidates.front()));
    std::set<std::string> known;
    for (const auto& run : candidates) {
      for (const auto& [name, value] : run.metrics) known.insert(name);
    }
    auto experiment = QUERN_TRY(store->FindExperiment(model.name));
    tracking::RunFilter filter{.experiment_id = experiment->id, .tags = {{"quern.kind", "candidate"}}};
    if (auto dag_run = invocation.args.Get("run")) filter.tags["quern.dag_run"] = *dag_run;
    auto best = QUERN_TRY(store->BestRun(filter, metric, ml::LargerIsBetter(metric)));
    if (!best) {
      return Fail(
          Error(ErrorCode::kTrackingNotFound, fmt::format("no run of {} has the metric '{}'", model.name, metric))
              .Hint(DidYouMean(metric, {known.begin(), known.end()})));
    }
    if (invocation.json()) {
      invocation.PrintJson({{"model", model.name}, {"metric", metric}, {"run", RunJson(*best)}});
    } else {
      invocation.terminal.OutRaw(
          fmt::format("{}  {}  {} {:.6f}  {}\n", best->run_id, best->name, metric, best->metrics.at(metric).value,
                      best->tags.contains("quern.dag_run") ? best->tags.at("quern.dag_run") : ""));
    }
    return kDone;
  });
}

int RunModelPromote(Invocation& invocation) {
  return WithModel(invocation, [&](ModelWorkspace& workspace, const ml::ModelConfig& model) -> Result<int> {
    tracking::Store* store = QUERN_TRY(Tracked(workspace));
    const auto text = *invocation.args.Positional("RUN");
    const auto context = ContextOf(workspace, model, invocation);
    int64_t version = 0;
    std::string run_id;
    // A version that is there, also one that a client of MLflow made of no run.
    if (auto there = QUERN_TRY(FindVersion(*store, model.name, text))) {
      run_id = there->run_id;
      version = QUERN_TRY(ml::PromoteVersionByHand(context, there->version, "manual"));
    } else {
      run_id = QUERN_TRY(FindRun(*store, model.name, text)).run_id;
      version = QUERN_TRY(ml::PromoteByHand(context, run_id));
    }
    if (invocation.json()) {
      invocation.PrintJson({{"model", model.name}, {"champion", version}, {"run_id", run_id}});
    } else {
      invocation.terminal.Say(fmt::format("version {} of {} is champion now", version, model.name));
    }
    return kDone;
  });
}

int RunModelRollback(Invocation& invocation) {
  return WithModel(invocation, [&](ModelWorkspace& workspace, const ml::ModelConfig& model) -> Result<int> {
    tracking::Store* store = QUERN_TRY(Tracked(workspace));
    auto previous = QUERN_TRY(store->FindVersionByAlias(model.name, "previous"));
    if (!previous) {
      return Fail(
          Error(ErrorCode::kTrackingNotFound, fmt::format("{} has no previous champion to go back to", model.name))
              .Hint("quern model show lists its versions; quern model promote takes any of them"));
    }
    const auto version =
        QUERN_TRY(ml::PromoteVersionByHand(ContextOf(workspace, model, invocation), previous->version, "rollback"));
    if (invocation.json()) {
      invocation.PrintJson({{"model", model.name}, {"champion", version}});
    } else {
      invocation.terminal.Say(fmt::format("version {} of {} is champion again", version, model.name));
    }
    return kDone;
  });
}

int RunModelReproduce(Invocation& invocation) {
  return WithModels(invocation, [&](ModelWorkspace& workspace) -> Result<int> {
    tracking::Store* store = QUERN_TRY(Tracked(workspace));
    const auto text = *invocation.args.Positional("RUN");
    const std::string of = invocation.args.GetOr("model", workspace.models.size() == 1 ? workspace.models[0].name : "");
    auto run = QUERN_TRY(FindRun(*store, of, text));
    auto name = run.tags.find("quern.model");
    if (name == run.tags.end()) {
      return Fail(
          Error(ErrorCode::kNotReproducible, fmt::format("run {} was not trained by this program", run.run_id)));
    }
    std::vector<std::string> ids = {run.run_id};
    if (run.tags.contains("quern.kind") && run.tags.at("quern.kind") == "training") {
      ids.clear();  // a whole training: each of its candidates
      for (const auto& child : QUERN_TRY(store->ListRuns({.parent_run_id = run.run_id}))) ids.push_back(child.run_id);
    }
    const ml::ModelConfig* model = QUERN_TRY(FindModel(workspace, name->second));
    bool equal = true;
    Json list = Json::array();
    for (const auto& id : ids) {
      auto reproduction = QUERN_TRY(ml::Reproduce(ContextOf(workspace, *model, invocation), id));
      equal &= reproduction.equal();
      Json parts = Json::array();
      for (const auto& part : reproduction.parts)
        parts.push_back({{"part", part.name}, {"same", part.same}, {"note", part.note}});
      list.push_back(
          {{"run_id", id}, {"equal", reproduction.equal()}, {"different", reproduction.different()}, {"parts", parts}});
      if (invocation.json()) continue;
      auto& terminal = invocation.terminal;
      for (const auto& part : reproduction.parts) {
        terminal.OutRaw(fmt::format("  {:<12}{:<8}{}\n", part.name, part.same ? "same" : "differs", part.note));
      }
      terminal.OutRaw(fmt::format(
          "{}: {}\n", id, reproduction.equal() ? "equal" : "differs in " + Join(reproduction.different(), ", ")));
    }
    if (invocation.json()) invocation.PrintJson({{"equal", equal}, {"runs", list}});
    return equal ? kDone : kFailed;
  });
}

int RunModelVerify(Invocation& invocation) {
  return WithModels(invocation, [&](ModelWorkspace& workspace) -> Result<int> {
    bool good = true;
    Json list = Json::array();
    TextTable table{{{"model"}, {"version", true}, {"training set"}, {"note"}}, {}};
    const auto only = invocation.args.Positional("MODEL");
    if (only) QUERN_TRY(FindModel(workspace, *only));
    for (const auto& model : workspace.models) {
      if ((only && *only != model.name) || !workspace.store) continue;
      for (const auto& check : QUERN_TRY(ml::VerifyVersions(ContextOf(workspace, model, invocation)))) {
        good &= check.good;
        table.Add({model.name, std::to_string(check.version),
                   check.foreign ? "none"
                   : check.good  ? "there"
                                 : "NOT THERE",
                   check.note});
        list.push_back({{"model", model.name}, {"version", check.version}, {"good", check.good}, {"note", check.note}});
      }
    }
    if (invocation.json()) {
      invocation.PrintJson({{"good", good}, {"versions", list}});
    } else if (list.empty()) {
      invocation.terminal.Say("no version is registered yet");
    } else {
      Show(invocation, table);
    }
    return good ? kDone : kFailed;
  });
}

}  // namespace quern::cli
