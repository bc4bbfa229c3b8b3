// Runs tests/cases/sql/**/*.test: DuckDB's sqllogictest format, each file in a fresh warehouse, once as it is
// and once with the warehouse opened anew before every statement.
//
//   statement ok [CONNECTION]           statement error [CONNECTION]         query TYPES [nosort|rowsort]
//   [CONNECTION] SQL                                 SQL                                  SQL
//                                       ----                                 ----
//                                       a part of the message, or Q0403      tab-separated rows
//
//   restart                  opens the warehouse anew          skip-config NAME REASON      e.g. for what
//   lives in a session shell COMMAND            in the warehouse's folder         # comment {root}: the
//   warehouse's folder
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "io/files.h"
#include "warehouse/warehouse.h"

namespace quern {
namespace {

namespace fs = std::filesystem;

struct Record {
  int line = 0;
  std::string kind;
  std::vector<std::string> words;
  std::string sql;
  std::vector<std::string> expected;
  bool has_expected = false;
};

std::vector<Record> ParseFile(const fs::path& path) {
  std::ifstream in(path);
  std::vector<Record> records;
  std::string line;
  int number = 0;
  auto read = [&] {
    const bool more = static_cast<bool>(std::getline(in, line));
    number++;
    return more;
  };
  while (read()) {
    if (Trim(line).empty() || line[0] == '#') continue;
    Record record;
    record.line = number;
    record.words = SplitWords(line);
    record.kind = record.words[0];
    if (record.kind == "shell") {
      record.sql = line.substr(6);
    } else if (record.kind == "statement" || record.kind == "query") {
      bool result = false;
      while (read() && !line.empty()) {
        if (line == "----") {
          result = record.has_expected = true;
        } else if (result) {
          record.expected.push_back(line);
        } else {
          record.sql += (record.sql.empty() ? "" : "\n") + line;
        }
      }
    }
    records.push_back(std::move(record));
  }
  return records;
}

class SqlCase : public testing::Test {
 public:
  SqlCase(fs::path path, bool restart) : path_(std::move(path)), restart_(restart) {}

  void TestBody() override {
    auto folder = io::TempFolder::Make("quern-sql-case-");
    ASSERT_TRUE(folder);
    root_ = folder->path() / "warehouse";
    ASSERT_NO_FATAL_FAILURE(Open());
    for (const Record& record : ParseFile(path_)) {
      SCOPED_TRACE(fmt::format("{}:{}: {}", path_.string(), record.line, record.sql));
      if (record.kind == "skip-config") {
        if (record.words.at(1) == (restart_ ? "restart" : "plain")) GTEST_SKIP() << Join(record.words, " ");
      } else if (record.kind == "restart") {
        ASSERT_NO_FATAL_FAILURE(Open());
      } else if (record.kind == "shell") {
        ASSERT_EQ(std::system(("cd '" + root_.string() + "' && " + record.sql).c_str()), 0);
      } else if (record.kind == "statement" || record.kind == "query") {
        if (restart_) {
          ASSERT_NO_FATAL_FAILURE(Open());
        }
        Run(record);
        if (HasFatalFailure()) return;
      } else {
        FAIL() << "unknown record " << record.kind;
      }
    }
  }

 private:
  void Open() {
    sessions_.clear();
    warehouse_.reset();
    auto opened = warehouse::Warehouse::Open({.root = root_, .threads = 2});
    ASSERT_TRUE(opened) << opened.error().ToString();
    warehouse_ = *std::move(opened);
  }

  warehouse::Session& Connection(const std::string& name) {
    auto& session = sessions_[name];
    if (!session) session = *warehouse_->NewSession();
    return *session;
  }

  void Run(const Record& record) {
    std::string connection, sort = "nosort";
    for (size_t i = 2; i < record.words.size(); i++) {
      if (record.words[i] == "nosort" || record.words[i] == "rowsort") {
        sort = record.words[i];
      } else {
        connection = record.words[i];
      }
    }
    auto result = Connection(connection).Execute(ReplaceAll(record.sql, "{root}", root_.string()));
    if (record.kind == "statement" && record.words.at(1) == "error") {
      ASSERT_FALSE(result) << "it did not fail";
      const std::string text = result.error().ToString();
      for (const std::string& part : record.expected) EXPECT_NE(text.find(part), std::string::npos) << text;
      return;
    }
    ASSERT_TRUE(result) << result.error().ToString();
    if (record.kind == "statement") {
      if (record.has_expected) {
        EXPECT_EQ(Join(record.expected, "\n"), std::to_string(result->rows_changed));
      }
      return;
    }
    std::vector<std::string> rows;
    for (const auto& row : result->rows) {
      std::vector<std::string> cells;
      for (const auto& value : row)
        cells.push_back(engine::IsNull(value)           ? "NULL"
                        : engine::ToText(value).empty() ? "(empty)"
                                                        : engine::ToText(value));
      rows.push_back(Join(cells, "\t"));
    }
    std::vector<std::string> expected = record.expected;
    if (sort == "rowsort") {
      std::sort(rows.begin(), rows.end());
      std::sort(expected.begin(), expected.end());
    }
    EXPECT_EQ(result->columns.size(), record.words.at(1).size());
    EXPECT_EQ(ReplaceAll(Join(rows, "\n"), root_.string(), "{root}"), Join(expected, "\n"));
  }

  fs::path path_;
  bool restart_;
  fs::path root_;
  std::unique_ptr<warehouse::Warehouse> warehouse_;
  std::map<std::string, std::unique_ptr<warehouse::Session>> sessions_;
};

void RegisterCases() {
  const fs::path folder = fs::path(QUERN_SOURCE_DIR) / "tests/cases/sql";
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".test") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    for (bool restart : {false, true}) {
      const std::string name = ReplaceAll(fs::relative(file, folder).string(), "/", "_");
      testing::RegisterTest(restart ? "SqlCasesRestarted" : "SqlCases", name.c_str(), nullptr, nullptr, file.c_str(), 1,
                            [=]() -> testing::Test* { return new SqlCase(file, restart); });
    }
  }
}

}  // namespace
}  // namespace quern

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  quern::RegisterCases();
  return RUN_ALL_TESTS();
}
