#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/value.h"

namespace quern::dbt {

/// dict[key] = value, for text keys.
inline void Put(jinja::Value& dict, std::string_view key, jinja::Value value) {
  dict.AsDict().Set(key, std::move(value));
}

inline jinja::Value ListOf(const std::vector<std::string>& texts) {
  std::vector<jinja::Value> out;
  out.reserve(texts.size());
  for (const std::string& text : texts) out.emplace_back(text);
  return jinja::Value::NewList(std::move(out));
}

}  // namespace quern::dbt
