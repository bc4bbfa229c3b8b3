#include "ml/xgboost/trainer.h"

#include <gtest/gtest.h>

#include "ml/model/loaded_model.h"
#include "ml/xgboost/training_fixture.h"

namespace quern::ml {
namespace {

class TrainerTest : public TrainingFixture {
 protected:
  // Scores the rows of a query by our own walk over the trees.
  std::string Scored(const TrainedModel& model, const std::string& query, const std::vector<std::string>& columns) {
    auto loaded = LoadedModel::Make(model.spec, model.booster, "the model");
    EXPECT_TRUE(loaded) << loaded.error().ToString();
    if (loaded) {
      EXPECT_TRUE(CreateScoringFunction(*connection_, "score_rows", *loaded, {}));
    }
    return PredictionQuery(model.spec, "score_rows", query, columns);
  }
  void ExpectRefused(const TrainRequest& request, ErrorCode code, const std::string& says) {
    auto model = TrainXgboost(*connection_, request);
    ASSERT_FALSE(model) << says;
    EXPECT_EQ(model.error().code(), code) << model.error().ToString();
    EXPECT_NE(model.error().ToString().find(says), std::string::npos) << model.error().ToString();
  }
};

TEST_F(TrainerTest, BinaryScoresWhatXgboostSaidOfItself) {
  auto request = Request("late");
  auto model = Train(request);
  EXPECT_EQ(model.spec.task, Task::kBinary);
  EXPECT_EQ(model.spec.classes, (std::vector<std::string>{"false", "true"}));
  EXPECT_EQ(model.training_rows, 4000);
  EXPECT_EQ(model.validation_rows, 1000);
  EXPECT_EQ(model.spec.features[2].texts.size(), 40U);
  EXPECT_EQ(model.spec.features[5].type, engine::BatchType::kDouble);
  for (const auto& [query, metric] :
       {std::pair(request.validation_query, "validation_logloss"), std::pair(request.query, "train_logloss")}) {
    EXPECT_NEAR(Number(fmt::format("SELECT avg(-ln(CASE WHEN late THEN score ELSE 1 - score END)) FROM ({})",
                                   Scored(model, query, {"late"}))),
                model.metrics.at(metric), 1e-6);
  }
  EXPECT_LT(model.metrics.at("validation_logloss"), 0.3);
  EXPECT_EQ(model.history.size(), 2U * static_cast<size_t>(model.rounds_trained));
  EXPECT_EQ(model.importance.size(), 6U);
  EXPECT_EQ(model.importance[0].feature, "x");
}

TEST_F(TrainerTest, MulticlassAndRegressionScoreWhatXgboostSaidOfThemselves) {
  auto request = Request("class");
  auto model = Train(request);
  EXPECT_EQ(model.spec.task, Task::kMulticlass);
  EXPECT_EQ(model.spec.classes, (std::vector<std::string>{"large", "mid", "small"}));
  EXPECT_NEAR(Number(fmt::format("SELECT avg(-ln((probabilities ->> ('$.' || class))::DOUBLE)) FROM ({})",
                                 Scored(model, request.validation_query, {"class"}))),
              model.metrics.at("validation_mlogloss"), 1e-6);
  EXPECT_GT(Number(fmt::format("SELECT avg((class = prediction)::INTEGER) FROM ({})",
                               Scored(model, request.validation_query, {"class"}))),
            0.8);
  request = Request("size");
  model = Train(request);
  EXPECT_EQ(model.spec.task, Task::kRegression);
  EXPECT_NEAR(Number(fmt::format("SELECT sqrt(avg((size - prediction) ** 2)) FROM ({})",
                                 Scored(model, request.validation_query, {"size"}))),
              model.metrics.at("validation_rmse"), 1e-5);
}

TEST_F(TrainerTest, SameRowsGiveTheSameBytes) {
  auto request = Request("late");
  request.threads = 2;
  auto first = Train(request);
  EXPECT_EQ(first.booster, Train(request).booster);
  // Codes come from the sorted categories, not from the order of rows; fewer or more engine threads change nothing.
  Sql("SET threads = 1");
  EXPECT_EQ(first.booster, Train(request).booster);
  request.seed = 1;
  EXPECT_NE(first.booster, Train(request).booster);
  request.query = "SELECT * FROM flights WHERE id < 4000 ORDER BY id DESC";
  EXPECT_EQ(Train(request).spec.features[2].texts, first.spec.features[2].texts);
}

TEST_F(TrainerTest, EarlyStoppingKeepsTheBestRounds) {
  auto request = Request("late");
  request.rounds = 300;
  request.early_stopping = 5;
  request.parameters["eta"] = 0.5;
  auto model = Train(request);
  EXPECT_LT(model.rounds_trained, 300);
  EXPECT_EQ(model.rounds, model.rounds_trained - 5);
  double best = model.metrics.at("validation_logloss");
  for (const auto& point : model.history) {
    if (point.metric == "validation_logloss") {
      EXPECT_GE(point.value, best);
    }
  }
  request.rounds = model.rounds;
  request.early_stopping = 0;
  EXPECT_EQ(Train(request).booster, model.booster);  // a model cut to its best rounds is one trained so far
}

TEST_F(TrainerTest, WeightsAndChosenClass) {
  auto request = Request("late");
  auto plain = Train(request);
  auto mean = [&](const TrainedModel& model) {
    return Number(fmt::format("SELECT avg(score) FROM ({})", Scored(model, request.validation_query, {})));
  };
  double before = mean(plain);
  request.class_weight = {ClassWeight::Mode::kGiven, {{"true", 5}}};
  EXPECT_GT(mean(Train(request)), before + 0.01);
  request.class_weight = {ClassWeight::Mode::kBalanced, {}};
  Train(request);
  request.class_weight = {ClassWeight::Mode::kGiven, {{"yes", 5}}};
  ExpectRefused(request, ErrorCode::kInvalidArgument, "its classes are false, true");
  request.class_weight = {};
  request.positive = "false";
  EXPECT_NEAR(mean(Train(request)), 1 - before, 0.02);
}

TEST_F(TrainerTest, ConstraintsNameFeatures) {
  auto request = Request("size");
  request.parameters["monotone_constraints"] = {{"distance", -1}};
  auto model = Train(request);
  auto loaded = *LoadedModel::Make(model.spec, model.booster, "m");
  ASSERT_TRUE(CreateScoringFunction(*connection_, "falling", loaded, {}));
  auto rows = Sql("SELECT falling(1, true, 'c1', 3, d, 10)[1] AS y FROM range(0, 300, 10) t(d) ORDER BY d").rows;
  for (size_t i = 1; i < rows.size(); i++) EXPECT_LE(std::get<double>(rows[i][0]), std::get<double>(rows[i - 1][0]));
  request.parameters["monotone_constraints"] = {{"distanc", -1}};
  ExpectRefused(request, ErrorCode::kInvalidArgument, "did you mean 'distance'?");
}

TEST_F(TrainerTest, RowsThatCannotBeLearned) {
  auto with = [&](const std::string& query) {
    auto request = Request("late");
    request.query = query;
    return request;
  };
  ExpectRefused(with("SELECT * FROM flights WHERE id < 0"), ErrorCode::kTrainingData, "no row to train on");
  ExpectRefused(with("SELECT * FROM flights WHERE late"), ErrorCode::kTrainingData, "nothing to tell apart");
  ExpectRefused(with("SELECT * REPLACE (CASE WHEN id <> 77 THEN late END AS late) FROM flights ORDER BY id"),
                ErrorCode::kTrainingData, "the label 'late' of the row id=77 is missing");
  ExpectRefused(with("SELECT * REPLACE (CASE WHEN id = 78 THEN 'infinity'::DOUBLE ELSE x END AS x) FROM flights"),
                ErrorCode::kTrainingData, "column 'x' of the row id=78 is inf, which is infinite");
  ExpectRefused(with("SELECT * REPLACE (CASE WHEN id = 78 THEN -1e300 ELSE x END AS x) FROM flights"),
                ErrorCode::kTrainingData, "beyond what 32-bit floats hold");
  ExpectRefused(with("SELECT * REPLACE (DATE '2020-01-01' AS x) FROM flights"), ErrorCode::kTrainingData, "x (DATE)");
  ExpectRefused(with("SELECT * EXCLUDE (carrier) FROM flights"), ErrorCode::kTrainingData, "no column 'carrier'");
  ExpectRefused(with("SELECT * FROM nowhere"), ErrorCode::kTableNotFound, "nowhere");
  auto request = Request("class");
  request.task = Task::kBinary;
  ExpectRefused(request, ErrorCode::kTrainingData, "`task: multiclass`");
  request.task = Task::kRegression;
  ExpectRefused(request, ErrorCode::kTrainingData, "a regression needs numbers");
  request = Request("size");
  request.task = Task::kBinary;
  ExpectRefused(request, ErrorCode::kTrainingData, "`task: regression`");
  request = Request("late");
  request.parameters["max_dept"] = 3;
  ExpectRefused(request, ErrorCode::kUnknownKey, "max_depth");
}

TEST_F(TrainerTest, WhatIsOddIsTrainedWithAWarning) {
  auto request = Request("class");
  request.query =
      "SELECT * REPLACE (NULL::DOUBLE AS x, NULL::VARCHAR AS carrier, 7 AS month) FROM flights WHERE class <> 'mid'";
  auto model = Train(request);
  ASSERT_EQ(model.warnings.size(), 3U);
  EXPECT_NE(model.warnings[0].message().find("column 'x' is missing in every training row"), std::string::npos);
  EXPECT_NE(model.warnings[1].message().find("'carrier'"), std::string::npos);
  EXPECT_NE(model.warnings[2].message().find("their class is in no training row"), std::string::npos);
  EXPECT_EQ(model.spec.classes, (std::vector<std::string>{"large", "small"}));
  EXPECT_GT(model.validation_rows, 0);
  EXPECT_LT(model.validation_rows, 1000);
  // Categories, years and rows of one value, no validation.
  request = Request("late");
  request.validation_query = "SELECT * FROM flights WHERE id < 0";
  EXPECT_NE(Train(request).warnings.at(0).message().find("no validation row"), std::string::npos);
}

TEST_F(TrainerTest, TheMostFrequentCategoriesAreKept) {
  auto request = Request("late");
  request.validation_query.clear();
  request.rounds = 3;
  request.features = {"carrier", "x"};
  request.query =
      "SELECT id, late, x, CASE WHEN id % 2 = 0 THEN 'often' ELSE 'c' || id END AS carrier FROM flights "
      "UNION ALL SELECT i, i % 2 = 0, 1.5, 'd' || i FROM range(20000) t(i)";
  auto model = Train(request);
  EXPECT_EQ(model.spec.features[0].texts.size(), kMaxCategories);
  EXPECT_NE(std::find(model.spec.features[0].texts.begin(), model.spec.features[0].texts.end(), "often"),
            model.spec.features[0].texts.end());
  EXPECT_NE(model.warnings.at(0).message().find("22,501 categories"), std::string::npos)
      << model.warnings.at(0).message();
}

TEST_F(TrainerTest, CancelledBetweenRounds) {
  auto request = Request("late");
  request.rounds = 100000;
  request.early_stopping = 0;
  request.on_round = [&](int round, const std::string&) {
    if (round == 5) request.cancellation.Cancel();
  };
  ExpectRefused(request, ErrorCode::kCancelled, "");
}

}  // namespace
}  // namespace quern::ml
