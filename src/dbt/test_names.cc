#include "dbt/test_names.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "dbt/context/values.h"

namespace quern::dbt {

using jinja::Value;

namespace {

std::string Clean(const std::string& text) {
  std::string out;
  bool gap = false;
  for (unsigned char c : text) {
    // Python's pattern works on characters: a run of others, whatever its bytes, is one underscore
    if (c < 128 && (std::isalnum(c) || c == '_')) {
      out += static_cast<char>(c);
      gap = false;
    } else if (!gap) {
      out += '_';
      gap = true;
    }
  }
  return out;
}

std::vector<std::pair<std::string, Value>> Sorted(const Value& dict) {
  std::vector<std::pair<std::string, Value>> out;
  for (const auto& entry : dict.AsDict().entries()) out.emplace_back(entry.key.ToString(), entry.value);
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return out;
}

Value Hashable(const Value& value) {
  if (value.is_dict()) {
    Value out = Value::NewDict();
    for (auto& [key, item] : Sorted(value)) Put(out, key, Hashable(item));
    return out;
  }
  if (value.is_list()) {
    std::vector<Value> out;
    for (const Value& item : value.AsList().items) out.push_back(Hashable(item));
    return Value::NewList(std::move(out));
  }
  return Value(value.ToString());
}

}  // namespace

TestNames SynthesizeTestNames(const std::string& type, const std::string& target, const Value& args) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : Sorted(args)) {
    if (name == "model") continue;
    if (value.is_dict()) {
      for (const auto& entry : value.AsDict().entries()) parts.push_back(Clean(entry.value.ToString()));
    } else if (value.is_sequence()) {
      for (const Value& item : value.AsList().items) parts.push_back(Clean(item.ToString()));
    } else {
      parts.push_back(Clean(value.ToString()));
    }
  }
  std::string identifier = type + "_" + target;
  TestNames names;
  names.full = identifier + "_" + Join(parts, "__");
  names.brief = names.full;
  if (Utf8Length(names.full) >= 64) names.brief = identifier.substr(0, 30) + "_" + Md5Hex(names.full);
  return names;
}

std::string TestHash(const std::string& name, const std::string& test_name, const Value& test_namespace,
                     const Value& kwargs) {
  Value metadata = Value::NewDict({{"namespace", test_namespace}, {"name", Value(test_name)}, {"kwargs", kwargs}});
  std::string hash = Md5Hex(name + Hashable(metadata).Repr());
  return hash.substr(hash.size() - 10);
}

}  // namespace quern::dbt
