#pragma once
#include <unordered_set>

#include "jinja/ast.h"
#include "jinja/environment.h"
#include "jinja/parser.h"
#include "jinja/thrown.h"

namespace quern::jinja {

/// How a native function's State::Return travels; never leaves the part.
constexpr ErrorCode kReturnSignal = static_cast<ErrorCode>(399);

/// The local variables of one call of a function. An undefined value without a rep marks a slot that is not set.
class Frame : public RefCounted {
 public:
  Frame(Ref<Frame> p, size_t n) : parent(std::move(p)), slots(n, Unset()) {}
  static Value Unset();
  Ref<Frame> parent;
  std::vector<Value> slots;
};

class TemplateImpl : public Template {
 public:
  TemplateImpl(const Environment& environment, ParsedTemplate parsed);
  const std::string& name() const override { return *parsed.file; }
  const std::string& source() const override { return parsed.source; }
  const std::vector<Block>& blocks() const override { return blocks_; }
  Value Bind(const Block& block, ScopePtr scope) const override;
  Analysis Analyze() const override { return AnalyzeTemplate(parsed); }
  Result<RenderResult> Render(ScopePtr scope, const RenderOptions& options) const override;
  Result<Value> RenderNative(ScopePtr scope, const RenderOptions& options) const override;

  const Environment& environment;
  const ParsedTemplate parsed;

 private:
  std::vector<Block> blocks_;
};
using TemplateImplPtr = std::shared_ptr<const TemplateImpl>;

struct Output {
  std::string text;
  OutputMap map;
};

enum class Flow : uint8_t { kNext, kBreak, kContinue, kReturn };

class MacroValue;
class LoopObject;

/// Runs templates: one per render.
class Interpreter : public State {
 public:
  Interpreter(const Environment& environment, ScopePtr scope, const RenderOptions& options);
  ~Interpreter() override;

  // State
  Result<std::optional<Value>> Lookup(std::string_view name) override;
  Result<Value> Call(const Value& callable, std::vector<Value> args, std::vector<KeywordArg> kwargs) override;
  Result<Value> CallMethod(const Value& object, std::string_view name, std::vector<Value> args,
                           std::vector<KeywordArg> kwargs) override;
  Result<Value> Attribute(const Value& object, std::string_view name) override;
  tl::unexpected<Error> Return(Value value) override;
  SourcePos place() const override { return Place(call_pos_, call_file_); }
  std::vector<Error::Frame> macro_stack() const override;
  Result<void> Spend(int64_t steps) override;
  void* user() const override { return options_.user; }

  // What follows throws Thrown.
  void RunTemplate(const TemplateImpl& tmpl, Output& out, std::vector<Value>* native);
  Value CallMacro(const MacroValue& macro, CallArgs& args);
  Value CallLoop(LoopObject& loop, CallArgs& args);
  Value CallValue(const Value& callee, std::span<const Value> args, std::span<const KeywordArg> kwargs);
  Value CallMethodOf(const Value& object, std::string_view name, CallArgs& args);
  Value AttributeOf(const Value& object, std::string_view name);
  Value ItemOf(const Value& object, const Value& key);
  /// A filter or test by name, for map, select and the like.
  Value CallFilter(const std::string& name, std::span<const Value> args, std::span<const KeywordArg> kwargs);
  bool HasFilter(const std::string& name) const { return environment_.impl().filters.contains(name); }
  bool HasTest(const std::string& name) const { return environment_.impl().tests.contains(name); }
  bool CallTest(const std::string& name, std::span<const Value> args);
  void Use(int64_t steps) {
    if ((steps_ -= steps) < 0) OutOfSteps();
  }
  void CheckSize(size_t bytes) const {
    if (bytes > options_.limits.output_bytes) TooLarge();
  }
  void CheckStack() const;
  [[noreturn]] void ThrowUndefined(const Value& value) const;
  /// A use that fails for undefined values in strict mode only.
  void CheckStrict(const Value& value) const {
    if (value.is_undefined() && options_.undefined == UndefinedMode::kStrict &&
        !(value.AsUndefined() && value.AsUndefined()->lenient)) {
      ThrowUndefined(value);
    }
  }
  const RenderOptions& options() const { return options_; }
  /// Notes that a container was given another one: the two may be a cycle now.
  void NoteChange(const Value& container, const Value& added);

 private:
  friend class MacroValue;
  friend class LoopObject;
  struct Capture;
  struct FrameGuard;

  static SourcePos Place(Pos pos, const std::string* file) {
    return {file ? *file : std::string(), static_cast<int>(pos.line), static_cast<int>(pos.column)};
  }
  [[noreturn]] void OutOfSteps() const;
  [[noreturn]] void TooLarge() const;
  Value Find(std::string_view name);

  // expressions
  Value Eval(const Expr& expr);
  Value EvalInner(const Expr& expr);
  Value EvalName(const NameExpr& expr);
  Value EvalCall(const CallExpr& expr, bool* returned, const MacroNode* caller);
  Value EvalFilter(const FilterExpr& expr, const Value* captured);
  Value EvalCompare(const CompareExpr& expr);
  Value EvalConcat(const SequenceExpr& expr);
  bool EvalTruth(const Expr& expr);
  struct EvaluatedArgs {
    std::vector<Value> args;
    std::vector<KeywordArg> kwargs;
    Value star_star;  // keeps the names of kwargs alive
  };
  void EvalArgs(const Arguments& in, EvaluatedArgs& out);
  Value Finish(Result<Value> result);

  // statements
  Flow Exec(const Body& body);
  Flow ExecStmt(const Stmt& stmt);
  Flow ExecFor(const ForStmt& stmt);
  Flow RunLoop(const ForStmt& stmt, const Value& iterable, int depth);
  void ExecImport(const ImportStmt& stmt);
  void Store(const Target& target, Value value);
  void Emit(const Value& value, Pos pos);
  void EmitText(const TextStmt& stmt);
  Value TakeText(Output& out);
  void Clear(const std::vector<uint16_t>& slots) {
    for (uint16_t slot : slots) frame_->slots[slot] = Frame::Unset();
  }
  void LeaveFrame(const Ref<Frame>& frame);
  void UndoCycles();

  struct StackEntry {
    const std::string* name;
    const std::string* file;
    Pos pos;
  };

  const Environment& environment_;
  RenderOptions options_;
  ScopePtr scope_;
  const TemplateImpl* template_ = nullptr;
  const std::string* file_ = nullptr;
  Ref<Frame> frame_;
  Output* out_ = nullptr;
  std::vector<Value>* native_ = nullptr;
  Value return_value_;
  int64_t steps_;
  int call_depth_ = 0;
  const std::string* call_file_ = nullptr;
  Pos call_pos_;
  std::vector<StackEntry> stack_;
  std::vector<Ref<Frame>> kept_frames_;
  std::vector<TemplateImplPtr> loaded_;
  std::vector<Value> changed_;
  std::unordered_set<const void*> changed_set_;
  const char* stack_base_;
};

/// A macro, bound block or caller as a value.
class MacroValue : public Object {
 public:
  MacroValue(TemplateImplPtr t, const MacroNode* n, ScopePtr s, Ref<Frame> c)
      : tmpl(std::move(t)), node(n), scope(std::move(s)), closure(std::move(c)) {}
  std::string TypeName() const override { return "Macro"; }
  std::string Repr() const override { return "<Macro '" + node->name + "'>"; }
  bool callable() const override { return true; }
  Result<Value> Call(CallArgs& args) override;
  Result<std::optional<Value>> Attribute(std::string_view name, State& state) override;
  TemplateImplPtr tmpl;
  const MacroNode* node;
  ScopePtr scope;
  Ref<Frame> closure;
};

/// `loop`.
class LoopObject : public Object {
 public:
  std::string TypeName() const override { return "LoopContext"; }
  std::string Repr() const override;
  Result<std::optional<Value>> Attribute(std::string_view name, State& state) override;
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override;
  bool callable() const override { return stmt->recursive; }
  Result<Value> Call(CallArgs& args) override;

  const ForStmt* stmt = nullptr;
  Ref<Frame> outer;  // of a recursive loop
  Ref<List> items;
  size_t index = 0;
  int depth = 0;
  std::optional<Value> last_changed;
};

// --- operators.cc --------------------------------------------------------------------------------------------------
Value BinaryOperation(Interpreter& state, BinaryOp op, const Value& a, const Value& b);
bool ContainsValue(Interpreter& state, const Value& container, const Value& item);
bool CompareWith(Interpreter& state, CompareOp op, const Value& a, const Value& b);
Value NegateValue(Interpreter& state, const Value& value, bool negate);
Value SliceOf(Interpreter& state, const Value& object, const Value& start, const Value& stop, const Value& step);
std::vector<Value> ItemsOf(Interpreter& state, const Value& value);
/// len(); nothing when it has none.
std::optional<size_t> LengthOf(const Value& value);
Value JoinTexts(Interpreter& state, std::span<const Value> parts);
/// "dict object", "None": how Jinja2 calls a value in messages.
std::string ObjectName(const Value& value);
/// The text of a value that a filter takes as text; fails for a strict undefined.
std::string TextArgument(Interpreter& state, const Value& value);
/// A text with the source map of `original`, cut to [begin, end) of it.
Value SubText(const Value& original, size_t begin, size_t end);

// --- methods.cc ----------------------------------------------------------------------------------------------------
bool HasMethod(const Value& object, std::string_view name);
/// A method of str, list, tuple, dict, int, float; nothing when there is none of that name.
std::optional<Value> CallBuiltinMethod(Interpreter& state, const Value& object, std::string_view name, CallArgs& args);
Value BoundMethod(const Value& object, std::string name);

// --- filters, tests, globals ---------------------------------------------------------------------------------------
void AddTextFilters(Environment::Impl& environment);
void AddSequenceFilters(Environment::Impl& environment);
void AddNumberFilters(Environment::Impl& environment);
void AddTests(Environment::Impl& environment);
void AddGlobals(Environment::Impl& environment);

inline Interpreter& Self(State& state) {
  return static_cast<Interpreter&>(state);
}

/// A native function from one that throws.
template <class F>
NativeFunction Native(F function) {
  return [function](CallArgs& args) -> Result<Value> {
    try {
      return function(Self(args.state), args);
    } catch (Thrown& thrown) {
      return Fail(std::move(thrown.error));
    }
  };
}

}  // namespace quern::jinja
