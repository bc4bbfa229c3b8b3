#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/text.h"
#include "ingest/load_fixture.h"

namespace quern::ingest {
namespace {

using ::testing::HasSubstr;

class LoadTest : public LoadFixture {};

constexpr const char* kAppend = "path: in/{%Y-%m-%d}.csv\nmode: append";

TEST_F(LoadTest, AppendTakesEachDueFileOnce) {
  File("in/2026-01-01.csv", "id,x\n1,a\n2,b\n");
  File("in/2026-01-02.csv", "x,id\nc,3\n");
  File("in/2026-01-03.csv", "id,x\n4,d\n");
  EXPECT_EQ(Ok(kAppend, "2026-01-02").message, "3 rows in 2 files");
  EXPECT_EQ(All(), "1|a;2|b;3|c");
  EXPECT_EQ(Types(), "id:BIGINT x:VARCHAR");
  EXPECT_EQ(Ok(kAppend, "2026-01-02").status, LoadReport::Status::kRecorded);
  EXPECT_EQ(Ok(kAppend, "2026-01-03").rows, 1);
  EXPECT_EQ(All(), "1|a;2|b;3|c;4|d");
  EXPECT_EQ(Ok(kAppend, "2026-01-04").status, LoadReport::Status::kNothingNew);
  EXPECT_EQ(Query("SELECT DISTINCT _quern_file, _quern_run FROM raw.t ORDER BY ALL"),
            "in/2026-01-01.csv|test/2026-01-02;in/2026-01-02.csv|test/2026-01-02;in/2026-01-03.csv|test/2026-01-03");
}

TEST_F(LoadTest, TypesAreThoseOfTheWholeInput) {
  std::string csv = "i,d,b,day,at,code,late,none,big\n";
  for (int i = 0; i < 30000; ++i) {
    csv += fmt::format("{},{}.5,true,2026-01-02,2026-01-02 03:04:05,{},{},,1\n", i, i, i == 29999 ? "007" : "7",
                       i == 29998 ? "5" : "");
  }
  csv += "1,1,false,2026-01-03,2026-01-02T03:04:05Z,9,,,12345678901234567890\n";
  File("in/1.csv", csv);
  Ok("path: in/*.csv\nmode: append");
  EXPECT_EQ(Types(),
            "i:BIGINT d:DOUBLE b:BOOLEAN day:DATE at:TIMESTAMP WITH TIME ZONE code:VARCHAR late:BIGINT none:VARCHAR "
            "big:VARCHAR");
  EXPECT_EQ(Query("SELECT count(*), count(late), count(DISTINCT code), max(big) FROM raw.t"),
            "30001|1|3|12345678901234567890");
}

TEST_F(LoadTest, LeadingZerosAreNoNumbersInLaterFilesEither) {
  File("in/1.csv", "id,x\n7,7.5\n");
  Ok("path: in/*.csv\nmode: append", "2026-01-01");
  EXPECT_EQ(Types(), "id:BIGINT x:DOUBLE");
  File("in/2.csv", "id,x\n007,1\n");
  EXPECT_THAT(Bad("path: in/*.csv\nmode: append", "2026-01-02"), HasSubstr("column 'id': '007' is no BIGINT"));
  File("in/2.csv", "id,x\n8,00.5\n");
  EXPECT_THAT(Bad("path: in/*.csv\nmode: append", "2026-01-02"), HasSubstr("column 'x': '00.5' is no DOUBLE"));
  File("in/2.csv", "id,x\n007,0.5\n");
  Ok("path: in/*.csv\nmode: append\ncolumns: [{name: id, type: bigint}]", "2026-01-02");
  File("in/3.csv", "id,x\n008,0\n");
  Ok("path: in/*.csv\nmode: append\ncontract: {data_type: evolve}", "2026-01-03");
  EXPECT_EQ(All(), "008|0;7|0.5;7|7.5");
}

TEST_F(LoadTest, ReplaceFollowsTheFiles) {
  const char* yaml = "path: in/*.csv\nmode: replace";
  File("in/a.csv", "id\n1\n");
  File("in/b.csv", "id\n2\n");
  Ok(yaml, "2026-01-01");
  EXPECT_EQ(All(), "1;2");
  EXPECT_EQ(Ok(yaml, "2026-01-02").status, LoadReport::Status::kNothingNew);
  File("in/a.csv", "id\n5\n6\n");
  EXPECT_EQ(Ok(yaml, "2026-01-03").rows, 3);
  EXPECT_EQ(All(), "2;5;6");
  RemoveFile("in/b.csv");
  Ok(yaml, "2026-01-04");
  EXPECT_EQ(All(), "5;6");
  EXPECT_EQ(Ok(yaml, "2026-01-05").status, LoadReport::Status::kNothingNew);
}

TEST_F(LoadTest, ReplaceTakesTheNewestLogicalTime) {
  const char* yaml = "path: in/{%Y-%m-%d}/*.csv\nmode: replace";
  File("in/2026-01-01/a.csv", "id\n1\n");
  File("in/2026-01-02/a.csv", "id\n2\n");
  File("in/2026-01-02/b.csv", "id\n3\n");
  File("in/2026-02-02/b.csv", "id\n9\n");
  Ok(yaml, "2026-01-15");
  EXPECT_EQ(All(), "2;3");
  EXPECT_EQ(Ok(yaml, "2026-01-16").status, LoadReport::Status::kNothingNew);
  Ok(yaml, "2026-02-15");
  EXPECT_EQ(All(), "9");
}

TEST_F(LoadTest, MergeLetsTheLastRowWin) {
  const char* yaml = "path: in/{%Y-%m-%d}*.csv\nmode: merge\nkey: [id]";
  File("in/2026-01-01.csv", "id,x\n1,a\n2,b\n1,c\n");
  Ok(yaml, "2026-01-01");
  EXPECT_EQ(All(), "1|c;2|b");
  File("in/2026-01-02-a.csv", "x,id\nd,1\n");
  File("in/2026-01-02-b.csv", "id,x\n1,e\n3,f\n");
  Ok(yaml, "2026-01-02");
  EXPECT_EQ(All(), "1|e;2|b;3|f");
}

TEST_F(LoadTest, DeleteInsertReplacesTheArrivingPartitions) {
  const char* yaml = "path: in/{%Y-%m-%d}.csv\nmode: delete_insert\npartition_by: [day]";
  File("in/2026-01-01.csv", "day,x\n1,a\n1,b\n2,c\n,n\n");
  Ok(yaml, "2026-01-01");
  File("in/2026-01-02.csv", "day,x\n1,d\n,m\n3,e\n");
  Ok(yaml, "2026-01-02");
  EXPECT_EQ(Query("SELECT day, x FROM raw.t ORDER BY ALL"), "1|d;2|c;3|e;-|m");
  auto info = warehouse_->Describe({"raw", "t"});
  EXPECT_EQ(info->partition_columns, std::vector<std::string>{"day"});
}

TEST_F(LoadTest, HistoryKeepsVersions) {
  const std::string yaml =
      "path: in/{%Y-%m-%d}.csv\nmode: history\nkey: [id]\nhistory: {valid_from: f, valid_to: u, is_current: c}";
  File("in/2026-01-01.csv", "id,x\n1,a\n2,b\n");
  File("in/2026-01-02.csv", "id,x\n1,a\n2,c\n2,d\n3,e\n");
  File("in/2026-01-03.csv", "id,x\n1,z\n3,e\n");
  Ok(yaml, "2026-01-05");
  const std::string expected =
      "1|a|2026-01-01|2026-01-03|false;1|z|2026-01-03|-|true;2|b|2026-01-01|2026-01-02|false;2|d|2026-01-02|-|true;3|e|"
      "2026-01-02|-|true";
  EXPECT_EQ(Query("SELECT id, x, f::date, u::date, c FROM raw.t ORDER BY id, f"), expected);
  // The same bit by bit.
  full_refresh_ = true;
  Ok(yaml, "2026-01-01");
  full_refresh_ = false;
  Ok(yaml, "2026-01-02");
  Ok(yaml, "2026-01-03");
  EXPECT_EQ(Query("SELECT id, x, f::date, u::date, c FROM raw.t ORDER BY id, f"), expected);
  File("in/2026-01-02.csv", "id,x\n1,a\n2,c\n2,d\n3,e\n9,late\n");
  File("in/2026-01-02.csv", "id,x\n9,late\n");
  EXPECT_THAT(Ok(yaml, "2026-01-06").warnings, ::testing::ElementsAre(HasSubstr("has changed since")));
  File("in/2025-12-31.csv", "id,x\n1,late\n");
  EXPECT_THAT(Bad(yaml, "2026-01-07"), HasSubstr("in/2025-12-31.csv: error Q0802: the file came late"));
}

TEST_F(LoadTest, HistoryCanCloseMissingKeys) {
  const std::string yaml = "path: in/{%Y-%m-%d}.csv\nmode: history\nkey: [id]\nhistory: {missing_keys: close}";
  File("in/2026-01-01.csv", "id,x\n1,a\n2,b\n");
  File("in/2026-01-02.csv", "id,x\n1,a\n");
  File("in/2026-01-03.csv", "id,x\n1,a\n2,b\n");
  Ok(yaml);
  EXPECT_EQ(
      Query("SELECT id, _quern_valid_from::date, _quern_valid_to::date, _quern_is_current FROM raw.t ORDER BY ALL"),
      "1|2026-01-01|-|true;2|2026-01-01|2026-01-02|false;2|2026-01-03|-|true");
}

TEST_F(LoadTest, EveryFormatAndCompressionGivesTheSameTable) {
  auto session = *warehouse_->NewSession();
  const std::string rows =
      "SELECT * FROM (VALUES (1, 'a', 1.5::double, DATE '2026-01-01'), (2, NULL, NULL, DATE '2026-01-02')) v(id, x, d, "
      "day)";
  ASSERT_TRUE(
      session->Execute(fmt::format("COPY ({}) TO '{}' (FORMAT parquet)", rows, (Folder() / "1.parquet").string())));
  const std::string csv = "id,x,d,day\n1,a,1.5,2026-01-01\n2,,,2026-01-02\n";
  const std::string json =
      "{\"id\":1,\"x\":\"a\",\"d\":1.5,\"day\":\"2026-01-01\"}\n{\"id\":2,\"x\":null,\"day\":\"2026-01-02\"}\n";
  File("1.csv", csv);
  File("1.csv.gz", Gzip(csv));
  File("1.csv.zst", Zstd(csv));
  File("1.tsv", ReplaceAll(csv, ",", "\t"));
  File("1.jsonl", json);
  File("1.ndjson.gz", Gzip(json));
  File("1.json.zst", Zstd(json));
  for (const char* name :
       {"1.csv", "1.csv.gz", "1.csv.zst", "1.tsv", "1.jsonl", "1.ndjson.gz", "1.json.zst", "1.parquet"}) {
    full_refresh_ = true;
    Ok(std::string("path: ") + name);
    EXPECT_EQ(All(), "1|a|1.5|2026-01-01;2|-|-|2026-01-02") << name;
    EXPECT_EQ(Types(), name == std::string("1.parquet") ? "id:INTEGER x:VARCHAR d:DOUBLE day:DATE"
                                                        : "id:BIGINT x:VARCHAR d:DOUBLE day:DATE")
        << name;
  }
}

TEST_F(LoadTest, DeclaredColumnsRule) {
  File("in/1.csv", "Nummer;when;day;note;price\n1;01.02.2026 03:04;03.02.2026;x;1.239\n2;NA;NA;none;\n");
  Ok(R"y(path: in/*.csv
timezone: America/New_York
csv: {delimiter: ";"}
null_values: ["NA"]
columns:
  - {name: id, source: Nummer, type: integer}
  - {name: when, type: timestamp, format: "%d.%m.%Y %H:%M"}
  - {name: day, type: date, format: "%d.%m.%Y"}
  - {name: note, null_values: [none]}
  - {name: price, type: "decimal(10,2)"}
  - {name: month, type: varchar, expression: "strftime(day, '%Y-%m')"}
  - {name: gone, type: varchar, optional: true})y");
  EXPECT_EQ(
      Types(),
      "id:INTEGER when:TIMESTAMP WITH TIME ZONE day:DATE note:VARCHAR price:DECIMAL(10,2) month:VARCHAR gone:VARCHAR");
  EXPECT_EQ(All(), "1|2026-02-01 08:04:00+00|2026-02-03|x|1.24|2026-02|-;2|-|-|-|-|-|-");
}

TEST_F(LoadTest, TimesKeepTheirOffsetAndOthersGetTheZone) {
  File("in/1.csv", "id,at\n1,2026-07-01 12:00:00\n2,2026-07-01T12:00:00Z\n3,2026-07-01 12:00:00+05:30\n");
  Ok("path: in/*.csv\ntimezone: Europe/Berlin");
  EXPECT_EQ(All(), "1|2026-07-01 10:00:00+00;2|2026-07-01 12:00:00+00;3|2026-07-01 06:30:00+00");
}

TEST_F(LoadTest, NestedJsonBecomesStructsAndLists) {
  File("in/1.jsonl", R"({"id":1,"m":{"a":1,"p":{"r":"D"}},"l":[1,2],"t":"2026-01-01T00:00:00Z"}
{"id":2,"m":{"b":"x"},"l":[2.5],"o":[{"k":1},{"z":true}]}
)");
  Ok("path: in/*.jsonl\nmode: append", "2026-01-01");
  EXPECT_EQ(Types(),
            "id:BIGINT m:STRUCT(a BIGINT, p STRUCT(r VARCHAR), b VARCHAR) l:DOUBLE[] t:TIMESTAMP WITH TIME ZONE "
            "o:STRUCT(k BIGINT, z BOOLEAN)[]");
  EXPECT_EQ(Query("SELECT id, m.a, m.p.r, m.b, l[1], o[2].z, t FROM raw.t ORDER BY id"),
            "1|1|D|-|1|-|2026-01-01 00:00:00+00;2|-|-|x|2.5|true|-");
  // New fields and other types, by contract.
  File("in/2.jsonl", "{\"id\":3,\"m\":{\"a\":2.5,\"n\":1}}\n{\"id\":4,\"m\":{\"a\":4}}\n");
  EXPECT_THAT(Bad("path: in/*.jsonl\nmode: append\ncontract: {columns: freeze}", "2026-01-02"),
              HasSubstr("'m' has a field 'n'"));
  EXPECT_THAT(Bad("path: in/*.jsonl\nmode: append", "2026-01-02"), HasSubstr("in/2.jsonl:1"));
  Ok("path: in/*.jsonl\nmode: append\ncontract: {columns: discard_value, data_type: discard_row}", "2026-01-02");
  EXPECT_EQ(Query("SELECT id, m.a FROM raw.t ORDER BY id"), "1|1;2|-;4|4");
  EXPECT_EQ(Query("SELECT file, line, column_name FROM raw.t_quarantine"), "in/2.jsonl|1|m");
  File("in/3.jsonl", "{\"id\":5,\"m\":{\"a\":2.5,\"n\":1}}\n");
  Ok("path: in/*.jsonl\nmode: append\ncontract: {columns: evolve, data_type: evolve}", "2026-01-03");
  EXPECT_EQ(Query("SELECT id, m.a, m.n FROM raw.t ORDER BY id"), "1|1|-;2|-|-;4|4|-;5|2.5|1");
}

TEST_F(LoadTest, ListsCanBecomeChildTables) {
  const char* yaml = "path: in/{%Y-%m-%d}.jsonl\nmode: merge\nkey: [id]\nnested: child_tables";
  File("in/2026-01-01.jsonl",
       R"({"id":1,"by":{"name":"A","at":"2026-01-01"},"parts":[{"p":"x","n":1,"s":[1,2]},{"p":"y"}],"tags":["a","b"]}
{"id":2,"by":{"name":"B"},"parts":[]}
)");
  Ok(yaml, "2026-01-01");
  EXPECT_EQ(Query("SELECT id, by__name, by__at FROM raw.t ORDER BY id"), "1|A|2026-01-01;2|B|-");
  EXPECT_EQ(Query("SELECT id, _quern_index, p, n FROM raw.t__parts ORDER BY ALL"), "1|0|x|1;1|1|y|-");
  EXPECT_EQ(Query("SELECT id, _quern_index, value FROM raw.t__tags ORDER BY ALL"), "1|0|a;1|1|b");
  EXPECT_EQ(Query("SELECT p.p, s.value FROM raw.t__parts__s s JOIN raw.t__parts p ON s._quern_parent_id = p._quern_id "
                  "ORDER BY ALL"),
            "x|1;x|2");
  EXPECT_EQ(Query("SELECT count(*) FROM raw.t JOIN raw.t__parts p ON p._quern_parent_id = t._quern_id"), "2");
  File("in/2026-01-02.jsonl", "{\"id\":1,\"by\":{\"name\":\"C\"},\"parts\":[{\"p\":\"z\",\"w\":1.5}]}\n");
  Ok(yaml, "2026-01-02");
  EXPECT_EQ(Query("SELECT id, _quern_index, p, n, w FROM raw.t__parts ORDER BY ALL"), "1|0|z|-|1.5");
  EXPECT_EQ(Query("SELECT count(*) FROM raw.t"), "2");
}

}  // namespace
}  // namespace quern::ingest
