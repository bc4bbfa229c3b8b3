#include "io/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "io/child_process.h"
#include "io/git.h"

namespace quern::io {
namespace {

using Names = std::vector<std::string>;

class FilesTest : public ::testing::Test {
 protected:
  void Touch(const std::string& name, std::string_view text = "") {
    ASSERT_TRUE(WriteFileAtomically(root() / name, text));
  }
  Names Find(const std::string& pattern) {
    Names names;
    const std::vector<fs::path> found = Glob(root(), pattern).value();
    for (const fs::path& path : found) names.push_back(path.lexically_relative(root()).string());
    return names;
  }
  const fs::path& root() const { return folder_.path(); }
  TempFolder folder_ = TempFolder::Make().value();
};

TEST_F(FilesTest, GlobFindsSortedFiles) {
  for (const char* name :
       {"b.csv", "a.csv", "x/a.csv", "x/y/a.csv", ".hidden/a.csv", "x/.h.csv", "a.json", "x/2013-01-01.csv.gz"})
    Touch(name);
  EXPECT_EQ(Find("*.csv"), (Names{"a.csv", "b.csv"}));
  EXPECT_EQ(Find("**/*.csv"), (Names{"a.csv", "b.csv", "x/a.csv", "x/y/a.csv"}));
  EXPECT_EQ(Find("**/a.csv"), (Names{"a.csv", "x/a.csv", "x/y/a.csv"}));
  EXPECT_EQ(Find("**/**/y/*"), (Names{"x/y/a.csv"}));
  EXPECT_EQ(Find("x/**"), (Names{"x/2013-01-01.csv.gz", "x/a.csv", "x/y/a.csv"}));
  EXPECT_EQ(Find("{a,b}.{csv,json}"), (Names{"a.csv", "a.json", "b.csv"}));
  EXPECT_EQ(Find("x/20?3-*-?1.csv.gz"), (Names{"x/2013-01-01.csv.gz"}));
  EXPECT_EQ(Find("[!a].csv"), (Names{"b.csv"}));
  EXPECT_EQ(Find(".hidden/*.csv"), (Names{".hidden/a.csv"}));
  EXPECT_EQ(Find("./x/a.csv"), (Names{"x/a.csv"}));
  EXPECT_EQ(Find("nothing/*.csv"), Names{});
  EXPECT_EQ(Find("x"), Names{});
  EXPECT_EQ(Glob("", (root() / "*.json").string()).value().size(), 1U);
}

TEST_F(FilesTest, GlobDoesNotCircleThroughLinks) {
  Touch("a/b/c.csv");
  fs::create_directory_symlink(root(), root() / "a/up");
  EXPECT_EQ(Find("**/*.csv"), (Names{"a/b/c.csv"}));
  EXPECT_EQ(Find("a/up/a/b/*.csv"), (Names{"a/up/a/b/c.csv"}));
}

TEST(PathMatchesTest, WithoutADisk) {
  EXPECT_TRUE(PathMatches("**/*.sql", "models/a/b.sql"));
  EXPECT_TRUE(PathMatches("**/*.sql", "b.sql"));
  EXPECT_TRUE(PathMatches("models/**", "models/a/b.sql"));
  EXPECT_TRUE(PathMatches("a/**/b/**/c", "a/x/b/b/y/c"));
  EXPECT_FALSE(PathMatches("*.sql", "a/b.sql"));
  EXPECT_FALSE(PathMatches("**/*.sql", ".git/b.sql"));
  EXPECT_FALSE(PathMatches("a/*", "a/.b"));
  EXPECT_FALSE(HasGlob("a/b.csv"));
}

TEST_F(FilesTest, AtomicWriteReplacesAndMakesFolders) {
  const fs::path path = root() / "deep/er/x.txt";
  ASSERT_TRUE(WriteFileAtomically(path, "one"));
  ASSERT_TRUE(WriteFileAtomically(path, "two"));
  EXPECT_EQ(ReadFile(path).value(), "two");
  EXPECT_EQ(MappedFile::Open(path).value().bytes(), "two");
  EXPECT_EQ(std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator()), 1);
  EXPECT_EQ(ReadFile(root() / "none").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(ReadFile(root()).error().code(), ErrorCode::kIo);
  EXPECT_TRUE(RemoveAll(root() / "none"));
  ASSERT_TRUE(WriteFileAtomically(path, ""));
  EXPECT_EQ(MappedFile::Open(path).value().bytes(), "");
}

TEST(TempFolderTest, GoesWithItsGuard) {
  fs::path path;
  {
    TempFolder folder = TempFolder::Make("x-").value();
    path = folder.path();
    std::ofstream(path / "f") << "1";
    TempFolder moved = std::move(folder);
    EXPECT_TRUE(fs::exists(path / "f"));
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(TempFolderTest, WhatAKilledProcessLeftGoesAndWhatOthersHoldStays) {
  const TempFolder parent = TempFolder::Make().value();
  const fs::path abandoned = parent.path() / "work" / "x-abc123", other = parent.path() / "work" / "y-abc123";
  fs::create_directories(abandoned / "in");
  fs::create_directories(other);
  fs::path first;
  {
    const TempFolder held = TempFolder::MakeAmong("x-", parent.path() / "work").value();
    first = held.path();
    EXPECT_FALSE(fs::exists(abandoned));
    EXPECT_TRUE(fs::exists(other));
    const TempFolder second = TempFolder::MakeAmong("x-", parent.path() / "work").value();
    EXPECT_TRUE(fs::exists(first));
    EXPECT_TRUE(fs::exists(second.path()));
  }
  EXPECT_FALSE(fs::exists(first));
}

class ReaderTest : public FilesTest {
 protected:
  Result<std::string> Read(const std::string& name, std::string_view bytes, size_t step = 0) {
    Touch(name, bytes);
    auto reader = FileReader::Open(root() / name).value();
    if (step == 0) return reader->ReadAll();
    std::string all;
    std::string buffer(step, '\0');
    while (true) {
      const size_t n = QUERN_TRY(reader->Read(buffer.data(), step));
      if (n == 0) break;
      all.append(buffer, 0, n);
    }
    EXPECT_EQ(reader->position(), reader->file_size());
    return all;
  }
  static std::string Text() {
    std::string text;
    for (int i = 0; i < 60'000; ++i) text += fmt::format("line {} {}\n", i, i * 2654435761U % 1000003);
    return text;
  }
};

TEST_F(ReaderTest, ReadsEveryCompression) {
  const std::string text = Text();
  for (const size_t step : {size_t{0}, size_t{1} << 20, size_t{1000}}) {
    EXPECT_EQ(Read("a.csv", text, step).value(), text);
    EXPECT_EQ(Read("a.csv.gz", GzipCompress(text).value(), step).value(), text);
    EXPECT_EQ(Read("a.csv.zst", ZstdCompress(text).value(), step).value(), text);
  }
  for (const std::string name : {"e.csv", "e.csv.gz", "e.csv.zst"}) EXPECT_EQ(Read(name, "").value(), "") << name;
  EXPECT_EQ(Read("n.gz", GzipCompress("").value()).value(), "");
}

TEST_F(ReaderTest, SeveralMembersAreTheirSequence) {
  const std::string text = Text();
  EXPECT_EQ(
      Read("a.gz", GzipCompress(text).value() + GzipCompress("").value() + GzipCompress("end").value(), 777).value(),
      text + "end");
  EXPECT_EQ(Read("a.zst", ZstdCompress(text).value() + ZstdCompress("end").value(), 777).value(), text + "end");
  EXPECT_EQ(Read("p.gz", GzipCompress("x").value() + std::string(700, '\0')).value(), "x");
}

TEST_F(ReaderTest, TruncatedAndBrokenDataIsCorruptAndNamesTheFile) {
  const std::string text = Text();
  for (const auto& [name, bytes] : {std::pair<std::string, std::string>{"t.gz", GzipCompress(text).value()},
                                    {"t.zst", ZstdCompress(text).value()}}) {
    for (const size_t keep : {size_t{5}, bytes.size() / 2, bytes.size() - 1}) {
      const auto read = Read(name, bytes.substr(0, keep));
      ASSERT_FALSE(read) << name << " " << keep;
      EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
      EXPECT_NE(read.error().message().find(name), std::string::npos);
    }
    std::string broken = bytes;
    for (size_t i = bytes.size() / 2; i < bytes.size() / 2 + 40; ++i) broken[i] = static_cast<char>(~broken[i]);
    EXPECT_FALSE(Read(name, broken)) << name;
    EXPECT_FALSE(Read(name, bytes + "garbage")) << name;
    EXPECT_FALSE(Read(name, "plain text")) << name;
  }
}

TEST_F(FilesTest, GitStateOfACheckout) {
  const auto git = [&](const std::string& command) {
    ProcessOptions options;
    options.shell =
        "cd '" + root().string() + "' && git -c user.name=a -c user.email=a@b -c init.defaultBranch=main " + command;
    return RunProcess(options, Cancellation()).value().ok();
  };
  EXPECT_EQ(ReadGitState(root()).value(), std::nullopt);
  ASSERT_TRUE(git("init -q"));
  EXPECT_EQ(ReadGitState(root()).value()->commit, "");
  Touch("p/quern.yml", "name: x");
  Touch("other/file", "1");
  ASSERT_TRUE(git("add -A"));
  ASSERT_TRUE(git("commit -qm one"));
  GitState state = ReadGitState(root() / "p").value().value();
  EXPECT_EQ(state.commit.size(), 40U);
  EXPECT_FALSE(state.dirty);
  Touch("other/file", "2");
  EXPECT_FALSE(ReadGitState(root() / "p").value()->dirty);
  EXPECT_TRUE(ReadGitState(root()).value()->dirty);
  Touch("p/new", "2");
  EXPECT_TRUE(ReadGitState(root() / "p").value()->dirty);
  EXPECT_EQ(ReadGitState(root() / "p").value()->ToString(), state.commit + "-dirty");
}

}  // namespace
}  // namespace quern::io
