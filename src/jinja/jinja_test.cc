#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/json.h"
#include "base/text.h"
#include "jinja/environment.h"

namespace quern::jinja {
namespace {

std::string Render(const std::string& text, const Value& context = Value::NewDict(), RenderOptions options = {}) {
  static const Environment environment;
  auto compiled = environment.Compile(text, "t.sql");
  if (!compiled) return "error: " + compiled.error().ToString();
  auto result = (*compiled)->Render(MapScope::FromDict(context), options);
  return result ? result->text : "error: " + result.error().ToString();
}

// --- cases in files ------------------------------------------------------------------------------------------------
struct Case {
  std::string name, context, source, expected;
};

std::vector<Case> ReadCases(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string line;
  std::vector<Case> cases;
  int section = 0;
  std::vector<std::string> parts;
  auto finish = [&] {
    if (cases.empty()) return;
    parts.resize(3);
    for (auto& part : parts) {
      if (!part.empty()) part.pop_back();  // the last line's end
    }
    cases.back().context = parts[0];
    cases.back().source = parts[1];
    cases.back().expected = parts[2];
  };
  while (std::getline(in, line)) {
    if (line.starts_with("=== ")) {
      finish();
      cases.push_back({line.substr(4), "", "", ""});
      parts.assign(3, "");
      section = 0;
    } else if (line == "---" && section < 2) {
      ++section;
    } else if (!cases.empty()) {
      parts[static_cast<size_t>(section)] += line + "\n";
    }
  }
  finish();
  return cases;
}

std::string RunCase(const Case& test) {
  auto context = ParseJson(test.context.empty() ? "{}" : test.context, test.name);
  if (!context) return context.error().ToString();
  EnvironmentOptions options;
  RenderOptions render;
  render.limits.steps = 200000;
  Json settings = context->contains("$settings") ? context->at("$settings") : Json::object();
  options.trim_blocks = settings.value("trim_blocks", false);
  options.lstrip_blocks = settings.value("lstrip_blocks", false);
  options.keep_trailing_newline = settings.value("keep_trailing_newline", false);
  std::string undefined = settings.value("undefined", "default");
  render.undefined = undefined == "strict"      ? UndefinedMode::kStrict
                     : undefined == "chainable" ? UndefinedMode::kChainable
                                                : UndefinedMode::kDefault;
  if (settings.contains("templates")) {
    options.loader = [files = settings["templates"]](const std::string& name) -> Result<std::string> {
      if (!files.contains(name)) return Fail(ErrorCode::kNotFound, "no template '" + name + "'");
      return files[name].get<std::string>();
    };
  }
  Environment environment(options);
  auto compiled = environment.Compile(test.source, "t");
  Result<RenderResult> result = compiled ? (*compiled)->Render(MapScope::FromDict(Value::FromJson(*context)), render)
                                         : Result<RenderResult>(Fail(compiled.error()));
  if (result) return result->text;
  const Error& error = result.error();
  return "error: " + ErrorCodeName(error.code()) + " " + std::to_string(error.pos().line) + ":" +
         std::to_string(error.pos().column) + " " + error.message();
}

class Cases : public testing::TestWithParam<std::string> {};

TEST_P(Cases, Hold) {
  auto path = std::filesystem::path(QUERN_SOURCE_DIR) / "tests/cases/jinja" / (GetParam() + ".txt");
  auto cases = ReadCases(path);
  ASSERT_FALSE(cases.empty()) << path;
  const bool update = std::getenv("QUERN_UPDATE_GOLDEN") != nullptr;
  std::string golden;
  for (const auto& test : cases) {
    std::string got = RunCase(test);
    EXPECT_EQ(got, test.expected) << test.name << "\n" << test.source;
    golden += "=== " + test.name + "\n" + test.context + (test.context.empty() ? "" : "\n") + "---\n" + test.source +
              (test.source.empty() ? "" : "\n") + "---\n" + got + "\n";
  }
  if (update) std::ofstream(path) << golden;
}

std::vector<std::string> CaseFiles() {
  std::vector<std::string> names;
  auto folder = std::filesystem::path(QUERN_SOURCE_DIR) / "tests/cases/jinja";
  if (std::filesystem::exists(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}
INSTANTIATE_TEST_SUITE_P(Jinja, Cases, testing::ValuesIn(CaseFiles()), [](const auto& info) { return info.param; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Cases);

// --- macros, blocks ------------------------------------------------------------------------------------------------
EnvironmentOptions DbtLike() {
  EnvironmentOptions options;
  options.block_tags = {{"materialization", "endmaterialization", BlockHeader::kOptions, BlockBody::kMacro},
                        {"test", "endtest", BlockHeader::kSignature, BlockBody::kMacro},
                        {"docs", "enddocs", BlockHeader::kName, BlockBody::kRaw},
                        {"snapshot", "endsnapshot", BlockHeader::kName, BlockBody::kRaw}};
  return options;
}

TEST(Blocks, AreListedWithPlacesAndBodies) {
  Environment environment(DbtLike());
  auto compiled = environment.Compile(
      "{% macro a(x, y='q') %}A{{ x }}{% endmacro %}\n"
      "{% materialization table, adapter='duck', default %}{{ b() }}{% endmaterialization %}\n"
      "{% docs intro %}Raw {{ not jinja {% at all {% enddocs %}\n"
      "  {%- test small(model, n=1) -%} select {{ n }} {%- endtest %}\n",
      "m.sql");
  ASSERT_TRUE(compiled) << compiled.error().ToString();
  const auto& blocks = (*compiled)->blocks();
  ASSERT_EQ(blocks.size(), 4U);
  EXPECT_EQ(blocks[0].name, "a");
  EXPECT_EQ(blocks[0].parameters[1].default_text, "'q'");
  EXPECT_EQ(blocks[0].text, "{% macro a(x, y='q') %}A{{ x }}{% endmacro %}");
  EXPECT_EQ(blocks[0].body, "A{{ x }}");
  EXPECT_EQ(blocks[1].tag, "materialization");
  ASSERT_EQ(blocks[1].options.size(), 2U);
  EXPECT_EQ(blocks[1].options[0].second.AsString(), "duck");
  EXPECT_EQ(blocks[2].body, "Raw {{ not jinja {% at all ");
  EXPECT_EQ(blocks[2].body_pos.column, 17);
  EXPECT_EQ(blocks[2].index, -1);
  EXPECT_EQ(blocks[3].pos.line, 4);
  EXPECT_EQ(blocks[3].pos.column, 3);
  EXPECT_EQ(blocks[3].parameters.size(), 2U);
}

TEST(Macros, BoundToAScopeSeeEachOtherAndReturnValues) {
  Environment environment;
  auto file = environment.Compile(
      "{% macro one() %}{{ return([1, two()]) }}never{% endmacro %}{% macro two() %}2{{ suffix }}{% endmacro %}",
      "m.sql");
  ASSERT_TRUE(file);
  auto scope = std::make_shared<MapScope>();
  scope->Set("return", Value::Function(
                           "return", [](CallArgs& args) -> Result<Value> { return args.state.Return(args.args[0]); }));
  scope->Set("suffix", Value("!"));
  std::weak_ptr<MapScope> weak = scope;
  {
    auto shared = std::make_shared<MapScope>(scope);
    // macros refer to the scope that holds them: the caller breaks that ring (here: by an outer scope of its own)
    auto macros = std::make_shared<MapScope>(scope);
    for (const auto& block : (*file)->blocks()) macros->Set(block.name, (*file)->Bind(block, shared));
    auto inner = std::make_shared<MapScope>(macros);
    shared->Set("two", (*file)->Bind((*file)->blocks()[1], scope));
    auto model = environment.Compile("{{ one()[1] }} {{ one() }}", "model.sql");
    ASSERT_TRUE(model);
    auto result = (*model)->Render(inner);
    ASSERT_TRUE(result) << result.error().ToString();
    EXPECT_EQ(result->text, "2! [1, '2!']");
  }
}

TEST(Macros, ReturnGoesThroughCallBlocks) {
  Environment environment;
  auto scope = std::make_shared<MapScope>();
  scope->Set("return", Value::Function(
                           "return", [](CallArgs& args) -> Result<Value> { return args.state.Return(args.args[0]); }));
  scope->Set("statement", Value::Function("statement", [](CallArgs& args) -> Result<Value> {
               return args.state.Call(*args.Keyword("caller"), {}, {});
             }));
  auto model = environment.Compile(
      "{% macro m() %}{% call statement() %}{% for i in [1, 2] %}{% if i == 2 %}{% do return({'i': i}) %}{% endif %}{% "
      "endfor %}{% endcall %}{% endmacro %}"
      "{{ m().i + 1 }}",
      "model.sql");
  ASSERT_TRUE(model);
  auto result = (*model)->Render(scope);
  ASSERT_TRUE(result) << result.error().ToString();
  EXPECT_EQ(result->text, "3");
}

// --- errors --------------------------------------------------------------------------------------------------------
TEST(Errors, CarryThePlaceAndTheMacrosOnTheWay) {
  Environment environment;
  auto compiled = environment.Compile(
      "{% macro inner(x) %}\n  {{ x.y.z }}{% endmacro %}\n{% macro outer() %}{{ inner({}) }}{% endmacro %}\n\n{{ "
      "outer() }}",
      "a.sql");
  ASSERT_TRUE(compiled);
  auto result = (*compiled)->Render(nullptr);
  ASSERT_FALSE(result);
  const Error& error = result.error();
  EXPECT_EQ(error.code(), ErrorCode::kTemplateUndefined);
  EXPECT_EQ(error.message(), "'dict object' has no attribute 'y'");
  EXPECT_EQ(error.pos().ToString(), "a.sql:2:8");
  ASSERT_EQ(error.trace().size(), 2U);
  EXPECT_EQ(error.trace()[0].what, "in macro 'inner', called");
  EXPECT_EQ(error.trace()[0].pos.ToString(), "a.sql:3:23");
  EXPECT_EQ(error.trace()[1].pos.ToString(), "a.sql:5:4");
}

TEST(Errors, OfNativeFunctionsGetThePlaceOfTheCall) {
  Environment environment;
  auto scope = std::make_shared<MapScope>();
  scope->Set("boom", Value::Function(
                         "boom", [](CallArgs&) -> Result<Value> { return Fail(ErrorCode::kTemplateRaised, "no"); }));
  auto compiled = environment.Compile("x\n {{ 1 + boom() }}", "a.sql");
  auto result = (*compiled)->Render(scope);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().pos().ToString(), "a.sql:2:9");
}

TEST(Errors, SuggestNames) {
  auto context = Value::NewDict({{"customer", Value(1)}});
  EXPECT_NE(Render("{{ custmer.x }}", context).find("did you mean 'customer'?"), std::string::npos);
  EXPECT_NE(Render("{{ 1|lenght }}").find("did you mean 'length'?"), std::string::npos);
  EXPECT_NE(Render("{% fro x in y %}").find("did you mean 'for'?"), std::string::npos);
}

// --- map of the output ---------------------------------------------------------------------------------------------
TEST(OutputMap, PointsThroughMacrosIntoTheFile) {
  Environment environment;
  auto macros = environment.Compile("{% macro cols() %}a,\n  {{ 'b' }} as bad{% endmacro %}", "macros/cols.sql");
  ASSERT_TRUE(macros);
  auto scope = std::make_shared<MapScope>();
  scope->Set("cols", (*macros)->Bind((*macros)->blocks()[0], nullptr));
  auto model = environment.Compile(
      "select\n  {{ cols() }}\n{% set t %} from {{ 'x' }} {% endset %}{{ t | trim }}\nwhere 1", "models/m.sql");
  ASSERT_TRUE(model);
  auto result = (*model)->Render(scope);
  ASSERT_TRUE(result) << result.error().ToString();
  const std::string& text = result->text;
  EXPECT_EQ(text, "select\n  a,\n  b as bad\nfrom x\nwhere 1");
  auto at = [&](const char* needle) { return result->Locate(text.find(needle)); };
  EXPECT_EQ(at("select").pos.ToString(), "models/m.sql:1:1");
  EXPECT_EQ(at("a,").pos.ToString(), "macros/cols.sql:1:19");
  EXPECT_EQ(at("as bad").pos.ToString(), "macros/cols.sql:2:13");
  ASSERT_EQ(at("as bad").printed_by.size(), 1U);
  EXPECT_EQ(at("as bad").printed_by[0].ToString(), "models/m.sql:2:6");
  EXPECT_EQ(at("from").pos.ToString(), "models/m.sql:3:13");
  EXPECT_EQ(at("x\n").pos.ToString(), "models/m.sql:3:18");
  EXPECT_EQ(at("where").pos.ToString(), "models/m.sql:4:1");
  EXPECT_EQ(result->Locate(3, 8).pos.ToString(), "macros/cols.sql:2:16");
}

// --- limits --------------------------------------------------------------------------------------------------------
TEST(Limits, EndWhatWouldNotEnd) {
  RenderOptions options;
  options.limits.steps = 100000;
  options.limits.output_bytes = 1 << 20;
  auto limited = [&](const std::string& text) {
    return Render(text, Value::NewDict(), options).find("Q0305") != std::string::npos;
  };
  EXPECT_TRUE(limited("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"));
  EXPECT_TRUE(limited("{% set l = [1] %}{% for x in l %}{% do l.append(x) %}{% endfor %}"));
  EXPECT_TRUE(limited("{{ 'x' * 100000000 }}"));
  EXPECT_TRUE(limited("{{ [1] * 100000000 }}"));
  EXPECT_TRUE(limited("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"));
  EXPECT_TRUE(limited("{{ range(10000000000) }}"));
  EXPECT_TRUE(limited(
      "{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(50) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"));
  EXPECT_TRUE(limited(
      "{% set ns = namespace(x=[]) %}{% for i in range(50) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}"));
  EXPECT_TRUE(limited("{{ '%99999999d' % 1 }}"));
  EXPECT_NE(Render("{{ " + std::string(5000, '(')).find("error"), std::string::npos);
  EXPECT_NE(Render("{{ " + std::string(100000, '-') + "1 }}").find("error"), std::string::npos);
  EXPECT_NE(Render("{{ 1" +
                   [] {
                     std::string s;
                     for (int i = 0; i < 50000; ++i) s += "+1";
                     return s;
                   }() +
                   " }}")
                .find("error"),
            std::string::npos);
}

TEST(Limits, DeepAndCyclicValuesAreFreed) {
  EXPECT_EQ(Render("{% set ns = namespace(x=[]) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}done"),
            "done");
  EXPECT_EQ(Render("{% set l = [] %}{% do l.append(l) %}{% set d = {} %}{% do d.update({'l': [l, d]}) %}ok"), "ok");
  EXPECT_EQ(Render("{% set n = namespace() %}{% set n.me = n %}{% macro m() %}{% macro i() %}{% endmacro %}{% set n.f "
                   "= i %}{% endmacro %}{{ m() }}ok"),
            "ok");
}

// --- analysis ------------------------------------------------------------------------------------------------------
TEST(Analysis, FindsCallsWithoutRunning) {
  Environment environment;
  auto compiled = environment.Compile(
      "{{ config(materialized='table', tags=['a']) }}\nselect * from {{ ref('x') }} join {{ source('s', \"t\") }}"
      "{% if execute %}{{ ref(name) }}{% endif %}{{ dbt_utils.star(from=ref('y', v=2)) }}",
      "m.sql");
  ASSERT_TRUE(compiled);
  auto analysis = (*compiled)->Analyze();
  ASSERT_EQ(analysis.calls.size(), 6U);
  EXPECT_FALSE(analysis.only_printed_calls);
  EXPECT_EQ(analysis.calls[0].name, "config");
  EXPECT_EQ(analysis.calls[0].kwargs[1].second->Repr(), "['a']");
  EXPECT_EQ(analysis.calls[1].pos.ToString(), "m.sql:2:18");
  EXPECT_TRUE(analysis.calls[3].conditional);
  EXPECT_FALSE(analysis.calls[3].all_literal);
  EXPECT_EQ(analysis.calls[4].name, "dbt_utils.star");
  EXPECT_EQ(analysis.calls[5].args[0]->AsString(), "y");
  EXPECT_TRUE((*environment.Compile("a {{ ref('x') }} {# c #} {{ config(a=1) }}", "m"))->Analyze().only_printed_calls);
}

// --- values --------------------------------------------------------------------------------------------------------
TEST(Values, PrintAsInPython) {
  EXPECT_EQ(Value(1e16).ToString(), "1e+16");
  EXPECT_EQ(Value(123456789.125).ToString(), "123456789.125");
  EXPECT_EQ(Value(1e-5).ToString(), "1e-05");
  EXPECT_EQ(Value(0.1).ToString(), "0.1");
  EXPECT_EQ(Value(-0.0).ToString(), "-0.0");
  EXPECT_EQ(Value::NewList({Value("it's"), Value("a\"b'c\n"), Value(true), Value(), Value(2.0)}).Repr(),
            R"(["it's", 'a"b\'c\n', True, None, 2.0])");
  EXPECT_EQ(Value::NewTuple({Value(1)}).Repr(), "(1,)");
}

TEST(Values, DictsKeepOrderAndFindManyKeys) {
  Dict dict;
  for (int i = 0; i < 1000; ++i) dict.Set("k" + std::to_string(i), Value(i));
  EXPECT_EQ(dict.Find("k777")->AsInt(), 777);
  dict.Erase(Value("k500"));
  EXPECT_EQ(dict.Find("k500"), nullptr);
  EXPECT_EQ(dict.Find("k999")->AsInt(), 999);
  EXPECT_TRUE(dict.Set(Value(1), Value("one")));
  EXPECT_EQ(dict.Find(Value(1.0))->AsString(), "one");
  EXPECT_FALSE(dict.Set(Value::NewList(), Value()));
}

TEST(Values, FrozenContainersDoNotChange) {
  auto context = Value::NewDict({{"l", Value::NewList({Value(1)})}});
  context.Freeze();
  EXPECT_NE(Render("{% do l.append(2) %}", context).find("shared"), std::string::npos);
}

TEST(Values, LiteralsAndJson) {
  EXPECT_EQ(LiteralEval(" {'a': [1, -2.5, (True, None)]} ")->Repr(), "{'a': [1, -2.5, (True, None)]}");
  EXPECT_FALSE(LiteralEval("true"));
  EXPECT_FALSE(LiteralEval("f()"));
  EXPECT_EQ(*DumpJson(*LiteralEval("{'b': 1.0, 'a': ['é', None]}"), true), R"({"a": ["\u00e9", null], "b": 1.0})");
}

TEST(Native, GivesTheValueOfASingleExpression) {
  Environment environment;
  EXPECT_EQ((*(*environment.Compile("{{ [1, 2] }}", "t"))->RenderNative(nullptr)).Repr(), "[1, 2]");
  EXPECT_EQ((*(*environment.Compile("{{ 1 }}-{{ 2 }}", "t"))->RenderNative(nullptr)).Repr(), "'1-2'");
  EXPECT_EQ((*(*environment.CompileExpression("1 + 2 * 3", "t"))->RenderNative(nullptr)).Repr(), "7");
}

TEST(Threads, ShareOneTemplate) {
  Environment environment;
  auto compiled = environment.Compile(
      "{% macro m(x) %}{{ x * 2 }}{% endmacro %}{% for i in range(50) %}{{ m(i) }},{% endfor %}{{ d.k | join('-') }}",
      "t");
  auto context = Value::NewDict({{"d", Value::NewDict({{"k", Value::NewList({Value(1), Value("x")})}})}});
  context.Freeze();
  ScopePtr scope = MapScope::FromDict(context);
  std::string expected = (*compiled)->Render(scope)->text;
  std::vector<std::thread> threads;
  std::atomic<int> same = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) same += (*compiled)->Render(scope)->text == expected;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(same, 200);
}

}  // namespace
}  // namespace quern::jinja
