// Reads every version of every table of the outside corpora of Delta tables. What lies there is read, or
// refused by the name of what is not supported; counting from the log and counting by reading agree. Skips
// where the corpora do not lie beside the checkout. QUERN_LIST=1 lists what is refused and why.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>

#include "base/text.h"
#include "io/files.h"
#include "warehouse/warehouse.h"

namespace quern {
namespace {

namespace fs = std::filesystem;

// Tables that are broken on purpose, or that other means made unreadable; the error that must come.
const std::map<std::string, ErrorCode> kBroken = {
#include "delta_corpora_broken.inc"
};

// Whether the message is about a file of the table that is really not there.
bool IsMissing(const std::string& message, const fs::path& table) {
  const size_t at = message.find(table.string());
  if (at == std::string::npos) return message.find("No such file") != std::string::npos;
  std::error_code ignored;
  return !fs::exists(message.substr(at, message.find('"', at) - at), ignored);
}

class DeltaCorpora : public testing::TestWithParam<const char*> {};

TEST_P(DeltaCorpora, EveryVersionIsReadOrRefusedByName) {
  const fs::path archive =
      fs::path(QUERN_SOURCE_DIR) / "../shared/data" / (std::string("delta-") + GetParam() + ".tar.zst");
  std::error_code ignored;
  fs::path found = archive;
  if (!fs::exists(found, ignored)) found = fs::path(QUERN_SOURCE_DIR) / "../../shared/data" / archive.filename();
  if (!fs::exists(found, ignored)) GTEST_SKIP() << archive << " is not there";
  auto folder = io::TempFolder::Make("quern-corpora-");
  ASSERT_TRUE(folder);
  auto unpack = [](const fs::path& from, const fs::path& to) {
    return std::system(fmt::format("tar --zstd -xf '{}' -C '{}' 2>/dev/null", from.string(), to.string()).c_str());
  };
  const fs::path unpacked = folder->path() / "unpacked";
  fs::create_directories(unpacked);
  ASSERT_EQ(unpack(found, unpacked), 0);
  std::vector<fs::path> inner;
  for (const auto& entry : fs::recursive_directory_iterator(unpacked)) {
    if (entry.path().filename().string().ends_with(".tar.zst")) inner.push_back(entry.path());
  }
  for (const auto& path : inner) ASSERT_EQ(unpack(path, path.parent_path()), 0) << path;

  const fs::path root = folder->path() / "w";
  fs::create_directories(root / "c");
  std::map<std::string, fs::path> tables;
  for (const auto& entry : fs::recursive_directory_iterator(unpacked)) {
    if (entry.path().filename() != "_delta_log") continue;
    const std::string name = ReplaceAll(fs::relative(entry.path().parent_path(), unpacked).string(), "/", ":");
    fs::create_directory_symlink(entry.path().parent_path(), root / "c" / name);
    tables[name] = entry.path().parent_path();
  }
  auto warehouse = *warehouse::Warehouse::Open({.root = root, .threads = 2});
  auto session = *warehouse->NewSession();
  int read = 0, refused = 0, without_files = 0;
  std::map<std::string, std::set<std::string>> reasons;
  std::set<std::string> missing;
  for (const auto& [name, path] : tables) {
    auto expected = kBroken.find(name);
    auto fail = [&](const Error& error, const std::string& what) {
      if (expected != kBroken.end() && error.code() == expected->second) return;
      if (error.code() == ErrorCode::kNotFound && IsMissing(error.message(), root / "c" / name)) {
        missing.insert(name);
        without_files++;  // tables of which the log alone was kept
        return;
      }
      if (error.code() == ErrorCode::kUnsupportedFeature) {
        refused++;
        reasons[error.message().substr(0, 160)].insert(name);
        return;
      }
      ADD_FAILURE() << what << "\n" << error.ToString() << path;
    };
    std::set<int64_t> versions;
    for (const auto& entry : fs::directory_iterator(path / "_delta_log", ignored)) {
      const std::string file = entry.path().filename().string();
      if (file.size() == 25 && file.ends_with(".json")) versions.insert(std::stoll(file));
    }
    if (versions.empty()) versions.insert(-1);
    int64_t good = 0;
    for (int64_t version : versions) {
      const std::string table =
          fmt::format("c.{}{}", QuoteIdentifier(name), version < 0 ? "" : fmt::format(" AT (VERSION => {})", version));
      auto counted = session->Execute("SELECT count(*) FROM " + table);
      if (!counted) {
        // Versions before the oldest checkpoint cannot be rebuilt once their commits are gone.
        if (counted.error().code() != ErrorCode::kVersionNotFound) fail(counted.error(), table);
        continue;
      }
      auto scanned = session->Execute(
          fmt::format("SELECT count(*), count(COLUMNS(*)) FROM (SELECT * FROM {}) WHERE random() >= 0", table));
      if (!scanned && scanned.error().message().find("SELECT list is empty") != std::string::npos) {
        read++;  // a table without a schema
        good++;
        continue;
      }
      if (!scanned) {
        fail(scanned.error(), table);
        continue;
      }
      EXPECT_EQ(engine::ToText(counted->rows[0][0]), engine::ToText(scanned->rows[0][0])) << table;
      read++;
      good++;
    }
    if (expected != kBroken.end()) {
      EXPECT_LT(good, static_cast<int64_t>(versions.size())) << name << " is not broken any more";
    }
  }
  std::cout << GetParam() << ": " << tables.size() << " tables, " << read << " versions read, " << refused
            << " refused, " << without_files << " without data files\n";
  if (std::getenv("QUERN_LIST")) {
    for (const auto& [reason, names] : reasons) {
      std::cout << "  " << reason << "\n";
      for (const auto& name : names) std::cout << "      " << name << "\n";
    }
  }
  if (std::getenv("QUERN_LIST"))
    std::cout << "  without data files:\n      " << Join({missing.begin(), missing.end()}, "\n      ") << "\n";
  EXPECT_GT(read, 0);
}
INSTANTIATE_TEST_SUITE_P(Corpora, DeltaCorpora,
                         testing::Values("golden-tables", "rs-test-tables", "kernel-test-tables"));

}  // namespace
}  // namespace quern
