#pragma once
#include <string>
#include <vector>

#include "dbt/artifacts.h"
#include "dbt/context/render_context.h"

namespace quern::dbt {

/// A node's code as it is run: ephemeral parents put in front as CTEs, every part mapped to the user's files.
struct Compiled {
  jinja::Value code;    ///< text with its map
  CompiledCode record;  ///< for artifacts; `path` is set when the file is written
};

/// Renders a node with execute = true. `context` is the node's own; its session answers introspective queries.
/// Errors: those of templates, with places; kSql... of queries that templates run.
Result<Compiled> CompileNode(const Workspace& workspace, const ManifestNode& node, RenderContext& context);

/// Puts CTEs in front of a query: after its own WITH, or with a new one.
struct MappedCode {
  std::string text;
  jinja::OutputMap map;
};
MappedCode InjectCtes(const MappedCode& sql, const std::vector<MappedCode>& ctes);

}  // namespace quern::dbt
