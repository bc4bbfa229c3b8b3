// Saving, digests, leaks, verifying and building again.
#include <fstream>

#include "ml/dataset/dataset_fixture.h"

namespace quern::ml {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TrainingSetTest : public DatasetFixture {
 protected:
  void SetUp() override {
    DatasetFixture::SetUp();
    Run("CREATE TABLE f.flights AS SELECT i AS id, DATE '2013-01-01' + (i % 100)::INTEGER AS day, i % 3 = 0 AS late, "
        "(i * 37 % 11)::DOUBLE AS distance, 'c' || (i % 5) AS carrier FROM range(400) r(i)");
    Run("CREATE VIEW f.v AS SELECT * FROM f.flights");
  }
  static ModelConfig Flights(const std::string& more = "") {
    return Model("from: f.v\nkey: id\ntime: day\nlabel: late" + more);
  }
  Digest Digested(const std::string& sql, int threads = 2) {
    auto digest = DigestOf(*session_, sql, threads);
    EXPECT_TRUE(digest) << digest.error().ToString();
    return digest ? *digest : Digest();
  }
};

TEST_F(TrainingSetTest, IsOneVersionOfAnAppendOnlyTableWithItsRecord) {
  const TrainingSet set = Saved(Flights(), Saving());
  EXPECT_EQ(set.table, "training.m");
  EXPECT_EQ(set.version, 0);
  EXPECT_EQ(set.rows, 400);
  EXPECT_EQ(set.sources, (std::map<std::string, int64_t>{{"f.flights", 0}}));
  ASSERT_EQ(set.views.size(), 1u);
  EXPECT_TRUE(set.views.contains("f.v"));
  EXPECT_EQ(set.git_commit, "abc123");
  EXPECT_TRUE(set.git_dirty);
  EXPECT_THAT(set.warnings, IsEmpty());
  EXPECT_THAT(set.query, HasSubstr("\"f\".\"v\""));
  const auto info = warehouse_->Describe({"training", "m"});
  ASSERT_TRUE(info);
  EXPECT_EQ(info->properties.at("delta.appendOnly"), "true");
  EXPECT_EQ(info->properties.at("delta.logRetentionDuration"), "interval 36500 days");
  EXPECT_EQ(set.table_id, info->id);
  EXPECT_EQ(info->columns[0].name, "training_set");

  const auto history = warehouse_->History({"training", "m"}, -1);
  ASSERT_EQ(history->size(), 1u);
  const auto record = TrainingSet::FromJson(history->at(0).commit_info.at("quernTrainingSet"));
  ASSERT_TRUE(record) << record.error().ToString();
  EXPECT_EQ(record->digest, set.digest);
  EXPECT_EQ(history->at(0).commit_info.at("quernNode"), "dataset.m");
  const auto again = TrainingSet::FromJson(set.ToJson());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->ToJson(), set.ToJson());

  EXPECT_EQ(Text("SELECT count(*), min(id), max(id) FROM (" + set.ReadSql() + ")"), "400|0|399");
  EXPECT_EQ(Digested(set.ReadSql()).Hex(), set.digest);
}

TEST_F(TrainingSetTest, ARetryFindsWhatIsDone) {
  const TrainingSet set = Saved(Flights(), Saving());
  const TrainingSet again = Saved(Flights(), Saving());
  EXPECT_EQ(again.ToJson(), set.ToJson());
  EXPECT_EQ(Version("m"), 0);
  EXPECT_EQ(Saved(Flights(), Saving("evaluation")).version, 1);
}

TEST_F(TrainingSetTest, ARerunAddsOnlyWhatIsOther) {
  const TrainingSet set = Saved(Flights(), Saving());
  Run("UPDATE f.flights SET distance = distance");  // another version of equal rows
  EXPECT_EQ(Saved(Flights(), Saving()).ToJson(), set.ToJson());
  EXPECT_EQ(Version("m"), 0);
  Run("UPDATE f.flights SET distance = 99 WHERE id = 7");
  const TrainingSet other = Saved(Flights(), Saving());
  EXPECT_EQ(other.training_set, "monthly/2013-05-01/all#2");
  EXPECT_EQ(other.version, 1);
  EXPECT_NE(other.digest, set.digest);
  EXPECT_EQ(Saved(Flights(), Saving()).ToJson(), other.ToJson());
  EXPECT_TRUE(VerifyTrainingSet(set, *warehouse_, *session_)->equal);
  EXPECT_EQ(Text("SELECT count(*) FROM (" + other.ReadSql() + ")"), "400");
}

TEST_F(TrainingSetTest, ColumnsAreAddedWhenFeaturesChange) {
  const TrainingSet set = Saved(Flights("\nfeatures: [distance]"), Saving());
  auto options = Saving();
  options.training_set = "monthly/2013-06-01/all";
  options.effect_version += 1;
  const TrainingSet more = Saved(Flights("\nfeatures: [carrier, distance]"), options);
  EXPECT_EQ(more.version, 1);
  EXPECT_EQ(Text("SELECT count(carrier) FROM training.m"), "400");
  EXPECT_TRUE(VerifyTrainingSet(set, *warehouse_, *session_)->equal);
  EXPECT_TRUE(VerifyTrainingSet(more, *warehouse_, *session_)->equal);

  Run("CREATE OR REPLACE VIEW f.v AS SELECT * REPLACE (distance::VARCHAR AS distance) FROM f.flights");
  options.effect_version += 1;
  EXPECT_THAT(SaveError(Flights("\nfeatures: [distance]"), options),
              AllOf(HasSubstr("Q1301"), HasSubstr("'distance' of training.m is DOUBLE, now it would be VARCHAR")));
  EXPECT_EQ(Version("m"), 1);
}

TEST_F(TrainingSetTest, BadRowsAreRefusedAndNothingIsWritten) {
  auto refused = [&](const std::string& view, const std::string& more = "") {
    Run("CREATE OR REPLACE VIEW f.v AS " + view);
    const std::string error = SaveError(Flights(more), Saving());
    EXPECT_FALSE(*warehouse_->Exists({"training", "m"})) << view;
    EXPECT_THAT(error, HasSubstr("ml/m.yml:4:13: error Q1303: model 'm'"));
    return error;
  };
  EXPECT_THAT(refused("SELECT * FROM f.flights UNION ALL SELECT * FROM f.flights WHERE id = 42"),
              HasSubstr("there are 2 rows of the key id=42, day=2013-02-12"));
  EXPECT_THAT(
      refused("SELECT * REPLACE (CASE WHEN id IN (8, 9) THEN '-inf'::DOUBLE ELSE distance END AS distance) FROM "
              "f.flights"),
      AllOf(HasSubstr("'distance' is infinite in 2 of 400 rows"), HasSubstr("id=8, day=2013-01-09")));
  EXPECT_THAT(refused("SELECT * FROM f.flights WHERE late"),
              HasSubstr("all 134 rows of the frame all (until 2013-05-01) have the label 'true'"));
  EXPECT_THAT(refused("SELECT * FROM f.flights WHERE day > DATE '2014-01-01'"), HasSubstr("no row with a label"));
  EXPECT_THAT(refused("SELECT * REPLACE (nullif(id, 3) AS id) FROM f.flights"),
              HasSubstr("the key column 'id' is null in 1 of 400 rows"));
  EXPECT_THAT(refused("SELECT *, CASE WHEN late THEN 1.5 ELSE -2 END AS delay FROM f.flights", "\nleakage: fail"),
              HasSubstr("delay alone tells the label: auc 1.0000"));
}

TEST_F(TrainingSetTest, EvaluationSetsMayHaveOneClass) {
  Run("CREATE OR REPLACE VIEW f.v AS SELECT *, NULL::DOUBLE AS none FROM f.flights WHERE late");
  auto options = Saving("evaluation");
  options.for_training = false;
  EXPECT_THAT(Saved(Flights(), options).warnings, IsEmpty());
  Run("CREATE OR REPLACE VIEW f.v AS SELECT *, NULL::DOUBLE AS none FROM f.flights");
  EXPECT_THAT(Saved(Flights(), Saving()).warnings, ElementsAre(HasSubstr("'none' has no value in any of 400 rows")));
}

TEST_F(TrainingSetTest, DigestsDoNotDependOnOrderAndCountDuplicates) {
  const std::string rows =
      "SELECT i AS a, 't' || i AS b, i / 7 AS c, i % 2 = 0 AS d, DATE '2013-01-01' + i::INTEGER AS e "
      "FROM range(5000) r(i)";
  const Digest digest = Digested(rows);
  EXPECT_EQ(digest.rows, 5000);
  EXPECT_EQ(Digested(rows + " ORDER BY hash(i)", 1), digest);
  EXPECT_EQ(Digested("SELECT c, b, a::SMALLINT AS a, e, d FROM (" + rows + ")", 7), digest);
  EXPECT_NE(Digested(rows + " WHERE i <> 17").sum, digest.sum);
  EXPECT_NE(Digested("SELECT a AS x, * EXCLUDE (a) FROM (" + rows + ")").sum, digest.sum);
  EXPECT_NE(Digested("SELECT * REPLACE (a::DOUBLE AS a) FROM (" + rows + ")").sum, digest.sum);
  const Digest one = Digested("SELECT 1 AS a"), two = Digested("SELECT 1 AS a UNION ALL SELECT 1");
  EXPECT_EQ(two.rows, 2);
  EXPECT_NE(one.sum, two.sum);
  EXPECT_NE(Digested("SELECT NULL::BIGINT AS a").sum, Digested("SELECT 0::BIGINT AS a").sum);
  EXPECT_NE(Digested("SELECT 'a' AS a, 'bc' AS b").sum, Digested("SELECT 'ab' AS a, 'c' AS b").sum);
  EXPECT_EQ(Digested("SELECT -0.0::DOUBLE AS a"), Digested("SELECT 0.0::DOUBLE AS a"));
  EXPECT_EQ(Digested("SELECT 'nan'::DOUBLE AS a"), Digested("SELECT -'nan'::DOUBLE AS a"));
  EXPECT_EQ(Digested("SELECT 1 AS a WHERE false").Hex(), std::string(64, '0'));
}

TEST_F(TrainingSetTest, TheDigestsEncodingIsTheDocumentedOne) {
  // Computed by tests/ml/digest.py, which follows docs/reference/ml.md alone.
  EXPECT_EQ(Digested("SELECT 1 AS n, 'é' AS t, 0.5::DOUBLE AS f, true AS b, DATE '2013-05-01' AS d, "
                     "TIMESTAMP '2013-05-01 02:03:04.5' AS u, timezone('UTC', TIMESTAMP '2013-05-01 02:03:04') AS z, "
                     "NULL::VARCHAR AS missing UNION ALL SELECT -2, '', 'nan'::DOUBLE, false, DATE '1969-12-31', "
                     "TIMESTAMP '1900-01-01 00:00:00', timezone('UTC', TIMESTAMP '2100-01-01 00:00:00.000001'), 'x'")
                .Hex(),
            "4b7299c42d9e6a8d95ea02bc55e8d439fe0ce32fc6907d2507fe39bbe9ebeab0");
}

TEST_F(TrainingSetTest, LeaksAreNamedWithTheirFigure) {
  Run("CREATE OR REPLACE VIEW f.v AS SELECT *, CASE WHEN late THEN 1 ELSE 2 END * 1.5 AS delay, "
      "CASE WHEN late THEN 'yes' ELSE 'no' END AS answer, CASE WHEN late THEN distance END AS known_late, "
      "'id' || id AS code FROM f.flights");
  EXPECT_THAT(Saved(Flights(), Saving()).warnings,
              ElementsAre(HasSubstr("delay alone tells the label: auc 1.0000 (suspicious above 0.99)"),
                          HasSubstr("answer alone tells the label: auc 1.0000"),
                          HasSubstr("known_late being missing alone tells the label: auc 1.0000")));
  EXPECT_THAT(Saved(Flights("\nleakage: off"), Saving("last")).warnings, IsEmpty());
}

TEST_F(TrainingSetTest, LeaksAreFoundForEveryTask) {
  Run("CREATE TABLE f.r AS SELECT i AS id, DATE '2013-01-01' AS day, (i * 7919 % 1000)::DOUBLE AS price, 'g' || (i % "
      "4) "
      "AS grade, 2 * (i * 7919 % 1000) + 3 AS twice, pow(i * 7919 % 1000, 3) AS cubed, hash(i) % 1000 AS noise, "
      "'n' || (hash(i) % 50) AS town FROM range(3000) r(i)");
  EXPECT_THAT(
      Saved(Model("from: f.r\nkey: id\ntime: day\nlabel: price\nfeatures: [twice, cubed, noise, town]"), Saving())
          .warnings,
      ElementsAre(HasSubstr("twice alone tells the label: r2 1.0000"), HasSubstr("cubed alone")));
  Run("CREATE TABLE f.c AS SELECT *, upper(grade) AS same, (i % 4) * 2.5 AS rank FROM (SELECT *, id AS i FROM f.r)");
  auto options = Saving("other");
  auto model = Model("from: f.c\nkey: id\ntime: day\nlabel: grade\nfeatures: [same, rank, noise, town, price]");
  model.name = "multi";
  EXPECT_THAT(Saved(model, options).warnings,
              ElementsAre(HasSubstr("same alone tells the label: purity 1.0000"), HasSubstr("rank alone")));
}

TEST_F(TrainingSetTest, VerifyingTellsWhatIsGone) {
  TrainingSet set = Saved(Flights(), Saving());
  auto verified = VerifyTrainingSet(set, *warehouse_, *session_);
  ASSERT_TRUE(verified) << verified.error().ToString();
  EXPECT_TRUE(verified->equal);
  EXPECT_EQ(verified->rows, 400);
  TrainingSet changed = set;
  changed.digest[0] = changed.digest[0] == '0' ? '1' : '0';
  EXPECT_FALSE(VerifyTrainingSet(changed, *warehouse_, *session_)->equal);
  auto gone = [&](const TrainingSet& which, const char* needle) {
    auto result = VerifyTrainingSet(which, *warehouse_, *session_);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), ErrorCode::kNotReproducible) << result.error().ToString();
    EXPECT_THAT(result.error().message(), HasSubstr(needle));
  };
  changed = set;
  changed.version = 9;
  gone(changed, "version");
  changed = set;
  changed.table = "training.other";
  gone(changed, "does not exist");
  changed = set;
  changed.table_id = "another";
  gone(changed, "made anew");
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder_->path() / "w" / "training")) {
    if (file.path().extension() == ".parquet") std::filesystem::remove(file.path());
  }
  gone(set, "no longer there");
}

TEST_F(TrainingSetTest, BuildingAgainReadsTheSourcesAsTheyStood) {
  const TrainingSet set = Saved(Flights(), Saving());
  Run("UPDATE f.flights SET distance = 99 WHERE id = 7");
  auto then = RebuildTrainingSet(set.query, set.sources, *session_);
  ASSERT_TRUE(then) << then.error().ToString();
  EXPECT_EQ(then->digest.Hex(), set.digest);
  EXPECT_EQ(then->sources, set.sources);
  EXPECT_EQ(then->views, set.views);
  auto now = RebuildTrainingSet(set.query, {}, *session_);
  ASSERT_TRUE(now);
  EXPECT_NE(now->digest.Hex(), set.digest);
  EXPECT_EQ(now->sources.at("f.flights"), 1);
  auto never = RebuildTrainingSet(set.query, {{"f.flights", 12}}, *session_);
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().code(), ErrorCode::kNotReproducible);
  EXPECT_EQ(Text("SELECT distance FROM f.v WHERE id = 7"), "99");  // no pin is left behind
}

}  // namespace
}  // namespace quern::ml
