#pragma once
#include <string>

#include "jinja/value.h"

namespace quern::dbt {

/// A generic test's names, synthesized from what it is given exactly as dbt does.
struct TestNames {
  std::string full;   ///< unique id and fqn: "accepted_values_orders_status__a__b"
  std::string brief;  ///< file and alias: `full`, or its first 30 characters and a hash
};
/// `type` is "unique", "source_unique", "dbt_utils_x"; `args` a dict without "model".
TestNames SynthesizeTestNames(const std::string& type, const std::string& target, const jinja::Value& args);

/// The ten hexadecimal digits at the end of a generic test's unique id. `kwargs` is a dict, model included.
std::string TestHash(const std::string& name, const std::string& test_name, const jinja::Value& test_namespace,
                     const jinja::Value& kwargs);

}  // namespace quern::dbt
