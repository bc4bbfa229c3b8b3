#pragma once
#include <string>
#include <string_view>

#include "base/yaml.h"

namespace quern::ml {

/// A scalar's text with the place of its first character in the file, so that a place in the text can be told as a
/// place in the file. For what is written over several lines, folded or with quotes, the text is the file's own (its
/// white space as it stands there, later lines from column 1); where an escape makes the two differ, it is the value.
struct ScalarSource {
  std::string text;
  SourcePos pos;
};
ScalarSource SourceOf(const Yaml& scalar, std::string_view file_text);

}  // namespace quern::ml
