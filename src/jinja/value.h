#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace quern::jinja {

class CallArgs;
class Dict;
class List;
class Object;
class State;
class StringRep;
class UndefinedRep;
class Value;
struct OutputMap;
template <class T>
class Ref;
Value UnsetValue();
Value StringValue(Ref<StringRep> rep);
using NativeFunction = std::function<Result<Value>(CallArgs&)>;

enum class Kind : uint8_t { kUndefined, kNone, kBool, kInt, kFloat, kString, kList, kTuple, kDict, kObject };

/// Base of everything on the heap that values share. The count is atomic, so values may be copied by any thread;
/// reading or changing one container from several threads at once needs it to be frozen (Value::Freeze).
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;
  virtual ~RefCounted() = default;
  void Retain() const { refs_.fetch_add(1, std::memory_order_relaxed); }
  /// Deletes at zero; chains of any length are taken apart without deep recursion.
  void Release() const {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) Destroy(this);
  }
  uint32_t refs() const { return refs_.load(std::memory_order_relaxed); }

 private:
  static void Destroy(const RefCounted* object);
  mutable std::atomic<uint32_t> refs_{0};
};

/// Intrusive pointer to a RefCounted.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_) object_->Retain();
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class U>
    requires std::is_convertible_v<U*, T*>
  Ref(const Ref<U>& other) : Ref(other.get()) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_) object_->Release();
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};
template <class T, class... Args>
Ref<T> MakeRef(Args&&... args) {
  return Ref<T>(new T(std::forward<Args>(args)...));
}

/// A Python-like value: 16 bytes, cheap to copy; lists, dicts and objects are shared by reference as in Python.
/// Text is UTF-8. Integers are 64 bit: overflow is an error of the template, never silent.
class Value {
 public:
  Value() = default;  ///< None
  Value(std::nullptr_t) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  Value(T number) {
    if constexpr (std::is_same_v<T, bool>) {
      kind_ = Kind::kBool;
      data_.b = number;
    } else if constexpr (std::is_integral_v<T>) {
      kind_ = Kind::kInt;
      data_.i = static_cast<int64_t>(number);
    } else {
      kind_ = Kind::kFloat;
      data_.d = number;
    }
  }
  Value(std::string text);
  Value(std::string_view text);
  Value(const char* text) : Value(std::string_view(text)) {}
  Value(Ref<List> list);
  Value(Ref<Dict> dict);
  template <class T>
    requires std::is_base_of_v<Object, T>
  Value(const Ref<T>& object) : kind_(Kind::kObject) {
    SetRef(object.get());
  }
  static Value Undefined(std::string name = {});    ///< "'name' is undefined" when it is used
  static Value UndefinedBecause(std::string hint);  ///< its whole message, e.g. "'dict object' has no attribute 'x'"
  /// Prints as nothing even in strict mode (an inline `if` without `else`).
  static Value UndefinedLenient(std::string hint);
  static Value NewList(std::vector<Value> items = {});
  static Value NewTuple(std::vector<Value> items);
  static Value NewDict();
  static Value NewDict(std::initializer_list<std::pair<std::string_view, Value>> entries);
  /// A callable. `name` is what it is called in messages.
  static Value Function(std::string name, NativeFunction function);
  static Value FromJson(const nlohmann::json& json);

  Value(const Value& other) : kind_(other.kind_), data_(other.data_) {
    if (data_.ref && has_ref()) data_.ref->Retain();
  }
  Value(Value&& other) noexcept : kind_(other.kind_), data_(other.data_) {
    other.kind_ = Kind::kNone;
    other.data_.ref = nullptr;
  }
  Value& operator=(const Value& other) {
    Value copy(other);
    swap(copy);
    return *this;
  }
  Value& operator=(Value&& other) noexcept {
    Value moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~Value() {
    if (has_ref() && data_.ref) data_.ref->Release();
  }
  void swap(Value& other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(data_, other.data_);
  }

  Kind kind() const { return kind_; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_bool() const { return kind_ == Kind::kBool; }
  bool is_int() const { return kind_ == Kind::kInt; }
  bool is_float() const { return kind_ == Kind::kFloat; }
  bool is_number() const { return kind_ == Kind::kBool || is_int() || is_float(); }  ///< as Python: bool is a number
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_list() const { return kind_ == Kind::kList; }
  bool is_tuple() const { return kind_ == Kind::kTuple; }
  bool is_sequence() const { return is_list() || is_tuple(); }
  bool is_dict() const { return kind_ == Kind::kDict; }
  bool is_object() const { return kind_ == Kind::kObject; }

  // The caller has checked the kind.
  bool AsBool() const { return data_.b; }
  int64_t AsInt() const { return kind_ == Kind::kBool ? int64_t{data_.b} : data_.i; }
  double AsDouble() const { return kind_ == Kind::kFloat ? data_.d : static_cast<double>(AsInt()); }
  const std::string& AsString() const;
  List& AsList() const;  ///< of a list or tuple
  Dict& AsDict() const;
  Object& AsObject() const;
  const UndefinedRep* AsUndefined() const;  ///< may be null
  const StringRep* AsStringRep() const;
  /// The object when it is one of type T, else null.
  template <class T>
  T* As() const {
    return is_object() ? dynamic_cast<T*>(&AsObject()) : nullptr;
  }

  /// Python's truth. Undefined is false.
  bool Truthy() const;
  /// Python's str() and repr(). Nested deeper than 200 levels gives "...".
  std::string ToString() const;
  std::string Repr() const;
  /// Python's type name: "str", "int", "NoneType", "dict", ... or the object's.
  std::string TypeName() const;
  /// Python's == (1 == 1.0 == True).
  bool Equals(const Value& other) const;
  friend bool operator==(const Value& a, const Value& b) { return a.Equals(b); }
  /// The value of a string key of a dict; nothing for other kinds or a missing key.
  std::optional<Value> Get(std::string_view key) const;
  /// Elements of any iterable (list, tuple, dict's keys, string's characters, object). Error kTemplateType else.
  Result<std::vector<Value>> Iterate() const;
  /// kTemplateType for values with no JSON form (functions, objects without ToJson); tuples become arrays.
  Result<nlohmann::json> ToJson() const;
  /// Makes lists and dicts inside, all the way down, unchangeable, so that threads may share them. Templates that
  /// change a frozen container get a kTemplateType error.
  void Freeze() const;
  /// Whether an undefined inside would raise: the error of using it ("'x' is undefined").
  Error UndefinedError() const;

 private:
  friend Value UnsetValue();
  friend Value StringValue(Ref<StringRep> rep);
  bool has_ref() const { return kind_ == Kind::kUndefined || kind_ >= Kind::kString; }
  void SetRef(const RefCounted* ref) {
    data_.ref = ref;
    if (ref) ref->Retain();
  }

  Kind kind_ = Kind::kNone;
  union Data {
    bool b;
    int64_t i;
    double d;
    const RefCounted* ref;
  } data_ = {.i = 0};
};

/// An undefined value without any information: how the interpreter marks a variable that is not set.
inline Value UnsetValue() {
  Value value;
  value.kind_ = Kind::kUndefined;
  return value;
}
/// A text value of a text that is there already (with its OutputMap).
Value StringValue(Ref<StringRep> rep);

class StringRep : public RefCounted {
 public:
  explicit StringRep(std::string t);
  ~StringRep() override;
  const std::string text;
  std::unique_ptr<OutputMap> map;  ///< where its parts were written, for text that templates made; or null
};

class UndefinedRep : public RefCounted {
 public:
  std::string name;
  std::string hint;  ///< message, when it is not "'name' is undefined"
  bool lenient = false;
};

/// The items of a list or a tuple.
class List : public RefCounted {
 public:
  explicit List(std::vector<Value> values = {}) : items(std::move(values)) {}
  std::vector<Value> items;
  bool frozen = false;
};

/// A dict in order of insertion. Keys: none, bool, int, float, string, tuples of them, objects with a hash.
class Dict : public RefCounted {
 public:
  struct Entry {
    Value key;
    Value value;
    size_t hash;
  };
  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  const std::vector<Entry>& entries() const { return entries_; }
  const Value* Find(std::string_view key) const;
  const Value* Find(const std::string& key) const { return Find(std::string_view(key)); }
  const Value* Find(const char* key) const { return Find(std::string_view(key)); }
  const Value* Find(const Value& key) const;  ///< null as well for keys that cannot be hashed
  void Set(std::string_view key, Value value);
  void Set(const std::string& key, Value value) { Set(std::string_view(key), std::move(value)); }
  void Set(const char* key, Value value) { Set(std::string_view(key), std::move(value)); }
  /// False, and nothing done, when the key cannot be hashed.
  bool Set(const Value& key, Value value);
  std::optional<Value> Erase(const Value& key);
  void Clear();
  bool frozen = false;

 private:
  ptrdiff_t FindIndex(size_t hash, const Value& key) const;
  ptrdiff_t FindIndex(size_t hash, std::string_view key) const;
  void Append(Value key, Value value, size_t hash);
  void Rebuild();
  std::vector<Entry> entries_;
  std::vector<int32_t> index_;  // open addressing; empty while the dict is small
};

/// Python's hash for equality of keys; nothing for lists, dicts and other unhashable values.
std::optional<size_t> HashOf(const Value& value);
size_t HashText(std::string_view text);

enum class BinaryOp : uint8_t { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };

/// What callers add: relations, adapters, dates, lazily computed values. Defaults: a plain thing without attributes
/// that is true, equal to itself only and prints as "<TypeName>".
///
///     class Relation : public jinja::Object {
///      public:
///       std::string TypeName() const override { return "Relation"; }
///       Result<std::optional<Value>> Attribute(std::string_view name, State&) override {
///         if (name == "schema") return Value(schema_);
///         return std::nullopt;                     // "'Relation' object has no attribute 'x'" when it is used
///       }
///       Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
///         if (name == "render") return Value(Render());
///         return std::nullopt;                     // then Attribute(name) is called as a function
///       }
///       std::string ToString() const override { return Render(); }
///     };
class Object : public RefCounted {
 public:
  virtual std::string TypeName() const = 0;
  /// `x.name`, and `x['name']` when Item says nothing. Nothing: the attribute does not exist.
  virtual Result<std::optional<Value>> Attribute(std::string_view name, State& state);
  /// `x[key]`. Nothing: no such item.
  virtual Result<std::optional<Value>> Item(const Value& key, State& state);
  /// `{% set x.name = value %}`; only namespaces allow it by default.
  virtual Result<void> SetAttribute(std::string_view name, Value value);
  /// `x.name(...)`. Nothing: not a method here; the attribute of that name is called instead.
  virtual Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args);
  virtual bool callable() const { return false; }
  virtual Result<Value> Call(CallArgs& args);
  /// Elements, or nothing when it cannot be iterated.
  virtual Result<std::optional<std::vector<Value>>> Iterate() const;
  virtual std::optional<size_t> Length() const { return std::nullopt; }
  /// `value in x`. Nothing: search among the elements.
  virtual Result<std::optional<bool>> Contains(const Value& value) const;
  virtual bool Truthy() const;  ///< by Length when there is one, else true
  virtual std::string ToString() const { return Repr(); }
  virtual std::string Repr() const { return "<" + TypeName() + ">"; }
  virtual bool Equals(const Value& other) const;
  virtual std::optional<size_t> Hash() const { return reinterpret_cast<size_t>(this); }
  /// Sign of (this - other), or nothing when they have no order.
  virtual std::optional<int> Compare(const Value& other) const;
  /// `this op other`, or `other op this` when reversed. Nothing: unsupported.
  virtual Result<std::optional<Value>> Binary(BinaryOp op, const Value& other, bool reversed) const;
  virtual bool is_mapping() const { return false; }   ///< `is mapping`
  virtual bool is_sequence() const { return false; }  ///< `is sequence`
  virtual std::optional<nlohmann::json> ToJson() const;
  /// Values this object holds that templates can change: lets the end of a render find and undo cycles.
  virtual void VisitReferences(const std::function<void(const Value&)>& visit) const;
  virtual void ClearReferences() {}
};

struct KeywordArg {
  std::string_view name;
  Value value;
};

/// What a native function is given. Views are valid during the call.
class CallArgs {
 public:
  CallArgs(State& s, std::span<const Value> positional, std::span<const KeywordArg> keywords)
      : state(s), args(positional), kwargs(keywords) {}

  State& state;
  std::span<const Value> args;
  std::span<const KeywordArg> kwargs;

  const Value* Keyword(std::string_view name) const;
  /// Binds to named parameters as Python does; the first `required` must be given. Errors (kTemplateType): too many
  /// arguments, an unknown or repeated keyword, a missing one. `function` is for messages.
  Result<std::vector<std::optional<Value>>> Bind(std::string_view function,
                                                 std::initializer_list<std::string_view> parameters,
                                                 size_t required = 0) const;
  /// All keywords as a dict (what Python calls **kwargs), and all positional arguments as a list.
  Value KeywordDict() const;
  Value PositionalList() const;
};

}  // namespace quern::jinja
