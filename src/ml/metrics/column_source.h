#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/connection.h"
#include "ml/metrics/profile.h"
#include "ml/metrics/value_stream.h"

namespace quern::ml {

/// A query and its columns; an empty one has no columns.
struct Relation {
  std::string sql;
  std::vector<engine::Column> columns;
  /// Null when there is no such column (names compared without case).
  const engine::Column* Find(std::string_view name) const;
};
Result<Relation> DescribeRelation(engine::Connection& connection, std::string_view sql);

/// A numeric type by its SQL: integers that a BIGINT holds and truth values as integers, other numbers as DOUBLE.
bool IsNumber(const std::string& type);

/// Calls `visit` with each numeric feature's place in `features` and its values, from several threads at once, in no
/// order; it must not use `connection`. Only features that are a number wherever they are there are visited. Each
/// relation is counted, then read once for every group of columns whose values fit in memory.
Result<void> ForEachNumericColumn(engine::Connection& connection, const Relation& reference, const Relation& current,
                                  const std::vector<FeatureColumn>& features, const ColumnOptions& options,
                                  const std::function<Result<void>(size_t, const ValueStream&)>& visit);

/// How many distinct values occur `reference` times in one relation and `current` times in the other: all that the
/// figures of categories depend on.
struct PairCount {
  int64_t reference = 0;
  int64_t current = 0;
  int64_t values = 0;
};

struct CategoryCounts {
  ColumnCounts reference;
  ColumnCounts current;
  std::vector<PairCount> pairs;
  int64_t values = 0;  ///< distinct ones
  PairCount first;     ///< of the smallest value
};
/// Values are compared in their own type when both relations have it or both have numbers, else as text; NaN and
/// infinities are nulls.
Result<CategoryCounts> CountCategories(engine::Connection& connection, const Relation& reference,
                                       const Relation& current, const std::string& feature);

/// The most frequent values as text, ties in the text's order.
Result<std::vector<std::pair<std::string, int64_t>>> TopCategories(engine::Connection& connection,
                                                                   const Relation& relation, const std::string& feature,
                                                                   int count);

}  // namespace quern::ml
