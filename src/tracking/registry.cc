// What is written to the registry: models, versions, aliases, each call one transaction.
#include "base/json.h"
#include "base/text.h"
#include "tracking/batch_insert.h"
#include "tracking/names.h"
#include "tracking/registry_rows.h"
#include "tracking/store.h"

namespace quern::tracking {
namespace {

using state::Connection;
using state::Param;

Param TextOrNull(const std::string& text) {
  return text.empty() ? Param() : Param(text);
}

Result<void> MakeModel(Connection& db, const std::string& model, const std::string& description, int64_t now) {
  QUERN_TRY(
      db.Execute("INSERT INTO registered_models (name, creation_time, last_updated_time, description) VALUES (:p1, "
                 ":p2, :p2, :p3) ON CONFLICT (workspace, name) DO NOTHING",
                 {model, now, TextOrNull(description)}));
  return {};
}

Result<void> NeedModel(Connection& db, const std::string& model) {
  const auto rows = QUERN_TRY(db.Query("SELECT name FROM registered_models WHERE workspace = 'default'"));
  std::vector<std::string> names;
  for (const auto& row : rows) names.push_back(row.Text(0));
  if (std::find(names.begin(), names.end(), model) != names.end()) return {};
  return Fail(Error(ErrorCode::kTrackingNotFound, fmt::format("there is no registered model '{}'", model))
                  .With("model", model)
                  .Hint(DidYouMean(model, names)));
}

Result<void> NeedVersion(Connection& db, const std::string& model, int64_t version) {
  QUERN_TRY(NeedModel(db, model));
  const auto rows = QUERN_TRY(db.Query(
      "SELECT version, current_stage FROM model_versions WHERE workspace = 'default' AND name = :p1", {model}));
  int64_t last = 0;
  for (const auto& row : rows) {
    const bool deleted = row.Text(1) == "Deleted_Internal";
    if (row.Int(0) == version && !deleted) return {};
    if (row.Int(0) == version) {
      return Fail(Error(ErrorCode::kTrackingNotFound,
                        fmt::format("version {} of the model '{}' was deleted by a client of MLflow", version, model))
                      .With("model", model));
    }
    if (!deleted) last = std::max(last, row.Int(0));
  }
  return Fail(Error(ErrorCode::kTrackingNotFound, fmt::format("the model '{}' has no version {}", model, version))
                  .With("model", model)
                  .Hint(last == 0 ? "it has no version yet" : fmt::format("its last version is {}", last)));
}

Result<void> PutAlias(Connection& db, const std::string& model, std::string_view alias, int64_t version) {
  QUERN_TRY(
      db.Execute("INSERT INTO registered_model_aliases (alias, version, name) VALUES (:p1, :p2, :p3) ON CONFLICT "
                 "(workspace, name, alias) DO UPDATE SET version = excluded.version",
                 {std::string(alias), version, model}));
  return {};
}

Result<void> DropAlias(Connection& db, const std::string& model, std::string_view alias) {
  QUERN_TRY(
      db.Execute("DELETE FROM registered_model_aliases WHERE workspace = 'default' AND name = :p1 AND alias = :p2",
                 {model, std::string(alias)}));
  return {};
}

struct Source {
  std::string model_id;  ///< "" when a source was given
  std::string source;
  std::string storage_location;
};

Result<Source> SourceOf(Connection& db, const NewVersion& version) {
  const auto runs = QUERN_TRY(db.Query("SELECT 1 FROM runs WHERE run_uuid = :p1", {version.run_id}));
  if (runs.empty()) {
    return Fail(Error(ErrorCode::kTrackingNotFound, fmt::format("there is no run {}", version.run_id))
                    .With("model", version.model));
  }
  if (!version.source.empty()) {
    return Source{.model_id = "", .source = version.source, .storage_location = version.source};
  }
  const auto models = QUERN_TRY(
      db.Query("SELECT m.model_id, m.artifact_location FROM inputs i JOIN logged_models m ON m.model_id = "
               "i.destination_id WHERE i.source_type = 'RUN_OUTPUT' AND i.source_id = :p1 AND i.destination_type = "
               "'MODEL_OUTPUT' AND m.lifecycle_stage = 'active' ORDER BY m.creation_timestamp_ms, m.model_id LIMIT 1",
               {version.run_id}));
  if (models.empty()) {
    return Fail(Error(ErrorCode::kTrackingNotFound, fmt::format("the run {} has no model to register", version.run_id))
                    .With("model", version.model));
  }
  const std::string id = models[0].Text(0);
  return Source{.model_id = id, .source = "models:/" + id, .storage_location = models[0].Text(1)};
}

/// The tag by which MLflow's client shows, at a run's model, the versions made of it.
Result<void> NoteVersionAtModel(Connection& db, const std::string& model_id, const std::string& name, int64_t number,
                                int64_t now) {
  const auto rows =
      QUERN_TRY(db.Query("SELECT m.experiment_id, t.tag_value FROM logged_models m LEFT JOIN "
                         "logged_model_tags t ON t.model_id = m.model_id AND t.tag_key = "
                         "'mlflow.modelVersions' WHERE m.model_id = :p1",
                         {model_id}));
  if (rows.empty()) return {};
  Json versions = Json::array();
  if (auto parsed = ParseJson(rows[0].Text(1), "mlflow.modelVersions"); parsed && parsed->is_array()) {
    versions = *std::move(parsed);
  }
  versions.push_back({{"name", name}, {"version", number}});
  QUERN_TRY(
      db.Execute("INSERT INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) VALUES (:p1, :p2, "
                 "'mlflow.modelVersions', :p3) ON CONFLICT (model_id, tag_key) DO UPDATE SET tag_value = "
                 "excluded.tag_value",
                 {model_id, rows[0].Int(0), versions.dump()}));
  QUERN_TRY(
      db.Execute("UPDATE logged_models SET last_updated_timestamp_ms = :p1 WHERE model_id = :p2", {now, model_id}));
  return {};
}

Result<Promotion> MakeVersion(Connection& db, const NewVersion& version, int64_t now) {
  const auto found = QUERN_TRY(ReadVersions(
      db,
      "v.name = :p1 AND v.version IN (SELECT version FROM model_version_tags WHERE workspace = 'default' AND \"key\" = "
      "'quern.effect' AND name = :p1 AND value = :p2)",
      {version.model, version.effect}));
  if (!found.empty()) return Promotion{.version = found[0].version, .made = false, .former = std::nullopt};
  const Source source = QUERN_TRY(SourceOf(db, version));
  QUERN_TRY(MakeModel(db, version.model, "", now));
  const auto last =
      QUERN_TRY(db.Query("SELECT coalesce(max(version), 0) FROM model_versions WHERE workspace = 'default' "
                         "AND name = :p1",
                         {version.model}));
  const int64_t number = last.at(0).Int(0) + 1;
  QUERN_TRY(
      db.Execute("INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, "
                 "current_stage, source, run_id, status, storage_location) VALUES (:p1, :p2, :p3, :p3, :p4, 'None', "
                 ":p5, :p6, 'READY', :p7)",
                 {version.model, number, now, TextOrNull(version.description), source.source, version.run_id,
                  source.storage_location}));
  QUERN_TRY(
      db.Execute("UPDATE registered_models SET last_updated_time = :p1 WHERE workspace = 'default' AND name = :p2",
                 {now, version.model}));
  Values tags = version.tags;
  tags["quern.effect"] = version.effect;
  BatchInsert rows(db, "INSERT INTO model_version_tags (\"key\", value, name, version) VALUES", 4);
  for (const auto& [key, value] : tags) QUERN_TRY(rows.Add({key, value, version.model, number}));
  QUERN_TRY(rows.Finish());
  if (!source.model_id.empty()) QUERN_TRY(NoteVersionAtModel(db, source.model_id, version.model, number, now));
  return Promotion{.version = number, .made = true, .former = std::nullopt};
}

Result<void> CheckVersion(const NewVersion& version) {
  QUERN_TRY(CheckModelName(version.model));
  QUERN_TRY(CheckRunId(version.run_id));
  if (version.effect.empty()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("a version of '{}' needs an effect", version.model));
  }
  for (const auto& [key, value] : version.tags) QUERN_TRY(CheckKey("tag", key));
  return {};
}

/// Makes a version champion, and the former one `previous`.
Result<std::optional<int64_t>> Crown(Connection& db, const std::string& model, int64_t version) {
  const auto former = QUERN_TRY(AliasOf(db, model, kChampion));
  QUERN_TRY(PutAlias(db, model, kChampion, version));
  if (former) QUERN_TRY(PutAlias(db, model, kPrevious, *former));
  return former;
}

}  // namespace

Result<RegisteredModel> Store::GetOrCreateModel(const std::string& model, const std::string& description) {
  QUERN_TRY(CheckModelName(model));
  RegisteredModel out;
  QUERN_TRY(db_->Write([&](Connection& db) -> Result<void> {
    QUERN_TRY(MakeModel(db, model, description, MillisSinceEpoch(Now())));
    out = QUERN_TRY(ReadModels(db, "m.name = :p1", {model})).at(0);
    return {};
  }));
  return out;
}

Result<Promotion> Store::RegisterVersion(const NewVersion& version) {
  QUERN_TRY(CheckVersion(version));
  Promotion made;
  QUERN_TRY(db_->Write([&](Connection& db) -> Result<void> {
    made = QUERN_TRY(MakeVersion(db, version, MillisSinceEpoch(Now())));
    return {};
  }));
  return made;
}

Result<Promotion> Store::Promote(const NewVersion& version) {
  QUERN_TRY(CheckVersion(version));
  Promotion promotion;
  QUERN_TRY(db_->Write([&](Connection& db) -> Result<void> {
    promotion = QUERN_TRY(MakeVersion(db, version, MillisSinceEpoch(Now())));
    if (promotion.made) promotion.former = QUERN_TRY(Crown(db, version.model, promotion.version));
    return {};
  }));
  return promotion;
}

Result<Promotion> Store::PromoteVersion(const std::string& model, int64_t version) {
  Promotion promotion{.version = version, .made = false, .former = std::nullopt};
  QUERN_TRY(db_->Write([&](Connection& db) -> Result<void> {
    QUERN_TRY(NeedVersion(db, model, version));
    if (QUERN_TRY(AliasOf(db, model, kChampion)) == version) return {};
    promotion.former = QUERN_TRY(Crown(db, model, version));
    promotion.made = true;
    return {};
  }));
  return promotion;
}

Result<void> Store::SetAliases(const std::string& model, const std::map<std::string, std::optional<int64_t>>& aliases) {
  for (const auto& [alias, version] : aliases) QUERN_TRY(CheckAlias(alias));
  return db_->Write([&](Connection& db) -> Result<void> {
    QUERN_TRY(NeedModel(db, model));
    for (const auto& [alias, version] : aliases) {
      if (version) {
        QUERN_TRY(NeedVersion(db, model, *version));
        QUERN_TRY(PutAlias(db, model, alias, *version));
      } else {
        QUERN_TRY(DropAlias(db, model, alias));
      }
    }
    return {};
  });
}

Result<void> Store::SetAlias(const std::string& model, const std::string& alias, int64_t version) {
  return SetAliases(model, {{alias, version}});
}

Result<void> Store::DeleteAlias(const std::string& model, const std::string& alias) {
  return SetAliases(model, {{alias, std::nullopt}});
}

Result<void> Store::SetVersionTag(const std::string& model, int64_t version, const std::string& key,
                                  const std::string& value) {
  QUERN_TRY(CheckKey("tag", key));
  return db_->Write([&](Connection& db) -> Result<void> {
    QUERN_TRY(NeedVersion(db, model, version));
    QUERN_TRY(
        db.Execute("INSERT INTO model_version_tags (\"key\", value, name, version) VALUES (:p1, :p2, :p3, :p4) ON "
                   "CONFLICT (workspace, \"key\", name, version) DO UPDATE SET value = excluded.value",
                   {key, value, model, version}));
    return {};
  });
}

}  // namespace quern::tracking
