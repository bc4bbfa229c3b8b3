#include "ml/model/trees.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace quern::ml {
namespace {

constexpr size_t kBlock = 128;  // rows whose slots stay in the first cache
constexpr size_t kLanes = 8;

// As XGBoost computes them, in 32-bit floats.
float Sigmoid(float x) {
  return 1.0F / (std::exp(std::min(-x, 88.7F)) + 1.0F + 1e-16F);
}

void Softmax(const float* margins, size_t groups, double* out) {
  float most = *std::max_element(margins, margins + groups);
  double sum = 0;
  for (size_t g = 0; g < groups; g++) {
    float e = std::exp(margins[g] - most);
    out[g] = e;
    sum += e;
  }
  for (size_t g = 0; g < groups; g++) out[g] = static_cast<float>(out[g]) / static_cast<float>(sum);
}

}  // namespace

template <bool kCategories>
void Trees::Walk(const Tree& tree, const uint32_t* values, size_t count, float* margins) const {
  const Node* nodes = nodes_.data();
  const uint32_t* bits = bits_.data();
  const size_t slots = slots_.size();
  auto step = [&](uint32_t at, const uint32_t* row) {
    const Node& node = nodes[at];
    uint32_t value = row[node.slot];
    uint32_t right = std::bit_cast<float>(value) >= node.threshold ? 1U : 0U;
    if constexpr (kCategories) {
      uint32_t code = value & (node.bits != 0 ? ~0U : 0U);
      right |= bits[node.bits + (code >> 5)] >> (code & 31) & 1U;
    }
    return node.left + right;
  };
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    uint32_t at[kLanes];
    const uint32_t* row[kLanes];
    for (size_t k = 0; k < kLanes; k++) {
      at[k] = tree.root;
      row[k] = values + (i + k) * slots;
    }
    for (uint32_t d = 0; d < tree.depth; d++) {
      for (size_t k = 0; k < kLanes; k++) at[k] = step(at[k], row[k]);
    }
    for (size_t k = 0; k < kLanes; k++) margins[(i + k) * groups_ + tree.group] += leaves_[at[k]];
  }
  for (; i < count; i++) {
    uint32_t at = tree.root;
    for (uint32_t d = 0; d < tree.depth; d++) at = step(at, values + i * slots);
    margins[i * groups_ + tree.group] += leaves_[at];
  }
}

void Trees::FillSlots(const float* rows, size_t count, uint32_t* values) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (size_t s = 0; s < slots_.size(); s++) {
    const Slot& slot = slots_[s];
    const float* from = rows + slot.feature;
    uint32_t* to = values + s;
    if (slot.kind == Slot::Kind::kCode) {
      for (size_t i = 0; i < count; i++, from += features_, to += slots_.size())
        *to = std::isnan(*from) ? slot.missing_code : static_cast<uint32_t>(*from);
    } else {
      float missing = slot.kind == Slot::Kind::kMissingLeft ? -kInfinity : kInfinity;
      for (size_t i = 0; i < count; i++, from += features_, to += slots_.size())
        *to = std::bit_cast<uint32_t>(std::isnan(*from) ? missing : *from);
    }
  }
}

void Trees::Predict(const float* rows, size_t count, double* out) const {
  std::vector<uint32_t> values(std::min(count, kBlock) * slots_.size());
  std::vector<float> margins(std::min(count, kBlock) * groups_);
  for (size_t begin = 0; begin < count; begin += kBlock) {
    size_t block = std::min(kBlock, count - begin);
    FillSlots(rows + begin * features_, block, values.data());
    std::fill(margins.begin(), margins.end(), base_margin_);
    for (const Tree& tree : trees_) {
      if (tree.categorical) {
        Walk<true>(tree, values.data(), block, margins.data());
      } else {
        Walk<false>(tree, values.data(), block, margins.data());
      }
    }
    double* to = out + begin * groups_;
    for (size_t i = 0; i < block; i++) {
      switch (task_) {
        case Task::kBinary:
          to[i] = Sigmoid(margins[i]);
          break;
        case Task::kMulticlass:
          Softmax(margins.data() + i * groups_, groups_, to + i * groups_);
          break;
        case Task::kRegression:
          to[i] = margins[i];
          break;
      }
    }
  }
}

}  // namespace quern::ml
