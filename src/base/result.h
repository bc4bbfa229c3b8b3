#pragma once
// Result<T>: a value or an Error. A dropped Result is a compile error (-Werror=unused-result); a deliberate drop says
// why with Ignore(). The declaration before the include is what marks tl::expected as [[nodiscard]].
namespace tl {
template <class T, class E>
class [[nodiscard]] expected;  // NOLINT(readability-identifier-naming)
}
#include <tl/expected.hpp>
#include <utility>

#include "base/error.h"

namespace quern {

template <class T>
using Result = tl::expected<T, Error>;

/// What a function returns to fail: `return Fail(Error(...))`, or simply `return Error(...)` wrapped by QUERN_FAIL.
inline tl::unexpected<Error> Fail(Error error) {
  return tl::make_unexpected(std::move(error));
}
inline tl::unexpected<Error> Fail(ErrorCode code, std::string message) {
  return tl::make_unexpected(Error(code, std::move(message)));
}

template <class T>
T Unwrap(Result<T>&& r) {
  return *std::move(r);
}
inline void Unwrap(Result<void>&&) {}

/// Drops a result on purpose; the reason is for the reader.
template <class T>
void Ignore(const Result<T>&, const char* /*reason*/) {}

}  // namespace quern

/// Evaluates to the value of a Result, or returns its error from the enclosing function.
/// Not inside coroutines, not for references, not in the head of a range-for (the value would not live through the
/// loop), not within braces after another element: what stands before it would leak (GCC takes nothing apart that is
/// half made when a statement expression returns).
#define QUERN_TRY(expr)                                        \
  __extension__({                                              \
    auto try_r_ = (expr);                                      \
    if (!try_r_) [[unlikely]]                                  \
      return ::tl::make_unexpected(std::move(try_r_).error()); \
    ::quern::Unwrap(std::move(try_r_));                        \
  })

/// As QUERN_TRY, adding to the error, on its way up, what was being done ("loading table x").
#define QUERN_TRY_CONTEXT(expr, context)                                                   \
  __extension__({                                                                          \
    auto try_r_ = (expr);                                                                  \
    if (!try_r_) [[unlikely]]                                                              \
      return ::tl::make_unexpected(std::move(std::move(try_r_).error()).Context(context)); \
    ::quern::Unwrap(std::move(try_r_));                                                    \
  })

/// A broken invariant is a bug of ours, never reachable from input: says where and aborts. Always on.
#define QUERN_CHECK(condition) ((condition) ? (void)0 : ::quern::CheckFailed(#condition, __FILE__, __LINE__))

namespace quern {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}
