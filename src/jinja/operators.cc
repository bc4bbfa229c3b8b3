#include <cmath>

#include "jinja/interpreter.h"
#include "jinja/output_map.h"
#include "jinja/python_text.h"

namespace quern::jinja {

std::string ObjectName(const Value& value) {
  if (value.is_none()) return "None";
  return value.TypeName() + " object";
}

std::string TextArgument(Interpreter& state, const Value& value) {
  state.CheckStrict(value);
  std::string text = TextOf(value);
  state.CheckSize(text.size());
  return text;
}

Value SubText(const Value& original, size_t begin, size_t end) {
  const StringRep* rep = original.AsStringRep();
  if (begin == 0 && end == rep->text.size()) return original;
  auto out = MakeRef<StringRep>(rep->text.substr(begin, end - begin));
  if (rep->map) out->map = std::make_unique<OutputMap>(CutMap(*rep->map, rep->text, begin, end));
  return StringValue(std::move(out));
}

Value JoinTexts(Interpreter& state, std::span<const Value> parts) {
  std::string text;
  std::unique_ptr<OutputMap> map;
  Budget budget;
  for (const auto& part : parts) {
    size_t begin = text.size();
    AppendText(text, part, budget);
    state.CheckSize(text.size());
    const StringRep* rep = part.is_string() ? part.AsStringRep() : nullptr;
    if (rep && rep->map) {
      if (!map) map = std::make_unique<OutputMap>();
      AppendMap(*map, *rep->map, static_cast<uint32_t>(begin));
    } else if (map && text.size() > begin) {
      // No place of its own: a mark without a file ends the part before it.
      map->marks.push_back({static_cast<uint32_t>(begin), 0, 0, false, nullptr});
    }
  }
  auto rep = MakeRef<StringRep>(std::move(text));
  rep->map = std::move(map);
  return StringValue(std::move(rep));
}

namespace {

const char* OpText(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
      return "+";
    case BinaryOp::kSubtract:
      return "-";
    case BinaryOp::kMultiply:
      return "*";
    case BinaryOp::kDivide:
      return "/";
    case BinaryOp::kFloorDivide:
      return "//";
    case BinaryOp::kModulo:
      return "%";
    case BinaryOp::kPower:
      return "** or pow()";
  }
  return "?";
}

[[noreturn]] void Overflow() {
  ThrowType("integer overflow: the result does not fit into 64 bits");
}

Value IntPower(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) ThrowType("0.0 cannot be raised to a negative power");
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  while (exponent > 0) {
    if (exponent & 1) {
      if (__builtin_mul_overflow(result, base, &result)) Overflow();
    }
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) Overflow();
  }
  return Value(result);
}

Value IntArithmetic(BinaryOp op, int64_t a, int64_t b) {
  int64_t out = 0;
  switch (op) {
    case BinaryOp::kAdd:
      if (__builtin_add_overflow(a, b, &out)) Overflow();
      return Value(out);
    case BinaryOp::kSubtract:
      if (__builtin_sub_overflow(a, b, &out)) Overflow();
      return Value(out);
    case BinaryOp::kMultiply:
      if (__builtin_mul_overflow(a, b, &out)) Overflow();
      return Value(out);
    case BinaryOp::kDivide:
      if (b == 0) ThrowType("division by zero");
      return Value(static_cast<double>(a) / static_cast<double>(b));
    case BinaryOp::kFloorDivide: {
      if (b == 0) ThrowType("integer division or modulo by zero");
      if (b == -1) {
        if (__builtin_sub_overflow(int64_t{0}, a, &out)) Overflow();
        return Value(out);
      }
      out = a / b;
      if (a % b != 0 && (a < 0) != (b < 0)) --out;
      return Value(out);
    }
    case BinaryOp::kModulo: {
      if (b == 0) ThrowType("integer modulo by zero");
      if (b == -1) return Value(int64_t{0});
      out = a % b;
      if (out != 0 && (out < 0) != (b < 0)) out += b;
      return Value(out);
    }
    case BinaryOp::kPower:
      return IntPower(a, b);
  }
  return {};
}

double FloatModulo(double a, double b) {
  double mod = std::fmod(a, b);
  if (mod != 0) {
    if ((b < 0) != (mod < 0)) mod += b;
  } else {
    mod = std::copysign(0.0, b);
  }
  return mod;
}

Value FloatArithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return Value(a + b);
    case BinaryOp::kSubtract:
      return Value(a - b);
    case BinaryOp::kMultiply:
      return Value(a * b);
    case BinaryOp::kDivide:
      if (b == 0) ThrowType("float division by zero");
      return Value(a / b);
    case BinaryOp::kFloorDivide: {
      if (b == 0) ThrowType("float floor division by zero");
      double mod = std::fmod(a, b);
      double div = (a - mod) / b;
      if (mod != 0 && (b < 0) != (mod < 0)) div -= 1.0;
      double floor = 0;
      if (div != 0) {
        floor = std::floor(div);
        if (div - floor > 0.5) floor += 1.0;
      } else {
        floor = std::copysign(0.0, a / b);
      }
      return Value(floor);
    }
    case BinaryOp::kModulo:
      if (b == 0) ThrowType("float modulo");
      return Value(FloatModulo(a, b));
    case BinaryOp::kPower: {
      if (a == 0 && b < 0) ThrowType("0.0 cannot be raised to a negative power");
      if (a < 0 && b != std::floor(b)) ThrowType("the power is a complex number, which templates do not have");
      double result = std::pow(a, b);
      if (std::isinf(result) && !std::isinf(a) && !std::isinf(b)) ThrowType("float overflow");
      return Value(result);
    }
  }
  return {};
}

Value RepeatOf(Interpreter& state, const Value& sequence, int64_t times) {
  if (times < 0) times = 0;
  if (sequence.is_string()) {
    const std::string& text = sequence.AsString();
    if (!text.empty() && static_cast<size_t>(times) > state.options().limits.output_bytes / text.size()) {
      state.CheckSize(state.options().limits.output_bytes + 1);
    }
    std::string out;
    out.reserve(text.size() * static_cast<size_t>(times));
    if (!text.empty()) {
      for (int64_t i = 0; i < times; ++i) out += text;
    }
    return Value(std::move(out));
  }
  const auto& items = sequence.AsList().items;
  if (!items.empty() &&
      static_cast<size_t>(times) > state.options().limits.output_bytes / sizeof(Value) / items.size()) {
    state.CheckSize(state.options().limits.output_bytes + 1);
  }
  std::vector<Value> out;
  state.Use(static_cast<int64_t>(items.size()) * times);
  out.reserve(items.size() * static_cast<size_t>(times));
  if (!items.empty()) {
    for (int64_t i = 0; i < times; ++i) out.insert(out.end(), items.begin(), items.end());
  }
  return sequence.is_list() ? Value::NewList(std::move(out)) : Value::NewTuple(std::move(out));
}

}  // namespace

Value BinaryOperation(Interpreter& state, BinaryOp op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_float() || b.is_float()) return FloatArithmetic(op, a.AsDouble(), b.AsDouble());
    return IntArithmetic(op, a.AsInt(), b.AsInt());
  }
  if (a.is_undefined()) state.ThrowUndefined(a);
  if (op == BinaryOp::kModulo && a.is_string()) {
    std::string out = PercentFormat(a.AsString(), b);
    state.CheckSize(out.size());
    return Value(std::move(out));
  }
  if (b.is_undefined()) state.ThrowUndefined(b);
  if (op == BinaryOp::kAdd) {
    if (a.is_string() && b.is_string()) {
      const Value parts[] = {a, b};
      return JoinTexts(state, parts);
    }
    if (a.kind() == b.kind() && a.is_sequence()) {
      std::vector<Value> items = a.AsList().items;
      const auto& more = b.AsList().items;
      state.CheckSize((items.size() + more.size()) * sizeof(Value));
      state.Use(static_cast<int64_t>(items.size() + more.size()));
      items.insert(items.end(), more.begin(), more.end());
      return a.is_list() ? Value::NewList(std::move(items)) : Value::NewTuple(std::move(items));
    }
  }
  if (op == BinaryOp::kMultiply) {
    if ((a.is_string() || a.is_sequence()) && (b.is_int() || b.is_bool())) return RepeatOf(state, a, b.AsInt());
    if ((b.is_string() || b.is_sequence()) && (a.is_int() || a.is_bool())) return RepeatOf(state, b, a.AsInt());
  }
  if (a.is_object()) {
    if (auto result = OrThrow(a.AsObject().Binary(op, b, false))) return *std::move(result);
  }
  if (b.is_object()) {
    if (auto result = OrThrow(b.AsObject().Binary(op, a, true))) return *std::move(result);
  }
  if (op == BinaryOp::kAdd && a.is_string()) {
    Throw(Error(ErrorCode::kTemplateType, fmt::format("can only concatenate str (not \"{}\") to str", b.TypeName()))
              .Hint("use ~ to join texts with other values"));
  }
  ThrowType("unsupported operand type(s) for {}: '{}' and '{}'", OpText(op), a.TypeName(), b.TypeName());
}

Value NegateValue(Interpreter& state, const Value& value, bool negate) {
  if (value.is_undefined()) state.ThrowUndefined(value);
  if (value.is_float()) return Value(negate ? -value.AsDouble() : value.AsDouble());
  if (value.is_number()) {
    int64_t out = value.AsInt();
    if (negate && __builtin_sub_overflow(int64_t{0}, out, &out)) Overflow();
    return Value(out);
  }
  ThrowType("bad operand type for unary {}: '{}'", negate ? "-" : "+", value.TypeName());
}

bool ContainsValue(Interpreter& state, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString:
      if (item.is_undefined()) state.ThrowUndefined(item);
      if (!item.is_string()) ThrowType("'in <string>' requires string as left operand, not {}", item.TypeName());
      return container.AsString().find(item.AsString()) != std::string::npos;
    case Kind::kDict: {
      if (!HashOf(item)) ThrowType("unhashable type: '{}'", item.TypeName());
      return container.AsDict().Find(item) != nullptr;
    }
    case Kind::kList:
    case Kind::kTuple: {
      Budget budget;
      state.Use(static_cast<int64_t>(container.AsList().items.size()));
      for (const auto& other : container.AsList().items) {
        if (EqualValues(other, item, budget)) return true;
      }
      return false;
    }
    case Kind::kUndefined:
      state.CheckStrict(container);
      return false;
    case Kind::kObject: {
      if (auto result = OrThrow(container.AsObject().Contains(item))) return *result;
      auto items = OrThrow(container.AsObject().Iterate());
      if (!items) break;
      Budget budget;
      for (const auto& other : *items) {
        if (EqualValues(other, item, budget)) return true;
      }
      return false;
    }
    default:
      break;
  }
  ThrowType("argument of type '{}' is not iterable", container.TypeName());
}

bool CompareWith(Interpreter& state, CompareOp op, const Value& a, const Value& b) {
  state.CheckStrict(a);
  state.CheckStrict(b);
  Budget budget;
  switch (op) {
    case CompareOp::kEq:
      return EqualValues(a, b, budget);
    case CompareOp::kNe:
      return !EqualValues(a, b, budget);
    case CompareOp::kIn:
      return ContainsValue(state, b, a);
    case CompareOp::kNotIn:
      return !ContainsValue(state, b, a);
    default:
      break;
  }
  if (a.is_undefined()) state.ThrowUndefined(a);
  if (b.is_undefined()) state.ThrowUndefined(b);
  switch (op) {
    case CompareOp::kLt:
      return CompareValues(a, b, "<", budget) == -1;
    case CompareOp::kLe: {
      int c = CompareValues(a, b, "<=", budget);
      return c == -1 || c == 0;
    }
    case CompareOp::kGt:
      return CompareValues(a, b, ">", budget) == 1;
    default: {
      int c = CompareValues(a, b, ">=", budget);
      return c == 1 || c == 0;
    }
  }
}

std::optional<size_t> LengthOf(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      return CharacterCount(value.AsString());
    case Kind::kList:
    case Kind::kTuple:
      return value.AsList().items.size();
    case Kind::kDict:
      return value.AsDict().size();
    case Kind::kObject:
      return value.AsObject().Length();
    default:
      return std::nullopt;
  }
}

std::vector<Value> ItemsOf(Interpreter& state, const Value& value) {
  state.CheckStrict(value);
  auto items = OrThrow(value.Iterate());
  state.Use(static_cast<int64_t>(items.size() / 8));
  state.CheckSize(items.size() * sizeof(Value));
  return items;
}

Value SliceOf(Interpreter& state, const Value& object, const Value& start, const Value& stop, const Value& step) {
  for (const Value* bound : {&start, &stop, &step}) {
    if (!bound->is_none() && !bound->is_int() && !bound->is_bool()) ThrowType("slice indices must be integers or None");
  }
  if (!object.is_string() && !object.is_sequence()) {
    auto items = object.is_object() ? OrThrow(object.AsObject().Iterate()) : std::nullopt;
    if (!items || !object.AsObject().is_sequence()) {
      ThrowType("'{}' object cannot be sliced", object.TypeName());
    }
    return SliceOf(state, Value::NewList(*std::move(items)), start, stop, step);
  }
  int64_t by = step.is_none() ? 1 : step.AsInt();
  if (by == 0) ThrowType("slice step cannot be zero");
  auto length = static_cast<int64_t>(*LengthOf(object));
  auto clamp = [&](const Value& bound, int64_t otherwise) {
    if (bound.is_none()) return otherwise;
    int64_t at = bound.AsInt();
    if (at < 0) at += length;
    if (by > 0) return std::clamp<int64_t>(at, 0, length);
    return std::clamp<int64_t>(at, -1, length - 1);
  };
  int64_t from = clamp(start, by > 0 ? 0 : length - 1);
  int64_t to = clamp(stop, by > 0 ? length : -1);
  if (object.is_string()) {
    const std::string& text = object.AsString();
    if (by == 1) {
      if (from >= to) return Value("");
      size_t begin = CharacterOffset(text, static_cast<size_t>(from));
      size_t end = begin + CharacterOffset(std::string_view(text).substr(begin), static_cast<size_t>(to - from));
      return SubText(object, begin, end);
    }
    auto characters = OrThrow(object.Iterate());
    std::string out;
    for (int64_t i = from; by > 0 ? i < to : i > to;) {
      out += characters[static_cast<size_t>(i)].AsString();
      if (__builtin_add_overflow(i, by, &i)) break;
    }
    return Value(std::move(out));
  }
  std::vector<Value> out;
  for (int64_t i = from; by > 0 ? i < to : i > to;) {
    out.push_back(object.AsList().items[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, by, &i)) break;
  }
  state.Use(static_cast<int64_t>(out.size() / 8));
  return object.is_list() ? Value::NewList(std::move(out)) : Value::NewTuple(std::move(out));
}

}  // namespace quern::jinja
