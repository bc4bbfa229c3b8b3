#include <cmath>

#include "jinja/interpreter.h"
#include "jinja/python_text.h"

namespace quern::jinja {
namespace {

Value ToInt(Interpreter& state, CallArgs& args) {
  auto bound = OrThrow(args.Bind("int", {"value", "default", "base"}, 1));
  const Value& value = *bound[0];
  if (value.is_undefined()) state.ThrowUndefined(value);
  Value otherwise = bound[1] ? *bound[1] : Value(0);
  int64_t base = bound[2] && bound[2]->is_int() ? bound[2]->AsInt() : 10;
  if (base != 0 && (base < 2 || base > 36)) return otherwise;
  std::optional<double> number;
  if (value.is_string()) {
    if (auto parsed = ParseInt(value.AsString(), static_cast<int>(base))) return Value(*parsed);
    number = ParseFloat(value.AsString());
  } else if (value.is_float()) {
    number = value.AsDouble();
  } else if (value.is_number()) {
    return Value(value.AsInt());
  }
  if (!number || !(std::abs(*number) < 9.2e18)) return otherwise;
  return Value(static_cast<int64_t>(*number));
}

Value ToFloat(Interpreter& state, CallArgs& args) {
  auto bound = OrThrow(args.Bind("float", {"value", "default"}, 1));
  const Value& value = *bound[0];
  if (value.is_undefined()) state.ThrowUndefined(value);
  if (value.is_number()) return Value(value.AsDouble());
  if (value.is_string()) {
    if (auto parsed = ParseFloat(value.AsString())) return Value(*parsed);
  }
  return bound[1] ? *bound[1] : Value(0.0);
}

/// Python's round(): to the nearest decimal, half to even on the exact binary value.
double RoundDecimal(double value, int64_t digits) {
  if (!std::isfinite(value)) return value;
  if (digits > 22) return value;
  if (digits >= 0) {
    std::string text = fmt::format("{:.{}f}", value, digits);
    return std::strtod(text.c_str(), nullptr);
  }
  if (digits < -308) return std::copysign(0.0, value);
  double unit = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(value / unit) * unit;
}

Value Round(Interpreter& state, CallArgs& args) {
  auto bound = OrThrow(args.Bind("round", {"value", "precision", "method"}, 1));
  const Value& value = *bound[0];
  if (value.is_undefined()) state.ThrowUndefined(value);
  if (!value.is_number()) ThrowType("type {} doesn't define __round__ method", value.TypeName());
  if (bound[1] && !bound[1]->is_int() && !bound[1]->is_bool()) ThrowType("precision must be an integer");
  int64_t precision = bound[1] ? bound[1]->AsInt() : 0;
  std::string method = bound[2] ? TextOf(*bound[2]) : "common";
  if (method == "common") {
    if (value.is_float()) return Value(RoundDecimal(value.AsDouble(), precision));
    if (precision >= 0) return Value(value.AsInt());
    if (precision < -18) return Value(0);
    int64_t unit = 1;
    for (int64_t i = 0; i < -precision; ++i) unit *= 10;
    int64_t n = value.AsInt();
    int64_t rest = ((n % unit) + unit) % unit;
    int64_t down = n - rest;
    bool up = rest * 2 > unit || (rest * 2 == unit && (down / unit) % 2 != 0);
    return Value(up ? down + unit : down);
  }
  if (method != "ceil" && method != "floor") ThrowType("method must be common, ceil or floor");
  double unit = std::pow(10.0, static_cast<double>(precision));
  double scaled = value.AsDouble() * unit;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

}  // namespace

void AddNumberFilters(Environment::Impl& environment) {
  auto& filters = environment.filters;
  filters["int"] = Native(ToInt);
  filters["float"] = Native(ToFloat);
  filters["round"] = Native(Round);
  filters["abs"] = Native([](Interpreter& state, CallArgs& args) {
    const Value& value = args.args[0];
    if (value.is_undefined()) state.ThrowUndefined(value);
    if (!value.is_number()) ThrowType("bad operand type for abs(): '{}'", value.TypeName());
    if (value.is_float()) return Value(std::abs(value.AsDouble()));
    return value.AsInt() < 0 ? NegateValue(state, value, true) : Value(value.AsInt());
  });
}

}  // namespace quern::jinja
