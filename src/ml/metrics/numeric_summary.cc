#include "ml/metrics/numeric_summary.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ml/metrics/slices.h"

namespace quern::ml {
namespace {

// Of the values less `origin`: near the values it keeps the digits that a far offset would take.
Moments MomentsOf(std::span<const ValueCount> values, int64_t ValueCount::* weight, double origin) {
  Moments out;
  double sum = 0;
  int64_t count = 0;
  for (const auto& value : values) {
    count += value.*weight;
    sum += (value.value - origin) * static_cast<double>(value.*weight);
  }
  if (count == 0) return out;
  out.count = static_cast<double>(count);
  out.mean = sum / out.count;
  for (const auto& value : values) {
    const double deviation = value.value - origin - out.mean;
    out.squares += deviation * deviation * static_cast<double>(value.*weight);
  }
  return out;
}

// The values at given places of the sorted current values.
class OrderStatistics {
 public:
  OrderStatistics(int64_t count, const std::vector<double>& quantiles) : count_(count) {
    if (count == 0) return;
    for (const double quantile : quantiles) {
      const double place = quantile * static_cast<double>(count - 1);
      const auto below = static_cast<int64_t>(std::floor(place));
      quantiles_.push_back({.below = below, .fraction = place - static_cast<double>(below)});
      values_[below];
      values_[std::min(below + 1, count - 1)];
    }
    next_ = values_.begin();
  }
  // `end`: how many values there are up to and with `value`.
  void Pass(int64_t end, double value) {
    while (next_ != values_.end() && next_->first < end) (next_++)->second = value;
  }
  std::vector<double> Get() const {
    std::vector<double> out;
    for (const auto& quantile : quantiles_) {
      const double low = values_.at(quantile.below);
      const double high = values_.at(std::min(quantile.below + 1, count_ - 1));
      const double t = quantile.fraction;
      out.push_back(t >= 0.5 ? high - (high - low) * (1 - t) : low + (high - low) * t);
    }
    return out;
  }

 private:
  struct Quantile {
    int64_t below = 0;
    double fraction = 0;
  };
  int64_t count_;
  std::vector<Quantile> quantiles_;
  std::map<int64_t, double> values_;
  std::map<int64_t, double>::iterator next_ = values_.end();
};

// Counts of pairs while the reference has few values; the reference's are few then, the others mostly (0, 1).
class Pairs {
 public:
  void Add(const ValueCount& value) {
    if (!few_) return;
    if (value.reference > 0) {
      if (++reference_values_ > kFewValues) {
        few_ = false;
        pairs_.clear();
        return;
      }
      pairs_[{value.reference, value.current}]++;
    } else if (value.current == last_) {
      run_++;
    } else {
      Flush();
      last_ = value.current;
      run_ = 1;
    }
  }
  std::vector<PairCount> Get() {
    if (!few_) return {};
    Flush();
    std::vector<PairCount> out;
    for (const auto& [pair, values] : pairs_) {
      out.push_back({.reference = pair.first, .current = pair.second, .values = values});
    }
    return out;
  }

 private:
  void Flush() {
    if (run_ > 0) pairs_[{0, last_}] += run_;
    run_ = 0;
  }
  bool few_ = true;
  int64_t reference_values_ = 0;
  int64_t last_ = 0;
  int64_t run_ = 0;
  std::map<std::pair<int64_t, int64_t>, int64_t> pairs_;
};

}  // namespace

void Moments::Merge(const Moments& other) {
  if (other.count == 0) return;
  const double both = count + other.count;
  const double delta = other.mean - mean;
  squares += other.squares + delta * delta * count * (other.count / both);
  mean = count == 0 ? other.mean : mean + delta * (other.count / both);
  count = both;
}

Result<NumericSummary> Summarise(const ValueStream& stream, const std::vector<double>& quantiles) {
  NumericSummary out;
  const auto n1 = static_cast<double>(stream.reference.values());
  const auto n2 = static_cast<double>(stream.current.values());
  const bool both = n1 > 0 && n2 > 0;
  OrderStatistics order(stream.current.values(), quantiles);
  Pairs pairs;
  Sum area;
  int64_t reference = 0;
  int64_t current = 0;
  double distance = 0;  // of the distributions after the last value
  QUERN_TRY(stream.ForEach([&](std::span<const ValueCount> values) {
    if (out.distinct == 0) out.min = values[0].value;
    out.reference.Merge(MomentsOf(values, &ValueCount::reference, out.min));
    out.current.Merge(MomentsOf(values, &ValueCount::current, out.min));
    double last = out.distinct == 0 ? out.min : out.max;
    double piece = 0;
    for (const auto& value : values) {
      if (out.distinct++ == 0) {
        out.first = {.reference = value.reference, .current = value.current, .values = 1};
      }
      piece += std::abs(distance) * (value.value - last);
      last = value.value;
      reference += value.reference;
      current += value.current;
      if (value.reference > 0) out.reference_distinct++;
      if (value.current > 0) {
        if (out.current_distinct++ == 0) out.current_min = value.value;
        out.current_max = value.value;
        order.Pass(current, value.value);
      }
      if (both) {
        distance = static_cast<double>(reference) / n1 - static_cast<double>(current) / n2;
        out.ks_distance = std::max(out.ks_distance, std::abs(distance));
      }
      pairs.Add(value);
    }
    area.Add(piece);
    out.max = last;
  }));
  out.reference.mean += out.min;
  out.current.mean += out.min;
  out.wasserstein = area.Get();
  out.pairs = pairs.Get();
  out.current_quantiles = order.Get();
  return out;
}

}  // namespace quern::ml
