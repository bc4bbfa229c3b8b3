#pragma once
#include <cstdint>
#include <optional>

// The figures that depend on the order of scores only.
namespace quern::ml {

/// Takes the distinct scores from the highest to the lowest, each with its numbers of positive and negative rows.
class RankCurve {
 public:
  void Add(int64_t positives, int64_t negatives) {
    const auto before = positives_;
    positives_ += positives;
    negatives_ += negatives;
    area_ += static_cast<long double>(negatives) * static_cast<long double>(before + positives_);
    if (positives > 0) {
      precision_ += static_cast<double>(positives) *
                    (static_cast<double>(positives_) / static_cast<double>(positives_ + negatives_));
    }
  }
  int64_t positives() const { return positives_; }
  int64_t negatives() const { return negatives_; }
  /// Empty without rows of both classes.
  std::optional<double> Auc() const {
    if (positives_ == 0 || negatives_ == 0) return std::nullopt;
    return static_cast<double>(area_ / 2 / static_cast<long double>(positives_) / static_cast<long double>(negatives_));
  }
  /// 0 without positives, as scikit-learn has it; empty without rows.
  std::optional<double> AveragePrecision() const {
    if (positives_ + negatives_ == 0) return std::nullopt;
    return positives_ == 0 ? 0 : precision_ / static_cast<double>(positives_);
  }

 private:
  int64_t positives_ = 0;
  int64_t negatives_ = 0;
  long double area_ = 0;  // twice the area, in rows x rows: exact below 2^64
  double precision_ = 0;
};

}  // namespace quern::ml
