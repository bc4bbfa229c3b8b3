#include "dbt/context/relation.h"

#include "base/text.h"
#include "dbt/context/values.h"
#include "jinja/environment.h"

namespace quern::dbt {

using jinja::CallArgs;
using jinja::State;
using jinja::Value;

namespace {

std::string Quoted(const std::string& part, bool quote) {
  return quote ? "\"" + part + "\"" : part;
}

Value Optional(const std::optional<std::string>& text) {
  return text ? Value(*text) : Value();
}

std::optional<std::string> TextOf(const Value& value) {
  if (value.is_none() || value.is_undefined()) return std::nullopt;
  return value.ToString();
}

void ApplyPolicy(const Value& policy, bool& database, bool& schema, bool& identifier) {
  if (!policy.is_dict()) return;
  if (auto v = policy.Get("database")) database = v->Truthy();
  if (auto v = policy.Get("schema")) schema = v->Truthy();
  if (auto v = policy.Get("identifier")) identifier = v->Truthy();
}

Value Policy(bool database, bool schema, bool identifier) {
  return Value::NewDict({{"database", database}, {"schema", schema}, {"identifier", identifier}});
}

const char* const kTypes[] = {"table",    "view",      "cte",           "materialized_view",
                              "external", "ephemeral", "pointer_table", "function"};

bool IsNumericType(const std::string& dtype) {
  std::string lower = Lower(dtype);
  return lower.rfind("decimal", 0) == 0 || lower.rfind("numeric", 0) == 0;
}
bool IsIntegerType(const std::string& dtype) {
  static const char* const kNames[] = {"smallint",  "integer",   "bigint",   "int",     "tinyint",     "hugeint",
                                       "utinyint",  "usmallint", "uinteger", "ubigint", "uhugeint",    "int1",
                                       "int2",      "int4",      "int8",     "int16",   "int32",       "int64",
                                       "int128",    "long",      "short",    "signed",  "smallserial", "serial",
                                       "bigserial", "serial2",   "serial4",  "serial8"};
  std::string lower = Lower(dtype);
  for (const char* name : kNames) {
    if (lower == name) return true;
  }
  return false;
}
bool IsFloatType(const std::string& dtype) {
  std::string lower = Lower(dtype);
  return lower == "real" || lower == "float4" || lower == "float" || lower == "double precision" || lower == "float8" ||
         lower == "double";
}
bool IsStringType(const std::string& dtype) {
  std::string lower = Lower(dtype);
  return lower == "text" || lower == "character varying" || lower == "character" || lower == "varchar" ||
         lower == "string" || lower == "bpchar" || lower.rfind("varchar(", 0) == 0 ||
         lower.rfind("character varying(", 0) == 0;
}

std::string TranslateType(const std::string& dtype) {
  std::string upper = Upper(dtype);
  if (upper == "STRING") return "TEXT";
  if (upper == "INTEGER") return "INT";
  return dtype;
}

}  // namespace

std::string RelationData::Render() const {
  std::string out;
  auto add = [&](const std::optional<std::string>& part, bool include, bool quote) {
    if (!include || !part || part->empty()) return;
    if (!out.empty()) out += ".";
    out += Quoted(*part, quote);
  };
  add(database, include_database, quote_database);
  add(schema, include_schema, quote_schema);
  add(identifier, include_identifier, quote_identifier);
  if (suffix) out += " " + *suffix;
  if (limit) {
    return *limit == 0 ? "(select * from " + out + " where false limit 0)"
                       : "(select * from " + out + " limit " + std::to_string(*limit) + ")";
  }
  return out;
}

RelationData RelationData::WithoutIdentifier() const {
  RelationData copy = *this;
  copy.include_identifier = false;
  return copy;
}

Value MakeRelation(RelationData data) {
  return Value(jinja::MakeRef<RelationObject>(std::move(data)));
}

const RelationData* AsRelation(const Value& value) {
  auto* object = value.As<RelationObject>();
  return object ? &object->data : nullptr;
}

Result<RelationData> RelationFromArgs(CallArgs& args, bool default_quoting) {
  RelationData data;
  data.quote_database = data.quote_schema = data.quote_identifier = default_quoting;
  static const std::string_view kPositional[] = {"database", "schema", "identifier", "type"};
  auto set = [&](std::string_view name, const Value& value) {
    if (name == "database") data.database = TextOf(value);
    if (name == "schema") data.schema = TextOf(value);
    if (name == "identifier") data.identifier = TextOf(value);
    if (name == "type") data.type = TextOf(value).value_or("");
    if (name == "quote_policy") ApplyPolicy(value, data.quote_database, data.quote_schema, data.quote_identifier);
    if (name == "include_policy")
      ApplyPolicy(value, data.include_database, data.include_schema, data.include_identifier);
    if (name == "limit" && value.is_int()) data.limit = value.AsInt();
    if (name == "path" && value.is_dict()) {
      if (auto v = value.Get("database")) data.database = TextOf(*v);
      if (auto v = value.Get("schema")) data.schema = TextOf(*v);
      if (auto v = value.Get("identifier")) data.identifier = TextOf(*v);
    }
  };
  for (size_t i = 0; i < args.args.size(); ++i) {
    if (i >= 4) return Fail(Error(ErrorCode::kTemplateType, "Relation.create takes at most 4 positional arguments"));
    set(kPositional[i], args.args[i]);
  }
  for (const auto& kwarg : args.kwargs) set(kwarg.name, kwarg.value);
  return data;
}

Result<std::optional<Value>> RelationObject::Attribute(std::string_view name, State&) {
  if (name == "database") return Value(Optional(data.database));
  if (name == "schema") return Value(Optional(data.schema));
  if (name == "identifier" || name == "name" || name == "table") return Value(Optional(data.identifier));
  if (name == "type") return data.type.empty() ? Value() : Value(data.type);
  if (name == "is_table") return Value(data.type == "table");
  if (name == "is_view") return Value(data.type == "view");
  if (name == "is_cte") return Value(data.type == "cte");
  if (name == "is_materialized_view") return Value(data.type == "materialized_view");
  if (name == "is_pointer") return Value(data.type == "pointer_table");
  if (name == "is_function") return Value(data.type == "function");
  if (name == "can_be_renamed") return Value(data.type == "table" || data.type == "view");
  if (name == "can_be_replaced") return Value(data.type == "view");
  if (name == "Table") return Value("table");
  if (name == "View") return Value("view");
  if (name == "CTE") return Value("cte");
  if (name == "MaterializedView") return Value("materialized_view");
  if (name == "External") return Value("external");
  if (name == "limit") return data.limit ? Value(*data.limit) : Value();
  if (name == "quote_character") return Value("\"");
  if (name == "path") {
    return Value::NewDict({{"database", Optional(data.database)},
                           {"schema", Optional(data.schema)},
                           {"identifier", Optional(data.identifier)}});
  }
  if (name == "quote_policy") return Policy(data.quote_database, data.quote_schema, data.quote_identifier);
  if (name == "include_policy") return Policy(data.include_database, data.include_schema, data.include_identifier);
  if (name == "external") return Value();
  return std::nullopt;
}

Result<std::optional<Value>> RelationObject::CallMethod(std::string_view name, CallArgs& args) {
  if (name == "render") return Value(data.Render());
  if (name == "without_identifier") return MakeRelation(data.WithoutIdentifier());
  if (name == "quote" || name == "include") {
    auto bound = QUERN_TRY(args.Bind(name, {"database", "schema", "identifier"}));
    RelationData copy = data;
    auto put = [&](size_t i, bool& quote, bool& include) {
      if (bound[i] && !bound[i]->is_none()) (name == "quote" ? quote : include) = bound[i]->Truthy();
    };
    put(0, copy.quote_database, copy.include_database);
    put(1, copy.quote_schema, copy.include_schema);
    put(2, copy.quote_identifier, copy.include_identifier);
    return MakeRelation(std::move(copy));
  }
  if (name == "incorporate") {
    RelationData copy = data;
    for (const auto& kwarg : args.kwargs) {
      const Value& value = kwarg.value;
      if (kwarg.name == "path" && value.is_dict()) {
        if (auto v = value.Get("database")) copy.database = TextOf(*v);
        if (auto v = value.Get("schema")) copy.schema = TextOf(*v);
        if (auto v = value.Get("identifier")) copy.identifier = TextOf(*v);
      } else if (kwarg.name == "type") {
        copy.type = TextOf(value).value_or("");
      } else if (kwarg.name == "quote_policy") {
        ApplyPolicy(value, copy.quote_database, copy.quote_schema, copy.quote_identifier);
      } else if (kwarg.name == "include_policy") {
        ApplyPolicy(value, copy.include_database, copy.include_schema, copy.include_identifier);
      } else if (kwarg.name == "limit") {
        copy.limit = value.is_int() ? std::optional<int64_t>(value.AsInt()) : std::nullopt;
      }
    }
    return MakeRelation(std::move(copy));
  }
  if (name == "replace_path") {
    RelationData copy = data;
    for (const auto& kwarg : args.kwargs) {
      if (kwarg.name == "database") copy.database = TextOf(kwarg.value);
      if (kwarg.name == "schema") copy.schema = TextOf(kwarg.value);
      if (kwarg.name == "identifier") copy.identifier = TextOf(kwarg.value);
    }
    return MakeRelation(std::move(copy));
  }
  if (name == "matches") {
    auto bound = QUERN_TRY(args.Bind(name, {"database", "schema", "identifier"}));
    auto same = [](const std::optional<Value>& wanted, const std::optional<std::string>& have) {
      if (!wanted || wanted->is_none()) return true;
      return have && EqualsIgnoreCase(wanted->ToString(), *have);
    };
    return Value(same(bound[0], data.database) && same(bound[1], data.schema) && same(bound[2], data.identifier));
  }
  if (name == "information_schema") {
    auto bound = QUERN_TRY(args.Bind(name, {"view_name"}));
    RelationData copy;
    copy.database = data.database;
    copy.schema = "information_schema";
    copy.quote_schema = copy.quote_identifier = false;
    if (bound[0] && !bound[0]->is_none()) copy.identifier = bound[0]->ToString();
    return MakeRelation(std::move(copy));
  }
  if (name == "get") {
    auto bound = QUERN_TRY(args.Bind(name, {"key", "default"}, 1));
    auto value = QUERN_TRY(Attribute(bound[0]->ToString(), args.state));
    if (value && !value->is_none()) return value;
    return bound[1] ? *bound[1] : Value();
  }
  if (name == "to_dict") {
    return Value::NewDict({{"path", Value::NewDict({{"database", Optional(data.database)},
                                                    {"schema", Optional(data.schema)},
                                                    {"identifier", Optional(data.identifier)}})},
                           {"type", data.type.empty() ? Value() : Value(data.type)}});
  }
  if (name == "create") return MakeRelation(QUERN_TRY(RelationFromArgs(args, true)));
  if (name == "quoted") {
    auto bound = QUERN_TRY(args.Bind(name, {"identifier"}, 1));
    return Value(Quoted(bound[0]->ToString(), true));
  }
  return std::nullopt;
}

bool RelationObject::Equals(const Value& other) const {
  const RelationData* b = AsRelation(other);
  return b && data.Render() == b->Render();
}

std::optional<size_t> RelationObject::Hash() const {
  return jinja::HashOf(std::string_view(data.Render()));
}

// --- columns
// ----------------------------------------------------------------------------------------------------------

Value MakeColumn(ColumnData data) {
  return Value(jinja::MakeRef<ColumnObject>(std::move(data)));
}

const ColumnData* AsColumn(const Value& value) {
  auto* object = value.As<ColumnObject>();
  return object ? &object->data : nullptr;
}

Result<std::optional<Value>> ColumnObject::Attribute(std::string_view name, State&) {
  if (name == "name" || name == "column") return Value(data.name);
  if (name == "quoted") return Value("\"" + data.name + "\"");
  if (name == "dtype" || name == "data_type" || name == "expanded_data_type") return Value(data.dtype);
  if (name == "char_size") return data.char_size ? Value(*data.char_size) : Value();
  if (name == "numeric_precision" || name == "numeric_scale") {
    size_t open = data.dtype.find('(');
    if (!IsNumericType(data.dtype) || open == std::string::npos) return Value();
    std::vector<std::string> parts =
        Split(std::string_view(data.dtype).substr(open + 1, data.dtype.size() - open - 2), ',');
    size_t index = name == "numeric_precision" ? 0 : 1;
    if (index >= parts.size()) return Value(0);
    return Value(static_cast<int64_t>(std::atoll(parts[index].c_str())));
  }
  if (name == "fields") return Value::NewList();
  return std::nullopt;
}

Result<std::optional<Value>> ColumnObject::CallMethod(std::string_view name, CallArgs& args) {
  if (name == "is_string") return Value(IsStringType(data.dtype));
  if (name == "is_integer") return Value(IsIntegerType(data.dtype));
  if (name == "is_float") return Value(IsFloatType(data.dtype));
  if (name == "is_numeric") return Value(IsNumericType(data.dtype));
  if (name == "is_number")
    return Value(IsNumericType(data.dtype) || IsIntegerType(data.dtype) || IsFloatType(data.dtype));
  if (name == "is_struct") return Value(Lower(data.dtype).rfind("struct", 0) == 0);
  if (name == "string_size") {
    if (!IsStringType(data.dtype)) {
      return Fail(Error(ErrorCode::kTemplateRaised, "string_size() of column '" + data.name + "', which is no text"));
    }
    return Value(data.char_size.value_or(256));
  }
  if (name == "can_expand_to") {
    auto bound = QUERN_TRY(args.Bind(name, {"other_column"}, 1));
    const ColumnData* other = AsColumn(*bound[0]);
    return Value(other && IsStringType(data.dtype) && IsStringType(other->dtype) && other->char_size &&
                 data.char_size && *other->char_size > *data.char_size);
  }
  if (name == "literal") {
    auto bound = QUERN_TRY(args.Bind(name, {"value"}, 1));
    return Value(bound[0]->ToString() + "::" + data.dtype);
  }
  if (name == "flatten") return Value::NewList({Value(jinja::Ref<ColumnObject>(this))});
  if (name == "string_type") {
    auto bound = QUERN_TRY(args.Bind(name, {"size"}));
    return Value(bound[0] ? "character varying(" + bound[0]->ToString() + ")" : std::string("character varying"));
  }
  return std::nullopt;
}

bool ColumnObject::Equals(const Value& other) const {
  const ColumnData* b = AsColumn(other);
  return b && b->name == data.name && b->dtype == data.dtype;
}

// --- api
// --------------------------------------------------------------------------------------------------------------

namespace {

class ApiRelation : public jinja::Object {
 public:
  std::string TypeName() const override { return "type"; }
  std::string Repr() const override { return "<class 'Relation'>"; }
  Result<std::optional<Value>> Attribute(std::string_view name, State&) override {
    if (name == "Table") return Value("table");
    if (name == "View") return Value("view");
    if (name == "CTE") return Value("cte");
    if (name == "MaterializedView") return Value("materialized_view");
    if (name == "External") return Value("external");
    if (name == "get_relation_type") {
      Value types = Value::NewDict();
      for (const char* type : kTypes) Put(types, type, Value(type));
      return types;
    }
    return std::nullopt;
  }
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
    if (name == "create") return MakeRelation(QUERN_TRY(RelationFromArgs(args, true)));
    if (name == "get_default_quote_policy" || name == "get_default_include_policy") return Policy(true, true, true);
    if (name == "get_relation_type") {
      auto bound = QUERN_TRY(args.Bind(name, {"type"}, 1));
      return *bound[0];
    }
    if (name == "scd_args") {
      // the arguments of the hash that names a snapshot's row: the key or keys, then the time of the change
      auto bound = QUERN_TRY(args.Bind(name, {"primary_key", "updated_at"}, 2));
      std::vector<Value> out;
      if (bound[0]->is_sequence()) {
        for (const Value& key : bound[0]->AsList().items) out.push_back(key);
      } else {
        out.push_back(*bound[0]);
      }
      out.push_back(*bound[1]);
      return Value::NewList(std::move(out));
    }
    return std::nullopt;
  }
};

class ApiColumn : public jinja::Object {
 public:
  std::string TypeName() const override { return "type"; }
  std::string Repr() const override { return "<class 'Column'>"; }
  bool callable() const override { return true; }
  Result<Value> Call(CallArgs& args) override {
    auto bound =
        QUERN_TRY(args.Bind("Column", {"column", "dtype", "char_size", "numeric_precision", "numeric_scale"}, 2));
    ColumnData data{bound[0]->ToString(), bound[1]->ToString(), {}};
    if (bound[2] && bound[2]->is_int()) data.char_size = bound[2]->AsInt();
    return MakeColumn(std::move(data));
  }
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
    if (name == "create" || name == "create_from_dict") {
      auto bound = QUERN_TRY(args.Bind(name, {"name", "label_or_dtype"}, 2));
      return MakeColumn({bound[0]->ToString(), TranslateType(bound[1]->ToString()), {}});
    }
    if (name == "translate_type") {
      auto bound = QUERN_TRY(args.Bind(name, {"dtype"}, 1));
      return Value(TranslateType(bound[0]->ToString()));
    }
    if (name == "string_type") {
      auto bound = QUERN_TRY(args.Bind(name, {"size"}));
      return Value(bound[0] ? "character varying(" + bound[0]->ToString() + ")" : std::string("character varying"));
    }
    if (name == "numeric_type") {
      auto bound = QUERN_TRY(args.Bind(name, {"dtype", "precision", "scale"}, 3));
      if (bound[1]->is_none() || bound[2]->is_none()) return *bound[0];
      return Value(bound[0]->ToString() + "(" + bound[1]->ToString() + "," + bound[2]->ToString() + ")");
    }
    return std::nullopt;
  }
};

}  // namespace

Value MakeApi() {
  return Value::NewDict(
      {{"Relation", Value(jinja::MakeRef<ApiRelation>())}, {"Column", Value(jinja::MakeRef<ApiColumn>())}});
}

}  // namespace quern::dbt
