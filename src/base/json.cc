#include "base/json.h"

#include <fmt/format.h>

#include "base/text.h"

namespace quern {

Result<Json> ParseJson(std::string_view text, std::string_view what) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    auto at = LineColumnAt(text, e.byte > 0 ? e.byte - 1 : 0);
    std::string_view reason = e.what();
    if (auto colon = reason.rfind(": "); colon != std::string_view::npos) reason.remove_prefix(colon + 2);
    return Fail(Error(ErrorCode::kParse, fmt::format("not valid JSON: {}", reason))
                    .At({std::string(what), at.line, at.column}));
  } catch (const nlohmann::json::exception& e) {
    return Fail(Error(ErrorCode::kParse, fmt::format("not valid JSON: {}", e.what())).At({std::string(what), 0, 0}));
  }
}

}  // namespace quern
