#include "ml/xgboost/parameters.h"

#include <gtest/gtest.h>

namespace quern::ml {
namespace {

TEST(XgboostParametersTest, WhatXgboostKnows) {
  EXPECT_TRUE(CheckXgboostParameters(Json{{"max_depth", 6},
                                          {"eta", 0.1},
                                          {"subsample", 1},
                                          {"eval_metric", {"auc", "error@0.7", "logloss"}},
                                          {"grow_policy", "lossguide"},
                                          {"monotone_constraints", {{"a", 1}, {"b", -1}}},
                                          {"interaction_constraints", {{"a", "b"}, {"c"}}},
                                          {"tree_method", "hist"}}));
}

TEST(XgboostParametersTest, MistakesSayWhatIsMeant) {
  struct Case {
    Json parameters;
    ErrorCode code;
    const char* says;
  };
  const Case cases[] = {
      {{{"max_dept", 3}}, ErrorCode::kUnknownKey, "did you mean 'max_depth'?"},
      {{{"max_depth", 3.5}}, ErrorCode::kWrongType, "a whole number"},
      {{{"max_depth", "3"}}, ErrorCode::kWrongType, "a whole number"},
      {{{"eta", 1.5}}, ErrorCode::kInvalidArgument, "at least 0 and at most 1"},
      {{{"subsample", 0}}, ErrorCode::kInvalidArgument, "above 0"},
      {{{"objective", "reg:gamma"}}, ErrorCode::kInvalidArgument, "`task:`"},
      {{{"n_estimators", 10}}, ErrorCode::kInvalidArgument, "`rounds:`"},
      {{{"booster", "dart"}}, ErrorCode::kInvalidArgument, "gbtree"},
      {{{"tree_method", "exact"}}, ErrorCode::kInvalidArgument, "known are hist"},
      {{{"eval_metric", "acu"}}, ErrorCode::kInvalidArgument, "did you mean 'auc'?"},
      {{{"eta", 0.1}, {"learning_rate", 0.1}}, ErrorCode::kInvalidArgument, "the same parameter"},
      {{{"monotone_constraints", {{"a", 2}}}}, ErrorCode::kWrongType, "-1, 0 or 1"},
  };
  for (const auto& c : cases) {
    auto result = CheckXgboostParameters(c.parameters);
    ASSERT_FALSE(result) << c.parameters;
    EXPECT_EQ(result.error().code(), c.code) << c.parameters;
    EXPECT_NE(result.error().ToString().find(c.says), std::string::npos) << result.error().ToString();
  }
}

}  // namespace
}  // namespace quern::ml
