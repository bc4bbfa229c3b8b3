#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace re2 {
class RE2;
}

namespace quern::ingest {

/// A path with globs (`*`, `?`, `**`, `[a-z]`) and `{strptime}` parts that give a file's logical time:
/// "landing/{%Y}/outcomes-{%m-%d}*.csv.gz". The parts together make one time; a name without them has none.
class PathPattern {
 public:
  /// Errors: kInvalidArgument: an unclosed brace, a time format that is none, the same letter twice.
  static Result<PathPattern> Parse(std::string_view text);

  PathPattern() = default;  ///< matches nothing

  const std::string& text() const { return text_; }
  bool has_time() const { return !format_.empty(); }
  /// Folder part in front of the first component that is not plain text; "" for none. Ends without '/'.
  const std::string& fixed_folder() const { return fixed_; }
  /// Whether files in any depth below the fixed folder can match.
  int max_depth() const { return max_depth_; }  ///< -1: any

  struct Match {
    std::optional<LocalTime> time;
  };
  /// Nothing when the path does not match. A path whose time part is no date (2013-02-31) does not match either.
  std::optional<Match> MatchPath(std::string_view path) const;

 private:
  std::string text_;
  std::string fixed_;
  std::string format_;  // the time parts, one after the other, '\x1f' between
  int max_depth_ = 0;
  std::shared_ptr<const re2::RE2> regex_;
  int groups_ = 0;
};

}  // namespace quern::ingest
