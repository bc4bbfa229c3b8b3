#include "ml/expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "ml/expression_tree.h"

namespace quern::ml {

using Node = Expression::Node;
using Kind = Node::Kind;

namespace {

int Binding(const Node& node) {
  switch (node.kind) {
    case Kind::kOr:
      return 1;
    case Kind::kAnd:
      return 2;
    case Kind::kNot:
      return 3;
    case Kind::kCompare:
      return 4;
    case Kind::kArithmetic:
      return node.op == "+" || node.op == "-" ? 5 : 6;
    case Kind::kNegate:
      return 7;
    default:
      return 8;
  }
}

std::string PrintName(const Node& node) {
  std::string text;
  for (const auto& part : node.parts) {
    if (!text.empty()) text += '.';
    text += IsPlainName(part) ? part : QuoteIdentifier(part);
  }
  return text;
}

std::string Print(const Node& node);

std::string PrintChild(const Node& child, int least) {
  std::string text = Print(child);
  return Binding(child) < least ? "(" + text + ")" : text;
}

std::string Print(const Node& node) {
  const int own = Binding(node);
  switch (node.kind) {
    case Kind::kOr:
    case Kind::kAnd: {
      std::vector<std::string> parts;
      for (const auto& child : node.children) parts.push_back(PrintChild(*child, own + 1));
      return Join(parts, node.kind == Kind::kOr ? " or " : " and ");
    }
    case Kind::kNot:
      return "not " + PrintChild(*node.children[0], own);
    case Kind::kCompare:
      return fmt::format("{} {} {}", PrintChild(*node.children[0], own + 1), node.op,
                         PrintChild(*node.children[1], own + 1));
    case Kind::kArithmetic:
      return fmt::format("{} {} {}", PrintChild(*node.children[0], own), node.op,
                         PrintChild(*node.children[1], own + 1));
    case Kind::kNegate:
      return "-" + PrintChild(*node.children[0], own);
    case Kind::kName:
      return PrintName(node);
    default:
      return node.written;
  }
}

// ---- values

struct Unknown {
  std::string because;  // a whole statement: "age is unknown: there is no champion"
};
struct Age {
  Timestamp since;
};
using Operand = std::variant<Unknown, double, Span, Age>;

std::chrono::microseconds AgeOf(Timestamp since, const Environment& environment) {
  return environment.zone.ToLocal(environment.now) - environment.zone.ToLocal(since);
}

class Evaluator {
 public:
  explicit Evaluator(const Environment& environment) : environment_(environment) {}

  struct Outcome {
    Truth truth;
    std::vector<std::string> facts;
  };

  Outcome Decide(const Node& node) const {
    switch (node.kind) {
      case Kind::kTruth:
        return {node.truth ? Truth::kTrue : Truth::kFalse, {node.truth ? "always true" : "never true"}};
      case Kind::kNot: {
        Outcome outcome = Decide(*node.children[0]);
        if (outcome.truth != Truth::kUnknown)
          outcome.truth = outcome.truth == Truth::kTrue ? Truth::kFalse : Truth::kTrue;
        return outcome;
      }
      case Kind::kAnd:
      case Kind::kOr:
        return Combine(node);
      case Kind::kCompare:
        return Compare(node);
      default:
        return {Truth::kUnknown, {Print(node) + " is no yes-or-no question"}};
    }
  }

 private:
  // The children that decided give the facts: what is true makes an `or` true, what is false an `and` false.
  Outcome Combine(const Node& node) const {
    const Truth decisive = node.kind == Kind::kOr ? Truth::kTrue : Truth::kFalse;
    const Truth other = node.kind == Kind::kOr ? Truth::kFalse : Truth::kTrue;
    std::vector<Outcome> outcomes;
    Truth truth = other;
    for (const auto& child : node.children) {
      outcomes.push_back(Decide(*child));
      if (outcomes.back().truth == decisive) {
        truth = decisive;
      } else if (outcomes.back().truth == Truth::kUnknown && truth == other) {
        truth = Truth::kUnknown;
      }
    }
    Outcome combined{truth, {}};
    for (auto& outcome : outcomes) {
      // Of an undecided `or` what was found false is told too: it is what the unknown alone is left to decide.
      const bool tells = outcome.truth == truth || (truth == Truth::kUnknown && node.kind == Kind::kOr);
      if (!tells) continue;
      for (auto& fact : outcome.facts) {
        if (std::find(combined.facts.begin(), combined.facts.end(), fact) == combined.facts.end())
          combined.facts.push_back(std::move(fact));
      }
    }
    return combined;
  }

  Outcome Compare(const Node& node) const {
    const Operand left = Value(*node.children[0]);
    const Operand right = Value(*node.children[1]);
    std::vector<std::string> unknown;
    for (const Operand* operand : {&left, &right}) {
      if (auto* missing = std::get_if<Unknown>(operand);
          missing && std::find(unknown.begin(), unknown.end(), missing->because) == unknown.end())
        unknown.push_back(missing->because);
    }
    if (!unknown.empty()) return {Truth::kUnknown, unknown};
    int order = 0;
    if (std::holds_alternative<double>(left) != std::holds_alternative<double>(right)) {
      return {Truth::kUnknown, {Print(node) + " compares a number with a duration"}};
    } else if (auto* number = std::get_if<double>(&left)) {
      const double to = std::get<double>(right);
      order = *number < to ? -1 : *number > to ? 1 : 0;
    } else {  // what is longer goes back further
      const Timestamp a = Back(left), b = Back(right);
      order = a > b ? -1 : a < b ? 1 : 0;
    }
    const std::string& op = node.op;
    const bool holds = op == "<"    ? order < 0
                       : op == "<=" ? order <= 0
                       : op == ">"  ? order > 0
                       : op == ">=" ? order >= 0
                       : op == "==" ? order == 0
                                    : order != 0;
    return {holds ? Truth::kTrue : Truth::kFalse,
            {fmt::format("{} {} {}", Told(*node.children[0], left), holds ? op : Opposite(op),
                         Told(*node.children[1], right))}};
  }

  static std::string Opposite(const std::string& op) {
    if (op == "<") return ">=";
    if (op == "<=") return ">";
    if (op == ">") return "<=";
    if (op == ">=") return "<";
    return op == "==" ? "!=" : "==";
  }

  Timestamp Back(const Operand& duration) const {
    if (auto* age = std::get_if<Age>(&duration)) return age->since;
    return Subtract(environment_.now, std::get<Span>(duration), environment_.zone);
  }

  std::string Told(const Node& node, const Operand& value) const {
    std::string printed;
    if (auto* number = std::get_if<double>(&value)) {
      printed = PrintNumber(*number);
    } else if (auto* span = std::get_if<Span>(&value)) {
      printed = span->ToString();
    } else {
      printed = PrintAge(std::get<Age>(value).since);
    }
    if (node.kind == Kind::kNumber || node.kind == Kind::kSpan) return node.written;
    if (node.kind == Kind::kName) return PrintName(node) + " " + printed;
    return fmt::format("{} ({})", Print(node), printed);
  }

  /// In days as calendars count them: clocks that were put forward take none away.
  std::string PrintAge(Timestamp since) const {
    const auto age = AgeOf(since, environment_);
    if (age < std::chrono::days(2) && age > -std::chrono::days(2))
      return fmt::format("{:.3g} hours", static_cast<double>(age.count()) / 3.6e9);
    return fmt::format("{} days", std::chrono::floor<std::chrono::days>(age).count());
  }

  Operand Value(const Node& node) const {
    switch (node.kind) {
      case Kind::kNumber:
        return node.number;
      case Kind::kSpan:
        return node.span;
      case Kind::kName:
        return Lookup(node);
      case Kind::kNegate: {
        Operand inner = Value(*node.children[0]);
        if (auto* number = std::get_if<double>(&inner)) return -*number;
        if (std::holds_alternative<Unknown>(inner)) return inner;
        return Unknown{Print(node) + " is unknown: a duration has no sign"};
      }
      case Kind::kArithmetic:
        return Calculate(node);
      default:
        return Unknown{Print(node) + " is no value"};
    }
  }

  Operand Lookup(const Node& node) const {
    auto it = environment_.values.find(Join(node.parts, "."));
    const std::string name = PrintName(node);
    if (it == environment_.values.end()) return Unknown{name + " is unknown"};
    if (auto* number = std::get_if<double>(&it->second.value)) {
      if (!std::isfinite(*number)) return Unknown{name + " is unknown: it is no finite number"};
      return *number;
    }
    if (auto* since = std::get_if<Timestamp>(&it->second.value)) return Age{*since};
    const std::string& because = std::get<Measured::Unknown>(it->second.value).because;
    return Unknown{because.empty() ? name + " is unknown" : fmt::format("{} is unknown: {}", name, because)};
  }

  Operand Calculate(const Node& node) const {
    Operand left = Value(*node.children[0]);
    Operand right = Value(*node.children[1]);
    if (std::holds_alternative<Unknown>(left)) return left;
    if (std::holds_alternative<Unknown>(right)) return right;
    auto* a = std::get_if<double>(&left);
    auto* b = std::get_if<double>(&right);
    const char op = node.op[0];
    if (a && b) {
      if (op == '/' && *b == 0) return Unknown{Print(node) + " is unknown: a division by zero"};
      const double result = op == '+' ? *a + *b : op == '-' ? *a - *b : op == '*' ? *a * *b : *a / *b;
      if (!std::isfinite(result)) return Unknown{Print(node) + " is unknown: it is too large"};
      return result;
    }
    if (a || b || op == '*' || op == '/')
      return Unknown{Print(node) + " is unknown: durations can be added and subtracted only"};
    if (auto* age = std::get_if<Age>(&left); age && std::holds_alternative<Span>(right)) {
      const Span& span = std::get<Span>(right);
      return Age{op == '+' ? Subtract(age->since, span, environment_.zone) : Add(age->since, span, environment_.zone)};
    }
    if (auto* age = std::get_if<Age>(&right); age && op == '+' && std::holds_alternative<Span>(left))
      return Age{Subtract(age->since, std::get<Span>(left), environment_.zone)};
    auto as_span = [&](const Operand& operand) {
      if (auto* span = std::get_if<Span>(&operand)) return *span;
      return Span{.time = environment_.now - std::get<Age>(operand).since};
    };
    const Span x = as_span(left), y = as_span(right);
    const int sign = op == '+' ? 1 : -1;
    return Span{x.months + sign * y.months, x.days + sign * y.days, x.time + sign * y.time};
  }

  const Environment& environment_;
};

// ---- types

class Checker {
 public:
  Checker(const Names& names, Diagnostics& diagnostics) : names_(names), diagnostics_(diagnostics) {
    for (const auto& [name, type] : names.types) {
      if (name.find('*') == std::string::npos) known_.push_back(name);
    }
  }

  /// The node's type; nothing when something in it was reported.
  std::optional<ValueType> TypeOf(const Node& node) {
    switch (node.kind) {
      case Kind::kNumber:
        return ValueType::kNumber;
      case Kind::kSpan:
        return ValueType::kDuration;
      case Kind::kTruth:
        return ValueType::kTruth;
      case Kind::kName: {
        if (auto type = names_.Find(node.parts)) return type;
        const std::string name = Join(node.parts, ".");
        Report(node, fmt::format("unknown name '{}'", name), DidYouMean(name, known_));
        return std::nullopt;
      }
      case Kind::kNegate: {
        auto type = TypeOf(*node.children[0]);
        if (type && *type != ValueType::kNumber) {
          Report(node, fmt::format("'-' before {}", Told(*type)), "only numbers have a sign");
          return std::nullopt;
        }
        return type;
      }
      case Kind::kArithmetic:
        return Arithmetic(node);
      case Kind::kCompare:
        return Comparison(node);
      case Kind::kNot:
      case Kind::kAnd:
      case Kind::kOr: {
        bool good = true;
        for (const auto& child : node.children) good &= IsQuestion(*child);
        return good ? std::optional(ValueType::kTruth) : std::nullopt;
      }
    }
    return std::nullopt;
  }

  bool IsQuestion(const Node& node) {
    auto type = TypeOf(node);
    if (type && *type != ValueType::kTruth) {
      Report(node, fmt::format("'{}' is {}, no yes-or-no question", Print(node), Told(*type)),
             *type == ValueType::kNumber ? "compare it, as in 'auc < 0.7'" : "compare it, as in 'age > 6 months'");
      return false;
    }
    return type.has_value();
  }

 private:
  static std::string_view Told(ValueType type) {
    return type == ValueType::kNumber ? "a number" : type == ValueType::kDuration ? "a duration" : "a truth value";
  }

  std::optional<ValueType> Arithmetic(const Node& node) {
    auto left = TypeOf(*node.children[0]);
    auto right = TypeOf(*node.children[1]);
    if (!left || !right) return std::nullopt;
    const bool numbers = *left == ValueType::kNumber && *right == ValueType::kNumber;
    const bool durations = *left == ValueType::kDuration && *right == ValueType::kDuration;
    if (numbers || (durations && (node.op == "+" || node.op == "-"))) return left;
    Report(node, fmt::format("'{}' between {} and {}", node.op, Told(*left), Told(*right)),
           "numbers are calculated with numbers; durations can be added and subtracted only");
    return std::nullopt;
  }

  std::optional<ValueType> Comparison(const Node& node) {
    auto left = TypeOf(*node.children[0]);
    auto right = TypeOf(*node.children[1]);
    if (!left || !right) return std::nullopt;
    if (*left == *right && *left != ValueType::kTruth) return ValueType::kTruth;
    std::string hint = "both sides must be numbers, or both durations";
    if (*left == ValueType::kDuration || *right == ValueType::kDuration)
      hint = fmt::format("write a duration as '6 months'; the units are {}", SpanUnits());
    Report(node, fmt::format("'{}' compares {} with {}", Print(node), Told(*left), Told(*right)), hint);
    return std::nullopt;
  }

  void Report(const Node& node, std::string message, std::string hint) {
    Error error = Error(ErrorCode::kExpression, std::move(message)).At(node.pos);
    diagnostics_.Add(hint.empty() ? std::move(error) : std::move(error).Hint(std::move(hint)));
  }

  const Names& names_;
  Diagnostics& diagnostics_;
  std::vector<std::string> known_;
};

void Collect(const Node& node, std::vector<std::string>& names) {
  if (node.kind == Kind::kName) {
    std::string name = Join(node.parts, ".");
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  for (const auto& child : node.children) Collect(*child, names);
}

}  // namespace

std::string PrintNumber(double number) {
  if (number == std::floor(number) && std::abs(number) < 1e15) return fmt::format("{:.0f}", number + 0.0);
  return fmt::format("{:.6g}", number);
}

std::optional<ValueType> Names::Find(const std::vector<std::string>& parts) const {
  if (auto exact = types.find(Join(parts, ".")); exact != types.end()) return exact->second;
  for (const auto& [pattern, type] : types) {
    if (pattern.find('*') == std::string::npos) continue;
    const auto wanted = Split(pattern, '.');
    bool fits = wanted.size() == parts.size();
    for (size_t i = 0; fits && i < parts.size(); ++i) fits = wanted[i] == "*" || wanted[i] == parts[i];
    if (fits) return type;
  }
  return std::nullopt;
}

Measured Measured::Number(std::optional<double> number, std::string because_unknown) {
  if (number) return {*number};
  return UnknownBecause(std::move(because_unknown));
}
Measured Measured::Since(Timestamp since) {
  return {since};
}
Measured Measured::UnknownBecause(std::string because) {
  return {Unknown{std::move(because)}};
}

void Expression::Check(const Names& names, Diagnostics& diagnostics) const {
  Checker(names, diagnostics).IsQuestion(*root_);
}

Verdict Expression::Evaluate(const Environment& environment) const {
  auto outcome = Evaluator(environment).Decide(*root_);
  Verdict verdict;
  verdict.truth = outcome.truth;
  verdict.reason = Join(outcome.facts, "; ");
  for (const auto& name : names()) {
    Json value;
    if (auto it = environment.values.find(name); it != environment.values.end()) {
      if (auto* number = std::get_if<double>(&it->second.value); number && std::isfinite(*number)) value = *number;
      if (auto* since = std::get_if<Timestamp>(&it->second.value))
        value = static_cast<double>(AgeOf(*since, environment).count()) / 86'400e6;
    }
    verdict.values[name] = std::move(value);
  }
  return verdict;
}

std::vector<std::string> Expression::names() const {
  std::vector<std::string> names;
  Collect(*root_, names);
  return names;
}

std::string Expression::ToString() const {
  return Print(*root_);
}

}  // namespace quern::ml
