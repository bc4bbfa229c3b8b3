#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "ingest/csv_records.h"
#include "ingest/json_lines.h"

namespace quern::ingest {
namespace {

// Hands a text out in blocks of any size.
class Blocks : public ByteReader {
 public:
  Blocks(std::string text, size_t block) : text_(std::move(text)), block_(block) {}
  Result<std::string_view> Next() override {
    const auto piece = std::string_view(text_).substr(at_, block_);
    at_ += piece.size();
    return piece;
  }

 private:
  std::string text_;
  size_t block_;
  size_t at_ = 0;
};

// "line:field|field" or "line!reason@column", one per record, by blanks.
std::string Scan(const std::string& text, CsvDialect dialect = {}, size_t block = 1 << 20, int limit = 1000) {
  CsvScanner scanner(std::make_unique<Blocks>(text, block), dialect);
  CsvRecord record;
  std::string out;
  while (limit-- > 0) {
    auto more = scanner.Next(record);
    if (!more) return out + more.error().message();
    if (!*more) return out;
    out += fmt::format("{}{}", out.empty() ? "" : " ", record.line);
    if (!record.reason.empty()) {
      out += fmt::format("!{}@{}", record.reason, record.column);
      continue;
    }
    for (size_t i = 0; i < record.fields.size(); ++i)
      out += (i == 0 ? ":" : "|") + ReplaceAll(Unquote(record.fields[i], dialect), "\n", "/");
  }
  return out;
}

TEST(CsvScannerTest, CutsRecords) {
  EXPECT_EQ(Scan(""), "");
  EXPECT_EQ(Scan("a,b\n1,2"), "1:a|b 2:1|2");
  EXPECT_EQ(Scan("\xEF\xBB\xBF"
                 "a,b\r\n1,2\r\n"),
            "1:a|b 2:1|2");
  EXPECT_EQ(Scan("a\rb\r"), "1:a 2:b");
  EXPECT_EQ(Scan("a,\n\n\n,b\n"), "1:a| 4:|b");
  EXPECT_EQ(Scan("\"x\ny\",\"q\"\"r\"\n2,3\n"), "1:x/y|q\"r 3:2|3");
  EXPECT_EQ(Scan("a\"b,c\n"), "1:a\"b|c");
  EXPECT_EQ(Scan("a\\\"b,'x\\'y'\n", {.quote = '\'', .escape = '\\'}), "1:a\\\"b|x'y");
  EXPECT_EQ(Scan("note\nmore\na,b\n", {.skip_lines = 2}), "3:a|b");
  EXPECT_EQ(Scan("caf\xe9\n", {.latin1 = true}), "1:café");
}

TEST(CsvScannerTest, SaysWhatIsBroken) {
  EXPECT_EQ(Scan("a,\"b\nc,d\ne,f\n"), "1!a quoted value is not closed@3 2:c|d 3:e|f");
  EXPECT_EQ(Scan("a,\"b"), "1!a quoted value is not closed@3");
  EXPECT_EQ(Scan("a,\"b\"c,d\ne\n"), "1!text after a closing quote@6 2:e");
  EXPECT_EQ(Scan("a,\xff\xfe\nb,c\n"), "1!invalid UTF-8@3 2:b|c");
  EXPECT_EQ(Scan(std::string("a,\0b\n", 5)), "1!a NUL byte@3");
}

TEST(CsvScannerTest, BlocksDoNotMatter) {
  std::mt19937 random(7);
  const std::string letters = "ab,,\"\"\n\r\n;\xc3\xbc";
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (int i = 0; i < 60; ++i) text += letters[random() % letters.size()];
    const std::string whole = Scan(text);
    for (const size_t block : {1u, 2u, 3u, 7u}) EXPECT_EQ(Scan(text, {}, block), whole);
  }
}

TEST(CsvScannerTest, AnUnclosedQuoteDoesNotEatAHugeFile) {
  std::string text = "a,b\n1,\"x\n";
  while (text.size() < CsvScanner::kMaxRecord + 100) text += "1,2\n";
  EXPECT_EQ(Scan(text, {}, 1 << 20, 5), "1:a|b 2!a quoted value is not closed@3 3:1|2 4:1|2 5:1|2");
}

std::string ScanJson(const std::string& text, size_t block = 1 << 20) {
  JsonLineScanner scanner(std::make_unique<Blocks>(text, block));
  JsonLine line;
  std::string out;
  while (true) {
    auto more = scanner.Next(line);
    if (!more) return out + more.error().message();
    if (!*more) return out;
    out += fmt::format("{}{}{}", out.empty() ? "" : " ", line.line, line.reason.empty() ? "" : "!" + line.reason);
  }
}

TEST(JsonLineScannerTest, ChecksEachLine) {
  for (const size_t block : {1u, 5u, 1000u}) {
    EXPECT_EQ(ScanJson("{\"a\":1}\n\n {\"a\":{\"a\":[]}} \r\n{\"a\":1", block), "1 3 4!malformed JSON");
    EXPECT_EQ(ScanJson("5\n[1]\n{\"a\":1,\"a\":2}\n{}{}\n{\"\xff\":1}\n", block),
              "1!not a JSON object 2!a JSON array, not an object 3!the key 'a' appears twice 4!malformed JSON "
              "5!invalid UTF-8");
    EXPECT_EQ(ScanJson("", block), "");
  }
  EXPECT_EQ(ScanJson("{\"a\":" + std::string(300, '[') + std::string(300, ']') + "}\n"),
            "1!JSON nested deeper than 200 levels");
}

}  // namespace
}  // namespace quern::ingest
