#include <gtest/gtest.h>

#include <limits>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/result_output.h"
#include "cli/sql_text.h"
#include "cli/table_text.h"
#include "cli/terminal.h"

namespace quern::cli {
namespace {

CommandSpec Sample() {
  return {.name = "run",
          .summary = "Run",
          .positionals = {{"SCHEDULE", "the schedule", false, false}},
          .options = {{"-s,--select", Arity::kMany, "SELECTOR", "", {}},
                      {"--target", Arity::kOne, "NAME", "", {}},
                      {"--threads", Arity::kOne, "N", "", {}},
                      {"--rerun", Arity::kFlag, "", "", {}},
                      {"--output", Arity::kOne, "FORM", "", {"text", "json"}}}};
}

TEST(ArgumentsTest, ManyValuesEndAtTheNextOption) {
  auto args = ParseArguments(Sample(), {"monthly", "-s", "a+", "tag:b", "--target=dev", "--rerun", "-s", "c"});
  ASSERT_TRUE(args) << args.error().ToString();
  EXPECT_EQ(args->Positional("SCHEDULE"), "monthly");
  EXPECT_EQ(args->List("select"), (std::vector<std::string>{"a+", "tag:b", "c"}));
  EXPECT_EQ(args->Get("target"), "dev");
  EXPECT_TRUE(args->Flag("rerun"));
  EXPECT_FALSE(args->Flag("output"));
}

TEST(ArgumentsTest, LastOfRepeatedSingleValuesWins) {
  auto args = ParseArguments(Sample(), {"--target", "a", "--target", "b"});
  ASSERT_TRUE(args) << args.error().ToString();
  EXPECT_EQ(args->Get("target"), "b");
}

TEST(ArgumentsTest, WhatFollowsASingleValueIsAnArgument) {
  auto args = ParseArguments(Sample(), {"--target", "a", "monthly"});
  ASSERT_TRUE(args) << args.error().ToString();
  EXPECT_EQ(args->Get("target"), "a");
  EXPECT_EQ(args->Positional("SCHEDULE"), "monthly");
}

TEST(ArgumentsTest, UnknownOptionIsNamedWithTheNearest) {
  auto args = ParseArguments(Sample(), {"--tagret", "dev"});
  ASSERT_FALSE(args);
  EXPECT_EQ(args.error().code(), ErrorCode::kUsage);
  EXPECT_EQ(args.error().message(), "quern run has no option '--tagret'");
  EXPECT_EQ(args.error().hint(), "did you mean '--target'?");
}

TEST(ArgumentsTest, WrongChoicesAndNumbersAreRefused) {
  auto args = ParseArguments(Sample(), {"--output", "jsno"});
  ASSERT_FALSE(args);
  EXPECT_EQ(args.error().hint(), "did you mean 'json'?");
  args = ParseArguments(Sample(), {"--threads", "two"});
  ASSERT_TRUE(args);
  EXPECT_FALSE(args->Int("threads", 1));
  EXPECT_FALSE(ParseArguments(Sample(), {"a", "b"}));
  EXPECT_FALSE(ParseArguments(Sample(), {"--target"}));
}

TEST(DispatchTest, FindsCommandsOfOneAndTwoWordsAfterOptions) {
  std::vector<CommandSpec> commands = {Sample(), {.name = "table show"}, {.name = "table diff"}};
  auto found = FindCommand(commands, {"--target", "run", "run", "monthly"});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->command->name, "run");
  EXPECT_EQ(found->rest, (std::vector<std::string>{"--target", "run", "monthly"}));
  EXPECT_EQ(FindCommand(commands, {"table", "diff", "x"})->command->name, "table diff");
  EXPECT_EQ(FindCommand(commands, {"table", "dif"}).error().hint(), "did you mean 'diff'?");
  EXPECT_EQ(FindCommand(commands, {"rnu"}).error().hint(), "did you mean 'run'?");
  EXPECT_FALSE(FindCommand(commands, {"table"}));
}

TEST(CommandsTest, EveryOptionAndArgumentIsExplained) {
  for (const auto& command : Commands()) {
    EXPECT_FALSE(command.summary.empty()) << command.name;
    EXPECT_NE(command.summary.back(), '.') << command.name;
    EXPECT_TRUE(command.run) << command.name;
    if (command.hidden) continue;
    for (const auto& option : command.options) {
      EXPECT_FALSE(option.help.empty()) << command.name << " " << option.names;
      EXPECT_EQ(option.arity == Arity::kFlag, option.value.empty()) << command.name << " " << option.names;
    }
    for (const auto& positional : command.positionals) EXPECT_FALSE(positional.help.empty()) << command.name;
    EXPECT_NE(CommandsAsMarkdown().find("## quern " + command.name), std::string::npos);
  }
}

TEST(SqlTextTest, CutsOutsideQuotesAndComments) {
  auto texts = [](std::string_view sql) {
    std::vector<std::string> out;
    for (const auto& statement : SplitStatements(sql)) out.push_back(statement.text);
    return out;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(texts("select 1; select 2"), (Texts{"select 1", "select 2"}));
  EXPECT_EQ(texts("select ';' ; select \";\"\"\" -- ;\n; /* ; */ ;"), (Texts{"select ';'", "select \";\"\"\" -- ;"}));
  EXPECT_EQ(texts("select $$a;b$$; select $t$;$$;$t$"), (Texts{"select $$a;b$$", "select $t$;$$;$t$"}));
  EXPECT_EQ(texts("select $1; -- nothing"), (Texts{"select $1"}));
  EXPECT_EQ(texts(" ; ;; "), Texts{});
  EXPECT_EQ(SplitStatements("a;\n  b").back().offset, 5U);
}

TEST(SqlTextTest, WantsMoreUntilASemicolonOutsideQuotes) {
  EXPECT_TRUE(WantsMore("select 1"));
  EXPECT_FALSE(WantsMore("select 1;"));
  EXPECT_TRUE(WantsMore("select ';"));
  EXPECT_TRUE(WantsMore("select 1; select"));
  EXPECT_TRUE(WantsMore("/* ;"));
  EXPECT_FALSE(WantsMore("select 1; -- done"));
  EXPECT_FALSE(WantsMore("  "));
}

TEST(ResultOutputTest, CsvTellsNullFromEmptyText) {
  std::string out;
  auto sink = CsvSink([&](std::string_view text) { return out += text, true; });
  ASSERT_TRUE(sink->Begin({{"a", "VARCHAR"}, {"b,c", "INTEGER"}}));
  ASSERT_TRUE(sink->Row({engine::Value(), engine::Value(int64_t{3})}));
  ASSERT_TRUE(sink->Row({engine::Value(std::string()), engine::Value()}));
  ASSERT_TRUE(sink->Row({engine::Value(std::string("x\"y\nz")), engine::Value(true)}));
  EXPECT_EQ(out, "a,\"b,c\"\n,3\n\"\",\n\"x\"\"y\nz\",true\n");
}

TEST(ResultOutputTest, JsonIsAlwaysValid) {
  std::string out;
  JsonSink sink([&](std::string_view text) { return out += text, true; });
  ASSERT_TRUE(sink.Begin({{"a\"", "VARCHAR"}, {"d", "DECIMAL(4,2)"}, {"n", "INTEGER[]"}, {"f", "DOUBLE"}}));
  ASSERT_TRUE(sink.Row({engine::Value(std::string("\xff\n")), engine::Value(std::string("1.50")),
                        engine::Value(std::string("[1,2]")), engine::Value(std::numeric_limits<double>::infinity())}));
  ASSERT_TRUE(sink.Row({engine::Value(), engine::Value(), engine::Value(), engine::Value(0.5)}));
  sink.End();
  auto parsed = Json::parse(out);
  EXPECT_EQ(parsed.size(), 2U);
  EXPECT_EQ(parsed[0]["d"], 1.5);
  EXPECT_EQ(parsed[0]["n"][1], 2);
  EXPECT_TRUE(parsed[0]["f"].is_null());
}

TEST(ResultOutputTest, SinkStopsWhenNobodyReads) {
  auto sink = CsvSink([](std::string_view) { return false; });
  auto begun = sink->Begin({{"a", "INTEGER"}});
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code(), ErrorCode::kCancelled);
}

TEST(TableTextTest, FitsTheWidthAndNamesWhatIsLeftOut) {
  Terminal terminal({});
  TextTable table;
  for (int i = 0; i < 12; ++i) table.columns.push_back({"column_" + std::to_string(i)});
  std::vector<std::optional<std::string>> row(12, std::string(30, 'x'));
  row[0] = std::nullopt;
  table.Add(row);
  auto text = Draw(table, 80, terminal);
  for (const auto& line : {text.substr(0, text.find('\n'))}) EXPECT_LE(DisplayWidth(line), 80U);
  EXPECT_NE(text.find("NULL"), std::string::npos);
  EXPECT_NE(text.find("not shown"), std::string::npos);
  EXPECT_EQ(Draw(table, 0, terminal).find("not shown"), std::string::npos);
}

TEST(TableTextTest, ControlCharactersDoNotBreakLines) {
  Terminal terminal({});
  TextTable table{.columns = {{"a"}}, .rows = {{"x\ny\x1b[31m"}}};
  auto text = DrawPlain(table, 0, terminal);
  EXPECT_EQ(text, "a\nx\\ny\\x1b[31m\n");
}

TEST(TerminalTest, FitCutsAndFillsByColumns) {
  EXPECT_EQ(Fit("abc", 5), "abc  ");
  EXPECT_EQ(Fit("abc", 5, true), "  abc");
  EXPECT_EQ(Fit("abcdef", 4), "abc…");
  EXPECT_EQ(Fit("日本語", 4), "日… ");
  EXPECT_EQ(DisplayWidth("é日"), 3U);
}

}  // namespace
}  // namespace quern::cli
