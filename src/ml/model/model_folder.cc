#include "ml/model/model_folder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/yaml.h"
#include "io/files.h"
#include "ml/model/loaded_model.h"
#include "ml/model/python_files.h"

namespace quern::ml {
namespace fs = std::filesystem;
namespace {

using engine::BatchType;

constexpr int kFormat = 1;
constexpr std::string_view kModelFileName = "model.ubj";
constexpr std::string_view kLoader = "quern_model_v1";
// What the loader was tried with: tools/python/ml.txt pins the same.
constexpr std::string_view kMlflow = "3.17.2";
constexpr std::string_view kPython = "3.11.7";
constexpr std::string_view kRequirements = "mlflow==3.17.2\nnumpy==2.4.6\npandas==2.3.3\nxgboost==3.2.0\n";

// MLflow refuses missing values for its integer types, and whole numbers for its double: a column that is whole and may
// be missing has no narrower type than `any`.
std::string_view SignatureType(const Feature& feature) {
  switch (feature.type) {
    case BatchType::kBool:
      return feature.has_missing ? "any" : "boolean";
    case BatchType::kInteger:
      return feature.has_missing ? "any" : "long";
    case BatchType::kDouble:
      return "double";
    case BatchType::kText:
      break;
  }
  return "string";
}

std::string YamlQuoted(std::string_view text) {
  return "'" + ReplaceAll(std::string(text), "'", "''") + "'";
}

using Texts = std::vector<std::pair<std::string, std::string>>;  // path, bytes

std::string FeaturesJson(const TrainedModel& model) {
  Json json = ToJson(model.spec);
  json["format"] = kFormat;
  json["model_file"] = kModelFileName;
  json["model_sha256"] = Sha256Hex(model.booster);
  json["xgboost_version"] = model.xgboost_version;
  return json.dump(1) + "\n";
}

std::string MlModel(const TrainedModel& model, const ModelFolderOptions& options, const Texts& files) {
  Json inputs = Json::array(), outputs = Json::array();
  for (const auto& feature : model.spec.features)
    inputs.push_back({{"type", SignatureType(feature)}, {"name", feature.name}, {"required", true}});
  auto output = [&](std::string_view name, std::string_view type) {
    outputs.push_back({{"type", type}, {"name", name}, {"required", true}});
  };
  output("prediction", model.spec.task == Task::kRegression ? "double" : "string");
  if (model.spec.task != Task::kRegression) output("score", "double");
  if (model.spec.task == Task::kMulticlass) output("probabilities", "string");

  std::string digests;
  size_t bytes = 0;
  for (const auto& [path, text] : files) {
    digests += path + " " + Sha256Hex(text) + "\n";
    bytes += text.size();
  }
  std::string created = options.created.empty() ? "1970-01-01 00:00:00.000000" : options.created;
  std::string out;
  if (!options.artifact_path.empty()) out += fmt::format("artifact_path: {}\n", YamlQuoted(options.artifact_path));
  out += fmt::format(
      "flavors:\n"
      "  python_function:\n"
      "    code: code\n"
      "    env:\n"
      "      conda: conda.yaml\n"
      "      virtualenv: python_env.yaml\n"
      "    loader_module: {}\n"
      "    python_version: {}\n"
      "  quern:\n"
      "    format: {}\n"
      "    model_file: {}\n"
      "    xgboost_version: {}\n",
      kLoader, kPython, kFormat, kModelFileName, YamlQuoted(model.xgboost_version));
  if (!options.metadata.empty()) out += fmt::format("metadata: {}\n", options.metadata.dump(1));
  out += fmt::format("mlflow_version: {}\nmodel_id: null\nmodel_size_bytes: {}\nmodel_uuid: {}\nprompts: null\n",
                     kMlflow, bytes, Sha256Hex(digests).substr(0, 32));
  if (!options.run_id.empty()) out += fmt::format("run_id: {}\n", YamlQuoted(options.run_id));
  out += fmt::format(
      "saved_input_example_info:\n"
      "  artifact_path: input_example.json\n"
      "  pandas_orient: split\n"
      "  serving_input_path: serving_input_example.json\n"
      "  type: dataframe\n"
      "signature:\n"
      "  inputs: {}\n"
      "  outputs: {}\n"
      "  params: null\n"
      "utc_time_created: {}\n",
      YamlQuoted(inputs.dump()), YamlQuoted(outputs.dump()), YamlQuoted(created));
  return out;
}

Texts FilesOf(const TrainedModel& model, const ModelFolderOptions& options) {
  std::string packages;
  for (const auto& line : Split(Trim(kRequirements), '\n')) packages += "  - " + line + "\n";
  Json names = Json::array();
  for (const auto& feature : model.spec.features) names.push_back(feature.name);
  Json example = {{"columns", names}, {"data", model.example_rows}};
  Texts out = {
      {fmt::format("code/{}.py", kLoader), std::string(LoaderModule())},
      {"conda.yaml",
       fmt::format("channels:\n- conda-forge\ndependencies:\n- python={}\n- pip\n- pip:\n{}name: mlflow-env\n", kPython,
                   packages)},
      {"features.json", FeaturesJson(model)},
      {"input_example.json", example.dump()},
      {std::string(kModelFileName), model.booster},
      {"python_env.yaml",
       fmt::format("python: {}\nbuild_dependencies:\n- pip\n- setuptools\n- wheel\ndependencies:\n- -r "
                   "requirements.txt\n",
                   kPython)},
      {"requirements.txt", std::string(kRequirements)},
      {"serving_input_example.json", Json{{"dataframe_split", example}}.dump(1)},
  };
  out.emplace_back("MLmodel", MlModel(model, options, out));
  return out;
}

Result<std::string> ReadModelFile(const fs::path& path) {
  auto text = io::ReadFile(path);
  if (text) return text;
  if (text.error().code() == ErrorCode::kNotFound) {
    return Fail(Error(ErrorCode::kModelFile, fmt::format("{} is missing: the model is not whole", path.string()))
                    .Hint("take the folder from the run's artifacts again, or train the model anew"));
  }
  return Fail(Error(ErrorCode::kModelFile, fmt::format("{} cannot be read", path.string())).Because(text.error()));
}

Result<Json> ReadMlModel(const fs::path& folder) {
  fs::path path = folder / "MLmodel";
  std::string text = QUERN_TRY(ReadModelFile(path));
  auto yaml = Yaml::Parse(text, path.string());
  if (!yaml)
    return Fail(Error(ErrorCode::kModelFile, fmt::format("{} is no YAML", path.string())).Because(yaml.error()));
  Json json = yaml->ToJson();
  if (!json.is_object() || !json.contains("flavors") || !json["flavors"].is_object() || json["flavors"].empty())
    return Fail(ErrorCode::kModelFile, fmt::format("{} names no flavor of MLflow", path.string()));
  return json;
}

}  // namespace

Result<std::vector<ModelFile>> WriteModelFolder(const TrainedModel& model, const fs::path& folder,
                                                const ModelFolderOptions& options) {
  std::vector<ModelFile> out;
  for (const auto& [path, bytes] : FilesOf(model, options)) {
    QUERN_TRY(io::WriteFileAtomically(folder / path, bytes));
    out.push_back({path, static_cast<int64_t>(bytes.size()), Sha256Hex(bytes)});
  }
  QUERN_TRY(io::SyncFolder(folder / "code"));
  QUERN_TRY(io::SyncFolder(folder));
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return out;
}

Result<ModelKind> ModelKindOf(const fs::path& folder) {
  Json json = QUERN_TRY(ReadMlModel(folder));
  const Json& flavors = json["flavors"];
  if (flavors.contains("quern")) return ModelKind::kXgboost;
  if (flavors.contains("python_function")) return ModelKind::kMlflow;
  return Fail(
      Error(ErrorCode::kModelFile, fmt::format("{} has no python_function flavor", (folder / "MLmodel").string()))
          .Hint("save the model with one of MLflow's save_model functions"));
}

Result<std::vector<ModelInput>> ModelInputsOf(const fs::path& folder) {
  const Json json = QUERN_TRY(ReadMlModel(folder));
  std::vector<ModelInput> out;
  auto signature = json.find("signature");
  if (signature == json.end() || !signature->is_object()) return out;
  auto text = signature->find("inputs");
  if (text == signature->end() || !text->is_string()) return out;
  auto inputs = ParseJson(text->get<std::string>(), (folder / "MLmodel").string());
  if (!inputs || !inputs->is_array()) {
    return Fail(Error(ErrorCode::kModelFile,
                      fmt::format("{}: the signature's inputs are no list", (folder / "MLmodel").string())));
  }
  for (const auto& input : *inputs) {
    if (!input.is_object() || !input.contains("name") || !input["name"].is_string()) return std::vector<ModelInput>();
    auto required = input.find("required");
    out.push_back({input["name"].get<std::string>(),
                   required == input.end() || !required->is_boolean() || required->get<bool>()});
  }
  return out;
}

Result<std::shared_ptr<const LoadedModel>> LoadedModel::Load(const fs::path& folder) {
  Json mlmodel = QUERN_TRY(ReadMlModel(folder));
  fs::path features_path = folder / "features.json", model_path = folder / kModelFileName;
  auto bad = [](const fs::path& path, const std::string& what) {
    return Fail(Error(ErrorCode::kModelFile, fmt::format("{}: {}", path.string(), what))
                    .Hint("take the folder from the run's artifacts again, or train the model anew"));
  };
  const Json& flavors = mlmodel["flavors"];
  if (!flavors.contains("quern"))
    return bad(folder / "MLmodel", "the model was not trained by Quern's built-in trainer");
  // The last lines of what we write.
  if (!mlmodel.contains("signature") || !mlmodel.contains("utc_time_created"))
    return bad(folder / "MLmodel", "it is cut short");
  std::string text = QUERN_TRY(ReadModelFile(features_path));
  auto json = ParseJson(text, features_path.string());
  if (!json || !json->is_object()) return bad(features_path, "it is cut short or no JSON object");
  if (auto format = json->find("format"); format == json->end() || *format != kFormat) {
    return bad(features_path, fmt::format("it is of format {}, this version of Quern reads format {}",
                                          format == json->end() ? "unknown" : format->dump(), kFormat));
  }
  ModelSpec spec = QUERN_TRY(ModelSpecFromJson(*json, features_path.string()));
  std::string booster = QUERN_TRY(ReadModelFile(model_path));
  if (json->value("model_sha256", Json()) != Sha256Hex(booster))
    return bad(model_path, "it is cut short, or not the one that features.json was written with");
  return Make(std::move(spec), booster, model_path.string());
}

}  // namespace quern::ml
