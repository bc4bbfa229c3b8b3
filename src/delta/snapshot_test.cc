#include "delta/snapshot.h"

#include <fstream>
#include <iterator>
#include <random>

#include "delta/checkpoint.h"
#include "delta/features.h"
#include "delta/history.h"
#include "delta/log_segment.h"
#include "delta/scan.h"
#include "delta/table_fixture.h"

namespace quern::delta {
namespace {

using Names = std::vector<std::string>;

/// Everything that two equal states have in common, whatever way they were read.
std::string StateOf(const SnapshotPtr& s, bool tombstones = true) {
  std::string text = PrintAction(s->protocol()) + PrintAction(s->metadata());
  std::vector<std::string> lines;
  for (const DataFilePtr& file : s->files()) {
    Add add = file->add();
    add.data_change = false;  // a checkpoint does not keep it
    lines.push_back(PrintAction(add));
  }
  if (tombstones) {
    for (Remove remove : s->Tombstones()) {
      remove.data_change = false;
      lines.push_back(PrintAction(remove));
    }
  }
  for (const auto& [id, txn] : s->txns()) lines.push_back(PrintAction(txn));
  for (const auto& [id, domain] : s->domains()) lines.push_back(PrintAction(domain));
  std::sort(lines.begin(), lines.end());
  for (const std::string& line : lines) text += "\n" + line;
  return text;
}

class SnapshotTest : public TableTest {
 protected:
  const std::string head_ = R"({"protocol":{"minReaderVersion":1,"minWriterVersion":2}})"
                            "\n" +
                            PrintAction(Meta()) + "\n";
  static std::string AddLine(const std::string& path) {
    return R"({"add":{"path":")" + path +
           R"(","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}})" + "\n";
  }
  static std::string RemoveLine(const std::string& path) {
    return R"({"remove":{"path":")" + path + R"(","deletionTimestamp":1,"dataChange":true}})" + "\n";
  }
};

TEST_F(SnapshotTest, RandomHistoriesAreEqualHoweverTheyAreRead) {
  std::mt19937 random(7);
  for (int round = 0; round < 12; ++round) {
    table_.root = fmt::format("wh/r{}", round);
    options_.write_checkpoints = false;
    SnapshotPtr s = Create({{"delta.enableDeletionVectors", "true"}});
    int next = 0;
    for (int i = 0; i < 25; ++i) {
      Transaction tx = Transaction::Begin(table_, s, options_);
      const auto file = [&] {
        const std::string name = fmt::format("f{} {}", next, random() % 3);
        ++next;
        store_->PutUnsynced(table_.root + "/" + name, "x");
        Add add = File("unused");
        add.path = name;
        return add;
      };
      for (unsigned n = random() % 3; n > 0; --n) tx.Add(file());
      if (!s->files().empty() && random() % 2) tx.Remove(*s->files()[random() % s->files().size()]);
      if (!s->files().empty() && random() % 3 == 0) {
        const DataFilePtr old = s->files()[random() % s->files().size()];
        DeletionVectorDescriptor vector;
        vector.storage = DeletionVectorDescriptor::Storage::kInline;
        vector.path_or_inline = fmt::format("v{}", i);
        vector.cardinality = 1;
        Transaction other = Transaction::Begin(table_, s, options_);
        other.UpdateDeletionVector(*old, vector);
        s = Done(other);
        continue;
      }
      if (random() % 3 == 0) tx.SetTxn(fmt::format("app{}", random() % 4), i);
      if (random() % 5 == 0) tx.SetDomain({fmt::format("d{}", random() % 2), "{}", random() % 3 == 0});
      if (random() % 6 == 0) {
        ASSERT_TRUE(tx.SetMetadata(Meta({{"delta.enableDeletionVectors", "true"}, {"k", std::to_string(i)}})));
      }
      s = Done(tx);
    }
    const std::string state = StateOf(s);
    EXPECT_EQ(StateOf(Load()), state);
    // Incrementally, from any version.
    SnapshotPtr old = Load(static_cast<int64_t>(random() % 25));
    EXPECT_EQ(StateOf(Snapshot::Update(old).value()), state);
    // From a checkpoint at any version, and the tail; tombstones are young enough to be kept.
    const SnapshotPtr middle = Load(static_cast<int64_t>(1 + random() % 24));
    ASSERT_TRUE(WriteCheckpoint(*middle, Clock::System().Now()));
    const SnapshotPtr from_checkpoint = Load();
    EXPECT_EQ(from_checkpoint->checkpoint_version(), middle->version());
    EXPECT_EQ(StateOf(from_checkpoint), state);
    EXPECT_EQ(Load(middle->version() - 1)->checkpoint_version(), -1);
  }
}

TEST_F(SnapshotTest, OrderInOneCommitDoesNotMatter) {
  PutCommit(0, head_ + AddLine("a") + AddLine("b"));
  // The file gets a vector: its new entry is written before the old one's removal.
  PutCommit(
      1,
      R"({"add":{"path":"a","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true,"deletionVector":{"storageType":"i","pathOrInlineDv":"x","sizeInBytes":1,"cardinality":1}}})"
      "\n" +
          RemoveLine("a"));
  const SnapshotPtr s = Load();
  EXPECT_EQ(Paths(s), (Names{"a", "b"}));
  EXPECT_TRUE(s->FindFile("a")->add().deletion_vector.has_value());
  EXPECT_EQ(s->Tombstones().size(), 1U);
}

TEST_F(SnapshotTest, AbsolutePathsHaveOneSpelling) {
  PutCommit(0, head_ + AddLine("/x/with space") + AddLine("/y"));
  PutCommit(1, RemoveLine("file:/x/with%20space") + RemoveLine("file:///y"));
  EXPECT_TRUE(Load()->files().empty());
}

TEST_F(SnapshotTest, BrokenLogsSayWhere) {
  PutCommit(0, head_);
  PutCommit(1, AddLine("a") + "{\"add\":{\"path\"\n");
  const auto broken = Snapshot::Load(table_);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code(), ErrorCode::kCorruptLog);
  EXPECT_EQ(broken.error().pos().ToString(), "memory:///wh/t/_delta_log/00000000000000000001.json:2");
  EXPECT_EQ(Load(0)->version(), 0);
  PutCommit(1, AddLine("a"));
  PutCommit(3, AddLine("b"));
  const auto gap = Snapshot::Load(table_);
  EXPECT_EQ(gap.error().code(), ErrorCode::kCorruptLog);
  EXPECT_NE(gap.error().message().find("commit 2"), std::string::npos) << gap.error().message();
  EXPECT_EQ(Load(1)->files().size(), 1U);
}

TEST_F(SnapshotTest, VersionsThatAreNotThere) {
  PutCommit(0, head_);
  const auto later = Snapshot::Load(table_, 5);
  EXPECT_EQ(later.error().code(), ErrorCode::kVersionNotFound);
  EXPECT_NE(later.error().message().find("newest is 0"), std::string::npos);
  EXPECT_EQ(Snapshot::Load(table_, -1).error().code(), ErrorCode::kVersionNotFound);
}

TEST_F(SnapshotTest, CleanedUpLogStartsAtItsCheckpoint) {
  options_.write_checkpoints = false;
  SnapshotPtr s = Create();
  for (int i = 0; i < 5; ++i) s = Append(s, fmt::format("f{}", i));
  ASSERT_TRUE(WriteCheckpoint(*Load(3), Clock::System().Now()));
  for (int v = 0; v < 3; ++v) ASSERT_TRUE(store_->Delete(CommitKey(table_, v)));
  EXPECT_EQ(Load()->files().size(), 5U);
  EXPECT_EQ(Load(3)->files().size(), 3U);
  EXPECT_EQ(Snapshot::Load(table_, 2).error().code(), ErrorCode::kVersionNotFound);
  EXPECT_EQ(History(table_, -1).value().size(), 3U);
  // The hint may be missing, wrong or broken.
  for (const char* hint : {"{\"version\":99}", "{\"version\":0}", "not json", "{}", ""}) {
    ASSERT_TRUE(store_->Put("wh/t/_delta_log/_last_checkpoint", hint));
    EXPECT_EQ(Load()->files().size(), 5U) << hint;
  }
  ASSERT_TRUE(store_->Delete("wh/t/_delta_log/_last_checkpoint"));
  EXPECT_EQ(Load()->files().size(), 5U);
}

TEST_F(SnapshotTest, MultiPartCheckpointCountsOnlyWhenWhole) {
  options_.write_checkpoints = false;
  SnapshotPtr s = Create();
  s = Append(Append(s, "a"), "b");
  ASSERT_TRUE(WriteCheckpoint(*s, Clock::System().Now()));
  const std::string log = "wh/t/_delta_log/";
  const Json whole = Json::parse(store_->Get(log + "00000000000000000002.checkpoint.parquet").value().value());
  ASSERT_TRUE(store_->Delete(log + "00000000000000000002.checkpoint.parquet"));
  Json first = Json::array();
  Json second = Json::array();
  for (size_t i = 0; i < whole.size(); ++i) (i % 2 ? first : second).push_back(whole[i]);
  ASSERT_TRUE(store_->Put(log + "00000000000000000002.checkpoint.0000000001.0000000002.parquet", first.dump()));
  EXPECT_EQ(Load()->checkpoint_version(), -1);
  ASSERT_TRUE(store_->Put(log + "00000000000000000002.checkpoint.0000000002.0000000002.parquet", second.dump()));
  EXPECT_EQ(Load()->checkpoint_version(), 2);
  EXPECT_EQ(StateOf(Load()), StateOf(s));
}

TEST_F(SnapshotTest, V2CheckpointsWithSidecarsAreRead) {
  const std::string log = "wh/t/_delta_log/";
  const std::string uuid = "80a083e8-7026-4e79-81be-64bd76c43a11";
  const std::string protocol =
      R"({"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["v2Checkpoint"],"writerFeatures":["v2Checkpoint"]}})";
  ASSERT_TRUE(store_->Put(log + "_sidecars/s.parquet", Json::array({{{"add", true}, {"add.path", "a"}, {"add.size", 3}},
                                                                    {{"remove", true}, {"remove.path", "r"}}})
                                                           .dump()));
  ASSERT_TRUE(store_->Put(log + "00000000000000000004.checkpoint." + uuid + ".json",
                          R"({"checkpointMetadata":{"version":4,"tags":{}}})"
                          "\n" +
                              PrintAction(Meta()) + "\n" + protocol + "\n" +
                              R"({"txn":{"appId":"x","version":3}})"
                              "\n"
                              R"({"sidecar":{"path":"s.parquet","sizeInBytes":9,"modificationTime":1,"tags":{}}})"));
  PutCommit(5, AddLine("b"));
  const SnapshotPtr s = Load();
  EXPECT_EQ(s->version(), 5);
  EXPECT_EQ(Paths(s), (Names{"a", "b"}));
  EXPECT_EQ(s->TxnVersion("x"), 3);
  EXPECT_EQ(s->Tombstones().size(), 1U);
  ASSERT_TRUE(store_->Delete(log + "_sidecars/s.parquet"));
  EXPECT_EQ(Snapshot::Load(table_).error().code(), ErrorCode::kCorruptLog);
}

TEST_F(SnapshotTest, StatisticsKeptAsStructsOnly) {
  const std::string log = "wh/t/_delta_log/";
  Metadata metadata = Meta({{"delta.checkpoint.writeStatsAsJson", "false"}});
  const Json rows =
      Json::array({{{"protocol.minReaderVersion", 1}, {"protocol.minWriterVersion", 2}},
                   {{"metaData.id", "i"},
                    {"metaData.schemaString", metadata.schema_string},
                    {"metaData.configuration", Json::array({{"delta.checkpoint.writeStatsAsJson", "false"}})}},
                   {{"add.path", "a"}, {"add.stats_parsed", R"({"numRecords":7})"}}});
  ASSERT_TRUE(store_->Put(log + "00000000000000000001.checkpoint.parquet", rows.dump()));
  EXPECT_EQ(Load()->total_rows(), 7);
}

TEST_F(SnapshotTest, CheckpointLeavesOutWhatHasExpired) {
  FixedClock clock(FromMicros(1'700'000'000'000'000));
  options_.clock = &clock;
  options_.write_checkpoints = false;
  SnapshotPtr s = Append(Append(Create({{"delta.setTransactionRetentionDuration", "interval 10 days"}}), "a"), "b");
  Transaction tx = Transaction::Begin(table_, s, options_);
  tx.Remove(*s->FindFile("a"));
  tx.SetTxn("old", 1);
  s = Done(tx);
  clock.Set(clock.Now() + std::chrono::hours(24 * 6));
  ASSERT_TRUE(WriteCheckpoint(*s, clock.Now()));
  EXPECT_EQ(Load()->Tombstones().size(), 1U);
  clock.Set(clock.Now() + std::chrono::hours(24 * 5));
  ASSERT_TRUE(WriteCheckpoint(*s, clock.Now()));
  EXPECT_EQ(Load()->Tombstones().size(), 0U);
  EXPECT_EQ(Load()->TxnVersion("old"), std::nullopt);
  EXPECT_EQ(Paths(Load()), Names{"b"});
}

TEST_F(SnapshotTest, UpdateNoticesATableMadeAnew) {
  SnapshotPtr old = Append(Append(Create(), "a"), "b");
  EXPECT_EQ(Snapshot::Update(old).value(), old);
  for (int v = 0; v <= 2; ++v) ASSERT_TRUE(store_->Delete(CommitKey(table_, v)));
  SnapshotPtr fresh = Append(Append(Append(Create(), "x"), "yy"), "z");
  EXPECT_EQ(Paths(Snapshot::Update(old).value()), Paths(fresh));
  for (int v = 0; v <= 3; ++v) ASSERT_TRUE(store_->Delete(CommitKey(table_, v)));
  EXPECT_EQ(Snapshot::Update(fresh).error().code(), ErrorCode::kTableNotFound);
}

TEST_F(SnapshotTest, TimeTravelByFileTimesIsMonotonic) {
  FixedClock clock(FromMicros(1'000'000'000));
  auto store = std::make_shared<io::FaultStore>(clock);
  table_ = {store, "t", nullptr};
  ASSERT_TRUE(store->Put(CommitKey(table_, 0), head_));
  ASSERT_TRUE(store->Put(CommitKey(table_, 1), AddLine("a")));  // the same time
  clock.Set(FromMicros(500'000'000));
  ASSERT_TRUE(store->Put(CommitKey(table_, 2), AddLine("b")));  // an earlier one
  clock.Set(FromMicros(2'000'000'000));
  ASSERT_TRUE(store->Put(CommitKey(table_, 3), AddLine("c")));
  EXPECT_EQ(VersionAt(table_, FromMicros(1'000'000'000)).value(), 0);
  EXPECT_EQ(VersionAt(table_, FromMicros(1'000'001'000)).value(), 1);
  EXPECT_EQ(VersionAt(table_, FromMicros(1'999'999'999)).value(), 2);
  EXPECT_EQ(VersionAt(table_, FromMicros(9'000'000'000)).value(), 3);
  EXPECT_EQ(VersionAt(table_, FromMicros(1)).error().code(), ErrorCode::kVersionNotFound);
  const auto history = History(table_, 2).value();
  ASSERT_EQ(history.size(), 2U);
  EXPECT_EQ(history[0].version, 3);
  EXPECT_FALSE(history[0].commit_info.has_value());
  EXPECT_GT(history[0].timestamp, history[1].timestamp);
}

TEST_F(SnapshotTest, ScanSkipsFiles) {
  SnapshotPtr s = Append(Append(Append(Create(), "a", 0, 9), "b", 10, 19), "c", 20, 29);
  const ScanPlan plan = PlanScan(*s, Predicate::Compare({"id"}, CompareOp::kGreaterOrEqual, Literal(int64_t{15})));
  EXPECT_EQ(plan.files, (std::vector<size_t>{1, 2}));
  EXPECT_EQ(plan.skipped, 1U);
  EXPECT_EQ(PlanScan(*s, Predicate::True()).files.size(), 3U);
}

TEST_F(SnapshotTest, FeaturesOfLegacyAndNamedProtocols) {
  EXPECT_EQ(FeaturesOf({1, 2, {}, {}}), (Names{"appendOnly", "invariants"}));
  EXPECT_TRUE(HasFeature({2, 5, {}, {}}, "columnMapping"));
  EXPECT_FALSE(HasFeature({1, 5, {}, {}}, "columnMapping"));
  // delta-spark leaves columnMapping unnamed at (2, 7).
  EXPECT_TRUE(HasFeature({2, 7, {}, {{"appendOnly"}}}, "columnMapping"));
  EXPECT_EQ(FeaturesOf({3, 7, {{"deletionVectors"}}, {{"deletionVectors", "future"}}}),
            (Names{"deletionVectors", "future"}));
  EXPECT_TRUE(CheckReadable({3, 7, {{"deletionVectors"}}, {{"deletionVectors", "future"}}}));
  EXPECT_EQ(CheckReadable({3, 7, {{"future"}}, {{"future"}}}).error().message(),
            "cannot read this table: it uses the Delta feature 'future', which is not known");
  StructType none;
  EXPECT_EQ(CheckWritable({3, 7, {}, {{"future"}}}, Meta(), none).error().code(), ErrorCode::kUnsupportedFeature);
  EXPECT_FALSE(CheckWritable({1, 3, {}, {}}, Meta({{"delta.constraints.c", "id > 0"}}), none));
  EXPECT_TRUE(CheckWritable({1, 6, {}, {}}, Meta(), none));
  const StructType generated =
      ParseSchema(R"({"fields":[{"name":"a","type":"long","metadata":{"delta.generationExpression":"1"}}]})").value();
  const auto refused = CheckWritable({1, 4, {}, {}}, Meta(), generated);
  EXPECT_NE(refused.error().message().find("'generatedColumns', in column 'a'"), std::string::npos)
      << refused.error().message();
  const Protocol raised = UpgradeProtocol({1, 2, {}, {}}, none, {{"delta.enableDeletionVectors", "true"}}).value();
  EXPECT_EQ(raised.writer_features, (Names{"appendOnly", "deletionVectors", "invariants"}));
  EXPECT_EQ(raised.reader_features, (Names{"deletionVectors"}));
  EXPECT_EQ(UpgradeProtocol(raised, none, {}).value(), raised);
}

TEST_F(SnapshotTest, CompatibilityPageNamesEveryFeature) {
  std::ifstream in(QUERN_SOURCE_DIR "/docs/reference/compatibility-delta.md");
  const std::string page((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  for (const FeatureSupport& feature : KnownFeatures()) {
    const char* write = feature.write == FeatureSupport::kYes  ? "yes"
                        : feature.write == FeatureSupport::kNo ? "refused"
                                                               : "unless used";
    const std::string row = fmt::format("| `{}` | {} | {} |", feature.name, feature.read ? "yes" : "refused", write);
    EXPECT_NE(page.find(row), std::string::npos)
        << "docs/reference/compatibility-delta.md lacks: " << row << " " << feature.note << " |";
  }
}

TEST_F(SnapshotTest, PhysicalNamesCountOnlyWhereColumnsAreMapped) {
  const std::string schema =
      R"({"type":"struct","fields":[{"name":"a","type":"long","nullable":true,"metadata":{"delta.columnMapping.id":1,"delta.columnMapping.physicalName":"col-1"}}]})";
  Metadata metadata = Meta();
  metadata.schema_string = schema;
  PutCommit(0, R"({"protocol":{"minReaderVersion":2,"minWriterVersion":5}})"
               "\n" +
                   PrintAction(metadata));
  EXPECT_EQ(Load()->schema().fields[0].physical_name(), "a");
  metadata.configuration["delta.columnMapping.mode"] = "name";
  PutCommit(1, PrintAction(metadata));
  EXPECT_EQ(Load()->schema().fields[0].physical_name(), "col-1");
  Transaction tx = Transaction::Begin(table_, Load(), options_);
  tx.Add(File("x"));
  EXPECT_EQ(tx.Commit({}).error().code(), ErrorCode::kUnsupportedFeature);
}

TEST(IntervalTest, SparksForms) {
  EXPECT_EQ(ParseInterval("interval 1 week").value(), std::chrono::hours(168));
  EXPECT_EQ(ParseInterval("INTERVAL 2 Days 3 hours").value(), std::chrono::hours(51));
  EXPECT_EQ(ParseInterval("36 hours").value(), std::chrono::hours(36));
  for (const char* bad : {"", "interval", "interval x days", "1 month", "-1 days"})
    EXPECT_FALSE(ParseInterval(bad)) << bad;
}

}  // namespace
}  // namespace quern::delta
