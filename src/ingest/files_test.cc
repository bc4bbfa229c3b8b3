#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "ingest/discovery.h"

namespace quern::ingest {
namespace {

std::string Match(const std::string& pattern, const std::string& path) {
  auto parsed = PathPattern::Parse(pattern);
  if (!parsed) return "error: " + parsed.error().message();
  const auto match = parsed->MatchPath(path);
  if (!match) return "no";
  return match->time ? FormatShort(*match->time) : "yes";
}

TEST(PathPatternTest, GlobsStayInTheirComponent) {
  EXPECT_EQ(Match("a/*.csv", "a/x.csv"), "yes");
  EXPECT_EQ(Match("a/*.csv", "a/b/x.csv"), "no");
  EXPECT_EQ(Match("a/**/x?.csv", "a/xy.csv"), "yes");
  EXPECT_EQ(Match("a/**/x?.csv", "a/b/c/xy.csv"), "yes");
  EXPECT_EQ(Match("a/[xy]z.csv", "a/yz.csv"), "yes");
  EXPECT_EQ(Match("a/[!xy]z.csv", "a/yz.csv"), "no");
  EXPECT_EQ(Match("a/x.csv", "a/x_csv"), "no");
}

TEST(PathPatternTest, TimesAreRead) {
  EXPECT_EQ(Match("a/{%Y-%m-%d}.csv", "a/2026-02-03.csv"), "2026-02-03");
  EXPECT_EQ(Match("a/{%Y}/{%m}/x-{%d}*.csv", "a/2026/02/x-03-17.csv"), "2026-02-03");
  EXPECT_EQ(Match("{%d.%m.%Y}.csv", "03.02.2026.csv"), "2026-02-03");
  EXPECT_EQ(Match("e-{%Y%m%d}T{%H}.csv", "e-20260203T05.csv"), "2026-02-03T05:00");
  EXPECT_EQ(Match("a/{%Y-%m-%d}.csv", "a/2026-02-31.csv"), "no");
  EXPECT_EQ(Match("a/{%Y-%m-%d}.csv", "a/latest.csv"), "no");
}

TEST(PathPatternTest, WrongPatternsAreRefused) {
  for (const char* pattern : {"", "a/", "a//b", "../a", "a/**", "a**b/c", "a/{%Y", "a/%Y}", "a/{}", "a/{%Q}",
                              "a/{%Y}{%Y}", "a/{%H}", "a/[x", "a/{x}"}) {
    EXPECT_EQ(Match(pattern, "x").substr(0, 6), "error:") << pattern;
  }
}

TEST(DiscoveryTest, FilesComeInLogicalOrder) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("quern-files-{}", ::getpid());
  for (const char* name :
       {"in/10.02.2026.csv", "in/09.03.2026.csv", "in/.hidden.csv", "in/x/01.01.2026.csv", "in/01.01.2026.csv"}) {
    std::filesystem::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << name;
  }
  const auto names = [&](const char* pattern) {
    auto files = FindFiles(folder, *PathPattern::Parse(pattern), *TimeZone::Find("America/New_York"));
    std::string all;
    for (const SourceFile& file : *files) all += file.path + (file.time ? "@" + FormatUtc(*file.time) : "") + " ";
    return all;
  };
  EXPECT_EQ(names("in/{%d.%m.%Y}.csv"),
            "in/01.01.2026.csv@2026-01-01T05:00:00Z in/10.02.2026.csv@2026-02-10T05:00:00Z "
            "in/09.03.2026.csv@2026-03-09T04:00:00Z ");
  EXPECT_EQ(names("**/*.csv"), "in/01.01.2026.csv in/09.03.2026.csv in/10.02.2026.csv in/x/01.01.2026.csv ");
  EXPECT_EQ(names("none/*.csv"), "");
  const int64_t before = *Fingerprint(folder / "in/01.01.2026.csv");
  EXPECT_GT(before, 0);
  std::ofstream(folder / "in/01.01.2026.csv") << "in/01.01.2027.csv";
  EXPECT_NE(*Fingerprint(folder / "in/01.01.2026.csv"), before);
  std::filesystem::remove_all(folder);
}

TEST(DiscoveryTest, NamesTellTheFormat) {
  EXPECT_EQ(FormatOfName("a.CSV.gz"), Format::kCsv);
  EXPECT_EQ(FormatOfName("a.ndjson.zst"), Format::kJsonLines);
  EXPECT_EQ(FormatOfName("a.parquet"), Format::kParquet);
  EXPECT_EQ(FormatOfName("a.txt"), std::nullopt);
  EXPECT_EQ(CompressionOfName("a.csv.zstd"), Compression::kZstd);
}

}  // namespace
}  // namespace quern::ingest
