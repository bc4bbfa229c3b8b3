#include "jinja/dict_view.h"
#include "jinja/interpreter.h"

namespace quern::jinja {
namespace {

class DictView : public Object {
 public:
  DictView(Value dict, DictPart part) : dict_(std::move(dict)), part_(part) {}
  std::string TypeName() const override {
    return part_ == DictPart::kKeys ? "dict_keys" : part_ == DictPart::kValues ? "dict_values" : "dict_items";
  }
  Result<std::optional<std::vector<Value>>> Iterate() const override {
    std::vector<Value> out;
    out.reserve(dict_.AsDict().size());
    for (const auto& entry : dict_.AsDict().entries()) {
      out.push_back(part_ == DictPart::kKeys     ? entry.key
                    : part_ == DictPart::kValues ? entry.value
                                                 : Value::NewTuple({entry.key, entry.value}));
    }
    return out;
  }
  std::optional<size_t> Length() const override { return dict_.AsDict().size(); }
  std::string Repr() const override {
    auto items = Iterate();
    return TypeName() + "(" + Value::NewList(**std::move(items)).Repr() + ")";
  }
  Result<std::optional<bool>> Contains(const Value& value) const override {
    if (part_ == DictPart::kKeys) return dict_.AsDict().Find(value) != nullptr;
    return std::nullopt;
  }
  bool Equals(const Value& other) const override {
    auto* view = other.As<DictView>();
    if (!view) return false;
    if (view == this) return true;
    if (part_ == DictPart::kValues || view->part_ != part_ || view->dict_.AsDict().size() != dict_.AsDict().size())
      return false;
    for (const auto& entry : dict_.AsDict().entries()) {
      const Value* found = view->dict_.AsDict().Find(entry.key);
      if (!found || (part_ == DictPart::kItems && !found->Equals(entry.value))) return false;
    }
    return true;
  }
  std::optional<size_t> Hash() const override {
    if (part_ == DictPart::kValues) return Object::Hash();
    return std::nullopt;
  }
  void VisitReferences(const std::function<void(const Value&)>& visit) const override { visit(dict_); }

 private:
  Value dict_;
  DictPart part_;
};

class Range : public Object {
 public:
  Range(int64_t start, int64_t stop, int64_t step, int64_t count)
      : start_(start), stop_(stop), step_(step), count_(count) {}
  std::string TypeName() const override { return "range"; }
  std::string Repr() const override {
    return step_ == 1 ? fmt::format("range({}, {})", start_, stop_)
                      : fmt::format("range({}, {}, {})", start_, stop_, step_);
  }
  bool is_sequence() const override { return true; }
  std::optional<size_t> Length() const override { return static_cast<size_t>(count_); }
  Result<std::optional<std::vector<Value>>> Iterate() const override {
    std::vector<Value> out;
    out.reserve(static_cast<size_t>(count_));
    for (int64_t i = 0; i < count_; ++i) out.emplace_back(start_ + i * step_);
    return out;
  }
  Result<std::optional<Value>> Item(const Value& key, State&) override {
    if (!key.is_int()) return std::nullopt;
    int64_t at = key.AsInt() < 0 ? key.AsInt() + count_ : key.AsInt();
    if (at < 0 || at >= count_) return std::nullopt;
    return Value(start_ + at * step_);
  }
  bool Equals(const Value& other) const override {
    auto* range = other.As<Range>();
    return range && range->count_ == count_ &&
           (count_ == 0 || (range->start_ == start_ && (count_ == 1 || range->step_ == step_)));
  }
  std::optional<size_t> Hash() const override { return HashText(Repr()); }

 private:
  int64_t start_, stop_, step_, count_;
};

/// As Jinja2's sandbox.
constexpr int64_t kMaxRange = 100000;

Value MakeRange(Interpreter&, CallArgs& args) {
  if (!args.kwargs.empty()) ThrowType("range() takes no keyword arguments");
  if (args.args.empty() || args.args.size() > 3) ThrowType("range expected 1 to 3 arguments, got {}", args.args.size());
  int64_t numbers[3] = {0, 0, 1};
  for (size_t i = 0; i < args.args.size(); ++i) {
    const Value& arg = args.args[i];
    if (arg.is_undefined()) Throw(arg.UndefinedError());
    if (!arg.is_int() && !arg.is_bool()) ThrowType("'{}' object cannot be interpreted as an integer", arg.TypeName());
    numbers[args.args.size() == 1 ? 1 : i] = arg.AsInt();
  }
  auto [start, stop, step] = numbers;
  if (step == 0) ThrowType("range() arg 3 must not be zero");
  __int128 distance = static_cast<__int128>(stop) - start;
  __int128 count = step > 0 ? (distance + step - 1) / step : (distance + step + 1) / step;
  if (distance == 0 || (distance > 0) != (step > 0)) count = 0;
  if (count > kMaxRange) ThrowLimit("range() may not have more than {} numbers", kMaxRange);
  return Value(MakeRef<Range>(start, stop, step, static_cast<int64_t>(count)));
}

class Namespace : public Object {
 public:
  std::string TypeName() const override { return "Namespace"; }
  Result<std::optional<Value>> Attribute(std::string_view name, State&) override { return attributes_.Get(name); }
  Result<std::optional<Value>> Item(const Value& key, State&) override {
    const Value* found = attributes_.AsDict().Find(key);
    if (!found) return std::nullopt;
    return *found;
  }
  Result<void> SetAttribute(std::string_view name, Value value) override {
    attributes_.AsDict().Set(name, std::move(value));
    return {};
  }
  std::string Repr() const override { return "<Namespace " + attributes_.Repr() + ">"; }
  void VisitReferences(const std::function<void(const Value&)>& visit) const override { visit(attributes_); }
  void ClearReferences() override { attributes_.AsDict().Clear(); }
  const Value& attributes() const { return attributes_; }

 private:
  Value attributes_ = Value::NewDict();
};

Value MakeDict(Interpreter& state, CallArgs& args) {
  if (args.args.size() > 1) ThrowType("dict expected at most 1 argument, got {}", args.args.size());
  Value dict = Value::NewDict();
  CallArgs update(args.state, args.args, args.kwargs);
  CallBuiltinMethod(state, dict, "update", update);
  return dict;
}

class Cycler : public Object {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::move(items)) {}
  std::string TypeName() const override { return "Cycler"; }
  Result<std::optional<Value>> Attribute(std::string_view name, State&) override {
    if (name == "current") return items_[at_];
    if (name == "items") return Value::NewTuple(items_);
    if (name == "next" || name == "reset") return BoundMethod(Value(Ref<Cycler>(this)), std::string(name));
    return std::nullopt;
  }
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs&) override {
    if (name == "next") {
      Value out = items_[at_];
      at_ = (at_ + 1) % items_.size();
      return out;
    }
    if (name == "reset") {
      at_ = 0;
      return Value();
    }
    return std::nullopt;
  }
  void VisitReferences(const std::function<void(const Value&)>& visit) const override {
    for (const auto& item : items_) visit(item);
  }

 private:
  std::vector<Value> items_;
  size_t at_ = 0;
};

class Joiner : public Object {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}
  std::string TypeName() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Result<Value> Call(CallArgs&) override {
    if (!std::exchange(used_, true)) return Value("");
    return separator_;
  }

 private:
  Value separator_;
  bool used_ = false;
};

}  // namespace

Value MakeDictView(const Value& dict, DictPart part) {
  return Value(MakeRef<DictView>(dict, part));
}

void AddGlobals(Environment::Impl& environment) {
  auto add = [&](const char* name, auto function) {
    environment.globals[name] = Value::Function(name, Native(function));
  };
  add("range", MakeRange);
  add("dict", MakeDict);
  add("namespace", [](Interpreter& state, CallArgs& args) {
    auto space = MakeRef<Namespace>();
    CallArgs update(args.state, args.args, args.kwargs);
    CallBuiltinMethod(state, space->attributes(), "update", update);
    return Value(space);
  });
  add("cycler", [](Interpreter&, CallArgs& args) {
    if (args.args.empty()) ThrowType("at least one item has to be provided");
    return Value(MakeRef<Cycler>(std::vector<Value>(args.args.begin(), args.args.end())));
  });
  add("joiner", [](Interpreter&, CallArgs& args) {
    auto bound = OrThrow(args.Bind("joiner", {"sep"}));
    return Value(MakeRef<Joiner>(bound[0] ? *bound[0] : Value(", ")));
  });
}

}  // namespace quern::jinja
