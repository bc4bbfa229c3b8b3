#include "ml/model/loaded_model.h"

#include <fmt/format.h>

#include "base/text.h"
#include "ml/model/feature_encoder.h"
#include "ml/model/trees.h"

namespace quern::ml {

namespace {
constexpr size_t kRowsAtOnce = 256;
}

LoadedModel::LoadedModel(ModelSpec spec) : spec_(std::move(spec)) {}
LoadedModel::~LoadedModel() = default;

Result<std::shared_ptr<const LoadedModel>> LoadedModel::Make(ModelSpec spec, std::string_view booster,
                                                             const std::string& file) {
  std::shared_ptr<LoadedModel> model(new LoadedModel(std::move(spec)));
  model->trees_ = QUERN_TRY(Trees::Parse(booster, model->spec_, file));
  model->encoder_ = std::make_unique<FeatureEncoder>(model->spec_);
  return std::shared_ptr<const LoadedModel>(std::move(model));
}

Result<void> LoadedModel::Score(const engine::Batch& batch, double* out, const ScoringOptions& options) const {
  std::vector<float> rows(std::min(batch.rows, kRowsAtOnce) * spec_.features.size());
  for (size_t begin = 0; begin < batch.rows; begin += kRowsAtOnce) {
    size_t end = std::min(batch.rows, begin + kRowsAtOnce);
    QUERN_TRY(encoder_->Encode(batch, begin, end, options, rows.data()));
    trees_->Predict(rows.data(), end - begin, out + begin * spec_.outputs());
  }
  if (options.counts) options.counts->AddRows(static_cast<int64_t>(batch.rows));
  return {};
}

Result<void> CreateScoringFunction(engine::Connection& connection, const std::string& name,
                                   std::shared_ptr<const LoadedModel> model, const ScoringOptions& options) {
  engine::ScalarFunction function;
  function.name = name;
  for (const auto& feature : model->spec().features) function.arguments.push_back(feature.type);
  function.outputs = model->spec().outputs();
  function.call = [model, options](const engine::Batch& batch, double* out) {
    return model->Score(batch, out, options);
  };
  return connection.CreateFunction(std::move(function));
}

std::string PredictionQuery(const ModelSpec& spec, const std::string& function, const std::string& query,
                            const std::vector<std::string>& columns) {
  std::string passed, arguments;
  for (const auto& column : columns) passed += QuoteIdentifier(column) + ", ";
  for (const auto& feature : spec.features)
    arguments += (arguments.empty() ? "" : ", ") + QuoteIdentifier(feature.name);
  std::string outputs;
  if (spec.task == Task::kBinary) {
    outputs =
        fmt::format("CASE WHEN _quern_scores[1] >= {} THEN {} ELSE {} END AS prediction, _quern_scores[1] AS score",
                    spec.threshold, QuoteLiteral(spec.classes[1]), QuoteLiteral(spec.classes[0]));
  } else if (spec.task == Task::kRegression) {
    outputs = "_quern_scores[1] AS prediction, CAST(NULL AS DOUBLE) AS score";
  } else {
    std::string classes, json;
    for (size_t i = 0; i < spec.classes.size(); i++) {
      classes += (i ? ", " : "") + QuoteLiteral(spec.classes[i]);
      json += fmt::format("{}{} || CAST(_quern_scores[{}] AS VARCHAR)", i ? " || " : "",
                          QuoteLiteral((i ? ", " : "") + Json(spec.classes[i]).dump() + ": "), i + 1);
    }
    outputs = fmt::format(
        "[{}][list_position(CAST(_quern_scores AS DOUBLE[]), list_max(CAST(_quern_scores AS DOUBLE[])))] AS "
        "prediction, "
        "list_max(CAST(_quern_scores AS DOUBLE[])) AS score, '{{' || {} || '}}' AS probabilities",
        classes, json);
  }
  return fmt::format("SELECT {}{} FROM (SELECT {}{}({}) AS _quern_scores FROM ({}))", passed, outputs, passed, function,
                     arguments, query);
}

}  // namespace quern::ml
