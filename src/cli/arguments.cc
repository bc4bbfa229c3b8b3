#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <set>

#include "base/text.h"

namespace quern::cli {
namespace {

std::string LongName(const OptionSpec& option) {
  return Split(option.names, ',').back();
}

Error Usage(std::string message) {
  return Error(ErrorCode::kUsage, std::move(message));
}

// Reports what CLI11 left over: an unknown option, or a word too many.
Error Leftover(const CommandSpec& command, const std::string& word) {
  auto run_help = fmt::format("quern {} --help lists what it takes", command.name);
  if (word.starts_with("-") && word.size() > 1) {
    std::vector<std::string> known;
    for (const auto& option : command.options) {
      for (auto& name : Split(option.names, ',')) known.push_back(std::move(name));
    }
    auto name = word.substr(0, word.find('='));
    auto hint = DidYouMean(name, known);
    return Usage(fmt::format("quern {} has no option '{}'", command.name, name)).Hint(hint.empty() ? run_help : hint);
  }
  if (command.positionals.empty()) {
    return Usage(fmt::format("quern {} takes no argument, '{}' was given", command.name, word)).Hint(run_help);
  }
  return Usage(fmt::format("one argument too many for quern {}: '{}'", command.name, word)).Hint(run_help);
}

}  // namespace

std::string OptionSpec::Key() const {
  auto name = LongName(*this);
  return name.substr(name.find_first_not_of('-'));
}

std::optional<std::string> Arguments::Get(const std::string& key) const {
  auto it = options_.find(key);
  if (it == options_.end() || it->second.empty()) return std::nullopt;
  return it->second.back();
}

std::vector<std::string> Arguments::List(const std::string& key) const {
  auto it = options_.find(key);
  return it == options_.end() ? std::vector<std::string>{} : it->second;
}

std::optional<std::string> Arguments::Positional(const std::string& name) const {
  auto it = positionals_.find(name);
  if (it == positionals_.end() || it->second.empty()) return std::nullopt;
  return it->second.front();
}

std::vector<std::string> Arguments::Positionals(const std::string& name) const {
  auto it = positionals_.find(name);
  return it == positionals_.end() ? std::vector<std::string>{} : it->second;
}

Result<std::optional<int64_t>> Arguments::Int(const std::string& key, int64_t least) const {
  auto text = Get(key);
  if (!text) return std::nullopt;
  int64_t value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < least) {
    return Fail(Usage(fmt::format("--{} must be a whole number of at least {}, it is '{}'", key, least, *text)));
  }
  return value;
}

Result<Arguments> ParseArguments(const CommandSpec& command, std::vector<std::string> words) {
  Arguments out;
  CLI::App app;
  app.set_help_flag();  // help is printed from the table
  app.allow_extras();
  std::map<std::string, std::vector<std::string>> values;
  std::map<std::string, bool> flags;
  for (const auto& option : command.options) {
    auto key = option.Key();
    if (option.arity == Arity::kFlag) {
      app.add_flag(option.names, flags[key]);
    } else {
      auto* added = app.add_option(option.names, values[key]);
      if (option.arity == Arity::kOne) {
        // CLI11 would take all words that follow, since they are kept in a vector.
        added->expected(1)->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
      } else {
        added->expected(1, 1 << 20);
      }
    }
  }
  std::vector<std::string> given;  // positionals, handed out below: CLI11's own messages are not for users
  if (!command.positionals.empty()) app.add_option("words", given)->expected(0, 1 << 20);
  std::reverse(words.begin(), words.end());  // CLI11 takes the words from the back
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& e) {
    return Fail(Usage(fmt::format("quern {}: {}", command.name, e.what()))
                    .Hint(fmt::format("quern {} --help lists what it takes", command.name)));
  }
  for (const auto& word : app.remaining()) {
    if (word != "--") return Fail(Leftover(command, word));
  }
  for (const auto& option : command.options) {
    auto key = option.Key();
    if (option.arity == Arity::kFlag) {
      if (flags[key]) out.options_[key] = {};
      continue;
    }
    if (values[key].empty()) continue;
    for (const auto& value : values[key]) {
      if (option.choices.empty() ||
          std::find(option.choices.begin(), option.choices.end(), value) != option.choices.end())
        continue;
      return Fail(Usage(fmt::format("--{} cannot be '{}': it is one of {}", key, value, Join(option.choices, ", ")))
                      .Hint(DidYouMean(value, option.choices)));
    }
    out.options_[key] = values[key];
  }
  size_t at = 0;
  for (const auto& positional : command.positionals) {
    auto& values_of = out.positionals_[positional.name];
    while (at < given.size() && (positional.many || values_of.empty())) values_of.push_back(given[at++]);
  }
  if (at < given.size()) return Fail(Leftover(command, given[at]));
  if (out.Flag("help")) return out;
  for (const auto& positional : command.positionals) {
    if (positional.required && out.positionals_[positional.name].empty()) {
      return Fail(Usage(fmt::format("quern {} needs {}: {}", command.name, positional.name, positional.help)));
    }
  }
  return out;
}

Result<Dispatch> FindCommand(const std::vector<CommandSpec>& commands, const std::vector<std::string>& words) {
  std::set<std::string> valued;  // options whose next word is a value
  for (const auto& command : commands) {
    for (const auto& option : command.options) {
      if (option.arity == Arity::kFlag) continue;
      for (auto& name : Split(option.names, ',')) valued.insert(std::move(name));
    }
  }
  Dispatch out;
  size_t at = 0;
  while (at < words.size() && words[at].starts_with("-")) at += valued.contains(words[at]) ? 2 : 1;
  if (at >= words.size()) return Dispatch{nullptr, words};

  const std::string& name = words[at];
  std::vector<std::string> names, subcommands;
  for (const auto& command : commands) {
    auto parts = Split(command.name, ' ');
    if (!command.hidden) names.push_back(parts[0]);
    if (parts[0] != name) continue;
    if (parts.size() == 1) {
      out.command = &command;
      out.rest.assign(words.begin(), words.begin() + static_cast<ptrdiff_t>(at));
      out.rest.insert(out.rest.end(), words.begin() + static_cast<ptrdiff_t>(at) + 1, words.end());
      return out;
    }
    subcommands.push_back(parts[1]);
    if (at + 1 < words.size() && words[at + 1] == parts[1]) {
      out.command = &command;
      out.rest.assign(words.begin(), words.begin() + static_cast<ptrdiff_t>(at));
      out.rest.insert(out.rest.end(), words.begin() + static_cast<ptrdiff_t>(at) + 2, words.end());
      return out;
    }
  }
  if (!subcommands.empty()) {
    auto list = fmt::format("quern {} has: {}", name, Join(subcommands, ", "));
    if (at + 1 >= words.size() || words[at + 1].starts_with("-")) {
      return Fail(Usage(fmt::format("quern {} needs one more word", name)).Hint(list));
    }
    auto hint = DidYouMean(words[at + 1], subcommands);
    return Fail(
        Usage(fmt::format("there is no command 'quern {} {}'", name, words[at + 1])).Hint(hint.empty() ? list : hint));
  }
  auto hint = DidYouMean(name, names);
  return Fail(
      Usage(fmt::format("there is no command '{}'", name)).Hint(hint.empty() ? "quern help lists the commands" : hint));
}

}  // namespace quern::cli
