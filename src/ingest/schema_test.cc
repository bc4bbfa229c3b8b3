#include "ingest/schema.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace quern::ingest {
namespace {

using ::testing::HasSubstr;
using Kind = Type::Kind;

TableConfig Config(const std::string& rest) {
  Diagnostics diagnostics;
  auto tables = ParseIngestFile("tables:\n  - name: t\n    path: in/*.csv\n    mode: append\n" + rest, "ingest/t.yml",
                                diagnostics);
  for (const Error& error : diagnostics.errors()) ADD_FAILURE() << error.ToString();
  return tables.at(0);
}

SourceColumn Text(const std::string& name, const std::string& missing = "") {
  return {name, Raw::kText, {}, "", missing, {}};
}
SourceColumn JsonColumn(const std::string& name, const char* structure) {
  return {name, Raw::kJson, Type::OfJsonStructure(nlohmann::ordered_json::parse(structure)), "", "", {name}};
}

std::string Plan(const TableConfig& config, const std::optional<std::vector<TableColumn>>& existing,
                 const std::vector<SourceColumn>& sources) {
  auto plan = PlanSchema(config, existing, sources, "in/1.csv");
  if (!plan) return plan.error().ToString();
  std::string text;
  for (const PlannedColumn& column : plan->columns) {
    text += fmt::format("{}{}:{}{}{}{}", text.empty() ? "" : " ", column.name,
                        column.type.kind == Kind::kUnknown ? "?" : column.type.ToSql(),
                        column.source < 0 ? "(none)" : "", column.exists ? "" : "+", column.was ? "!" : "");
  }
  for (const int i : plan->unwanted) text += fmt::format(" unwanted:{}", i);
  return text;
}

const std::vector<TableColumn> kTable = {{"Id", Kind::kBigInt, true}, {"x", Kind::kVarchar, true}};

TEST(SchemaTest, ANewTableTakesAll) {
  EXPECT_EQ(Plan(Config(""), {}, {Text("a"), Text("b")}), "a:?+ b:?+");
  EXPECT_EQ(Plan(Config("    columns: [{name: c, source: b, type: date}]\n"), {}, {Text("a"), Text("b")}),
            "a:?+ c:DATE+");
}

TEST(SchemaTest, ATableKeepsItsOrderAndNames) {
  EXPECT_EQ(Plan(Config(""), kTable, {Text("X"), Text("new"), Text("id")}), "Id:BIGINT x:VARCHAR new:?+");
  EXPECT_EQ(Plan(Config(""), kTable, {Text("id")}), "Id:BIGINT x:VARCHAR(none)");
}

TEST(SchemaTest, NewColumnsFollowTheContract) {
  EXPECT_THAT(Plan(Config("    contract: {columns: freeze}\n"), kTable, {Text("id"), Text("x"), Text("idd")}),
              HasSubstr("did you mean 'Id'"));
  EXPECT_EQ(Plan(Config("    contract: {columns: discard_row}\n"), kTable, {Text("id"), Text("x"), Text("n")}),
            "Id:BIGINT x:VARCHAR unwanted:2");
  EXPECT_EQ(Plan(Config("    contract: {columns: discard_value}\n"), kTable, {Text("id"), Text("x"), Text("n")}),
            "Id:BIGINT x:VARCHAR");
}

TEST(SchemaTest, DeclaredColumnsMustBeThere) {
  EXPECT_THAT(Plan(Config("    columns: [{name: n}]\n"), {}, {Text("a")}),
              HasSubstr("in/1.csv:1: error Q0802: the file has no column 'n'"));
  EXPECT_THAT(Plan(Config("    columns: [{name: n}]\n"), {}, {Text("a"), Text("n", "in/7.csv")}),
              HasSubstr("in/7.csv:1"));
  EXPECT_EQ(Plan(Config("    columns: [{name: n, optional: true, type: date}]\n"), {}, {Text("a")}),
            "a:?+ n:DATE(none)+");
  EXPECT_EQ(Plan(Config("    columns: [{name: n, optional: true}]\n"), {}, {Text("a")}), "a:?+");
}

TEST(SchemaTest, NestedFieldsFollowTheContract) {
  const std::vector<TableColumn> table = {{"s", *Type::Parse("STRUCT(a BIGINT)", Type::From::kEngine), true}};
  const SourceColumn more = JsonColumn("s", R"({"a":"UBIGINT","b":"VARCHAR"})");
  const SourceColumn other = JsonColumn("s", R"({"a":"VARCHAR"})");
  EXPECT_EQ(Plan(Config(""), table, {more}), "s:STRUCT(\"a\" BIGINT, \"b\" VARCHAR)!");
  EXPECT_THAT(Plan(Config("    contract: {columns: freeze}\n"), table, {more}), HasSubstr("field 'b'"));
  EXPECT_EQ(Plan(Config("    contract: {columns: discard_value}\n"), table, {more}), "s:STRUCT(\"a\" BIGINT)");
  EXPECT_EQ(Plan(Config(""), table, {other}), "s:STRUCT(\"a\" BIGINT)");
  EXPECT_EQ(Plan(Config("    contract: {data_type: evolve}\n"), table, {other}), "s:STRUCT(\"a\" VARCHAR)!");
}

TEST(TypeTest, ReadsAndWritesSql) {
  const auto sql = [](const char* text, Type::From from) {
    auto type = Type::Parse(text, from);
    return type ? type->ToSql() : "error: " + type.error().hint();
  };
  EXPECT_EQ(sql("timestamp", Type::From::kUser), "TIMESTAMP WITH TIME ZONE");
  EXPECT_EQ(sql("TIMESTAMP", Type::From::kEngine), "TIMESTAMP");
  EXPECT_EQ(sql("TIMESTAMP WITH TIME ZONE", Type::From::kEngine), "TIMESTAMP WITH TIME ZONE");
  EXPECT_EQ(sql("timestamp_ntz", Type::From::kUser), "TIMESTAMP");
  EXPECT_EQ(sql("decimal(10, 2)", Type::From::kUser), "DECIMAL(10,2)");
  EXPECT_EQ(sql("string", Type::From::kUser), "VARCHAR");
  EXPECT_EQ(sql("varchar(20)", Type::From::kUser), "VARCHAR");
  EXPECT_EQ(sql("STRUCT(a BIGINT, \"b \"\"c\" VARCHAR[])[]", Type::From::kEngine),
            "STRUCT(\"a\" BIGINT, \"b \"\"c\" VARCHAR[])[]");
  EXPECT_EQ(sql("MAP(VARCHAR, DOUBLE)", Type::From::kEngine), "MAP(VARCHAR, DOUBLE)");
  EXPECT_EQ(sql("ENUM('a', 'b)')", Type::From::kEngine), "VARCHAR");
  EXPECT_EQ(sql("UHUGEINT", Type::From::kEngine), "VARCHAR");
  EXPECT_EQ(sql("TIME WITH TIME ZONE", Type::From::kEngine), "VARCHAR");
  EXPECT_EQ(sql("\"NULL\"", Type::From::kEngine), "VARCHAR");
  EXPECT_EQ(sql("bigintt", Type::From::kUser), "error: did you mean 'bigint'?");
  for (const char* wrong : {"", "struct()", "struct(a)", "decimal(40,2)", "integer[", "int int", "map(int)"}) {
    EXPECT_EQ(sql(wrong, Type::From::kUser).substr(0, 5), "error") << wrong;
  }
}

TEST(TypeTest, WidensWithoutLoss) {
  const auto widen = [](const char* a, const char* b) {
    return Widen(*Type::Parse(a, Type::From::kEngine), *Type::Parse(b, Type::From::kEngine)).ToSql();
  };
  EXPECT_EQ(widen("INTEGER", "BIGINT"), "BIGINT");
  EXPECT_EQ(widen("BIGINT", "DECIMAL(5,2)"), "DECIMAL(21,2)");
  EXPECT_EQ(widen("DATE", "TIMESTAMP"), "TIMESTAMP");
  EXPECT_EQ(widen("BOOLEAN", "BIGINT"), "VARCHAR");
  EXPECT_EQ(widen("BIGINT[]", "DOUBLE[]"), "DOUBLE[]");
  EXPECT_EQ(widen("STRUCT(a BIGINT)", "STRUCT(b DATE, A DOUBLE)"), "STRUCT(\"a\" DOUBLE, \"b\" DATE)");
  EXPECT_EQ(widen("STRUCT(a BIGINT)", "BIGINT[]"), "VARCHAR");
}

}  // namespace
}  // namespace quern::ingest
