#pragma once
#include <array>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/connection.h"
#include "ml/model/feature_encoder.h"
#include "ml/xgboost/trainer.h"

// The rows of a query as XGBoost takes them, and what is learned from them.
namespace quern::ml {

/// Rows x columns of 32-bit floats in pieces of equal height, so that growing copies nothing.
class FloatRows {
 public:
  static constexpr size_t kRowsOfPiece = 65536;

  explicit FloatRows(size_t columns) : columns_(columns) {}
  /// Room for up to `count` more rows, and for how many: no more than the last piece still holds.
  std::pair<float*, size_t> Grow(size_t count);
  size_t rows() const { return rows_; }
  size_t columns() const { return columns_; }
  size_t pieces() const { return pieces_.size(); }
  float* piece(size_t i) const { return pieces_[i].get(); }
  size_t rows_of_piece(size_t i) const { return std::min(kRowsOfPiece, rows_ - i * kRowsOfPiece); }
  void Clear();

 private:
  size_t columns_;
  size_t rows_ = 0;
  std::vector<std::unique_ptr<float[]>> pieces_;
};

/// Features, label and key of a query's batches: finds the columns, brings them into the model's order and types, and
/// names rows in errors.
class RowReader : public engine::BatchSink {
 public:
  explicit RowReader(const TrainRequest& request) : request_(request) {}

  Result<void> Begin(const std::vector<engine::Column>& columns, const std::vector<engine::BatchType>& types) override;
  Result<void> Add(const engine::Batch& batch) override;

 protected:
  /// Called with the columns known: features_ and label_type_ are set.
  virtual Result<void> Start() = 0;
  /// The features in order, with decimals as doubles; none is infinite, every label is there.
  virtual Result<void> Take(const engine::Batch& features, const engine::BatchColumn& label) = 0;
  std::string KeyOf(size_t row) const;

  const TrainRequest& request_;
  std::vector<Feature> features_;
  std::string label_sql_type_;
  engine::BatchType label_type_ = engine::BatchType::kText;

 private:
  struct Source {
    size_t column = 0;
    bool decimal = false;
    std::vector<double> numbers{};
  };
  engine::BatchColumn Adapt(Source& source, const engine::Batch& batch);
  Result<void> CheckValues(const engine::Batch& features, const engine::BatchColumn& label) const;

  std::vector<Source> sources_;
  Source label_source_;
  std::vector<std::pair<std::string, size_t>> keys_;
  const engine::Batch* batch_ = nullptr;
};

/// Class labels as codes. Learned in the order they come, then sorted.
class ClassCodes {
 public:
  explicit ClassCodes(engine::BatchType type) : type_(type) {}
  /// The code of a label; a new one when it has none and `learn`, else -1.
  int32_t Code(const engine::BatchColumn& label, size_t row, bool learn);
  /// Sorts the classes and gives each old code's new one. `positive` comes last when it is set.
  std::vector<int32_t> Sort(const std::string& positive);
  const std::vector<std::string>& classes() const { return classes_; }

 private:
  engine::BatchType type_;
  std::vector<std::string> classes_;
  std::unordered_map<std::string, int32_t> codes_;
};

/// Training rows: learns categories and classes.
class TrainingRows : public RowReader {
 public:
  explicit TrainingRows(const TrainRequest& request);
  TrainingRows(const TrainingRows&) = delete;
  ~TrainingRows() override;

  /// After the last batch: sorts categories and classes, gives the model's spec. Errors: kTrainingData.
  Result<ModelSpec> Finish();

  FloatRows& rows() { return *rows_; }
  std::vector<float>& labels() { return labels_; }
  const ClassCodes& classes() const { return *classes_; }
  const Json& examples() const { return examples_; }
  std::vector<Error>& warnings() { return warnings_; }

 protected:
  Result<void> Start() override;
  Result<void> Take(const engine::Batch& features, const engine::BatchColumn& label) override;

 private:
  struct Learned;
  Result<void> Learn(size_t feature, const engine::BatchColumn& column, size_t begin, size_t end, float* to);
  void SortCategories(size_t feature);
  Result<void> SortClasses(ModelSpec& spec);

  std::vector<std::unique_ptr<Learned>> learned_;
  std::unique_ptr<FloatRows> rows_;
  std::vector<float> labels_;
  std::unique_ptr<ClassCodes> classes_;
  Task task_ = Task::kBinary;
  bool task_open_ = false;  ///< binary or multiclass: the number of classes decides
  Json examples_ = Json::array();
  std::vector<Error> warnings_;
};

/// Validation rows, in terms of what training learned.
class ValidationRows : public RowReader {
 public:
  ValidationRows(const TrainRequest& request, const ModelSpec& spec, ClassCodes classes)
      : RowReader(request), spec_(spec), encoder_(spec), classes_(std::move(classes)), rows_(spec.features.size()) {}

  FloatRows& rows() { return rows_; }
  std::vector<float>& labels() { return labels_; }
  int64_t unknown_labels() const { return unknown_labels_; }  ///< rows left out: a class that training had not

 protected:
  Result<void> Start() override;
  Result<void> Take(const engine::Batch& features, const engine::BatchColumn& label) override;

 private:
  const ModelSpec& spec_;
  FeatureEncoder encoder_;
  ClassCodes classes_;
  FloatRows rows_;
  std::vector<float> labels_;
  int64_t unknown_labels_ = 0;
};

}  // namespace quern::ml
