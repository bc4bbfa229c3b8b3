#pragma once
#include <string>
#include <vector>

#include "engine/connection.h"
#include "ml/config.h"

namespace quern::ml {

/// What the values of a column are to a model.
enum class FeatureKind { kNumber, kCategory, kBoolean };
enum class TimeKind { kDate, kInstant, kUtc };  ///< DATE, TIMESTAMP WITH TIME ZONE, TIMESTAMP

struct BoundColumn {
  std::string name;
  std::string type;  ///< as stored in training sets: BIGINT, DOUBLE, BOOLEAN, VARCHAR; for key and time also others
};

struct BoundFeature : BoundColumn {
  FeatureKind kind = FeatureKind::kNumber;
  std::optional<size_t> join;  ///< from which join; absent: from the source
  std::string source_column;   ///< in the source or the join's table
};

/// A join's columns with their types as they are in its table.
struct BoundJoin {
  TimeKind valid_from = TimeKind::kInstant;
  std::optional<TimeKind> valid_to;
};

/// A dataset's columns as the warehouse has them now. Names are spelled as the source spells them.
struct BoundDataset {
  std::vector<BoundColumn> key;
  BoundColumn time;
  TimeKind time_kind = TimeKind::kInstant;
  BoundColumn label;
  std::vector<BoundFeature> features;
  std::vector<BoundJoin> joins;
  TaskType task = TaskType::kClassification;
};

/// Looks at the tables (without running anything) and reports every column that is not there (with did-you-mean) or
/// cannot be what it is named as, at its place in the file, and expressions and metrics that do not fit the task.
/// Nothing when something was reported, or when a table is not there (yet): `missing_table` is set then.
/// The task, when not given: BOOLEAN is classification; text multiclass; numbers regression.
std::optional<BoundDataset> BindDataset(const ModelConfig& model, engine::Connection& connection,
                                        Diagnostics& diagnostics, std::optional<std::string>* missing_table = nullptr);

}  // namespace quern::ml
