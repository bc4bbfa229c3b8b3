#pragma once
#include <string>
#include <string_view>

#include "base/result.h"

namespace quern::tracking {

/// What MLflow's client takes as a name; errors are kInvalidArgument. `what` names the thing in the error ("metric").
Result<void> CheckRunId(std::string_view run_id);
Result<void> CheckKey(std::string_view what, std::string_view key);
Result<void> CheckExperimentName(std::string_view name);
Result<void> CheckModelName(std::string_view name);        ///< of a registered model
Result<void> CheckLoggedModelName(std::string_view name);  ///< of a run's model
Result<void> CheckAlias(std::string_view alias);

/// The first `characters` code points of a text.
std::string Cut(std::string_view text, size_t characters);

inline constexpr size_t kParamCharacters = 6000;
inline constexpr size_t kTagCharacters = 8000;
inline constexpr size_t kInputTagCharacters = 500;

}  // namespace quern::tracking
