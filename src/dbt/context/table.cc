#include "dbt/context/table.h"

#include <charconv>
#include <cstdio>

#include "base/text.h"
#include "dbt/context/datetime.h"
#include "dbt/context/values.h"
#include "jinja/environment.h"

namespace quern::dbt {

using jinja::CallArgs;
using jinja::State;
using jinja::Value;

namespace {

/// A row or a column: a sequence whose elements also have names.
class NamedValues : public jinja::Object {
 public:
  NamedValues(std::string kind, std::shared_ptr<const std::vector<std::string>> keys, std::vector<Value> values,
              std::string name = {})
      : kind_(std::move(kind)), keys_(std::move(keys)), values_(std::move(values)), name_(std::move(name)) {}
  std::string TypeName() const override { return kind_; }
  std::string Repr() const override {
    std::string out = "<agate." + kind_ + ": (";
    for (size_t i = 0; i < values_.size(); ++i) out += (i ? ", " : "") + values_[i].Repr();
    return out + ")>";
  }
  Result<std::optional<Value>> Item(const Value& key, State&) override {
    if (key.is_int()) {
      int64_t i = key.AsInt();
      if (i < 0) i += static_cast<int64_t>(values_.size());
      if (i < 0 || i >= static_cast<int64_t>(values_.size())) return std::nullopt;
      return values_[static_cast<size_t>(i)];
    }
    if (key.is_string()) return Named(key.AsString());
    return std::nullopt;
  }
  Result<std::optional<Value>> Attribute(std::string_view name, State&) override {
    if (kind_ == "Column" && name == "name") return Value(name_);
    return Named(name);
  }
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
    if (name == "values") return Value::NewList(values_);
    if (name == "values_distinct") {
      std::vector<Value> out;
      for (const Value& v : values_) {
        bool seen = false;
        for (const Value& o : out) seen = seen || o.Equals(v);
        if (!seen) out.push_back(v);
      }
      return Value::NewList(std::move(out));
    }
    if (name == "keys") {
      std::vector<Value> out;
      for (const std::string& key : *keys_) out.emplace_back(key);
      return Value::NewList(std::move(out));
    }
    if (name == "items") {
      std::vector<Value> out;
      for (size_t i = 0; i < values_.size() && i < keys_->size(); ++i)
        out.push_back(Value::NewTuple({Value((*keys_)[i]), values_[i]}));
      return Value::NewList(std::move(out));
    }
    if (name == "dict") {
      Value out = Value::NewDict();
      for (size_t i = 0; i < values_.size() && i < keys_->size(); ++i) Put(out, (*keys_)[i], values_[i]);
      return out;
    }
    if (name == "get") {
      auto bound = QUERN_TRY(args.Bind("get", {"key", "default"}, 1));
      if (auto value = Named(bound[0]->ToString())) return value;
      return bound[1] ? *bound[1] : Value();
    }
    return std::nullopt;
  }
  Result<std::optional<std::vector<Value>>> Iterate() const override { return values_; }
  std::optional<size_t> Length() const override { return values_.size(); }
  bool is_sequence() const override { return true; }
  std::optional<nlohmann::json> ToJson() const override {
    nlohmann::json out = nlohmann::json::array();
    for (const Value& v : values_) {
      auto json = v.ToJson();
      out.push_back(json ? *json : nlohmann::json(v.ToString()));
    }
    return out;
  }

 private:
  std::optional<Value> Named(std::string_view name) const {
    if (!keys_) return std::nullopt;
    for (size_t i = 0; i < keys_->size() && i < values_.size(); ++i) {
      if ((*keys_)[i] == name) return values_[i];
    }
    return std::nullopt;
  }
  std::string kind_;
  std::shared_ptr<const std::vector<std::string>> keys_;
  std::vector<Value> values_;
  std::string name_;
};

class TableObject : public jinja::Object {
 public:
  TableObject(std::vector<std::string> names, std::vector<std::vector<Value>> rows) {
    keys_ = std::make_shared<const std::vector<std::string>>(names);
    auto none = std::make_shared<const std::vector<std::string>>();
    for (size_t c = 0; c < names.size(); ++c) {
      std::vector<Value> values;
      values.reserve(rows.size());
      for (const auto& row : rows) values.push_back(row[c]);
      columns_.emplace_back(jinja::MakeRef<NamedValues>("Column", none, std::move(values), names[c]));
    }
    data.names = std::move(names);
    for (auto& row : rows) data.rows.emplace_back(jinja::MakeRef<NamedValues>("Row", keys_, std::move(row)));
  }
  TableData data;

  std::string TypeName() const override { return "Table"; }
  std::string Repr() const override { return "<agate.Table>"; }
  Result<std::optional<Value>> Attribute(std::string_view name, State&) override {
    if (name == "rows")
      return Value(
          jinja::MakeRef<NamedValues>("MappedSequence", std::make_shared<const std::vector<std::string>>(), data.rows));
    if (name == "columns") return Value(jinja::MakeRef<NamedValues>("MappedSequence", keys_, columns_));
    if (name == "column_names") {
      std::vector<Value> names;
      for (const std::string& n : data.names) names.emplace_back(n);
      return Value::NewTuple(std::move(names));
    }
    return std::nullopt;
  }
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
    if (name == "print_table" || name == "print_csv" || name == "print_json") {
      std::fputs(Text().c_str(), stdout);
      return Value();
    }
    if (name == "select" || name == "rename" || name == "where" || name == "order_by" || name == "group_by" ||
        name == "exclude") {
      if (name == "select" || name == "exclude") {
        auto bound = QUERN_TRY(args.Bind(name, {"key"}, 1));
        std::vector<Value> wanted =
            bound[0]->is_string() ? std::vector<Value>{*bound[0]} : QUERN_TRY(bound[0]->Iterate());
        std::vector<std::string> names;
        std::vector<size_t> index;
        for (size_t i = 0; i < data.names.size(); ++i) {
          bool in = false;
          for (const Value& w : wanted) in = in || w.ToString() == data.names[i];
          if (in == (name == "select")) {
            names.push_back(data.names[i]);
            index.push_back(i);
          }
        }
        std::vector<std::vector<Value>> rows;
        for (const Value& row : data.rows) {
          std::vector<Value> all = QUERN_TRY(row.Iterate());
          std::vector<Value> some;
          for (size_t i : index) some.push_back(all[i]);
          rows.push_back(std::move(some));
        }
        return MakeTable(std::move(names), std::move(rows));
      }
      return Fail(Error(ErrorCode::kTemplateType, "a result's '" + std::string(name) + "' is not built")
                      .Hint("do it in the query"));
    }
    return std::nullopt;
  }
  Result<std::optional<std::vector<Value>>> Iterate() const override { return data.rows; }
  std::optional<size_t> Length() const override { return data.rows.size(); }
  bool Truthy() const override { return !data.rows.empty(); }

 private:
  std::string Text() const {
    std::string out = "| ";
    for (const std::string& name : data.names) out += name + " | ";
    out += "\n";
    for (const Value& row : data.rows) {
      out += "| ";
      auto values = row.Iterate();
      if (values) {
        for (const Value& v : *values) out += (v.is_none() ? std::string() : v.ToString()) + " | ";
      }
      out += "\n";
    }
    return out;
  }
  std::shared_ptr<const std::vector<std::string>> keys_;
  std::vector<Value> columns_;
};

}  // namespace

Value FromEngine(const engine::Value& value, const std::string& type) {
  if (engine::IsNull(value)) return Value();
  if (const bool* b = std::get_if<bool>(&value)) return Value(*b);
  if (const int64_t* i = std::get_if<int64_t>(&value)) return Value(*i);
  if (const double* d = std::get_if<double>(&value)) return Value(*d);
  const std::string& text = std::get<std::string>(value);
  if (type.rfind("DECIMAL", 0) == 0 || type == "HUGEINT" || type == "UHUGEINT" || type == "UBIGINT" ||
      type == "BIGNUM") {
    int64_t whole = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    if (error == std::errc() && end == text.data() + text.size()) return Value(whole);
    if (text.find('.') != std::string::npos) return Value(std::strtod(text.c_str(), nullptr));
    return Value(text);
  }
  if (type == "DATE" || type.rfind("TIMESTAMP", 0) == 0) {
    if (std::optional<Value> time = ParseDateValue(text, type)) return *time;
  }
  return Value(text);
}

Value MakeTable(std::vector<std::string> names, std::vector<std::vector<Value>> rows) {
  return Value(jinja::MakeRef<TableObject>(std::move(names), std::move(rows)));
}

Value MakeTable(const engine::QueryResult& result) {
  std::vector<std::string> names;
  for (const auto& column : result.columns) names.push_back(column.name);
  std::vector<std::vector<Value>> rows;
  rows.reserve(result.rows.size());
  for (const auto& row : result.rows) {
    std::vector<Value> out;
    out.reserve(row.size());
    for (size_t i = 0; i < row.size(); ++i) out.push_back(FromEngine(row[i], result.columns[i].type));
    rows.push_back(std::move(out));
  }
  return MakeTable(std::move(names), std::move(rows));
}

const TableData* AsTable(const Value& value) {
  auto* object = value.As<TableObject>();
  return object ? &object->data : nullptr;
}

}  // namespace quern::dbt
