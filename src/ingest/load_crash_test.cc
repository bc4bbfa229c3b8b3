#include <fmt/format.h>
#include <gmock/gmock.h>

#include <random>

#include "base/text.h"
#include "ingest/load_fixture.h"

// Loads that die, and random files against a plain model.
namespace quern::ingest {
namespace {

class CrashTest : public LoadFixture {
 protected:
  // Dies once at each step in turn, and loads again; the tables must be those of a load that was left alone.
  void DieEverywhere(const std::string& yaml, const std::vector<std::string>& tables,
                     const std::string& until = "2030-01-01") {
    Ok(yaml, until);
    std::vector<std::string> expected;
    for (const std::string& table : tables) expected.push_back(Query(Select(table)));
    for (const char* step : {"quarantine", "quarantined", "children", "commit", "committed"}) {
      for (int after = 0; after < 2; ++after) {
        TearDown();
        SetUp();
        WriteFiles();
        int passed = 0;
        bool died = false;
        fault_ = [&](std::string_view at) -> Result<void> {
          if (died || at != step || passed++ < after) return {};
          died = true;
          return Fail(ErrorCode::kInternal, "killed");
        };
        auto first = Load(yaml, until);
        EXPECT_EQ(static_cast<bool>(first), !died);
        fault_ = nullptr;
        if (!died) break;
        Reopen();
        Ok(yaml, until);
        for (size_t i = 0; i < tables.size(); ++i)
          EXPECT_EQ(Query(Select(tables[i])), expected[i]) << tables[i] << " after dying at " << step;
      }
    }
  }
  static std::string Select(const std::string& table) {
    return fmt::format("SELECT COLUMNS(c -> c NOT IN ('_quern_run', '_quern_loaded_at')) FROM raw.{} ORDER BY ALL",
                       table);
  }
  virtual void WriteFiles() {
    File("in/2026-01-01.csv", "id,x\n1,1\n2,b\n3,3,3\n");
    File("in/2026-01-02.csv", "id,x\n1,5\nc,6\n7,7\n");
    File("in/2026-01-01.jsonl", "{\"id\":1,\"l\":[1,2],\"o\":[{\"a\":[1]},{\"a\":[2,3]}]}\n{\"id\":2}\n");
    File("in/2026-01-02.jsonl", "{\"id\":1,\"l\":[3]}\n{\"id\":3,\"l\":[4,5]}\n");
  }
};

TEST_F(CrashTest, QuarantineAndTable) {
  WriteFiles();
  for (const char* mode : {"mode: append", "mode: merge\nkey: [id]", "mode: history\nkey: [id]"}) {
    DieEverywhere(
        fmt::format("path: in/{{%Y-%m-%d}}.csv\n{}\ncolumns: [{{name: id, type: bigint}}, {{name: x, type: bigint}}]\n"
                    "contract: {{data_type: discard_row}}",
                    mode),
        {"t", "t_quarantine"});
    TearDown();
    SetUp();
    WriteFiles();
  }
}

TEST_F(CrashTest, ChildTables) {
  WriteFiles();
  for (const char* mode : {"mode: append", "mode: merge\nkey: [id]"}) {
    DieEverywhere(fmt::format("path: in/{{%Y-%m-%d}}.jsonl\n{}\nnested: child_tables", mode),
                  {"t", "t__l", "t__o", "t__o__a"});
    TearDown();
    SetUp();
    WriteFiles();
  }
}

TEST_F(CrashTest, TwoProcessesLoadAFileOnce) {
  File("in/1.csv", "id\n1\n2\n");
  File("in/0.csv", "id\n0\n");
  const std::string yaml = "path: in/*.csv\nmode: append";
  bool inside = false;
  fault_ = [&](std::string_view step) -> Result<void> {
    if (step != "commit" || inside) return {};
    inside = true;
    // Another process is quicker.
    warehouse::Options options;
    options.root = root_ / "warehouse";
    auto other = warehouse::Warehouse::Open(options);
    LoadOptions load;
    load.project = Folder();
    load.temp = root_ / "temp";
    load.until = *ParseTimestamp("2030-01-01", TimeZone::Utc());
    load.effect_app = "quern/test/ingest.t";
    load.effect_version = MillisSinceEpoch(load.until);
    auto done = LoadTable(Config(yaml), **other, load);
    EXPECT_TRUE(done) << done.error().ToString();
    return {};
  };
  auto report = Load(yaml);
  EXPECT_FALSE(report);
  fault_ = nullptr;
  EXPECT_EQ(Ok(yaml).status, LoadReport::Status::kRecorded);
  EXPECT_EQ(Query("SELECT id FROM raw.t ORDER BY ALL"), "0;1;2");
}

// Random rows in random files of random shape, loaded in random steps, against a map.
TEST_F(CrashTest, RandomFilesGiveTheModelsTable) {
  std::mt19937 random(20261124);
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 6; ++round) {
    const bool merge = round % 2 == 0;
    TearDown();
    SetUp();
    std::map<int, std::pair<std::string, int>> model;
    std::multiset<std::string> all;
    const std::vector<std::string> texts = {"plain", "with,comma", "with \"quotes\"", "two\nlines", "ü", "x;y|z", "'"};
    for (int day = 1; day <= 5; ++day) {
      const int files = 1 + pick(3);
      for (int f = 0; f < files; ++f) {
        const bool swap = pick(2) == 0;
        const bool crlf = pick(3) == 0;
        const std::string end = crlf ? "\r\n" : "\n";
        std::string csv = (swap ? "n,text,id" : "id,text,n") + end;
        const int rows = pick(40);
        for (int r = 0; r < rows; ++r) {
          const int id = pick(30);
          const std::string& text = texts[static_cast<size_t>(pick(static_cast<int>(texts.size())))];
          const int n = pick(1000) - 500;
          const std::string quoted = "\"" + ReplaceAll(text, "\"", "\"\"") + "\"";
          csv += (swap ? fmt::format("{},{},{}", n, quoted, id) : fmt::format("{},{},{}", id, quoted, n)) + end;
          model[id] = {text, n};
          all.insert(fmt::format("{}|{}|{}", id, text, n));
        }
        const int packed = pick(3);
        const std::string name = fmt::format("in/2026-01-{:02}-{}.csv", day, f);
        File(name + (packed == 0   ? ".gz"
                     : packed == 1 ? ".zst"
                                   : ""),
             packed == 0   ? Gzip(csv)
             : packed == 1 ? Zstd(csv)
                           : csv);
      }
      if (pick(2) == 0 && day < 5) continue;
      Ok(fmt::format("path: in/{{%Y-%m-%d}}*\nformat: csv\nmode: {}", merge ? "merge\nkey: [id]" : "append"),
         fmt::format("2026-01-{:02}", day));
    }
    std::multiset<std::string> expected = all;
    if (merge) {
      expected.clear();
      for (const auto& [id, value] : model) expected.insert(fmt::format("{}|{}|{}", id, value.first, value.second));
    }
    auto session = *warehouse_->NewSession();
    auto answer = session->Execute("SELECT id, text, n FROM raw.t");
    ASSERT_TRUE(answer) << answer.error().ToString();
    std::multiset<std::string> got;
    for (const auto& row : answer->rows)
      got.insert(fmt::format("{}|{}|{}", engine::ToText(row[0]), engine::ToText(row[1]), engine::ToText(row[2])));
    EXPECT_EQ(got, expected);
  }
}

}  // namespace
}  // namespace quern::ingest
