#include "ml/xgboost/training_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/text.h"

namespace quern::ml {
namespace {

using engine::Batch;
using engine::BatchColumn;
using engine::BatchType;

constexpr size_t kMostValues = 1'000'000;  // of a category column, before the most frequent are chosen
constexpr size_t kMostClasses = 1000;
constexpr size_t kExamples = 5;
constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

struct TextHash {
  using is_transparent = void;  // NOLINT(readability-identifier-naming): the standard's name
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

Json ExampleValue(const BatchColumn& column, size_t row) {
  if (!column.IsValid(row)) return nullptr;
  switch (column.type) {
    case BatchType::kBool:
      return column.bools[row] != 0;
    case BatchType::kInteger:
      return column.integers[row];
    case BatchType::kDouble:
      return std::isnan(column.doubles[row]) ? Json(nullptr) : Json(column.doubles[row]);
    case BatchType::kText:
      return std::string(column.texts[row]);
  }
  return nullptr;
}

}  // namespace

int32_t ClassCodes::Code(const BatchColumn& label, size_t row, bool learn) {
  if (type_ == BatchType::kBool && learn && classes_.empty()) {
    classes_ = {"false", "true"};
    codes_ = {{"false", 0}, {"true", 1}};
  }
  if (type_ == BatchType::kBool) return label.bools[row] ? 1 : 0;
  std::string text = type_ == BatchType::kInteger ? std::to_string(label.integers[row]) : std::string(label.texts[row]);
  auto it = codes_.find(text);
  if (it != codes_.end()) return it->second;
  if (!learn) return -1;
  auto code = static_cast<int32_t>(classes_.size());
  codes_.emplace(text, code);
  classes_.push_back(std::move(text));
  return code;
}

std::vector<int32_t> ClassCodes::Sort(const std::string& positive) {
  std::vector<int32_t> order(classes_.size()), place(classes_.size());
  std::iota(order.begin(), order.end(), 0);
  auto number = [&](int32_t code) {
    int64_t value = 0;
    const auto& text = classes_[static_cast<size_t>(code)];
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const auto &x = classes_[static_cast<size_t>(a)], &y = classes_[static_cast<size_t>(b)];
    if (!positive.empty() && (x == positive) != (y == positive)) return y == positive;
    return type_ == BatchType::kInteger ? number(a) < number(b) : x < y;
  });
  std::vector<std::string> sorted;
  for (size_t i = 0; i < order.size(); i++) {
    place[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
    sorted.push_back(classes_[static_cast<size_t>(order[i])]);
    codes_[sorted.back()] = static_cast<int32_t>(i);
  }
  classes_ = std::move(sorted);
  return place;
}

// What the rows so far taught about one column of categories; codes by first appearance.
struct TrainingRows::Learned {
  std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>> texts;
  std::unordered_map<double, int32_t> numbers;
  std::vector<int64_t> counts;

  size_t size() const { return counts.size(); }
  template <class Map, class Key>
  float Code(Map& map, const Key& key) {
    auto it = map.find(key);
    if (it == map.end()) {
      it = map.emplace(typename Map::key_type(key), static_cast<int32_t>(counts.size())).first;
      counts.push_back(0);
    }
    counts[static_cast<size_t>(it->second)]++;
    return static_cast<float>(it->second);
  }
};

TrainingRows::TrainingRows(const TrainRequest& request) : RowReader(request) {}
TrainingRows::~TrainingRows() = default;

Result<void> TrainingRows::Start() {
  for (size_t f = 0; f < features_.size(); f++) {
    learned_.push_back(std::make_unique<Learned>());
    features_[f].all_missing = true;
  }
  rows_ = std::make_unique<FloatRows>(features_.size());
  task_open_ = !request_.task && label_type_ == BatchType::kText;
  bool truth = label_type_ == BatchType::kBool || label_type_ == BatchType::kText;
  task_ = request_.task.value_or(truth ? Task::kBinary : Task::kRegression);
  if (task_ == Task::kRegression && truth) {
    return Fail(Error(ErrorCode::kTrainingData, fmt::format("the label '{}' is of type {}, a regression needs numbers",
                                                            request_.label, label_sql_type_))
                    .Hint("set `task: classification`"));
  }
  if (task_ != Task::kRegression && label_type_ == BatchType::kDouble) {
    return Fail(
        Error(ErrorCode::kTrainingData, fmt::format("the label '{}' is of type {}, classes must be truth values, "
                                                    "whole numbers or text",
                                                    request_.label, label_sql_type_))
            .Hint("cast it, or set `task: regression`"));
  }
  classes_ = std::make_unique<ClassCodes>(label_type_);
  return {};
}

Result<void> TrainingRows::Learn(size_t f, const BatchColumn& column, size_t begin, size_t end, float* to) {
  Feature& feature = features_[f];
  Learned& learned = *learned_[f];
  const size_t step = features_.size();
  bool some = false, missing = false;
  for (size_t i = begin; i < end; i++, to += step) {
    if (!column.IsValid(i) || (column.type == BatchType::kDouble && std::isnan(column.doubles[i]))) {
      *to = kMissing;
      missing = true;
      continue;
    }
    some = true;
    switch (column.type) {
      case BatchType::kBool:
        *to = column.bools[i] ? 1.0F : 0.0F;
        break;
      case BatchType::kInteger:
      case BatchType::kDouble: {
        double value = column.type == BatchType::kInteger ? static_cast<double>(column.integers[i]) : column.doubles[i];
        *to = feature.categorical ? learned.Code(learned.numbers, value) : static_cast<float>(value);
        break;
      }
      case BatchType::kText:
        *to = learned.Code(learned.texts, column.texts[i]);
        break;
    }
  }
  if (some) feature.all_missing = false;
  if (missing) feature.has_missing = true;
  if (learned.size() > kMostValues) {
    return Fail(Error(ErrorCode::kTrainingData, fmt::format("the category column '{}' has more than {} values",
                                                            feature.name, FormatCount(kMostValues)))
                    .With("column", feature.name)
                    .Hint("it looks like an identifier: exclude it"));
  }
  return {};
}

Result<void> TrainingRows::Take(const Batch& features, const BatchColumn& label) {
  for (size_t i = 0; i < features.rows && examples_.size() < kExamples; i++) {
    Json row = Json::array();
    for (const auto& column : features.columns) row.push_back(ExampleValue(column, i));
    examples_.push_back(std::move(row));
  }
  for (size_t begin = 0; begin < features.rows;) {
    auto [to, given] = rows_->Grow(features.rows - begin);
    for (size_t f = 0; f < features_.size(); f++)
      QUERN_TRY(Learn(f, features.columns[f], begin, begin + given, to + f));
    begin += given;
  }
  for (size_t i = 0; i < features.rows; i++) {
    if (task_ != Task::kRegression) {
      labels_.push_back(static_cast<float>(classes_->Code(label, i, true)));
    } else {
      labels_.push_back(static_cast<float>(label.type == BatchType::kInteger ? static_cast<double>(label.integers[i])
                                                                             : label.doubles[i]));
    }
  }
  if (classes_->classes().size() > kMostClasses) {
    return Fail(Error(ErrorCode::kTrainingData,
                      fmt::format("the label '{}' has more than {} classes", request_.label, kMostClasses))
                    .Hint("set `task: regression` for numbers"));
  }
  return {};
}

void TrainingRows::SortCategories(size_t f) {
  Feature& feature = features_[f];
  Learned& learned = *learned_[f];
  std::vector<const std::string*> texts(learned.texts.size());
  std::vector<double> numbers(learned.numbers.size());
  for (const auto& [text, code] : learned.texts) texts[static_cast<size_t>(code)] = &text;
  for (const auto& [number, code] : learned.numbers) numbers[static_cast<size_t>(code)] = number;
  auto before = [&](size_t a, size_t b) { return texts.empty() ? numbers[a] < numbers[b] : *texts[a] < *texts[b]; };
  std::vector<size_t> order(learned.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), before);
  if (order.size() > kMaxCategories) {
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return learned.counts[a] > learned.counts[b]; });
    int64_t left_out = 0;
    for (size_t i = kMaxCategories; i < order.size(); i++) left_out += learned.counts[order[i]];
    warnings_.push_back(
        Error(ErrorCode::kTrainingData,
              fmt::format(
                  "the column '{}' has {} categories: the {} most frequent are kept, the others, of {} rows, count "
                  "as missing",
                  feature.name, FormatCount(static_cast<int64_t>(order.size())), FormatCount(kMaxCategories),
                  FormatCount(left_out)))
            .With("column", feature.name));
    order.resize(kMaxCategories);
    std::sort(order.begin(), order.end(), before);
  }
  std::vector<float> place(learned.size(), kMissing);
  for (size_t i = 0; i < order.size(); i++) {
    place[order[i]] = static_cast<float>(i);
    if (texts.empty()) {
      feature.numbers.push_back(numbers[order[i]]);
    } else {
      feature.texts.push_back(*texts[order[i]]);
    }
  }
  for (size_t p = 0; p < rows_->pieces(); p++) {
    float* value = rows_->piece(p) + f;
    for (size_t i = 0; i < rows_->rows_of_piece(p); i++, value += features_.size()) {
      if (!std::isnan(*value)) *value = place[static_cast<size_t>(*value)];
    }
  }
  learned_[f].reset();
}

Result<void> TrainingRows::SortClasses(ModelSpec& spec) {
  std::vector<int64_t> counts(classes_->classes().size());
  for (float label : labels_) counts[static_cast<size_t>(label)]++;
  if (auto present = std::count_if(counts.begin(), counts.end(), [](int64_t n) { return n > 0; }); present < 2) {
    auto only = std::find_if(counts.begin(), counts.end(), [](int64_t n) { return n > 0; }) - counts.begin();
    return Fail(Error(ErrorCode::kTrainingData,
                      fmt::format("the label '{}' is {} in all {} training rows: there is nothing to tell apart",
                                  request_.label, classes_->classes()[static_cast<size_t>(only)],
                                  FormatCount(static_cast<int64_t>(labels_.size()))))
                    .Hint("take a longer time frame"));
  }
  if (task_open_ && counts.size() > 2) task_ = Task::kMulticlass;
  if (task_ == Task::kBinary && counts.size() > 2) {
    return Fail(
        Error(ErrorCode::kTrainingData, fmt::format("the label '{}' has {} classes", request_.label, counts.size()))
            .Hint("set `task: multiclass`"));
  }
  const auto& positive = request_.positive;
  const auto& known = classes_->classes();
  if (task_ == Task::kBinary && !positive.empty() && std::find(known.begin(), known.end(), positive) == known.end()) {
    return Fail(Error(ErrorCode::kTrainingData,
                      fmt::format("the label '{}' is never '{}', the positive class", request_.label, positive))
                    .Hint(DidYouMean(positive, known)));
  }
  auto place = classes_->Sort(task_ == Task::kBinary ? positive : "");
  for (float& label : labels_) label = static_cast<float>(place[static_cast<size_t>(label)]);
  spec.classes = classes_->classes();
  return {};
}

Result<ModelSpec> TrainingRows::Finish() {
  if (!rows_ || rows_->rows() == 0) {
    return Fail(Error(ErrorCode::kTrainingData, "there is no row to train on")
                    .Hint("take a longer time frame, or look whether its rows have labels"));
  }
  ModelSpec spec;
  spec.label = request_.label;
  spec.label_type = label_sql_type_;
  spec.threshold = request_.threshold;
  if (task_ != Task::kRegression) QUERN_TRY(SortClasses(spec));
  spec.task = task_;
  for (size_t f = 0; f < features_.size(); f++) {
    if (features_[f].categorical) SortCategories(f);
    if (features_[f].all_missing) {
      warnings_.push_back(
          Error(ErrorCode::kTrainingData, fmt::format("the column '{}' is missing in every training row: "
                                                      "the model cannot use it",
                                                      features_[f].name))
              .With("column", features_[f].name));
    }
  }
  spec.features = features_;
  return spec;
}

Result<void> ValidationRows::Start() {
  for (size_t f = 0; f < features_.size(); f++) {
    if (features_[f].type == spec_.features[f].type) continue;
    return Fail(Error(ErrorCode::kTrainingData,
                      fmt::format("column '{}' is of type {} in the validation rows, of {} in the training rows",
                                  features_[f].name, features_[f].sql_type, spec_.features[f].sql_type))
                    .With("column", features_[f].name));
  }
  return {};
}

Result<void> ValidationRows::Take(const Batch& features, const BatchColumn& label) {
  // Runs of rows whose class is known.
  for (size_t i = 0; i < features.rows;) {
    size_t end = i;
    for (; end < features.rows; end++) {
      if (spec_.task == Task::kRegression) {
        labels_.push_back(static_cast<float>(
            label.type == BatchType::kInteger ? static_cast<double>(label.integers[end]) : label.doubles[end]));
        continue;
      }
      int32_t code = classes_.Code(label, end, false);
      if (code < 0) break;
      labels_.push_back(static_cast<float>(code));
    }
    for (size_t begin = i; begin < end;) {
      auto [to, given] = rows_.Grow(end - begin);
      QUERN_TRY(encoder_.Encode(features, begin, begin + given, {}, to));
      begin += given;
    }
    if (end < features.rows) unknown_labels_++;
    i = end + 1;
  }
  return {};
}

}  // namespace quern::ml
