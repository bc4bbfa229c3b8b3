#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "dbt/manifest.h"

namespace quern::dbt {

class Workspace;

/// What compiling a node gave.
struct CompiledCode {
  std::string code;  ///< with ephemeral models' code put in front
  std::string path;  ///< of the compiled file, relative to the project: "target/compiled/shop/models/a.sql"
  struct Cte {
    std::string id;
    std::string sql;
  };
  std::vector<Cte> extra_ctes;
};

/// How a node's run ended, in the words of run_results.json.
struct NodeResult {
  std::string unique_id;
  std::string status;   ///< success, error, skipped; tests: pass, warn, fail, error, skipped
  std::string message;  ///< "" is written as null
  std::optional<int64_t> failures;
  double execution_time = 0;  ///< seconds
  std::string thread_id = "Thread-1";
  Json adapter_response = Json::object();
  std::optional<Interval> compiling, executing;
  std::optional<std::string> compiled_code;  ///< nothing for seeds and for what was not compiled
  std::optional<std::string> relation_name;
};

/// A node, source or exposure as the manifest writes it (also what `graph` and `model` show to templates).
Json NodeJson(const ManifestNode& node, const CompiledCode* compiled = nullptr);
Json MacroJson(const MacroNode& macro);

/// manifest.json, schema v12. `compiled` by unique id.
Json ManifestJson(const Workspace& workspace, const std::map<std::string, CompiledCode>& compiled);
/// run_results.json, schema v6. `elapsed` in seconds.
Json RunResultsJson(const Workspace& workspace, const std::vector<NodeResult>& results, double elapsed);

}  // namespace quern::dbt
