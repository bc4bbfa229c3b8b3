#include "ml/model/loaded_model.h"

#include <gtest/gtest.h>

#include <thread>

#include "io/files.h"
#include "ml/model/model_folder.h"
#include "ml/xgboost/training_fixture.h"

namespace quern::ml {
namespace {
namespace fs = std::filesystem;

class LoadedModelTest : public TrainingFixture {
 protected:
  void SetUp() override {
    TrainingFixture::SetUp();
    folder_.emplace(*io::TempFolder::Make("model-test-"));
    model_ = Train(Request("late"));
    auto files = WriteModelFolder(model_, path(), {});
    ASSERT_TRUE(files) << files.error().ToString();
    files_ = *std::move(files);
  }
  fs::path path() const { return folder_->path() / "model"; }
  void ExpectBroken(const std::string& name) {
    auto loaded = LoadedModel::Load(path());
    ASSERT_FALSE(loaded) << name;
    EXPECT_EQ(loaded.error().code(), ErrorCode::kModelFile);
    EXPECT_NE(loaded.error().message().find((path() / name).string()), std::string::npos) << loaded.error().ToString();
  }

  std::optional<io::TempFolder> folder_;
  TrainedModel model_;
  std::vector<ModelFile> files_;
};

TEST_F(LoadedModelTest, FolderLoadsAndItsBytesRepeat) {
  EXPECT_EQ(*ModelKindOf(path()), ModelKind::kXgboost);
  auto loaded = LoadedModel::Load(path());
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ(ToJson((*loaded)->spec()), ToJson(model_.spec));
  auto again = *WriteModelFolder(model_, folder_->path() / "again", {});
  ASSERT_EQ(again.size(), files_.size());
  for (size_t i = 0; i < again.size(); i++) EXPECT_EQ(again[i].sha256, files_[i].sha256) << again[i].path;
}

TEST_F(LoadedModelTest, DamagedFilesAreNamed) {
  for (std::string name : {"MLmodel", "features.json", "model.ubj"}) {
    std::string bytes = *io::ReadFile(path() / name);
    for (const auto& damaged : {std::string(), bytes.substr(0, bytes.size() / 2)}) {
      ASSERT_TRUE(io::WriteFileAtomically(path() / name, damaged));
      ExpectBroken(name);
    }
    ASSERT_TRUE(io::RemoveAll(path() / name));
    ExpectBroken(name);
    ASSERT_TRUE(io::WriteFileAtomically(path() / name, bytes));
  }
  Json features = *ParseJson(*io::ReadFile(path() / "features.json"), "f");
  features["format"] = 2;
  ASSERT_TRUE(io::WriteFileAtomically(path() / "features.json", features.dump()));
  ExpectBroken("features.json");
}

// Whatever the bytes, reading the trees ends with an error or a model that can be walked.
TEST_F(LoadedModelTest, NoBytesOfTreesLeadOutOfTheirArrays) {
  std::string bytes = model_.booster;
  uint64_t state = 1;
  auto next = [&] { return state = state * 6364136223846793005ULL + 1442695040888963407ULL, state >> 33; };
  int whole = 0;
  for (int i = 0; i < 300; i++) {
    std::string damaged = bytes;
    for (int k = 0; k < 3; k++) damaged[next() % damaged.size()] = static_cast<char>(next());
    if (i % 5 == 0) damaged.resize(next() % damaged.size());
    auto made = LoadedModel::Make(model_.spec, damaged, "m");
    if (!made) {
      EXPECT_EQ(made.error().code(), ErrorCode::kModelFile);
      continue;
    }
    whole++;
    ASSERT_TRUE(CreateScoringFunction(*connection_, "score_damaged", *made, {}));
    Sql(fmt::format("SELECT sum(score) FROM ({})", PredictionQuery(model_.spec, "score_damaged", "FROM flights", {})));
  }
  EXPECT_GT(whole, 0);
  ModelSpec other = model_.spec;
  other.features.pop_back();
  EXPECT_FALSE(LoadedModel::Make(other, bytes, "m"));
  other = model_.spec;
  other.features[2].texts.resize(3);
  EXPECT_FALSE(LoadedModel::Make(other, bytes, "m"));
  other = model_.spec;
  other.task = Task::kRegression;
  EXPECT_FALSE(LoadedModel::Make(other, bytes, "m"));
}

TEST_F(LoadedModelTest, UnseenCategoriesCountAsMissing) {
  auto loaded = *LoadedModel::Load(path());
  ScoringOptions options;
  options.counts = std::make_shared<ScoringCounts>(6);
  ASSERT_TRUE(CreateScoringFunction(*connection_, "score_m", loaded, options));
  Sql("CREATE TABLE rows AS SELECT 1.5 AS x, true AS flag, 'never' AS carrier, 99 AS month, 10 AS distance, 3 AS fare "
      "UNION ALL SELECT 1.5, true, NULL, NULL, 10, 3");
  EXPECT_EQ(Sql("SELECT DISTINCT score_m(x, flag, carrier, month, distance, fare)[1] FROM rows").rows.size(), 1U);
  EXPECT_EQ(options.counts->unseen(2), 1);
  EXPECT_EQ(options.counts->unseen(3), 1);
  EXPECT_EQ(options.counts->unseen(0), 0);
  EXPECT_EQ(options.counts->rows(), 2);
}

TEST_F(LoadedModelTest, ArgumentsOfOtherTypesAreAdapted) {
  auto loaded = *LoadedModel::Load(path());
  ASSERT_TRUE(CreateScoringFunction(*connection_, "score_m", loaded, {}));
  EXPECT_EQ(Number("SELECT score_m(1::FLOAT, 1 = 1, 'c3', 4::TINYINT, 10::UINTEGER, 3.5::DECIMAL(4, 2))[1]"),
            Number("SELECT score_m(1, true, 'c3', 4, 10, 3.5)[1]"));
}

TEST_F(LoadedModelTest, InfiniteValuesAreAnErrorUnlessAsked) {
  auto loaded = *LoadedModel::Load(path());
  ASSERT_TRUE(CreateScoringFunction(*connection_, "strict", loaded, {}));
  auto failed = connection_->Execute("SELECT strict('infinity'::DOUBLE, true, 'c3', 4, 10, 3)[1]");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), ErrorCode::kTrainingData);
  EXPECT_NE(failed.error().message().find("column 'x'"), std::string::npos) << failed.error().ToString();
  ASSERT_TRUE(CreateScoringFunction(*connection_, "lenient", loaded, {.infinite = Infinite::kMissing}));
  EXPECT_EQ(Number("SELECT lenient('infinity'::DOUBLE, true, 'c3', 4, 10, 3)[1]"),
            Number("SELECT strict('nan'::DOUBLE, true, 'c3', 4, 10, 3)[1]"));
}

TEST_F(LoadedModelTest, EachRowIsScoredOnceByWhateverThreads) {
  auto loaded = *LoadedModel::Load(path());
  ScoringOptions options;
  options.counts = std::make_shared<ScoringCounts>(6);
  ASSERT_TRUE(CreateScoringFunction(*connection_, "score_m", loaded, options));
  std::string many = "SELECT f.*, i FROM flights f, range(60) t(i)";
  Sql(fmt::format("CREATE TABLE predictions AS {}", PredictionQuery(model_.spec, "score_m", many, {"id", "i"})));
  EXPECT_EQ(options.counts->rows(), 300000);
  EXPECT_EQ(Sql("SELECT id FROM predictions GROUP BY id HAVING count(DISTINCT score) > 1").rows.size(), 0U);
  EXPECT_EQ(Sql("SELECT * FROM predictions WHERE (score >= 0.5) <> (prediction = 'true')").rows.size(), 0U);
}

}  // namespace
}  // namespace quern::ml
