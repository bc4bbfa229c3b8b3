#pragma once
#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/connection.h"

// SQL that aggregates a relation and each of its slices in one pass.
namespace quern::ml {

/// The pieces of SELECT set, value, keys..., aggregates FROM (SELECT columns ...) GROUP BY sets ORDER BY order.
class SliceSql {
 public:
  /// A column named twice counts once.
  explicit SliceSql(const std::vector<std::string>& slices);

  const std::vector<std::string>& names() const { return names_; }
  /// Of the inner SELECT, each followed by a comma.
  const std::string& columns() const { return columns_; }
  /// "set, value": 0 and null for all rows, else the 1-based place of the slice's column and its value as text.
  const std::string& select() const { return select_; }
  /// "GROUPING SETS (...)", each with `keys` ("" or "a, b").
  std::string Sets(std::string_view keys) const;
  /// The name of a set: "" for 0.
  const std::string& Name(int64_t set) const;

 private:
  std::vector<std::string> names_;
  std::string columns_;
  std::string select_;
};

/// "__slice0", ...: names of our own for sliced columns, so that one may be called as what a model gives is.
std::vector<std::string> SliceColumns(size_t count);
/// Figures that were taken by SliceColumns, under the slices' own names.
template <class Figures>
Figures WithSliceNames(Figures figures, const std::vector<std::string>& names) {
  const auto columns = SliceColumns(names.size());
  for (auto& one : figures) {
    auto it = std::find(columns.begin(), columns.end(), one.column);
    if (it != columns.end()) one.column = names[static_cast<size_t>(it - columns.begin())];
  }
  return figures;
}

/// "origin=JFK", "origin=null"; "" for all rows.
std::string SliceText(std::string_view column, const std::optional<std::string>& value);

/// A number as a DOUBLE of SQL, exactly.
std::string DoubleSql(double value);

/// Calls `add` with each batch.
Result<void> ForEachBatch(engine::Connection& connection, std::string_view sql,
                          const std::function<Result<void>(const engine::Batch&)>& add);

/// A query of SliceSql::select() and more columns, ordered by the first two: `add` for each row of a slice, then
/// `finish` with its set and value. The slice of all rows comes first, even when there are none.
Result<void> ForEachSlice(engine::Connection& connection, std::string_view sql,
                          const std::function<void(const engine::Batch& batch, size_t row)>& add,
                          const std::function<void(int64_t set, const std::optional<std::string>& value)>& finish);

/// A sum whose rounding does not grow with the number of terms (Neumaier).
class Sum {
 public:
  void Add(double x) {
    const double t = sum_ + x;
    rest_ += std::abs(sum_) >= std::abs(x) ? (sum_ - t) + x : (x - t) + sum_;
    sum_ = t;
  }
  double Get() const { return sum_ + rest_; }

 private:
  double sum_ = 0;
  double rest_ = 0;
};

}  // namespace quern::ml
