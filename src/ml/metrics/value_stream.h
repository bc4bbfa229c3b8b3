#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/connection.h"

// The values of a numeric column of two relations (reference and current; one of them may be empty) in order, from
// which every figure falls out.
namespace quern::ml {

/// A distinct value and how many rows of each relation have it.
struct ValueCount {
  double value = 0;
  int64_t reference = 0;
  int64_t current = 0;
};

/// What a column holds of one relation.
struct ColumnCounts {
  int64_t rows = 0;
  int64_t nulls = 0;  ///< NaN too
  int64_t infinities = 0;
  int64_t values() const { return rows - nulls - infinities; }
};

class ValueStream {
 public:
  virtual ~ValueStream() = default;
  /// The distinct finite values in ascending order, in pieces. May be called again.
  virtual Result<void> ForEach(const std::function<void(std::span<const ValueCount>)>& visit) const = 0;
  /// For each edge (ascending), how many values of each relation are below it.
  virtual Result<std::vector<std::pair<int64_t, int64_t>>> CountBelow(const std::vector<double>& edges) const = 0;

  ColumnCounts reference;
  ColumnCounts current;
  /// Both have an integer type, and every row a value: pandas would hold them as integers.
  bool integers = false;
};

/// The values of one relation's column, as they come: 8 bytes each.
class ColumnValues {
 public:
  void Reserve(int64_t rows) { keys_.reserve(static_cast<size_t>(rows)); }
  /// `as_integers`: the batch has integers that are not to become doubles.
  void Append(const engine::BatchColumn& column, size_t rows, bool as_integers);
  /// In ascending order. `scratch` is used and may be shared by successive calls.
  void Sort(std::vector<uint64_t>& scratch);
  const std::vector<uint64_t>& keys() const { return keys_; }
  const ColumnCounts& counts() const { return counts_; }

 private:
  std::vector<uint64_t> keys_;  // in the order of the values
  ColumnCounts counts_;
};

/// Values held in memory; both are sorted.
std::unique_ptr<ValueStream> MemoryStream(ColumnValues reference, ColumnValues current, bool integers);

/// Values that the engine sorts, for each call anew: for columns larger than memory. `reference` and `current` are SQL
/// queries with one column `v`; "" for a relation that is not there. `connection` must live as long.
Result<std::unique_ptr<ValueStream>> EngineStream(engine::Connection& connection, std::string reference,
                                                  std::string current, bool integers);

}  // namespace quern::ml
