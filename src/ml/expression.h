#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "ml/span.h"

// Rules over measured values: `retrain_when` and `require` of ml/*.yml. Grammar and meaning: docs/reference/ml.md.
namespace quern::ml {

enum class ValueType { kNumber, kDuration, kTruth };

/// The names that an expression may use, dotted; numbers and durations. A part `*` stands for any one part: "drift.*",
/// "slice.*.auc".
struct Names {
  std::map<std::string, ValueType> types;

  std::optional<ValueType> Find(const std::vector<std::string>& parts) const;
};

/// A value for a name: a number, an age (the moment since when), or unknown with the reason ("there is no champion").
struct Measured {
  struct Unknown {
    std::string because;
  };
  std::variant<Unknown, double, Timestamp> value = Unknown{};

  static Measured Number(std::optional<double> number, std::string because_unknown = "");
  static Measured Since(Timestamp since);
  static Measured UnknownBecause(std::string because);
};

/// What an expression is evaluated over. A name that is absent is unknown.
struct Environment {
  std::map<std::string, Measured> values;
  Timestamp now;  ///< ages are measured to here: the interval's end
  TimeZone zone = TimeZone::Utc();
};

enum class Truth { kFalse, kTrue, kUnknown };

struct Verdict {
  Truth truth = Truth::kUnknown;
  /// In words, by the comparisons that decided, each as it was found to be, joined by "; ": "auc 0.681 < 0.7",
  /// "auc 0.75 >= 0.7; age is unknown: there is no champion".
  std::string reason;
  /// Every name of the expression with its value; null when unknown, days for an age.
  Json values = Json::object();
  bool holds() const { return truth == Truth::kTrue; }
};

/// A parsed expression. Immutable, cheap to copy, safe to use from many threads.
class Expression {
 public:
  struct Node;
  /// `pos` is where the text's first character stands; its later lines are taken to begin in column 1. Errors:
  /// kExpression with the place; also nesting past 100, more than 2,000 words and signs.
  static Result<Expression> Parse(std::string_view text, const SourcePos& pos);
  /// Reports names that are not there (with did-you-mean), operands of unlike types, and an expression that is no
  /// yes-or-no question. Errors: kExpression.
  void Check(const Names& names, Diagnostics& diagnostics) const;
  /// Three-valued: a comparison with an unknown value (or a division by zero) is unknown; `and`, `or`, `not` as in SQL.
  Verdict Evaluate(const Environment& environment) const;

  /// As written, with runs of white space as one blank.
  const std::string& text() const { return text_; }
  const SourcePos& pos() const { return pos_; }
  /// Distinct names used, in order of first use.
  std::vector<std::string> names() const;
  /// Printed with all the parentheses that its meaning needs; parses to the same expression.
  std::string ToString() const;

 private:
  std::string text_;
  SourcePos pos_;
  std::shared_ptr<const Node> root_;
};

}  // namespace quern::ml
