#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "base/yaml.h"
#include "jinja/value.h"

namespace quern::dbt {

/// A YAML tree as a value of templates; mappings keep the order of the file.
jinja::Value FromYaml(const Yaml& yaml);
jinja::Value FromOrderedJson(const nlohmann::ordered_json& json);
/// Block-style YAML, keys sorted (as PyYAML's dump does). Fails for values with no such form.
Result<std::string> DumpYaml(const jinja::Value& value);

}  // namespace quern::dbt
