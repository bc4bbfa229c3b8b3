#include "ml/xgboost/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/text.h"
#include "ml/model/trees.h"
#include "ml/xgboost/library.h"
#include "ml/xgboost/parameters.h"
#include "ml/xgboost/training_rows.h"

namespace quern::ml {
namespace {

Result<void> ReadRows(engine::Connection& connection, const std::string& query, RowReader& reader,
                      const Cancellation& cancellation) {
  QUERN_TRY(cancellation.Check());
  auto interrupt = cancellation.OnCancel([&] { connection.Interrupt(); });
  return connection.StreamBatches(query, reader);
}

// Hands rows to XGBoost piece by piece; it keeps their bins, not the rows.
struct Pieces {
  const XgboostLibrary& library;
  void* proxy;
  const FloatRows& rows;
  const std::vector<float>& labels;
  const std::vector<float>& weights;  // empty: all 1
  std::vector<const char*> types;
  size_t at = 0;

  int Next() {
    if (at >= rows.pieces()) return 0;
    size_t count = rows.rows_of_piece(at), first = at * FloatRows::kRowsOfPiece;
    std::string array = fmt::format(R"({{"data":[{},true],"shape":[{},{}],"typestr":"<f4","version":3}})",
                                    reinterpret_cast<uintptr_t>(rows.piece(at)), count, rows.columns());
    bool ok = library.ProxySetDense(proxy, array.c_str()) == 0 &&
              library.MatrixSetFloatInfo(proxy, "label", labels.data() + first, count) == 0 &&
              (weights.empty() || library.MatrixSetFloatInfo(proxy, "weight", weights.data() + first, count) == 0) &&
              library.MatrixSetStrFeatureInfo(proxy, "feature_type", types.data(), types.size()) == 0;
    at++;
    return ok ? 1 : -1;
  }
};

std::vector<const char*> TypesOf(const ModelSpec& spec) {
  std::vector<const char*> out;
  for (const auto& feature : spec.features) out.push_back(feature.categories() > 0 ? "c" : "q");
  return out;
}

Result<XgboostHandle> MakeMatrix(const XgboostLibrary& library, const ModelSpec& spec, const FloatRows& rows,
                                 const std::vector<float>& labels, const std::vector<float>& weights, void* reference,
                                 const TrainRequest& request) {
  XgboostHandle proxy(library.MatrixFree), matrix(library.MatrixFree);
  QUERN_TRY(library.Check(library.ProxyCreate(proxy.out()), "preparing the rows"));
  Pieces pieces{library, proxy.get(), rows, labels, weights, TypesOf(spec)};
  Json config = {{"nthread", request.threads}, {"max_bin", request.parameters.value("max_bin", 256)}};
  std::string text = config.dump();
  text.insert(1, "\"missing\":NaN,");
  QUERN_TRY(library.Check(library.QuantileMatrixCreate(
                              &pieces, proxy.get(), reference, [](void* p) { static_cast<Pieces*>(p)->at = 0; },
                              [](void* p) { return static_cast<Pieces*>(p)->Next(); }, text.c_str(), matrix.out()),
                          "preparing the rows"));
  return matrix;
}

// Rows that are only looked at. A quantile matrix gives the same figures and takes less memory, but is walked several
// times slower, in every round.
constexpr size_t kMostPlainValues = 16'000'000;

Result<XgboostHandle> MakePlainMatrix(const XgboostLibrary& library, const ModelSpec& spec, const FloatRows& rows,
                                      const std::vector<float>& labels, const std::vector<float>& weights,
                                      const TrainRequest& request) {
  std::vector<float> values;
  values.reserve(rows.rows() * rows.columns());
  for (size_t i = 0; i < rows.pieces(); ++i)
    values.insert(values.end(), rows.piece(i), rows.piece(i) + rows.rows_of_piece(i) * rows.columns());
  std::string array = fmt::format(R"({{"data":[{},true],"shape":[{},{}],"typestr":"<f4","version":3}})",
                                  reinterpret_cast<uintptr_t>(values.data()), rows.rows(), rows.columns());
  std::string config = fmt::format(R"({{"missing":NaN,"nthread":{}}})", request.threads);
  XgboostHandle matrix(library.MatrixFree);
  auto types = TypesOf(spec);
  const char* doing = "preparing the validation rows";
  QUERN_TRY(library.Check(library.DenseMatrixCreate(array.c_str(), config.c_str(), matrix.out()), doing));
  QUERN_TRY(library.Check(library.MatrixSetFloatInfo(matrix.get(), "label", labels.data(), labels.size()), doing));
  if (!weights.empty())
    QUERN_TRY(library.Check(library.MatrixSetFloatInfo(matrix.get(), "weight", weights.data(), weights.size()), doing));
  QUERN_TRY(
      library.Check(library.MatrixSetStrFeatureInfo(matrix.get(), "feature_type", types.data(), types.size()), doing));
  return matrix;
}

Result<std::vector<double>> WeightsOfClasses(const TrainRequest& request, const ModelSpec& spec,
                                             const std::vector<float>& labels) {
  const auto& asked = request.class_weight;
  std::vector<double> out(spec.classes.size(), 1);
  if (asked.mode == ClassWeight::Mode::kNone) return out;
  if (spec.task == Task::kRegression)
    return Fail(ErrorCode::kInvalidArgument, "`class_weight` has no meaning for a regression");
  if (asked.mode == ClassWeight::Mode::kBalanced) {
    std::vector<double> counts(spec.classes.size());
    for (float label : labels) counts[static_cast<size_t>(label)]++;
    auto present = static_cast<double>(std::count_if(counts.begin(), counts.end(), [](double n) { return n > 0; }));
    for (size_t i = 0; i < out.size(); i++)
      out[i] = counts[i] > 0 ? static_cast<double>(labels.size()) / (present * counts[i]) : 1;
    return out;
  }
  for (const auto& [name, weight] : asked.weights) {
    auto it = std::find(spec.classes.begin(), spec.classes.end(), name);
    if (it == spec.classes.end()) {
      return Fail(Error(ErrorCode::kInvalidArgument, fmt::format("`class_weight` names the class '{}', which the label "
                                                                 "'{}' has not",
                                                                 name, spec.label))
                      .Hint("its classes are " + Join(spec.classes, ", ")));
    }
    if (!std::isfinite(weight) || weight <= 0)
      return Fail(ErrorCode::kInvalidArgument, fmt::format("the weight of class '{}' must be above 0", name));
    out[static_cast<size_t>(it - spec.classes.begin())] = weight;
  }
  return out;
}

std::vector<float> WeightsOfRows(const std::vector<double>& classes, const std::vector<float>& labels) {
  std::vector<float> out;
  if (std::all_of(classes.begin(), classes.end(), [](double w) { return w == 1; })) return out;
  for (float label : labels) out.push_back(static_cast<float>(classes[static_cast<size_t>(label)]));
  return out;
}

// What XGBoost starts from: the mean label, or the share of the positive class.
double BaseScore(Task task, const std::vector<float>& labels, const std::vector<float>& weights) {
  if (task == Task::kMulticlass) return 0.5;
  double sum = 0, weight = 0;
  for (size_t i = 0; i < labels.size(); i++) {
    double w = weights.empty() ? 1 : static_cast<double>(weights[i]);
    sum += w * static_cast<double>(labels[i]);
    weight += w;
  }
  return sum / weight;
}

size_t FeatureAt(const ModelSpec& spec, const std::string& name) {
  for (size_t i = 0; i < spec.features.size(); i++) {
    if (EqualsIgnoreCase(spec.features[i].name, name)) return i;
  }
  return spec.features.size();
}

// Constraints name features; XGBoost wants places.
Result<std::string> ConstraintText(const ModelSpec& spec, const std::string& parameter, const Json& value) {
  auto place = [&](const std::string& name) -> Result<size_t> {
    size_t at = FeatureAt(spec, name);
    if (at < spec.features.size()) return at;
    std::vector<std::string> names;
    for (const auto& feature : spec.features) names.push_back(feature.name);
    return Fail(Error(ErrorCode::kInvalidArgument, fmt::format("'{}' names '{}', which is no feature", parameter, name))
                    .Hint(DidYouMean(name, names)));
  };
  if (value.is_object()) {
    std::vector<std::string> directions(spec.features.size(), "0");
    for (const auto& [name, direction] : value.items()) directions[QUERN_TRY(place(name))] = direction.dump();
    return "(" + Join(directions, ",") + ")";
  }
  Json groups = Json::array();
  for (const auto& group : value) {
    Json places = Json::array();
    for (const auto& name : group) places.push_back(QUERN_TRY(place(name.get<std::string>())));
    groups.push_back(std::move(places));
  }
  return groups.dump();
}

using Settings = std::vector<std::pair<std::string, std::string>>;

Result<Settings> SettingsFor(const TrainRequest& request, const ModelSpec& spec, double base_score) {
  Settings out = {{"booster", "gbtree"}, {"tree_method", "hist"}};
  auto set = [&](const std::string& name, std::string value) { out.emplace_back(name, std::move(value)); };
  set("nthread", std::to_string(request.threads));
  set("seed", std::to_string(request.seed));
  if (spec.task == Task::kMulticlass) set("num_class", std::to_string(spec.classes.size()));
  if (!request.parameters.contains("base_score")) set("base_score", fmt::format("{:.9g}", base_score));
  if (!request.parameters.contains("eval_metric")) {
    set("eval_metric", spec.task == Task::kBinary ? "logloss" : spec.task == Task::kMulticlass ? "mlogloss" : "rmse");
  }
  for (const auto& [name, value] : request.parameters.items()) {
    if (name == "monotone_constraints" || name == "interaction_constraints") {
      set(name, QUERN_TRY(ConstraintText(spec, name, value)));
    } else if (name == "eval_metric" && value.is_array()) {
      for (const auto& metric : value) set(name, metric.get<std::string>());
    } else {
      set(name, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  set("objective", spec.task == Task::kBinary       ? "binary:logistic"
                   : spec.task == Task::kMulticlass ? "multi:softprob"
                                                    : "reg:squarederror");
  return out;
}

// "[9]\ttrain-logloss:0.42\tvalidation-logloss:0.4"
std::vector<HistoryPoint> ReadEvaluation(const char* text, int round) {
  std::vector<HistoryPoint> out;
  auto parts = Split(text, '\t');
  for (size_t i = 1; i < parts.size(); i++) {
    size_t dash = parts[i].find('-'), colon = parts[i].rfind(':');
    if (dash == std::string::npos || colon == std::string::npos || colon < dash) continue;
    double value = std::strtod(parts[i].c_str() + colon + 1, nullptr);
    out.push_back({parts[i].substr(0, dash) + "_" + parts[i].substr(dash + 1, colon - dash - 1), round, value});
  }
  return out;
}

bool LargerIsBetter(const std::string& metric) {
  for (const char* name : {"_auc", "_aucpr", "_map"}) {
    if (metric.size() >= std::string_view(name).size() && metric.ends_with(name)) return true;
  }
  return false;
}

// The rounds of one training. Stops early by the last validation metric, as XGBoost's own early stopping does.
class Rounds {
 public:
  Rounds(const XgboostLibrary& library, const TrainRequest& request, void* train, void* validation)
      : library_(library), request_(request), matrices_{train} {
    if (validation) matrices_.push_back(validation);
  }

  Result<void> Run(void* booster, TrainedModel& out) {
    const char* names[] = {"train", "validation"};
    for (int round = 0; round < request_.rounds; round++) {
      QUERN_TRY(request_.cancellation.Check());
      QUERN_TRY(library_.Check(library_.BoosterUpdateOneIter(booster, round, matrices_[0]), "training"));
      const char* text = nullptr;
      QUERN_TRY(library_.Check(
          library_.BoosterEvalOneIter(booster, round, matrices_.data(), names, matrices_.size(), &text), "evaluating"));
      auto points = ReadEvaluation(text, round);
      if (points.empty()) return Fail(ErrorCode::kTraining, fmt::format("XGBoost gave no metric: '{}'", text));
      if (request_.on_round) request_.on_round(round, text);
      const HistoryPoint last = points.back();
      for (auto& point : points) {
        if (std::isfinite(point.value)) out.history.push_back(std::move(point));
      }
      out.rounds_trained = round + 1;
      bool better = best_ < 0 || (LargerIsBetter(last.metric) ? last.value > best_value_ : last.value < best_value_);
      if (better && std::isfinite(last.value)) {
        best_ = round;
        best_value_ = last.value;
      }
      bool may_stop = matrices_.size() == 2 && request_.early_stopping > 0;
      if (may_stop && best_ >= 0 && round - best_ >= request_.early_stopping) break;
    }
    bool stops = matrices_.size() == 2 && request_.early_stopping > 0 && best_ >= 0;
    out.rounds = stops ? best_ + 1 : out.rounds_trained;
    for (const auto& point : out.history) {
      if (point.round == out.rounds - 1) out.metrics[point.metric] = point.value;
    }
    out.metrics["best_round"] = out.rounds - 1;
    out.metrics["rounds_trained"] = out.rounds_trained;
    return {};
  }

 private:
  const XgboostLibrary& library_;
  const TrainRequest& request_;
  std::vector<void*> matrices_;
  int best_ = -1;
  double best_value_ = 0;
};

Result<std::string> Save(const XgboostLibrary& library, XgboostHandle& booster, TrainedModel& model) {
  if (model.rounds < model.rounds_trained) {
    XgboostHandle cut(library.BoosterFree);
    QUERN_TRY(
        library.Check(library.BoosterSlice(booster.get(), 0, model.rounds, 1, cut.out()), "taking the best rounds"));
    booster = std::move(cut);
  }
  std::vector<const char*> names, types = TypesOf(model.spec);
  for (const auto& feature : model.spec.features) names.push_back(feature.name.c_str());
  QUERN_TRY(library.Check(library.BoosterSetStrFeatureInfo(booster.get(), "feature_name", names.data(), names.size()),
                          "naming features"));
  QUERN_TRY(library.Check(library.BoosterSetStrFeatureInfo(booster.get(), "feature_type", types.data(), types.size()),
                          "naming features"));
  XgboostLibrary::Length length = 0;
  const char* bytes = nullptr;
  QUERN_TRY(library.Check(library.BoosterSaveModelToBuffer(booster.get(), R"({"format":"ubj"})", &length, &bytes),
                          "saving the model"));
  return std::string(bytes, length);
}

Result<void> CheckRequest(const TrainRequest& request) {
  QUERN_TRY(CheckXgboostParameters(request.parameters));
  if (request.rounds < 1) return Fail(ErrorCode::kInvalidArgument, "`rounds` must be at least 1");
  if (request.early_stopping < 0) return Fail(ErrorCode::kInvalidArgument, "`early_stopping` must not be negative");
  if (request.threads < 1 || request.threads > 1024)
    return Fail(ErrorCode::kInvalidArgument, "`threads` must be from 1 to 1024");
  if (request.seed < 0) return Fail(ErrorCode::kInvalidArgument, "`seed` must not be negative");
  return {};
}

}  // namespace

Result<TrainedModel> TrainXgboost(engine::Connection& connection, const TrainRequest& request) {
  QUERN_TRY(CheckRequest(request));
  const XgboostLibrary& library = *QUERN_TRY(XgboostLibrary::Get());
  Ignore(library.Check(library.SetGlobalConfig(R"({"verbosity":0})"), ""),
         "only what it prints; holds for this thread");

  TrainedModel out;
  out.xgboost_version = library.version;
  XgboostHandle train(library.MatrixFree), validation(library.MatrixFree);
  double base_score = 0.5;
  {
    TrainingRows rows(request);
    QUERN_TRY(ReadRows(connection, request.query, rows, request.cancellation));
    out.spec = QUERN_TRY(rows.Finish());
    out.training_rows = static_cast<int64_t>(rows.rows().rows());
    out.example_rows = rows.examples();
    out.warnings = std::move(rows.warnings());
    auto class_weights = QUERN_TRY(WeightsOfClasses(request, out.spec, rows.labels()));
    auto weights = WeightsOfRows(class_weights, rows.labels());
    base_score = BaseScore(out.spec.task, rows.labels(), weights);
    train = QUERN_TRY(MakeMatrix(library, out.spec, rows.rows(), rows.labels(), weights, nullptr, request));
    rows.rows().Clear();
    if (!request.validation_query.empty()) {
      ValidationRows held(request, out.spec, rows.classes());
      QUERN_TRY(ReadRows(connection, request.validation_query, held, request.cancellation));
      out.validation_rows = static_cast<int64_t>(held.rows().rows());
      if (held.unknown_labels() > 0) {
        out.warnings.push_back(Error(ErrorCode::kTrainingData,
                                     fmt::format("{} validation rows are left out: their class is in no training row",
                                                 FormatCount(held.unknown_labels()))));
      }
      if (out.validation_rows == 0) {
        out.warnings.push_back(Error(ErrorCode::kTrainingData,
                                     "there is no validation row: all rounds are trained, without early stopping"));
      } else {
        auto held_weights = WeightsOfRows(class_weights, held.labels());
        const bool plain = held.rows().rows() * held.rows().columns() <= kMostPlainValues;
        validation =
            plain ? QUERN_TRY(MakePlainMatrix(library, out.spec, held.rows(), held.labels(), held_weights, request))
                  : QUERN_TRY(
                        MakeMatrix(library, out.spec, held.rows(), held.labels(), held_weights, train.get(), request));
      }
    }
  }

  std::vector<void*> cached = {train.get()};
  if (validation.get()) cached.push_back(validation.get());
  XgboostHandle booster(library.BoosterFree);
  QUERN_TRY(library.Check(library.BoosterCreate(cached.data(), cached.size(), booster.out()), "starting to train"));
  for (const auto& [name, value] : QUERN_TRY(SettingsFor(request, out.spec, base_score))) {
    QUERN_TRY(library.Check(library.BoosterSetParam(booster.get(), name.c_str(), value.c_str()), "setting " + name));
    auto& recorded = out.parameters[name];
    recorded = recorded.is_null() ? value : recorded.get<std::string>() + "," + value;
  }
  QUERN_TRY(Rounds(library, request, train.get(), validation.get()).Run(booster.get(), out));
  out.booster = QUERN_TRY(Save(library, booster, out));

  // Our own reading of the trees: what cannot be scored must not leave here.
  auto trees = QUERN_TRY(Trees::Parse(out.booster, out.spec, "the trained model"));
  for (size_t f = 0; f < out.spec.features.size(); f++) {
    const SplitStats& stats = trees->stats()[f];
    auto splits = static_cast<double>(stats.splits);
    out.importance.push_back({out.spec.features[f].name, stats.splits ? stats.gain / splits : 0, splits,
                              stats.splits ? stats.cover / splits : 0});
  }
  std::stable_sort(out.importance.begin(), out.importance.end(),
                   [](const auto& a, const auto& b) { return a.gain > b.gain; });
  return out;
}

}  // namespace quern::ml
