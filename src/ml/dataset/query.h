#pragma once
#include <string>

#include "ml/dataset/binding.h"
#include "ml/dataset/frame.h"

namespace quern::ml {

enum class Rows {
  kLabeled,  ///< rows whose label is known, with the label as last column
  kAll,      ///< every row of the frame, without a label: for predictions
};

struct QueryOptions {
  Rows rows = Rows::kLabeled;
  Interval interval;  ///< for $interval_start and $interval_end in `query`
  TimeZone zone = TimeZone::Utc();
  bool ordered = true;  ///< by key and time
};

/// The SQL of a dataset's rows in a frame, complete in itself: key, time, features, label. Point-in-time joins are ASOF
/// joins, so that they stay fast whatever the tables' sizes. What it selects has the types of BoundDataset.
std::string DatasetQuery(const ModelConfig& model, const BoundDataset& bound, const TimeFrame& frame,
                         const QueryOptions& options);

/// Replaces $interval_start and $interval_end (outside of strings, quoted names and comments) by literals.
std::string BindInterval(std::string_view sql, const Interval& interval);

/// SQL for "column lies in the frame", by constants of the column's own type, so that files are pruned by it.
std::string InFrameSql(const std::string& column, TimeKind kind, const TimeFrame& frame, const TimeZone& zone);

/// Time of the first row with a label; nothing when there is none. Errors: those of the engine.
Result<std::optional<Timestamp>> FirstLabeledTime(const ModelConfig& model, const BoundDataset& bound,
                                                  const QueryOptions& options, engine::Connection& connection);

}  // namespace quern::ml
