#include "delta/schema.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "delta/json_text.h"

namespace quern::delta {

namespace {

constexpr int kMaxDepth = 100;

struct Primitive {
  TypeId id;
  std::string_view name;
};
constexpr Primitive kPrimitives[] = {
    {TypeId::kString, "string"},   {TypeId::kLong, "long"},           {TypeId::kInteger, "integer"},
    {TypeId::kShort, "short"},     {TypeId::kByte, "byte"},           {TypeId::kFloat, "float"},
    {TypeId::kDouble, "double"},   {TypeId::kBoolean, "boolean"},     {TypeId::kBinary, "binary"},
    {TypeId::kDate, "date"},       {TypeId::kTimestamp, "timestamp"}, {TypeId::kTimestampNtz, "timestamp_ntz"},
    {TypeId::kVariant, "variant"}, {TypeId::kVoid, "void"},
};

Error Broken(std::string_view path, std::string_view why) {
  return Error(ErrorCode::kCorruptLog,
               fmt::format("a broken schema in the Delta log{}{}: {}", path.empty() ? "" : " at ", path, why));
}

Result<DataType> ParsePrimitive(const std::string& name, std::string_view path) {
  for (const Primitive& primitive : kPrimitives) {
    if (primitive.name == name) return DataType::Of(primitive.id);
  }
  if (name == "decimal") return DataType::Decimal(10, 0);
  if (name.starts_with("decimal(") && name.ends_with(")")) {
    const std::string inside = ReplaceAll(name.substr(8, name.size() - 9), " ", "");
    int precision = 0;
    int scale = 0;
    const char* end = inside.data() + inside.size();
    const auto first = std::from_chars(inside.data(), end, precision);
    if (first.ec == std::errc() && first.ptr != end && *first.ptr == ',') {
      const auto second = std::from_chars(first.ptr + 1, end, scale);
      if (second.ec == std::errc() && second.ptr == end && precision >= 1 && precision <= 38 && scale >= 0 &&
          scale <= precision) {
        return DataType::Decimal(precision, scale);
      }
    }
    return Fail(Broken(path, fmt::format("'{}' is no decimal type", name)));
  }
  DataType other = DataType::Of(TypeId::kOther);
  other.other = name;
  return other;
}

Result<DataType> ParseType(const Json& json, const std::string& path, int depth);

Result<StructType> ParseStruct(const Json& json, const std::string& path, int depth) {
  const auto fields = json.find("fields");
  if (fields == json.end() || !fields->is_array()) return Fail(Broken(path, "a struct without fields"));
  StructType type;
  for (const Json& each : *fields) {
    if (!each.is_object() || !each.contains("name") || !each["name"].is_string() || !each.contains("type")) {
      return Fail(Broken(path, "a field without name or type"));
    }
    StructField field;
    field.name = each["name"].get<std::string>();
    const std::string inner = path.empty() ? field.name : path + "." + field.name;
    field.type = QUERN_TRY(ParseType(each["type"], inner, depth + 1));
    if (const auto nullable = each.find("nullable"); nullable != each.end() && nullable->is_boolean())
      field.nullable = nullable->get<bool>();
    if (const auto metadata = each.find("metadata"); metadata != each.end() && metadata->is_object())
      field.metadata = *metadata;
    type.fields.push_back(std::move(field));
  }
  return type;
}

Result<DataType> ParseType(const Json& json, const std::string& path, int depth) {
  if (depth > kMaxDepth) return Fail(Broken(path, fmt::format("nested more than {} levels", kMaxDepth)));
  if (json.is_string()) return ParsePrimitive(json.get<std::string>(), path);
  if (!json.is_object() || !json.contains("type") || !json["type"].is_string())
    return Fail(Broken(path, "a type that is neither text nor object"));
  const std::string kind = json["type"].get<std::string>();
  const auto flag = [&](const char* key) {
    return !json.contains(key) || !json[key].is_boolean() || json[key].get<bool>();
  };
  if (kind == "struct") return DataType::Struct(QUERN_TRY(ParseStruct(json, path, depth)));
  if (kind == "array") {
    if (!json.contains("elementType")) return Fail(Broken(path, "an array without elementType"));
    return DataType::Array(QUERN_TRY(ParseType(json["elementType"], path + ".element", depth + 1)),
                           flag("containsNull"));
  }
  if (kind == "map") {
    if (!json.contains("keyType") || !json.contains("valueType"))
      return Fail(Broken(path, "a map without keyType or valueType"));
    DataType key = QUERN_TRY(ParseType(json["keyType"], path + ".key", depth + 1));
    return DataType::Map(std::move(key), QUERN_TRY(ParseType(json["valueType"], path + ".value", depth + 1)),
                         flag("valueContainsNull"));
  }
  return Fail(Broken(path, fmt::format("'{}' is no nested type", kind)));
}

std::string PrimitiveName(const DataType& type) {
  for (const Primitive& primitive : kPrimitives) {
    if (primitive.id == type.id) return std::string(primitive.name);
  }
  if (type.id == TypeId::kDecimal) return fmt::format("decimal({},{})", type.precision, type.scale);
  return type.other;
}

void PrintType(std::string& out, const DataType& type);

void PrintStruct(std::string& out, const StructType& type) {
  out += R"({"type":"struct","fields":[)";
  for (size_t i = 0; i < type.fields.size(); ++i) {
    const StructField& field = type.fields[i];
    if (i > 0) out += ',';
    ObjectWriter o(out);
    o.String("name", field.name);
    PrintType(o.Key("type"), field.type);
    o.Bool("nullable", field.nullable);
    o.Raw("metadata", field.metadata.dump(-1, ' ', false, Json::error_handler_t::replace));
    o.End();
  }
  out += "]}";
}

void PrintType(std::string& out, const DataType& type) {
  switch (type.id) {
    case TypeId::kStruct:
      PrintStruct(out, *type.fields);
      return;
    case TypeId::kArray: {
      ObjectWriter o(out);
      o.String("type", "array");
      PrintType(o.Key("elementType"), *type.element);
      o.Bool("containsNull", type.contains_null);
      o.End();
      return;
    }
    case TypeId::kMap: {
      ObjectWriter o(out);
      o.String("type", "map");
      PrintType(o.Key("keyType"), *type.key);
      PrintType(o.Key("valueType"), *type.element);
      o.Bool("valueContainsNull", type.contains_null);
      o.End();
      return;
    }
    default:
      AppendJsonString(out, PrimitiveName(type));
  }
}

template <class T>
bool SameTarget(const std::shared_ptr<const T>& a, const std::shared_ptr<const T>& b) {
  return a == b || (a && b && *a == *b);
}

}  // namespace

DataType DataType::Of(TypeId primitive) {
  DataType type;
  type.id = primitive;
  return type;
}
DataType DataType::Decimal(int precision, int scale) {
  DataType type = Of(TypeId::kDecimal);
  type.precision = precision;
  type.scale = scale;
  return type;
}
DataType DataType::Struct(StructType fields) {
  DataType type = Of(TypeId::kStruct);
  type.fields = std::make_shared<const StructType>(std::move(fields));
  return type;
}
DataType DataType::Array(DataType element, bool contains_null) {
  DataType type = Of(TypeId::kArray);
  type.element = std::make_shared<const DataType>(std::move(element));
  type.contains_null = contains_null;
  return type;
}
DataType DataType::Map(DataType key, DataType value, bool value_contains_null) {
  DataType type = Of(TypeId::kMap);
  type.key = std::make_shared<const DataType>(std::move(key));
  type.element = std::make_shared<const DataType>(std::move(value));
  type.contains_null = value_contains_null;
  return type;
}

bool operator==(const DataType& a, const DataType& b) {
  return a.id == b.id && a.precision == b.precision && a.scale == b.scale && a.other == b.other &&
         a.contains_null == b.contains_null && SameTarget(a.fields, b.fields) && SameTarget(a.key, b.key) &&
         SameTarget(a.element, b.element);
}

std::string DataType::ToString() const {
  if (id == TypeId::kArray) return fmt::format("array<{}>", element->ToString());
  if (id == TypeId::kMap) return fmt::format("map<{},{}>", key->ToString(), element->ToString());
  if (id != TypeId::kStruct) return PrimitiveName(*this);
  std::string out = "struct<";
  for (const StructField& field : fields->fields) {
    if (out.size() > 7) out += ',';
    out += field.name + ":" + field.type.ToString();
  }
  return out + ">";
}

const std::string& StructField::physical_name() const {
  const auto it = metadata.find("delta.columnMapping.physicalName");
  return it != metadata.end() && it->is_string() ? it->get_ref<const std::string&>() : name;
}

std::optional<int64_t> StructField::column_id() const {
  const auto it = metadata.find("delta.columnMapping.id");
  if (it == metadata.end() || !it->is_number_integer()) return std::nullopt;
  return it->get<int64_t>();
}

const StructField* StructType::Find(std::string_view name) const {
  for (const StructField& field : fields) {
    if (field.name == name) return &field;
  }
  for (const StructField& field : fields) {
    if (EqualsIgnoreCase(field.name, name)) return &field;
  }
  return nullptr;
}

const StructField* StructType::FindPath(const std::vector<std::string>& path) const {
  const StructType* here = this;
  const StructField* field = nullptr;
  for (const std::string& name : path) {
    if (!here) return nullptr;
    field = here->Find(name);
    if (!field) return nullptr;
    here = field->type.fields.get();
  }
  return field;
}

Result<StructType> ParseSchema(std::string_view json) {
  Json parsed = Json::parse(json, nullptr, false);
  if (parsed.is_discarded() || !parsed.is_object()) return Fail(Broken("", "it is no JSON object"));
  return ParseStruct(parsed, "", 0);
}

std::string PrintSchema(const StructType& schema) {
  std::string out;
  PrintStruct(out, schema);
  return out;
}

Result<DataType> ParseDataType(const Json& json, std::string_view path) {
  return ParseType(json, std::string(path), 0);
}

Json DataTypeToJson(const DataType& type) {
  std::string out;
  PrintType(out, type);
  return Json::parse(out, nullptr, false);
}

bool UsesType(const StructType& schema, TypeId id) {
  struct Uses {
    TypeId id;
    bool In(const DataType& type) const {
      if (type.id == id || (type.key && In(*type.key)) || (type.element && In(*type.element))) return true;
      if (type.fields) {
        for (const StructField& field : type.fields->fields) {
          if (In(field.type)) return true;
        }
      }
      return false;
    }
  };
  const Uses uses{id};
  for (const StructField& field : schema.fields) {
    if (uses.In(field.type)) return true;
  }
  return false;
}

}  // namespace quern::delta
