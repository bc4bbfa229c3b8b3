#pragma once
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <filesystem>
#include <fstream>

#include "ingest/load.h"

// Support for tests of whole loads: a project folder, a warehouse, loads from YAML.
namespace quern::ingest {

inline std::string Gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  deflateEnd(&stream);
  return out.substr(0, out.size() - stream.avail_out);
}

inline std::string Zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

class LoadFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ =
        std::filesystem::temp_directory_path() /
        fmt::format("quern-ingest-{}-{}", ::getpid(), ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_ / "project");
    Reopen();
  }
  void TearDown() override {
    warehouse_.reset();
    std::filesystem::remove_all(root_);
  }
  void Reopen() {
    warehouse_.reset();
    warehouse::Options options;
    options.root = root_ / "warehouse";
    options.threads = 2;
    auto opened = warehouse::Warehouse::Open(options);
    ASSERT_TRUE(opened) << opened.error().ToString();
    warehouse_ = *std::move(opened);
  }

  void File(const std::string& path, const std::string& bytes) {
    const auto file = root_ / "project" / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
  }
  void RemoveFile(const std::string& path) { std::filesystem::remove(root_ / "project" / path); }
  std::filesystem::path Folder() const { return root_ / "project"; }

  /// The one table of a YAML text whose lines are the table's keys.
  static TableConfig Config(const std::string& yaml) {
    Diagnostics diagnostics;
    std::string text = "tables:\n  - name: t\n";
    for (const std::string& line : SplitLines(yaml)) text += "    " + line + "\n";
    auto tables = ParseIngestFile(text, "ingest/t.yml", diagnostics);
    for (const Error& error : diagnostics.errors()) ADD_FAILURE() << error.ToString();
    if (tables.empty()) return {};
    return tables[0];
  }
  static std::vector<std::string> SplitLines(const std::string& text) {
    std::vector<std::string> lines;
    size_t at = 0;
    while (at < text.size()) {
      const size_t end = std::min(text.find('\n', at), text.size());
      lines.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    return lines;
  }

  /// Loads what is due at midnight (UTC) of a day.
  Result<LoadReport> Load(const TableConfig& config, const std::string& until = "2030-01-01") {
    LoadOptions options;
    options.project = Folder();
    options.temp = root_ / "temp";
    options.until = *ParseTimestamp(until, TimeZone::Utc());
    options.now = *ParseTimestamp("2026-11-24", TimeZone::Utc());
    options.logical_ms = MillisSinceEpoch(options.until);
    options.effect_app = "quern/test/ingest.t";
    options.effect_version = options.logical_ms;
    options.commit.dag_run = "test/" + until;
    options.commit.node = "ingest.t";
    options.full_refresh = full_refresh_;
    options.fault = fault_;
    return LoadTable(config, *warehouse_, options);
  }
  Result<LoadReport> Load(const std::string& yaml, const std::string& until = "2030-01-01") {
    return Load(Config(yaml), until);
  }
  /// Loads and expects it to go well.
  LoadReport Ok(const std::string& yaml, const std::string& until = "2030-01-01") {
    auto report = Load(yaml, until);
    EXPECT_TRUE(report) << report.error().ToString();
    return report ? *report : LoadReport{};
  }
  /// Loads and expects it to fail; gives the whole error text.
  std::string Bad(const std::string& yaml, const std::string& until = "2030-01-01") {
    auto report = Load(yaml, until);
    EXPECT_FALSE(report) << "it was loaded: " << (report ? report->message : "");
    return report ? "" : report.error().ToString();
  }

  /// Rows as text: values by '|', rows by ';'.
  std::string Query(const std::string& sql) {
    auto session = warehouse_->NewSession();
    if (!session) return session.error().ToString();
    auto answer = (*session)->Execute(sql);
    if (!answer) return answer.error().ToString();
    std::string text;
    for (const auto& row : answer->rows) {
      if (!text.empty()) text += ";";
      for (size_t i = 0; i < row.size(); ++i)
        text += (i > 0 ? "|" : "") + (engine::IsNull(row[i]) ? "-" : engine::ToText(row[i]));
    }
    return text;
  }
  std::string All() {
    return Query("SELECT * EXCLUDE (_quern_file, _quern_run, _quern_loaded_at) FROM raw.t ORDER BY ALL");
  }
  std::string Types() {
    std::string text;
    auto info = warehouse_->Describe({"raw", "t"});
    if (!info) return info.error().ToString();
    for (const auto& column : info->columns) {
      if (!column.name.starts_with("_quern_")) text += (text.empty() ? "" : " ") + column.name + ":" + column.type;
    }
    return text;
  }
  int64_t Version() {
    auto info = warehouse_->Describe({"raw", "t"});
    return info ? info->version : -1;
  }
  bool Exists(const std::string& table = "t") {
    auto exists = warehouse_->Exists({"raw", table});
    return exists && *exists;
  }

  std::filesystem::path root_;
  std::unique_ptr<warehouse::Warehouse> warehouse_;
  std::function<Result<void>(std::string_view)> fault_;
  bool full_refresh_ = false;
};

}  // namespace quern::ingest
