#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/text.h"
#include "ingest/load_fixture.h"
#include "ingest/provider.h"

// What is wrong with files, and what the contract makes of it.
namespace quern::ingest {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class BadInputTest : public LoadFixture {
 protected:
  // A good table of one file, then a bad file beside it: the load fails with all needles, and nothing has changed.
  void ExpectFails(const std::string& yaml, const std::string& file, const std::string& bytes,
                   const std::vector<std::string>& needles) {
    const int64_t version = Version();
    File(file, bytes);
    const std::string error = Bad(yaml, "2029-01-01");
    for (const std::string& needle : needles) EXPECT_THAT(error, HasSubstr(needle));
    EXPECT_EQ(Version(), version);
    EXPECT_FALSE(Exists("t_quarantine"));
    RemoveFile(file);
  }
};

constexpr const char* kCsv = "path: in/*.csv\nmode: append";

TEST_F(BadInputTest, BrokenCsvRowsHaveTheirPlace) {
  const char* yaml = kCsv;
  ExpectFails(yaml, "in/1.csv", "id,x\n1,a\n2\n3,c,d\n",
              {"in/1.csv:3:1", "Q0801", "1 values, where the header has 2 columns", "discard_row"});
  ExpectFails(yaml, "in/1.csv", "id,x\n1,\"two\nlines\"\n3,c,d\n", {"in/1.csv:4:1", "3 values"});
  ExpectFails(yaml, "in/1.csv", "id,x\n1,a\n2,\"b\n3,c\n", {"in/1.csv:3:3", "a quoted value is not closed"});
  ExpectFails(yaml, "in/1.csv", "id,x\n1,a\n2,\"b\"c\n3,c\n", {"in/1.csv:3:6", "text after a closing quote"});
  ExpectFails(yaml, "in/1.csv", "id,x\n1,a\n2,caf\xe9\n", {"in/1.csv:3:6", "invalid UTF-8"});
  EXPECT_FALSE(Exists());
}

TEST_F(BadInputTest, ExpressionsHaveTheirPlace) {
  const std::string yaml = std::string(kCsv) + "\ncolumns:\n  - {name: id, type: bigint}\n  - {name: e, type: date, ";
  ExpectFails(yaml + "expression: \"selec 1\"}", "in/1.csv", "id,x\n1,a\n",
              {"ingest/t.yml:7:", "Q0401", "the expression of column 'e': syntax error"});
  ExpectFails(yaml + "expression: \"idd + 1\"}", "in/1.csv", "id,x\n1,a\n",
              {"ingest/t.yml:7:", "Q0402", "the expression of column 'e'", "id"});
  File("ingest/t.yml",
       "tables:\n  - name: t\n    path: in/*.csv\n    columns:\n"
       "      - {name: e, type: date, expression: \"selec 1\"}\n"
       "      - {name: f, type: date, expression: \"nobody_knows + 1\"}\n");
  IngestProvider provider({.project = Folder()});
  Diagnostics diagnostics;
  provider.Load(diagnostics);
  provider.Check(diagnostics);
  ASSERT_EQ(diagnostics.errors().size(), 1u);
  EXPECT_THAT(diagnostics.errors()[0].ToString(), HasSubstr("ingest/t.yml:5:9: error Q0401"));
  File("in/1.csv", "id,x\n1,2026-01-31\n");
  Ok(yaml + "expression: \"x -- as it is\"}", "2026-01-01");
}

TEST_F(BadInputTest, LoadsAgainOnceMended) {
  File("in/1.csv", "id,x\n1,a\n");
  Ok(kCsv, "2026-01-01");
  ExpectFails(kCsv, "in/2.csv", "id,x\n2,b,c\n", {"in/2.csv:2:1"});
  EXPECT_EQ(All(), "1|a");
  File("in/2.csv", "id,x\n2,b\n");
  Ok(kCsv, "2029-01-01");
  EXPECT_EQ(All(), "1|a;2|b");
}

TEST_F(BadInputTest, WrongTypesHaveTheirPlace) {
  File("in/1.csv", "id,amount\n1,1.5\n");
  Ok(kCsv, "2026-01-01");
  ExpectFails(kCsv, "in/2.csv", "amount,id\n2.5,2\n\"1\",3\nmuch,4\nmore,5\n",
              {"in/2.csv:4:1", "Q0802", "column 'amount': 'much' is no DOUBLE (and 1 more such values)"});
  ExpectFails(kCsv, "in/2.csv", "id,amount\n2,2.5\n3.5,1\n", {"in/2.csv:3:1", "column 'id': '3.5' is no BIGINT"});
  ExpectFails(std::string(kCsv) + "\ncolumns: [{name: id, type: bigint, nullable: false}]", "in/2.csv",
              "id,amount\n2,2.5\n,1\n", {"in/2.csv:3:1", "Q0801", "column 'id': a null"});
  ExpectFails("path: in/*.csv\nmode: merge\nkey: [id]", "in/2.csv", "id,amount\n2,2.5\n,1\n",
              {"in/2.csv:3:1", "a null"});
}

TEST_F(BadInputTest, NothingIsRoundedOrCut) {
  File("in/1.csv", "i,d,ts\n1,2026-01-01,2026-01-01 10:00:00\n");
  Ok(kCsv, "2026-01-01");
  ExpectFails(kCsv, "in/2.csv", "i,d,ts\n1.5,2026-01-01,2026-01-01\n", {"'1.5' is no BIGINT"});
  ExpectFails(kCsv, "in/2.csv", "i,d,ts\n1,2026-01-01 10:00:00,2026-01-01\n", {"is no DATE"});
  ExpectFails(kCsv, "in/2.csv", "i,d,ts\n1,2026-01-01,yesterday\n", {"'yesterday' is no TIMESTAMP"});
  ExpectFails(kCsv, "in/2.csv", "i,d,ts\n99999999999999999999,2026-01-01,2026-01-01\n", {"is no BIGINT"});
  File("in/2.csv", "i,d,ts\n+7,2026-01-02,2026-01-02T00:00:00Z\n8.0,2026-01-02 00:00:00,2026-01-02\n 9 ,,\n");
  Ok(kCsv, "2029-01-01");
  EXPECT_EQ(Query("SELECT i FROM raw.t ORDER BY ALL"), "1;7;8;9");
}

TEST_F(BadInputTest, FilesThatAreNotWhole) {
  std::string csv = "id,x\n";
  for (int i = 0; i < 20000; ++i) csv += fmt::format("{},{}\n", i, i * 7919 % 10007);
  const std::string gzip = Gzip(csv);
  const std::string zstd = Zstd(csv);
  ExpectFails("path: in/*.csv.gz\nmode: append", "in/1.csv.gz", gzip.substr(0, gzip.size() / 2),
              {"in/1.csv.gz", "truncated", "Q0115"});
  ExpectFails("path: in/*.csv.gz\nmode: append", "in/1.csv.gz", gzip.substr(0, gzip.size() - 4),
              {"in/1.csv.gz", "truncated"});
  std::string flipped = gzip;
  flipped[gzip.size() / 2] = static_cast<char>(flipped[gzip.size() / 2] ^ 0x55);
  ExpectFails("path: in/*.csv.gz\nmode: append", "in/1.csv.gz", flipped, {"in/1.csv.gz", "damaged"});
  ExpectFails("path: in/*.csv.gz\nmode: append", "in/1.csv.gz", "id,x\n1,a\n", {"in/1.csv.gz", "damaged"});
  ExpectFails("path: in/*.csv.gz\nmode: append", "in/1.csv.gz", "", {"in/1.csv.gz", "empty"});
  ExpectFails("path: in/*.csv.zst\nmode: append", "in/1.csv.zst", zstd.substr(0, zstd.size() / 2),
              {"in/1.csv.zst", "truncated"});
  ExpectFails("path: in/*.csv.zst\nmode: append", "in/1.csv.zst", "id,x\n1,a\n", {"in/1.csv.zst", "damaged"});
  ExpectFails("path: in/*.parquet\nmode: append", "in/1.parquet", "PAR1 no such thing", {"in/1.parquet", "Q0115"});
  ExpectFails("path: in/*.parquet\nmode: append", "in/1.parquet", "", {"in/1.parquet", "empty"});
  ExpectFails(kCsv, "in/1.csv", "", {"in/1.csv:1", "empty"});
  ExpectFails("path: in/*.jsonl\nmode: append", "in/1.jsonl", "[{\"id\":1}]\n", {"in/1.jsonl:1:1", "a JSON array"});
  File("in/1.csv", "");
  Ok("path: in/*.csv\nmode: append\nempty_files: skip\ncolumns: [{name: id, type: bigint, optional: true}]");
}

TEST_F(BadInputTest, MembersOfAGzipFileFollowEachOther) {
  File("in/1.csv.gz", Gzip("id\n1\n") + Gzip("2\n3\n"));
  EXPECT_EQ(Ok("path: in/*.csv.gz\nmode: append").rows, 3);
}

TEST_F(BadInputTest, HeadersMustFit) {
  ExpectFails(kCsv, "in/1.csv", "id;x\n1;a\n", {"in/1.csv:1:1", "the header is one column", "delimiter: \";\""});
  ExpectFails(kCsv, "in/1.csv", "id,x,ID\n1,a,2\n", {"in/1.csv:1:6", "'ID' twice"});
  ExpectFails(kCsv, "in/1.csv", "id,\n1,a\n", {"in/1.csv:1:4", "has no name"});
  const std::string declared = std::string(kCsv) + "\ncolumns: [{name: id, type: bigint}, {name: amount, source: sum}]";
  ExpectFails(declared, "in/1.csv", "id,suml\n1,a\n", {"in/1.csv:1", "no column 'sum'", "did you mean 'suml'"});
  ExpectFails("path: in/*.csv\nmode: merge\nkey: [idd]", "in/1.csv", "id,x\n1,a\n",
              {"key names the column 'idd'", "did you mean 'id'"});
  ExpectFails(kCsv, "in/1.csv", "id,_quern_x\n1,a\n", {"a name of Quern's own"});
  File("in/0.csv", "id,x\n1,a\n");
  Ok(kCsv, "2026-01-01");
  ExpectFails(std::string(kCsv) + "\ncontract: {columns: freeze}", "in/1.csv", "id\n2\n",
              {"in/1.csv:1", "no column 'x'"});
  ExpectFails(std::string(kCsv) + "\ncolumns: [{name: x, nullable: false}]", "in/1.csv", "id\n2\n",
              {"in/1.csv:1", "no column 'x'"});
  File("in/1.csv", "id\n2\n");
  EXPECT_THAT(Ok(kCsv, "2026-01-02").notes, ElementsAre(HasSubstr("in/1.csv has no column 'x'")));
  EXPECT_EQ(All(), "1|a;2|-");
}

TEST_F(BadInputTest, BrokenJsonHasItsPlace) {
  const char* yaml = "path: in/*.jsonl\nmode: append";
  ExpectFails(yaml, "in/1.jsonl", "{\"id\":1}\n\n{\"id\":2\n", {"in/1.jsonl:3", "malformed JSON"});
  ExpectFails(yaml, "in/1.jsonl", "{\"id\":1}\n[1]\n", {"in/1.jsonl:2:1", "a JSON array"});
  ExpectFails(yaml, "in/1.jsonl", "{\"id\":1}\n{\"id\":\"\xff\"}\n", {"in/1.jsonl:2", "invalid UTF-8"});
  ExpectFails(yaml, "in/1.jsonl", "{\"id\":1,\"id\":2}\n", {"in/1.jsonl:1", "'id' appears twice"});
  ExpectFails(yaml, "in/1.jsonl", "{\"id\":1}\n{\"ID\":2}\n", {"in/1.jsonl", "two keys become the column"});
  File("in/1.jsonl", "{\"id\":1}\n5\n{\"id\":2}\n{\"id\":\n");
  Ok("path: in/*.jsonl\nmode: append\ncontract: {rows: discard_row}");
  EXPECT_EQ(Query("SELECT id FROM raw.t ORDER BY ALL"), "1;2");
  EXPECT_EQ(Query("SELECT file, line, reason, content FROM raw.t_quarantine ORDER BY ALL"),
            "in/1.jsonl|2|not a JSON object|5;in/1.jsonl|4|malformed JSON|{\"id\":");
}

TEST_F(BadInputTest, DiscardedRowsAreInTheQuarantine) {
  File("in/1.csv", "id,x\n1,1\n2,b\nz,zz\n3,4,5\n4,\"q\n5,5\n6,\xff\n");
  auto report =
      Ok("path: in/*.csv\nmode: append\ncolumns: [{name: id, type: bigint}, {name: x, type: integer}]\ncontract: "
         "{data_type: discard_row}");
  EXPECT_EQ(report.rows, 2);
  EXPECT_EQ(report.discarded, 5);
  EXPECT_EQ(All(), "1|1;5|5");
  EXPECT_EQ(
      Query("SELECT line, column_name, reason FROM raw.t_quarantine WHERE file = 'in/1.csv' ORDER BY line, reason"),
      "3|x|x: 'b' is no INTEGER;4|id|id: 'z' is no BIGINT; x: 'zz' is no INTEGER;5|-|3 values, where the header has 2 "
      "columns;"
      "6|-|a quoted value is not closed;8|-|invalid UTF-8");
}

TEST_F(BadInputTest, DiscardedValuesBecomeNull) {
  File("in/1.csv", "id,x\n1,1\n2,b\nz,3\n");
  auto report =
      Ok("path: in/*.csv\nmode: append\ncolumns: [{name: id, type: bigint, nullable: false}, {name: x, type: "
         "integer}]\ncontract: {data_type: discard_value}");
  EXPECT_EQ(All(), "1|1;2|-");
  EXPECT_EQ(report.discarded, 1);
}

// --- the contract, 3 x 4

class ContractTest : public LoadFixture {
 protected:
  std::string Yaml(const std::string& contract) { return "path: in/*.csv\nmode: append\ncontract: {" + contract + "}"; }
  void First() {
    File("in/1.csv", "id,x\n1,1\n");
    Ok("path: in/*.csv\nmode: append", "2026-01-01");
  }
};

TEST_F(ContractTest, Tables) {
  File("in/1.csv", "id,x\n1,1\n");
  EXPECT_THAT(Bad(Yaml("tables: freeze")), HasSubstr("tables: freeze"));
  EXPECT_THAT(Ok(Yaml("tables: discard_row")).warnings, ElementsAre(HasSubstr("nothing is loaded")));
  EXPECT_THAT(Ok(Yaml("tables: discard_value")).warnings, ElementsAre(HasSubstr("nothing is loaded")));
  EXPECT_FALSE(Exists());
  Ok(Yaml("tables: evolve"));
  EXPECT_EQ(All(), "1|1");
}

TEST_F(ContractTest, ColumnsEvolve) {
  First();
  File("in/2.csv", "id,new,x\n2,n,2\n");
  Ok(Yaml("columns: evolve"));
  EXPECT_EQ(Query("SELECT id, x, new FROM raw.t ORDER BY id"), "1|1|-;2|2|n");
}
TEST_F(ContractTest, ColumnsFreeze) {
  First();
  File("in/2.csv", "id,new,x\n2,n,2\n");
  EXPECT_THAT(Bad(Yaml("columns: freeze")), AllOf(HasSubstr("in/2.csv:1"), HasSubstr("'new'")));
}
TEST_F(ContractTest, ColumnsDiscardRow) {
  First();
  File("in/2.csv", "id,new,x\n2,n,2\n3,,3\n");
  EXPECT_EQ(Ok(Yaml("columns: discard_row")).discarded, 1);
  EXPECT_EQ(All(), "1|1;3|3");
  EXPECT_EQ(Query("SELECT line, column_name FROM raw.t_quarantine"), "2|new");
}
TEST_F(ContractTest, ColumnsDiscardValue) {
  First();
  File("in/2.csv", "id,new,x\n2,n,2\n");
  Ok(Yaml("columns: discard_value"));
  EXPECT_EQ(All(), "1|1;2|2");
}
TEST_F(ContractTest, TypesEvolve) {
  First();
  File("in/2.csv", "id,x\n2,2.5\n");
  Ok(Yaml("data_type: evolve"), "2026-01-02");
  EXPECT_EQ(Types(), "id:BIGINT x:DOUBLE");
  File("in/3.csv", "id,x\n3,three\n");
  Ok(Yaml("data_type: evolve"), "2026-01-03");
  EXPECT_EQ(Types(), "id:BIGINT x:VARCHAR");
  EXPECT_EQ(All(), "1|1.0;2|2.5;3|three");
  File("in/4.csv", "id,x,new\n4,4,1\n12345678901234567890,5,2\n");
  Ok(Yaml("data_type: evolve"), "2026-01-04");
  EXPECT_EQ(Query("SELECT id, x, new FROM raw.t ORDER BY ALL"),
            "1|1.0|-;12345678901234567890|5|2;2|2.5|-;3|three|-;4|4|1");
}
TEST_F(ContractTest, DeclaredTypesDoNotEvolve) {
  File("in/1.csv", "id,x\n1,1\n2,b\n");
  EXPECT_THAT(Bad(Yaml("data_type: evolve") + "\ncolumns: [{name: x, type: bigint}]"),
              AllOf(HasSubstr("in/1.csv:3:3"), HasSubstr("declared")));
}
TEST_F(ContractTest, DeclaredWiderTypeWidensTheTable) {
  First();
  File("in/2.csv", "id,x\n2,2.5\n");
  Ok(Yaml("data_type: freeze") + "\ncolumns: [{name: x, type: double}]");
  EXPECT_EQ(All(), "1|1;2|2.5");
  File("in/3.csv", "id,x\n2,2\n");
  EXPECT_THAT(Bad(Yaml("data_type: freeze") + "\ncolumns: [{name: x, type: date}]", "2031-01-01"),
              HasSubstr("is declared DATE, and the table has it as DOUBLE"));
}

// --- Parquet and its types

TEST_F(ContractTest, ParquetTypesArriveWhole) {
  auto session = *warehouse_->NewSession();
  const auto write = [&](const std::string& name, const std::string& select) {
    std::filesystem::create_directories(Folder() / "p");
    auto done =
        session->Execute(fmt::format("COPY ({}) TO '{}' (FORMAT parquet)", select, (Folder() / "p" / name).string()));
    ASSERT_TRUE(done) << done.error().ToString();
  };
  write("1.parquet",
        "SELECT 1::utinyint a, 18446744073709551615::ubigint b, TIME '01:02:03' t, TIMESTAMP '2026-07-01 12:00' ts, "
        "TIMESTAMPTZ '2026-07-01 12:00:00+00' tz, uuid '00000000-0000-0000-0000-000000000001' u, {'a': 1} s, [1, 2] l, "
        "1.5::decimal(5, 2) d");
  const std::string yaml = "path: p/*.parquet\nmode: append\ntimezone: Europe/Berlin";
  Ok(yaml, "2026-01-01");
  EXPECT_EQ(Types(),
            "a:SMALLINT b:DECIMAL(20,0) t:VARCHAR ts:TIMESTAMP WITH TIME ZONE tz:TIMESTAMP WITH TIME ZONE u:VARCHAR "
            "s:STRUCT(a INTEGER) l:INTEGER[] d:DECIMAL(5,2)");
  EXPECT_EQ(Query("SELECT a, b, t, ts, tz, u, s.a, l[2], d FROM raw.t"),
            "1|18446744073709551615|01:02:03|2026-07-01 10:00:00+00|2026-07-01 "
            "12:00:00+00|00000000-0000-0000-0000-000000000001|1|2|1.50");
  write("2.parquet", "SELECT 70000::bigint a, 2.5 d UNION ALL SELECT 2, 3");
  EXPECT_THAT(Bad(yaml, "2026-01-02"), AllOf(HasSubstr("p/2.parquet:1"), HasSubstr("'70000' is no SMALLINT")));
  Ok(yaml + "\ncontract: {data_type: discard_row}", "2026-01-02");
  EXPECT_EQ(Query("SELECT a, d FROM raw.t ORDER BY a"), "1|1.50;2|3.00");
  EXPECT_EQ(Query("SELECT file, line, column_name FROM raw.t_quarantine"), "p/2.parquet|1|a");
  write("3.parquet", "SELECT 70000::bigint a, 2.5 d");
  Ok(yaml + "\ncontract: {data_type: evolve}", "2026-01-03");
  EXPECT_EQ(Query("SELECT a FROM raw.t ORDER BY a"), "1;2;70000");
}

// --- rows against history

TEST_F(ContractTest, FewRowsWarnOrFail) {
  const auto file = [&](int day, int rows) {
    std::string csv = "id\n";
    for (int i = 0; i < rows; ++i) csv += std::to_string(i) + "\n";
    File(fmt::format("in/2026-01-{:02}.csv", day), csv);
  };
  const std::string yaml = "path: in/{%Y-%m-%d}.csv\nmode: append";
  for (int day = 1; day <= 4; ++day) file(day, 100);
  Ok(yaml, "2026-01-04");
  file(5, 20);
  const std::string fail = yaml + "\nchecks: {rows: fail}";
  const int64_t version = Version();
  EXPECT_THAT(
      Bad(fail, "2026-01-05"),
      AllOf(HasSubstr("Q0803"), HasSubstr("only 20 rows arrived, and the last 4 loads brought 100 in the median")));
  EXPECT_EQ(Version(), version);
  EXPECT_THAT(Ok(yaml, "2026-01-05").warnings, ElementsAre(HasSubstr("only 20 rows")));
  file(6, 0);
  EXPECT_THAT(Ok(yaml, "2026-01-06").warnings, ElementsAre(HasSubstr("no rows arrived")));
  EXPECT_THAT(Ok(yaml + "\nchecks: {rows: {no_files: warn}}", "2026-01-07").warnings, ElementsAre("no new files"));
  EXPECT_THAT(Bad(yaml + "\nchecks: {rows: {no_files: fail}}", "2026-01-08"), HasSubstr("Q0803"));
  EXPECT_THAT(Ok(yaml + "\nchecks: {rows: off}", "2026-01-09").warnings, ::testing::IsEmpty());
}

}  // namespace
}  // namespace quern::ingest
