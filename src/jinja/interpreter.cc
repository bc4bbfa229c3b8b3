#include "jinja/interpreter.h"

#include "base/text.h"
#include "jinja/output_map.h"

namespace quern::jinja {

Value Frame::Unset() {
  static_assert(sizeof(Value) == 16);
  return UnsetValue();
}

namespace {
bool IsUnset(const Value& value) {
  return value.is_undefined() && !value.AsUndefined();
}
}  // namespace

/// Sends output elsewhere while it lives.
struct Interpreter::Capture {
  Capture(Interpreter& i, Output& out) : interpreter(i), saved(i.out_), saved_native(i.native_) {
    i.out_ = &out;
    i.native_ = nullptr;
  }
  ~Capture() {
    interpreter.out_ = saved;
    interpreter.native_ = saved_native;
  }
  Interpreter& interpreter;
  Output* saved;
  std::vector<Value>* saved_native;
};

/// Leaves a frame on every way out, while frame_ still holds it: a macro that is defined in it holds it in turn.
struct Interpreter::FrameGuard {
  Interpreter& interpreter;
  const Ref<Frame>& frame;
  ~FrameGuard() { interpreter.LeaveFrame(frame); }
};

Interpreter::Interpreter(const Environment& environment, ScopePtr scope, const RenderOptions& options)
    : environment_(environment),
      options_(options),
      scope_(std::move(scope)),
      steps_(options.limits.steps),
      stack_base_(static_cast<const char*>(__builtin_frame_address(0))) {}

Interpreter::~Interpreter() {
  UndoCycles();
  for (auto& frame : kept_frames_) {
    frame->parent = Ref<Frame>();
    std::vector<Value> slots;
    slots.swap(frame->slots);
    frame->slots.assign(slots.size(), Frame::Unset());
  }
}

// --- State ---------------------------------------------------------------------------------------------------------
Result<std::optional<Value>> Interpreter::Lookup(std::string_view name) {
  if (scope_) {
    auto found = scope_->Find(name, *this);
    if (!found || *found) return found;
  }
  const auto& globals = environment_.impl().globals;
  if (auto at = globals.find(name); at != globals.end()) return at->second;
  return std::nullopt;
}
Result<Value> Interpreter::Call(const Value& callable, std::vector<Value> args, std::vector<KeywordArg> kwargs) {
  try {
    return CallValue(callable, args, kwargs);
  } catch (Thrown& thrown) {
    return Fail(std::move(thrown.error));
  }
}
Result<Value> Interpreter::CallMethod(const Value& object, std::string_view name, std::vector<Value> args,
                                      std::vector<KeywordArg> kwargs) {
  try {
    CallArgs call(*this, args, kwargs);
    return CallMethodOf(object, name, call);
  } catch (Thrown& thrown) {
    return Fail(std::move(thrown.error));
  }
}
Result<Value> Interpreter::Attribute(const Value& object, std::string_view name) {
  try {
    return AttributeOf(object, name);
  } catch (Thrown& thrown) {
    return Fail(std::move(thrown.error));
  }
}
tl::unexpected<Error> Interpreter::Return(Value value) {
  return_value_ = std::move(value);
  return Fail(Error(kReturnSignal, "return() was called outside of a macro"));
}
std::vector<Error::Frame> Interpreter::macro_stack() const {
  std::vector<Error::Frame> out;
  for (const auto& entry : stack_) out.push_back({*entry.name, Place(entry.pos, entry.file)});
  return out;
}
Result<void> Interpreter::Spend(int64_t steps) {
  if ((steps_ -= steps) < 0) return Fail(ErrorCode::kTemplateLimit, "the template takes too many steps");
  return {};
}

void Interpreter::OutOfSteps() const {
  ThrowLimit("the template takes more than {} steps: does it loop without end?", options_.limits.steps);
}
void Interpreter::TooLarge() const {
  ThrowLimit("the template makes more than {} of text or list",
             FormatBytes(static_cast<int64_t>(options_.limits.output_bytes)));
}
void Interpreter::CheckStack() const {
  auto used = stack_base_ - static_cast<const char*>(__builtin_frame_address(0));
  if (used < 0) used = -used;
  if (static_cast<size_t>(used) > options_.limits.stack_bytes)
    ThrowLimit("calls are nested too deep for the thread's stack");
}
void Interpreter::ThrowUndefined(const Value& value) const {
  Error error = value.UndefinedError();
  const UndefinedRep* rep = value.AsUndefined();
  if (rep && rep->hint.empty() && !rep->name.empty()) {
    std::vector<std::string> names = scope_ ? scope_->Names() : std::vector<std::string>();
    for (const auto& [name, global] : environment_.impl().globals) names.push_back(name);
    if (auto hint = DidYouMean(rep->name, names); !hint.empty()) error = std::move(error).Hint(std::move(hint));
  }
  Throw(std::move(error));
}

Value Interpreter::Find(std::string_view name) {
  auto found = OrThrow(Lookup(name));
  if (!found) return Value::Undefined(std::string(name));
  return *std::move(found);
}

// --- running templates ---------------------------------------------------------------------------------------------
void Interpreter::RunTemplate(const TemplateImpl& tmpl, Output& out, std::vector<Value>* native) {
  template_ = &tmpl;
  file_ = tmpl.parsed.file;
  const auto frame = MakeRef<Frame>(Ref<Frame>(), tmpl.parsed.function.slots);
  frame_ = frame;
  out_ = &out;
  native_ = native;
  const FrameGuard guard{*this, frame};
  Flow flow = Exec(tmpl.parsed.body);
  if (flow == Flow::kReturn) {
    Throw(Error(ErrorCode::kTemplateType, "return() was called outside of a macro").At(Place(call_pos_, call_file_)));
  }
}

void Interpreter::LeaveFrame(const Ref<Frame>& frame) {
  if (frame->refs() <= 2) return;  // ours: the argument, and frame_
  for (auto& slot : frame->slots) {
    auto* macro =
        slot.is_object() && slot.AsObject().refs() == 1 ? dynamic_cast<MacroValue*>(&slot.AsObject()) : nullptr;
    if (macro && macro->closure.get() == frame.get()) slot = Frame::Unset();
  }
  if (frame->refs() > 2) kept_frames_.push_back(frame);
}

Value Interpreter::TakeText(Output& out) {
  auto rep = MakeRef<StringRep>(std::move(out.text));
  if (options_.map_output && !out.map.marks.empty()) rep->map = std::make_unique<OutputMap>(std::move(out.map));
  return StringValue(std::move(rep));
}

Value Interpreter::CallMacro(const MacroValue& macro, CallArgs& args) {
  const MacroNode& node = *macro.node;
  CheckStack();
  if (call_depth_ >= options_.limits.call_depth) {
    ThrowLimit("macros call each other more than {} deep", options_.limits.call_depth);
  }
  // The place of the call, for the trace.
  const std::string* from_file = call_file_;
  Pos from_pos = call_pos_;

  auto frame = MakeRef<Frame>(macro.closure, node.function.slots);
  struct Saved {
    Interpreter& i;
    Ref<Frame> frame;
    ScopePtr scope;
    const TemplateImpl* tmpl;
    const std::string* file;
    Output* out;
    std::vector<Value>* native;
    ~Saved() {
      i.frame_ = std::move(frame);
      i.scope_ = std::move(scope);
      i.template_ = tmpl;
      i.file_ = file;
      i.out_ = out;
      i.native_ = native;
      --i.call_depth_;
      i.stack_.pop_back();
    }
  };
  Saved saved{*this, std::move(frame_), scope_, template_, file_, out_, native_};
  ++call_depth_;
  stack_.push_back({&node.name, from_file, from_pos});
  frame_ = frame;
  scope_ = macro.scope;
  template_ = macro.tmpl.get();
  file_ = macro.tmpl->parsed.file;
  native_ = nullptr;
  Output out;
  out_ = &out;
  const FrameGuard guard{*this, frame};
  try {
    const size_t count = node.parameters.size();
    if (args.args.size() > count && node.varargs_slot < 0) {
      ThrowType("macro '{}' takes not more than {} argument{}, {} were given", node.name, count, count == 1 ? "" : "s",
                args.args.size());
    }
    const Value* caller = nullptr;
    Ref<Dict> rest;
    for (size_t i = 0; i < count && i < args.args.size(); ++i) frame->slots[node.parameters[i].slot] = args.args[i];
    for (const auto& kwarg : args.kwargs) {
      size_t i = 0;
      while (i < count && node.parameters[i].name != kwarg.name) ++i;
      if (i < count) {
        if (i < args.args.size()) ThrowType("macro '{}' got multiple values for argument '{}'", node.name, kwarg.name);
        frame->slots[node.parameters[i].slot] = kwarg.value;
      } else if (kwarg.name == "caller" && node.caller_slot >= 0) {
        caller = &kwarg.value;
      } else if (node.kwargs_slot >= 0) {
        if (!rest) rest = MakeRef<Dict>();
        rest->Set(kwarg.name, kwarg.value);
      } else {
        std::vector<std::string> names;
        for (const auto& parameter : node.parameters) names.push_back(parameter.name);
        Error error(ErrorCode::kTemplateType,
                    fmt::format("macro '{}' takes no keyword argument '{}'", node.name, kwarg.name));
        auto hint = kwarg.name == "caller" ? "the macro does not use caller()" : DidYouMean(kwarg.name, names);
        if (!hint.empty()) error = std::move(error).Hint(std::move(hint));
        Throw(std::move(error));
      }
    }
    if (node.caller_slot >= 0) {
      bool is_parameter = false;
      for (const auto& parameter : node.parameters) is_parameter |= parameter.slot == node.caller_slot;
      if (!is_parameter)
        frame->slots[static_cast<size_t>(node.caller_slot)] =
            caller ? *caller : Value::UndefinedBecause("No caller defined");
    }
    if (node.varargs_slot >= 0) {
      std::vector<Value> more;
      for (size_t i = count; i < args.args.size(); ++i) more.push_back(args.args[i]);
      frame->slots[static_cast<size_t>(node.varargs_slot)] = Value::NewTuple(std::move(more));
    }
    if (node.kwargs_slot >= 0)
      frame->slots[static_cast<size_t>(node.kwargs_slot)] = Value(rest ? rest : MakeRef<Dict>());
    for (const auto& parameter : node.parameters) {
      Value& slot = frame->slots[parameter.slot];
      if (!IsUnset(slot)) continue;
      if (parameter.default_value) {
        Value value = Eval(*parameter.default_value);
        frame->slots[parameter.slot] = std::move(value);
      } else {
        slot = Value::UndefinedBecause(fmt::format("parameter '{}' was not provided", parameter.name));
      }
    }
    Flow flow = Exec(node.body);
    if (flow == Flow::kReturn) {
      if (node.is_caller) Throw(Error(kReturnSignal, "return() was called outside of a macro"));
      return std::exchange(return_value_, Value());
    }
  } catch (Thrown& thrown) {
    if (thrown.error.code() == kReturnSignal) {
      if (node.is_caller) throw;
      return std::exchange(return_value_, Value());
    }
    if (!node.is_caller) {
      thrown.error =
          std::move(thrown.error).Trace(fmt::format("in macro '{}', called", node.name), Place(from_pos, from_file));
    }
    throw;
  }
  return TakeText(out);
}

Result<Value> MacroValue::Call(CallArgs& args) {
  try {
    return Self(args.state).CallMacro(*this, args);
  } catch (Thrown& thrown) {
    return Fail(std::move(thrown.error));
  }
}
Result<std::optional<Value>> MacroValue::Attribute(std::string_view name, State&) {
  if (name == "name") return Value(node->name);
  if (name == "arguments") {
    std::vector<Value> names;
    for (const auto& parameter : node->parameters) names.emplace_back(parameter.name);
    return Value::NewTuple(std::move(names));
  }
  if (name == "caller") return Value(node->caller_slot >= 0);
  if (name == "catch_varargs") return Value(node->varargs_slot >= 0);
  if (name == "catch_kwargs") return Value(node->kwargs_slot >= 0);
  return std::nullopt;
}

// --- statements ----------------------------------------------------------------------------------------------------
void Interpreter::EmitText(const TextStmt& stmt) {
  CheckSize(out_->text.size() + stmt.text.size());
  if (native_) native_->emplace_back(stmt.text);
  if (options_.map_output) {
    out_->map.marks.push_back({static_cast<uint32_t>(out_->text.size()), stmt.pos.line, stmt.pos.column, true, file_});
  }
  out_->text += stmt.text;
}

void Interpreter::Emit(const Value& value, Pos pos) {
  if (native_) native_->push_back(value);
  CheckStrict(value);
  auto begin = static_cast<uint32_t>(out_->text.size());
  if (value.is_string()) {
    const StringRep* rep = value.AsStringRep();
    CheckSize(begin + rep->text.size());
    out_->text += rep->text;
    if (!options_.map_output || rep->text.empty()) return;
    out_->map.marks.push_back({begin, pos.line, pos.column, false, file_});
    if (rep->map) {
      AppendMap(out_->map, *rep->map, begin);
      out_->map.spans.push_back({begin, static_cast<uint32_t>(out_->text.size()), pos.line, pos.column, file_});
    }
    return;
  }
  if (value.is_undefined()) return;
  Budget budget;
  AppendText(out_->text, value, budget);
  CheckSize(out_->text.size());
  if (options_.map_output && out_->text.size() > begin)
    out_->map.marks.push_back({begin, pos.line, pos.column, false, file_});
}

Flow Interpreter::Exec(const Body& body) {
  for (const auto& stmt : body) {
    Flow flow = ExecStmt(*stmt);
    if (flow != Flow::kNext) [[unlikely]]
      return flow;
  }
  return Flow::kNext;
}

Flow Interpreter::ExecStmt(const Stmt& stmt) {
  Use(1);
  switch (stmt.kind) {
    case StmtKind::kText:
      EmitText(static_cast<const TextStmt&>(stmt));
      return Flow::kNext;
    case StmtKind::kOutput:
    case StmtKind::kDo: {
      const Expr& expr = *static_cast<const ExprStmt&>(stmt).expr;
      bool returned = false;
      try {
        Value value = expr.kind == ExprKind::kCall ? EvalCall(static_cast<const CallExpr&>(expr), &returned, nullptr)
                                                   : Eval(expr);
        if (returned) return Flow::kReturn;
        if (stmt.kind == StmtKind::kOutput) Emit(value, expr.kind == ExprKind::kCall ? expr.pos : stmt.pos);
      } catch (Thrown& thrown) {
        if (thrown.error.code() != kReturnSignal) thrown.error = std::move(thrown.error).At(Place(expr.pos, file_));
        throw;
      }
      return Flow::kNext;
    }
    case StmtKind::kIf: {
      const auto& branch = static_cast<const IfStmt&>(stmt);
      for (const auto& [condition, body] : branch.branches) {
        if (EvalTruth(*condition)) return Exec(body);
      }
      return Exec(branch.otherwise);
    }
    case StmtKind::kFor:
      return ExecFor(static_cast<const ForStmt&>(stmt));
    case StmtKind::kSet: {
      const auto& set = static_cast<const SetStmt&>(stmt);
      Store(set.target, Eval(*set.value));
      return Flow::kNext;
    }
    case StmtKind::kSetBlock:
    case StmtKind::kFilterBlock: {
      const auto& block = static_cast<const ScopedStmt&>(stmt);
      Clear(block.slots);
      Output captured;
      Flow flow;
      {
        Capture capture(*this, captured);
        flow = Exec(block.body);
      }
      if (flow != Flow::kNext) return flow;
      Value value = TakeText(captured);
      if (block.filter) value = EvalFilter(static_cast<const FilterExpr&>(*block.filter), &value);
      if (stmt.kind == StmtKind::kSetBlock) {
        Store(block.target, std::move(value));
      } else {
        Emit(value, stmt.pos);
      }
      return Flow::kNext;
    }
    case StmtKind::kWith: {
      const auto& block = static_cast<const ScopedStmt&>(stmt);
      std::vector<Value> values;
      for (const auto& [target, value] : block.assignments) values.push_back(Eval(*value));
      Clear(block.slots);
      for (size_t i = 0; i < values.size(); ++i) Store(block.assignments[i].first, std::move(values[i]));
      return Exec(block.body);
    }
    case StmtKind::kMacro: {
      const auto& macro = static_cast<const MacroStmt&>(stmt);
      frame_->slots[macro.slot] = Value(MakeRef<MacroValue>(
          std::static_pointer_cast<const TemplateImpl>(template_->shared_from_this()), &macro.macro, scope_, frame_));
      return Flow::kNext;
    }
    case StmtKind::kCallBlock: {
      const auto& block = static_cast<const CallBlockStmt&>(stmt);
      bool returned = false;
      try {
        Value value = EvalCall(static_cast<const CallExpr&>(*block.call), &returned, &block.caller);
        if (returned) return Flow::kReturn;
        Emit(value, block.call->pos);
      } catch (Thrown& thrown) {
        if (thrown.error.code() != kReturnSignal)
          thrown.error = std::move(thrown.error).At(Place(block.call->pos, file_));
        throw;
      }
      return Flow::kNext;
    }
    case StmtKind::kInclude:
    case StmtKind::kImport:
    case StmtKind::kFromImport:
      try {
        ExecImport(static_cast<const ImportStmt&>(stmt));
      } catch (Thrown& thrown) {
        if (thrown.error.code() != kReturnSignal) thrown.error = std::move(thrown.error).At(Place(stmt.pos, file_));
        throw;
      }
      return Flow::kNext;
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
    case StmtKind::kScope:
      return Flow::kNext;
  }
  return Flow::kNext;
}

void Interpreter::Store(const Target& target, Value value) {
  if (target.is_tuple) {
    std::vector<Value> items;
    try {
      items = ItemsOf(*this, value);
      if (items.size() != target.elements.size()) {
        ThrowType("cannot unpack {} value{} into {} names", items.size(), items.size() == 1 ? "" : "s",
                  target.elements.size());
      }
    } catch (Thrown& thrown) {
      thrown.error = std::move(thrown.error).At(Place(target.pos, file_));
      throw;
    }
    for (size_t i = 0; i < items.size(); ++i) Store(target.elements[i], std::move(items[i]));
    return;
  }
  if (!target.attribute.empty()) {
    try {
      Value object = EvalName(*target.namespace_object);
      if (object.is_undefined()) ThrowUndefined(object);
      if (!object.is_object())
        ThrowType("cannot assign attribute '{}' on a non-namespace object ('{}')", target.attribute, object.TypeName());
      NoteChange(object, value);
      OrThrow(object.AsObject().SetAttribute(target.attribute, std::move(value)));
    } catch (Thrown& thrown) {
      thrown.error = std::move(thrown.error).At(Place(target.pos, file_));
      throw;
    }
    return;
  }
  if (IsUnset(value)) value = Value::Undefined();
  frame_->slots[target.slot] = std::move(value);
}

Flow Interpreter::ExecFor(const ForStmt& stmt) {
  Value iterable = Eval(*stmt.iterable);
  try {
    if (!stmt.recursive) return RunLoop(stmt, iterable, 0);
    Ref<Frame> saved = frame_;
    auto frame = MakeRef<Frame>(saved, stmt.function.slots);
    struct Restore {
      Interpreter& i;
      Ref<Frame>& saved;
      ~Restore() { i.frame_ = saved; }
    } restore{*this, saved};
    frame_ = frame;
    const FrameGuard guard{*this, frame};
    Flow flow = RunLoop(stmt, iterable, 0);
    return flow;
  } catch (Thrown& thrown) {
    if (thrown.error.code() != kReturnSignal)
      thrown.error = std::move(thrown.error).At(Place(stmt.iterable->pos, file_));
    throw;
  }
}

Flow Interpreter::RunLoop(const ForStmt& stmt, const Value& iterable, int depth) {
  Ref<List> items;
  CheckStrict(iterable);
  if (stmt.filter) {
    items = MakeRef<List>();
    for (auto& item : ItemsOf(*this, iterable)) {
      Use(1);
      Clear(stmt.slots);
      Store(stmt.target, item);
      if (EvalTruth(*stmt.filter)) items->items.push_back(std::move(item));
    }
  } else if (iterable.is_sequence()) {
    // As in Python, a list that grows while it is walked through is walked through to its new end.
    items = Ref<List>(&iterable.AsList());
  } else {
    items = MakeRef<List>(ItemsOf(*this, iterable));
  }
  if (items->items.empty()) {
    Clear(stmt.otherwise_slots);
    return Exec(stmt.otherwise);
  }
  Ref<LoopObject> loop;
  if (stmt.loop_slot >= 0) {
    loop = MakeRef<LoopObject>();
    loop->stmt = &stmt;
    loop->items = items;
    loop->depth = depth;
    if (stmt.recursive) loop->outer = frame_->parent;
  }
  for (size_t i = 0; i < items->items.size(); ++i) {
    Use(1);
    Clear(stmt.slots);
    if (loop) {
      loop->index = i;
      frame_->slots[static_cast<size_t>(stmt.loop_slot)] = Value(loop);
    }
    Store(stmt.target, items->items[i]);
    Flow flow = Exec(stmt.body);
    if (flow == Flow::kBreak) break;
    if (flow == Flow::kReturn) return flow;
  }
  return Flow::kNext;
}

Value Interpreter::CallLoop(LoopObject& loop, CallArgs& args) {
  CheckStack();
  if (!loop.stmt->recursive) ThrowType("'loop' can only be called in a recursive loop");
  auto bound = OrThrow(args.Bind("loop", {"iterable"}, 1));
  if (call_depth_ >= options_.limits.call_depth)
    ThrowLimit("a recursive loop goes more than {} deep", options_.limits.call_depth);
  Ref<Frame> saved = frame_;
  auto frame = MakeRef<Frame>(loop.outer, loop.stmt->function.slots);
  Output out;
  Flow flow;
  {
    struct Restore {
      Interpreter& i;
      Ref<Frame>& saved;
      ~Restore() {
        i.frame_ = saved;
        --i.call_depth_;
      }
    } restore{*this, saved};
    ++call_depth_;
    frame_ = frame;
    const FrameGuard guard{*this, frame};
    Capture capture(*this, out);
    flow = RunLoop(*loop.stmt, *bound[0], loop.depth + 1);
  }
  if (flow == Flow::kReturn) Throw(Error(kReturnSignal, "return() was called outside of a macro"));
  return TakeText(out);
}

void Interpreter::ExecImport(const ImportStmt& stmt) {
  Value names = Eval(*stmt.name);
  std::vector<Value> candidates = names.is_sequence() ? names.AsList().items : std::vector<Value>{names};
  TemplateImplPtr tmpl;
  std::optional<Error> failure;
  for (const auto& candidate : candidates) {
    if (!candidate.is_string()) ThrowType("the name of a template must be a text, not '{}'", candidate.TypeName());
    auto text = environment_.impl().options.loader(candidate.AsString());
    if (!text) {
      failure = std::move(text).error();
      continue;
    }
    tmpl = std::static_pointer_cast<const TemplateImpl>(
        OrThrow(environment_.Compile(*std::move(text), candidate.AsString())));
    break;
  }
  if (!tmpl) {
    if (stmt.ignore_missing) return;
    if (failure) Throw(*std::move(failure));
    ThrowType("no template is named");
  }
  CheckStack();
  if (call_depth_ >= options_.limits.call_depth)
    ThrowLimit("templates include each other more than {} deep", options_.limits.call_depth);
  loaded_.push_back(tmpl);

  // With context the other template sees this one's scope and its variables, without it nothing but globals.
  ScopePtr scope;
  if (stmt.with_context) {
    auto local = std::make_shared<MapScope>(scope_);
    for (const auto& [name, slot] : template_->parsed.exports) {
      Ref<Frame> root = frame_;
      while (root->parent) root = root->parent;
      if (slot < root->slots.size() && !IsUnset(root->slots[slot])) local->Set(name, root->slots[slot]);
    }
    scope = local;
  }

  struct Saved {
    Interpreter& i;
    Ref<Frame> frame;
    ScopePtr scope;
    const TemplateImpl* tmpl;
    const std::string* file;
    ~Saved() {
      i.frame_ = std::move(frame);
      i.scope_ = std::move(scope);
      i.template_ = tmpl;
      i.file_ = file;
      --i.call_depth_;
    }
  };
  Output out;
  Ref<Frame> module;
  {
    Saved saved{*this, frame_, scope_, template_, file_};
    ++call_depth_;
    Capture capture(*this, out);
    scope_ = scope;
    template_ = tmpl.get();
    file_ = tmpl->parsed.file;
    frame_ = module = MakeRef<Frame>(Ref<Frame>(), tmpl->parsed.function.slots);
    kept_frames_.push_back(module);
    if (Exec(tmpl->parsed.body) == Flow::kReturn) Throw(Error(kReturnSignal, "return() was called outside of a macro"));
  }
  if (stmt.kind == StmtKind::kInclude) {
    Emit(TakeText(out), stmt.pos);
    return;
  }
  auto find = [&](const std::string& name) -> std::optional<Value> {
    for (const auto& [exported, slot] : tmpl->parsed.exports) {
      if (exported == name && !IsUnset(module->slots[slot])) return module->slots[slot];
    }
    return std::nullopt;
  };
  if (stmt.kind == StmtKind::kImport) {
    auto dict = MakeRef<Dict>();
    for (const auto& [name, slot] : tmpl->parsed.exports) {
      if (auto value = find(name)) dict->Set(name, *value);
    }
    Store(stmt.target, Value(dict));
    return;
  }
  for (const auto& [name, target] : stmt.names) {
    auto value = find(name);
    Store(target, value ? *value
                        : Value::UndefinedBecause(
                              fmt::format("the template '{}' does not export '{}'", *tmpl->parsed.file, name)));
  }
}

// --- loop ----------------------------------------------------------------------------------------------------------
std::string LoopObject::Repr() const {
  return fmt::format("<LoopContext {}/{}>", index + 1, items->items.size());
}

Result<std::optional<Value>> LoopObject::Attribute(std::string_view name, State&) {
  size_t length = items->items.size();
  if (name == "last") return Value(index + 1 >= length);
  if (name == "first") return Value(index == 0);
  if (name == "index") return Value(index + 1);
  if (name == "index0") return Value(index);
  if (name == "length") return Value(length);
  if (name == "revindex") return Value(length - index);
  if (name == "revindex0") return Value(length - index - 1);
  if (name == "depth") return Value(depth + 1);
  if (name == "depth0") return Value(depth);
  if (name == "previtem") {
    return index > 0 ? items->items[index - 1] : Value::UndefinedBecause("there is no previous item");
  }
  if (name == "nextitem") {
    return index + 1 < length ? items->items[index + 1] : Value::UndefinedBecause("there is no next item");
  }
  if (name == "cycle" || name == "changed") return BoundMethod(Value(Ref<LoopObject>(this)), std::string(name));
  return std::nullopt;
}
Result<std::optional<Value>> LoopObject::CallMethod(std::string_view name, CallArgs& args) {
  if (name == "cycle") {
    if (args.args.empty()) return Fail(ErrorCode::kTemplateType, "no items for cycling given");
    return args.args[index % args.args.size()];
  }
  if (name == "changed") {
    Value now = Value::NewTuple({args.args.begin(), args.args.end()});
    bool changed = !last_changed || !last_changed->Equals(now);
    last_changed = now;
    return Value(changed);
  }
  return std::nullopt;
}
Result<Value> LoopObject::Call(CallArgs& args) {
  try {
    return Self(args.state).CallLoop(*this, args);
  } catch (Thrown& thrown) {
    return Fail(std::move(thrown.error));
  }
}

}  // namespace quern::jinja
