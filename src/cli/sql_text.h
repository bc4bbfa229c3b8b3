#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace quern::cli {

/// One statement inside a longer SQL text.
struct Statement {
  std::string text;   ///< without the semicolon, without blanks around it
  size_t offset = 0;  ///< of `text` in the whole
  bool ended = true;  ///< a semicolon followed
};

/// Cuts SQL at semicolons, but not inside quotes, dollar quotes and comments. Parts without anything but comments are
/// left out. The last part has ended = false when no semicolon follows it.
std::vector<Statement> SplitStatements(std::string_view sql);

/// Whether the text ends inside a quote, a comment or a statement that no semicolon ends: the shell asks for another
/// line.
bool WantsMore(std::string_view sql);

}  // namespace quern::cli
