// What is read about registered models and their versions.
#include "base/text.h"
#include "tracking/registry_rows.h"
#include "tracking/store.h"

namespace quern::tracking {
namespace {

using state::Connection;
using state::Param;

constexpr std::string_view kLive = "v.workspace = 'default' AND v.current_stage <> 'Deleted_Internal'";

Timestamp TimeOf(int64_t ms) {
  return FromMicros(ms * 1000);
}

Result<std::optional<ModelVersion>> FirstVersion(state::Database& database, std::string_view condition,
                                                 const std::vector<Param>& params) {
  std::vector<ModelVersion> versions;
  QUERN_TRY(database.Read([&](Connection& db) -> Result<void> {
    versions = QUERN_TRY(ReadVersions(db, condition, params));
    return {};
  }));
  if (versions.empty()) return std::nullopt;
  return std::move(versions[0]);
}

}  // namespace

Result<std::vector<ModelVersion>> ReadVersions(Connection& db, std::string_view condition,
                                               const std::vector<Param>& params) {
  const std::string where = fmt::format("{} AND {}", kLive, condition);
  const auto rows = QUERN_TRY(db.Query(
      fmt::format(
          "SELECT v.name, v.version, v.creation_time, v.last_updated_time, v.description, v.source, "
          "v.storage_location, v.run_id, v.status FROM model_versions v WHERE {} ORDER BY v.name, v.version DESC",
          where),
      params));
  if (rows.empty()) return std::vector<ModelVersion>();
  std::vector<ModelVersion> versions;
  std::map<std::pair<std::string, int64_t>, size_t> at;
  for (const auto& row : rows) {
    at[{row.Text(0), row.Int(1)}] = versions.size();
    versions.push_back({.model = row.Text(0),
                        .version = row.Int(1),
                        .created = TimeOf(row.Int(2)),
                        .updated = TimeOf(row.Int(3)),
                        .description = row.Text(4),
                        .source = row.Text(5),
                        .storage_location = row.IsNull(6) ? row.Text(5) : row.Text(6),
                        .run_id = row.Text(7),
                        .status = row.Text(8),
                        .tags = {},
                        .aliases = {}});
  }
  const auto tags = QUERN_TRY(db.Query(
      fmt::format("SELECT t.name, t.version, t.\"key\", t.value FROM model_versions v JOIN model_version_tags t "
                  "ON t.workspace = v.workspace AND t.name = v.name AND t.version = v.version WHERE {}",
                  where),
      params));
  for (const auto& row : tags) versions[at.at({row.Text(0), row.Int(1)})].tags[row.Text(2)] = row.Text(3);
  const auto aliases = QUERN_TRY(
      db.Query(fmt::format("SELECT a.name, a.version, a.alias FROM model_versions v JOIN registered_model_aliases a ON "
                           "a.workspace = v.workspace AND a.name = v.name AND a.version = v.version WHERE {} ORDER BY "
                           "a.alias",
                           where),
               params));
  for (const auto& row : aliases) versions[at.at({row.Text(0), row.Int(1)})].aliases.push_back(row.Text(2));
  return versions;
}

Result<std::vector<RegisteredModel>> ReadModels(Connection& db, std::string_view condition,
                                                const std::vector<Param>& params) {
  const std::string where = fmt::format("m.workspace = 'default' AND {}", condition);
  const auto rows = QUERN_TRY(db.Query(fmt::format("SELECT m.name, m.creation_time, m.last_updated_time, m.description "
                                                   "FROM registered_models m WHERE {} ORDER BY m.name",
                                                   where),
                                       params));
  std::vector<RegisteredModel> models;
  std::map<std::string, size_t> at;
  for (const auto& row : rows) {
    at[row.Text(0)] = models.size();
    models.push_back({.name = row.Text(0),
                      .created = TimeOf(row.Int(1)),
                      .updated = TimeOf(row.Int(2)),
                      .description = row.Text(3),
                      .tags = {},
                      .aliases = {}});
  }
  const auto tags = QUERN_TRY(
      db.Query(fmt::format("SELECT t.name, t.\"key\", t.value FROM registered_models m JOIN registered_model_tags t ON "
                           "t.workspace = m.workspace AND t.name = m.name WHERE {}",
                           where),
               params));
  for (const auto& row : tags) models[at.at(row.Text(0))].tags[row.Text(1)] = row.Text(2);
  const auto aliases = QUERN_TRY(db.Query(
      fmt::format("SELECT a.name, a.alias, a.version FROM registered_models m JOIN registered_model_aliases a ON "
                  "a.workspace = m.workspace AND a.name = m.name WHERE {}",
                  where),
      params));
  for (const auto& row : aliases) models[at.at(row.Text(0))].aliases[row.Text(1)] = row.Int(2);
  return models;
}

Result<std::optional<int64_t>> AliasOf(Connection& db, const std::string& model, std::string_view alias) {
  const auto rows =
      QUERN_TRY(db.Query("SELECT version FROM registered_model_aliases WHERE workspace = 'default' AND name "
                         "= :p1 AND alias = :p2",
                         {model, std::string(alias)}));
  if (rows.empty()) return std::nullopt;
  return rows[0].Int(0);
}

Result<std::optional<RegisteredModel>> Store::FindModel(const std::string& model) {
  std::vector<RegisteredModel> models;
  QUERN_TRY(db_->Read([&](Connection& db) -> Result<void> {
    models = QUERN_TRY(ReadModels(db, "m.name = :p1", {model}));
    return {};
  }));
  if (models.empty()) return std::nullopt;
  return std::move(models[0]);
}

Result<std::vector<RegisteredModel>> Store::ListModels() {
  std::vector<RegisteredModel> models;
  QUERN_TRY(db_->Read([&](Connection& db) -> Result<void> {
    models = QUERN_TRY(ReadModels(db, "1 = 1", {}));
    return {};
  }));
  return models;
}

Result<std::vector<ModelVersion>> Store::ListVersions(const std::string& model) {
  std::vector<ModelVersion> versions;
  QUERN_TRY(db_->Read([&](Connection& db) -> Result<void> {
    versions = QUERN_TRY(ReadVersions(db, "v.name = :p1", {model}));
    return {};
  }));
  return versions;
}

Result<std::vector<ModelVersion>> Store::VersionsOfRun(const std::string& run_id) {
  std::vector<ModelVersion> versions;
  QUERN_TRY(db_->Read([&](Connection& db) -> Result<void> {
    versions = QUERN_TRY(ReadVersions(db, "v.run_id = :p1", {run_id}));
    return {};
  }));
  return versions;
}

Result<std::optional<ModelVersion>> Store::FindVersion(const std::string& model, int64_t version) {
  return FirstVersion(*db_, "v.name = :p1 AND v.version = :p2", {model, version});
}

Result<std::optional<ModelVersion>> Store::FindVersionByAlias(const std::string& model, const std::string& alias) {
  return FirstVersion(*db_,
                      "v.name = :p1 AND v.version = (SELECT version FROM registered_model_aliases WHERE workspace = "
                      "'default' AND name = :p1 AND alias = :p2)",
                      {model, alias});
}

Result<std::optional<ModelVersion>> Store::FindVersionByEffect(const std::string& model, const std::string& effect) {
  return FirstVersion(
      *db_,
      "v.name = :p1 AND v.version IN (SELECT version FROM model_version_tags WHERE workspace = 'default' "
      "AND \"key\" = 'quern.effect' AND name = :p1 AND value = :p2)",
      {model, effect});
}

}  // namespace quern::tracking
