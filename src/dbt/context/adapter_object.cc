// `adapter`: what macros ask of the database. Names are dbt's, so that projects' and packages' macros work.
#include <algorithm>

#include "base/text.h"
#include "dbt/config.h"
#include "dbt/context/render_context.h"
#include "dbt/context/table.h"
#include "dbt/context/values.h"

namespace quern::dbt {

using jinja::CallArgs;
using jinja::State;
using jinja::Value;
using Mode = RenderContext::Mode;

namespace {

Result<const RelationData*> RelationArg(const Value& value, std::string_view function) {
  const RelationData* relation = AsRelation(value);
  if (!relation)
    return Fail(Error(ErrorCode::kTemplateType, std::string(function) + " wants a relation, not " + value.Repr()));
  return relation;
}

Result<Session*> Live(RenderContext& context, std::string_view function) {
  if (context.session) return context.session;
  return Fail(Error(ErrorCode::kDbtCompile,
                    "adapter." + std::string(function) + " needs the database, which this command does not open"));
}

Value Response(const engine::QueryResult& result) {
  Value response = Value::NewDict({{"_message", "OK"}});
  if (result.rows_changed >= 0) Put(response, "rows_affected", result.rows_changed);
  return response;
}

Result<engine::QueryResult> RunSql(RenderContext& context, const Value& sql, bool begin, int64_t limit) {
  Session* session = QUERN_TRY(Live(context, "execute"));
  // the text keeps its map: only where it is printed as it is can an error be placed
  Result<engine::QueryResult> result = session->Execute(sql.ToString(), begin, limit);
  if (!result) return Fail(PlaceSqlError(std::move(result).error(), sql));
  return result;
}

std::vector<std::string> SearchOrder(const Workspace& workspace, const Value* macro_namespace) {
  const std::string& root = workspace.root().name;
  if (!macro_namespace || macro_namespace->is_none() || macro_namespace->is_undefined()) return {""};
  std::string name = macro_namespace->ToString();
  for (const DispatchEntry& entry : workspace.root().dispatch) {
    if (entry.macro_namespace == name) return entry.search_order;
  }
  if (name == root) return {root};
  return {root, name};
}

std::string Constraint(const Json& constraint, const std::string& columns) {
  std::string type = constraint.value("type", "");
  std::string expression = constraint.contains("expression") && constraint["expression"].is_string()
                               ? constraint["expression"].get<std::string>()
                               : "";
  std::string name = constraint.contains("name") && constraint["name"].is_string()
                         ? "constraint " + constraint["name"].get<std::string>() + " "
                         : "";
  bool model = !columns.empty();
  std::string prefix = model ? name : "";
  auto spaced = [&](const char* word) {
    return expression.empty() ? std::string(word) : std::string(word) + " " + expression;
  };
  if (type == "not_null") return model ? "" : spaced("not null");
  if (type == "check") return expression.empty() ? "" : prefix + "check (" + expression + ")";
  if (type == "unique") return prefix + (model ? "unique (" + columns + ")" : spaced("unique"));
  if (type == "primary_key") return prefix + (model ? "primary key (" + columns + ")" : spaced("primary key"));
  if (type == "foreign_key")
    return expression.empty() ? ""
                              : prefix + (model ? "foreign key (" + columns + ") references " + expression
                                                : "references " + expression);
  if (type == "custom") return expression;
  return "";
}

Result<Json> JsonArg(const Value& value) {
  Result<Json> json = value.ToJson();
  if (!json) return Fail(std::move(json).error());
  return json;
}

class AdapterObject : public jinja::Object {
 public:
  explicit AdapterObject(const Workspace& workspace)
      : workspace_(workspace), prefixes_(AdapterPrefixes(workspace.target().type)) {}
  std::string TypeName() const override { return "adapter"; }

  Result<std::optional<Value>> Attribute(std::string_view name, State& state) override {
    if (name == "Relation") return state.Attribute(*workspace_.Global("api"), "Relation");
    if (name == "Column") return state.Attribute(*workspace_.Global("api"), "Column");
    if (name == "config") return Value::NewDict({{"credentials", *workspace_.Global("target")}});
    return std::nullopt;
  }

  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
    RenderContext& context = RenderContext::Of(args.state);
    if (auto simple = QUERN_TRY(Simple(name, args, context))) return simple;
    if (!context.execute()) return WhileParsing(name);
    return Live(name, args, context);
  }

 private:
  /// Methods that need no database; they work while parsing too.
  Result<std::optional<Value>> Simple(std::string_view name, CallArgs& args, RenderContext& context) {
    if (name == "dispatch") return QUERN_TRY(Dispatch(args, context));
    if (name == "type") return Value(workspace_.target().type);
    if (name == "quote") {
      auto bound = QUERN_TRY(args.Bind(name, {"identifier"}, 1));
      return Value("\"" + bound[0]->ToString() + "\"");
    }
    if (name == "quote_as_configured") {
      auto bound = QUERN_TRY(args.Bind(name, {"identifier", "quote_key"}, 2));
      const Json& quoting = workspace_.root().quoting;
      std::string key = bound[1]->ToString();
      bool quote = !(quoting.contains(key) && quoting[key].is_boolean() && !quoting[key].get<bool>());
      return quote ? Value("\"" + bound[0]->ToString() + "\"") : *bound[0];
    }
    if (name == "quote_seed_column") {
      auto bound = QUERN_TRY(args.Bind(name, {"column", "quote_config"}, 1));
      bool quote = !bound[1] || bound[1]->is_none() || bound[1]->Truthy();
      return quote ? Value("\"" + bound[0]->ToString() + "\"") : *bound[0];
    }
    if (name == "escape_sql_string") {
      auto bound = QUERN_TRY(args.Bind(name, {"value"}, 1));
      return Value(ReplaceAll(bound[0]->ToString(), "'", "''"));
    }
    if (name == "is_motherduck" || name == "is_ducklake" || name == "disable_transactions" ||
        name == "use_ducklake_table_workarounds" || name == "catalog_supports_foreign_keys")
      return Value(false);
    if (name == "get_binding_char") return Value("?");
    if (name == "batch_id_for_model") return Value("");
    if (name == "existing_key_constraint_types") return Value::NewList();
    if (name == "external_root") return Value(".");
    if (name == "build_catalog_relation" || name == "cache_added" || name == "cache_dropped" ||
        name == "cache_renamed" || name == "verify_database" || name == "ensure_transaction")
      return Value();
    if (name == "warn_once") {
      if (context.execute() && !args.args.empty()) context.Say("warning: " + args.args[0].ToString());
      return Value("");
    }
    if (name == "valid_incremental_strategies") return ListOf({"append", "delete+insert", "merge"});
    if (name == "get_incremental_strategy_macro") return QUERN_TRY(StrategyMacro(args, context));
    if (name == "get_hard_deletes_behavior") {
      auto bound = QUERN_TRY(args.Bind(name, {"config"}, 1));
      auto setting = [&](const char* key) { return args.state.CallMethod(*bound[0], "get", {Value(key)}); };
      Value hard = QUERN_TRY(setting("hard_deletes"));
      Value invalidate = QUERN_TRY(setting("invalidate_hard_deletes"));
      if (hard.Truthy()) {
        if (!invalidate.is_none() && !invalidate.is_undefined()) {
          return Fail(Error(ErrorCode::kDbtCompile, "both hard_deletes and invalidate_hard_deletes are set")
                          .Hint("remove invalidate_hard_deletes, the older of the two"));
        }
        std::string text = hard.ToString();
        if (text != "ignore" && text != "invalidate" && text != "new_record") {
          std::string hint = DidYouMean(text, {"ignore", "invalidate", "new_record"});
          return Fail(
              Error(ErrorCode::kDbtCompile, "hard_deletes must be ignore, invalidate or new_record, not '" + text + "'")
                  .Hint(hint));
        }
        return hard;
      }
      return Value(invalidate.Truthy() ? "invalidate" : "ignore");
    }
    if (name == "render_raw_columns_constraints") {
      auto bound = QUERN_TRY(args.Bind(name, {"raw_columns"}, 1));
      std::vector<Value> out;
      if (bound[0]->is_dict()) {
        for (const auto& entry : bound[0]->AsDict().entries()) {
          Json column = QUERN_TRY(JsonArg(entry.value));
          std::string column_name = column.value("name", entry.key.ToString());
          bool quote = column.contains("quote") && column["quote"].is_boolean() && column["quote"].get<bool>();
          std::string text =
              (quote ? "\"" + column_name + "\"" : column_name) + " " +
              (column.contains("data_type") && column["data_type"].is_string() ? column["data_type"].get<std::string>()
                                                                               : "");
          if (column.contains("constraints") && column["constraints"].is_array()) {
            for (const Json& constraint : column["constraints"]) {
              std::string rendered = Constraint(constraint, "");
              if (!rendered.empty()) text += " " + rendered;
            }
          }
          out.emplace_back(std::move(text));
        }
      }
      return Value::NewList(std::move(out));
    }
    if (name == "render_raw_model_constraints") {
      auto bound = QUERN_TRY(args.Bind(name, {"raw_constraints"}, 1));
      Json constraints = QUERN_TRY(JsonArg(*bound[0]));
      std::vector<Value> out;
      for (const Json& constraint : constraints) {
        std::string text = Constraint(constraint, Join(ConfigTexts(constraint.value("columns", Json::array())), ", "));
        if (!text.empty()) out.emplace_back(std::move(text));
      }
      return Value::NewList(std::move(out));
    }
    return std::nullopt;
  }

  /// What dbt gives while parsing, when nothing may be asked of the database.
  static Result<std::optional<Value>> WhileParsing(std::string_view name) {
    if (name == "get_columns_in_relation" || name == "get_missing_columns" || name == "list_relations" ||
        name == "list_schemas" || name == "list_relations_without_caching" || name == "get_column_schema_from_query") {
      return Value::NewList();
    }
    if (name == "execute") return Value::NewTuple({Value::NewDict({{"_message", ""}}), MakeTable({}, {})});
    if (name == "check_schema_exists") return Value(true);
    return Value();
  }

  Result<Value> CallOwnMacro(std::string_view macro_name, CallArgs& args, RenderContext& context,
                             std::vector<Value> values) {
    const Macro* macro = workspace_.macros().Lookup(context.package.name, macro_name);
    if (!macro)
      return Fail(Error(ErrorCode::kTemplateUndefined, "there is no macro '" + std::string(macro_name) + "'"));
    return args.state.Call(macro->callable, std::move(values));
  }

  Result<std::optional<Value>> Live(std::string_view name, CallArgs& args, RenderContext& context) {
    if (name == "execute") {
      auto bound = QUERN_TRY(args.Bind(name, {"sql", "auto_begin", "fetch", "limit"}, 1));
      bool begin = bound[1] && bound[1]->Truthy();
      int64_t limit = bound[3] && bound[3]->is_int() ? bound[3]->AsInt() : (bound[2] && bound[2]->Truthy() ? -1 : 0);
      engine::QueryResult result = QUERN_TRY(RunSql(context, *bound[0], begin, limit));
      return Value::NewTuple(
          {Response(result), bound[2] && bound[2]->Truthy() ? MakeTable(result) : MakeTable({}, {})});
    }
    if (name == "add_query") {
      auto bound = QUERN_TRY(args.Bind(name, {"sql", "auto_begin", "bindings", "abridge_sql_log"}, 1));
      if (bound[2] && bound[2]->Truthy())
        return Fail(Error(ErrorCode::kTemplateRaised, "adapter.add_query with bindings is not built"));
      QUERN_TRY(RunSql(context, *bound[0], !bound[1] || bound[1]->Truthy(), 0));
      return Value();
    }
    Session* session = QUERN_TRY(quern::dbt::Live(context, name));
    if (name == "commit") {
      QUERN_TRY(session->Commit());
      return Value("");
    }
    if (name == "get_relation") {
      auto bound = QUERN_TRY(args.Bind(name, {"database", "schema", "identifier"}, 3));
      std::string database = bound[0]->is_none() ? workspace_.target().database : bound[0]->ToString();
      auto found = QUERN_TRY(session->GetRelation(database, bound[1]->ToString(), bound[2]->ToString()));
      return found ? MakeRelation(*found) : Value();
    }
    if (name == "load_cached_relation") {
      auto bound = QUERN_TRY(args.Bind(name, {"relation"}, 1));
      const RelationData* r = QUERN_TRY(RelationArg(*bound[0], name));
      auto found = QUERN_TRY(session->GetRelation(r->database.value_or(workspace_.target().database),
                                                  r->schema.value_or(""), r->identifier.value_or("")));
      return found ? MakeRelation(*found) : Value();
    }
    if (name == "get_columns_in_relation") {
      auto bound = QUERN_TRY(args.Bind(name, {"relation"}, 1));
      const RelationData* r = QUERN_TRY(RelationArg(*bound[0], name));
      std::vector<Value> out;
      for (ColumnData& column : QUERN_TRY(session->Columns(*r))) out.push_back(MakeColumn(std::move(column)));
      return Value::NewList(std::move(out));
    }
    if (name == "get_missing_columns") {
      auto bound = QUERN_TRY(args.Bind(name, {"from_relation", "to_relation"}, 2));
      auto from = QUERN_TRY(session->Columns(*QUERN_TRY(RelationArg(*bound[0], name))));
      auto to = QUERN_TRY(session->Columns(*QUERN_TRY(RelationArg(*bound[1], name))));
      std::vector<Value> out;
      for (ColumnData& column : from) {
        bool there = std::any_of(to.begin(), to.end(),
                                 [&](const ColumnData& c) { return EqualsIgnoreCase(c.name, column.name); });
        if (!there) out.push_back(MakeColumn(std::move(column)));
      }
      return Value::NewList(std::move(out));
    }
    if (name == "expand_target_column_types") return Value();
    if (name == "get_column_schema_from_query") {
      auto bound = QUERN_TRY(args.Bind(name, {"sql"}, 1));
      auto columns = session->Describe(bound[0]->ToString());
      if (!columns) return Fail(PlaceSqlError(std::move(columns).error(), *bound[0]));
      std::vector<Value> out;
      for (const engine::Column& column : *columns) out.push_back(MakeColumn({column.name, column.type, {}}));
      return Value::NewList(std::move(out));
    }
    if (name == "list_relations" || name == "list_relations_without_caching") {
      std::string database, schema;
      if (args.args.size() == 1 && AsRelation(args.args[0])) {
        database = AsRelation(args.args[0])->database.value_or(workspace_.target().database);
        schema = AsRelation(args.args[0])->schema.value_or("");
      } else {
        auto bound = QUERN_TRY(args.Bind(name, {"database", "schema"}, 2));
        database = bound[0]->is_none() ? workspace_.target().database : bound[0]->ToString();
        schema = bound[1]->ToString();
      }
      std::vector<Value> out;
      for (RelationData& r : QUERN_TRY(session->ListRelations(database, schema)))
        out.push_back(MakeRelation(std::move(r)));
      return Value::NewList(std::move(out));
    }
    if (name == "list_schemas") {
      auto bound = QUERN_TRY(args.Bind(name, {"database"}, 1));
      return ListOf(QUERN_TRY(session->ListSchemas(bound[0]->ToString())));
    }
    if (name == "check_schema_exists") {
      auto bound = QUERN_TRY(args.Bind(name, {"database", "schema"}, 2));
      auto schemas = QUERN_TRY(session->ListSchemas(bound[0]->ToString()));
      std::string wanted = bound[1]->ToString();
      return Value(std::any_of(schemas.begin(), schemas.end(),
                               [&](const std::string& s) { return EqualsIgnoreCase(s, wanted); }));
    }
    if (name == "create_schema" || name == "drop_schema" || name == "drop_relation" || name == "truncate_relation") {
      auto bound = QUERN_TRY(args.Bind(name, {"relation"}, 1));
      if (bound[0]->is_none()) return Value("");
      return QUERN_TRY(CallOwnMacro(name, args, context, {*bound[0]}));
    }
    if (name == "rename_relation") {
      auto bound = QUERN_TRY(args.Bind(name, {"from_relation", "to_relation"}, 2));
      return QUERN_TRY(CallOwnMacro(name, args, context, {*bound[0], *bound[1]}));
    }
    if (name == "get_seed_file_path") {
      auto bound = QUERN_TRY(args.Bind(name, {"model"}, 1));
      auto root = bound[0]->Get("root_path"), path = bound[0]->Get("original_file_path");
      return Value((root ? root->ToString() : "") + "/" + (path ? path->ToString() : ""));
    }
    if (name == "convert_type") {
      auto bound = QUERN_TRY(args.Bind(name, {"agate_table", "col_idx"}, 2));
      auto types = context.locals.find("__seed_types");
      if (types == context.locals.end() || !bound[1]->is_int()) return Value("text");
      const auto& items = types->second.AsList().items;
      size_t i = static_cast<size_t>(bound[1]->AsInt());
      return i < items.size() ? items[i] : Value("text");
    }
    if (name == "assert_valid_snapshot_target_given_strategy") {
      auto bound = QUERN_TRY(args.Bind(name, {"relation", "column_names", "strategy"}, 3));
      auto columns = QUERN_TRY(session->Columns(*QUERN_TRY(RelationArg(*bound[0], name))));
      std::vector<std::string> wanted = {"dbt_scd_id", "dbt_valid_from", "dbt_valid_to", "dbt_updated_at"};
      if (auto hard = bound[2]->Get("hard_deletes"); hard && hard->ToString() == "new_record")
        wanted.push_back("dbt_is_deleted");
      std::string missing;
      for (const std::string& key : wanted) {
        auto named = bound[1]->Get(key);
        std::string column = named && named->Truthy() ? named->ToString() : key;
        bool there = std::any_of(columns.begin(), columns.end(),
                                 [&](const ColumnData& c) { return EqualsIgnoreCase(c.name, column); });
        if (!there) missing += (missing.empty() ? "" : ", ") + column;
      }
      if (!missing.empty()) {
        return Fail(Error(ErrorCode::kDbtCompile,
                          "the snapshot's table " + bound[0]->ToString() + " lacks the column(s) " + missing)
                        .Hint("the table was not made by this snapshot, or with other settings; add the columns or "
                              "snapshot into another table"));
      }
      return Value();
    }
    if (name == "location_exists") {
      auto bound = QUERN_TRY(args.Bind(name, {"location"}, 1));
      return Value(
          session->Execute("select 1 from " + QuoteLiteral(bound[0]->ToString()) + " where 1=0", false).has_value());
    }
    return std::nullopt;
  }

  Result<Value> Dispatch(CallArgs& args, RenderContext& context) {
    auto bound = QUERN_TRY(args.Bind("dispatch", {"macro_name", "macro_namespace", "packages"}, 1));
    std::string name = bound[0]->ToString();
    if (name.find('.') != std::string::npos) {
      return Fail(Error(ErrorCode::kTemplateRaised, "adapter.dispatch('" + name + "') must not name a package")
                      .Hint("give it as macro_namespace"));
    }
    std::vector<std::string> tried;
    const Macro* macro = workspace_.macros().Dispatch(SearchOrder(workspace_, bound[1] ? &*bound[1] : nullptr),
                                                      prefixes_, name, context.package.name, &tried);
    if (!macro) {
      return Fail(Error(ErrorCode::kTemplateUndefined,
                        "no macro fits adapter.dispatch('" + name + "'); looked for " + Join(tried, ", ")));
    }
    return macro->callable;
  }

  Result<Value> StrategyMacro(CallArgs& args, RenderContext& context) {
    auto bound = QUERN_TRY(args.Bind("get_incremental_strategy_macro", {"context", "strategy"}, 2));
    std::string strategy = bound[1]->ToString();
    std::string name = "get_incremental_" + ReplaceAll(strategy, "+", "_") + "_sql";
    const Macro* macro = workspace_.macros().Lookup(context.package.name, name);
    if (!macro) {
      std::string hint = DidYouMean(strategy, {"append", "delete+insert", "merge", "default"});
      return Fail(
          Error(ErrorCode::kDbtCompile, "there is no incremental strategy '" + strategy + "' (no macro " + name + ")")
              .Hint(hint.empty() ? "built are append, delete+insert, merge" : hint));
    }
    return macro->callable;
  }

  const Workspace& workspace_;
  std::vector<std::string> prefixes_;
};

}  // namespace

Value MakeAdapter(const Workspace& workspace) {
  return Value(jinja::MakeRef<AdapterObject>(workspace));
}

}  // namespace quern::dbt
