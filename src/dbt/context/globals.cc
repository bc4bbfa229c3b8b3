// Functions and values that are the same for every node: log, return, exceptions, JSON, YAML, target, flags, modules,
// ...
#include <cstdio>
#include <thread>

#include "base/secrets.h"
#include "base/text.h"
#include "dbt/context/datetime.h"
#include "dbt/context/modules.h"
#include "dbt/context/render_context.h"
#include "dbt/context/table.h"
#include "dbt/context/values.h"
#include "dbt/yaml_value.h"

namespace quern::dbt {

using jinja::CallArgs;
using jinja::NativeFunction;
using jinja::State;
using jinja::Value;

namespace {

Result<Value> LogFunction(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("log", {"msg", "info"}, 1));
  RenderContext& context = RenderContext::Of(args.state);
  std::string text = bound[0]->ToString();
  if (bound[1] && bound[1]->Truthy()) {
    context.Say(text);
  } else if (context.log) {
    context.log->Line(MaskSecrets(std::move(text)));
  }
  return Value("");
}

Result<Value> PrintFunction(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("print", {"msg"}, 1));
  RenderContext::Of(args.state).Say(bound[0]->ToString());
  return Value("");
}

Result<Value> ReturnFunction(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("return", {"data"}));
  return args.state.Return(bound[0] ? *bound[0] : Value());
}

Result<Value> ToJsonFunction(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("tojson", {"value", "default", "sort_keys"}, 1));
  Result<std::string> text = jinja::DumpJson(*bound[0], bound[2] && bound[2]->Truthy());
  if (text) return Value(*std::move(text));
  if (bound[1]) return *bound[1];
  return Value();
}

Result<Value> FromJsonFunction(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("fromjson", {"string", "default"}, 1));
  nlohmann::ordered_json parsed = nlohmann::ordered_json::parse(bound[0]->ToString(), nullptr, false);
  if (parsed.is_discarded()) return bound[1] ? *bound[1] : Value();
  return FromOrderedJson(parsed);
}

Result<Value> FromYamlFunction(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("fromyaml", {"value", "default"}, 1));
  Result<Yaml> yaml = Yaml::Parse(bound[0]->ToString(), "fromyaml");
  if (!yaml) return bound[1] ? *bound[1] : Value();
  return FromYaml(*yaml);
}

Result<Value> ToYamlFunction(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("toyaml", {"value", "default", "sort_keys"}, 1));
  Result<std::string> text = DumpYaml(*bound[0]);
  if (text) return Value(*std::move(text));
  return bound[1] ? *bound[1] : Value();
}

Result<Value> SetFunction(CallArgs& args, bool strict) {
  auto bound = QUERN_TRY(args.Bind("set", {"value", "default"}, 1));
  Result<std::vector<Value>> items = bound[0]->Iterate();
  if (!items) {
    if (strict) return Fail(std::move(items).error());
    return bound[1] ? *bound[1] : Value();
  }
  std::vector<Value> out;
  Value seen = Value::NewDict();
  for (Value& item : *items) {
    if (seen.AsDict().Find(item)) continue;
    seen.AsDict().Set(item, Value(true));
    out.push_back(std::move(item));
  }
  return Value::NewList(std::move(out));
}

Result<Value> ZipFunction(CallArgs& args, bool strict) {
  std::vector<std::vector<Value>> lists;
  for (const Value& arg : args.args) {
    Result<std::vector<Value>> items = arg.Iterate();
    if (!items) {
      if (strict) return Fail(std::move(items).error());
      const Value* fallback = args.Keyword("default");
      return fallback ? *fallback : Value();
    }
    lists.push_back(*std::move(items));
  }
  size_t shortest = lists.empty() ? 0 : lists[0].size();
  for (const auto& list : lists) shortest = std::min(shortest, list.size());
  std::vector<Value> out;
  for (size_t i = 0; i < shortest; ++i) {
    std::vector<Value> row;
    for (const auto& list : lists) row.push_back(list[i]);
    out.push_back(Value::NewTuple(std::move(row)));
  }
  return Value::NewList(std::move(out));
}

Result<Value> Md5Function(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("local_md5", {"value"}, 1));
  return Value(Md5Hex(bound[0]->ToString()));
}

Result<Value> DiffOfTwoDicts(CallArgs& args) {
  auto bound = QUERN_TRY(args.Bind("diff_of_two_dicts", {"dict_a", "dict_b"}, 2));
  Value out = Value::NewDict();
  if (!bound[0]->is_dict() || !bound[1]->is_dict())
    return Fail(Error(ErrorCode::kTemplateType, "diff_of_two_dicts wants two dicts"));
  std::map<std::string, Value> b;
  for (const auto& entry : bound[1]->AsDict().entries()) b[Lower(entry.key.ToString())] = entry.value;
  for (const auto& entry : bound[0]->AsDict().entries()) {
    auto it = b.find(Lower(entry.key.ToString()));
    std::vector<Value> missing;
    std::vector<Value> have = QUERN_TRY(entry.value.Iterate());
    std::vector<Value> others = it == b.end() ? std::vector<Value>{} : QUERN_TRY(it->second.Iterate());
    for (const Value& v : have) {
      bool found = false;
      for (const Value& o : others) found = found || EqualsIgnoreCase(o.ToString(), v.ToString());
      if (!found) missing.push_back(v);
    }
    if (!missing.empty()) Put(out, entry.key.ToString(), Value::NewList(std::move(missing)));
  }
  return out;
}

Result<Value> TryOrCompilerError(CallArgs& args) {
  if (args.args.size() < 2)
    return Fail(Error(ErrorCode::kTemplateType, "try_or_compiler_error wants a message and a function"));
  std::vector<Value> rest(args.args.begin() + 2, args.args.end());
  std::vector<jinja::KeywordArg> kwargs(args.kwargs.begin(), args.kwargs.end());
  Result<Value> result = args.state.Call(args.args[1], std::move(rest), std::move(kwargs));
  if (result) return result;
  return Fail(Error(ErrorCode::kTemplateRaised, args.args[0].ToString()));
}

Value Raiser(const char* name, std::function<std::string(CallArgs&)> message) {
  return Value::Function(name, [message](CallArgs& args) -> Result<Value> {
    Error error(ErrorCode::kTemplateRaised, message(args));
    return Fail(std::move(error));
  });
}

std::string ArgText(CallArgs& args, size_t i) {
  return i < args.args.size() ? args.args[i].ToString() : std::string();
}

Value MakeExceptions() {
  auto raised = [](CallArgs& args) {
    return args.args.empty() && !args.kwargs.empty() ? args.kwargs[0].value.ToString() : ArgText(args, 0);
  };
  Value out = Value::NewDict();
  for (const char* name :
       {"raise_compiler_error", "raise_database_error", "raise_parsing_error", "raise_fail_fast_error",
        "raise_dependency_error", "raise_not_implemented", "raise_invalid_property_yml_version"}) {
    Put(out, name, Raiser(name, raised));
  }
  Put(out, "warn", Value::Function("warn", [](CallArgs& args) -> Result<Value> {
        RenderContext& context = RenderContext::Of(args.state);
        if (context.mode != RenderContext::Mode::kParse) context.Say("warning: " + ArgText(args, 0));
        return Value("");
      }));
  Put(out, "warn_snapshot_timestamp_data_types",
      Value::Function("warn_snapshot_timestamp_data_types", [](CallArgs& args) -> Result<Value> {
        RenderContext::Of(args.state)
            .Say("warning: snapshot_get_time() gives " + ArgText(args, 0) + ", updated_at is " + ArgText(args, 1));
        return Value("");
      }));
  Put(out, "relation_wrong_type", Raiser("relation_wrong_type", [](CallArgs& args) {
        const RelationData* relation = args.args.empty() ? nullptr : AsRelation(args.args[0]);
        return "a " + ArgText(args, 1) + " is to be built, but " + ArgText(args, 0) + " is a " +
               (relation ? relation->type : std::string("something else")) +
               " already; drop it, or build with --full-refresh";
      }));
  Put(out, "missing_relation",
      Raiser("missing_relation", [](CallArgs& args) { return "relation " + ArgText(args, 0) + " is not there"; }));
  Put(out, "missing_config",
      Raiser("missing_config", [](CallArgs& args) { return "config '" + ArgText(args, 1) + "' must be given"; }));
  Put(out, "missing_materialization",
      Raiser("missing_materialization", [](CallArgs&) { return std::string("there is no such materialization"); }));
  Put(out, "column_type_missing", Raiser("column_type_missing", [](CallArgs& args) {
        return "an enforced contract needs data_type for every column; missing for: " + ArgText(args, 0);
      }));
  Put(out, "raise_contract_error", Raiser("raise_contract_error", [](CallArgs& args) {
        // what the model declares against what its query gives, column by column
        struct Pair {
          std::string declared, given;
        };
        std::vector<std::string> order;
        std::map<std::string, Pair> pairs;
        auto read = [&](size_t index, bool declared) {
          if (index >= args.args.size()) return;
          auto items = args.args[index].Iterate();
          if (!items) return;
          for (const Value& item : *items) {
            std::string name, type;
            if (auto n = item.Get("name")) name = n->ToString();
            for (const char* key : {"formatted", "data_type"}) {
              if (auto t = item.Get(key); t && type.empty()) type = t->ToString();
            }
            if (auto t = item.Get("data_type")) type = t->ToString();
            std::string key = Lower(name);
            if (!pairs.count(key)) order.push_back(key);
            (declared ? pairs[key].declared : pairs[key].given) = type;
          }
        };
        read(0, true);
        read(1, false);
        std::string text = "the model's contract does not hold:";
        for (const std::string& key : order) {
          const Pair& p = pairs[key];
          if (p.given.empty())
            text += "\n  column '" + key + "' is declared as " + p.declared + ", the query does not give it";
          else if (p.declared.empty())
            text += "\n  column '" + key + "' (" + p.given + ") is not declared";
          else if (!EqualsIgnoreCase(p.given, p.declared))
            text += "\n  column '" + key + "' is declared as " + p.declared + ", the query gives " + p.given;
        }
        return text;
      }));
  return out;
}

}  // namespace

Value MakeFlags(const Workspace& workspace, const Invocation& invocation) {
  Value flags = Value::NewDict(
      {{"FULL_REFRESH", invocation.full_refresh},
       {"STORE_FAILURES", invocation.store_failures},
       {"WHICH", Value(invocation.which)},
       {"FAIL_FAST", false},
       {"STRICT_MODE", false},
       {"WARN_ERROR", Value()},
       {"USE_COLORS", false},
       {"WRITE_JSON", true},
       {"PARTIAL_PARSE", false},
       {"DEBUG", false},
       {"QUIET", false},
       {"EMPTY", false},
       {"CACHE_SELECTED_ONLY", false},
       {"INDIRECT_SELECTION", "eager"},
       {"SEND_ANONYMOUS_USAGE_STATS", false},
       {"EVENT_TIME_START", Value()},
       {"EVENT_TIME_END", Value()},
       {"REQUIRE_SQL_HEADER_IN_TEST_CONFIGS", false},
       {"PROFILES_DIR", workspace.options().profiles_dir ? Value(workspace.options().profiles_dir->string()) : Value()},
       {"TARGET_PATH", Value(workspace.target_path().string())}});
  flags.Freeze();
  return flags;
}

namespace {

Value TargetValue(const Target& target) {
  Value out = Value::FromJson(target.fields);
  Put(out, "profile_name", Value(target.profile_name));
  Put(out, "target_name", Value(target.name));
  Put(out, "name", Value(target.name));
  Put(out, "type", Value(target.type));
  Put(out, "database", Value(target.database));
  Put(out, "dbname", Value(target.database));
  Put(out, "schema", Value(target.schema));
  Put(out, "threads", Value(target.threads));
  return out;
}

Value Function(const char* name, NativeFunction function) {
  return Value::Function(name, std::move(function));
}

}  // namespace

std::vector<std::pair<std::string, Value>> ContextGlobals(const Workspace& workspace) {
  std::vector<std::pair<std::string, Value>> out = NodeFunctions(workspace);
  auto add = [&](std::string name, Value value) { out.emplace_back(std::move(name), std::move(value)); };
  auto function = [&](const char* name, NativeFunction f) { add(name, Function(name, std::move(f))); };
  function("log", LogFunction);
  function("print", PrintFunction);
  function("return", ReturnFunction);
  function("tojson", ToJsonFunction);
  function("fromjson", FromJsonFunction);
  function("toyaml", ToYamlFunction);
  function("fromyaml", FromYamlFunction);
  function("set", [](CallArgs& args) { return SetFunction(args, false); });
  function("set_strict", [](CallArgs& args) { return SetFunction(args, true); });
  function("zip", [](CallArgs& args) { return ZipFunction(args, false); });
  function("zip_strict", [](CallArgs& args) { return ZipFunction(args, true); });
  function("local_md5", Md5Function);
  function("diff_of_two_dicts", DiffOfTwoDicts);
  function("try_or_compiler_error", TryOrCompilerError);
  function("debug",
           [](CallArgs&) -> Result<Value> { return Fail(Error(ErrorCode::kTemplateRaised, "debug() is not built")); });
  function("submit_python_job", [](CallArgs&) -> Result<Value> {
    return Fail(Error(ErrorCode::kTemplateRaised, "Python models are not built"));
  });
  add("exceptions", MakeExceptions());
  add("modules", MakeModules(workspace.clock()));
  add("api", MakeApi());
  add("adapter", MakeAdapter(workspace));
  add("target", TargetValue(workspace.target()));
  add("env", TargetValue(workspace.target()));
  add("flags", MakeFlags(workspace, workspace.invocation()));
  add("project_name", Value(workspace.root().name));
  add("dbt_version", Value(kDbtVersion));
  add("invocation_id", Value(workspace.invocation().id));
  add("run_started_at", MakeDatetime(TimeZone::Utc().ToLocal(workspace.invocation().started), TimeZone::Utc()));
  add("invocation_args_dict", Value::FromJson(workspace.invocation().args));
  add("dbt_metadata_envs", Value::NewDict());
  add("thread_id", Value("Thread-1"));
  add("database", Value(workspace.target().database));
  add("schema", Value(workspace.target().schema));
  add("sql_now", Value(FormatUtc(workspace.invocation().started)));
  add("connection_name", Value(""));
  for (auto& [name, value] : out) value.Freeze();
  return out;
}

void AddFilters(jinja::Environment& environment) {
  environment.AddFilter("as_text", [](CallArgs& args) -> Result<Value> {
    return args.args.empty() ? Value() : Value(args.args[0].ToString());
  });
  environment.AddFilter("as_bool", [](CallArgs& args) -> Result<Value> {
    if (args.args.empty()) return Value();
    if (args.args[0].is_bool()) return args.args[0];
    std::string text = Lower(std::string(Trim(args.args[0].ToString())));
    if (text == "true") return Value(true);
    if (text == "false") return Value(false);
    return Fail(Error(ErrorCode::kTemplateType, "as_bool: " + args.args[0].Repr() + " is neither True nor False"));
  });
  environment.AddFilter("as_number", [](CallArgs& args) -> Result<Value> {
    if (args.args.empty() || args.args[0].is_number()) return args.args.empty() ? Value() : args.args[0];
    Result<Value> number = jinja::LiteralEval(Trim(args.args[0].ToString()));
    if (!number || !number->is_number() || number->is_bool())
      return Fail(Error(ErrorCode::kTemplateType, "as_number: " + args.args[0].Repr() + " is no number"));
    return *number;
  });
  environment.AddFilter("as_native", [](CallArgs& args) -> Result<Value> {
    if (args.args.empty() || !args.args[0].is_string()) return args.args.empty() ? Value() : args.args[0];
    Result<Value> value = jinja::LiteralEval(args.args[0].AsString());
    return value ? *value : args.args[0];
  });
  environment.AddFilter(
      "is_list", [](CallArgs& args) -> Result<Value> { return Value(!args.args.empty() && args.args[0].is_list()); });
}

}  // namespace quern::dbt
