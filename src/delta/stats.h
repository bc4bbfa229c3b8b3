#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "delta/actions.h"
#include "delta/literal.h"
#include "delta/schema.h"

namespace quern::delta {

using ColumnPath = std::vector<std::string>;

/// A file's statistics, as views into the JSON text that it was parsed from (which must outlive it). Columns whose name
/// is escaped in JSON are not found.
class FileStats {
 public:
  struct Column {
    std::string_view min;  ///< raw JSON scalar; empty when there is none
    std::string_view max;
    std::optional<int64_t> null_count;
  };

  /// Text that is no JSON object gives empty statistics: they are a help, never needed.
  static FileStats Parse(std::string_view json);

  std::optional<int64_t> num_records() const { return num_records_; }
  /// false: min and max hold, but rows that a deletion vector hides may have set them; null counts are then no lower
  /// bound.
  bool tight_bounds() const { return tight_bounds_; }
  /// By physical names; null when the file says nothing about the column.
  const Column* Find(const ColumnPath& physical_path) const;

 private:
  friend class StatsParser;
  struct Node {
    std::string_view name;  // between the quotes, as in the text
    int parent = -1;
    Column column;
  };
  std::optional<int64_t> num_records_;
  bool tight_bounds_ = true;
  std::vector<Node> nodes_;
};

/// Makes the JSON of add.stats. Columns by physical path; call order does not matter.
class StatsBuilder {
 public:
  void SetNumRecords(int64_t n) { num_records_ = n; }
  void SetTightBounds(bool tight) { tight_bounds_ = tight; }
  void SetNullCount(const ColumnPath& path, int64_t n);
  /// Strings are cut to 32 characters as Spark does: the minimum to a prefix, the maximum to a prefix that sorts after
  /// (or it is left out). Timestamps are written to the millisecond, the maximum rounded up. NaN and types without
  /// statistics are left out.
  void SetMin(const ColumnPath& path, const DataType& type, const Literal& value);
  void SetMax(const ColumnPath& path, const DataType& type, const Literal& value);
  std::string ToJson() const;

 private:
  std::optional<int64_t> num_records_;
  std::optional<bool> tight_bounds_;
  std::map<ColumnPath, std::string> min_;
  std::map<ColumnPath, std::string> max_;
  std::map<ColumnPath, int64_t> null_count_;
};

/// The leaf columns that statistics are kept for: the first delta.dataSkippingNumIndexedCols (32) leaves, or those that
/// delta.dataSkippingStatsColumns names; physical paths with their types, partition columns left out.
struct StatsColumn {
  ColumnPath logical;
  ColumnPath physical;
  DataType type;
};
std::vector<StatsColumn> StatsColumns(const StructType& schema, const Metadata& metadata);

}  // namespace quern::delta
