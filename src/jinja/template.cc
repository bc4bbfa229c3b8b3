#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "jinja/interpreter.h"
#include "jinja/lexer.h"
#include "jinja/literal.h"
#include "jinja/output_map.h"
#include "jinja/python_text.h"

namespace quern::jinja {

const std::string* InternFileName(std::string_view name) {
  static std::mutex mutex;
  static auto* names = new std::set<std::string, std::less<>>;
  std::lock_guard lock(mutex);
  auto found = names->find(name);
  if (found == names->end()) found = names->emplace(name).first;
  return &*found;
}

// --- scopes --------------------------------------------------------------------------------------------------------
std::shared_ptr<MapScope> MapScope::FromDict(const Value& dict, ScopePtr outer) {
  auto scope = std::make_shared<MapScope>(std::move(outer));
  if (dict.is_dict()) {
    for (const auto& entry : dict.AsDict().entries()) {
      if (entry.key.is_string()) scope->Set(entry.key.AsString(), entry.value);
    }
  }
  return scope;
}
Result<std::optional<Value>> MapScope::Find(std::string_view name, State& state) const {
  if (auto found = values_.find(name); found != values_.end()) return found->second;
  if (outer_) return outer_->Find(name, state);
  return std::nullopt;
}
std::vector<std::string> MapScope::Names() const {
  std::vector<std::string> names = outer_ ? outer_->Names() : std::vector<std::string>();
  for (const auto& [name, value] : values_) names.push_back(name);
  return names;
}

// --- environment ---------------------------------------------------------------------------------------------------
Environment::Environment(EnvironmentOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
  AddTextFilters(*impl_);
  AddSequenceFilters(*impl_);
  AddNumberFilters(*impl_);
  AddTests(*impl_);
  AddGlobals(*impl_);
}
Environment::~Environment() = default;
void Environment::AddFilter(std::string name, NativeFunction filter) {
  impl_->filters[std::move(name)] = std::move(filter);
}
void Environment::AddTest(std::string name, NativeFunction test) {
  impl_->tests[std::move(name)] = std::move(test);
}
void Environment::AddGlobal(std::string name, Value value) {
  impl_->globals[std::move(name)] = std::move(value);
}

namespace {
Result<TemplatePtr> CompileText(const Environment& environment, std::string text, std::string file, SourcePos first,
                                bool is_expression) {
  try {
    auto parsed = Parse(environment.impl(), std::move(text), InternFileName(file), std::move(first), is_expression);
    ResolveNames(parsed);
    return TemplatePtr(std::make_shared<TemplateImpl>(environment, std::move(parsed)));
  } catch (Thrown& thrown) {
    return Fail(std::move(thrown.error));
  }
}
}  // namespace

Result<TemplatePtr> Environment::Compile(std::string text, std::string file, SourcePos first) const {
  return CompileText(*this, std::move(text), std::move(file), std::move(first), false);
}
Result<TemplatePtr> Environment::CompileExpression(std::string text, std::string file, SourcePos first) const {
  return CompileText(*this, std::move(text), std::move(file), std::move(first), true);
}

// --- template ------------------------------------------------------------------------------------------------------
TemplateImpl::TemplateImpl(const Environment& e, ParsedTemplate p) : environment(e), parsed(std::move(p)) {
  for (const auto& block : parsed.blocks) blocks_.push_back(block.block);
}

Value TemplateImpl::Bind(const Block& block, ScopePtr scope) const {
  QUERN_CHECK(block.index >= 0 && static_cast<size_t>(block.index) < parsed.blocks.size());
  return Value(MakeRef<MacroValue>(std::static_pointer_cast<const TemplateImpl>(shared_from_this()),
                                   parsed.blocks[static_cast<size_t>(block.index)].node, std::move(scope),
                                   Ref<Frame>()));
}

Result<RenderResult> TemplateImpl::Render(ScopePtr scope, const RenderOptions& options) const {
  try {
    Interpreter interpreter(environment, std::move(scope), options);
    Output out;
    interpreter.RunTemplate(*this, out, nullptr);
    return RenderResult{std::move(out.text), std::move(out.map)};
  } catch (Thrown& thrown) {
    return Fail(std::move(thrown.error));
  }
}

Result<Value> TemplateImpl::RenderNative(ScopePtr scope, const RenderOptions& options) const {
  try {
    Interpreter interpreter(environment, std::move(scope), options);
    Output out;
    std::vector<Value> parts;
    interpreter.RunTemplate(*this, out, &parts);
    if (parts.size() == 1) return parts[0];
    return Value(std::move(out.text));
  } catch (Thrown& thrown) {
    return Fail(std::move(thrown.error));
  }
}

Result<Value> CallMacro(const Environment& environment, const Value& callable, std::vector<Value> args,
                        std::vector<KeywordArg> kwargs, ScopePtr scope, const RenderOptions& options) {
  try {
    Interpreter interpreter(environment, std::move(scope), options);
    return interpreter.CallValue(callable, args, kwargs);
  } catch (Thrown& thrown) {
    return Fail(std::move(thrown.error));
  }
}

// --- literals and JSON ---------------------------------------------------------------------------------------------
Result<Value> LiteralEval(std::string_view text) {
  static const Environment::Impl empty;
  try {
    std::string source(Strip(text));
    for (const auto& token : Tokenize(source, *InternFileName("<literal>"), {}, {.expression = true})) {
      // Templates know these names too, Python does not.
      if (token.type == TokenType::kName && (token.text == "true" || token.text == "false" || token.text == "none")) {
        return Fail(ErrorCode::kTemplateType, "not a literal");
      }
    }
    auto parsed = Parse(empty, source, InternFileName("<literal>"), {}, true);
    auto value = LiteralOf(*static_cast<const ExprStmt&>(*parsed.body[0]).expr);
    if (value) return *std::move(value);
    return Fail(ErrorCode::kTemplateType, "not a literal");
  } catch (Thrown& thrown) {
    return Fail(std::move(thrown.error));
  }
}

namespace {

void DumpString(std::string& out, std::string_view text) {
  out += '"';
  for (size_t at = 0; at < text.size();) {
    char c = text[at];
    uint32_t code = DecodeCharacter(text, at);
    at += CharacterBytes(text, at);
    switch (c) {
      case '"':
        out += "\\\"";
        continue;
      case '\\':
        out += "\\\\";
        continue;
      case '\n':
        out += "\\n";
        continue;
      case '\r':
        out += "\\r";
        continue;
      case '\t':
        out += "\\t";
        continue;
      case '\b':
        out += "\\b";
        continue;
      case '\f':
        out += "\\f";
        continue;
      default:
        break;
    }
    if (code >= 0x20 && code < 0x7f) {
      out += c;
    } else if (code < 0x10000) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      code -= 0x10000;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF));
    }
  }
  out += '"';
}

void DumpValue(std::string& out, const Value& value, bool sort_keys, Budget& budget) {
  Budget::Level level(budget);
  switch (value.kind()) {
    case Kind::kString:
      return DumpString(out, value.AsString());
    case Kind::kNone:
      out += "null";
      return;
    case Kind::kBool:
      out += value.AsBool() ? "true" : "false";
      return;
    case Kind::kFloat: {
      std::string text = FloatRepr(value.AsDouble());
      out += text == "inf" ? "Infinity" : text == "-inf" ? "-Infinity" : text == "nan" ? "NaN" : text;
      return;
    }
    case Kind::kList:
    case Kind::kTuple: {
      out += '[';
      bool first = true;
      for (const auto& item : value.AsList().items) {
        if (!std::exchange(first, false)) out += ", ";
        DumpValue(out, item, sort_keys, budget);
      }
      out += ']';
      return;
    }
    case Kind::kDict: {
      std::vector<std::pair<std::string, const Value*>> entries;
      for (const auto& entry : value.AsDict().entries()) {
        const Value& key = entry.key;
        if (key.is_string()) {
          entries.emplace_back(key.AsString(), &entry.value);
        } else if (key.is_bool()) {
          entries.emplace_back(key.AsBool() ? "true" : "false", &entry.value);
        } else if (key.is_none()) {
          entries.emplace_back("null", &entry.value);
        } else if (key.is_number()) {
          entries.emplace_back(key.ToString(), &entry.value);
        } else {
          ThrowType("keys must be str, int, float, bool or None, not {}", key.TypeName());
        }
      }
      if (sort_keys)
        std::stable_sort(entries.begin(), entries.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
      out += '{';
      bool first = true;
      for (const auto& [key, item] : entries) {
        if (!std::exchange(first, false)) out += ", ";
        DumpString(out, key);
        out += ": ";
        DumpValue(out, *item, sort_keys, budget);
      }
      out += '}';
      return;
    }
    case Kind::kObject:
      if (auto json = value.AsObject().ToJson()) {
        DumpValue(out, Value::FromJson(*json), sort_keys, budget);
        return;
      }
      ThrowType("Object of type {} is not JSON serializable", value.TypeName());
    case Kind::kUndefined:
      Throw(value.UndefinedError());
    case Kind::kInt:
      out += std::to_string(value.AsInt());
      return;
  }
}

}  // namespace

Result<std::string> DumpJson(const Value& value, bool sort_keys) {
  try {
    std::string out;
    Budget budget;
    DumpValue(out, value, sort_keys, budget);
    return out;
  } catch (Thrown& thrown) {
    return Fail(std::move(thrown.error));
  }
}

}  // namespace quern::jinja
