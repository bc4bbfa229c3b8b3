#pragma once
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/yaml.h"
#include "schedule/node_provider.h"

namespace quern::script {

enum class WriteMode { kReplace, kAppend };

/// A table that a script writes.
struct ScriptWrite {
  schedule::TableRef table;
  WriteMode mode = WriteMode::kReplace;
  std::string format;  ///< parquet or jsonl; "": either, by the files' names
  SourcePos pos;
  std::string Name() const { return table.schema + "." + table.table; }
};

/// One entry of scripts/*.yml.
struct ScriptConfig {
  std::string name;
  std::string description;
  std::vector<std::string> tags;
  std::vector<std::string> argv;       ///< either this
  std::string shell;                   ///< or a text for `sh -c`
  std::filesystem::path requirements;  ///< relative to the project; empty: no Python environment
  SourcePos requirements_pos;
  std::map<std::string, std::string> variables;
  std::vector<schedule::Read> reads;
  std::vector<ScriptWrite> writes;
  std::vector<std::string> depends_on;
  SourcePos depends_on_pos;
  std::optional<std::chrono::milliseconds> timeout;
  std::string timeout_text;  ///< as written: "10m"
  int retries = 0;
  std::string retry_delay;
  SourcePos pos;
  std::filesystem::path file;  ///< relative to the project

  std::string id() const { return "script." + name; }
};

/// Reads one file's text. `file` is how it is named to the user. Everything wrong goes to `diagnostics`.
std::vector<ScriptConfig> ParseScripts(std::string_view text, const std::string& file, Diagnostics& diagnostics);

/// "500ms", "90s", "10m", "2h", or a whole number of seconds.
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);

}  // namespace quern::script
