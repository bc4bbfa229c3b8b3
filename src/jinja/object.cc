#include <nlohmann/json.hpp>

#include "jinja/environment.h"
#include "jinja/thrown.h"
#include "jinja/value.h"

namespace quern::jinja {

Result<std::optional<Value>> Object::Attribute(std::string_view, State&) {
  return std::nullopt;
}
Result<std::optional<Value>> Object::Item(const Value&, State&) {
  return std::nullopt;
}
Result<void> Object::SetAttribute(std::string_view name, Value) {
  return Fail(ErrorCode::kTemplateType, fmt::format("cannot set attribute '{}' of '{}' object", name, TypeName()));
}
Result<std::optional<Value>> Object::CallMethod(std::string_view, CallArgs&) {
  return std::nullopt;
}
Result<Value> Object::Call(CallArgs&) {
  return Fail(ErrorCode::kTemplateType, fmt::format("'{}' object is not callable", TypeName()));
}
Result<std::optional<std::vector<Value>>> Object::Iterate() const {
  return std::nullopt;
}
Result<std::optional<bool>> Object::Contains(const Value&) const {
  return std::nullopt;
}
bool Object::Truthy() const {
  auto length = Length();
  return !length || *length > 0;
}
bool Object::Equals(const Value& other) const {
  return other.is_object() && &other.AsObject() == this;
}
std::optional<int> Object::Compare(const Value&) const {
  return std::nullopt;
}
Result<std::optional<Value>> Object::Binary(BinaryOp, const Value&, bool) const {
  return std::nullopt;
}
std::optional<nlohmann::json> Object::ToJson() const {
  return std::nullopt;
}
void Object::VisitReferences(const std::function<void(const Value&)>&) const {}

const Value* CallArgs::Keyword(std::string_view name) const {
  for (const auto& kwarg : kwargs) {
    if (kwarg.name == name) return &kwarg.value;
  }
  return nullptr;
}

Result<std::vector<std::optional<Value>>> CallArgs::Bind(std::string_view function,
                                                         std::initializer_list<std::string_view> parameters,
                                                         size_t required) const {
  if (args.size() > parameters.size()) {
    return Fail(ErrorCode::kTemplateType,
                fmt::format("{}() takes at most {} argument{}, {} were given", function, parameters.size(),
                            parameters.size() == 1 ? "" : "s", args.size()));
  }
  std::vector<std::optional<Value>> out(parameters.size());
  for (size_t i = 0; i < args.size(); ++i) out[i] = args[i];
  for (const auto& kwarg : kwargs) {
    size_t i = 0;
    for (auto parameter : parameters) {
      if (parameter == kwarg.name) break;
      ++i;
    }
    if (i == parameters.size()) {
      return Fail(ErrorCode::kTemplateType,
                  fmt::format("{}() got an unexpected keyword argument '{}'", function, kwarg.name));
    }
    if (out[i]) {
      return Fail(ErrorCode::kTemplateType,
                  fmt::format("{}() got multiple values for argument '{}'", function, kwarg.name));
    }
    out[i] = kwarg.value;
  }
  size_t i = 0;
  for (auto parameter : parameters) {
    if (i < required && !out[i]) {
      return Fail(ErrorCode::kTemplateType, fmt::format("{}() is missing the argument '{}'", function, parameter));
    }
    ++i;
  }
  return out;
}

Value CallArgs::KeywordDict() const {
  auto dict = MakeRef<Dict>();
  for (const auto& kwarg : kwargs) dict->Set(kwarg.name, kwarg.value);
  return Value(dict);
}
Value CallArgs::PositionalList() const {
  return Value::NewList({args.begin(), args.end()});
}

}  // namespace quern::jinja
