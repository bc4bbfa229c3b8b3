#pragma once
#include "jinja/environment.h"

namespace quern::jinja {

/// Adds a part's map whose text begins at `at` of the whole.
void AppendMap(OutputMap& whole, const OutputMap& part, uint32_t at);
/// The map of text[begin, end). `text` is the whole text (places of literal marks are moved over what is cut off).
OutputMap CutMap(const OutputMap& map, std::string_view text, size_t begin, size_t end);

}  // namespace quern::jinja
