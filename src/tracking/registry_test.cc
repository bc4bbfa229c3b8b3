#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include "state/database.h"
#include "tracking/store_fixture.h"

namespace quern::tracking {
namespace {

class RegistryTest : public StoreTest {
 protected:
  RegistryTest() : store_(Open()) {}
  NewRun Recorded(std::string_view what) {
    NewRun run = SomeRun(*store_, what);
    auto done = store_->RecordRun(run);
    EXPECT_TRUE(done) << done.error().ToString();
    return run;
  }
  Promotion Promoted(const NewVersion& version) {
    auto promotion = store_->Promote(version);
    EXPECT_TRUE(promotion) << promotion.error().ToString();
    return promotion.value_or(Promotion{});
  }
  std::map<std::string, int64_t> Aliases() {
    auto model = store_->FindModel("late_arrival");
    EXPECT_TRUE(model && *model);
    return (*model)->aliases;
  }
  using Expected = std::map<std::string, int64_t>;

  std::unique_ptr<Store> store_;
};

TEST_F(RegistryTest, VersionsCarryWhatTheyWereMadeOf) {
  const NewRun run = Recorded("a");
  NewVersion version = SomeVersion(run, "monthly/2013-05-01/promote.late_arrival");
  version.description = "first";
  version.tags = {{"quern.schedule", "monthly"}};
  auto made = store_->RegisterVersion(version);
  ASSERT_TRUE(made) << made.error().ToString();
  EXPECT_EQ(made->version, 1);
  EXPECT_TRUE(made->made);
  auto found = *store_->FindVersion("late_arrival", 1);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->source, "models:/" + ModelId(run.run_id, "late_arrival"));
  EXPECT_TRUE(found->storage_location.ends_with(run.run_id + "/artifacts/model")) << found->storage_location;
  EXPECT_EQ(found->run_id, run.run_id);
  EXPECT_EQ(found->status, "READY");
  EXPECT_EQ(found->description, "first");
  EXPECT_EQ(found->created, clock_.Now());
  EXPECT_EQ(found->updated, clock_.Now());
  EXPECT_EQ(found->tags, (Values{{"quern.effect", version.effect}, {"quern.schedule", "monthly"}}));
  EXPECT_TRUE(found->aliases.empty());
  EXPECT_EQ((*store_->FindVersionByEffect("late_arrival", version.effect))->version, 1);
  EXPECT_FALSE(*store_->FindVersionByEffect("late_arrival", "other"));
  EXPECT_EQ(store_->VersionsOfRun(run.run_id)->size(), 1U);
  ASSERT_TRUE(store_->SetVersionTag("late_arrival", 1, "note", "x"));
  EXPECT_EQ((*store_->FindVersion("late_arrival", 1))->tags.at("note"), "x");
  EXPECT_EQ(store_->ListModels()->size(), 1U);
  EXPECT_TRUE(store_->ListVersions("other")->empty());
}

TEST_F(RegistryTest, PromotionMovesBothAliasesOnce) {
  const NewRun a = Recorded("a");
  const NewRun b = Recorded("b");
  const NewRun c = Recorded("c");
  EXPECT_FALSE(Promoted(SomeVersion(a, "1")).former);
  EXPECT_EQ(Aliases(), (Expected{{"champion", 1}}));
  EXPECT_EQ(Promoted(SomeVersion(b, "2")).former, 1);
  EXPECT_EQ(Aliases(), (Expected{{"champion", 2}, {"previous", 1}}));
  const Promotion again = Promoted(SomeVersion(b, "2"));
  EXPECT_FALSE(again.made);
  EXPECT_EQ(again.version, 2);
  EXPECT_EQ(Aliases(), (Expected{{"champion", 2}, {"previous", 1}}));
  Promoted(SomeVersion(c, "3"));
  EXPECT_FALSE(Promoted(SomeVersion(a, "1")).made) << "an old effect moves nothing";
  EXPECT_EQ(Aliases(), (Expected{{"champion", 3}, {"previous", 2}}));
  auto versions = store_->ListVersions("late_arrival");
  ASSERT_EQ(versions->size(), 3U);
  EXPECT_EQ(versions->at(0).version, 3);
  EXPECT_EQ((*store_->FindVersionByAlias("late_arrival", "previous"))->version, 2);
  EXPECT_FALSE(*store_->FindVersionByAlias("late_arrival", "none"));
}

TEST_F(RegistryTest, VersionsThatAreThereArePromotedByNumber) {
  Promoted(SomeVersion(Recorded("a"), "1"));
  Promoted(SomeVersion(Recorded("b"), "2"));
  auto back = store_->PromoteVersion("late_arrival", 1);
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->made);
  EXPECT_EQ(back->former, 2);
  EXPECT_EQ(Aliases(), (Expected{{"champion", 1}, {"previous", 2}}));
  EXPECT_FALSE(store_->PromoteVersion("late_arrival", 1)->made);
  EXPECT_EQ(Aliases(), (Expected{{"champion", 1}, {"previous", 2}}));
}

TEST_F(RegistryTest, AliasesAreSetAndRemovedTogether) {
  Promoted(SomeVersion(Recorded("a"), "1"));
  Promoted(SomeVersion(Recorded("b"), "2"));
  ASSERT_TRUE(store_->SetAliases("late_arrival", {{"champion", 1}, {"previous", std::nullopt}, {"shadow", 2}}));
  EXPECT_EQ(Aliases(), (Expected{{"champion", 1}, {"shadow", 2}}));
  auto refused = store_->SetAliases("late_arrival", {{"champion", 2}, {"shadow", 9}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kTrackingNotFound);
  EXPECT_EQ(refused.error().hint(), "its last version is 2");
  EXPECT_EQ(Aliases(), (Expected{{"champion", 1}, {"shadow", 2}})) << "nothing of it was done";
  ASSERT_TRUE(store_->SetAlias("late_arrival", "shadow", 1));
  ASSERT_TRUE(store_->DeleteAlias("late_arrival", "champion"));
  ASSERT_TRUE(store_->DeleteAlias("late_arrival", "champion"));
  EXPECT_EQ(Aliases(), (Expected{{"shadow", 1}}));
  for (const char* name : {"", "a b", "latest", "v12", "a/b"}) {
    EXPECT_EQ(store_->SetAlias("late_arrival", name, 1).error().code(), ErrorCode::kInvalidArgument) << name;
  }
}

TEST_F(RegistryTest, WhatIsNotThereIsSaid) {
  NewRun run = SomeRun(*store_, "a");
  EXPECT_EQ(store_->Promote(SomeVersion(run, "1")).error().code(), ErrorCode::kTrackingNotFound);
  EXPECT_TRUE(store_->ListModels()->empty()) << "nothing was made on the way";
  run.model.reset();
  ASSERT_TRUE(store_->RecordRun(run));
  auto refused = store_->Promote(SomeVersion(run, "1"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("no model to register"), std::string::npos);
  NewVersion elsewhere = SomeVersion(run, "1");
  elsewhere.source = "file:///models/a";
  EXPECT_TRUE(store_->Promote(elsewhere));
  EXPECT_EQ((*store_->FindVersion("late_arrival", 1))->storage_location, "file:///models/a");
  auto unknown = store_->PromoteVersion("late_arival", 1);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), ErrorCode::kTrackingNotFound);
  EXPECT_EQ(unknown.error().hint(), "did you mean 'late_arrival'?");
  EXPECT_EQ(store_->Promote(SomeVersion(run, "")).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(store_->GetOrCreateModel("a/b").error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(RegistryTest, DeletedVersionsAreNotFoundAndTheirNumbersNotGivenAgain) {
  Promoted(SomeVersion(Recorded("a"), "1"));
  Promoted(SomeVersion(Recorded("b"), "2"));
  auto db = state::Database::Open({.url = Path()});
  ASSERT_TRUE((*db)->Write([](state::Connection& c) -> Result<void> {
    QUERN_TRY(c.Execute("UPDATE model_versions SET current_stage = 'Deleted_Internal' WHERE version = 2"));
    QUERN_TRY(c.Execute("DELETE FROM registered_model_aliases WHERE version = 2"));
    return {};
  }));
  EXPECT_EQ(store_->ListVersions("late_arrival")->size(), 1U);
  EXPECT_FALSE(*store_->FindVersion("late_arrival", 2));
  EXPECT_NE(store_->PromoteVersion("late_arrival", 2).error().message().find("was deleted"), std::string::npos);
  const Promotion again = Promoted(SomeVersion(Recorded("b"), "2"));
  EXPECT_TRUE(again.made);
  EXPECT_EQ(again.version, 3);
}

TEST_F(RegistryTest, RegisteredModelsKeepTheirDescription) {
  ASSERT_TRUE(store_->GetOrCreateModel("late_arrival", "flights that are late"));
  ASSERT_TRUE(store_->GetOrCreateModel("late_arrival", "other"));
  EXPECT_EQ((*store_->FindModel("late_arrival"))->description, "flights that are late");
  EXPECT_EQ((*store_->FindModel("late_arrival"))->created, clock_.Now());
}

TEST_F(RegistryTest, KilledWhilePromotingLeavesNoHalfPromotion) {
  std::vector<NewRun> runs;
  for (int i = 0; i < 40; ++i) runs.push_back(Recorded(fmt::format("run {}", i)));
  store_.reset();
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = Store::Open(Options());
      if (!store) ::_exit(1);
      for (size_t i = 0; i < runs.size(); ++i) {
        if (!(*store)->Promote(SomeVersion(runs[i], std::to_string(i)))) ::_exit(1);
      }
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(5'000 + 700 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    auto store = Open();
    ASSERT_TRUE(store);
    auto versions = *store->ListVersions("late_arrival");
    for (size_t i = 0; i < versions.size(); ++i) {
      EXPECT_EQ(versions[i].version, static_cast<int64_t>(versions.size() - i));
      EXPECT_EQ(versions[i].tags.at("quern.effect"), std::to_string(versions[i].version - 1));
      const std::vector<std::string> expected = i == 0   ? std::vector<std::string>{"champion"}
                                                : i == 1 ? std::vector<std::string>{"previous"}
                                                         : std::vector<std::string>{};
      EXPECT_EQ(versions[i].aliases, expected);
    }
  }
  store_ = Open();
  for (size_t i = 0; i < runs.size(); ++i) Promoted(SomeVersion(runs[i], std::to_string(i)));
  EXPECT_EQ(store_->ListVersions("late_arrival")->size(), runs.size());
  EXPECT_EQ(Aliases(), (Expected{{"champion", 40}, {"previous", 39}}));
}

}  // namespace
}  // namespace quern::tracking
