#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "ml/xgboost/trainer.h"

namespace quern::ml {

struct ModelFolderOptions {
  std::string run_id{};  ///< MLflow's, written to MLmodel; may be empty
  std::string artifact_path = "model";
  std::string created{};  ///< utc_time_created, "2013-06-01 00:00:00.000000"; empty: 1970 (so that bytes repeat)
  Json metadata = Json::object();  ///< goes to MLmodel's `metadata`
};

struct ModelFile {
  std::string path;  ///< relative to the folder, '/' between names
  int64_t bytes = 0;
  std::string sha256;
};

/// Writes an MLflow model into `folder`, which is made; each file and the folders are synced. The same model gives the
/// same bytes. Rename the folder into place when it must appear at once. Gives the files, sorted by path.
Result<std::vector<ModelFile>> WriteModelFolder(const TrainedModel& model, const std::filesystem::path& folder,
                                                const ModelFolderOptions& options);

enum class ModelKind {
  kXgboost,  ///< written by WriteModelFolder: scored by LoadedModel
  kMlflow,   ///< any other with a python_function flavor: scored by Python (script_trainer.h)
};
/// Looks into MLmodel. Errors: kModelFile naming the file.
Result<ModelKind> ModelKindOf(const std::filesystem::path& folder);

struct ModelInput {
  std::string name;
  bool required = true;
};
/// The columns that the signature in MLmodel names; none when there is no signature, or one without names.
/// Errors: kModelFile naming the file.
Result<std::vector<ModelInput>> ModelInputsOf(const std::filesystem::path& folder);

}  // namespace quern::ml
