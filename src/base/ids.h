#pragma once
#include <string>

namespace quern {

/// A random UUID (RFC 9562, version 4) in lower case with hyphens. Thread-safe.
std::string RandomUuid();
/// A UUID of version 7: sorts by time of making. Thread-safe.
std::string TimeUuid();

}  // namespace quern
