#pragma once
#include "jinja/value.h"

namespace quern::jinja {

enum class DictPart { kKeys, kValues, kItems };
/// What dict.keys(), values() and items() give: a live view.
Value MakeDictView(const Value& dict, DictPart part);

}  // namespace quern::jinja
