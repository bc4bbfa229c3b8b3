#pragma once
#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/batch.h"
#include "ml/model/loaded_model.h"
#include "ml/model/model_spec.h"

namespace quern::ml {

/// Finds the code of a text category: a hash table of views into texts that the caller keeps.
class TextCodes {
 public:
  explicit TextCodes(const std::vector<std::string>& texts);
  /// -1 when it is none.
  int32_t Find(std::string_view text) const;

 private:
  struct Slot {
    uint64_t hash = 0;
    int32_t code = -1;
  };
  const std::vector<std::string>* texts_;
  std::vector<Slot> slots_;
  uint64_t mask_ = 0;
};

/// Numbers as 32-bit floats; categories as their codes; missing, and categories that are not known, as NaN.
/// Immutable, for any number of threads.
class FeatureEncoder {
 public:
  /// `spec` must outlive it.
  explicit FeatureEncoder(const ModelSpec& spec);
  ~FeatureEncoder();

  /// Rows [begin, end) of a batch into `out`, (end - begin) x features row by row. Columns whose type is not the
  /// feature's are a broken contract. Errors: kTrainingData, naming the column of an infinite value.
  Result<void> Encode(const engine::Batch& batch, size_t begin, size_t end, const ScoringOptions& options,
                      float* out) const;

 private:
  struct Column;
  const ModelSpec& spec_;
  std::vector<Column> columns_;
};

}  // namespace quern::ml
