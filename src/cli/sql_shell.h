#pragma once
#include "cli/invocation.h"
#include "cli/sql_text.h"
#include "warehouse/warehouse.h"

namespace quern::cli {

/// The interactive shell of `quern sql`: line editing, history, statements over several lines, a few dot-commands.
int RunShell(Invocation& invocation, warehouse::Warehouse& warehouse, warehouse::Session& session, int64_t limit);

/// A result for people, with the time it took.
void ShowResult(const engine::QueryResult& result, int64_t limit, const Terminal& terminal, double seconds);

/// The error of one statement with its place in the whole text (`file` when that is one).
Error Relocated(const Error& error, const std::string& whole, const Statement& statement, const std::string& file);

}  // namespace quern::cli
