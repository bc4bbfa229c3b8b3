#include "jinja/interpreter.h"
#include "jinja/python_text.h"

namespace quern::jinja {
namespace {

using Predicate = bool (*)(Interpreter&, CallArgs&);

void Add(Environment::Impl& environment, std::string name, size_t arguments, Predicate predicate) {
  environment.tests[name] = Native([name, arguments, predicate](Interpreter& state, CallArgs& args) {
    if (args.args.size() + args.kwargs.size() != arguments + 1 || (!args.kwargs.empty() && arguments == 0)) {
      ThrowType("the test '{}' takes {} argument{}", name, arguments, arguments == 1 ? "" : "s");
    }
    if (!args.kwargs.empty()) {
      std::vector<Value> all(args.args.begin(), args.args.end());
      for (const auto& kwarg : args.kwargs) all.push_back(kwarg.value);
      CallArgs call(args.state, all, {});
      return Value(predicate(state, call));
    }
    return Value(predicate(state, args));
  });
}

int64_t IntOf(Interpreter& state, const Value& value) {
  if (value.is_undefined()) state.ThrowUndefined(value);
  if (value.is_float()) return static_cast<int64_t>(value.AsDouble());
  if (!value.is_number()) ThrowType("'{}' object is not a number", value.TypeName());
  return value.AsInt();
}

bool IsIterable(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
      return true;
    case Kind::kObject: {
      auto items = value.AsObject().Iterate();
      return items && *items;
    }
    default:
      return false;
  }
}

template <CompareOp op>
bool Compares(Interpreter& state, CallArgs& args) {
  return CompareWith(state, op, args.args[0], args.args[1]);
}

bool IsCased(const Value& value, bool upper) {
  std::string text = TextOf(value);
  bool any = false;
  for (size_t at = 0; at < text.size(); at += CharacterBytes(text, at)) {
    uint32_t c = DecodeCharacter(text, at);
    if (upper ? IsLowerLetter(c) : IsUpperLetter(c)) return false;
    any |= upper ? IsUpperLetter(c) : IsLowerLetter(c);
  }
  return any;
}

}  // namespace

void AddTests(Environment::Impl& e) {
  Add(e, "defined", 0, [](Interpreter&, CallArgs& a) { return !a.args[0].is_undefined(); });
  Add(e, "undefined", 0, [](Interpreter&, CallArgs& a) { return a.args[0].is_undefined(); });
  Add(e, "none", 0, [](Interpreter&, CallArgs& a) { return a.args[0].is_none(); });
  Add(e, "boolean", 0, [](Interpreter&, CallArgs& a) { return a.args[0].is_bool(); });
  Add(e, "true", 0, [](Interpreter&, CallArgs& a) { return a.args[0].is_bool() && a.args[0].AsBool(); });
  Add(e, "false", 0, [](Interpreter&, CallArgs& a) { return a.args[0].is_bool() && !a.args[0].AsBool(); });
  Add(e, "integer", 0, [](Interpreter&, CallArgs& a) { return a.args[0].is_int(); });
  Add(e, "float", 0, [](Interpreter&, CallArgs& a) { return a.args[0].is_float(); });
  Add(e, "number", 0, [](Interpreter&, CallArgs& a) { return a.args[0].is_number(); });
  Add(e, "string", 0, [](Interpreter&, CallArgs& a) { return a.args[0].is_string(); });
  Add(e, "mapping", 0, [](Interpreter&, CallArgs& a) {
    return a.args[0].is_dict() || (a.args[0].is_object() && a.args[0].AsObject().is_mapping());
  });
  Add(e, "sequence", 0, [](Interpreter&, CallArgs& a) {
    // What has a length and can be subscripted: dicts and texts too.
    const Value& v = a.args[0];
    return v.is_undefined() || v.is_string() || v.is_sequence() || v.is_dict() ||
           (v.is_object() && (v.AsObject().is_sequence() || v.AsObject().is_mapping()));
  });
  Add(e, "iterable", 0, [](Interpreter&, CallArgs& a) { return IsIterable(a.args[0]); });
  Add(e, "callable", 0, [](Interpreter&, CallArgs& a) {
    return a.args[0].is_undefined() || (a.args[0].is_object() && a.args[0].AsObject().callable());
  });
  Add(e, "escaped", 0, [](Interpreter&, CallArgs&) { return false; });
  Add(e, "lower", 0, [](Interpreter&, CallArgs& a) { return IsCased(a.args[0], false); });
  Add(e, "upper", 0, [](Interpreter&, CallArgs& a) { return IsCased(a.args[0], true); });
  Add(e, "even", 0, [](Interpreter& i, CallArgs& a) { return IntOf(i, a.args[0]) % 2 == 0; });
  Add(e, "odd", 0, [](Interpreter& i, CallArgs& a) { return IntOf(i, a.args[0]) % 2 != 0; });
  Add(e, "divisibleby", 1, [](Interpreter& i, CallArgs& a) {
    return !BinaryOperation(i, BinaryOp::kModulo, a.args[0], a.args[1]).Truthy();
  });
  Add(e, "sameas", 1, [](Interpreter&, CallArgs& a) {
    const Value& x = a.args[0];
    const Value& y = a.args[1];
    if (x.kind() != y.kind()) return false;
    if (x.is_sequence()) return &x.AsList() == &y.AsList();
    if (x.is_dict()) return &x.AsDict() == &y.AsDict();
    if (x.is_object()) return &x.AsObject() == &y.AsObject();
    return x.Equals(y);
  });
  Add(e, "in", 1, [](Interpreter& i, CallArgs& a) { return ContainsValue(i, a.args[1], a.args[0]); });
  Add(e, "filter", 0, [](Interpreter& i, CallArgs& a) { return i.HasFilter(TextOf(a.args[0])); });
  Add(e, "test", 0, [](Interpreter& i, CallArgs& a) { return i.HasTest(TextOf(a.args[0])); });
  for (auto name : {"eq", "==", "equalto"}) Add(e, name, 1, Compares<CompareOp::kEq>);
  for (auto name : {"ne", "!="}) Add(e, name, 1, Compares<CompareOp::kNe>);
  for (auto name : {"lt", "<", "lessthan"}) Add(e, name, 1, Compares<CompareOp::kLt>);
  for (auto name : {"le", "<="}) Add(e, name, 1, Compares<CompareOp::kLe>);
  for (auto name : {"gt", ">", "greaterthan"}) Add(e, name, 1, Compares<CompareOp::kGt>);
  for (auto name : {"ge", ">="}) Add(e, name, 1, Compares<CompareOp::kGe>);
}

}  // namespace quern::jinja
