#include "ml/model/feature_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace quern::ml {
namespace {

using engine::Batch;
using engine::BatchColumn;
using engine::BatchType;

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();
constexpr double kSpanOfTable = 1 << 16;

uint64_t Mix(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t HashOf(std::string_view text) {
  uint64_t hash = Mix(text.size() + 0x9E3779B97F4A7C15ULL, 0xD6E8FEB86659FD93ULL);
  while (text.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, text.data(), 8);
    hash = Mix(hash ^ word, 0xA0761D6478BD642FULL);
    text.remove_prefix(8);
  }
  uint64_t word = 0;
  std::memcpy(&word, text.data(), text.size());
  return Mix(hash ^ word, 0xE7037ED1A0B428DBULL);
}

}  // namespace

TextCodes::TextCodes(const std::vector<std::string>& texts) : texts_(&texts) {
  size_t size = 16;
  while (size < texts.size() * 2) size *= 2;
  slots_.resize(size);
  mask_ = size - 1;
  for (size_t i = 0; i < texts.size(); i++) {
    uint64_t hash = HashOf(texts[i]);
    size_t at = hash & mask_;
    while (slots_[at].code >= 0) at = (at + 1) & mask_;
    slots_[at] = {hash, static_cast<int32_t>(i)};
  }
}

int32_t TextCodes::Find(std::string_view text) const {
  uint64_t hash = HashOf(text);
  for (size_t at = hash & mask_;; at = (at + 1) & mask_) {
    const Slot& slot = slots_[at];
    if (slot.code < 0) return -1;
    if (slot.hash == hash && (*texts_)[static_cast<size_t>(slot.code)] == text) return slot.code;
  }
}

struct FeatureEncoder::Column {
  const Feature* feature;
  std::unique_ptr<TextCodes> texts;
  // Codes of the whole numbers from `first` on, -1 for what is no category; empty when they lie too far apart.
  std::vector<int32_t> table;
  double first = 0;

  float NumberCode(double value) const {
    if (!table.empty()) {
      double at = value - first;
      if (!(at >= 0) || at >= static_cast<double>(table.size())) return kMissing;
      auto index = static_cast<size_t>(at);
      if (static_cast<double>(index) != at || table[index] < 0) return kMissing;
      return static_cast<float>(table[index]);
    }
    const auto& numbers = feature->numbers;
    auto it = std::lower_bound(numbers.begin(), numbers.end(), value);
    return it != numbers.end() && *it == value ? static_cast<float>(it - numbers.begin()) : kMissing;
  }
};

FeatureEncoder::FeatureEncoder(const ModelSpec& spec) : spec_(spec) {
  for (const auto& feature : spec.features) {
    Column column{&feature, nullptr, {}, 0};
    if (feature.type == BatchType::kText) {
      column.texts = std::make_unique<TextCodes>(feature.texts);
    } else if (feature.categorical && !feature.numbers.empty()) {
      const auto& numbers = feature.numbers;
      bool whole = std::all_of(numbers.begin(), numbers.end(), [](double n) { return n == std::trunc(n); });
      if (whole && numbers.back() - numbers.front() < kSpanOfTable) {
        column.first = numbers.front();
        column.table.assign(static_cast<size_t>(numbers.back() - numbers.front()) + 1, -1);
        for (size_t i = 0; i < numbers.size(); i++)
          column.table[static_cast<size_t>(numbers[i] - column.first)] = static_cast<int32_t>(i);
      }
    }
    columns_.push_back(std::move(column));
  }
}

FeatureEncoder::~FeatureEncoder() = default;

Result<void> FeatureEncoder::Encode(const Batch& batch, size_t begin, size_t end, const ScoringOptions& options,
                                    float* out) const {
  const size_t features = columns_.size();
  QUERN_CHECK(batch.columns.size() == features);
  for (size_t f = 0; f < features; f++) {
    const BatchColumn& column = batch.columns[f];
    const Column& known = columns_[f];
    const Feature& feature = *known.feature;
    QUERN_CHECK(column.type == feature.type);
    float* to = out + f;
    int64_t unseen = 0;
    auto category = [&](size_t i, float code) {
      unseen += std::isnan(code) ? 1 : 0;
      to[(i - begin) * features] = code;
    };
    switch (feature.type) {
      case BatchType::kBool:
        for (size_t i = begin; i < end; i++) {
          to[(i - begin) * features] = column.IsValid(i) ? (column.bools[i] ? 1.0F : 0.0F) : kMissing;
        }
        break;
      case BatchType::kInteger:
        for (size_t i = begin; i < end; i++) {
          if (!column.IsValid(i)) {
            to[(i - begin) * features] = kMissing;
          } else if (feature.categorical) {
            category(i, known.NumberCode(static_cast<double>(column.integers[i])));
          } else {
            to[(i - begin) * features] = static_cast<float>(static_cast<double>(column.integers[i]));
          }
        }
        break;
      case BatchType::kDouble:
        for (size_t i = begin; i < end; i++) {
          double value = column.doubles[i];
          if (!column.IsValid(i) || std::isnan(value)) {
            to[(i - begin) * features] = kMissing;
          } else if (feature.categorical) {
            category(i, known.NumberCode(value));
          } else {
            auto narrow = static_cast<float>(value);
            if (std::isinf(narrow)) {
              if (options.infinite == Infinite::kError) {
                return Fail(Error(ErrorCode::kTrainingData,
                                  fmt::format("column '{}' holds {}, which is {}", feature.name, value,
                                              std::isinf(value) ? "infinite" : "beyond what 32-bit floats hold"))
                                .With("column", feature.name)
                                .Hint("make it null where it cannot be known"));
              }
              narrow = kMissing;
            }
            to[(i - begin) * features] = narrow;
          }
        }
        break;
      case BatchType::kText:
        for (size_t i = begin; i < end; i++) {
          if (!column.IsValid(i)) {
            to[(i - begin) * features] = kMissing;
          } else {
            int32_t code = known.texts->Find(column.texts[i]);
            category(i, code < 0 ? kMissing : static_cast<float>(code));
          }
        }
        break;
    }
    if (unseen > 0 && options.counts) options.counts->AddUnseen(f, unseen);
  }
  return {};
}

}  // namespace quern::ml
