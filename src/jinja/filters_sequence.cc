#include <algorithm>
#include <random>

#include "base/text.h"
#include "jinja/interpreter.h"
#include "jinja/python_text.h"

namespace quern::jinja {
namespace {

using Bound = std::vector<std::optional<Value>>;

Bound Bind(CallArgs& args, const char* name, std::initializer_list<std::string_view> parameters, size_t required = 1) {
  return OrThrow(args.Bind(name, parameters, required));
}

/// "a.b.0" of an item; an integer is an item of it.
class AttributePath {
 public:
  AttributePath() = default;
  explicit AttributePath(const Value& attribute) {
    if (attribute.is_string()) {
      for (auto& part : Split(attribute.AsString(), '.')) {
        bool digits = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos && part.size() < 10;
        parts_.push_back(digits ? Value(static_cast<int64_t>(std::stol(part))) : Value(part));
      }
    } else {
      parts_.push_back(attribute);
    }
  }
  bool empty() const { return parts_.empty(); }
  Value Of(Interpreter& state, Value item, const Value* otherwise = nullptr) const {
    for (const auto& part : parts_) {
      item = state.ItemOf(item, part);
      if (item.is_undefined() && otherwise) item = *otherwise;
    }
    return item;
  }

 private:
  std::vector<Value> parts_;
};

Value IgnoreCase(const Value& value) {
  return value.is_string() ? Value(LowerText(value.AsString())) : value;
}
bool Truth(const std::optional<Value>& value, bool otherwise = false) {
  return value ? value->Truthy() : otherwise;
}
bool Given(const std::optional<Value>& value) {
  return value && !value->is_none();
}

void SortBy(Interpreter& state, std::vector<std::pair<Value, Value>>& keyed, bool reverse) {
  Budget budget;
  state.Use(static_cast<int64_t>(keyed.size()) * 4);
  // std::stable_sort must not see a comparison that throws half way: it may, values are only moved.
  if (reverse) std::reverse(keyed.begin(), keyed.end());
  std::stable_sort(keyed.begin(), keyed.end(),
                   [&](const auto& a, const auto& b) { return CompareValues(a.first, b.first, "<", budget) == -1; });
  if (reverse) std::reverse(keyed.begin(), keyed.end());
}
Value SecondsOf(std::vector<std::pair<Value, Value>> keyed) {
  std::vector<Value> out;
  out.reserve(keyed.size());
  for (auto& [key, item] : keyed) out.push_back(std::move(item));
  return Value::NewList(std::move(out));
}

Value Sort(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "sort", {"value", "reverse", "case_sensitive", "attribute"});
  bool case_sensitive = Truth(bound[2]);
  std::vector<AttributePath> paths;
  if (Given(bound[3])) {
    if (bound[3]->is_string()) {
      for (auto& part : Split(bound[3]->AsString(), ',')) paths.emplace_back(Value(part));
    } else {
      paths.emplace_back(*bound[3]);
    }
  }
  std::vector<std::pair<Value, Value>> keyed;
  for (auto& item : ItemsOf(state, *bound[0])) {
    Value key = item;
    if (!paths.empty()) {
      std::vector<Value> keys;
      for (const auto& path : paths) keys.push_back(path.Of(state, item));
      if (!case_sensitive) std::transform(keys.begin(), keys.end(), keys.begin(), IgnoreCase);
      key = keys.size() == 1 ? keys[0] : Value::NewList(std::move(keys));
    } else if (!case_sensitive) {
      key = IgnoreCase(key);
    }
    keyed.emplace_back(std::move(key), std::move(item));
  }
  SortBy(state, keyed, Truth(bound[1]));
  return SecondsOf(std::move(keyed));
}

Value DictSort(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "dictsort", {"value", "case_sensitive", "by", "reverse"});
  std::string by = bound[2] ? TextOf(*bound[2]) : "key";
  if (by != "key" && by != "value") ThrowType("You can only sort by either \"key\" or \"value\"");
  if (!bound[0]->is_dict()) ThrowType("dictsort needs a dict, not '{}'", bound[0]->TypeName());
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& entry : bound[0]->AsDict().entries()) {
    Value key = by == "key" ? entry.key : entry.value;
    keyed.emplace_back(Truth(bound[1]) ? key : IgnoreCase(key), Value::NewTuple({entry.key, entry.value}));
  }
  SortBy(state, keyed, Truth(bound[3]));
  return SecondsOf(std::move(keyed));
}

Value Unique(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "unique", {"value", "case_sensitive", "attribute"});
  AttributePath path = Given(bound[2]) ? AttributePath(*bound[2]) : AttributePath();
  auto seen = MakeRef<Dict>();
  std::vector<Value> out;
  for (auto& item : ItemsOf(state, *bound[0])) {
    Value key = path.empty() ? item : path.Of(state, item);
    if (!Truth(bound[1])) key = IgnoreCase(key);
    if (seen->Find(key)) continue;
    if (!seen->Set(key, Value())) ThrowType("unhashable type: '{}'", key.TypeName());
    out.push_back(std::move(item));
  }
  return Value::NewList(std::move(out));
}

/// What groupby gives for each group: a pair that also has names.
class Group : public Object {
 public:
  Group(Value grouper, Value list) : grouper_(std::move(grouper)), list_(std::move(list)) {}
  std::string TypeName() const override { return "_GroupTuple"; }
  std::string Repr() const override { return Value::NewTuple({grouper_, list_}).Repr(); }
  bool is_sequence() const override { return true; }
  std::optional<size_t> Length() const override { return 2; }
  Result<std::optional<Value>> Attribute(std::string_view name, State&) override {
    if (name == "grouper") return grouper_;
    if (name == "list") return list_;
    return std::nullopt;
  }
  Result<std::optional<Value>> Item(const Value& key, State&) override {
    if (!key.is_int()) return std::nullopt;
    if (key.AsInt() == 0 || key.AsInt() == -2) return grouper_;
    if (key.AsInt() == 1 || key.AsInt() == -1) return list_;
    return std::nullopt;
  }
  Result<std::optional<std::vector<Value>>> Iterate() const override { return std::vector<Value>{grouper_, list_}; }
  void VisitReferences(const std::function<void(const Value&)>& visit) const override {
    visit(grouper_);
    visit(list_);
  }

 private:
  Value grouper_, list_;
};

Value GroupBy(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "groupby", {"value", "attribute", "default", "case_sensitive"}, 2);
  AttributePath path(*bound[1]);
  bool case_sensitive = Truth(bound[3]);
  std::vector<std::pair<Value, Value>> keyed;
  for (auto& item : ItemsOf(state, *bound[0])) {
    Value key = path.Of(state, item, Given(bound[2]) ? &*bound[2] : nullptr);
    keyed.emplace_back(case_sensitive ? key : IgnoreCase(key), item);
  }
  SortBy(state, keyed, false);
  std::vector<Value> out;
  Budget budget;
  for (size_t i = 0; i < keyed.size();) {
    std::vector<Value> group;
    size_t first = i;
    while (i < keyed.size() && EqualValues(keyed[first].first, keyed[i].first, budget))
      group.push_back(keyed[i++].second);
    Value key = case_sensitive ? keyed[first].first : path.Of(state, group[0], Given(bound[2]) ? &*bound[2] : nullptr);
    out.emplace_back(MakeRef<Group>(std::move(key), Value::NewList(std::move(group))));
  }
  return Value::NewList(std::move(out));
}

Value Map(Interpreter& state, CallArgs& args) {
  std::vector<Value> out;
  if (args.args.size() == 1 && args.Keyword("attribute")) {
    AttributePath path(*args.Keyword("attribute"));
    const Value* otherwise = args.Keyword("default");
    if (args.kwargs.size() > (otherwise ? 2U : 1U)) ThrowType("map got an unexpected keyword argument");
    for (auto& item : ItemsOf(state, args.args[0])) {
      state.Use(1);
      out.push_back(path.Of(state, std::move(item), otherwise && !otherwise->is_none() ? otherwise : nullptr));
    }
    return Value::NewList(std::move(out));
  }
  if (args.args.size() < 2) ThrowType("map requires a filter argument");
  std::string name = TextOf(args.args[1]);
  std::vector<Value> call(args.args.begin() + 1, args.args.end());
  for (auto& item : ItemsOf(state, args.args[0])) {
    state.Use(1);
    call[0] = std::move(item);
    out.push_back(state.CallFilter(name, call, args.kwargs));
  }
  return Value::NewList(std::move(out));
}

NativeFunction Select(bool keep, bool by_attribute, const char* filter) {
  return Native([keep, by_attribute, filter](Interpreter& state, CallArgs& args) {
    size_t used = by_attribute ? 2 : 1;
    if (args.args.size() < used) ThrowType("{} needs the name of an attribute", filter);
    AttributePath path = by_attribute ? AttributePath(args.args[1]) : AttributePath();
    std::string test = args.args.size() > used ? TextOf(args.args[used]) : "";
    std::vector<Value> call;
    if (args.args.size() > used) call.assign(args.args.begin() + static_cast<ptrdiff_t>(used), args.args.end());
    std::vector<Value> out;
    for (auto& item : ItemsOf(state, args.args[0])) {
      state.Use(1);
      Value subject = by_attribute ? path.Of(state, item) : item;
      bool holds;
      if (test.empty()) {
        holds = subject.Truthy();
      } else {
        call[0] = std::move(subject);
        holds = state.CallTest(test, call);
      }
      if (holds == keep) out.push_back(std::move(item));
    }
    return Value::NewList(std::move(out));
  });
}

Value JoinFilter(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "join", {"value", "d", "attribute"});
  AttributePath path = Given(bound[2]) ? AttributePath(*bound[2]) : AttributePath();
  Value separator = bound[1] ? (bound[1]->is_string() ? *bound[1] : Value(TextArgument(state, *bound[1]))) : Value("");
  std::vector<Value> parts;
  bool first = true;
  for (auto& item : ItemsOf(state, *bound[0])) {
    if (!first && !separator.AsString().empty()) parts.push_back(separator);
    first = false;
    parts.push_back(path.empty() ? std::move(item) : path.Of(state, std::move(item)));
  }
  return JoinTexts(state, parts);
}

NativeFunction Extreme(const char* name, int sign) {
  return Native([name, sign](Interpreter& state, CallArgs& args) {
    auto bound = Bind(args, name, {"value", "case_sensitive", "attribute"});
    AttributePath path = Given(bound[2]) ? AttributePath(*bound[2]) : AttributePath();
    std::optional<Value> best;
    std::optional<Value> best_key;
    Budget budget;
    for (auto& item : ItemsOf(state, *bound[0])) {
      Value key = path.empty() ? item : path.Of(state, item);
      if (!Truth(bound[1])) key = IgnoreCase(key);
      if (!best || CompareValues(key, *best_key, sign < 0 ? "<" : ">", budget) == sign) {
        best = std::move(item);
        best_key = std::move(key);
      }
    }
    return best ? *best : Value::UndefinedBecause("No aggregated item, sequence was empty.");
  });
}

Value Sum(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "sum", {"iterable", "attribute", "start"});
  AttributePath path = Given(bound[1]) ? AttributePath(*bound[1]) : AttributePath();
  Value total = bound[2] ? *bound[2] : Value(0);
  if (total.is_string()) ThrowType("sum() can't sum strings [use ''.join(seq) instead]");
  for (auto& item : ItemsOf(state, *bound[0])) {
    total = BinaryOperation(state, BinaryOp::kAdd, total, path.empty() ? item : path.Of(state, item));
  }
  return total;
}

Value Length(Interpreter& state, CallArgs& args) {
  Bind(args, "length", {"value"});
  const Value& value = args.args[0];
  if (auto length = LengthOf(value)) return Value(*length);
  if (value.is_object() && value.AsObject().is_sequence()) return Value(ItemsOf(state, value).size());
  ThrowType("object of type '{}' has no len()", value.TypeName());
}

Value First(Interpreter& state, CallArgs& args) {
  auto items = ItemsOf(state, args.args[0]);
  return items.empty() ? Value::UndefinedBecause("No first item, sequence was empty.") : items.front();
}
Value Last(Interpreter& state, CallArgs& args) {
  auto items = ItemsOf(state, args.args[0]);
  return items.empty() ? Value::UndefinedBecause("No last item, sequence was empty.") : items.back();
}

Value Reverse(Interpreter& state, CallArgs& args) {
  auto items = ItemsOf(state, args.args[0]);
  std::reverse(items.begin(), items.end());
  if (!args.args[0].is_string()) return Value::NewList(std::move(items));
  std::string out;
  for (const auto& item : items) out += item.AsString();
  return Value(out);
}

Value Batch(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "batch", {"value", "linecount", "fill_with"}, 2);
  if (!bound[1]->is_int()) ThrowType("linecount must be an integer");
  int64_t count = bound[1]->AsInt();
  std::vector<Value> out;
  std::vector<Value> line;
  for (auto& item : ItemsOf(state, *bound[0])) {
    if (static_cast<int64_t>(line.size()) == count) out.push_back(Value::NewList(std::exchange(line, {})));
    line.push_back(std::move(item));
  }
  if (!line.empty()) {
    if (Given(bound[2]) && count < 1'000'000) {
      while (static_cast<int64_t>(line.size()) < count) line.push_back(*bound[2]);
    }
    out.push_back(Value::NewList(std::move(line)));
  }
  return Value::NewList(std::move(out));
}

Value Slice(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "slice", {"value", "slices", "fill_with"}, 2);
  if (!bound[1]->is_int() || bound[1]->AsInt() <= 0) ThrowType("slices must be a positive integer");
  auto slices = static_cast<size_t>(bound[1]->AsInt());
  if (slices > 1'000'000) ThrowLimit("too many slices");
  auto items = ItemsOf(state, *bound[0]);
  size_t each = items.size() / slices;
  size_t more = items.size() % slices;
  size_t offset = 0;
  std::vector<Value> out;
  for (size_t i = 0; i < slices; ++i) {
    size_t start = offset + i * each;
    if (i < more) ++offset;
    size_t end = offset + (i + 1) * each;
    std::vector<Value> part(items.begin() + static_cast<ptrdiff_t>(start), items.begin() + static_cast<ptrdiff_t>(end));
    if (Given(bound[2]) && i >= more) part.push_back(*bound[2]);
    out.push_back(Value::NewList(std::move(part)));
  }
  return Value::NewList(std::move(out));
}

Value Items(Interpreter& state, CallArgs& args) {
  const Value& value = args.args[0];
  if (value.is_undefined()) return Value::NewList();
  CallArgs none(state, {}, {});
  if (value.is_dict()) return Value::NewList(ItemsOf(state, *CallBuiltinMethod(state, value, "items", none)));
  if (value.is_object() && value.AsObject().is_mapping()) return state.CallMethodOf(value, "items", none);
  ThrowType("Can only get item pairs from a mapping.");
}

}  // namespace

void AddSequenceFilters(Environment::Impl& environment) {
  auto& filters = environment.filters;
  filters["sort"] = Native(Sort);
  filters["dictsort"] = Native(DictSort);
  filters["unique"] = Native(Unique);
  filters["groupby"] = Native(GroupBy);
  filters["map"] = Native(Map);
  filters["select"] = Select(true, false, "select");
  filters["reject"] = Select(false, false, "reject");
  filters["selectattr"] = Select(true, true, "selectattr");
  filters["rejectattr"] = Select(false, true, "rejectattr");
  filters["join"] = Native(JoinFilter);
  filters["min"] = Extreme("min", -1);
  filters["max"] = Extreme("max", 1);
  filters["sum"] = Native(Sum);
  filters["length"] = filters["count"] = Native(Length);
  filters["first"] = Native(First);
  filters["last"] = Native(Last);
  filters["reverse"] = Native(Reverse);
  filters["batch"] = Native(Batch);
  filters["slice"] = Native(Slice);
  filters["items"] = Native(Items);
  filters["list"] = Native([](Interpreter& state, CallArgs& args) {
    Bind(args, "list", {"value"});
    return Value::NewList(ItemsOf(state, args.args[0]));
  });
  filters["random"] = Native([](Interpreter& state, CallArgs& args) {
    auto items = ItemsOf(state, args.args[0]);
    if (items.empty()) return Value::UndefinedBecause("No random item, sequence was empty.");
    thread_local std::mt19937_64 engine{std::random_device{}()};
    return items[std::uniform_int_distribution<size_t>(0, items.size() - 1)(engine)];
  });
  filters["default"] = filters["d"] = Native([](Interpreter&, CallArgs& args) {
    auto bound = Bind(args, "default", {"value", "default_value", "boolean"});
    if (bound[0]->is_undefined() || (Truth(bound[2]) && !bound[0]->Truthy())) return bound[1] ? *bound[1] : Value("");
    return *bound[0];
  });
  filters["attr"] = Native([](Interpreter& state, CallArgs& args) {
    auto bound = Bind(args, "attr", {"obj", "name"}, 2);
    std::string name = TextOf(*bound[1]);
    if (bound[0]->is_undefined()) return state.AttributeOf(*bound[0], name);
    if (bound[0]->is_object()) {
      if (auto found = OrThrow(bound[0]->AsObject().Attribute(name, state))) return *found;
    } else if (HasMethod(*bound[0], name)) {
      return BoundMethod(*bound[0], name);
    }
    return Value::UndefinedBecause(fmt::format("'{}' has no attribute '{}'", ObjectName(*bound[0]), name));
  });
}

}  // namespace quern::jinja
