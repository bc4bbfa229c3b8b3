#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jinja/value.h"

namespace quern::dbt {

/// A relation's name, kind and how it is written; dbt's BaseRelation.
struct RelationData {
  std::optional<std::string> database, schema, identifier;
  std::string type;  ///< table, view, cte, external, ...; "" when unknown
  bool quote_database = true, quote_schema = true, quote_identifier = true;
  bool include_database = true, include_schema = true, include_identifier = true;
  std::optional<std::string> suffix;  ///< put behind the name: "AT (VERSION => 3)"
  std::optional<int64_t> limit;

  std::string Render() const;
  RelationData WithoutIdentifier() const;
};

/// What templates see as a relation: `this`, ref(), source(), api.Relation.create().
class RelationObject : public jinja::Object {
 public:
  explicit RelationObject(RelationData data) : data(std::move(data)) {}
  const RelationData data;

  std::string TypeName() const override { return "Relation"; }
  std::string ToString() const override { return data.Render(); }
  std::string Repr() const override { return "<Relation " + data.Render() + ">"; }
  Result<std::optional<jinja::Value>> Attribute(std::string_view name, jinja::State& state) override;
  Result<std::optional<jinja::Value>> CallMethod(std::string_view name, jinja::CallArgs& args) override;
  bool Equals(const jinja::Value& other) const override;
  std::optional<size_t> Hash() const override;
  std::optional<nlohmann::json> ToJson() const override { return std::nullopt; }
};

jinja::Value MakeRelation(RelationData data);
/// The relation that a value is; null for others.
const RelationData* AsRelation(const jinja::Value& value);
/// Builds one from keywords as api.Relation.create takes them.
Result<RelationData> RelationFromArgs(jinja::CallArgs& args, bool default_quoting);

/// `api`: Relation and Column.
jinja::Value MakeApi();

/// A column of a relation; dbt's Column.
struct ColumnData {
  std::string name;
  std::string dtype;  ///< the engine's type text
  std::optional<int64_t> char_size;
};

class ColumnObject : public jinja::Object {
 public:
  explicit ColumnObject(ColumnData data) : data(std::move(data)) {}
  const ColumnData data;
  std::string TypeName() const override { return "Column"; }
  std::string Repr() const override { return "<Column " + data.name + " (" + data.dtype + ")>"; }
  Result<std::optional<jinja::Value>> Attribute(std::string_view name, jinja::State& state) override;
  Result<std::optional<jinja::Value>> CallMethod(std::string_view name, jinja::CallArgs& args) override;
  bool Equals(const jinja::Value& other) const override;
  std::optional<size_t> Hash() const override { return jinja::HashOf(std::string_view(data.name + ":" + data.dtype)); }
};

jinja::Value MakeColumn(ColumnData data);
const ColumnData* AsColumn(const jinja::Value& value);

}  // namespace quern::dbt
