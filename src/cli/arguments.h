#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace quern::cli {

struct Invocation;

/// How many values an option takes.
enum class Arity {
  kFlag,  ///< none
  kOne,
  kMany,  ///< one or more, until the next option; may be repeated
};

/// One option, as --help, the reference page and the parser know it.
struct OptionSpec {
  std::string names;  ///< "-s,--select"; the last one is its key in Arguments
  Arity arity = Arity::kFlag;
  std::string value;  ///< what stands for the value in help: "DIR"
  std::string help;
  std::vector<std::string> choices;  ///< when not empty, the only values allowed

  std::string Key() const;  ///< "select"
};

struct PositionalSpec {
  std::string name;  ///< "SCHEDULE"
  std::string help;
  bool required = false;
  bool many = false;
};

/// One command of the program. The table of all is commands.cc.
struct CommandSpec {
  std::string name = {};     ///< "run", "table show"
  std::string summary = {};  ///< one line
  std::string about = {};    ///< further paragraphs for --help and the reference page; may be empty
  std::vector<PositionalSpec> positionals = {};
  std::vector<OptionSpec> options = {};
  std::vector<std::pair<std::string, std::string>> examples = {};  ///< command line, what it does
  int (*run)(Invocation&) = nullptr;
  bool passes_through = false;  ///< everything after the name is handed on unparsed
  bool hidden = false;          ///< not in the list of commands
};

/// What the user gave for one command.
class Arguments {
 public:
  bool Flag(const std::string& key) const { return options_.contains(key); }
  /// The last value given.
  std::optional<std::string> Get(const std::string& key) const;
  std::string GetOr(const std::string& key, std::string otherwise) const {
    return Get(key).value_or(std::move(otherwise));
  }
  std::vector<std::string> List(const std::string& key) const;
  /// A positional by its name in the table.
  std::optional<std::string> Positional(const std::string& name) const;
  std::vector<std::string> Positionals(const std::string& name) const;
  /// A whole number of at least `least`. Errors: kUsage.
  Result<std::optional<int64_t>> Int(const std::string& key, int64_t least) const;

 private:
  friend Result<Arguments> ParseArguments(const CommandSpec&, std::vector<std::string>);
  std::map<std::string, std::vector<std::string>> options_;
  std::map<std::string, std::vector<std::string>> positionals_;
};

/// Errors: kUsage, with "did you mean" for an unknown option or choice.
Result<Arguments> ParseArguments(const CommandSpec& command, std::vector<std::string> words);

/// Splits the command line into the command and the words that remain. The command's name may stand after options.
/// Errors: kUsage for an unknown command; `command` null when none was named.
struct Dispatch {
  const CommandSpec* command = nullptr;
  std::vector<std::string> rest;
};
Result<Dispatch> FindCommand(const std::vector<CommandSpec>& commands, const std::vector<std::string>& words);

}  // namespace quern::cli
