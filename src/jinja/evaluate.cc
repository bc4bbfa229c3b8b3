#include "base/text.h"
#include "jinja/function_object.h"
#include "jinja/interpreter.h"
#include "jinja/output_map.h"
#include "jinja/python_text.h"

namespace quern::jinja {

Value Interpreter::Eval(const Expr& expr) {
  if (expr.kind == ExprKind::kConst) return static_cast<const ConstExpr&>(expr).value;
  try {
    return EvalInner(expr);
  } catch (Thrown& thrown) {
    if (thrown.error.code() != kReturnSignal) thrown.error = std::move(thrown.error).At(Place(expr.pos, file_));
    throw;
  }
}

bool Interpreter::EvalTruth(const Expr& expr) {
  Value value = Eval(expr);
  CheckStrict(value);
  return value.Truthy();
}

Value Interpreter::EvalName(const NameExpr& expr) {
  bool complete = true;  // false: a bound macro, whose file has not run
  for (SlotRef ref : expr.slots) {
    Frame* frame = frame_.get();
    for (int i = 0; i < ref.depth && frame; ++i) frame = frame->parent.get();
    if (!frame || ref.slot >= frame->slots.size()) {
      complete = false;
      continue;
    }
    const Value& value = frame->slots[ref.slot];
    if (!value.is_undefined() || value.AsUndefined()) return value;
  }
  if (!expr.falls_through && complete) return Value::Undefined(expr.name);
  return Find(expr.name);
}

Value Interpreter::EvalInner(const Expr& expr) {
  Use(1);
  switch (expr.kind) {
    case ExprKind::kConst:
      return static_cast<const ConstExpr&>(expr).value;
    case ExprKind::kName:
      return EvalName(static_cast<const NameExpr&>(expr));
    case ExprKind::kList:
    case ExprKind::kTuple: {
      std::vector<Value> items;
      const auto& sequence = static_cast<const SequenceExpr&>(expr);
      items.reserve(sequence.items.size());
      for (const auto& item : sequence.items) items.push_back(Eval(*item));
      return expr.kind == ExprKind::kList ? Value::NewList(std::move(items)) : Value::NewTuple(std::move(items));
    }
    case ExprKind::kConcat:
      return EvalConcat(static_cast<const SequenceExpr&>(expr));
    case ExprKind::kDict: {
      auto dict = MakeRef<Dict>();
      for (const auto& [key_expr, value_expr] : static_cast<const DictExpr&>(expr).entries) {
        Value key = Eval(*key_expr);
        Value value = Eval(*value_expr);
        if (!dict->Set(key, std::move(value))) ThrowType("unhashable type: '{}'", key.TypeName());
      }
      return Value(dict);
    }
    case ExprKind::kAttribute: {
      const auto& attribute = static_cast<const AttributeExpr&>(expr);
      Value object = Eval(*attribute.object);
      if (object.is_undefined() && options_.undefined != UndefinedMode::kChainable) {
        try {
          ThrowUndefined(object);
        } catch (Thrown& thrown) {
          thrown.error = std::move(thrown.error).At(Place(attribute.object->pos, file_));
          throw;
        }
      }
      return AttributeOf(object, attribute.name);
    }
    case ExprKind::kItem: {
      const auto& item = static_cast<const ItemExpr&>(expr);
      Value object = Eval(*item.object);
      if (object.is_undefined() && options_.undefined != UndefinedMode::kChainable) ThrowUndefined(object);
      if (item.key->kind == ExprKind::kSlice) {
        const auto& slice = static_cast<const SliceExpr&>(*item.key);
        return SliceOf(*this, object, slice.start ? Eval(*slice.start) : Value(),
                       slice.stop ? Eval(*slice.stop) : Value(), slice.step ? Eval(*slice.step) : Value());
      }
      return ItemOf(object, Eval(*item.key));
    }
    case ExprKind::kSlice:
      ThrowType("a slice stands alone");
    case ExprKind::kCall:
      return EvalCall(static_cast<const CallExpr&>(expr), nullptr, nullptr);
    case ExprKind::kFilter:
    case ExprKind::kTest:
      return EvalFilter(static_cast<const FilterExpr&>(expr), nullptr);
    case ExprKind::kNegate:
    case ExprKind::kPositive:
      return NegateValue(*this, Eval(*static_cast<const UnaryExpr&>(expr).operand), expr.kind == ExprKind::kNegate);
    case ExprKind::kNot:
      return Value(!EvalTruth(*static_cast<const UnaryExpr&>(expr).operand));
    case ExprKind::kBinary: {
      const auto& binary = static_cast<const BinaryExpr&>(expr);
      Value left = Eval(*binary.left);
      Value right = Eval(*binary.right);
      return BinaryOperation(*this, binary.op, left, right);
    }
    case ExprKind::kAnd:
    case ExprKind::kOr: {
      const auto& binary = static_cast<const BinaryExpr&>(expr);
      Value left = Eval(*binary.left);
      CheckStrict(left);
      if (left.Truthy() == (expr.kind == ExprKind::kOr)) return left;
      return Eval(*binary.right);
    }
    case ExprKind::kCompare:
      return EvalCompare(static_cast<const CompareExpr&>(expr));
    case ExprKind::kConditional: {
      const auto& conditional = static_cast<const ConditionalExpr&>(expr);
      if (EvalTruth(*conditional.condition)) return Eval(*conditional.then);
      if (conditional.otherwise) return Eval(*conditional.otherwise);
      return Value::UndefinedLenient("the inline if-expression evaluated to false and no else section was defined");
    }
  }
  return {};
}

Value Interpreter::EvalCompare(const CompareExpr& expr) {
  Value left = Eval(*expr.first);
  for (size_t i = 0; i < expr.rest.size(); ++i) {
    Value right = Eval(*expr.rest[i].second);
    bool holds = CompareWith(*this, expr.rest[i].first, left, right);
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::EvalConcat(const SequenceExpr& expr) {
  std::vector<Value> parts;
  parts.reserve(expr.items.size());
  for (const auto& item : expr.items) {
    parts.push_back(Eval(*item));
    CheckStrict(parts.back());
  }
  return JoinTexts(*this, parts);
}

// --- calls ---------------------------------------------------------------------------------------------------------
void Interpreter::EvalArgs(const Arguments& in, EvaluatedArgs& out) {
  out.args.reserve(out.args.size() + in.positional.size());
  for (const auto& arg : in.positional) out.args.push_back(Eval(*arg));
  if (in.star) {
    for (auto& item : ItemsOf(*this, Eval(*in.star))) out.args.push_back(std::move(item));
  }
  for (const auto& [name, arg] : in.keywords) out.kwargs.push_back({name, Eval(*arg)});
  if (in.star_star) {
    out.star_star = Eval(*in.star_star);
    if (out.star_star.is_undefined()) ThrowUndefined(out.star_star);
    if (!out.star_star.is_dict()) ThrowType("argument after ** must be a mapping, not {}", out.star_star.TypeName());
    // The dict may change during the call; its key texts are kept alive by a copy.
    auto copy = MakeRef<Dict>();
    for (const auto& entry : out.star_star.AsDict().entries()) {
      if (!entry.key.is_string()) ThrowType("keywords must be strings");
      for (const auto& [name, arg] : in.keywords) {
        if (name == entry.key.AsString()) ThrowType("got multiple values for keyword argument '{}'", name);
      }
      copy->Set(entry.key, entry.value);
    }
    out.star_star = Value(copy);
    for (const auto& entry : copy->entries()) out.kwargs.push_back({entry.key.AsString(), entry.value});
  }
}

Value Interpreter::Finish(Result<Value> result) {
  if (!result) throw Thrown{std::move(result).error()};
  return *std::move(result);
}

Value Interpreter::EvalCall(const CallExpr& expr, bool* returned, const MacroNode* caller) {
  Use(1);
  CheckStack();
  Value object;  // of a method call
  Value callee;
  const std::string* method = nullptr;
  if (expr.callee->kind == ExprKind::kAttribute) {
    const auto& attribute = static_cast<const AttributeExpr&>(*expr.callee);
    object = Eval(*attribute.object);
    if (object.is_undefined() && options_.undefined != UndefinedMode::kChainable) {
      try {
        ThrowUndefined(object);
      } catch (Thrown& thrown) {
        thrown.error = std::move(thrown.error).At(Place(attribute.object->pos, file_));
        throw;
      }
    }
    method = &attribute.name;
  } else {
    callee = Eval(*expr.callee);
  }
  EvaluatedArgs args;
  EvalArgs(expr.args, args);
  if (caller) {
    args.kwargs.push_back({"caller", Value(MakeRef<MacroValue>(
                                         std::static_pointer_cast<const TemplateImpl>(template_->shared_from_this()),
                                         caller, scope_, frame_))});
  }
  struct SavedPlace {
    Interpreter& i;
    const std::string* file;
    Pos pos;
    ~SavedPlace() {
      i.call_file_ = file;
      i.call_pos_ = pos;
    }
  } saved{*this, call_file_, call_pos_};
  call_file_ = file_;
  call_pos_ = expr.pos;
  if (!returned)
    return method ? [&] {
      CallArgs call(*this, args.args, args.kwargs);
      return CallMethodOf(object, *method, call);
    }()
                  : CallValue(callee, args.args, args.kwargs);

  // A statement's own call: return() ends the macro without unwinding.
  CallArgs call(*this, args.args, args.kwargs);
  if (!method && callee.is_object() && callee.AsObject().callable()) {
    auto result = callee.AsObject().Call(call);
    if (!result && result.error().code() == kReturnSignal) {
      *returned = true;
      return {};
    }
    return Finish(std::move(result));
  }
  return method ? CallMethodOf(object, *method, call) : CallValue(callee, args.args, args.kwargs);
}

Value Interpreter::CallValue(const Value& callee, std::span<const Value> args, std::span<const KeywordArg> kwargs) {
  CheckStack();
  if (callee.is_undefined()) {
    if (options_.undefined == UndefinedMode::kChainable) return callee;
    ThrowUndefined(callee);
  }
  if (!callee.is_object() || !callee.AsObject().callable()) ThrowType("'{}' object is not callable", callee.TypeName());
  CallArgs call(*this, args, kwargs);
  return Finish(callee.AsObject().Call(call));
}

Value Interpreter::CallMethodOf(const Value& object, std::string_view name, CallArgs& args) {
  CheckStack();
  switch (object.kind()) {
    case Kind::kUndefined:
      if (options_.undefined == UndefinedMode::kChainable) return object;
      ThrowUndefined(object);
    case Kind::kObject: {
      auto result = OrThrow(object.AsObject().CallMethod(name, args));
      if (result) return *std::move(result);
      break;
    }
    default: {
      auto result = CallBuiltinMethod(*this, object, name, args);
      if (result) return *std::move(result);
      break;
    }
  }
  return CallValue(AttributeOf(object, name), args.args, args.kwargs);
}

Value Interpreter::AttributeOf(const Value& object, std::string_view name) {
  switch (object.kind()) {
    case Kind::kUndefined:
      if (options_.undefined == UndefinedMode::kChainable) return object;
      ThrowUndefined(object);
    case Kind::kObject: {
      auto result = OrThrow(object.AsObject().Attribute(name, *this));
      if (result) return *std::move(result);
      auto item = OrThrow(object.AsObject().Item(Value(name), *this));
      if (item) return *std::move(item);
      break;
    }
    default:
      if (HasMethod(object, name)) return BoundMethod(object, std::string(name));
      if (object.is_dict()) {
        if (const Value* found = object.AsDict().Find(name)) return *found;
      }
      break;
  }
  return Value::UndefinedBecause(fmt::format("'{}' has no attribute '{}'", ObjectName(object), name));
}

Value Interpreter::ItemOf(const Value& object, const Value& key) {
  switch (object.kind()) {
    case Kind::kUndefined:
      if (options_.undefined == UndefinedMode::kChainable) return object;
      ThrowUndefined(object);
    case Kind::kList:
    case Kind::kTuple:
      if (key.is_int() || key.is_bool()) {
        const auto& items = object.AsList().items;
        int64_t at = key.AsInt();
        if (at < 0) at += static_cast<int64_t>(items.size());
        if (at >= 0 && at < static_cast<int64_t>(items.size())) return items[static_cast<size_t>(at)];
      }
      break;
    case Kind::kString:
      if (key.is_int() || key.is_bool()) {
        const std::string& text = object.AsString();
        auto count = static_cast<int64_t>(CharacterCount(text));
        int64_t at = key.AsInt();
        if (at < 0) at += count;
        if (at >= 0 && at < count) {
          size_t from = CharacterOffset(text, static_cast<size_t>(at));
          return Value(std::string_view(text).substr(from, CharacterBytes(text, from)));
        }
      }
      break;
    case Kind::kDict:
      if (const Value* found = key.is_string() ? object.AsDict().Find(key.AsString()) : object.AsDict().Find(key))
        return *found;
      break;
    case Kind::kObject: {
      auto item = OrThrow(object.AsObject().Item(key, *this));
      if (item) return *std::move(item);
      if (key.is_string()) {
        auto attribute = OrThrow(object.AsObject().Attribute(key.AsString(), *this));
        if (attribute) return *std::move(attribute);
      }
      break;
    }
    default:
      break;
  }
  if (key.is_string()) {
    if (!object.is_object() && HasMethod(object, key.AsString())) return BoundMethod(object, key.AsString());
    return Value::UndefinedBecause(fmt::format("'{}' has no attribute '{}'", ObjectName(object), key.AsString()));
  }
  return Value::UndefinedBecause(fmt::format("{} has no element {}", ObjectName(object), key.Repr()));
}

// --- filters and tests ---------------------------------------------------------------------------------------------
Value Interpreter::EvalFilter(const FilterExpr& expr, const Value* captured) {
  Use(1);
  // The filters of a block: the innermost one has no input of its own.
  Value input;
  if (!expr.input) {
    input = captured ? *captured : Value();
  } else if (captured && expr.input->kind == ExprKind::kFilter) {
    input = EvalFilter(static_cast<const FilterExpr&>(*expr.input), captured);
  } else {
    input = Eval(*expr.input);
  }
  if (!expr.function) {
    ThrowType("no {} named '{}'", expr.kind == ExprKind::kFilter ? "filter" : "test", expr.name);
  }
  if (expr.name != "default" && expr.name != "d" && expr.name != "defined" && expr.name != "undefined")
    CheckStrict(input);
  EvaluatedArgs args;
  args.args.push_back(std::move(input));
  EvalArgs(expr.args, args);
  CallArgs call(*this, args.args, args.kwargs);
  struct SavedPlace {
    Interpreter& i;
    const std::string* file;
    Pos pos;
    ~SavedPlace() {
      i.call_file_ = file;
      i.call_pos_ = pos;
    }
  } saved{*this, call_file_, call_pos_};
  call_file_ = file_;
  call_pos_ = expr.pos;
  try {
    Value result = Finish((*expr.function)(call));
    if (expr.kind == ExprKind::kTest) return Value(result.Truthy());
    return result;
  } catch (Thrown& thrown) {
    if (captured && thrown.error.code() != kReturnSignal)
      thrown.error = std::move(thrown.error).At(Place(expr.pos, file_));
    throw;
  }
}

Value Interpreter::CallFilter(const std::string& name, std::span<const Value> args,
                              std::span<const KeywordArg> kwargs) {
  const auto& filters = environment_.impl().filters;
  auto found = filters.find(name);
  if (found == filters.end()) ThrowType("no filter named '{}'", name);
  CallArgs call(*this, args, kwargs);
  return Finish(found->second(call));
}
bool Interpreter::CallTest(const std::string& name, std::span<const Value> args) {
  const auto& tests = environment_.impl().tests;
  auto found = tests.find(name);
  if (found == tests.end()) ThrowType("no test named '{}'", name);
  CallArgs call(*this, args, {});
  return Finish(found->second(call)).Truthy();
}

// --- cycles --------------------------------------------------------------------------------------------------------
namespace {

const void* IdentityOf(const Value& value) {
  if (value.is_sequence()) return &value.AsList();
  if (value.is_dict()) return &value.AsDict();
  if (value.is_object()) return &value.AsObject();
  return nullptr;
}

bool HoldsOnlyScalars(const Value& value) {
  if (value.is_sequence()) {
    if (value.AsList().items.size() > 16) return false;
    for (const auto& item : value.AsList().items) {
      if (IdentityOf(item)) return false;
    }
    return true;
  }
  if (value.is_dict()) {
    if (value.AsDict().size() > 16) return false;
    for (const auto& entry : value.AsDict().entries()) {
      if (IdentityOf(entry.value)) return false;
    }
    return true;
  }
  return !value.is_object();
}

void VisitChildren(const Value& value, const std::function<void(const Value&)>& visit) {
  if (value.is_sequence()) {
    if (value.AsList().frozen) return;
    for (const auto& item : value.AsList().items) visit(item);
  } else if (value.is_dict()) {
    if (value.AsDict().frozen) return;
    for (const auto& entry : value.AsDict().entries()) {
      visit(entry.key);
      visit(entry.value);
    }
  } else if (value.is_object()) {
    value.AsObject().VisitReferences(visit);
  }
}

}  // namespace

void Interpreter::NoteChange(const Value& container, const Value& added) {
  const void* identity = IdentityOf(container);
  const void* other = IdentityOf(added);
  if (!other || (other != identity && HoldsOnlyScalars(added))) return;
  if (changed_set_.insert(identity).second) changed_.push_back(container);
}

/// Containers that hold themselves would never be freed: the render that tied the knot unties it. (A container is
/// emptied only if it is reachable from itself.)
void Interpreter::UndoCycles() {
  if (changed_.empty()) return;
  std::unordered_set<const void*> seen;
  for (const auto& start : changed_) {
    const void* goal = IdentityOf(start);
    bool found = false;
    int64_t budget = 2'000'000;
    seen.clear();
    std::vector<Value> held = {start};
    while (!held.empty() && !found && budget > 0) {
      Value value = std::move(held.back());
      held.pop_back();
      VisitChildren(value, [&](const Value& child) {
        const void* identity = IdentityOf(child);
        --budget;
        if (!identity) return;
        if (identity == goal) found = true;
        if (seen.insert(identity).second) held.push_back(child);
      });
    }
    if (!found) continue;
    if (start.is_sequence()) {
      std::vector<Value> items;
      items.swap(start.AsList().items);
    } else if (start.is_dict()) {
      start.AsDict().Clear();
    } else if (start.is_object()) {
      start.AsObject().ClearReferences();
    }
  }
  changed_.clear();
}

}  // namespace quern::jinja
