#pragma once
#include <nlohmann/json.hpp>

#include "base/result.h"

namespace quern {

/// Keys are sorted, so that what is written is the same for the same content.
using Json = nlohmann::json;

/// Parses JSON text; never throws. `what` names the text in the error ("manifest.json").
Result<Json> ParseJson(std::string_view text, std::string_view what);

}  // namespace quern
