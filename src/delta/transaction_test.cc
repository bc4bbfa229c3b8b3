#include "delta/transaction.h"

#include <thread>

#include "delta/checkpoint.h"
#include "delta/features.h"
#include "delta/history.h"
#include "delta/log_segment.h"
#include "delta/table_fixture.h"

namespace quern::delta {
namespace {

using Names = std::vector<std::string>;
using Kind = Conflicted::Kind;
using Fault = io::FaultStore::Fault;

class TransactionTest : public TableTest {
 protected:
  static Kind ConflictOf(Transaction& tx) {
    Result<CommitResult> result = tx.Commit({});
    EXPECT_TRUE(result) << (result ? "" : result.error().ToString());
    const auto* conflict = result ? std::get_if<Conflicted>(&*result) : nullptr;
    if (!conflict) {
      ADD_FAILURE() << "it was committed";
      return Kind::kTooManyAttempts;
    }
    EXPECT_NE(conflict->reason.find("commit "), std::string::npos) << conflict->reason;
    return conflict->kind;
  }
  Transaction Begin(const SnapshotPtr& base) { return Transaction::Begin(table_, base, options_); }
  static Predicate IdIs(int64_t n) { return Predicate::Compare({"id"}, CompareOp::kEqual, Literal(n)); }
};

TEST_F(TransactionTest, CreateAppendReadBack) {
  SnapshotPtr s = Create({{"delta.enableDeletionVectors", "true"}});
  EXPECT_EQ(s->version(), 0);
  EXPECT_EQ(s->protocol().min_reader_version, 3);
  s = Append(s, "a.parquet");
  s = Append(s, "b.parquet", 10, 19);
  EXPECT_EQ(s->version(), 2);
  const SnapshotPtr loaded = Load();
  EXPECT_EQ(Paths(loaded), (Names{"a.parquet", "b.parquet"}));
  EXPECT_EQ(Paths(s), Paths(loaded));
  EXPECT_EQ(loaded->total_rows(), 20);
  EXPECT_EQ(loaded->metadata(), s->metadata());
  EXPECT_EQ(Load(1)->files().size(), 1U);
  EXPECT_EQ(Snapshot::Load(table_, 9).error().code(), ErrorCode::kVersionNotFound);
  EXPECT_EQ(Snapshot::Load({store_, "wh/none", nullptr}).error().code(), ErrorCode::kTableNotFound);
}

TEST_F(TransactionTest, CommitInfoSaysWhoWroteIt) {
  SnapshotPtr s = Create();
  Transaction tx = Begin(s);
  tx.Add(File("a"));
  tx.SetTxn("run/node", 7);
  Operation operation{
      .name = "MERGE", .parameters = {{"predicate", "[\"x\"]"}}, .metrics = {{"numTargetRowsInserted", "3"}}};
  operation.extra["quernNode"] = "model.x";
  s = Done(tx, operation);
  EXPECT_EQ(s->TxnVersion("run/node"), 7);
  const auto history = History(table_, 1).value();
  ASSERT_EQ(history.size(), 1U);
  const Json& info = history[0].commit_info->json;
  EXPECT_EQ(info["operation"], "MERGE");
  EXPECT_EQ(info["operationMetrics"]["numTargetRowsInserted"], "3");
  EXPECT_EQ(info["quernNode"], "model.x");
  EXPECT_EQ(info["isBlindAppend"], true);
  EXPECT_TRUE(info["engineInfo"].get<std::string>().starts_with("Quern/"));
  EXPECT_EQ(info["readVersion"], 0);
}

TEST_F(TransactionTest, BlindAppendsStepOverEachOther) {
  const SnapshotPtr base = Create();
  Append(base, "a");
  Append(base, "b");
  const SnapshotPtr s = Append(base, "c");
  EXPECT_EQ(s->version(), 3);
  EXPECT_EQ(Paths(s), (Names{"a", "b", "c"}));
}

TEST_F(TransactionTest, CreatingTwiceConflicts) {
  Create();
  Transaction tx = Begin(nullptr);
  ASSERT_TRUE(tx.SetMetadata(Meta()));
  EXPECT_EQ(ConflictOf(tx), Kind::kTableExists);
}

TEST_F(TransactionTest, AppendConflictsWithWhatItReadOnlyWhereItCouldMatch) {
  SnapshotPtr base = Append(Create(), "a", 0, 9);
  Append(base, "b", 100, 109);
  {
    Transaction tx = Begin(base);
    tx.ReadMatching(IdIs(5));
    tx.Add(File("c"));
    Done(tx);
  }
  {
    Transaction tx = Begin(base);
    tx.ReadMatching(IdIs(105));
    tx.Add(File("d"));
    EXPECT_EQ(ConflictOf(tx), Kind::kConcurrentAppend);
  }
  {
    Transaction tx = Begin(base);
    tx.ReadWholeTable();
    tx.Add(File("e"));
    EXPECT_EQ(ConflictOf(tx), Kind::kConcurrentAppend);
  }
}

TEST_F(TransactionTest, WriteSerializableLetsBlindAppendsPass) {
  SnapshotPtr base = Append(Create({{"delta.isolationLevel", "WriteSerializable"}}), "a");
  Append(base, "b");
  Transaction tx = Begin(base);
  tx.ReadWholeTable();
  tx.Remove(*base->FindFile("a"));
  tx.Add(File("c"));
  EXPECT_EQ(Paths(Done(tx)), (Names{"b", "c"}));
}

TEST_F(TransactionTest, DeletesConflict) {
  SnapshotPtr base = Append(Append(Create(), "a", 0, 9), "b", 10, 19);
  {
    Transaction tx = Begin(base);
    tx.ReadMatching(IdIs(3));
    tx.Remove(*base->FindFile("a"));
    tx.Add(File("a2", 0, 8));
    Done(tx);
  }
  {
    Transaction tx = Begin(base);
    tx.ReadMatching(IdIs(4));
    tx.Remove(*base->FindFile("a"));
    EXPECT_EQ(ConflictOf(tx), Kind::kConcurrentDeleteDelete);
  }
  {
    Transaction tx = Begin(base);
    tx.ReadMatching(IdIs(4));
    tx.Add(File("x"));
    EXPECT_EQ(ConflictOf(tx), Kind::kConcurrentDeleteRead);
  }
  {
    Transaction tx = Begin(base);
    tx.ReadFile(*base->FindFile("a"));
    tx.Add(File("x"));
    EXPECT_EQ(ConflictOf(tx), Kind::kConcurrentDeleteRead);
  }
  {
    Transaction tx = Begin(base);
    tx.ReadMatching(IdIs(15));
    tx.Remove(*base->FindFile("b"));
    EXPECT_EQ(Paths(Done(tx)), Names{"a2"});
  }
}

TEST_F(TransactionTest, MetadataProtocolAndTxnConflict) {
  const SnapshotPtr base = Create();
  {
    Transaction tx = Begin(base);
    tx.SetTxn("app", 1);
    Done(tx);
  }
  {
    Transaction tx = Begin(base);
    tx.SetTxn("app", 2);
    EXPECT_EQ(ConflictOf(tx), Kind::kConcurrentTransaction);
  }
  {
    Transaction tx = Begin(base);
    ASSERT_TRUE(tx.SetMetadata(Meta({{"a", "b"}})));
    Done(tx);
  }
  {
    Transaction tx = Begin(base);
    tx.Add(File("a"));
    EXPECT_EQ(ConflictOf(tx), Kind::kMetadataChanged);
  }
  const SnapshotPtr now = Load();
  {
    Transaction tx = Begin(now);
    ASSERT_TRUE(tx.SetMetadata(Meta({{"delta.enableDeletionVectors", "true"}})));
    Done(tx);
  }
  Transaction tx = Begin(now);
  tx.Add(File("a"));
  EXPECT_EQ(ConflictOf(tx), Kind::kProtocolChanged);
}

TEST_F(TransactionTest, CompactionIsNotDisturbedByAppends) {
  const SnapshotPtr base = Append(Append(Create(), "a"), "b");
  Append(base, "c");
  Transaction tx = Begin(base);
  tx.ReadWholeTable();
  tx.Remove(*base->FindFile("a"), false);
  tx.Remove(*base->FindFile("b"), false);
  Add merged = File("ab");
  merged.data_change = false;
  tx.Add(merged);
  EXPECT_EQ(Paths(Done(tx)), (Names{"c", "ab"}));
}

TEST_F(TransactionTest, DeletionVectorReplacesTheFileEntry) {
  SnapshotPtr base = Append(Create({{"delta.enableDeletionVectors", "true"}}), "a");
  DeletionVectorDescriptor vector;
  vector.storage = DeletionVectorDescriptor::Storage::kInline;
  vector.path_or_inline = "xyzab";
  vector.cardinality = 3;
  Transaction tx = Begin(base);
  tx.ReadFile(*base->FindFile("a"));
  tx.UpdateDeletionVector(*base->FindFile("a"), vector);
  const SnapshotPtr s = Done(tx);
  ASSERT_EQ(s->files().size(), 1U);
  EXPECT_EQ(s->files()[0]->live_records(), 7);
  EXPECT_FALSE(s->files()[0]->stats().tight_bounds());
  EXPECT_EQ(Load()->total_rows(), 7);
  EXPECT_EQ(Load()->Tombstones().size(), 1U);
  // Without the feature a vector is refused.
  Transaction bad = Transaction::Begin({store_, "wh/u", nullptr}, nullptr);
  ASSERT_TRUE(bad.SetMetadata(Meta()));
  bad.Add(s->files()[0]->add());
  EXPECT_EQ(bad.Commit({}).error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(TransactionTest, ContradictionsAreRefused) {
  const SnapshotPtr base = Create({}, {"day"});
  {
    Transaction tx = Begin(base);
    tx.Add(File("a"));
    EXPECT_EQ(tx.Commit({}).error().code(), ErrorCode::kInvalidArgument);
  }
  {
    Transaction tx = Begin(base);
    tx.Add(File("a", 0, 9, {{"day", std::nullopt}}));
    tx.Add(File("a", 0, 9, {{"day", std::nullopt}}));
    EXPECT_EQ(tx.Commit({}).error().code(), ErrorCode::kInvalidArgument);
  }
  {
    Transaction tx = Begin(base);
    Metadata bad = Meta({}, {"nope"});
    EXPECT_EQ(tx.SetMetadata(bad).error().code(), ErrorCode::kInvalidArgument);
  }
}

TEST_F(TransactionTest, AppendOnlyTablesKeepTheirRows) {
  SnapshotPtr base = Append(Create({{"delta.appendOnly", "true"}}), "a");
  Transaction tx = Begin(base);
  tx.Remove(*base->FindFile("a"));
  EXPECT_EQ(tx.Commit({}).error().code(), ErrorCode::kUnsupportedFeature);
  Transaction compaction = Begin(base);
  compaction.Remove(*base->FindFile("a"), false);
  Done(compaction);
}

TEST_F(TransactionTest, UnbuiltFeaturesAreRefusedByName) {
  for (const auto& [key, feature] : std::map<std::string, std::string>{{"delta.enableChangeDataFeed", "changeDataFeed"},
                                                                       {"delta.enableRowTracking", "rowTracking"},
                                                                       {"delta.enableTypeWidening", "typeWidening"}}) {
    Transaction tx = Begin(nullptr);
    Result<void> set = tx.SetMetadata(Meta({{key, "true"}}));
    const Result<CommitResult> result = set ? tx.Commit({}) : Result<CommitResult>(Fail(set.error()));
    ASSERT_FALSE(result) << key;
    EXPECT_EQ(result.error().code(), ErrorCode::kUnsupportedFeature);
    EXPECT_NE(result.error().message().find("'" + feature + "'"), std::string::npos) << result.error().message();
  }
}

TEST_F(TransactionTest, LostAnswerIsSettledByReadingBack) {
  const SnapshotPtr base = Create();
  store_->FailNext("PutIfAbsent", ".json", Fault::kAfter);
  const SnapshotPtr s = Append(base, "a");
  ASSERT_TRUE(s);
  EXPECT_EQ(s->version(), 1);
  EXPECT_EQ(Paths(Load()), Names{"a"});
  // Without an effect it is the store's error, and nothing is there.
  store_->FailNext("PutIfAbsent", ".json", Fault::kBefore, ErrorCode::kNoSpace);
  Transaction tx = Begin(s);
  tx.Add(File("b"));
  EXPECT_EQ(tx.Commit({}).error().code(), ErrorCode::kNoSpace);
  EXPECT_EQ(Load()->version(), 1);
}

TEST_F(TransactionTest, LostAnswerBehindSomebodyElsesCommit) {
  const SnapshotPtr base = Create();
  Append(base, "other");
  store_->FailNext("PutIfAbsent", "1.json", Fault::kBefore);
  // The error hits version 1, which is another's: stepped over.
  EXPECT_EQ(Paths(Append(base, "mine")), (Names{"other", "mine"}));
}

/// At whatever call the process dies: the commit is there whole, with its durable files, or not at all.
TEST_F(TransactionTest, CrashAnywhereLeavesAWholeTable) {
  for (const Fault fault : {Fault::kCrash, Fault::kCrashAfter}) {
    for (int nth = 1;; ++nth) {
      auto store = std::make_shared<io::FaultStore>();
      auto parquet = std::make_shared<JsonParquetIo>(store);
      store_ = store;
      parquet_ = parquet;
      table_ = {store, "wh/t", parquet};
      SnapshotPtr s = Create({{"delta.checkpointInterval", "2"}});
      s = Append(s, "a");
      store->FailCall(nth, fault);
      Transaction tx = Begin(s);
      tx.ReadWholeTable();
      tx.Remove(*s->FindFile("a"));
      tx.Add(File("b"));
      tx.SetTxn("app", 1);
      const int before = store->calls();
      const Result<CommitResult> result = tx.Commit({});
      const bool finished = store->calls() - before < nth;
      store->Restart();
      const SnapshotPtr after = Load();
      ASSERT_TRUE(after);
      if (after->version() == 2) {
        EXPECT_EQ(Paths(after), Names{"b"});
        EXPECT_EQ(after->TxnVersion("app"), 1);
        EXPECT_EQ(store->Get("wh/t/b").value(), "data") << "the commit names a file that was lost";
      } else {
        EXPECT_EQ(after->version(), 1);
        EXPECT_EQ(Paths(after), Names{"a"});
        EXPECT_FALSE(result) << "a commit was told that is not there";
      }
      // And the table goes on.
      EXPECT_EQ(Append(after, "c")->version(), after->version() + 1);
      if (finished) break;
    }
  }
}

TEST_F(TransactionTest, ThreadsAppendWithoutLoss) {
  const SnapshotPtr base = Create();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      SnapshotPtr mine = base;
      for (int k = 0; k < 25; ++k) {
        Transaction tx = Transaction::Begin(table_, mine, {});
        tx.Add(File(fmt::format("f{}-{}", i, k)));
        mine = Done(tx);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const SnapshotPtr s = Load();
  EXPECT_EQ(s->version(), 100);
  EXPECT_EQ(s->files().size(), 100U);
  EXPECT_EQ(s->checkpoint_version(), 100);
}

TEST_F(TransactionTest, ThreadsCountWithoutLostUpdates) {
  // Read-modify-write of one file: conflicts are retried from the new state, and none is lost.
  Append(Create(), "0");
  std::atomic<int> conflicts = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 10;) {
        const SnapshotPtr mine = Snapshot::Load(table_).value();
        const DataFilePtr file = mine->files().at(0);
        Transaction tx = Transaction::Begin(table_, mine, {});
        tx.ReadWholeTable();
        tx.Remove(*file);
        tx.Add(File(fmt::format("{}", std::stoi(file->add().path) + 1)));
        Result<CommitResult> result = tx.Commit({});
        ASSERT_TRUE(result) << result.error().ToString();
        if (std::holds_alternative<Committed>(*result)) {
          ++k;
        } else {
          ++conflicts;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Paths(Load()), Names{"30"});
}

TEST_F(TransactionTest, RestoreBringsBackFilesSchemaAndProperties) {
  SnapshotPtr s = Append(Create({{"a", "1"}}), "x");
  const int64_t then = s->version();
  {
    Transaction tx = Begin(s);
    tx.ReadWholeTable();
    tx.RemoveAll();
    tx.Add(File("y"));
    tx.SetTxn("app", 5);
    ASSERT_TRUE(tx.SetMetadata(Meta({{"a", "2"}})));
    s = Done(tx);
  }
  RestorePlan plan = PlanRestore(s, then).value();
  EXPECT_EQ(plan.operation.metrics["numRestoredFiles"], "1");
  s = Done(plan.transaction, plan.operation);
  EXPECT_EQ(Paths(s), Names{"x"});
  EXPECT_EQ(s->Property("a"), "1");
  EXPECT_EQ(s->TxnVersion("app"), 5);
  EXPECT_EQ(Paths(Load()), Names{"x"});
  ASSERT_TRUE(store_->Delete("wh/t/y"));
  EXPECT_EQ(PlanRestore(s, 2).error().code(), ErrorCode::kNotFound);
}

TEST_F(TransactionTest, InCommitTimestampsAscend) {
  FixedClock clock(FromMicros(1'700'000'000'000'000));
  options_.clock = &clock;
  SnapshotPtr s = Create({{"delta.enableInCommitTimestamps", "true"}});
  EXPECT_TRUE(HasFeature(s->protocol(), "inCommitTimestamp"));
  EXPECT_EQ(s->timestamp(), clock.Now());
  clock.Set(clock.Now() - std::chrono::hours(1));
  s = Append(s, "a");
  EXPECT_EQ(MillisSinceEpoch(s->timestamp()), 1'700'000'000'001);
  clock.Set(clock.Now() + std::chrono::hours(2));
  s = Append(s, "b");
  EXPECT_EQ(Load()->timestamp(), clock.Now());
  EXPECT_EQ(VersionAt(table_, FromMicros(1'700'000'000'000'000)).value(), 0);
  EXPECT_EQ(VersionAt(table_, FromMicros(1'700'000'000'001'000)).value(), 1);
  EXPECT_EQ(VersionAt(table_, FromMicros(1'800'000'000'000'000)).value(), 2);
  EXPECT_EQ(VersionAt(table_, FromMicros(1'600'000'000'000'000)).error().code(), ErrorCode::kVersionNotFound);
}

TEST_F(TransactionTest, CheckpointFailureDoesNotUndoTheCommit) {
  SnapshotPtr s = Create({{"delta.checkpointInterval", "1"}});
  store_->FailNext("Put", "checkpoint", Fault::kBefore, ErrorCode::kNoSpace);
  s = Append(s, "a");
  EXPECT_EQ(s->version(), 1);
  EXPECT_EQ(Load()->checkpoint_version(), -1);
  Append(s, "b");
  EXPECT_EQ(Load()->checkpoint_version(), 2);
}

}  // namespace
}  // namespace quern::delta
