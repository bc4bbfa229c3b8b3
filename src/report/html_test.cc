#include "report/html.h"

#include <gtest/gtest.h>

#include "base/secrets.h"

namespace quern::report {
namespace {

TEST(EscapeTest, NothingEndsAnElementOrAnAttribute) {
  EXPECT_EQ(Escape("<b class=\"x\" id='y'>&amp;"), "&lt;b class=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;");
}

TEST(EscapeTest, BrokenTextIsShownAsSuch) {
  EXPECT_EQ(Escape("a\xff\xc3z"), "a\uFFFD\uFFFDz");
  EXPECT_EQ(Escape(std::string_view("a\0b", 3)), "a\uFFFDb");
  EXPECT_EQ(Escape("Zähler ≥ 1\n\t🙂"), "Zähler ≥ 1\n\t🙂");
  EXPECT_EQ(Escape("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate is no character
}

TEST(EscapeTest, SecretsAreHiddenBeforeTheyLookDifferent) {
  RegisterSecret("p<ss&word");
  EXPECT_EQ(Escape("key p<ss&word!"), "key *****!");
}

TEST(UrlEncodeTest, OneSegment) {
  EXPECT_EQ(UrlEncode("a b/c?d#e%&=\"<ä"), "a%20b%2Fc%3Fd%23e%25%26%3D%22%3C%C3%A4");
  EXPECT_EQ(UrlEncode(".."), "%2E%2E");
  EXPECT_EQ(UrlEncode("model.x-1_y~"), "model.x-1_y~");
}

TEST(NumbersTest, InFewCharacters) {
  EXPECT_EQ(ShortNumber(0.70123), "0.7012");
  EXPECT_EQ(ShortNumber(12.345), "12.35");
  EXPECT_EQ(ShortNumber(3), "3");
  EXPECT_EQ(ShortNumber(-1234567), "-1,234,567");
  EXPECT_EQ(ShortNumber(1e-7), "1.00e-07");
  EXPECT_EQ(ShortNumber(0.0 / 0.0), "–");
  EXPECT_EQ(Percent(0.123), "12 %");
  EXPECT_EQ(Percent(0.0042), "0.4 %");
  EXPECT_EQ(Percent(0), "0 %");
}

}  // namespace
}  // namespace quern::report
