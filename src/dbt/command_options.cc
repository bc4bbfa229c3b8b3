#include "dbt/command_options.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "base/yaml.h"

namespace quern::dbt {

namespace {

const std::vector<std::string> kCommands = {"run", "build", "test", "seed", "snapshot", "compile", "ls", "parse"};
const std::vector<std::string> kOtherCommands = {"deps",          "docs",  "source", "init",  "debug",    "clean",
                                                 "run-operation", "retry", "show",   "clone", "freshness"};

const std::vector<std::string> kValueOptions = {"--project-dir",
                                                "--profiles-dir",
                                                "--profile",
                                                "--target",
                                                "--target-path",
                                                "--threads",
                                                "--vars",
                                                "--indirect-selection",
                                                "--output",
                                                "--log-path",
                                                "--log-level",
                                                "--log-format",
                                                "--printer-width",
                                                "--log-level-file",
                                                "--log-format-file",
                                                "--log-file-max-bytes"};
const std::vector<std::string> kListOptions = {"--select",
                                               "--exclude",
                                               "--models",
                                               "--resource-type",
                                               "--resource-types",
                                               "--exclude-resource-type",
                                               "--exclude-resource-types",
                                               "--output-keys"};
const std::vector<std::string> kFlags = {"--full-refresh", "--fail-fast", "--store-failures", "--quiet",
                                         "--warn-error"};
// they change how dbt works or what it prints, not what is built
const std::vector<std::string> kIgnored = {"--partial-parse",
                                           "--use-colors",
                                           "--version-check",
                                           "--static-parser",
                                           "--send-anonymous-usage-stats",
                                           "--cache-selected-only",
                                           "--populate-cache",
                                           "--print",
                                           "--write-json",
                                           "--debug",
                                           "--use-colors-file",
                                           "--introspect",
                                           "--use-experimental-parser",
                                           "--log-cache-events",
                                           "--single-threaded",
                                           "--show-all-deprecations"};
const std::vector<std::string> kRefused = {"--selector",
                                           "--state",
                                           "--defer",
                                           "--empty",
                                           "--inline",
                                           "--favor-state",
                                           "--sample",
                                           "--event-time-start",
                                           "--event-time-end",
                                           "--defer-state",
                                           "--warn-error-options"};

std::string Long(const std::string& option) {
  static const std::map<std::string, std::string> shorts = {{"-s", "--select"},
                                                            {"-m", "--select"},
                                                            {"--models", "--select"},
                                                            {"--model", "--select"},
                                                            {"-t", "--target"},
                                                            {"-x", "--fail-fast"},
                                                            {"-f", "--full-refresh"},
                                                            {"-q", "--quiet"},
                                                            {"-d", "--debug"},
                                                            {"--resource-types", "--resource-type"},
                                                            {"--exclude-resource-types", "--exclude-resource-type"}};
  auto it = shorts.find(option);
  return it == shorts.end() ? option : it->second;
}

bool In(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

Error Usage(std::string message) {
  return Error(ErrorCode::kUsage, std::move(message));
}

}  // namespace

Result<CommandOptions> ParseCommandLine(const std::vector<std::string>& args) {
  CommandOptions out;
  bool models_only = false, selected = false;
  std::vector<std::string> known = kValueOptions;
  for (const auto* list : {&kListOptions, &kFlags, &kIgnored, &kRefused})
    known.insert(known.end(), list->begin(), list->end());
  for (size_t i = 0; i < args.size(); ++i) {
    std::string word = args[i];
    if (word == "-h" || word == "--help" || word == "help") {
      out.command = "help";
      return out;
    }
    if (word.empty() || word[0] != '-') {
      if (!out.command.empty())
        return Fail(Usage("'" + word + "' is one word too many")
                        .Hint("options take their values right behind them: --select " + word));
      std::string command = word == "list" ? "ls" : word;
      if (In(kOtherCommands, command))
        return Fail(Usage("'quern dbt " + command + "' is not built").Hint("built are " + Join(kCommands, ", ")));
      if (!In(kCommands, command)) {
        std::string hint = DidYouMean(command, kCommands);
        return Fail(Usage("there is no command '" + command + "'")
                        .Hint(hint.empty() ? "built are " + Join(kCommands, ", ") : hint));
      }
      out.command = command;
      continue;
    }
    std::optional<std::string> inline_value;
    if (size_t equals = word.find('='); equals != std::string::npos && word.rfind("--", 0) == 0) {
      inline_value = word.substr(equals + 1);
      word = word.substr(0, equals);
    }
    std::string option = Long(word);
    if (In(kRefused, option)) return Fail(Usage(option + " is not built"));
    if (In(kFlags, option)) {
      if (option == "--full-refresh") out.full_refresh = true;
      if (option == "--fail-fast") out.fail_fast = true;
      if (option == "--store-failures") out.store_failures = true;
      if (option == "--quiet") out.quiet = true;
      if (option == "--warn-error") out.warn_error = true;
      continue;
    }
    if (option.rfind("--no-", 0) == 0) {
      std::string positive = "--" + option.substr(5);
      if (In(kFlags, positive) || In(kIgnored, positive) || In(kRefused, positive)) continue;
    }
    if (In(kIgnored, option)) continue;
    if (In(kListOptions, option)) {
      std::vector<std::string> values;
      if (inline_value) {
        values.push_back(*inline_value);
      } else {
        while (i + 1 < args.size() && !args[i + 1].empty() && args[i + 1][0] != '-') values.push_back(args[++i]);
      }
      if (values.empty()) return Fail(Usage(option + " needs a value"));
      std::vector<std::string>& to = option == "--select"                  ? out.select
                                     : option == "--exclude"               ? out.exclude
                                     : option == "--resource-type"         ? out.resource_types
                                     : option == "--exclude-resource-type" ? out.exclude_resource_types
                                                                           : out.output_keys;
      if (option == "--output-keys" || option == "--resource-type" || option == "--exclude-resource-type") {
        for (const std::string& value : values) {
          for (std::string& one : SplitWords(value)) to.push_back(std::move(one));
        }
      } else {
        to.insert(to.end(), values.begin(), values.end());
      }
      if (option == "--select") (word == "-s" || word == "--select" ? selected : models_only) = true;
      if (models_only && selected) return Fail(Usage("--models and --select exclude each other"));
      continue;
    }
    if (In(kValueOptions, option)) {
      std::string value;
      if (inline_value) {
        value = *inline_value;
      } else {
        if (i + 1 >= args.size()) return Fail(Usage(option + " needs a value"));
        value = args[++i];
      }
      if (option == "--project-dir") out.project_dir = value;
      if (option == "--profiles-dir") out.profiles_dir = value;
      if (option == "--profile") out.profile = value;
      if (option == "--target") out.target = value;
      if (option == "--target-path") out.target_path = value;
      if (option == "--indirect-selection") out.indirect = value;
      if (option == "--output") out.output = value;
      if (option == "--threads") {
        int threads = std::atoi(value.c_str());
        if (threads < 1) return Fail(Usage("--threads must be a whole number from 1, not '" + value + "'"));
        out.threads = threads;
      }
      if (option == "--vars") {
        Result<Yaml> yaml = Yaml::Parse(value, "--vars");
        if (!yaml) return Fail(std::move(yaml).error());
        if (!yaml->is_mapping())
          return Fail(Usage("--vars must be a mapping, as in --vars '{key: value}', not " + yaml->KindName()));
        out.vars.update(yaml->ToJson());
      }
      continue;
    }
    std::string hint = DidYouMean(option, known);
    return Fail(Usage("there is no option '" + word + "'").Hint(hint.empty() ? "quern dbt --help lists them" : hint));
  }
  static const std::vector<std::string> kKinds = {"all",       "default", "model",    "test",           "data_test",
                                                  "unit_test", "seed",    "snapshot", "source",         "exposure",
                                                  "analysis",  "metric",  "function", "semantic_model", "saved_query"};
  for (const auto* kinds : {&out.resource_types, &out.exclude_resource_types}) {
    for (const std::string& kind : *kinds) {
      if (!In(kKinds, kind))
        return Fail(Usage("there is no resource type '" + kind + "'").Hint(DidYouMean(kind, kKinds)));
    }
  }
  // As dbt has it: --models is --select, but `ls` lists models only for it.
  if (models_only && out.command == "ls") {
    if (!out.resource_types.empty()) return Fail(Usage("--models and --resource-type exclude each other"));
    out.resource_types = {"model"};
  }
  static const std::vector<std::string> kOutputs = {"selector", "name", "path", "json"};
  if (!In(kOutputs, out.output))
    return Fail(Usage("--output must be selector, name, path or json, not '" + out.output + "'")
                    .Hint(DidYouMean(out.output, kOutputs)));
  return out;
}

}  // namespace quern::dbt
