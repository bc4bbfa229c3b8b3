// Names, configs, seeds and CTEs: what needs no database.
#include <gtest/gtest.h>

#include "base/clock.h"
#include "dbt/compile.h"
#include "dbt/config.h"
#include "dbt/context/datetime.h"
#include "dbt/context/relation.h"
#include "dbt/seed_csv.h"
#include "dbt/test_names.h"
#include "dbt/yaml_value.h"

namespace quern::dbt {
namespace {

using jinja::Value;

Value Args(const std::string& yaml) {
  return FromYaml(*Yaml::Parse(yaml, "args"));
}

// Names and hashes as dbt-core 1.11 gives them.
TEST(TestNames, ShortNamesAreKept) {
  TestNames names = SynthesizeTestNames("unique", "stg_orders", Args("{column_name: order_id, model: x}"));
  EXPECT_EQ(names.full, "unique_stg_orders_order_id");
  EXPECT_EQ(names.brief, names.full);
}

TEST(TestNames, LongNamesAreCutAndHashed) {
  TestNames names =
      SynthesizeTestNames("relationships", "stg_orders",
                          Args("{column_name: customer_id, to: \"ref('customers')\", field: customer_id, model: x}"));
  EXPECT_EQ(names.full, "relationships_stg_orders_customer_id__customer_id__ref_customers_");
  EXPECT_EQ(names.brief, "relationships_stg_orders_ea624a80826c8a7f9bd15b85fd5d6316");
}

TEST(TestNames, HashIsThatOfDbt) {
  Value kwargs = Args("{column_name: order_id, model: \"{{ get_where_subquery(ref('stg_orders')) }}\"}");
  EXPECT_EQ(TestHash("unique_stg_orders_order_id", "unique", Value(), kwargs), "e3b841c71a");
  Value list = Args("{column_name: status, maximum: 3, model: \"{{ get_where_subquery(ref('stg_orders')) }}\"}");
  EXPECT_EQ(TestHash("positive_stg_orders_status__3", "positive", Value(), list), "27f2b42781");
}

TEST(Config, TagsAddUpMetaMergesOthersReplace) {
  Json config = DefaultConfig(ResourceType::kModel);
  MergeConfig(config, {{"tags", "a"}, {"meta", {{"x", 1}}}, {"materialized", "table"}});
  MergeConfig(config,
              {{"tags", {"b", "a"}}, {"meta", {{"y", 2}}}, {"materialized", "view"}, {"post_hook", "select 1"}});
  EXPECT_EQ(config["tags"], Json({"a", "b"}));
  EXPECT_EQ(config["meta"], Json({{"x", 1}, {"y", 2}}));
  EXPECT_EQ(config["materialized"], "view");
  EXPECT_EQ(config["post-hook"][0]["sql"], "select 1");
}

TEST(Config, FoldersAndPlusKeysApplyFromTheOutsideIn) {
  Package package;
  package.name = "shop";
  package.trees["models"] = Json::parse(
      R"({"+materialized": "view", "shop": {"marts": {"materialized": "table", "+meta": {"a": 1}, "big": {"+tags": "big"}}}})");
  std::vector<std::string> fqn = {"shop", "marts", "big", "orders"};
  Json patch = {{"tags", "yaml"}}, call = {{"tags", "file"}};
  Json config = ResolveConfig({ResourceType::kModel, &fqn, &package, &package, &patch, &call});
  EXPECT_EQ(config["materialized"], "table");
  EXPECT_EQ(config["tags"], Json({"big", "yaml", "file"}));
  EXPECT_EQ(config["meta"]["a"], 1);
}

TEST(Seed, TypesAreInferredOverAllRows) {
  auto seed = ParseSeed("a,b,c,d,e,f\n1,1.5,true,2024-01-01,x,\n30000000000,2,False,2024-01-02,\"a,\"\"b\"\"\",\n", ',',
                        "s.csv");
  ASSERT_TRUE(seed);
  EXPECT_EQ(seed->types, (std::vector<std::string>{"bigint", "float8", "boolean", "date", "text", "integer"}));
  EXPECT_EQ(seed->rows[1][4], "a,\"b\"");
}

TEST(Seed, RowOfAnotherLengthIsNamedByItsLine) {
  auto seed = ParseSeed("a,b\n1,2\n\"x\ny\",3\n4\n", ',', "seeds/s.csv");
  ASSERT_FALSE(seed);
  EXPECT_EQ(seed.error().pos().ToString(), "seeds/s.csv:5:1");
}

std::string Inject(const std::string& sql) {
  return InjectCtes({sql, {}}, {{" __dbt__cte__a as (\nselect 1\n)", {}}}).text;
}

TEST(Ctes, ComeBeforeTheQueryAndBehindItsWith) {
  EXPECT_EQ(Inject("select * from x"), "with  __dbt__cte__a as (\nselect 1\n) select * from x");
  EXPECT_EQ(Inject("-- with\nWITH c as (select 1) select * from c"),
            "-- with\nWITH  __dbt__cte__a as (\nselect 1\n), c as (select 1) select * from c");
  EXPECT_EQ(Inject("with recursive c as (select 1) select * from c"),
            "with recursive  __dbt__cte__a as (\nselect 1\n), c as (select 1) select * from c");
  EXPECT_EQ(Inject("/* x */ withdraw"), "/* x */ with  __dbt__cte__a as (\nselect 1\n) withdraw");
}

TEST(Relation, IsQuotedPartByPart) {
  RelationData relation;
  relation.database = "db";
  relation.schema = "s";
  relation.identifier = "t";
  EXPECT_EQ(relation.Render(), "\"db\".\"s\".\"t\"");
  EXPECT_EQ(relation.WithoutIdentifier().Render(), "\"db\".\"s\"");
  relation.include_database = false;
  relation.quote_identifier = false;
  EXPECT_EQ(relation.Render(), "\"s\".t");
}

TEST(Datetime, PrintsAsPythonDoes) {
  FixedClock clock(*ParseTimestamp("2024-05-03T04:05:06.5Z", TimeZone::Utc()));
  EXPECT_EQ(MakeDatetime(TimeZone::Utc().ToLocal(clock.Now()), std::nullopt).ToString(), "2024-05-03 04:05:06.500000");
  EXPECT_EQ(MakeDatetime(TimeZone::Utc().ToLocal(clock.Now()), TimeZone::Utc()).ToString(),
            "2024-05-03 04:05:06.500000+00:00");
}

}  // namespace
}  // namespace quern::dbt
