#include "jinja/value.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "jinja/environment.h"
#include "jinja/function_object.h"
#include "jinja/python_text.h"
#include "jinja/thrown.h"

namespace quern::jinja {

// --- lifetime ------------------------------------------------------------------------------------------------------
void RefCounted::Destroy(const RefCounted* object) {
  // Deleting a value deletes what it holds; a chain of a million nested lists must not become a million stack frames.
  constexpr int kMaxDepth = 64;
  thread_local int depth = 0;
  thread_local std::vector<const RefCounted*>* deferred = nullptr;
  if (depth >= kMaxDepth) {
    if (!deferred) deferred = new std::vector<const RefCounted*>;
    deferred->push_back(object);
    return;
  }
  ++depth;
  delete object;
  --depth;
  if (depth == 0 && deferred) {
    std::vector<const RefCounted*>* list = deferred;
    while (!list->empty()) {
      const RefCounted* next = list->back();
      list->pop_back();
      ++depth;
      delete next;
      --depth;
    }
    deferred = nullptr;
    delete list;
  }
}

StringRep::StringRep(std::string t) : text(std::move(t)) {}
StringRep::~StringRep() = default;

Value StringValue(Ref<StringRep> rep) {
  Value value;
  value.kind_ = Kind::kString;
  value.SetRef(rep.get());
  return value;
}
Value::Value(std::string text) : kind_(Kind::kString) {
  SetRef(new StringRep(std::move(text)));
}
Value::Value(std::string_view text) : Value(std::string(text)) {}
Value::Value(Ref<List> list) : kind_(Kind::kList) {
  SetRef(list.get());
}
Value::Value(Ref<Dict> dict) : kind_(Kind::kDict) {
  SetRef(dict.get());
}

Value Value::Undefined(std::string name) {
  auto rep = MakeRef<UndefinedRep>();
  rep->name = std::move(name);
  Value value;
  value.kind_ = Kind::kUndefined;
  value.SetRef(rep.get());
  return value;
}
Value Value::UndefinedLenient(std::string hint) {
  Value value = UndefinedBecause(std::move(hint));
  const_cast<UndefinedRep*>(value.AsUndefined())->lenient = true;
  return value;
}
Value Value::UndefinedBecause(std::string hint) {
  auto rep = MakeRef<UndefinedRep>();
  rep->hint = std::move(hint);
  Value value;
  value.kind_ = Kind::kUndefined;
  value.SetRef(rep.get());
  return value;
}
Value Value::NewList(std::vector<Value> items) {
  return Value(MakeRef<List>(std::move(items)));
}
Value Value::NewTuple(std::vector<Value> items) {
  Value value(MakeRef<List>(std::move(items)));
  value.kind_ = Kind::kTuple;
  return value;
}
Value Value::NewDict() {
  return Value(MakeRef<Dict>());
}
Value Value::NewDict(std::initializer_list<std::pair<std::string_view, Value>> entries) {
  auto dict = MakeRef<Dict>();
  for (const auto& [key, value] : entries) dict->Set(key, value);
  return Value(dict);
}
Value Value::Function(std::string name, NativeFunction function) {
  return Value(MakeRef<FunctionObject>(std::move(name), std::move(function)));
}

const std::string& Value::AsString() const {
  return static_cast<const StringRep*>(data_.ref)->text;
}
const StringRep* Value::AsStringRep() const {
  return static_cast<const StringRep*>(data_.ref);
}
List& Value::AsList() const {
  return *const_cast<List*>(static_cast<const List*>(data_.ref));
}
Dict& Value::AsDict() const {
  return *const_cast<Dict*>(static_cast<const Dict*>(data_.ref));
}
Object& Value::AsObject() const {
  return *const_cast<Object*>(static_cast<const Object*>(data_.ref));
}
const UndefinedRep* Value::AsUndefined() const {
  return static_cast<const UndefinedRep*>(data_.ref);
}

// --- JSON ----------------------------------------------------------------------------------------------------------
Value Value::FromJson(const nlohmann::json& json) {
  switch (json.type()) {
    case nlohmann::json::value_t::boolean:
      return Value(json.get<bool>());
    case nlohmann::json::value_t::number_integer:
      return Value(json.get<int64_t>());
    case nlohmann::json::value_t::number_unsigned: {
      auto n = json.get<uint64_t>();
      if (n > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return Value(static_cast<double>(n));
      return Value(static_cast<int64_t>(n));
    }
    case nlohmann::json::value_t::number_float:
      return Value(json.get<double>());
    case nlohmann::json::value_t::string:
      return Value(json.get_ref<const std::string&>());
    case nlohmann::json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(FromJson(item));
      return NewList(std::move(items));
    }
    case nlohmann::json::value_t::object: {
      auto dict = MakeRef<Dict>();
      for (const auto& [key, value] : json.items()) dict->Set(key, FromJson(value));
      return Value(dict);
    }
    default:
      return {};
  }
}

namespace {

nlohmann::json JsonOf(const Value& value, Budget& budget) {
  Budget::Level level(budget);
  switch (value.kind()) {
    case Kind::kUndefined:
      Throw(value.UndefinedError());
    case Kind::kNone:
      return nullptr;
    case Kind::kBool:
      return value.AsBool();
    case Kind::kInt:
      return value.AsInt();
    case Kind::kFloat:
      return value.AsDouble();
    case Kind::kString:
      return value.AsString();
    case Kind::kList:
    case Kind::kTuple: {
      auto out = nlohmann::json::array();
      for (const auto& item : value.AsList().items) out.push_back(JsonOf(item, budget));
      return out;
    }
    case Kind::kDict: {
      auto out = nlohmann::json::object();
      for (const auto& entry : value.AsDict().entries()) {
        const Value& key = entry.key;
        std::string name;
        if (key.is_string()) {
          name = key.AsString();
        } else if (key.is_bool()) {
          name = key.AsBool() ? "true" : "false";
        } else if (key.is_none()) {
          name = "null";
        } else if (key.is_number()) {
          name = key.ToString();
        } else {
          ThrowType("keys must be str, int, float, bool or None, not {}", key.TypeName());
        }
        out[name] = JsonOf(entry.value, budget);
      }
      return out;
    }
    case Kind::kObject:
      if (auto json = value.AsObject().ToJson()) return *std::move(json);
      ThrowType("Object of type {} is not JSON serializable", value.TypeName());
  }
  return nullptr;
}

}  // namespace

Result<nlohmann::json> Value::ToJson() const {
  try {
    Budget budget;
    return JsonOf(*this, budget);
  } catch (Thrown& thrown) {
    return Fail(std::move(thrown.error));
  }
}

// --- truth, type, text ---------------------------------------------------------------------------------------------
bool Value::Truthy() const {
  switch (kind_) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return data_.b;
    case Kind::kInt:
      return data_.i != 0;
    case Kind::kFloat:
      return data_.d != 0;
    case Kind::kString:
      return !AsString().empty();
    case Kind::kList:
    case Kind::kTuple:
      return !AsList().items.empty();
    case Kind::kDict:
      return !AsDict().empty();
    case Kind::kObject:
      return AsObject().Truthy();
  }
  return false;
}

std::string Value::TypeName() const {
  switch (kind_) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kObject:
      return AsObject().TypeName();
  }
  return "";
}

void AppendText(std::string& out, const Value& value, Budget& budget) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return;
    case Kind::kString:
      out += value.AsString();
      return;
    case Kind::kObject:
      out += value.AsObject().ToString();
      return;
    default:
      AppendRepr(out, value, budget);
  }
}

void AppendRepr(std::string& out, const Value& value, Budget& budget) {
  Budget::Level level(budget);
  switch (value.kind()) {
    case Kind::kUndefined:
      out += "Undefined";
      return;
    case Kind::kNone:
      out += "None";
      return;
    case Kind::kBool:
      out += value.AsBool() ? "True" : "False";
      return;
    case Kind::kInt:
      fmt::format_to(std::back_inserter(out), "{}", value.AsInt());
      return;
    case Kind::kFloat:
      out += FloatRepr(value.AsDouble());
      return;
    case Kind::kString:
      AppendStringRepr(out, value.AsString());
      return;
    case Kind::kList:
    case Kind::kTuple: {
      const auto& items = value.AsList().items;
      out += value.is_list() ? '[' : '(';
      for (size_t i = 0; i < items.size(); ++i) {
        if (i > 0) out += ", ";
        AppendRepr(out, items[i], budget);
      }
      if (value.is_tuple() && items.size() == 1) out += ',';
      out += value.is_list() ? ']' : ')';
      return;
    }
    case Kind::kDict: {
      out += '{';
      bool first = true;
      for (const auto& entry : value.AsDict().entries()) {
        if (!first) out += ", ";
        first = false;
        AppendRepr(out, entry.key, budget);
        out += ": ";
        AppendRepr(out, entry.value, budget);
      }
      out += '}';
      return;
    }
    case Kind::kObject:
      out += value.AsObject().Repr();
      return;
  }
}

std::string TextOf(const Value& value) {
  if (value.is_string()) return value.AsString();
  std::string out;
  Budget budget;
  AppendText(out, value, budget);
  return out;
}

std::string Value::ToString() const {
  std::string out;
  Budget budget;
  try {
    AppendText(out, *this, budget);
  } catch (Thrown&) {
    out += "...";
  }
  return out;
}
std::string Value::Repr() const {
  std::string out;
  Budget budget;
  try {
    AppendRepr(out, *this, budget);
  } catch (Thrown&) {
    out += "...";
  }
  return out;
}

// --- equality, hash, order -----------------------------------------------------------------------------------------
namespace {

bool EqualIntDouble(int64_t i, double d) {
  if (d != std::floor(d) || d < -9.3e18 || d > 9.3e18) return false;
  return d >= -9223372036854775808.0 && d < 9223372036854775808.0 && static_cast<int64_t>(d) == i;
}

bool EqualNumbers(const Value& a, const Value& b) {
  if (a.is_float() && b.is_float()) return a.AsDouble() == b.AsDouble();
  if (a.is_float()) return EqualIntDouble(b.AsInt(), a.AsDouble());
  if (b.is_float()) return EqualIntDouble(a.AsInt(), b.AsDouble());
  return a.AsInt() == b.AsInt();
}

bool SameOrEqual(const Value& a, const Value& b, Budget& budget) {
  // Python compares elements by identity first.
  if (a.kind() == b.kind() && a.is_sequence() && &a.AsList() == &b.AsList()) return true;
  if (a.is_dict() && b.is_dict() && &a.AsDict() == &b.AsDict()) return true;
  return EqualValues(a, b, budget);
}

}  // namespace

bool EqualValues(const Value& a, const Value& b, Budget& budget) {
  Budget::Level level(budget);
  if (a.is_number() && b.is_number()) return EqualNumbers(a, b);
  if (a.is_object()) return a.AsObject().Equals(b);
  if (b.is_object()) return b.AsObject().Equals(a);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      return a.AsString() == b.AsString();
    case Kind::kList:
    case Kind::kTuple: {
      const auto& x = a.AsList().items;
      const auto& y = b.AsList().items;
      if (&x == &y) return true;
      if (x.size() != y.size()) return false;
      for (size_t i = 0; i < x.size(); ++i) {
        if (!SameOrEqual(x[i], y[i], budget)) return false;
      }
      return true;
    }
    case Kind::kDict: {
      const Dict& x = a.AsDict();
      const Dict& y = b.AsDict();
      if (&x == &y) return true;
      if (x.size() != y.size()) return false;
      for (const auto& entry : x.entries()) {
        const Value* other = y.Find(entry.key);
        if (!other || !SameOrEqual(entry.value, *other, budget)) return false;
      }
      return true;
    }
    default:
      return false;
  }
}

bool Value::Equals(const Value& other) const {
  try {
    Budget budget;
    return EqualValues(*this, other, budget);
  } catch (Thrown&) {
    return false;
  }
}

size_t HashText(std::string_view text) {
  return std::hash<std::string_view>()(text);
}

std::optional<size_t> HashValue(const Value& value, Budget& budget) {
  Budget::Level level(budget);
  switch (value.kind()) {
    case Kind::kUndefined:
      return 7;
    case Kind::kNone:
      return 11;
    case Kind::kBool:
    case Kind::kInt:
      return std::hash<int64_t>()(value.AsInt());
    case Kind::kFloat: {
      double d = value.AsDouble();
      if (d == std::floor(d) && std::abs(d) < 9.2e18) return std::hash<int64_t>()(static_cast<int64_t>(d));
      return std::hash<double>()(d);
    }
    case Kind::kString:
      return HashText(value.AsString());
    case Kind::kTuple: {
      size_t hash = 0x345678;
      for (const auto& item : value.AsList().items) {
        auto h = HashValue(item, budget);
        if (!h) return std::nullopt;
        hash = hash * 1000003 ^ *h;
      }
      return hash;
    }
    case Kind::kList:
    case Kind::kDict:
      return std::nullopt;
    case Kind::kObject:
      return value.AsObject().Hash();
  }
  return std::nullopt;
}

std::optional<size_t> HashOf(const Value& value) {
  try {
    Budget budget;
    return HashValue(value, budget);
  } catch (Thrown&) {
    return std::nullopt;
  }
}

int CompareValues(const Value& a, const Value& b, const char* op, Budget& budget) {
  Budget::Level level(budget);
  if (a.is_number() && b.is_number()) {
    if (!a.is_float() && !b.is_float()) return a.AsInt() < b.AsInt() ? -1 : a.AsInt() > b.AsInt();
    double x = a.AsDouble();
    double y = b.AsDouble();
    if (std::isnan(x) || std::isnan(y)) return 2;
    return x < y ? -1 : x > y;
  }
  if (a.is_string() && b.is_string()) {
    int c = a.AsString().compare(b.AsString());
    return c < 0 ? -1 : c > 0;
  }
  if (a.kind() == b.kind() && a.is_sequence()) {
    const auto& x = a.AsList().items;
    const auto& y = b.AsList().items;
    for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!SameOrEqual(x[i], y[i], budget)) return CompareValues(x[i], y[i], op, budget);
    }
    return x.size() < y.size() ? -1 : x.size() > y.size();
  }
  if (a.is_undefined()) Throw(a.UndefinedError());
  if (b.is_undefined()) Throw(b.UndefinedError());
  if (a.is_object()) {
    if (auto c = a.AsObject().Compare(b)) return *c;
  } else if (b.is_object()) {
    if (auto c = b.AsObject().Compare(a)) return -*c;
  }
  ThrowType("'{}' not supported between instances of '{}' and '{}'", op, a.TypeName(), b.TypeName());
}

// --- access --------------------------------------------------------------------------------------------------------
std::optional<Value> Value::Get(std::string_view key) const {
  if (!is_dict()) return std::nullopt;
  if (const Value* found = AsDict().Find(key)) return *found;
  return std::nullopt;
}

Result<std::vector<Value>> Value::Iterate() const {
  switch (kind_) {
    case Kind::kUndefined:
      return std::vector<Value>{};
    case Kind::kString: {
      std::vector<Value> out;
      const std::string& text = AsString();
      for (size_t at = 0; at < text.size();) {
        size_t bytes = CharacterBytes(text, at);
        out.emplace_back(std::string_view(text).substr(at, bytes));
        at += bytes;
      }
      return out;
    }
    case Kind::kList:
    case Kind::kTuple:
      return AsList().items;
    case Kind::kDict: {
      std::vector<Value> out;
      out.reserve(AsDict().size());
      for (const auto& entry : AsDict().entries()) out.push_back(entry.key);
      return out;
    }
    case Kind::kObject: {
      auto items = AsObject().Iterate();
      if (!items) return Fail(std::move(items).error());
      if (*items) return **std::move(items);
      break;
    }
    default:
      break;
  }
  return Fail(ErrorCode::kTemplateType, fmt::format("'{}' object is not iterable", TypeName()));
}

void Value::Freeze() const {
  std::vector<const Value*> pending = {this};
  while (!pending.empty()) {
    const Value* value = pending.back();
    pending.pop_back();
    if (value->is_sequence() && !value->AsList().frozen) {
      value->AsList().frozen = true;
      for (const auto& item : value->AsList().items) pending.push_back(&item);
    } else if (value->is_dict() && !value->AsDict().frozen) {
      value->AsDict().frozen = true;
      for (const auto& entry : value->AsDict().entries()) {
        pending.push_back(&entry.key);
        pending.push_back(&entry.value);
      }
    }
  }
}

Error Value::UndefinedError() const {
  const UndefinedRep* rep = is_undefined() ? AsUndefined() : nullptr;
  if (rep && !rep->hint.empty()) return Error(ErrorCode::kTemplateUndefined, rep->hint);
  if (rep && !rep->name.empty())
    return Error(ErrorCode::kTemplateUndefined, fmt::format("'{}' is undefined", rep->name));
  return Error(ErrorCode::kTemplateUndefined, "the value is undefined");
}

// --- Dict ----------------------------------------------------------------------------------------------------------
namespace {
constexpr size_t kLinear = 8;  // dicts up to this size are searched without an index
}

ptrdiff_t Dict::FindIndex(size_t hash, std::string_view key) const {
  auto matches = [&](const Entry& e) { return e.hash == hash && e.key.is_string() && e.key.AsString() == key; };
  if (index_.empty()) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (matches(entries_[i])) return static_cast<ptrdiff_t>(i);
    }
    return -1;
  }
  for (size_t at = hash & (index_.size() - 1);; at = (at + 1) & (index_.size() - 1)) {
    if (index_[at] < 0) return -1;
    if (matches(entries_[static_cast<size_t>(index_[at])])) return index_[at];
  }
}

ptrdiff_t Dict::FindIndex(size_t hash, const Value& key) const {
  if (key.is_string()) return FindIndex(hash, std::string_view(key.AsString()));
  auto matches = [&](const Entry& e) { return e.hash == hash && e.key.Equals(key); };
  if (index_.empty()) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (matches(entries_[i])) return static_cast<ptrdiff_t>(i);
    }
    return -1;
  }
  for (size_t at = hash & (index_.size() - 1);; at = (at + 1) & (index_.size() - 1)) {
    if (index_[at] < 0) return -1;
    if (matches(entries_[static_cast<size_t>(index_[at])])) return index_[at];
  }
}

void Dict::Rebuild() {
  index_.clear();
  if (entries_.size() <= kLinear) return;
  size_t size = 32;
  while (size < entries_.size() * 3) size *= 2;
  index_.assign(size, -1);
  for (size_t i = 0; i < entries_.size(); ++i) {
    size_t at = entries_[i].hash & (size - 1);
    while (index_[at] >= 0) at = (at + 1) & (size - 1);
    index_[at] = static_cast<int32_t>(i);
  }
}

void Dict::Append(Value key, Value value, size_t hash) {
  entries_.push_back({std::move(key), std::move(value), hash});
  if (entries_.size() <= kLinear) return;
  if (index_.empty() || index_.size() < entries_.size() * 3 / 2) {
    Rebuild();
    return;
  }
  size_t at = hash & (index_.size() - 1);
  while (index_[at] >= 0) at = (at + 1) & (index_.size() - 1);
  index_[at] = static_cast<int32_t>(entries_.size() - 1);
}

const Value* Dict::Find(std::string_view key) const {
  ptrdiff_t at = FindIndex(HashText(key), key);
  return at < 0 ? nullptr : &entries_[static_cast<size_t>(at)].value;
}
const Value* Dict::Find(const Value& key) const {
  auto hash = HashOf(key);
  if (!hash) return nullptr;
  ptrdiff_t at = FindIndex(*hash, key);
  return at < 0 ? nullptr : &entries_[static_cast<size_t>(at)].value;
}
void Dict::Set(std::string_view key, Value value) {
  size_t hash = HashText(key);
  ptrdiff_t at = FindIndex(hash, key);
  if (at >= 0) {
    entries_[static_cast<size_t>(at)].value = std::move(value);
  } else {
    Append(Value(key), std::move(value), hash);
  }
}
bool Dict::Set(const Value& key, Value value) {
  auto hash = HashOf(key);
  if (!hash) return false;
  ptrdiff_t at = FindIndex(*hash, key);
  if (at >= 0) {
    entries_[static_cast<size_t>(at)].value = std::move(value);
  } else {
    Append(key, std::move(value), *hash);
  }
  return true;
}
std::optional<Value> Dict::Erase(const Value& key) {
  auto hash = HashOf(key);
  ptrdiff_t at = hash ? FindIndex(*hash, key) : -1;
  if (at < 0) return std::nullopt;
  Value value = std::move(entries_[static_cast<size_t>(at)].value);
  entries_.erase(entries_.begin() + at);
  Rebuild();
  return value;
}
void Dict::Clear() {
  entries_.clear();
  index_.clear();
}

}  // namespace quern::jinja
