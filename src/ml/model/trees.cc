#include "ml/model/trees.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace quern::ml {
namespace {

constexpr size_t kBlock = 128;  // rows whose slots stay in the first cache; a multiple of the lanes

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

// Eight rows at once: their values of a slot lie side by side, so that a lane needs no pointer of its own.
template <bool kCategories>
void Trees::Walk(const Tree& tree, const uint32_t* values, size_t count, float* margins) const {
  const Node* nodes = nodes_.data();
  const uint32_t* bits = bits_.data();
  const size_t height = slots_.size() * kLanes;
  for (size_t i = 0; i < count; i += kLanes, values += height) {
    uint32_t at[kLanes];
    std::fill(at, at + kLanes, tree.root);
    for (uint32_t d = 0; d < tree.depth; d++) {
#pragma GCC unroll 8
      for (size_t k = 0; k < kLanes; k++) {
        const Node& node = nodes[at[k]];
        uint32_t value = values[node.slot + k];
        uint32_t right = std::bit_cast<float>(value) >= node.threshold ? 1U : 0U;
        if constexpr (kCategories) {
          uint32_t code = value & (0U - static_cast<uint32_t>(node.bits != 0));  // no branch
          right |= bits[node.bits + (code >> 5)] >> (code & 31) & 1U;
        }
        at[k] = node.left + right;
      }
    }
    size_t lanes = std::min(kLanes, count - i);
    for (size_t k = 0; k < lanes; k++) margins[(i + k) * groups_ + tree.group] += leaves_[at[k]];
  }
}

void Trees::FillSlots(const float* rows, size_t count, uint32_t* values) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < count; i++) {
    const float* row = rows + i * features_;
    uint32_t* to = values + i / kLanes * kLanes * slots_.size() + i % kLanes;
    for (const Slot& slot : slots_) {
      float value = row[slot.feature];
      if (slot.kind == Slot::Kind::kCode) {
        *to = std::isnan(value) ? slot.missing_code : static_cast<uint32_t>(value);
      } else {
        float missing = slot.kind == Slot::Kind::kMissingLeft ? -kInfinity : kInfinity;
        *to = std::bit_cast<uint32_t>(std::isnan(value) ? missing : value);
      }
      to += kLanes;
    }
  }
}

void Trees::Predict(const float* rows, size_t count, double* out) const {
  // Lanes without a row hold zeros: values that every node takes.
  std::vector<uint32_t> values((std::min(count, kBlock) + kLanes - 1) / kLanes * kLanes * slots_.size());
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
