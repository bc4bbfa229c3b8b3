#include "dbt/context/modules.h"

#include <re2/re2.h>

#include "dbt/context/datetime.h"
#include "dbt/context/values.h"
#include "jinja/environment.h"

namespace quern::dbt {

using jinja::CallArgs;
using jinja::MakeRef;
using jinja::State;
using jinja::Value;

namespace {

constexpr int64_t kIgnoreCase = 2, kMultiline = 8, kDotAll = 16;

class Match : public jinja::Object {
 public:
  Match(std::vector<std::optional<std::string>> groups, std::map<std::string, int> names, size_t start, size_t end)
      : groups_(std::move(groups)), names_(std::move(names)), start_(start), end_(end) {}
  std::string TypeName() const override { return "Match"; }
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
    if (name == "group") {
      if (args.args.empty()) return Group(0);
      if (args.args.size() == 1) return One(args.args[0]);
      std::vector<Value> out;
      for (const Value& arg : args.args) out.push_back(QUERN_TRY(One(arg)));
      return Value::NewTuple(std::move(out));
    }
    if (name == "groups") {
      std::vector<Value> out;
      for (size_t i = 1; i < groups_.size(); ++i) out.push_back(Group(i));
      return Value::NewTuple(std::move(out));
    }
    if (name == "groupdict") {
      Value out = Value::NewDict();
      for (const auto& [key, index] : names_) Put(out, key, Group(static_cast<size_t>(index)));
      return out;
    }
    if (name == "start") return Value(static_cast<int64_t>(start_));
    if (name == "end") return Value(static_cast<int64_t>(end_));
    if (name == "span")
      return Value::NewTuple({Value(static_cast<int64_t>(start_)), Value(static_cast<int64_t>(end_))});
    return std::nullopt;
  }
  Result<std::optional<Value>> Item(const Value& key, State&) override { return QUERN_TRY(One(key)); }

 private:
  Value Group(size_t i) const { return i < groups_.size() && groups_[i] ? Value(*groups_[i]) : Value(); }
  Result<Value> One(const Value& key) const {
    if (key.is_int() && key.AsInt() >= 0 && key.AsInt() < static_cast<int64_t>(groups_.size()))
      return Group(static_cast<size_t>(key.AsInt()));
    if (key.is_string()) {
      if (auto it = names_.find(key.AsString()); it != names_.end()) return Group(static_cast<size_t>(it->second));
    }
    return Fail(Error(ErrorCode::kTemplateType, "the pattern has no group " + key.Repr()));
  }
  std::vector<std::optional<std::string>> groups_;
  std::map<std::string, int> names_;
  size_t start_, end_;
};

class Pattern : public jinja::Object {
 public:
  explicit Pattern(std::unique_ptr<RE2> re) : re(std::move(re)) {}
  const std::unique_ptr<RE2> re;

  static Result<jinja::Ref<Pattern>> Make(const Value& pattern, int64_t flags) {
    if (auto* made = pattern.As<Pattern>()) return jinja::Ref<Pattern>(made);
    RE2::Options options;
    options.set_log_errors(false);
    options.set_case_sensitive(!(flags & kIgnoreCase));
    options.set_dot_nl(flags & kDotAll);
    std::string text = pattern.ToString();
    if (flags & kMultiline) text = "(?m)" + text;
    auto re = std::make_unique<RE2>(text, options);
    if (!re->ok()) {
      return Fail(Error(ErrorCode::kTemplateType, "the pattern " + pattern.Repr() + " cannot be used: " + re->error())
                      .Hint("look-around and back-references are not built"));
    }
    return MakeRef<Pattern>(std::move(re));
  }

  std::string TypeName() const override { return "Pattern"; }
  std::string Repr() const override { return "re.compile('" + re->pattern() + "')"; }
  Result<std::optional<Value>> Attribute(std::string_view name, State&) override {
    if (name == "pattern") return Value(re->pattern());
    return std::nullopt;
  }
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
    if (name == "sub") {
      auto bound = QUERN_TRY(args.Bind(name, {"repl", "string", "count"}, 2));
      return Sub(*bound[0], bound[1]->ToString(), bound[2] && bound[2]->is_int() ? bound[2]->AsInt() : 0);
    }
    auto bound = QUERN_TRY(args.Bind(name, {"string"}, 1));
    return Run(name, bound[0]->ToString());
  }

  std::optional<Value> Run(std::string_view name, const std::string& text) const {
    if (name == "match") return Find(text, 0, RE2::ANCHOR_START);
    if (name == "fullmatch") return Find(text, 0, RE2::ANCHOR_BOTH);
    if (name == "search") return Find(text, 0, RE2::UNANCHORED);
    if (name == "findall" || name == "finditer" || name == "split") {
      std::vector<Value> out;
      size_t at = 0, last = 0;
      int groups = re->NumberOfCapturingGroups();
      std::vector<re2::StringPiece> parts(static_cast<size_t>(groups) + 1);
      while (at <= text.size() && re->Match(text, at, text.size(), RE2::UNANCHORED, parts.data(), groups + 1)) {
        size_t begin = static_cast<size_t>(parts[0].data() - text.data());
        if (name == "finditer") {
          out.push_back(Find(text, at, RE2::UNANCHORED));
        } else if (name == "split") {
          out.emplace_back(text.substr(last, begin - last));
          for (int i = 1; i <= groups; ++i)
            out.push_back(parts[static_cast<size_t>(i)].data() ? Value(std::string(parts[static_cast<size_t>(i)]))
                                                               : Value());
          last = begin + parts[0].size();
        } else if (groups == 0) {
          out.emplace_back(std::string(parts[0]));
        } else if (groups == 1) {
          out.emplace_back(std::string(parts[1]));
        } else {
          std::vector<Value> tuple;
          for (int i = 1; i <= groups; ++i) tuple.emplace_back(std::string(parts[static_cast<size_t>(i)]));
          out.push_back(Value::NewTuple(std::move(tuple)));
        }
        at = begin + std::max<size_t>(1, parts[0].size());
      }
      if (name == "split") out.emplace_back(text.substr(last));
      return Value::NewList(std::move(out));
    }
    return std::nullopt;
  }

  Result<std::optional<Value>> Sub(const Value& replacement, std::string text, int64_t count) const {
    std::string rewrite = replacement.ToString();
    // Python's \g<1> is RE2's \1
    std::string fixed;
    for (size_t i = 0; i < rewrite.size(); ++i) {
      if (rewrite.compare(i, 3, "\\g<") == 0) {
        size_t end = rewrite.find('>', i);
        std::string key = rewrite.substr(i + 3, end == std::string::npos ? std::string::npos : end - i - 3);
        auto named = re->NamedCapturingGroups().find(key);
        fixed += "\\" + (named != re->NamedCapturingGroups().end() ? std::to_string(named->second) : key);
        i = end == std::string::npos ? rewrite.size() : end;
      } else {
        fixed += rewrite[i];
      }
    }
    std::string error;
    if (!re->CheckRewriteString(fixed, &error)) return Fail(Error(ErrorCode::kTemplateType, "re.sub: " + error));
    if (count <= 0) {
      RE2::GlobalReplace(&text, *re, fixed);
    } else {
      std::string done;
      for (; count > 0; --count) {
        std::vector<re2::StringPiece> parts(1);
        if (!re->Match(text, 0, text.size(), RE2::UNANCHORED, parts.data(), 1) || parts[0].empty()) break;
        size_t end = static_cast<size_t>(parts[0].data() - text.data()) + parts[0].size();
        std::string head = text.substr(0, end);
        RE2::Replace(&head, *re, fixed);
        done += head;
        text.erase(0, end);
      }
      text = done + text;
    }
    return Value(std::move(text));
  }

 private:
  Value Find(const std::string& text, size_t from, RE2::Anchor anchor) const {
    int groups = re->NumberOfCapturingGroups();
    std::vector<re2::StringPiece> parts(static_cast<size_t>(groups) + 1);
    if (!re->Match(text, from, text.size(), anchor, parts.data(), groups + 1)) return Value();
    std::vector<std::optional<std::string>> out;
    for (const auto& part : parts) out.push_back(part.data() ? std::optional(std::string(part)) : std::nullopt);
    size_t begin = static_cast<size_t>(parts[0].data() - text.data());
    return Value(MakeRef<Match>(std::move(out), re->NamedCapturingGroups(), begin, begin + parts[0].size()));
  }
};

Value MakeRe() {
  Value module = Value::NewDict({{"IGNORECASE", kIgnoreCase},
                                 {"I", kIgnoreCase},
                                 {"MULTILINE", kMultiline},
                                 {"M", kMultiline},
                                 {"DOTALL", kDotAll},
                                 {"S", kDotAll}});
  auto add = [&](const char* name) {
    Put(module, name, Value::Function(name, [name](CallArgs& args) -> Result<Value> {
          auto bound = QUERN_TRY(args.Bind(name, {"pattern", "string", "flags"}, 2));
          auto pattern = QUERN_TRY(Pattern::Make(*bound[0], bound[2] && bound[2]->is_int() ? bound[2]->AsInt() : 0));
          return pattern->Run(name, bound[1]->ToString()).value_or(Value());
        }));
  };
  for (const char* name : {"match", "fullmatch", "search", "findall", "finditer", "split"}) add(name);
  Put(module, "sub", Value::Function("sub", [](CallArgs& args) -> Result<Value> {
        auto bound = QUERN_TRY(args.Bind("sub", {"pattern", "repl", "string", "count", "flags"}, 3));
        auto pattern = QUERN_TRY(Pattern::Make(*bound[0], bound[4] && bound[4]->is_int() ? bound[4]->AsInt() : 0));
        auto out = QUERN_TRY(
            pattern->Sub(*bound[1], bound[2]->ToString(), bound[3] && bound[3]->is_int() ? bound[3]->AsInt() : 0));
        return *out;
      }));
  Put(module, "compile", Value::Function("compile", [](CallArgs& args) -> Result<Value> {
        auto bound = QUERN_TRY(args.Bind("compile", {"pattern", "flags"}, 1));
        return Value(QUERN_TRY(Pattern::Make(*bound[0], bound[1] && bound[1]->is_int() ? bound[1]->AsInt() : 0)));
      }));
  Put(module, "escape", Value::Function("escape", [](CallArgs& args) -> Result<Value> {
        auto bound = QUERN_TRY(args.Bind("escape", {"pattern"}, 1));
        return Value(RE2::QuoteMeta(bound[0]->ToString()));
      }));
  return module;
}

Result<std::vector<std::vector<Value>>> Lists(CallArgs& args) {
  std::vector<std::vector<Value>> lists;
  for (const Value& arg : args.args) lists.push_back(QUERN_TRY(arg.Iterate()));
  return lists;
}

Value MakeItertools() {
  Value module = Value::NewDict();
  Put(module, "chain", Value::Function("chain", [](CallArgs& args) -> Result<Value> {
        std::vector<Value> out;
        for (auto& list : QUERN_TRY(Lists(args))) out.insert(out.end(), list.begin(), list.end());
        return Value::NewList(std::move(out));
      }));
  Put(module, "product", Value::Function("product", [](CallArgs& args) -> Result<Value> {
        std::vector<std::vector<Value>> rows = {{}};
        int64_t repeat = 1;
        if (const Value* r = args.Keyword("repeat"); r && r->is_int()) repeat = r->AsInt();
        auto lists = QUERN_TRY(Lists(args));
        for (int64_t r = 0; r < repeat; ++r) {
          for (const auto& list : lists) {
            std::vector<std::vector<Value>> next;
            QUERN_TRY(args.state.Spend(static_cast<int64_t>(rows.size() * list.size())));
            for (const auto& row : rows) {
              for (const Value& v : list) {
                next.push_back(row);
                next.back().push_back(v);
              }
            }
            rows = std::move(next);
          }
        }
        std::vector<Value> out;
        for (auto& row : rows) out.push_back(Value::NewTuple(std::move(row)));
        return Value::NewList(std::move(out));
      }));
  Put(module, "zip_longest", Value::Function("zip_longest", [](CallArgs& args) -> Result<Value> {
        auto lists = QUERN_TRY(Lists(args));
        Value fill;
        if (const Value* f = args.Keyword("fillvalue")) fill = *f;
        size_t longest = 0;
        for (const auto& list : lists) longest = std::max(longest, list.size());
        std::vector<Value> out;
        for (size_t i = 0; i < longest; ++i) {
          std::vector<Value> row;
          for (const auto& list : lists) row.push_back(i < list.size() ? list[i] : fill);
          out.push_back(Value::NewTuple(std::move(row)));
        }
        return Value::NewList(std::move(out));
      }));
  auto choose = [&](const char* name, bool ordered) {
    Put(module, name, Value::Function(name, [name, ordered](CallArgs& args) -> Result<Value> {
          auto bound = QUERN_TRY(args.Bind(name, {"iterable", "r"}, 1));
          std::vector<Value> items = QUERN_TRY(bound[0]->Iterate());
          size_t r = bound[1] && bound[1]->is_int() && bound[1]->AsInt() >= 0 ? static_cast<size_t>(bound[1]->AsInt())
                                                                              : items.size();
          std::vector<Value> out;
          std::vector<size_t> picked;
          std::function<Result<void>()> walk = [&]() -> Result<void> {
            QUERN_TRY(args.state.Spend(1));
            if (picked.size() == r) {
              std::vector<Value> row;
              for (size_t i : picked) row.push_back(items[i]);
              out.push_back(Value::NewTuple(std::move(row)));
              return {};
            }
            for (size_t i = ordered || picked.empty() ? 0 : picked.back() + 1; i < items.size(); ++i) {
              if (std::find(picked.begin(), picked.end(), i) != picked.end()) continue;
              picked.push_back(i);
              QUERN_TRY(walk());
              picked.pop_back();
            }
            return {};
          };
          QUERN_TRY(walk());
          return Value::NewList(std::move(out));
        }));
  };
  choose("combinations", false);
  choose("permutations", true);
  Put(module, "accumulate", Value::Function("accumulate", [](CallArgs& args) -> Result<Value> {
        auto bound = QUERN_TRY(args.Bind("accumulate", {"iterable"}, 1));
        std::vector<Value> out;
        double sum = 0;
        bool whole = true;
        for (const Value& v : QUERN_TRY(bound[0]->Iterate())) {
          if (!v.is_number()) return Fail(Error(ErrorCode::kTemplateType, "accumulate wants numbers, not " + v.Repr()));
          whole = whole && !v.is_float();
          sum += v.AsDouble();
          out.push_back(whole ? Value(static_cast<int64_t>(sum)) : Value(sum));
        }
        return Value::NewList(std::move(out));
      }));
  Put(module, "islice", Value::Function("islice", [](CallArgs& args) -> Result<Value> {
        auto bound = QUERN_TRY(args.Bind("islice", {"iterable", "start", "stop"}, 2));
        std::vector<Value> items = QUERN_TRY(bound[0]->Iterate());
        auto number = [&](size_t i, size_t otherwise) {
          return bound[i] && bound[i]->is_int()
                     ? std::min(items.size(), static_cast<size_t>(std::max<int64_t>(0, bound[i]->AsInt())))
                     : otherwise;
        };
        size_t start = bound[2] ? number(1, 0) : 0;
        size_t stop = bound[2] ? number(2, items.size()) : number(1, items.size());
        std::vector<Value> out;
        for (size_t i = start; i < stop; ++i) out.push_back(items[i]);
        return Value::NewList(std::move(out));
      }));
  return module;
}

}  // namespace

Value MakeModules(const Clock& clock) {
  Value modules = Value::NewDict({{"datetime", MakeDatetimeModule(clock)},
                                  {"pytz", MakePytzModule()},
                                  {"re", MakeRe()},
                                  {"itertools", MakeItertools()}});
  modules.Freeze();
  return modules;
}

}  // namespace quern::dbt
