#pragma once
#include "base/clock.h"
#include "jinja/value.h"

namespace quern::dbt {

/// `modules`: datetime, pytz, re, itertools, in the parts that dbt projects use. Patterns are RE2's: the same syntax
/// as Python's but for look-around and back-references, which are refused by the engine's own message.
jinja::Value MakeModules(const Clock& clock);

}  // namespace quern::dbt
