#include <gtest/gtest.h>

#include <atomic>

#include "base/cancellation.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/result.h"
#include "base/secrets.h"
#include "base/text.h"
#include "base/thread_pool.h"

namespace quern {
namespace {

Result<int> Half(int n) {
  if (n % 2) return Fail(ErrorCode::kInvalidArgument, "odd");
  return n / 2;
}
Result<int> Quarter(int n) {
  return QUERN_TRY_CONTEXT(Half(QUERN_TRY(Half(n))), "second half");
}

TEST(ResultTest, TryReturnsTheErrorWithContext) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(3).error().message(), "odd");
  EXPECT_EQ(Quarter(6).error().message(), "second half: odd");
}

TEST(ErrorTest, PrintsPlaceFramesHintAndCause) {
  Error cause(ErrorCode::kIo, "disk gone");
  Error error = Error(ErrorCode::kParse, "no colon")
                    .At({"a.yml", 3, 7})
                    .Hint("add one")
                    .Because(cause)
                    .Trace("in macro m", {"m.sql", 1, 2});
  EXPECT_EQ(error.ToString(),
            "a.yml:3:7: error Q0102: no colon\n  in macro m at m.sql:1:2\n  hint: add one\n  because: error Q0114: "
            "disk gone");
  EXPECT_EQ(error.ToJson()["cause"]["code"], "Q0114");
  Error copy = error;
  EXPECT_EQ(copy.ToString(), error.ToString());
  EXPECT_EQ(sizeof(Error), sizeof(void*));
}

TEST(DiagnosticsTest, SortsByPlaceAndDropsRepetitions) {
  Diagnostics d;
  d.Add(Error(ErrorCode::kParse, "b").At({"x", 2, 1}));
  d.Add(Error(ErrorCode::kParse, "a").At({"x", 1, 9}));
  d.Add(Error(ErrorCode::kParse, "b").At({"x", 2, 1}));
  d.Sort();
  ASSERT_EQ(d.errors().size(), 2U);
  EXPECT_EQ(d.errors()[0].message(), "a");
}

TEST(TextTest, SplitJoinTrimReplace) {
  EXPECT_EQ(Split("a,,b", ',').size(), 3U);
  EXPECT_EQ(SplitWords("  a\tb \n").size(), 2U);
  EXPECT_EQ(Join({"a", "b"}, ", "), "a, b");
  EXPECT_EQ(Trim(" \tx y\n"), "x y");
  EXPECT_EQ(ReplaceAll("aXbX", "X", "--"), "a--b--");
  EXPECT_EQ(ReplaceAll("abc", "X", "-"), "abc");
}

TEST(TextTest, Utf8IsCheckedAtEveryEdge) {
  EXPECT_TRUE(IsValidUtf8("aé€😀"));
  for (std::string bad : {"\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "a\x80", "\xE2\x82"}) {
    EXPECT_FALSE(IsValidUtf8(bad)) << HexEncode(bad);
  }
  EXPECT_EQ(Utf8Length("aé€😀"), 4U);
}

TEST(TextTest, GlobMatchesLikeAShell) {
  EXPECT_TRUE(GlobMatch("a*c", "abbc"));
  EXPECT_TRUE(GlobMatch("*.csv.gz", "x/y.csv.gz"));
  EXPECT_TRUE(GlobMatch("[a-c]?", "bz"));
  EXPECT_FALSE(GlobMatch("[!a-c]?", "bz"));
  EXPECT_FALSE(GlobMatch("a*b", "ac"));
  EXPECT_TRUE(GlobMatch("**", ""));
  EXPECT_FALSE(GlobMatch(std::string(30, '*') + "b", std::string(5000, 'a')));
}

TEST(TextTest, NearestSuggestsOnlyWhatIsNear) {
  EXPECT_EQ(Nearest("shcema", {"schema", "table"}), "schema");
  EXPECT_EQ(Nearest("xyz", {"schema", "table"}), std::nullopt);
  EXPECT_EQ(DidYouMean("tabel", {"schema", "table"}), "did you mean 'table'?");
}

TEST(TextTest, FormatsNumbersForPeople) {
  EXPECT_EQ(FormatCount(-1234567), "-1,234,567");
  EXPECT_EQ(FormatCount(-123), "-123");
  EXPECT_EQ(FormatDuration(0.012), "12 ms");
  EXPECT_EQ(FormatDuration(1.25), "1.2 s");
  EXPECT_EQ(FormatDuration(125), "2 min 5 s");
  EXPECT_EQ(FormatBytes(1'400'000), "1.4 MB");
  EXPECT_EQ(FormatBytes(12), "12 B");
}

TEST(TextTest, Digests) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Md5Hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
}

TEST(JsonTest, ParseErrorHasItsPlace) {
  auto r = ParseJson("{\n \"a\": }", "x.json");
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().pos().ToString(), "x.json:2:7");
}

TEST(CancellationTest, CallbacksRunOnceAndCanLeave) {
  Cancellation c;
  int calls = 0;
  auto kept = c.OnCancel([&] { ++calls; });
  {
    auto gone = c.OnCancel([&] { calls += 100; });
  }
  EXPECT_TRUE(c.Check());
  c.Cancel();
  c.Cancel();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(c.Check().error().code(), ErrorCode::kCancelled);
  auto late = c.OnCancel([&] { ++calls; });
  EXPECT_EQ(calls, 2);
}

TEST(ThreadPoolTest, RunsEverything) {
  std::atomic<int> sum = 0;
  ThreadPool pool(3);
  for (int i = 1; i <= 100; ++i) pool.Submit([&, i] { sum += i; });
  pool.Wait();
  EXPECT_EQ(sum, 5050);
}

TEST(SecretsTest, LongestIsMaskedFirst) {
  RegisterSecret("hunter2");
  RegisterSecret("hunter2-long");
  RegisterSecret("ab");
  EXPECT_EQ(MaskSecrets("x hunter2-long hunter2 ab"), "x ***** ***** ab");
}

TEST(IdsTest, UuidsHaveTheirVersion) {
  EXPECT_EQ(RandomUuid()[14], '4');
  EXPECT_EQ(TimeUuid()[14], '7');
  EXPECT_EQ(RandomUuid().size(), 36U);
}

}  // namespace
}  // namespace quern
