#include "ml/xgboost/trainer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/duckdb/database.h"
#include "ml/model/loaded_model.h"

namespace quern::ml {
namespace {

// Rows with numbers, truth values, text and categories, some missing; the label depends on all of them.
constexpr const char* kRows = R"(
  SELECT i AS id,
         CASE WHEN i % 11 = 0 THEN NULL ELSE (hash(i) % 1000) / 100.0::DOUBLE END AS x,
         (hash(i + 1) % 2 = 0) AS flag,
         CASE WHEN i % 13 = 0 THEN NULL ELSE 'c' || (hash(i + 2) % 40) END AS carrier,
         (1 + hash(i + 3) % 12)::INTEGER AS month,
         CASE WHEN i % 7 = 0 THEN NULL ELSE (hash(i + 4) % 300)::BIGINT END AS distance,
         ((hash(i + 5) % 500) / 10.0)::DECIMAL(9, 1) AS fare
  FROM range({}, {}) t(i) ORDER BY i)";
constexpr const char* kScore =
    "(coalesce(x, 3) + CASE WHEN flag THEN 2 ELSE 0 END + coalesce(ascii(carrier[2:2]), 50) % 5 + month % 4 + "
    "coalesce(distance, 0) / 100.0 + fare / 25 + hash(id + 9) % 3)";

class TrainerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = engine::DuckDatabase::Open({});
    ASSERT_TRUE(opened) << opened.error().ToString();
    database_ = *std::move(opened);
    auto connected = database_->Connect();
    ASSERT_TRUE(connected);
    connection_ = *std::move(connected);
  }

  static std::string Rows(const std::string& label, int from, int to) {
    return fmt::format("SELECT *, {} AS y FROM ({}) ORDER BY id", label, fmt::format(fmt::runtime(kRows), from, to));
  }
  static TrainRequest Request(const std::string& label) {
    TrainRequest out;
    out.query = Rows(label, 0, 4000);
    out.validation_query = Rows(label, 4000, 5000);
    out.key = {"id"};
    out.label = "y";
    out.features = {"x", "flag", "carrier", "month", "distance", "fare"};
    out.categorical = {"month"};
    out.rounds = 60;
    out.early_stopping = 10;
    out.parameters = {{"max_depth", 5}, {"subsample", 0.8}, {"colsample_bytree", 0.8}};
    return out;
  }

  std::unique_ptr<engine::DuckDatabase> database_;
  std::unique_ptr<engine::Connection> connection_;
};

TEST_F(TrainerTest, BinaryLearnsAndScoresWhatXgboostSaid) {
  auto request = Request(fmt::format("{} > 12", kScore));
  auto model = TrainXgboost(*connection_, request);
  ASSERT_TRUE(model) << model.error().ToString();
  EXPECT_EQ(model->spec.task, Task::kBinary);
  printf("%s rounds %d of %d\n", Json(model->metrics).dump().c_str(), model->rounds, model->rounds_trained);
  for (auto& i : model->importance)
    printf("%s gain %g weight %g cover %g\n", i.feature.c_str(), i.gain, i.weight, i.cover);
  auto again = TrainXgboost(*connection_, request);
  EXPECT_EQ(model->booster, again->booster);
  auto loaded = LoadedModel::Make(model->spec, model->booster, "m");
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  ASSERT_TRUE(CreateScoringFunction(*connection_, "score_m", *loaded, {}));
  auto logloss =
      connection_->Execute(fmt::format("SELECT avg(-ln(CASE WHEN y THEN score ELSE 1 - score END)) FROM ({})",
                                       PredictionQuery(model->spec, "score_m", request.validation_query, {"y"})));
  ASSERT_TRUE(logloss) << logloss.error().ToString();
  EXPECT_NEAR(std::get<double>(logloss->rows[0][0]), model->metrics.at("validation_logloss"), 1e-6);
  logloss = connection_->Execute(fmt::format("SELECT avg(-ln(CASE WHEN y THEN score ELSE 1 - score END)) FROM ({})",
                                             PredictionQuery(model->spec, "score_m", request.query, {"y"})));
  EXPECT_NEAR(std::get<double>(logloss->rows[0][0]), model->metrics.at("train_logloss"), 1e-6);
}

}  // namespace
}  // namespace quern::ml
