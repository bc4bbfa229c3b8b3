#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/connection.h"
#include "ml/model/model_spec.h"

// What predictions and features look like, without labels. A relation is the text of a SQL query.
namespace quern::ml {

/// Quantiles by numpy's "linear" interpolation (the method of numpy.quantile and pandas by default).
struct Quantiles {
  double p05 = 0, p25 = 0, p50 = 0, p75 = 0, p95 = 0;
};

/// counts[i] values lie in [edges[i], edges[i+1]), in the last bin those equal to its end too: numpy.histogram.
struct Histogram {
  std::vector<double> edges;
  std::vector<int64_t> counts;
};

struct PredictionSpec {
  Task task = Task::kBinary;
  std::string prediction = "prediction";  ///< column
  std::string score = "score";            ///< column, classification; "" when there is none
  std::vector<std::string> slices{};
  int confidence_bins = 20;  ///< of equal width over [0, 1]
};

/// Of the numbers: the score for classification, the prediction for regression. Nulls, NaN and infinities left out.
struct PredictionStatistics {
  std::string column;                ///< of the slice; "" for all rows
  std::optional<std::string> value;  ///< of the slice; empty where the column is null
  int64_t rows = 0;
  std::optional<double> mean, variance;  ///< the sample's (n - 1): empty for fewer than two
  std::optional<double> min, max;
  std::optional<Quantiles> quantiles;
  std::map<std::string, double> class_shares;  ///< classification: shares of the rows with a prediction
  std::optional<Histogram> confidence;         ///< classification
  std::string Slice() const;                   ///< as Performance::Slice
};

/// All rows first, then slices by column and value.
Result<std::vector<PredictionStatistics>> DescribePredictions(engine::Connection& connection, std::string_view relation,
                                                              const PredictionSpec& spec);

enum class ColumnKind { kNumeric, kCategory };

struct FeatureColumn {
  std::string name;
  ColumnKind kind = ColumnKind::kNumeric;
};

struct FeatureProfile {
  std::string name;
  ColumnKind kind = ColumnKind::kNumeric;
  std::string type;  ///< the engine's; "" when the relation has no such column (then all below is 0 or empty)
  int64_t rows = 0;
  int64_t nulls = 0;        ///< NaN counts as null; infinities do not, but are left out of the figures below
  int64_t cardinality = 0;  ///< distinct values, exactly; without nulls
  double null_rate = 0;
  std::optional<double> mean, stddev;  ///< numeric; the sample's (n - 1), as pandas
  std::optional<double> min, max;
  std::optional<Quantiles> quantiles;
  std::optional<Histogram> histogram;                ///< numeric: numpy.histogram(bins="sturges")
  std::vector<std::pair<std::string, int64_t>> top;  ///< category: the most frequent values, ties in the text's order
};

struct ColumnOptions {
  /// For the values of columns held at a time; a column that does not fit is sorted by the engine instead, which
  /// spills.
  int64_t memory_bytes = 384LL << 20;
  int threads = 0;  ///< 0: as many as cores
  int top = 50;     ///< most frequent categories kept
};

/// One profile a feature, in order. The relation is counted, then read in as few passes as its columns fit in memory.
Result<std::vector<FeatureProfile>> ProfileFeatures(engine::Connection& connection, std::string_view relation,
                                                    const std::vector<FeatureColumn>& features,
                                                    const ColumnOptions& options = {});

}  // namespace quern::ml
