#include "ml/model/script_trainer.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "io/files.h"
#include "ml/xgboost/training_fixture.h"

namespace quern::ml {
namespace {
namespace fs = std::filesystem;

constexpr const char* kLeavesAModel = R"(mkdir -p "$QUERN_MODEL_DIR" &&
printf 'flavors:\n  python_function:\n    loader_module: x\n' > "$QUERN_MODEL_DIR/MLmodel" && )";

class ScriptTrainerTest : public TrainingFixture {
 protected:
  void SetUp() override {
    TrainingFixture::SetUp();
    folder_.emplace(*io::TempFolder::Make("script-trainer-test-"));
    request_.project = folder_->path();
    request_.environments = folder_->path() / "envs";
    request_.work = folder_->path() / "work";
    request_.model_folder = folder_->path() / "run" / "model";
    request_.name = "late_arrival";
    request_.query = Request("late").query;
    request_.validation_query = Request("late").validation_query;
    request_.label = "late";
    request_.key = {"id"};
    request_.features = {"x", "carrier"};
    request_.parameters = {{"depth", 3}};
    request_.seed = 5;
    request_.log = [this](std::string_view line) { log_ += std::string(line) + "\n"; };
  }
  Result<ScriptTrained> Run(const std::string& shell) {
    request_.trainer.shell = shell;
    auto trained = TrainWithScript(*connection_, request_);
    EXPECT_TRUE(fs::is_empty(request_.work));
    return trained;
  }
  void ExpectRefused(const std::string& shell, ErrorCode code, const std::string& says) {
    auto trained = Run(shell);
    ASSERT_FALSE(trained) << shell;
    EXPECT_EQ(trained.error().code(), code) << trained.error().ToString();
    EXPECT_NE(trained.error().ToString().find(says), std::string::npos) << trained.error().ToString();
  }

  std::optional<io::TempFolder> folder_;
  ScriptTrainRequest request_;
  std::string log_;
};

TEST_F(ScriptTrainerTest, GetsRowsAndParametersAndLeavesAModel) {
  request_.environment["QUERN_INTERVAL_END"] = "2013-06-01";
  auto trained = Run(std::string(kLeavesAModel) +
                     R"(head -c 4 "$QUERN_TRAIN_DATA" && echo && head -c 4 "$QUERN_VALIDATION_DATA" && echo &&
echo "$QUERN_MODEL $QUERN_LABEL $QUERN_FEATURES $QUERN_PARAMETERS $QUERN_SEED $QUERN_INTERVAL_END" &&
echo '{"auc": 0.71, "rounds": 3}' > "$QUERN_METRICS")");
  ASSERT_TRUE(trained) << trained.error().ToString();
  EXPECT_EQ(trained->metrics, (std::map<std::string, double>{{"auc", 0.71}, {"rounds", 3}}));
  EXPECT_EQ(log_, "PAR1\nPAR1\nlate_arrival late [\"x\",\"carrier\"] {\"depth\":3} 5 2013-06-01\n");
}

TEST_F(ScriptTrainerTest, WhatItLeavesIsChecked) {
  std::string model = kLeavesAModel;
  ExpectRefused("echo sorry >&2; exit 3", ErrorCode::kScriptFailed, "exit code 3; it last said: sorry");
  ExpectRefused(model + "true", ErrorCode::kTraining, "metrics.json is missing");
  ExpectRefused(model + "echo '{\"auc\": null}' > $QUERN_METRICS", ErrorCode::kTraining, "'auc' as null");
  ExpectRefused(model + "echo '{\"auc\": 1e999}' > $QUERN_METRICS", ErrorCode::kTraining, "metrics.json");
  ExpectRefused(model + "echo '[1' > $QUERN_METRICS", ErrorCode::kTraining, "does not parse");
  ExpectRefused("echo '{}' > $QUERN_METRICS", ErrorCode::kModelFile, "MLmodel is missing");
  ExpectRefused(
      "mkdir -p $QUERN_MODEL_DIR && echo 'flavors: {sklearn: {}}' > $QUERN_MODEL_DIR/MLmodel && echo '{}' > "
      "$QUERN_METRICS",
      ErrorCode::kModelFile, "no python_function flavor");
  request_.trainer.timeout = std::chrono::milliseconds(100);
  ExpectRefused("sleep 20", ErrorCode::kTimeout, "did not end in time");
  request_.trainer.timeout.reset();
  request_.query = "SELECT * FROM flights WHERE id < 0";
  ExpectRefused("true", ErrorCode::kTrainingData, "no row to train on");
}

TEST_F(ScriptTrainerTest, ScoringSaysWhatTheEnvironmentLacks) {
  ASSERT_TRUE(Run(std::string(kLeavesAModel) + "echo '{}' > $QUERN_METRICS"));
  // An environment without packages.
  ASSERT_TRUE(io::WriteFileAtomically(folder_->path() / "r.txt", "# none\n"));
  MlflowScoring scoring;
  scoring.model_folder = request_.model_folder;
  scoring.work = request_.work;
  scoring.environments = request_.environments;
  scoring.trainer.requirements = folder_->path() / "r.txt";
  scoring.trainer.requirements_name = "r.txt";
  scoring.features = {"x"};
  scoring.classes = {"false", "true"};
  auto scored = ScoreWithMlflow(*connection_, scoring, "SELECT * FROM flights", {"id"});
  ASSERT_FALSE(scored);
  EXPECT_EQ(scored.error().code(), ErrorCode::kScriptFailed);
  EXPECT_NE(scored.error().message().find("add mlflow to its requirements"), std::string::npos)
      << scored.error().ToString();
  EXPECT_TRUE(fs::is_empty(request_.work));
}

}  // namespace
}  // namespace quern::ml
