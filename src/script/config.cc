#include "script/config.h"

#include <fmt/format.h>

#include <charconv>
#include <set>

#include "base/text.h"

namespace quern::script {
namespace {

bool IsName(std::string_view text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
                              std::string_view::npos;
}

std::optional<schedule::TableRef> ParseTable(const Yaml& node, Diagnostics& diagnostics) {
  auto parts = Split(node.text(), '.');
  if (node.is_scalar() && parts.size() == 2 && IsName(parts[0]) && IsName(parts[1]))
    return schedule::TableRef{parts[0], parts[1]};
  diagnostics.Add(Error(ErrorCode::kInvalidArgument,
                        fmt::format("'{}' is no table", node.is_scalar() ? node.text() : node.KindName()))
                      .At(node.pos())
                      .Hint("write schema.table, such as raw.orders"));
  return std::nullopt;
}

const std::vector<Yaml>& ItemsOf(const Yaml* list, const char* what, Diagnostics& diagnostics) {
  static const std::vector<Yaml> kNone;
  if (!list) return kNone;
  if (!list->is_sequence()) {
    diagnostics.Add(Error(ErrorCode::kWrongType, fmt::format("{} must be a list, it is {}", what, list->KindName()))
                        .At(list->pos()));
    return kNone;
  }
  return list->items();
}

void ParseReads(const Yaml* list, const std::string& what, ScriptConfig& out, Diagnostics& diagnostics) {
  for (const auto& item : ItemsOf(list, "'reads'", diagnostics)) {
    if (!item.is_mapping()) {
      if (auto table = ParseTable(item, diagnostics))
        out.reads.push_back({*table, schedule::ReadMode::kCurrent, item.pos()});
      continue;
    }
    YamlMap map(item, "a read of " + what, diagnostics);
    map.RequiredString("table");
    auto as_of = map.Choice("as_of", {"current", "before_run"});
    const Yaml* name = map.Get("table");
    map.Finish();
    if (!name) continue;
    if (auto table = ParseTable(*name, diagnostics)) {
      out.reads.push_back(
          {*table, as_of == "before_run" ? schedule::ReadMode::kBeforeRun : schedule::ReadMode::kCurrent, name->pos()});
    }
  }
}

void ParseWrites(const Yaml* list, const std::string& what, ScriptConfig& out, Diagnostics& diagnostics) {
  std::set<std::string> seen;
  for (const auto& item : ItemsOf(list, "'writes'", diagnostics)) {
    ScriptWrite write;
    write.pos = item.pos();
    std::optional<schedule::TableRef> table;
    if (!item.is_mapping()) {
      table = ParseTable(item, diagnostics);
    } else {
      YamlMap map(item, "a write of " + what, diagnostics);
      map.RequiredString("table");
      write.mode = map.Choice("mode", {"replace", "append"}) == "append" ? WriteMode::kAppend : WriteMode::kReplace;
      write.format = map.Choice("format", {"parquet", "jsonl"}).value_or("");
      if (const Yaml* name = map.Get("table")) table = ParseTable(*name, diagnostics);
      map.Finish();
    }
    if (!table) continue;
    write.table = *table;
    if (!seen.insert(table->Key()).second) {
      diagnostics.Add(Error(ErrorCode::kInvalidArgument, fmt::format("{} names the table {} twice", what, write.Name()))
                          .At(item.pos()));
      continue;
    }
    out.writes.push_back(std::move(write));
  }
}

void ParseEnvironment(const Yaml* node, const std::string& what, ScriptConfig& out, Diagnostics& diagnostics) {
  if (!node) return;
  YamlMap map(*node, "the environment of " + what, diagnostics);
  if (auto file = map.String("requirements")) {
    out.requirements = *file;
    out.requirements_pos = map.PosOf("requirements");
  }
  if (const Yaml* variables = map.Get("variables")) {
    for (const auto& [key, value] : variables->entries()) {
      if (!value.is_scalar()) {
        diagnostics.Add(Error(ErrorCode::kWrongType,
                              fmt::format("the variable '{}' must be text, it is {}", key.text(), value.KindName()))
                            .At(value.pos()));
      } else if (key.text().rfind("QUERN_", 0) == 0) {
        diagnostics.Add(Error(ErrorCode::kInvalidArgument,
                              fmt::format("the variable '{}' would hide one of Quern's own", key.text()))
                            .At(key.pos())
                            .Hint("choose a name that does not begin with QUERN_"));
      } else {
        out.variables[key.text()] = value.text();
      }
    }
    if (!variables->is_mapping()) {
      diagnostics.Add(
          Error(ErrorCode::kWrongType, fmt::format("'variables' must be a mapping, it is {}", variables->KindName()))
              .At(variables->pos()));
    }
  }
  map.Finish();
}

ScriptConfig ParseScript(const Yaml& node, const std::string& file, Diagnostics& diagnostics) {
  ScriptConfig out;
  out.file = file;
  out.pos = node.pos();
  const Yaml* named = node.Find("name");
  std::string what = named && named->is_scalar() ? fmt::format("script '{}'", named->text()) : "a script";
  YamlMap map(node, what, diagnostics);
  out.name = map.RequiredString("name");
  if (!out.name.empty() && !IsName(out.name)) {
    diagnostics.Add(Error(ErrorCode::kInvalidArgument, fmt::format("'{}' cannot be a script's name", out.name))
                        .At(map.PosOf("name"))
                        .Hint("letters, digits, _ and - make a name"));
  }
  out.description = map.String("description").value_or("");
  out.tags = map.Strings("tags").value_or(std::vector<std::string>());
  const Yaml* command = map.Get("command");
  if (!command) {
    diagnostics.Add(Error(ErrorCode::kMissingKey, fmt::format("{} needs 'command'", what))
                        .At(node.pos())
                        .Hint("a list of words, or a text for the shell"));
  } else if (command->is_sequence()) {
    out.argv = map.Strings("command").value_or(std::vector<std::string>());
    if (out.argv.empty())
      diagnostics.Add(
          Error(ErrorCode::kInvalidArgument, fmt::format("'command' of {} is empty", what)).At(command->pos()));
  } else {
    out.shell = map.String("command").value_or("");
  }
  ParseEnvironment(map.Get("environment"), what, out, diagnostics);
  ParseReads(map.Get("reads"), what, out, diagnostics);
  ParseWrites(map.Get("writes"), what, out, diagnostics);
  out.depends_on = map.Strings("depends_on").value_or(std::vector<std::string>());
  out.depends_on_pos = map.PosOf("depends_on");
  if (auto text = map.String("timeout")) {
    out.timeout_text = *text;
    out.timeout = ParseDuration(*text);
    if (!out.timeout || out.timeout->count() <= 0) {
      diagnostics.Add(Error(ErrorCode::kInvalidArgument, fmt::format("'timeout' of {} cannot be '{}'", what, *text))
                          .At(map.PosOf("timeout"))
                          .Hint("write 90s, 10m or 2h"));
    }
  }
  if (auto retries = map.Int("retries")) {
    if (*retries < 0 || *retries > 1000) {
      diagnostics.Add(Error(ErrorCode::kInvalidArgument, fmt::format("'retries' of {} must be from 0 to 1000", what))
                          .At(map.PosOf("retries")));
    } else {
      out.retries = static_cast<int>(*retries);
    }
  }
  if (auto delay = map.String("retry_delay")) {
    out.retry_delay = *delay;
    if (!ParseDuration(*delay)) {
      diagnostics.Add(
          Error(ErrorCode::kInvalidArgument, fmt::format("'retry_delay' of {} cannot be '{}'", what, *delay))
              .At(map.PosOf("retry_delay"))
              .Hint("write 30s or 5m"));
    }
  }
  map.Finish();
  return out;
}

}  // namespace

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || number > 1'000'000'000) return std::nullopt;
  std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (unit == "ms") return std::chrono::milliseconds(number);
  if (unit.empty() || unit == "s") return std::chrono::seconds(number);
  if (unit == "m") return std::chrono::minutes(number);
  if (unit == "h") return std::chrono::hours(number);
  return std::nullopt;
}

std::vector<ScriptConfig> ParseScripts(std::string_view text, const std::string& file, Diagnostics& diagnostics) {
  auto root = Yaml::Parse(text, file);
  if (!diagnostics.Check(root)) return {};
  YamlMap map(*root, "the file", diagnostics);
  std::vector<ScriptConfig> out;
  for (const auto& item : ItemsOf(map.Get("scripts"), "'scripts'", diagnostics)) {
    auto script = ParseScript(item, file, diagnostics);
    if (!script.name.empty()) out.push_back(std::move(script));
  }
  map.Finish();
  return out;
}

}  // namespace quern::script
