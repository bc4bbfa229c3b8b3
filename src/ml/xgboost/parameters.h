#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace quern::ml {

/// Checks one parameter of XGBoost by our table of them: its name (aliases eta/learning_rate, ... are known), type and
/// range. What the trainer itself sets (objective, seed, nthread, booster, ...) is refused with the key to use instead.
/// Errors: kUnknownKey (did you mean), kWrongType, kInvalidArgument.
Result<void> CheckXgboostParameter(const std::string& name, const Json& value);
/// Every one of an object.
Result<void> CheckXgboostParameters(const Json& parameters);
/// All names, for did-you-mean and documents.
std::vector<std::string> XgboostParameterNames();

}  // namespace quern::ml
