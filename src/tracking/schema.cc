#include "tracking/schema.h"

#include "base/text.h"

namespace quern::tracking {

// mlflow_schema.sql, embedded by CMakeLists.txt.
extern const char kSchemaText[];
extern const size_t kSchemaTextSize;

namespace {

/// Revisions before kSchemaHead, in the order of MLflow's migrations.
constexpr std::string_view kOlderRevisions[] = {
    "451aebb31d03", "90e64c465722", "181f10493468", "df50e92ffc5e", "7ac759974ad8", "89d4b8295536",  "2b4d017a5e9b",
    "cfd24bdc0731", "0a8213491aaa", "728d730b5ebd", "27a6a02d2cf1", "84291f40a231", "a8c4a736bde6",  "39d1c3be5f05",
    "c48cb773bb87", "bd07f7e963c5", "0c779009ac13", "cc1f77228345", "97727af70f4d", "3500859a5d39",  "7f2a7d5fae7d",
    "2d6e25af4d3e", "acf3f17fdcc7", "867495a8f9d4", "5b0e9adcef9c", "4465047574b1", "f5a4f2784254",  "0584bdc529eb",
    "400f98739977", "6953534de441", "bda7b8c39065", "cbc13b556ace", "770bee3ae1dd", "a1b2c3d4e5f6",  "de4033877273",
    "1a0cddfcaa16", "534353b11cbc", "71994744cf8e", "3da73c924c2f", "bf29a5ff90ea", "1bd49d398cd23", "b7c8d9e0f1a2",
    "5d2d30f0abce", "c9d4e5f6a7b8", "2c33131f4dae", "d3e4f5a6b7c8", "d0e1f2a3b4c5", "c8d9e0f1a2b3",  "1b5f0d9ad7c1",
    "e1f2a3b4c5d6", "76601a5f987d", "c3d6457b6d8a", "a5b4c3d2e1f0", "ae8bbe7743c9", "7d34483879f0",  "da6fb0208061",
    "89d3d66ed43f", "b7e4c1a90f23", "a8b9c0d1e2f3", "c1d2e3f4a5b6", "c3d9e7f1a2b4", "6f8d9c3b2a1e",  "1971f2d9a75b",
    "17e22815139b", "b7e2c1a4d9f3", "75868b020152"};

/// The tables that this part reads and writes.
constexpr std::string_view kTables[] = {"alembic_version",
                                        "datasets",
                                        "experiments",
                                        "input_tags",
                                        "inputs",
                                        "latest_metrics",
                                        "logged_model_metrics",
                                        "logged_model_params",
                                        "logged_model_tags",
                                        "logged_models",
                                        "metrics",
                                        "model_version_tags",
                                        "model_versions",
                                        "params",
                                        "registered_models",
                                        "registered_model_aliases",
                                        "registered_model_tags",
                                        "runs",
                                        "tags",
                                        "workspaces"};

Error SchemaError(const std::string& path, std::string_view what) {
  return Error(ErrorCode::kTrackingSchema, fmt::format("tracking database {}: {}", path, what)).With("path", path);
}

std::string FewOf(const std::set<std::string>& names) {
  std::vector<std::string> few;
  for (const auto& name : names) {
    if (few.size() == 3) {
      few.push_back("...");
      break;
    }
    few.push_back(name);
  }
  return Join(few, ", ");
}

constexpr std::string_view kNameAnother = "name another file for the tracking database, or move this one away";

}  // namespace

Result<SchemaState> CheckSchema(state::Connection& connection, const std::string& path) {
  std::set<std::string> tables;
  const auto found = QUERN_TRY(connection.Query("SELECT name FROM sqlite_master WHERE type = 'table'"));
  for (const auto& row : found) tables.insert(row.Text(0));
  if (tables.empty()) return SchemaState::kEmpty;
  if (!tables.contains("alembic_version")) {
    return Fail(SchemaError(path, fmt::format("it is a database of another program (tables {})", FewOf(tables)))
                    .Hint(std::string(kNameAnother)));
  }
  auto rows = QUERN_TRY(connection.Query("SELECT version_num FROM alembic_version"));
  if (rows.size() != 1) {
    return Fail(SchemaError(path, fmt::format("it has {} schema revisions, where MLflow has one", rows.size()))
                    .Hint(std::string(kNameAnother)));
  }
  const std::string revision = rows[0].Text(0);
  if (revision != kSchemaHead) {
    const bool older =
        std::find(std::begin(kOlderRevisions), std::end(kOlderRevisions), revision) != std::end(kOlderRevisions);
    if (older) {
      return Fail(SchemaError(path, fmt::format("it was made by an older MLflow (schema {}, this program knows {} of "
                                                "MLflow {})",
                                                revision, kSchemaHead, kSchemaRelease))
                      .Hint(fmt::format("make a copy of it, then `pip install 'mlflow~={}.0'` and `mlflow db upgrade "
                                        "sqlite:///{}`",
                                        kSchemaRelease, path)));
    }
    return Fail(SchemaError(path, fmt::format("its schema {} is not known (a newer MLflow's, or another program's); "
                                              "this program knows {} of MLflow {}",
                                              revision, kSchemaHead, kSchemaRelease))
                    .Hint(std::string(kNameAnother)));
  }
  for (const auto table : kTables) {
    if (!tables.contains(std::string(table))) {
      return Fail(SchemaError(path, fmt::format("its table {} is missing, though it says that its schema is {}", table,
                                                revision))
                      .Hint("restore the file from a copy, or move it away: a new one is made"));
    }
  }
  return SchemaState::kReady;
}

Result<void> CreateSchema(state::Connection& connection) {
  std::string_view text(kSchemaText, kSchemaTextSize);
  while (!text.empty()) {
    const size_t end = text.find("\n\n");
    const std::string_view statement = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    if (!Trim(statement).empty()) QUERN_TRY_CONTEXT(connection.Execute(statement), "making MLflow's tables");
  }
  return {};
}

}  // namespace quern::tracking
