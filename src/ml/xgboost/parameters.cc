#include "ml/xgboost/parameters.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <map>

#include "base/text.h"

namespace quern::ml {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

enum class Kind { kNumber, kWhole, kWord, kMonotone, kInteraction, kMetrics };

struct Parameter {
  std::string_view name;
  Kind kind;
  double least = -kNone;
  double most = kNone;
  bool above = false;  ///< `least` itself is not allowed
  std::vector<std::string> words{};
};

// XGBoost 1.7, "XGBoost Parameters", of the tree booster.
const std::vector<Parameter>& Table() {
  static const std::vector<Parameter> table = {
      {"alpha", Kind::kNumber, 0},
      {"base_score", Kind::kNumber},
      {"colsample_bylevel", Kind::kNumber, 0, 1, true},
      {"colsample_bynode", Kind::kNumber, 0, 1, true},
      {"colsample_bytree", Kind::kNumber, 0, 1, true},
      {"eta", Kind::kNumber, 0, 1},
      {"eval_metric", Kind::kMetrics},
      {"gamma", Kind::kNumber, 0},
      {"grow_policy", Kind::kWord, -kNone, kNone, false, {"depthwise", "lossguide"}},
      {"interaction_constraints", Kind::kInteraction},
      {"lambda", Kind::kNumber, 0},
      {"learning_rate", Kind::kNumber, 0, 1},
      {"max_bin", Kind::kWhole, 2, 65536},
      {"max_cat_threshold", Kind::kWhole, 1},
      {"max_cat_to_onehot", Kind::kWhole, 1},
      {"max_delta_step", Kind::kNumber, 0},
      {"max_depth", Kind::kWhole, 0, 64},
      {"max_leaves", Kind::kWhole, 0},
      {"min_child_weight", Kind::kNumber, 0},
      {"min_split_loss", Kind::kNumber, 0},
      {"monotone_constraints", Kind::kMonotone},
      {"num_parallel_tree", Kind::kWhole, 1, 10000},
      {"reg_alpha", Kind::kNumber, 0},
      {"reg_lambda", Kind::kNumber, 0},
      {"sampling_method", Kind::kWord, -kNone, kNone, false, {"uniform"}},
      {"scale_pos_weight", Kind::kNumber, 0, kNone, true},
      {"subsample", Kind::kNumber, 0, 1, true},
      {"tree_method", Kind::kWord, -kNone, kNone, false, {"hist"}},
  };
  return table;
}

// What is not the user's to set here, and what to write instead.
const std::map<std::string, std::string>& SetByUs() {
  static const std::map<std::string, std::string> names = {
      {"booster", "models are of gbtree"},
      {"device", "training is on the processor"},
      {"early_stopping_rounds", "write `early_stopping:` beside `rounds:`"},
      {"enable_categorical", "text, booleans and the columns of `categorical:` are taken as categories"},
      {"missing", "null and NaN are missing"},
      {"n_estimators", "write `rounds:`"},
      {"n_jobs", "write `threads:`"},
      {"nthread", "write `threads:`"},
      {"num_boost_round", "write `rounds:`"},
      {"num_round", "write `rounds:`"},
      {"num_class", "the classes are those of the label"},
      {"objective", "write `task:`"},
      {"predictor", "models are scored by Quern itself"},
      {"random_state", "write `seed:`"},
      {"seed", "write `seed:`"},
      {"seed_per_iteration", "write `seed:`"},
      {"verbosity", "each round is in the history"},
  };
  return names;
}

const std::vector<std::string>& Metrics() {
  static const std::vector<std::string> names = {"auc",  "aucpr",  "error",    "logloss", "mae",  "map",
                                                 "mape", "merror", "mlogloss", "mphe",    "rmse", "rmsle"};
  return names;
}

Result<void> CheckMetric(const std::string& name, const Json& value) {
  if (!value.is_string()) {
    return Fail(ErrorCode::kWrongType, fmt::format("'{}' must be a metric's name or a list of them", name));
  }
  auto metric = value.get<std::string>();
  std::string base = metric.substr(0, metric.find('@'));
  for (const auto& known : Metrics()) {
    if (known == base && (base == metric || base == "error")) return {};
  }
  std::string hint = DidYouMean(metric, Metrics());
  return Fail(Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no metric that '{}' may name", metric, name))
                  .Hint(hint.empty() ? "known are " + Join(Metrics(), ", ") : hint));
}

const Parameter* Find(std::string_view name) {
  for (const auto& known : Table()) {
    if (known.name == name) return &known;
  }
  return nullptr;
}

std::string RangeText(const Parameter& p) {
  if (p.most == kNone) return fmt::format("{} {}", p.above ? "above" : "at least", p.least);
  return fmt::format("{} {} and at most {}", p.above ? "above" : "at least", p.least, p.most);
}

}  // namespace

std::vector<std::string> XgboostParameterNames() {
  std::vector<std::string> out;
  for (const auto& p : Table()) out.emplace_back(p.name);
  return out;
}

Result<void> CheckXgboostParameterName(const std::string& name) {
  if (auto ours = SetByUs().find(name); ours != SetByUs().end()) {
    return Fail(Error(ErrorCode::kInvalidArgument, fmt::format("the parameter '{}' cannot be set here", name))
                    .Hint(ours->second));
  }
  if (Find(name)) return {};
  auto candidates = XgboostParameterNames();
  for (const auto& [ours, instead] : SetByUs()) candidates.push_back(ours);
  std::string hint = DidYouMean(name, candidates);
  return Fail(Error(ErrorCode::kUnknownKey, fmt::format("XGBoost has no parameter '{}'", name))
                  .Hint(hint.empty() ? "known are " + Join(XgboostParameterNames(), ", ") : hint));
}

Result<void> CheckXgboostParameter(const std::string& name, const Json& value) {
  QUERN_TRY(CheckXgboostParameterName(name));
  const Parameter* p = Find(name);
  auto wrong = [&](std::string_view expected) {
    return Fail(ErrorCode::kWrongType,
                fmt::format("the parameter '{}' must be {}, it is {}", name, expected, value.dump()));
  };
  switch (p->kind) {
    case Kind::kNumber:
    case Kind::kWhole: {
      if (!value.is_number()) return wrong(p->kind == Kind::kWhole ? "a whole number" : "a number");
      auto number = value.get<double>();
      if (p->kind == Kind::kWhole && number != std::trunc(number)) return wrong("a whole number");
      if (!std::isfinite(number) || number < p->least || number > p->most || (p->above && number == p->least)) {
        return Fail(ErrorCode::kInvalidArgument,
                    fmt::format("the parameter '{}' must be {}, it is {}", name, RangeText(*p), value.dump()));
      }
      return {};
    }
    case Kind::kWord: {
      if (!value.is_string()) return wrong("one of " + Join(p->words, ", "));
      auto word = value.get<std::string>();
      for (const auto& known : p->words) {
        if (known == word) return {};
      }
      return Fail(Error(ErrorCode::kInvalidArgument, fmt::format("the parameter '{}' cannot be '{}'", name, word))
                      .Hint("known are " + Join(p->words, ", ")));
    }
    case Kind::kMonotone:
      if (!value.is_object()) return wrong("a mapping of features to -1, 0 or 1");
      for (const auto& [feature, direction] : value.items()) {
        if (direction != -1 && direction != 0 && direction != 1) return wrong("a mapping of features to -1, 0 or 1");
      }
      return {};
    case Kind::kInteraction:
      if (!value.is_array()) return wrong("a list of lists of features");
      for (const auto& group : value) {
        if (!group.is_array()) return wrong("a list of lists of features");
        for (const auto& feature : group) {
          if (!feature.is_string()) return wrong("a list of lists of features");
        }
      }
      return {};
    case Kind::kMetrics:
      if (!value.is_array()) return CheckMetric(name, value);
      if (value.empty()) return wrong("a metric's name or a list of them");
      for (const auto& one : value) QUERN_TRY(CheckMetric(name, one));
      return {};
  }
  return {};
}

Result<void> CheckXgboostParameters(const Json& parameters) {
  if (!parameters.is_object()) return Fail(ErrorCode::kWrongType, "the parameters must be a mapping");
  for (const auto& [name, value] : parameters.items()) QUERN_TRY(CheckXgboostParameter(name, value));
  for (const auto& [one, other] : {std::pair("eta", "learning_rate"), std::pair("gamma", "min_split_loss"),
                                   std::pair("alpha", "reg_alpha"), std::pair("lambda", "reg_lambda")}) {
    if (parameters.contains(one) && parameters.contains(other)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("'{}' and '{}' are the same parameter: set one of them", one, other));
    }
  }
  return {};
}

}  // namespace quern::ml
