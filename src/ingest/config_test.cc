#include "ingest/config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

namespace quern::ingest {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> Errors(const std::string& text) {
  Diagnostics diagnostics;
  (void)ParseIngestFile(text, "ingest/a.yml", diagnostics);
  diagnostics.Sort();
  std::vector<std::string> errors;
  for (const Error& error : diagnostics.errors())
    errors.push_back(error.pos().ToString() + " " + error.message() + " " + error.hint());
  return errors;
}

TableConfig One(const std::string& text) {
  Diagnostics diagnostics;
  auto tables = ParseIngestFile(text, "ingest/a.yml", diagnostics);
  for (const Error& error : diagnostics.errors()) ADD_FAILURE() << error.ToString();
  EXPECT_EQ(tables.size(), 1u);
  return tables.at(0);
}

TEST(ConfigTest, DefaultsFollowThePath) {
  TableConfig table = One("tables:\n  - {name: a, path: 'in/{%Y}/*.jsonl.gz'}\n");
  EXPECT_EQ(table.format, Format::kJsonLines);
  EXPECT_EQ(table.mode, Mode::kAppend);
  EXPECT_EQ(table.schema, "raw");
  table = One("tables:\n  - {name: a, path: 'in/*.tsv'}\n");
  EXPECT_EQ(table.mode, Mode::kReplace);
  EXPECT_EQ(table.csv.delimiter, '\t');
}

TEST(ConfigTest, EveryKeyIsRead) {
  const TableConfig table = One(R"yaml(
tables:
  - name: a
    schema: landed
    description: what it is
    tags: [x, y]
    path: in/{%Y-%m-%d}.dat
    timezone: Europe/Berlin
    format: csv
    csv: {delimiter: "|", quote: "'", escape: "\\", header: false, skip_lines: 2, encoding: latin-1}
    null_values: [NA, "-"]
    mode: history
    key: [id]
    partition_by: [region]
    columns:
      - region
      - {name: id, source: ID, type: bigint, nullable: false}
      - {name: at, type: timestamp, format: "%d.%m.%Y", timezone: UTC, optional: true, null_values: ["?"], description: when}
      - {name: month, type: string, expression: "left(region, 1)"}
    contract: {tables: freeze, columns: discard_value, data_type: discard_row}
    history: {valid_from: f, valid_to: t, is_current: c, missing_keys: close, late_files: skip}
    checks: {rows: {action: fail, loads: 5, min_loads: 2, min_ratio: 0.5, no_files: warn}}
    metadata_columns: false
    empty_files: skip
)yaml");
  EXPECT_EQ(table.csv.quote, '\'');
  EXPECT_EQ(table.csv.escape, '\\');
  EXPECT_TRUE(table.csv.latin1);
  EXPECT_EQ(table.columns.size(), 4u);
  EXPECT_EQ(table.FindSource("id")->name, "id");
  EXPECT_EQ(table.contract.rows, Rule::kDiscardRow);
  EXPECT_EQ(table.history.late_files, HistoryConfig::Late::kSkip);
  EXPECT_EQ(table.rows_check.loads, 5);
  EXPECT_FALSE(table.metadata_columns);
  EXPECT_TRUE(table.skip_empty_files);
}

TEST(ConfigTest, EverythingWrongIsSaidAtOnceWithItsPlace) {
  const auto errors = Errors(R"yaml(tables:
  - name: 1a
    path: in/{%Q}.csv
    modes: append
  - name: b
    path: in/*.txt
    mode: merg
    timezone: Europe/Berlinn
  - name: c
    path: in/*.csv
    mode: merge
    columns:
      - {name: x, type: bigintt}
      - {name: X}
      - {name: _quern_y, format: "%Y"}
      - {nme: z}
    contract: {columns: discard, rows: evolve}
    checks: {rows: maybe}
    csv: {delimiter: ";;", quote: ","}
    nested: child_tables
  - name: d
    path: in/{%Y-%m-%d}.parquet.gz
    mode: delete_insert
)yaml");
  const std::vector<std::string> expected = {":2:11 '1a' cannot be the name",
                                             ":3:11 ",
                                             ":4:5 ",
                                             ":6:11 ",
                                             ":7:11 ",
                                             ":8:15 there is no time zone",
                                             ":9:5 ",
                                             ":13:25 'bigintt' is no type did you mean 'bigint'?",
                                             ":14:9 the column 'X' is declared twice",
                                             ":15:9 ",
                                             ":15:34 ",
                                             ":16:9 ",
                                             ":16:10 ",
                                             ":17:25 ",
                                             ":17:40 ",
                                             ":18:20 ",
                                             ":19:22 ",
                                             ":20:13 child tables",
                                             ":21:5 ",
                                             ":22:11 Parquet"};
  std::string all;
  for (const std::string& error : errors) all += error + "\n";
  for (const std::string& place : expected) {
    const bool found = std::any_of(errors.begin(), errors.end(), [&](const std::string& error) {
      return error.find("ingest/a.yml" + place) != std::string::npos;
    });
    EXPECT_TRUE(found) << place << " not in\n" << all;
  }
}

TEST(ConfigTest, TwoLoadsOfOneTableAreRefused) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("quern-config-{}", ::getpid());
  std::filesystem::create_directories(folder / "ingest");
  std::ofstream(folder / "ingest/a.yml") << "tables:\n  - {name: a, path: 'a/*.csv'}\n  - {name: b, path: 'b/*.csv'}\n";
  std::ofstream(folder / "ingest/b.yaml")
      << "tables:\n  - {name: A, path: 'c/*.csv', schema: other}\n  - {name: b_quarantine, path: 'b/*.csv'}\n";
  Diagnostics diagnostics;
  LoadIngestFiles(folder, diagnostics);
  std::filesystem::remove_all(folder);
  ASSERT_EQ(diagnostics.errors().size(), 2u);
  EXPECT_THAT(diagnostics.errors()[0].ToString(), HasSubstr("ingest/b.yaml:2"));
  EXPECT_THAT(diagnostics.errors()[1].message(), HasSubstr("raw.b_quarantine"));
}

}  // namespace
}  // namespace quern::ingest
