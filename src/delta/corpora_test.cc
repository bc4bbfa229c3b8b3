// Outside corpora of Delta tables, where they lie beside the checkout (or in QUERN_DATA): every table's newest version
// loads, or is refused as corpora_refusals.txt says. Here without Parquet: tables that need a Parquet checkpoint are
// left to the warehouse's test, which reads the same list.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "base/text.h"
#include "delta/deletion_vector.h"
#include "delta/snapshot.h"
#include "io/child_process.h"
#include "io/files.h"

namespace quern::delta {
namespace {

namespace fs = std::filesystem;

fs::path DataFolder() {
  if (const char* configured = std::getenv("QUERN_DATA")) return configured;
  return fs::path(QUERN_SOURCE_DIR) / "../shared/data";
}

bool Unpack(const fs::path& archive, const fs::path& folder) {
  io::ProcessOptions options;
  options.argv = {"tar", "--zstd", "-xf", archive.string(), "-C", folder.string()};
  const auto ran = io::RunProcess(options, Cancellation());
  return ran && ran->ok();
}

/// "table error-code words of the message"
std::map<std::string, std::pair<std::string, std::string>> Refusals() {
  std::map<std::string, std::pair<std::string, std::string>> refusals;
  const std::string text = io::ReadFile(fs::path(QUERN_SOURCE_DIR) / "src/delta/corpora_refusals.txt").value();
  for (const std::string& line : Split(text, '\n')) {
    if (line.empty() || line.starts_with('#') || line.starts_with("with-parquet ")) continue;
    const size_t first = line.find(' ');
    const size_t second = line.find(' ', first + 1);
    refusals[line.substr(0, first)] = {line.substr(first + 1, second - first - 1), line.substr(second + 1)};
  }
  return refusals;
}

TEST(CorporaTest, EveryTableLoadsOrIsRefusedAsListed) {
  const fs::path data = DataFolder();
  if (!fs::exists(data / "delta-golden-tables.tar.zst"))
    GTEST_SKIP() << "no corpora in " << data << " (set QUERN_DATA)";
  const io::TempFolder temp = io::TempFolder::Make().value();
  for (const char* name : {"delta-golden-tables", "delta-rs-test-tables", "delta-kernel-test-tables"}) {
    fs::create_directory(temp.path() / name);
    ASSERT_TRUE(Unpack(data / (std::string(name) + ".tar.zst"), temp.path() / name)) << name;
  }
  const std::vector<fs::path> nested = io::Glob(temp.path(), "**/*.tar.zst").value();
  for (const fs::path& archive : nested) {
    const fs::path folder = archive.parent_path() / archive.stem().stem();
    fs::create_directory(folder);
    ASSERT_TRUE(Unpack(archive, folder)) << archive;
  }
  auto refusals = Refusals();
  auto store = std::make_shared<io::LocalObjectStore>(temp.path());
  int loaded = 0;
  int refused = 0;
  int need_parquet = 0;
  int vectors = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(temp.path())) {
    if (!entry.is_directory() || entry.path().filename() != "_delta_log") continue;
    const std::string root = entry.path().parent_path().lexically_relative(temp.path()).string();
    const auto snapshot = Snapshot::Load({store, root, nullptr});
    const auto expected = refusals.find(root);
    if (snapshot) {
      EXPECT_TRUE(expected == refusals.end()) << root << " loads, though it is listed as refused";
      // Statistics and scans of everything must not fail either.
      for (const DataFilePtr& file : (*snapshot)->files()) {
        file->live_records();
        if (!file->add().deletion_vector) continue;
        const auto rows = ReadDeletionVector(*store, root, *file->add().deletion_vector);
        EXPECT_TRUE(rows) << root << ": " << rows.error().ToString();
        ++vectors;
      }
      ++loaded;
    } else if (snapshot.error().message().find("no Parquet reader") != std::string::npos) {
      ++need_parquet;
    } else if (expected == refusals.end()) {
      ADD_FAILURE() << root << " " << ErrorCodeName(snapshot.error().code()) << " " << snapshot.error().message();
    } else {
      EXPECT_EQ(ErrorCodeName(snapshot.error().code()), expected->second.first) << root;
      EXPECT_NE(snapshot.error().message().find(expected->second.second), std::string::npos)
          << root << ": " << snapshot.error().message();
      ++refused;
    }
  }
  RecordProperty("loaded", loaded);
  std::printf("%d tables load (%d deletion vectors), %d are refused as listed, %d need a Parquet checkpoint\n", loaded,
              vectors, refused, need_parquet);
  EXPECT_GT(loaded, 100);
}

}  // namespace
}  // namespace quern::delta
