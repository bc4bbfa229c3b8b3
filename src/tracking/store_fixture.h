#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/text.h"
#include "tracking/store.h"

namespace quern::tracking {

/// A folder of its own for each test, with a tracking database and artifacts in it.
class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    folder_ =
        std::filesystem::temp_directory_path() /
        fmt::format("quern tracking {} {}", ::getpid(), testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~StoreTest() override { std::filesystem::remove_all(folder_); }

  std::string Path() const { return (folder_ / "sub" / "mlflow.db").string(); }
  StoreOptions Options() const { return {.path = Path(), .artifact_root = folder_ / "artifacts", .clock = &clock_}; }
  std::unique_ptr<Store> Open() const {
    auto store = Store::Open(Options());
    EXPECT_TRUE(store) << store.error().ToString();
    return store ? *std::move(store) : nullptr;
  }

  static std::string Id(std::string_view what) { return Sha256Hex(what).substr(0, 32); }
  static Timestamp At(int64_t seconds) { return FromMicros((1'370'000'000 + seconds) * 1'000'000); }
  NewRun SomeRun(Store& store, std::string_view what, int64_t second = 0) const {
    auto experiment = store.GetOrCreateExperiment("late_arrival");
    EXPECT_TRUE(experiment) << experiment.error().ToString();
    NewRun run;
    run.run_id = Id(what);
    run.experiment_id = experiment->id;
    run.name = std::string(what);
    run.start = At(second);
    run.end = At(second + 10);
    run.params = {{"eta", "0.1"}, {"max_depth", "6"}};
    run.tags = {{"quern.node", "train.late_arrival.1"}};
    run.metrics = {{.key = "auc", .value = 0.5, .step = 0},
                   {.key = "auc", .value = 0.1 + 0.2, .step = 1},
                   {.key = "log_loss", .value = 1.0 / 3}};
    run.datasets = {{.name = "training.late_arrival",
                     .digest = "0123456789abcdef",
                     .source_type = "delta",
                     .source = R"({"path": "/w", "version": 3})",
                     .schema = "{}",
                     .profile = R"({"num_rows": 9})",
                     .context = "training",
                     .tags = {{"rows", "9"}}}};
    run.model = RunModel{.name = "late_arrival", .artifact_path = "model", .model_type = "xgboost", .tags = {}};
    return run;
  }
  NewVersion SomeVersion(const NewRun& run, std::string effect) const {
    return {.model = "late_arrival",
            .run_id = run.run_id,
            .effect = std::move(effect),
            .description = "",
            .tags = {},
            .source = ""};
  }

  std::filesystem::path folder_;
  FixedClock clock_{At(1'000)};
};

}  // namespace quern::tracking
