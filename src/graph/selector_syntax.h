#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace quern::graph {

/// One criterion of a selector: `@`, `2+`, `method.argument:value`, `+3`.
struct Criterion {
  std::string text;
  bool childrens_parents = false;
  bool parents = false;
  bool children = false;
  int parents_depth = -1;
  int children_depth = -1;
  std::string method;                  ///< always set: fqn, path or file when the user named none
  std::vector<std::string> arguments;  ///< config.meta.owner: {"meta", "owner"}
  std::string value;
};

/// A union of intersections of criteria.
using Selector = std::vector<std::vector<Criterion>>;

/// Errors: kSelector, see Select.
Result<Selector> ParseSelector(const std::string& text);

}  // namespace quern::graph
