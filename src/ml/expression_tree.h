#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "ml/expression.h"

// The tree of an expression: between its parser (expression_parser.cc) and what is done with it (expression.cc).
namespace quern::ml {

struct Expression::Node {
  enum class Kind { kNumber, kSpan, kTruth, kName, kNegate, kArithmetic, kCompare, kNot, kAnd, kOr };
  Kind kind = Kind::kNumber;
  SourcePos pos;
  std::string written;             ///< constants: as written
  double number = 0;               ///< kNumber
  Span span;                       ///< kSpan
  bool truth = false;              ///< kTruth
  std::vector<std::string> parts;  ///< kName
  std::string op;                  ///< kArithmetic: + - * /; kCompare: < <= > >= == !=
  std::vector<std::shared_ptr<const Node>> children;
};

/// Needs no quotes as a part of a name.
bool IsPlainName(std::string_view text);
/// A whole number as such, others with six digits.
std::string PrintNumber(double number);

}  // namespace quern::ml
