#pragma once
#include <duckdb.hpp>
#include <duckdb/planner/expression.hpp>
#include <duckdb/planner/table_filter.hpp>

#include "delta/predicate.h"
#include "warehouse/types.h"

namespace quern::warehouse {

/// The scan whose filters are translated: columns by the position in the scan's list.
struct ScanColumns {
  duck::idx_t table_index = 0;
  std::vector<duck::column_t> ids;  ///< position -> column of the table
  const delta::StructType* schema = nullptr;
};

/// The filters (all must hold) as far as they can be judged by statistics; what cannot is unknown, never
/// wrong.
delta::Predicate PredicateOf(const duck::vector<duck::unique_ptr<duck::Expression>>& filters,
                             const ScanColumns& columns);
/// Filters that came up at run time; their keys are positions in the scan's list.
delta::Predicate PredicateOf(const duck::TableFilterSet& filters, const ScanColumns& columns);

}  // namespace quern::warehouse
