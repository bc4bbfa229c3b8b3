#include "dbt/yaml_value.h"

#include "base/text.h"
#include "dbt/context/values.h"

namespace quern::dbt {

using jinja::Value;

Value FromYaml(const Yaml& yaml) {
  switch (yaml.kind()) {
    case Yaml::Kind::kNull:
      return Value();
    case Yaml::Kind::kBool:
      return Value(yaml.AsBool());
    case Yaml::Kind::kInt:
      return Value(yaml.AsInt());
    case Yaml::Kind::kFloat:
      return Value(yaml.AsFloat());
    case Yaml::Kind::kString:
      return Value(yaml.text());
    case Yaml::Kind::kSequence: {
      std::vector<Value> items;
      for (const Yaml& item : yaml.items()) items.push_back(FromYaml(item));
      return Value::NewList(std::move(items));
    }
    case Yaml::Kind::kMapping: {
      Value dict = Value::NewDict();
      for (const auto& [key, value] : yaml.entries()) dict.AsDict().Set(FromYaml(key), FromYaml(value));
      return dict;
    }
  }
  return Value();
}

Value FromOrderedJson(const nlohmann::ordered_json& json) {
  if (json.is_object()) {
    Value dict = Value::NewDict();
    for (const auto& [key, value] : json.items()) Put(dict, key, FromOrderedJson(value));
    return dict;
  }
  if (json.is_array()) {
    std::vector<Value> items;
    for (const auto& item : json) items.push_back(FromOrderedJson(item));
    return Value::NewList(std::move(items));
  }
  if (json.is_string()) return Value(json.get<std::string>());
  if (json.is_boolean()) return Value(json.get<bool>());
  if (json.is_number_float()) return Value(json.get<double>());
  if (json.is_number()) return Value(json.get<int64_t>());
  return Value();
}

namespace {

std::string Scalar(const nlohmann::json& json) {
  if (!json.is_string()) return json.is_null() ? "null" : json.dump();
  const std::string& text = json.get_ref<const std::string&>();
  Result<Yaml> plain = Yaml::Parse(text, "");
  bool safe = !text.empty() && plain && plain->is_string() && plain->text() == text &&
              text.find_first_of("\n:#{}[],&*!|>'\"%@`") == std::string::npos;
  if (safe) return text;
  if (text.find('\n') != std::string::npos) return nlohmann::json(text).dump();
  return QuoteLiteral(text);
}

void Dump(const nlohmann::json& json, int indent, std::string& out) {
  std::string pad(static_cast<size_t>(indent), ' ');
  if (json.is_object() && !json.empty()) {
    for (const auto& [key, value] : json.items()) {
      out += pad + Scalar(nlohmann::json(key)) + ":";
      if (value.is_structured() && !value.empty()) {
        out += "\n";
        Dump(value, value.is_array() ? indent : indent + 2, out);
      } else {
        out += " " + (value.is_structured() ? value.dump() : Scalar(value)) + "\n";
      }
    }
  } else if (json.is_array() && !json.empty()) {
    for (const auto& item : json) {
      if (item.is_structured() && !item.empty()) {
        std::string inner;
        Dump(item, indent + 2, inner);
        out += pad + "- " + inner.substr(static_cast<size_t>(indent) + 2);
      } else {
        out += pad + "- " + (item.is_structured() ? item.dump() : Scalar(item)) + "\n";
      }
    }
  } else {
    out += pad + (json.is_structured() ? json.dump() : Scalar(json)) + "\n";
  }
}

}  // namespace

Result<std::string> DumpYaml(const Value& value) {
  nlohmann::json json = QUERN_TRY(value.ToJson());
  std::string out;
  Dump(json, 0, out);
  return out;
}

}  // namespace quern::dbt
