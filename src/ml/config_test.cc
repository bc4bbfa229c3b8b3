#include "ml/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace quern::ml {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const char* const kWhole = R"(models:
  - name: late_arrival
    description: late or not
    tags: [monthly]
    dataset:
      from: features.labeled_flights
      key: [time_hour, carrier, flight]
      time: flight_date
      label: is_late
      features: [distance, month, plane_operator]
      categorical: [month]
      join:
        - table: snapshots.plane_operators
          on: [tailnum]
          valid_from: dbt_valid_from
          valid_to: dbt_valid_to
          ttl: 90 days
          columns: {carrier: plane_operator}
        - {table: features.weather, on: {origin: station}, valid_from: at, columns: [wind]}
      leakage: off
    train:
      task: classification
      frames: [{last: 3 months}, {last: 12 months}, {from: 2013-01-01, to: 2013-06-01}, all]
      validation: 25%
      parameters: {grid: {max_depth: [4, 6], eta: [0.1, 0.3]}}
      fixed: {subsample: 0.8}
      rounds: 200
      early_stopping: 20
      class_weight: {true: 3}
      threads: 2
    promote:
      metric: auc
      least_improvement: 0.002
      require: ["auc > dummy.auc + 0.05", "min_slice.auc > 0.55"]
      slices: [origin]
      refit: true
      save_to: models/late_arrival
    predict: {period: this, table: out.late, threshold: 0.4}
    monitor:
      slices: [origin, carrier]
      drift: {methods: [psi, ks], thresholds: {psi: 0.1}, share: 40%}
      labels_within: 2 months
    retrain_when: >
      auc < 0.70 or
      drift.share > 0.3 or age > 6 months
)";

std::vector<ModelConfig> Parse(const std::string& text, std::vector<std::string>* errors) {
  Diagnostics diagnostics;
  auto models = ParseModels(text, "ml/m.yml", diagnostics);
  CheckModels(models, diagnostics);
  diagnostics.Sort();
  for (const auto& error : diagnostics.errors()) {
    if (errors) {
      errors->push_back(error.ToString());
    } else {
      ADD_FAILURE() << error.ToString();
    }
  }
  return models;
}

ModelConfig Good(const std::string& text) {
  auto models = Parse(text, nullptr);
  EXPECT_EQ(models.size(), 1u);
  return models.empty() ? ModelConfig() : models[0];
}

// A model whose section is the given text, indented by four.
std::string With(const std::string& section) {
  return "models:\n  - name: m\n    dataset: {from: a.b, key: id, time: t, label: y}\n" + section;
}
std::string WithDataset(const std::string& dataset) {
  return "models:\n  - name: m\n    dataset:\n" + dataset;
}
std::vector<std::string> Errors(const std::string& text) {
  std::vector<std::string> errors;
  Parse(text, &errors);
  return errors;
}

TEST(ConfigTest, ReadsEveryKey) {
  const ModelConfig m = Good(kWhole);
  EXPECT_EQ(m.name, "late_arrival");
  EXPECT_EQ(m.node("dataset"), "dataset.late_arrival");
  EXPECT_THAT(m.tags, ElementsAre("monthly"));
  ASSERT_TRUE(m.dataset.from);
  EXPECT_EQ(m.dataset.from->Key(), "features.labeled_flights");
  EXPECT_EQ(m.dataset.key.size(), 3u);
  EXPECT_EQ(m.dataset.features[2].name, "plane_operator");
  EXPECT_EQ(m.dataset.features[2].pos.ToString(), "ml/m.yml:10:35");
  ASSERT_EQ(m.dataset.joins.size(), 2u);
  EXPECT_EQ(m.dataset.joins[0].ttl->days, 90);
  EXPECT_EQ(m.dataset.joins[0].columns[0].as, "plane_operator");
  EXPECT_EQ(m.dataset.joins[1].on[0].left, "origin");
  EXPECT_EQ(m.dataset.joins[1].on[0].right, "station");
  EXPECT_FALSE(m.dataset.joins[1].valid_to);
  EXPECT_EQ(m.dataset.leakage, LeakageMode::kOff);
  std::vector<std::string> tables;
  for (const auto& table : m.source_tables()) tables.push_back(table.Key());
  EXPECT_THAT(tables, ElementsAre("features.labeled_flights", "snapshots.plane_operators", "features.weather"));
  EXPECT_EQ(m.train.task, TaskType::kClassification);
  EXPECT_DOUBLE_EQ(m.train.validation, 0.25);
  EXPECT_EQ(m.train.parameters.size(), 4u);
  EXPECT_EQ(m.train.class_weight.weights.at("true"), 3);
  EXPECT_EQ(m.train.seed, 7);
  EXPECT_EQ(m.promote.require.size(), 2u);
  EXPECT_EQ(m.promote.require[1].text(), "min_slice.auc > 0.55");
  EXPECT_TRUE(m.promote.refit);
  EXPECT_EQ(m.predict.period, PredictConfig::Period::kThis);
  EXPECT_EQ(m.predict.table.Key(), "out.late");
  EXPECT_THAT(m.monitor.drift.methods, ElementsAre("psi", "ks"));
  EXPECT_FALSE(m.monitor.drift.all_methods);
  EXPECT_DOUBLE_EQ(m.monitor.drift.share, 0.4);
  EXPECT_EQ(m.monitor.labels_within, Span{.months = 2});
  ASSERT_TRUE(m.retrain_when);
  EXPECT_EQ(m.retrain_when->text(), "auc < 0.70 or drift.share > 0.3 or age > 6 months");
}

TEST(ConfigTest, LeavesDefaultsWhereNothingIsSaid) {
  const ModelConfig m = Good(With(""));
  EXPECT_FALSE(m.train.task);
  ASSERT_EQ(m.train.frames.size(), 1u);
  EXPECT_EQ(m.train.frames[0].name, "all");
  ASSERT_EQ(m.candidates.size(), 1u);
  EXPECT_EQ(m.candidates[0].name, "p1_all");
  EXPECT_DOUBLE_EQ(m.train.validation, 0.2);
  EXPECT_EQ(m.train.rounds, 300);
  EXPECT_EQ(m.predict.table.Key(), "predictions.m");
  EXPECT_TRUE(m.monitor.drift.all_methods);
  EXPECT_FALSE(m.retrain_when);
  EXPECT_EQ(m.monitor.labels_within, Span{.months = 3});
}

TEST(ConfigTest, CandidatesAreParametersTimesFrames) {
  const ModelConfig m = Good(kWhole);
  ASSERT_EQ(m.candidates.size(), 16u);
  EXPECT_EQ(m.candidates[0].name, "p1_last_3_months");
  EXPECT_EQ(m.candidates[1].name, "p1_last_1_year");
  EXPECT_EQ(m.candidates[2].name, "p1_2013-01-01_to_2013-06-01");
  EXPECT_EQ(m.candidates[3].name, "p1_all");
  EXPECT_EQ(m.candidates[4].name, "p2_last_3_months");
  EXPECT_EQ(m.candidates[4].parameters, Json::parse(R"({"max_depth": 4, "eta": 0.3, "subsample": 0.8})"));
}

TEST(ConfigTest, DrawnParametersAreTheSameEveryTime) {
  const char* const text = R"(    train:
      parameters:
        random:
          count: 4
          seed: 5
          space:
            max_depth: [3, 9]
            eta: {from: 0.01, to: 0.3, scale: log}
            grow_policy: [depthwise, lossguide]
)";
  const auto sets = Good(With(text)).train.parameters;
  ASSERT_EQ(sets.size(), 4u);
  for (const auto& set : sets) {
    EXPECT_GE(set["max_depth"].get<int>(), 3);
    EXPECT_LE(set["max_depth"].get<int>(), 9);
    EXPECT_TRUE(set["max_depth"].is_number_integer());
    EXPECT_GE(set["eta"].get<double>(), 0.01);
    EXPECT_LE(set["eta"].get<double>(), 0.3);
  }
  // SHA-256("5/1/max_depth") and so on: computed by hashlib.
  EXPECT_EQ(sets, Good(With(text)).train.parameters);
  const auto other = Good(With(ReplaceAll(text, "seed: 5", "seed: 6"))).train.parameters;
  EXPECT_NE(sets, other);
  // What one parameter is does not depend on the others.
  const auto fewer =
      Good(With(ReplaceAll(text, "            grow_policy: [depthwise, lossguide]\n", ""))).train.parameters;
  EXPECT_EQ(fewer[2]["eta"], sets[2]["eta"]);
}

TEST(ConfigTest, EverythingWrongIsReportedAtOnceWithItsPlace) {
  const auto errors = Errors(R"(models:
  - name: m
    datset: {}
    train:
      task: clasification
      frames: [{last: 0 months}, {from: 2013-06-01, to: 2013-01-01}, 3 months, {last: 3 moons}]
      validation: 200%
      rounds: many
      parameters: {gird: {}}
    promote: {metric: ac, least_improvement: -1, require: ["auc > dumy.auc", "auc >"]}
    predict: {period: later, threshold: 1.5, table: late}
    monitor: {drift: {methods: [psy], thresholds: {ksx: 1}, share: 3}, labels_within: soon}
    retrain_when: auc < 6 months
)");
  EXPECT_THAT(errors, testing::UnorderedElementsAre(
                          HasSubstr("ml/m.yml:2:5: error Q0104: model 'm' needs 'dataset'"),
                          testing::AllOf(HasSubstr("ml/m.yml:3:5: error Q0103"), HasSubstr("did you mean 'dataset'?")),
                          testing::AllOf(HasSubstr("ml/m.yml:5:13"), HasSubstr("did you mean 'classification'?")),
                          testing::AllOf(HasSubstr("ml/m.yml:6:23"), HasSubstr("'last' cannot be '0 months'")),
                          testing::AllOf(HasSubstr("ml/m.yml:6:57"), HasSubstr("holds nothing")),
                          testing::AllOf(HasSubstr("ml/m.yml:6:70"), HasSubstr("did you mean {last: 3 months}?")),
                          testing::AllOf(HasSubstr("ml/m.yml:6:87"), HasSubstr("3 moons")),
                          testing::AllOf(HasSubstr("ml/m.yml:7:19"), HasSubstr("from 0 to 0.9")),
                          testing::AllOf(HasSubstr("ml/m.yml:8:15"), HasSubstr("a whole number")),
                          testing::AllOf(HasSubstr("ml/m.yml:9:20"), HasSubstr("did you mean 'grid'?")),
                          testing::AllOf(HasSubstr("ml/m.yml:9:19"), HasSubstr("one of 'grid', 'list' and 'random'")),
                          testing::AllOf(HasSubstr("ml/m.yml:10:23"), HasSubstr("did you mean 'auc'?")),
                          testing::AllOf(HasSubstr("ml/m.yml:10:46"), HasSubstr("must not be below 0")),
                          testing::AllOf(HasSubstr("ml/m.yml:10:67"), HasSubstr("did you mean 'dummy.auc'?")),
                          testing::AllOf(HasSubstr("ml/m.yml:10:84"), HasSubstr("ends where a value is missing")),
                          testing::AllOf(HasSubstr("ml/m.yml:11:23"), HasSubstr("next, this")),
                          testing::AllOf(HasSubstr("ml/m.yml:11:41"), HasSubstr("between 0 and 1")),
                          testing::AllOf(HasSubstr("ml/m.yml:11:53"), HasSubstr("write schema.table")),
                          testing::AllOf(HasSubstr("ml/m.yml:12:33"), HasSubstr("did you mean 'psi'?")),
                          testing::AllOf(HasSubstr("ml/m.yml:12:52"), HasSubstr("did you mean 'ks'?")),
                          testing::AllOf(HasSubstr("ml/m.yml:12:68"), HasSubstr("from 0 to 1")),
                          testing::AllOf(HasSubstr("ml/m.yml:12:87"), HasSubstr("labels_within")),
                          testing::AllOf(HasSubstr("ml/m.yml:13:19"), HasSubstr("compares a number with a duration"))));
}

TEST(ConfigTest, PlacesInFoldedAndQuotedRulesAreTheFiles) {
  EXPECT_THAT(Errors(With("    retrain_when: >\n      auc < 0.7 or\n      acu > 3\n")),
              ElementsAre(HasSubstr("ml/m.yml:6:7: error Q1302: unknown name 'acu'")));
  EXPECT_THAT(Errors(With("    retrain_when: 'auc < 0.7 or acu > 3'\n")), ElementsAre(HasSubstr("ml/m.yml:4:33")));
  EXPECT_THAT(Errors(With("    retrain_when: auc < 0.7\n      or acu > 3\n")), ElementsAre(HasSubstr("ml/m.yml:5:10")));
}

TEST(ConfigTest, WrongDatasetsAreReported) {
  EXPECT_THAT(
      Errors(WithDataset("      from: a.b\n      query: SELECT 1\n      key: id\n      time: t\n      label: y\n")),
      ElementsAre(HasSubstr("both 'from' and 'query'")));
  EXPECT_THAT(Errors(WithDataset("      key: id\n      time: t\n      label: y\n")),
              ElementsAre(HasSubstr("needs 'from' or 'query'")));
  EXPECT_THAT(Errors(WithDataset("      from: a.b\n      time: t\n      label: y\n      features: [y, x, X, t]\n")),
              testing::UnorderedElementsAre(HasSubstr("needs 'key'"), HasSubstr("names 'X' twice"),
                                            HasSubstr("'y' is the label"), HasSubstr("'t' is the time column")));
  EXPECT_THAT(Errors(WithDataset("      from: a.b\n      key: score\n      time: t\n      label: y\n"
                                 "      features: [price]\n      categorical: [pricy]\n      exclude: [z]\n")),
              testing::UnorderedElementsAre(HasSubstr("a column of predictions"), HasSubstr("did you mean 'price'?"),
                                            HasSubstr("both 'features' and 'exclude'")));
  EXPECT_THAT(Errors(WithDataset("      from: a.b\n      key: id\n      time: t\n      label: y\n      join:\n"
                                 "        - {table: c.d, columns: [x]}\n"
                                 "        - {table: e, on: id, valid_from: v, columns: {z: x}, ttl: 0 days}\n")),
              testing::UnorderedElementsAre(HasSubstr("needs 'on'"), HasSubstr("needs 'valid_from'"),
                                            HasSubstr("'e' is no table"), HasSubstr("two joins of model 'm'"),
                                            HasSubstr("'ttl' cannot be '0 days'")));
}

TEST(ConfigTest, ModelsThatGetInEachOthersWayAreReported) {
  const std::string two = With("    predict: {table: out.x}\n") +
                          "  - name: M\n    dataset: {from: a.b, key: id, time: t, label: y}\n"
                          "  - name: n\n    dataset: {from: a.b, key: id, time: t, label: y}\n"
                          "    predict: {table: out.X}\n";
  EXPECT_THAT(Errors(two), ElementsAre(HasSubstr("two models called 'M'"), HasSubstr("both write out.X")));
}

TEST(ConfigTest, WrongParametersAreReported) {
  auto parameters = [](const std::string& text) { return Errors(With("    train: {" + text + "}\n")); };
  EXPECT_THAT(parameters("parameters: {grid: {max_dept: [1]}}"), ElementsAre(HasSubstr("did you mean 'max_depth'?")));
  EXPECT_THAT(parameters("fixed: {seed: 3}"), ElementsAre(HasSubstr("write `seed:`")));
  EXPECT_THAT(parameters("parameters: {grid: {max_depth: [4, 4]}}"), ElementsAre(HasSubstr("twice")));
  EXPECT_THAT(parameters("parameters: {list: [{eta: 1}, {eta: 1}]}"), ElementsAre(HasSubstr("twice")));
  EXPECT_THAT(parameters("parameters: {random: {count: 2, space: {eta: [0.3, 0.1]}}}"),
              ElementsAre(HasSubstr("smaller number first")));
  EXPECT_THAT(parameters("parameters: {random: {space: {eta: {from: 0, to: 1, scale: log}}}}"),
              ElementsAre(HasSubstr("needs 'count'"), HasSubstr("begin above 0")));
  EXPECT_THAT(parameters("parameters: {grid: {eta: [1], lambda: [{a: 1}]}}"),
              ElementsAre(HasSubstr("'lambda' must be a number")));
  EXPECT_THAT(parameters("parameters: {grid: {max_depth: [4, x], eta: [2]}}"),
              ElementsAre(HasSubstr("a whole number"), HasSubstr("at most 1")));
  EXPECT_THAT(parameters("fixed: {eta: 0.1}, parameters: {grid: {learning_rate: [0.1, 0.2]}}"),
              ElementsAre(HasSubstr("the same parameter")));
  EXPECT_THAT(parameters("parameters: {random: {count: 2, space: {subsample: [0.5, 1.5]}}}"),
              ElementsAre(HasSubstr("at most 1")));
  EXPECT_THAT(parameters("fixed: {monotone_constraints: {a: 1}, interaction_constraints: [[a, b]], "
                         "eval_metric: [auc, logloss]}"),
              IsEmpty());
  EXPECT_THAT(parameters("trainer: {command: [python, t.py]}, fixed: {anything: [1]}"),
              ElementsAre(HasSubstr("a single one")));
  EXPECT_THAT(parameters("trainer: {command: [python, t.py]}, fixed: {anything: 1e-3}"), IsEmpty());
  EXPECT_THAT(parameters("trainer: xgbost"), ElementsAre(HasSubstr("did you mean 'xgboost'?")));
  EXPECT_THAT(parameters("validation: 0, early_stopping: 5"), ElementsAre(HasSubstr("without validation data")));
  EXPECT_THAT(parameters("task: regression, class_weight: balanced"), ElementsAre(HasSubstr("no classes")));
  EXPECT_THAT(parameters("frames: [{last: 7 days}, {last: 1 week}]"), ElementsAre(HasSubstr("'last_1_week' twice")));
}

TEST(ConfigTest, TheTablesOfAQueryAreFoundWithoutAnEngine) {
  auto tables = [](std::string_view sql) {
    std::vector<std::string> names;
    for (const auto& table : TablesNamedIn(sql)) names.push_back(table.Key());
    return names;
  };
  EXPECT_THAT(tables("WITH x AS (SELECT a.b, c FROM s.one a) SELECT * FROM x JOIN s.Two t ON t.a = x.b, wh.s.three"),
              ElementsAre("s.one", "s.two", "s.three"));
  EXPECT_THAT(tables("SELECT extract(year FROM f.day), f.x FROM s.f -- FROM s.not\n WHERE a IS DISTINCT FROM f.b"),
              testing::Contains("s.f"));
  EXPECT_THAT(tables("SELECT 'FROM s.x', \"FROM s.y\" FROM \"s\".\"t\" /* FROM s.z */"), ElementsAre("s.t"));
  EXPECT_THAT(tables("SELECT * FROM (s.a JOIN s.b USING (i)), s.c WHERE x IN (SELECT y, z.q FROM s.d)"),
              ElementsAre("s.a", "s.b", "s.c", "s.d"));
  EXPECT_THAT(tables("SELECT * FROM s.a ASOF LEFT JOIN s.b ON a.t >= b.t GROUP BY a.x, a.y"),
              ElementsAre("s.a", "s.b"));
  EXPECT_THAT(tables("SELECT * FROM read_parquet('x'), s.f(1), s.t"), ElementsAre("s.t"));
  EXPECT_THAT(tables(""), IsEmpty());
  EXPECT_THAT(tables("FROM"), IsEmpty());
}

}  // namespace
}  // namespace quern::ml
