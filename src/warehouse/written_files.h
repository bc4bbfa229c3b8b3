#pragma once
#include <duckdb.hpp>

#include "delta/actions.h"
#include "warehouse/catalog.h"

namespace quern::warehouse {

/// The Add of one file that DuckDB's COPY wrote for the table: a row of its "written file statistics" (also
/// RETURN_STATS). Errors: kInternal when the row is none.
Result<delta::Add> AddOf(const TableView& view, const duck::vector<duck::Value>& row, int64_t now_ms);

/// Writes the rows that are left of `files` (each with an overlay) into new files whose names begin with
/// `prefix`. Stops with kCancelled when `outer` is interrupted.
Result<std::vector<delta::Add>> RewriteFiles(duck::ClientContext& outer, Storage& storage, const TableView& view,
                                             std::vector<TableView::File> files, const std::string& prefix);

/// Beyond this size a write goes on with another file.
inline constexpr int64_t kTargetFileBytes = int64_t{256} << 20;

}  // namespace quern::warehouse
