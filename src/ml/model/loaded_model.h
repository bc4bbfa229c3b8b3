#pragma once
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/connection.h"
#include "ml/model/model_spec.h"

namespace quern::ml {

class FeatureEncoder;
class Trees;

/// What scoring has seen, by feature in the model's order. Thread-safe.
class ScoringCounts {
 public:
  explicit ScoringCounts(size_t features) : unseen_(features) {}
  void AddRows(int64_t n) { rows_.fetch_add(n, std::memory_order_relaxed); }
  void AddUnseen(size_t feature, int64_t n) { unseen_[feature].fetch_add(n, std::memory_order_relaxed); }
  int64_t rows() const { return rows_.load(std::memory_order_relaxed); }
  /// Values of a category that training had not; they were scored as missing.
  int64_t unseen(size_t feature) const { return unseen_[feature].load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> rows_{0};
  std::vector<std::atomic<int64_t>> unseen_;
};

enum class Infinite { kError, kMissing };

struct ScoringOptions {
  Infinite infinite = Infinite::kError;     ///< infinite numbers, and those beyond 32-bit floats
  std::shared_ptr<ScoringCounts> counts{};  ///< may be null
};

/// A model in memory, ready to score. Immutable: any number of threads may use it at once. Needs no XGBoost: the trees
/// are walked by us, with XGBoost's own results bit for bit before exp().
class LoadedModel {
 public:
  /// Reads and checks a folder that WriteModelFolder made. Errors: kModelFile naming the file (missing, cut short, of
  /// another version, or files that do not belong together).
  static Result<std::shared_ptr<const LoadedModel>> Load(const std::filesystem::path& folder);
  /// From XGBoost's UBJSON. `file` names it in errors.
  static Result<std::shared_ptr<const LoadedModel>> Make(ModelSpec spec, std::string_view booster,
                                                         const std::string& file);
  ~LoadedModel();

  const ModelSpec& spec() const { return spec_; }
  /// Scores rows: `batch` has the features in the model's order, of their types; `out` is rows x spec().outputs():
  /// P(positive), P(each class), or the value. Errors: kTrainingData (an infinite value, naming the column).
  Result<void> Score(const engine::Batch& batch, double* out, const ScoringOptions& options) const;

 private:
  explicit LoadedModel(ModelSpec spec);
  ModelSpec spec_;
  std::unique_ptr<FeatureEncoder> encoder_;
  std::unique_ptr<Trees> trees_;
};

/// Makes name(features in the model's order) known to SQL: DOUBLE[spec().outputs()]. The database keeps the model.
Result<void> CreateScoringFunction(engine::Connection& connection, const std::string& name,
                                   std::shared_ptr<const LoadedModel> model, const ScoringOptions& options);

/// SELECT <columns>, prediction, score[, probabilities] over the rows of `query`, which has the features and `columns`
/// by name; `function` is the one made above, called once a row. prediction: the class as text, or DOUBLE; score:
/// P(positive), P(predicted class), or NULL; probabilities: JSON by class, of multiclass only.
std::string PredictionQuery(const ModelSpec& spec, const std::string& function, const std::string& query,
                            const std::vector<std::string>& columns);

}  // namespace quern::ml
