#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/result.h"
#include "jinja/value.h"

namespace quern::jinja {

class Environment;
class Template;
using TemplatePtr = std::shared_ptr<const Template>;

/// What happens when a template uses a value that is not there.
enum class UndefinedMode {
  kDefault,    ///< Jinja2's own: prints as "", false, empty; attribute, item, call and arithmetic fail
  kChainable,  ///< dbt while parsing: as kDefault, but attributes, items and calls of it are undefined again
  kStrict,     ///< every use but `is defined` and `default` fails
};

/// How the header of a block tag of one's own is written.
enum class BlockHeader {
  kName,       ///< {% docs name %}
  kSignature,  ///< {% test name(column, x=1) %}
  kOptions,    ///< {% materialization name, default, adapter='x', languages=['sql'] %}
};
enum class BlockBody {
  kRaw,    ///< text that is never looked into (until the end tag)
  kMacro,  ///< compiled, callable as a macro; parameters from the signature
};
/// A block tag that the caller adds: found by Template::blocks(), prints nothing.
struct BlockTag {
  std::string tag;      ///< "materialization"
  std::string end_tag;  ///< "endmaterialization"
  BlockHeader header = BlockHeader::kName;
  BlockBody body = BlockBody::kMacro;
};

struct Parameter {
  std::string name;
  bool has_default = false;
  std::string default_text;  ///< source of the default expression
};

/// A block found in a template: each top-level macro (tag "macro"), and each block of an added tag.
struct Block {
  std::string tag;
  std::string name;
  SourcePos pos;  ///< of its opening tag
  SourcePos name_pos;
  SourcePos body_pos;  ///< where body begins; pass it to Compile to compile the body alone
  std::string text;    ///< source, opening and end tag included
  std::string body;    ///< source between them
  std::vector<Parameter> parameters;
  std::vector<std::pair<std::string, Value>> options;  ///< kOptions; a bare word has the value true
  int index = 0;                                       ///< for Template::Bind; -1 for raw ones
};

/// Where names that a template does not define itself come from.
class Scope {
 public:
  virtual ~Scope() = default;
  /// Nothing when unknown: the name is undefined then.
  virtual Result<std::optional<Value>> Find(std::string_view name, State& state) const = 0;
  /// For "did you mean"; may be empty.
  virtual std::vector<std::string> Names() const { return {}; }
};
using ScopePtr = std::shared_ptr<const Scope>;

/// A scope from a map, with an optional outer one.
class MapScope : public Scope {
 public:
  explicit MapScope(ScopePtr outer = nullptr) : outer_(std::move(outer)) {}
  /// From a dict value's string keys.
  static std::shared_ptr<MapScope> FromDict(const Value& dict, ScopePtr outer = nullptr);
  void Set(std::string name, Value value) { values_[std::move(name)] = std::move(value); }
  Result<std::optional<Value>> Find(std::string_view name, State& state) const override;
  std::vector<std::string> Names() const override;

 private:
  std::map<std::string, Value, std::less<>> values_;
  ScopePtr outer_;
};

/// Bounds of one render. Reaching one is error kTemplateLimit.
struct Limits {
  int64_t steps = 200'000'000;       ///< nodes evaluated, and elements handled by filters and functions
  size_t output_bytes = 256u << 20;  ///< of the output, and of any one text or list made on the way
  int call_depth = 200;              ///< macros inside macros
  size_t stack_bytes = 3u << 20;     ///< of the thread's stack; threads must have twice as much
};

struct RenderOptions {
  Limits limits;
  UndefinedMode undefined = UndefinedMode::kDefault;
  bool map_output = true;  ///< keep RenderResult::map
  void* user = nullptr;    ///< for native functions: State::user()
};

/// Maps places of rendered text back to where the template wrote them.
struct OutputMap {
  struct Mark {
    uint32_t offset = 0;  ///< of the output; valid until the next mark
    uint32_t line = 0;
    uint32_t column = 0;
    bool literal = false;  ///< text of the template: line and column go on with it; else an expression's place
    const std::string* file = nullptr;  ///< lives for ever
  };
  /// Text that came out of a macro or a captured block, printed by the expression at a place.
  struct Span {
    uint32_t begin = 0;
    uint32_t end = 0;
    uint32_t line = 0;
    uint32_t column = 0;
    const std::string* file = nullptr;
  };
  std::vector<Mark> marks;  ///< by offset
  std::vector<Span> spans;  ///< inner ones before outer ones
};

/// The place that wrote a byte of the output, and the places that printed it, innermost first.
struct OutputPlace {
  SourcePos pos;
  std::vector<SourcePos> printed_by;
};

struct RenderResult {
  std::string text;
  OutputMap map;
  /// For a byte offset of `text`. Nothing known: pos is empty.
  OutputPlace Locate(size_t offset) const;
  /// The same by line and column of `text`, both from 1 (column in bytes), as SQL engines tell them.
  OutputPlace Locate(int line, int column) const;
};

/// A call that the template makes, seen without running it.
struct CallSite {
  std::string name;  ///< "ref", "adapter.dispatch", "dbt_utils.star"
  SourcePos pos;
  std::vector<std::optional<Value>> args;  ///< nothing: not a literal
  std::vector<std::pair<std::string, std::optional<Value>>> kwargs;
  bool all_literal = true;     ///< every argument is a literal (strings, numbers, lists, dicts of them)
  bool star_args = false;      ///< has *args or **kwargs
  bool conditional = false;    ///< inside if, for, a macro or the like, or the short-circuited part of an expression
  bool printed_alone = false;  ///< the whole of {{ name(...) }} (without filters)
  std::string macro;           ///< name of the macro or block it is in, or empty
};
struct Analysis {
  std::vector<CallSite> calls;
  std::vector<std::pair<std::string, SourcePos>> names;  ///< every use of a name that the template does not set
  bool only_printed_calls = true;  ///< nothing but text, comments and {{ calls with literal arguments }}
};

/// A compiled template: unchangeable, shared by threads.
class Template : public std::enable_shared_from_this<Template> {
 public:
  virtual ~Template() = default;
  virtual const std::string& name() const = 0;
  virtual const std::string& source() const = 0;
  /// Top-level macros and blocks of added tags, in order.
  virtual const std::vector<Block>& blocks() const = 0;
  /// The block with that index as a callable whose free names come from `scope`. Callable in any render.
  virtual Value Bind(const Block& block, ScopePtr scope) const = 0;
  virtual Analysis Analyze() const = 0;

  virtual Result<RenderResult> Render(ScopePtr scope, const RenderOptions& options = {}) const = 0;
  /// The value itself when the template is one expression and nothing else, else the text.
  virtual Result<Value> RenderNative(ScopePtr scope, const RenderOptions& options = {}) const = 0;
};

struct EnvironmentOptions {
  bool trim_blocks = false;
  bool lstrip_blocks = false;
  bool keep_trailing_newline = false;
  std::vector<BlockTag> block_tags;
  /// For include, import, from and extends-free reuse: the text of another template. Unset: those tags fail.
  std::function<Result<std::string>(const std::string& name)> loader;
};

/// Settings, filters, tests and globals that templates are compiled with. Fill it, then share it: Compile and
/// everything after it are const and safe from any thread. Must outlive its templates.
class Environment {
 public:
  explicit Environment(EnvironmentOptions options = {});
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  /// A filter gets the filtered value as its first argument. Replaces one of the same name.
  void AddFilter(std::string name, NativeFunction filter);
  void AddTest(std::string name, NativeFunction test);
  /// Names that every scope sees last (range, dict, namespace, ... are there).
  void AddGlobal(std::string name, Value value);

  /// Errors: kTemplateSyntax with the place. `file` names it in places; `first` is the place of the text's first
  /// byte when the text was cut out of a file.
  Result<TemplatePtr> Compile(std::string text, std::string file, SourcePos first = {}) const;
  /// A bare expression, without braces: RenderNative gives its value.
  Result<TemplatePtr> CompileExpression(std::string text, std::string file, SourcePos first = {}) const;

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// A render under way, as native functions see it. Belongs to one thread.
class State {
 public:
  virtual ~State() = default;
  /// A name as the place that is being run would see it through its scope (not its local variables).
  virtual Result<std::optional<Value>> Lookup(std::string_view name) = 0;
  virtual Result<Value> Call(const Value& callable, std::vector<Value> args, std::vector<KeywordArg> kwargs = {}) = 0;
  virtual Result<Value> CallMethod(const Value& object, std::string_view name, std::vector<Value> args,
                                   std::vector<KeywordArg> kwargs = {}) = 0;
  /// `x.name` as templates do it: method values, items of dicts; undefined when it is not there.
  virtual Result<Value> Attribute(const Value& object, std::string_view name) = 0;
  /// Ends the macro that is being run with a value instead of text: `return args.state.Return(value);`
  virtual tl::unexpected<Error> Return(Value value) = 0;
  /// The place of the call that is under way.
  virtual SourcePos place() const = 0;
  /// Macros under way, outermost first: name and where each was called.
  virtual std::vector<Error::Frame> macro_stack() const = 0;
  /// Counts work against Limits::steps.
  virtual Result<void> Spend(int64_t steps) = 0;
  virtual void* user() const = 0;
};

/// Runs `call` with a State for values that are used outside a render (objects' attributes, macros): one-off renders.
Result<Value> CallMacro(const Environment& environment, const Value& callable, std::vector<Value> args,
                        std::vector<KeywordArg> kwargs, ScopePtr scope, const RenderOptions& options = {});

/// A Python literal (numbers, texts, lists, dicts, tuples, True, None), as ast.literal_eval reads it.
Result<Value> LiteralEval(std::string_view text);
/// Python's json.dumps with its default separators; sort_keys optional. Fails as Value::ToJson does.
Result<std::string> DumpJson(const Value& value, bool sort_keys = false);

}  // namespace quern::jinja
