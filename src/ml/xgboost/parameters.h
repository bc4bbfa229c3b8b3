#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace quern::ml {

/// Whether XGBoost has a parameter of this name (aliases eta/learning_rate, ... are known). What the trainer itself
/// sets (objective, seed, nthread, booster, ...) is refused with the key to use instead. Errors: kUnknownKey (did you
/// mean), kInvalidArgument.
Result<void> CheckXgboostParameterName(const std::string& name);
/// Name, type and range, by our table of them. Errors: those of the name, kWrongType, kInvalidArgument.
Result<void> CheckXgboostParameter(const std::string& name, const Json& value);
/// Every one of an object.
Result<void> CheckXgboostParameters(const Json& parameters);
/// All names, for did-you-mean and documents.
std::vector<std::string> XgboostParameterNames();

}  // namespace quern::ml
