#include "tracking/artifacts.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tracking/store_fixture.h"

namespace quern::tracking {
namespace {

namespace fs = std::filesystem;

class ArtifactsTest : public StoreTest {
 protected:
  fs::path Run() const { return folder_ / "artifacts" / "1" / Id("a") / "artifacts"; }
  void Publish(const std::map<std::string, std::string>& files) const {
    auto prepared = PrepareArtifacts(Run());
    ASSERT_TRUE(prepared) << prepared.error().ToString();
    for (const auto& [path, text] : files) ASSERT_TRUE(io::WriteFileAtomically(prepared->path() / path, text));
    auto done = PublishArtifacts(*std::move(prepared), Run());
    ASSERT_TRUE(done) << done.error().ToString();
  }
  static std::map<std::string, std::string> Files(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) files[fs::relative(entry.path(), folder).string()] = *io::ReadFile(entry.path());
    }
    return files;
  }
};

TEST_F(ArtifactsTest, PublishedFolderReplacesWhatWasThere) {
  Publish({{"query.sql", "SELECT 1"}, {"model/MLmodel", "a"}});
  EXPECT_EQ(Files(Run()), (std::map<std::string, std::string>{{"query.sql", "SELECT 1"}, {"model/MLmodel", "a"}}));
  Publish({{"model/MLmodel", "b"}});
  EXPECT_EQ(Files(Run()), (std::map<std::string, std::string>{{"model/MLmodel", "b"}}));
  EXPECT_EQ(std::distance(fs::directory_iterator(Run().parent_path()), {}), 1) << "nothing is left beside";
}

TEST_F(ArtifactsTest, PublishedFolderIsReadableAsItsParentIs) {
  Publish({{"a", "1"}});
  struct stat folder{};
  struct stat parent{};
  ASSERT_EQ(::stat(Run().c_str(), &folder), 0);
  ASSERT_EQ(::stat(Run().parent_path().c_str(), &parent), 0);
  EXPECT_EQ(folder.st_mode, parent.st_mode);
}

TEST_F(ArtifactsTest, LeftoversOfAKilledProcessGo) {
  auto left = PrepareArtifacts(Run());
  ASSERT_TRUE(left);
  ASSERT_TRUE(io::WriteFileAtomically(left->path() / "half", "x"));
  const fs::path path = left->Keep();
  Publish({{"a", "1"}});
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(Files(Run()).size(), 1U);
}

TEST_F(ArtifactsTest, KilledWhilePublishingLeavesOneOfBothWhole) {
  std::map<std::string, std::string> sets[2];
  for (int set = 0; set < 2; ++set) {
    for (int i = 0; i < 8; ++i) sets[set][fmt::format("model/{}", i)] = std::to_string(set);
  }
  Publish(sets[0]);
  for (int round = 0; round < 15; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (int i = 1;; ++i) Publish(sets[i % 2]);
    }
    ::usleep(static_cast<useconds_t>(3'000 + 1'700 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    const auto files = Files(Run());
    EXPECT_TRUE(files == sets[0] || files == sets[1]) << files.size();
  }
  Publish(sets[1]);
  EXPECT_EQ(Files(Run()), sets[1]);
  EXPECT_EQ(std::distance(fs::directory_iterator(Run().parent_path()), {}), 1) << "nothing is left beside";
}

TEST_F(ArtifactsTest, PreparedFolderThatIsGivenUpGoes) {
  fs::path path;
  {
    auto prepared = PrepareArtifacts(Run());
    ASSERT_TRUE(prepared);
    path = prepared->path();
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_FALSE(fs::exists(Run()));
}

TEST_F(ArtifactsTest, FolderThatIsInTheWayIsReplacedByACopy) {
  Publish({{"model/MLmodel", "a"}, {"model/code/loader.py", "pass"}});
  const fs::path target = folder_ / "models" / "late_arrival";
  ASSERT_TRUE(CopyFolderAtomically(Run() / "model", target));
  EXPECT_EQ(Files(target).size(), 2U);
  Publish({{"model/MLmodel", "b"}});
  ASSERT_TRUE(CopyFolderAtomically(Run() / "model", target));
  EXPECT_EQ(Files(target), (std::map<std::string, std::string>{{"MLmodel", "b"}}));
  EXPECT_FALSE(CopyFolderAtomically(folder_ / "none", target));
  EXPECT_EQ(Files(target).size(), 1U) << "the old one stays when the copy fails";
}

TEST_F(ArtifactsTest, UrisOfFiles) {
  EXPECT_EQ(FileUri("/a b/ü%#?.txt"), "file:///a%20b/%C3%BC%25%23%3F.txt");
  for (const char* path : {"/a b/ü%#?.txt", "/plain/path-1_2.3~", "/"}) {
    EXPECT_EQ(PathOfUri(FileUri(path)), fs::path(path)) << path;
  }
  EXPECT_EQ(PathOfUri("file:/a/b"), fs::path("/a/b"));
  EXPECT_EQ(PathOfUri("file://localhost/a"), fs::path("/a"));
  EXPECT_EQ(PathOfUri("/a/b"), fs::path("/a/b"));
  EXPECT_EQ(PathOfUri("mlruns/1"), fs::path("mlruns/1"));
  for (const char* other : {"s3://bucket/x", "models:/m-1", "runs:/1/model", "file://host/x", ""}) {
    EXPECT_FALSE(PathOfUri(other)) << other;
  }
}

}  // namespace
}  // namespace quern::tracking
