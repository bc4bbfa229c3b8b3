#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "io/files.h"
#include "ml/dataset/training_set.h"

// Support for tests of datasets: a warehouse, models from YAML, one interval.
namespace quern::ml {

class DatasetFixture : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = io::TempFolder::Make("quern-ml-dataset-test-");
    ASSERT_TRUE(folder);
    folder_.emplace(*std::move(folder));
    auto opened = warehouse::Warehouse::Open({.root = folder_->path() / "w", .threads = 2});
    ASSERT_TRUE(opened) << opened.error().ToString();
    warehouse_ = *std::move(opened);
    session_ = *warehouse_->NewSession();
    interval_ = {At("2013-05-01"), At("2013-06-01")};
    Run("CREATE SCHEMA f");
  }

  Timestamp At(const std::string& text) const { return *ParseTimestamp(text, zone_); }

  engine::QueryResult Run(const std::string& sql) {
    auto result = session_->Execute(sql);
    if (!result) {
      ADD_FAILURE() << sql << "\n" << result.error().ToString();
      return {};
    }
    return *std::move(result);
  }
  /// Rows as text: values by '|', rows by ';', null as '-'.
  std::string Text(const std::string& sql) {
    std::string text;
    for (const auto& row : Run(sql).rows) {
      if (!text.empty()) text += ";";
      for (size_t i = 0; i < row.size(); ++i)
        text += (i > 0 ? "|" : "") + (engine::IsNull(row[i]) ? "-" : engine::ToText(row[i]));
    }
    return text;
  }

  /// The model 'm' whose dataset has the given lines; further sections may follow, `rest` is indented by four.
  static ModelConfig Model(const std::string& dataset, const std::string& rest = "") {
    std::string text = "models:\n  - name: m\n    dataset:\n";
    for (const std::string& line : Split(dataset, '\n')) text += "      " + line + "\n";
    Diagnostics diagnostics;
    auto models = ParseModels(text + rest, "ml/m.yml", diagnostics);
    for (const auto& error : diagnostics.errors()) ADD_FAILURE() << error.ToString();
    return models.empty() ? ModelConfig() : models[0];
  }

  std::optional<BoundDataset> Bind(const ModelConfig& model, std::vector<std::string>* errors = nullptr) {
    Diagnostics diagnostics;
    auto bound = BindDataset(model, *session_, diagnostics, &missing_);
    for (const auto& error : diagnostics.errors()) {
      if (errors) {
        errors->push_back(error.ToString());
      } else {
        ADD_FAILURE() << error.ToString();
      }
    }
    return bound;
  }
  std::vector<std::string> BindErrors(const ModelConfig& model) {
    std::vector<std::string> errors;
    EXPECT_FALSE(Bind(model, &errors));
    return errors;
  }

  QueryOptions Options() const {
    QueryOptions options;
    options.interval = interval_;
    options.zone = zone_;
    return options;
  }
  SaveOptions Saving(const std::string& frame = "all") const {
    SaveOptions options;
    options.training_set = "monthly/2013-05-01/" + frame;
    options.frame = {frame, std::nullopt, interval_.start};
    options.query = Options();
    options.effect_app = "quern/monthly/dataset.m";
    options.effect_version = MillisSinceEpoch(interval_.start);
    options.commit.dag_run = "monthly/2013-05-01";
    options.commit.node = "dataset.m";
    options.commit.git_commit = "abc123-dirty";
    return options;
  }
  Result<TrainingSet> Save(const ModelConfig& model, const SaveOptions& options) {
    auto bound = Bind(model);
    if (!bound) return Fail(ErrorCode::kModelConfig, "not bound");
    return SaveTrainingSet(model, *bound, options, *warehouse_, *session_);
  }
  TrainingSet Saved(const ModelConfig& model, const SaveOptions& options) {
    auto set = Save(model, options);
    EXPECT_TRUE(set) << set.error().ToString();
    return set ? *set : TrainingSet();
  }
  std::string SaveError(const ModelConfig& model, const SaveOptions& options) {
    auto set = Save(model, options);
    EXPECT_FALSE(set);
    return set ? "" : set.error().ToString();
  }
  int64_t Version(const std::string& table) {
    auto info = warehouse_->Describe({"training", table});
    return info ? info->version : -1;
  }

  TimeZone zone_ = *TimeZone::Find("America/New_York");
  Interval interval_;
  std::optional<io::TempFolder> folder_;
  std::unique_ptr<warehouse::Warehouse> warehouse_;
  std::unique_ptr<warehouse::Session> session_;
  std::optional<std::string> missing_;
};

}  // namespace quern::ml
