#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ml/model/model_spec.h"

namespace quern::ml {

/// How often a feature is split on, and what its splits gain and cover in sum.
struct SplitStats {
  int64_t splits = 0;
  double gain = 0;
  double cover = 0;
};

/// A forest of XGBoost's, laid out for walking many rows at once: siblings lie side by side, rows go down a tree eight
/// at a time without branches. Immutable, for any number of threads.
class Trees {
 public:
  /// From UBJSON of XGBoost 1.7, of the objectives and boosters that the trainer uses; `spec` is what
  /// the trees were trained on. Everything is checked, so that no file can make a walk leave the arrays.
  /// Errors: kModelFile naming `file`.
  static Result<std::unique_ptr<Trees>> Parse(std::string_view ubjson, const ModelSpec& spec, const std::string& file);

  /// Rows x features (codes and NaN as FeatureEncoder writes them) to rows x outputs: P(positive), P(each class), or
  /// the value. Sums are made in 32-bit floats tree after tree, as XGBoost does.
  void Predict(const float* rows, size_t count, double* out) const;

  size_t trees() const { return trees_.size(); }
  const std::vector<SplitStats>& stats() const { return stats_; }  ///< by feature

 private:
  static constexpr size_t kLanes = 8;
  struct alignas(16) Node {
    float threshold;  ///< right when the slot's value is not below it; NaN: a category node or a leaf
    uint32_t slot;    ///< times kLanes
    uint32_t left;    ///< right is left + 1; a leaf is its own left
    uint32_t bits;    ///< first word of the categories that go right; 0: none
  };
  struct Tree {
    uint32_t root;
    uint32_t depth;
    uint32_t group;
    bool categorical;
  };
  /// A number lies in two slots: missing as -infinity for nodes where it goes left, as +infinity for the others.
  struct Slot {
    uint32_t feature;
    enum class Kind { kMissingLeft, kMissingRight, kCode } kind;
    uint32_t missing_code;  ///< of kCode
  };
  struct Builder;
  template <bool kCategories>
  void Walk(const Tree& tree, const uint32_t* values, size_t count, float* margins) const;
  void FillSlots(const float* rows, size_t count, uint32_t* values) const;

  std::vector<Node> nodes_;
  std::vector<float> leaves_;  ///< by node
  std::vector<Tree> trees_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> bits_;
  std::vector<SplitStats> stats_;
  size_t features_ = 0;
  size_t groups_ = 1;
  float base_margin_ = 0;
  Task task_ = Task::kBinary;
};

}  // namespace quern::ml
