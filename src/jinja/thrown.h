#pragma once
#include <fmt/format.h>

#include "base/result.h"
#include "jinja/value.h"

namespace quern::jinja {

/// The one exception of this part; every public entry catches it.
struct Thrown {
  Error error;
};

[[noreturn]] inline void Throw(Error error) {
  throw Thrown{std::move(error)};
}
[[noreturn]] inline void Throw(ErrorCode code, std::string message) {
  throw Thrown{Error(code, std::move(message))};
}
template <class... Args>
[[noreturn]] void ThrowType(fmt::format_string<Args...> format, Args&&... args) {
  Throw(ErrorCode::kTemplateType, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
[[noreturn]] void ThrowLimit(fmt::format_string<Args...> format, Args&&... args) {
  Throw(ErrorCode::kTemplateLimit, fmt::format(format, std::forward<Args>(args)...));
}
template <class T>
T OrThrow(Result<T>&& result) {
  if (!result) throw Thrown{std::move(result).error()};
  return Unwrap(std::move(result));
}

/// Bounds a walk through values that may be deep, or share parts so often that the walk would not end.
struct Budget {
  int64_t steps = 10'000'000;
  int depth = 0;
  struct Level {
    explicit Level(Budget& b) : budget(b) {
      if (--b.steps < 0) ThrowLimit("a value is too large to walk through");
      if (++b.depth > 200) {
        --b.depth;
        ThrowLimit("a value is nested more than 200 deep");
      }
    }
    ~Level() { --budget.depth; }
    Budget& budget;
  };
};

// As the methods of Value, but throwing at limits.
bool EqualValues(const Value& a, const Value& b, Budget& budget);
void AppendRepr(std::string& out, const Value& value, Budget& budget);
void AppendText(std::string& out, const Value& value, Budget& budget);
std::string TextOf(const Value& value);
std::optional<size_t> HashValue(const Value& value, Budget& budget);
/// Sign of a - b; throws a type error when they have no order.
int CompareValues(const Value& a, const Value& b, const char* op, Budget& budget);

}  // namespace quern::jinja
