#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// Rows as columns of plain arrays: for work over many rows (training, scoring, monitoring, digests), where a variant a
// value would be most of the cost.
namespace quern::engine {

struct Column;

enum class BatchType {
  kBool,     ///< BOOLEAN
  kInteger,  ///< signed integers up to BIGINT, and unsigned ones below 64 bits
  kDouble,   ///< DOUBLE, and FLOAT widened exactly
  kText,     ///< everything else, as the engine prints it; nested values as JSON
};

/// One column of a batch. The array of its type is set, the others are null. All views end with the call that got them.
struct BatchColumn {
  BatchType type = BatchType::kText;
  const uint8_t* bools = nullptr;
  const int64_t* integers = nullptr;
  const double* doubles = nullptr;
  const std::string_view* texts = nullptr;
  const uint8_t* valid =
      nullptr;  ///< one byte a row, 0 for null; a null pointer: no nulls. Values of nulls mean nothing

  bool IsValid(size_t row) const { return valid == nullptr || valid[row] != 0; }
};

/// columns x rows; rows > 0 and at most some thousands.
struct Batch {
  size_t rows = 0;
  std::vector<BatchColumn> columns;
};

/// Receives a result batch by batch.
class BatchSink {
 public:
  virtual ~BatchSink() = default;
  /// `types` has the type that each column comes in.
  virtual Result<void> Begin(const std::vector<Column>& columns, const std::vector<BatchType>& types) = 0;
  virtual Result<void> Add(const Batch& batch) = 0;
};

/// A function of SQL that is computed by us: name(arguments...) gives DOUBLE[outputs], never null, so that
/// name(...)[1] is the first output.
struct ScalarFunction {
  std::string name;  ///< lower case; a function of the same name is replaced
  std::vector<BatchType>
      arguments;  ///< what SQL passes is cast to BOOLEAN, BIGINT, DOUBLE, VARCHAR; nulls are passed on
  size_t outputs = 1;
  /// Fills `out`, rows x outputs, row by row. Called from several of the engine's threads at once. An error ends the
  /// statement with it.
  std::function<Result<void>(const Batch& arguments, double* out)> call;
};

}  // namespace quern::engine
