#pragma once
#include "jinja/ast.h"

namespace quern::jinja {

/// The value of an expression of literals only; nothing when it is another one.
std::optional<Value> LiteralOf(const Expr& expr);

}  // namespace quern::jinja
