#pragma once
#include "dbt/context/render_context.h"

namespace quern::dbt {

/// The arguments of a generic test, rendered as dbt does: texts with braces, and texts that are one call of ref,
/// source, var, env_var or doc; the column's name stays as it is. `kwargs` is a dict.
Result<jinja::Value> RenderTestKwargs(const Workspace& workspace, const jinja::Value& kwargs, const SourcePos& pos,
                                      const std::string& package, RenderContext& context);

}  // namespace quern::dbt
