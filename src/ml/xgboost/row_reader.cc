#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "ml/xgboost/training_rows.h"

namespace quern::ml {
namespace {

using engine::Batch;
using engine::BatchColumn;
using engine::BatchType;

bool IsDecimal(const std::string& sql_type) {
  return sql_type.rfind("DECIMAL", 0) == 0 || sql_type == "HUGEINT" || sql_type == "UHUGEINT" || sql_type == "UBIGINT";
}

bool IsText(const std::string& sql_type) {
  return sql_type.rfind("VARCHAR", 0) == 0 || sql_type.rfind("ENUM", 0) == 0 || sql_type == "UUID" ||
         sql_type == "\"NULL\"" || sql_type == "NULL";
}

std::string TextOf(const BatchColumn& column, size_t row) {
  if (!column.IsValid(row)) return "null";
  switch (column.type) {
    case BatchType::kBool:
      return column.bools[row] ? "true" : "false";
    case BatchType::kInteger:
      return std::to_string(column.integers[row]);
    case BatchType::kDouble:
      return fmt::format("{}", column.doubles[row]);
    case BatchType::kText:
      return std::string(column.texts[row]);
  }
  return {};
}

}  // namespace

std::pair<float*, size_t> FloatRows::Grow(size_t count) {
  size_t within = rows_ % kRowsOfPiece;
  if (within == 0) pieces_.emplace_back(new float[kRowsOfPiece * columns_]);  // not touched before it is filled
  size_t given = std::min(count, kRowsOfPiece - within);
  float* to = pieces_.back().get() + within * columns_;
  rows_ += given;
  return {to, given};
}

void FloatRows::Clear() {
  pieces_.clear();
  rows_ = 0;
}

Result<void> RowReader::Begin(const std::vector<engine::Column>& columns, const std::vector<BatchType>& types) {
  auto find = [&](const std::string& name, std::string_view what) -> Result<size_t> {
    for (size_t i = 0; i < columns.size(); i++) {
      if (EqualsIgnoreCase(columns[i].name, name)) return i;
    }
    std::vector<std::string> names;
    for (const auto& column : columns) names.push_back(column.name);
    return Fail(Error(ErrorCode::kTrainingData, fmt::format("the rows have no column '{}', the {}", name, what))
                    .Hint(DidYouMean(name, names)));
  };
  if (request_.features.empty()) return Fail(ErrorCode::kTrainingData, "there is no feature to train on");
  std::vector<std::string> wrong;
  for (const auto& name : request_.features) {
    Source source;
    source.column = QUERN_TRY(find(name, "feature"));
    Feature feature;
    feature.name = name;
    feature.sql_type = columns[source.column].type;
    feature.type = types[source.column];
    source.decimal = feature.type == BatchType::kText && IsDecimal(feature.sql_type);
    if (source.decimal) feature.type = BatchType::kDouble;
    bool declared = false;
    for (const auto& categorical : request_.categorical) declared = declared || EqualsIgnoreCase(categorical, name);
    feature.categorical = feature.type == BatchType::kText || (declared && feature.type != BatchType::kBool);
    if (feature.type == BatchType::kText && !declared && !IsText(feature.sql_type))
      wrong.push_back(fmt::format("{} ({})", name, feature.sql_type));
    features_.push_back(std::move(feature));
    sources_.push_back(std::move(source));
  }
  if (!wrong.empty()) {
    return Fail(
        Error(ErrorCode::kTrainingData, fmt::format("of these types no feature can be made: {}", Join(wrong, ", ")))
            .Hint("exclude the columns, make numbers of them in the query (month(t), epoch(t)), or declare them "
                  "categorical"));
  }
  label_source_.column = QUERN_TRY(find(request_.label, "label"));
  label_sql_type_ = columns[label_source_.column].type;
  label_type_ = types[label_source_.column];
  label_source_.decimal = label_type_ == BatchType::kText && IsDecimal(label_sql_type_);
  if (label_source_.decimal) label_type_ = BatchType::kDouble;
  for (const auto& name : request_.key) keys_.emplace_back(name, QUERN_TRY(find(name, "key")));
  return Start();
}

BatchColumn RowReader::Adapt(Source& source, const Batch& batch) {
  BatchColumn column = batch.columns[source.column];
  if (!source.decimal) return column;
  source.numbers.resize(batch.rows);
  for (size_t i = 0; i < batch.rows; i++) {
    double value = std::numeric_limits<double>::quiet_NaN();
    if (column.IsValid(i)) {
      std::string_view text = column.texts[i];
      std::from_chars(text.data(), text.data() + text.size(), value);
    }
    source.numbers[i] = value;
  }
  column.type = BatchType::kDouble;
  column.texts = nullptr;
  column.doubles = source.numbers.data();
  return column;
}

std::string RowReader::KeyOf(size_t row) const {
  std::string out;
  for (const auto& [name, column] : keys_)
    out += fmt::format("{}{}={}", out.empty() ? "" : ", ", name, TextOf(batch_->columns[column], row));
  return out.empty() ? "the row" : fmt::format("the row {}", out);
}

Result<void> RowReader::CheckValues(const Batch& features, const BatchColumn& label) const {
  for (size_t f = 0; f < features_.size(); f++) {
    const BatchColumn& column = features.columns[f];
    if (column.type != BatchType::kDouble) continue;
    for (size_t i = 0; i < features.rows; i++) {
      double value = column.doubles[i];
      if (std::abs(value) <= static_cast<double>(std::numeric_limits<float>::max()) || std::isnan(value) ||
          !column.IsValid(i)) {
        continue;
      }
      return Fail(Error(ErrorCode::kTrainingData,
                        fmt::format("column '{}' of {} is {}, which is {}", features_[f].name, KeyOf(i), value,
                                    std::isinf(value) ? "infinite" : "beyond what 32-bit floats hold"))
                      .With("column", features_[f].name)
                      .With("key", KeyOf(i))
                      .Hint("make it null where it cannot be known"));
    }
  }
  for (size_t i = 0; i < features.rows; i++) {
    bool number = label.type == BatchType::kDouble;
    if (!label.IsValid(i) || (number && std::isnan(label.doubles[i]))) {
      return Fail(
          Error(ErrorCode::kTrainingData, fmt::format("the label '{}' of {} is missing", request_.label, KeyOf(i)))
              .With("key", KeyOf(i))
              .Hint("leave rows without a label out"));
    }
    if (number && !(std::abs(label.doubles[i]) <= static_cast<double>(std::numeric_limits<float>::max()))) {
      return Fail(Error(ErrorCode::kTrainingData, fmt::format("the label '{}' of {} is {}, which no model can learn",
                                                              request_.label, KeyOf(i), label.doubles[i]))
                      .With("key", KeyOf(i)));
    }
  }
  return {};
}

Result<void> RowReader::Add(const Batch& batch) {
  QUERN_TRY(request_.cancellation.Check());
  batch_ = &batch;
  Batch features;
  features.rows = batch.rows;
  for (auto& source : sources_) features.columns.push_back(Adapt(source, batch));
  BatchColumn label = Adapt(label_source_, batch);
  QUERN_TRY(CheckValues(features, label));
  return Take(features, label);
}

}  // namespace quern::ml
