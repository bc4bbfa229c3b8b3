#include <fmt/format.h>

#include "engine/connection.h"

namespace quern::engine {

namespace {
struct Printer {
  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return fmt::format("{}", value); }
  std::string operator()(const std::string& value) const { return value; }
};
}  // namespace

std::string ToText(const Value& value) {
  return std::visit(Printer{}, value);
}

}  // namespace quern::engine
