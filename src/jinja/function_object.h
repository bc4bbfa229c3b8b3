#pragma once
#include "jinja/value.h"

namespace quern::jinja {

/// A native function as a value.
class FunctionObject : public Object {
 public:
  FunctionObject(std::string name, NativeFunction function) : name_(std::move(name)), function_(std::move(function)) {}
  std::string TypeName() const override { return "function"; }
  bool callable() const override { return true; }
  Result<Value> Call(CallArgs& args) override { return function_(args); }
  std::string Repr() const override { return "<function " + name_ + ">"; }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  NativeFunction function_;
};

}  // namespace quern::jinja
