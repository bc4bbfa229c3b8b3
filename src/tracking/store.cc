#include "tracking/store.h"

#include <unistd.h>

#include <fstream>

#include "base/text.h"
#include "state/database.h"
#include "tracking/artifacts.h"
#include "tracking/names.h"
#include "tracking/schema.h"

namespace quern::tracking {
namespace {

namespace fs = std::filesystem;

/// The path of "sqlite:///relative", "sqlite:////absolute" (SQLAlchemy's form), "sqlite:path" or a path, absolute.
std::string PathOf(std::string_view text) {
  for (std::string_view prefix : {"sqlite:///", "sqlite:"}) {
    if (text.starts_with(prefix)) {
      text.remove_prefix(prefix.size());
      break;
    }
  }
  if (text.empty()) return "";
  std::error_code ignored;
  const fs::path path = fs::absolute(fs::path(text), ignored);
  return path.lexically_normal().string();
}

state::OpenOptions DatabaseOptions(const std::string& path, const StoreOptions& options, bool read_only) {
  return {
      .url = path,
      .read_only = read_only,
      .busy_timeout = options.busy_timeout,
      .wording = {.noun = "tracking database",
                  .elsewhere = "runs and models are recorded there",
                  .corrupt = "restore the file from a copy; without one move it away: a new one is made, and models "
                             "are trained and registered anew"}};
}

/// A file that is there and is no SQLite database at all. An empty one is none either, and becomes one.
Result<void> CheckHeader(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char head[16] = {};
  file.read(head, sizeof head);
  if (file.gcount() == 0) return {};
  if (std::string_view(head, static_cast<size_t>(file.gcount())) == std::string_view("SQLite format 3\0", 16))
    return {};
  return Fail(Error(ErrorCode::kTrackingSchema, fmt::format("tracking database {}: it is no SQLite database", path))
                  .With("path", path)
                  .Hint("name another file for the tracking database, or move this one away"));
}

/// SQLite says no more than "unable to open" of a folder that refuses it the files that it keeps beside the database,
/// which it needs for reading too.
Error Explained(Error error, const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  if (error.code() != ErrorCode::kIo || ::access(folder.c_str(), W_OK) == 0) return error;
  return Error(ErrorCode::kPermissionDenied,
               fmt::format("tracking database {}: its folder {} cannot be written", path, folder))
      .Hint("SQLite keeps files beside a database, also while it is only read: make the folder writable, or copy it")
      .Because(std::move(error));
}

Result<std::unique_ptr<state::Database>> OpenDatabase(const std::string& path, const StoreOptions& options,
                                                      bool read_only) {
  auto database = state::Database::Open(DatabaseOptions(path, options, read_only));
  if (!database) return Fail(Explained(std::move(database).error(), path));
  return database;
}

Experiment ReadExperiment(const state::Row& row) {
  return {.id = row.Int(0), .name = row.Text(1), .artifact_location = row.Text(2), .active = row.Text(3) == "active"};
}

constexpr std::string_view kExperimentColumns = "experiment_id, name, artifact_location, lifecycle_stage";

Result<void> InsertExperiment(state::Connection& db, const Experiment& experiment, int64_t now_ms) {
  QUERN_TRY(
      db.Execute("INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, "
                 "last_update_time) VALUES (:p1, :p2, :p3, 'active', :p4, :p4)",
                 {experiment.id, experiment.name, experiment.artifact_location, now_ms}));
  return {};
}

Result<std::optional<Experiment>> ExperimentOf(state::Connection& db, const std::string& name) {
  const auto rows = QUERN_TRY(
      db.Query(fmt::format("SELECT {} FROM experiments WHERE workspace = 'default' AND name = :p1", kExperimentColumns),
               {name}));
  if (rows.empty()) return std::nullopt;
  return ReadExperiment(rows[0]);
}

}  // namespace

Store::Store(std::string path, const StoreOptions& options)
    : path_(std::move(path)), artifact_root_(options.artifact_root), clock_(options.clock) {
  std::error_code ignored;
  artifact_root_ = fs::absolute(artifact_root_, ignored).lexically_normal();
  if (!artifact_root_.has_filename()) artifact_root_ = artifact_root_.parent_path();
}

Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::Open(const StoreOptions& options) {
  const std::string path = PathOf(options.path);
  if (path.empty()) return Fail(ErrorCode::kInvalidArgument, "the tracking database needs a path");
  if (options.artifact_root.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "the tracking database needs a folder for artifacts");
  }
  std::unique_ptr<Store> store(new Store(path, options));
  std::error_code error;
  const bool there = fs::exists(path, error);
  if (there) {
    // Looked at before it is opened for writing: a file of somebody else is not changed in any way.
    QUERN_TRY(CheckHeader(path));
    auto database = QUERN_TRY(OpenDatabase(path, options, true));
    SchemaState state = SchemaState::kEmpty;
    QUERN_TRY(database->Read([&](state::Connection& db) -> Result<void> {
      state = QUERN_TRY(CheckSchema(db, path));
      return {};
    }));
    if (options.read_only) {
      if (state == SchemaState::kEmpty) {
        return Fail(Error(ErrorCode::kTrackingSchema, fmt::format("tracking database {}: it is empty", path))
                        .With("path", path)
                        .Hint("it is filled when a model is first trained"));
      }
      store->db_ = std::move(database);
      return store;
    }
  }
  store->db_ = QUERN_TRY(OpenDatabase(path, options, options.read_only));
  QUERN_TRY(store->db_->Write([&](state::Connection& db) -> Result<void> {
    if (QUERN_TRY(CheckSchema(db, path)) == SchemaState::kReady) return {};
    QUERN_TRY(CreateSchema(db));
    // MLflow's client makes it on first sight, and takes it to be number 0.
    return InsertExperiment(db, {.id = 0, .name = "Default", .artifact_location = FileUri(store->artifact_root_ / "0")},
                            MillisSinceEpoch(store->Now()));
  }));
  return store;
}

Result<Experiment> Store::GetOrCreateExperiment(const std::string& name) {
  QUERN_TRY(CheckExperimentName(name));
  std::optional<Experiment> found = QUERN_TRY(FindExperiment(name));
  if (!found) {
    QUERN_TRY(db_->Write([&](state::Connection& db) -> Result<void> {
      found = QUERN_TRY(ExperimentOf(db, name));
      if (found) return {};
      const auto rows = QUERN_TRY(db.Query("SELECT coalesce(max(experiment_id), 0) + 1 FROM experiments"));
      const int64_t id = rows.at(0).Int(0);
      found = Experiment{.id = id, .name = name, .artifact_location = FileUri(artifact_root_ / std::to_string(id))};
      return InsertExperiment(db, *found, MillisSinceEpoch(Now()));
    }));
  }
  if (!found->active) {
    return Fail(
        Error(ErrorCode::kTrackingConflict, fmt::format("the experiment '{}' was deleted by a client of MLflow", name))
            .Hint(fmt::format("`mlflow experiments restore --experiment-id {}` brings it back; `mlflow gc` "
                              "removes it for good",
                              found->id)));
  }
  return *std::move(found);
}

Result<std::optional<Experiment>> Store::FindExperiment(const std::string& name) {
  std::optional<Experiment> found;
  QUERN_TRY(db_->Read([&](state::Connection& db) -> Result<void> {
    found = QUERN_TRY(ExperimentOf(db, name));
    return {};
  }));
  return found;
}

Result<std::vector<Experiment>> Store::ListExperiments() {
  const auto rows = QUERN_TRY(db_->Query(fmt::format(
      "SELECT {} FROM experiments WHERE lifecycle_stage = 'active' ORDER BY experiment_id", kExperimentColumns)));
  std::vector<Experiment> all;
  for (const auto& row : rows) all.push_back(ReadExperiment(row));
  return all;
}

std::filesystem::path Store::RunFolder(int64_t experiment_id, const std::string& run_id) const {
  return artifact_root_ / std::to_string(experiment_id) / run_id / "artifacts";
}

}  // namespace quern::tracking
