#include <gtest/gtest.h>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/help.h"
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
    for (const auto& option : command.options) {
      EXPECT_FALSE(option.help.empty()) << command.name << " " << option.names;
      EXPECT_EQ(option.arity == Arity::kFlag, option.value.empty()) << command.name << " " << option.names;
    }
    for (const auto& positional : command.positionals) EXPECT_FALSE(positional.help.empty()) << command.name;
    EXPECT_NE(CommandsAsMarkdown().find("## quern " + command.name), std::string::npos);
  }
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
