// Binding and the SQL of datasets: columns, frames, point-in-time joins.
#include "ml/dataset/dataset_fixture.h"

namespace quern::ml {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class DatasetTest : public DatasetFixture {
 protected:
  std::string Rows(const ModelConfig& model, const TimeFrame& frame, ml::Rows rows = ml::Rows::kLabeled) {
    auto bound = Bind(model);
    if (!bound) return "not bound";
    auto options = Options();
    options.rows = rows;
    return Text(DatasetQuery(model, *bound, frame, options));
  }
  TimeFrame All() const { return {"all", std::nullopt, interval_.start}; }
};

TEST_F(DatasetTest, TypesBecomeFewAndTheTaskFollowsTheLabel) {
  Run("CREATE TABLE f.t AS SELECT 1::INTEGER AS id, DATE '2013-01-01' AS day, true AS y, 2::SMALLINT AS a, "
      "1.5::DECIMAL(9,2) AS b, 'x' AS c, false AS d, 1.5::FLOAT AS e, 3 AS month, 'l' AS _quern_file");
  auto bound = Bind(Model("from: f.t\nkey: id\ntime: day\nlabel: Y\ncategorical: [month]\nexclude: [e]"));
  ASSERT_TRUE(bound);
  std::string text;
  for (const auto& f : bound->features) text += fmt::format("{}:{}:{} ", f.name, f.type, static_cast<int>(f.kind));
  EXPECT_EQ(text, "a:BIGINT:0 b:DOUBLE:0 c:VARCHAR:1 d:BOOLEAN:2 month:BIGINT:1 ");
  EXPECT_EQ(bound->key[0].type, "BIGINT");
  EXPECT_EQ(bound->time_kind, TimeKind::kDate);
  EXPECT_EQ(bound->label.name, "y");
  EXPECT_EQ(bound->task, TaskType::kClassification);
  EXPECT_EQ(Bind(Model("from: f.t\nkey: id\ntime: day\nlabel: b"))->task, TaskType::kRegression);
  EXPECT_EQ(Bind(Model("from: f.t\nkey: id\ntime: day\nlabel: c"))->task, TaskType::kMulticlass);
}

TEST_F(DatasetTest, WhatIsNotThereIsReportedAllAtOnceWithTheNearest) {
  Run("CREATE TABLE f.t AS SELECT 1 AS id, DATE '2013-01-01' AS day, true AS y, 2 AS price, 3 AS cost, [1] AS list, "
      "'u' AS code; "
      "CREATE TABLE f.j AS SELECT 1 AS code, now()::TIMESTAMP AS since, 4 AS wind");
  const auto errors =
      BindErrors(Model("from: f.t\nkey: idd\ntime: cost\nlabel: list\nfeatures: [prise, wind]\n"
                       "join: [{table: f.j, on: [code], valid_from: sinse, columns: [wimd]}]"));
  EXPECT_THAT(errors, testing::UnorderedElementsAre(
                          AllOf(HasSubstr("ml/m.yml:5:12"), HasSubstr("'idd'"), HasSubstr("did you mean 'id'?")),
                          AllOf(HasSubstr("ml/m.yml:6:13"), HasSubstr("time column 'cost' is of type INTEGER")),
                          AllOf(HasSubstr("ml/m.yml:7:14"), HasSubstr("label 'list' is of type INTEGER[]")),
                          AllOf(HasSubstr("ml/m.yml:8:18"), HasSubstr("did you mean 'price'?")),
                          HasSubstr("the feature 'wind'"),
                          AllOf(HasSubstr("'code' of f.t is VARCHAR"), HasSubstr("like types")),
                          AllOf(HasSubstr("'sinse'"), HasSubstr("did you mean 'since'?")),
                          AllOf(HasSubstr("'wimd'"), HasSubstr("did you mean 'wind'?"))));
  EXPECT_THAT(BindErrors(Model("from: f.t\nkey: id\ntime: day\nlabel: y")),
              ElementsAre(HasSubstr("'list' is of type INTEGER[] and cannot be a feature")));
  EXPECT_THAT(BindErrors(Model("from: f.t\nkey: id\ntime: day\nlabel: y\nexclude: [list]",
                               "    promote: {metric: rmse, slices: [prise]}\n    retrain_when: drift.prise > 1\n")),
              ElementsAre(HasSubstr("'metric' of a classification model cannot be 'rmse'"),
                          AllOf(HasSubstr("unknown name 'drift.prise'"), HasSubstr("drift.price")),
                          AllOf(HasSubstr("'slices' of 'promote'"), HasSubstr("did you mean 'price'?"))));
}

TEST_F(DatasetTest, TablesThatAreNotThereYetAreNoError) {
  EXPECT_FALSE(Bind(Model("from: f.later\nkey: id\ntime: day\nlabel: y")));
  EXPECT_EQ(missing_, "f.later");
  EXPECT_FALSE(Bind(Model("query: SELECT * FROM nowhere.later\nkey: id\ntime: day\nlabel: y")));
  EXPECT_EQ(missing_, "nowhere.later");
}

TEST_F(DatasetTest, ErrorsInAQueryHaveTheirPlaceInTheFile) {
  Run("CREATE TABLE f.t AS SELECT 1 AS id, DATE '2013-01-01' AS day, true AS y, 2 AS price");
  EXPECT_THAT(BindErrors(Model("query: |\n  SELECT id, day, y,\n    prise\n  FROM f.t\nkey: id\ntime: day\nlabel: y")),
              ElementsAre(AllOf(HasSubstr("ml/m.yml:6:11: error Q0402"), HasSubstr("prise"))));
}

TEST_F(DatasetTest, RowsAreThoseOfTheFrameThatHaveALabel) {
  Run("CREATE TABLE f.t AS SELECT * FROM (VALUES (1, DATE '2013-03-31', 1, true), (2, DATE '2013-04-01', 2, NULL), "
      "(4, DATE '2013-04-30', 4, true), (3, DATE '2013-04-01', 3, false), (5, DATE '2013-05-01', 5, true)) "
      "v(id, day, x, y)");
  const auto model = Model("from: f.t\nkey: id\ntime: day\nlabel: y");
  const TimeFrame april{"last_1_month", At("2013-04-01"), At("2013-05-01")};
  EXPECT_EQ(Rows(model, april), "3|2013-04-01|3|false;4|2013-04-30|4|true");
  EXPECT_EQ(Rows(model, april, ml::Rows::kAll), "2|2013-04-01|2;3|2013-04-01|3;4|2013-04-30|4");
  EXPECT_EQ(Rows(model, All()), "1|2013-03-31|1|true;3|2013-04-01|3|false;4|2013-04-30|4|true");
  auto first = FirstLabeledTime(model, *Bind(model), Options(), *session_);
  ASSERT_TRUE(first && *first);
  EXPECT_EQ(**first, At("2013-03-31"));
}

TEST_F(DatasetTest, InstantsAndUtcTimestampsLieInFramesOfTheZone) {
  Run("CREATE TABLE f.t AS SELECT id, t::TIMESTAMPTZ AS at, t::TIMESTAMP AS utc, id AS x, 1.0 AS y FROM (VALUES "
      "(1, '2013-04-01 03:59:59'), (2, '2013-04-01 04:00:00'), (3, '2013-05-01 03:59:59'), (4, '2013-05-01 04:00:00')) "
      "v(id, t)");
  Run("CREATE TABLE f.i AS SELECT id, timezone('UTC', utc) AS at, utc, x, y FROM f.t");
  const TimeFrame april{"last_1_month", At("2013-04-01"), At("2013-05-01")};
  EXPECT_EQ(Rows(Model("from: f.i\nkey: id\ntime: utc\nlabel: y\nfeatures: x"), april),
            "2|2013-04-01 04:00:00|2|1;3|2013-05-01 03:59:59|3|1");
  EXPECT_EQ(Text("SELECT id FROM (" +
                 DatasetQuery(Model("from: f.i\nkey: id\ntime: at\nlabel: y\nfeatures: x"),
                              *Bind(Model("from: f.i\nkey: id\ntime: at\nlabel: y\nfeatures: x")), april, Options()) +
                 ")"),
            "2;3");
}

TEST_F(DatasetTest, PointInTimeJoinsTakeWhatHeldThen) {
  Run("CREATE TABLE f.t AS SELECT * FROM (VALUES (1, 'A', DATE '2013-01-01', 1), (2, 'A', DATE '2013-01-10', 1), "
      "(3, 'A', DATE '2013-02-01', 1), (4, 'A', DATE '2013-03-15', 1), (5, 'B', DATE '2013-03-15', 1), "
      "(6, NULL, DATE '2013-03-15', 1)) v(id, plane, day, y)");
  // Valid from midnight in New York on; closed, a gap, open; a row that never held; one that repeats a beginning.
  Run("CREATE TABLE f.j AS SELECT plane, timezone('UTC', a::TIMESTAMP) AS a, timezone('UTC', b::TIMESTAMP) AS b, "
      "op FROM (VALUES ('A', '2013-01-02 05:00:00', '2013-02-01 05:00:00', 'one'), "
      "('A', '2013-03-01 05:00:00', NULL, 'two'), ('A', '2013-03-02 05:00:00', '2013-03-02 05:00:00', 'never'), "
      "('B', '2013-03-15 04:00:00', NULL, 'open'), ('B', '2013-03-15 04:00:00', '2013-03-20 04:00:00', 'short')) "
      "v(plane, a, b, op)");
  const std::string source = "from: f.t\nkey: id\ntime: day\nlabel: y\nfeatures: [operator]\n";
  const auto model =
      Model(source + "join: [{table: f.j, \"on\": [plane], valid_from: a, valid_to: b, columns: {op: operator}}]");
  EXPECT_EQ(Rows(model, All()),
            "1|2013-01-01|-|1;2|2013-01-10|one|1;3|2013-02-01|-|1;4|2013-03-15|two|1;5|2013-03-15|open|1;"
            "6|2013-03-15|-|1");
  // Without an end a row holds until the next one begins; too old is missing, counted back from each row.
  const auto until_next = Model(source +
                                "join: {table: f.j, on: {plane: plane}, valid_from: a, ttl: 20 days, "
                                "columns: {op: operator}}");
  EXPECT_EQ(Rows(until_next, All()),
            "1|2013-01-01|-|1;2|2013-01-10|one|1;3|2013-02-01|-|1;4|2013-03-15|never|1;5|2013-03-15|short|1;"
            "6|2013-03-15|-|1");
}

TEST_F(DatasetTest, ValidityOfEveryTypeOfTimeMeansTheSame) {
  const std::map<std::string, std::string> types = {
      {"DATE", "v::DATE"},
      {"TIMESTAMP", "timezone('UTC', timezone('America/New_York', v::TIMESTAMP))"},
      {"TIMESTAMPTZ", "timezone('America/New_York', v::TIMESTAMP)"}};
  auto cast = [&](const std::string& type, const std::string& value) {
    return ReplaceAll(types.at(type), "v::", value + "::");
  };
  int made = 0;
  for (const auto& [time, unused1] : types) {
    for (const auto& [from, unused2] : types) {
      for (const auto& [to, unused3] : types) {
        ++made;
        Run(
            fmt::format("CREATE TABLE f.t{} AS SELECT id, {} AS at, 1.0 AS y, 7 AS k FROM (VALUES (1, '2013-03-09'), "
                        "(2, '2013-03-10'), (3, '2013-03-11'), (4, '2013-03-12'), (5, '2013-04-15')) v(id, x)",
                        made, cast(time, "x")));
        Run(
            fmt::format("CREATE TABLE f.j{} AS SELECT 7 AS k, {} AS a, {} AS b, op FROM (VALUES "
                        "('2013-03-10', '2013-03-12', 'one'), ('2013-03-12', NULL, 'two')) v(x, z, op)",
                        made, cast(from, "x"), cast(to, "z")));
        const auto model =
            Model(fmt::format("from: f.t{0}\nkey: id\ntime: at\nlabel: y\nfeatures: [op]\njoin: {{table: "
                              "f.j{0}, on: k, valid_from: a, valid_to: b, ttl: 1 month, columns: op}}",
                              made));
        EXPECT_EQ(Text("SELECT string_agg(coalesce(op, '-'), ' ' ORDER BY id) FROM (" +
                       DatasetQuery(model, *Bind(model), All(), Options()) + ")"),
                  "- one one two -")
            << time << " " << from << " " << to;
      }
    }
  }
}

TEST_F(DatasetTest, PointInTimeJoinsStayFastJoins) {
  Run("CREATE TABLE f.t AS SELECT i AS id, i % 50 AS k, DATE '2013-01-01' AS day, 1.0 AS y FROM range(1000) r(i); "
      "CREATE TABLE f.j AS SELECT i % 50 AS k, DATE '2012-12-01' + (i // 50)::INTEGER AS a, NULL::DATE AS b, i AS x "
      "FROM range(1000) r(i)");
  const auto model = Model(
      "from: f.t\nkey: id\ntime: day\nlabel: y\nfeatures: [x]\n"
      "join: {table: f.j, on: k, valid_from: a, valid_to: b, ttl: 40 days, columns: x}");
  std::string plan;
  for (const auto& row : Run("EXPLAIN " + DatasetQuery(model, *Bind(model), All(), Options())).rows)
    plan += engine::ToText(row.back());
  EXPECT_THAT(plan, HasSubstr("ASOF_JOIN"));
  EXPECT_THAT(plan, testing::Not(HasSubstr("NESTED_LOOP")));
  EXPECT_THAT(plan, testing::Not(HasSubstr("CROSS_PRODUCT")));
}

TEST_F(DatasetTest, NumbersThatAreNoneAreMissing) {
  Run("CREATE TABLE f.t AS SELECT id, DATE '2013-01-01' AS day, x::DOUBLE AS x, y::DOUBLE AS y FROM (VALUES "
      "(1, 'nan', '1'), (2, '2', 'nan'), (3, '3', NULL)) v(id, x, y)");
  EXPECT_EQ(Rows(Model("from: f.t\nkey: id\ntime: day\nlabel: y"), All()), "1|2013-01-01|-|1");
}

TEST_F(DatasetTest, AQueryMayUseTheInterval) {
  Run("CREATE TABLE f.t AS SELECT i AS id, DATE '2013-04-01' + i::INTEGER AS day, 1.0 AS y, i AS x FROM range(40) "
      "r(i)");
  const auto model = Model(
      "query: |\n  SELECT *, date_diff('day', day::TIMESTAMP, ($interval_start)::TIMESTAMP) AS ahead FROM f.t;\n"
      "key: id\ntime: day\nlabel: y\nfeatures: [ahead]");
  EXPECT_EQ(Rows(model, {"x", At("2013-04-29"), At("2013-05-01")}), "28|2013-04-29|2|1;29|2013-04-30|1|1");
}

}  // namespace
}  // namespace quern::ml
