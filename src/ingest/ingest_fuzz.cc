#include <fmt/format.h>

#include <cstdint>
#include <string_view>

#include "ingest/config.h"
#include "ingest/json_lines.h"

// The first byte chooses the reader: CSV records, JSON lines, a path pattern, an ingest file, a type.
namespace {

using namespace quern;
using namespace quern::ingest;

class Blocks : public ByteReader {
 public:
  Blocks(std::string_view text, size_t block) : text_(text), block_(block) {}
  Result<std::string_view> Next() override {
    const std::string_view piece = text_.substr(at_, block_);
    at_ += piece.size();
    return piece;
  }

 private:
  std::string_view text_;
  size_t block_;
  size_t at_ = 0;
};

void Records(std::string_view text, CsvDialect dialect) {
  std::string seen[2];
  for (std::string& out : seen) {
    CsvScanner scanner(std::make_unique<Blocks>(text, &out == seen ? 3 : text.size()), dialect);
    CsvRecord record;
    int64_t line = 0;
    while (auto more = scanner.Next(record)) {
      if (!*more) break;
      QUERN_CHECK(record.line > line && !record.fields.empty());
      line = record.line;
      out += fmt::format("{}:{}:{}:{};", record.line, record.text, record.reason, record.fields.size());
      for (const std::string_view field : record.fields) (void)Unquote(field, dialect);
    }
  }
  QUERN_CHECK(seen[0] == seen[1]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 10'000) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      Records(text, {});
      break;
    case 1:
      Records(text, {.delimiter = ';', .quote = '\'', .escape = '\\', .skip_lines = 1, .latin1 = true});
      break;
    case 2: {
      JsonLineScanner scanner(std::make_unique<Blocks>(text, 7));
      JsonLine line;
      while (auto more = scanner.Next(line)) {
        if (!*more) break;
        QUERN_CHECK(!line.text.empty());
      }
      break;
    }
    case 3:
      if (const auto pattern = PathPattern::Parse(text)) (void)pattern->MatchPath(text);
      break;
    case 4: {
      Diagnostics diagnostics;
      (void)ParseIngestFile(text, "fuzz.yml", diagnostics);
      break;
    }
    default:
      for (const Type::From from : {Type::From::kUser, Type::From::kEngine}) {
        const auto type = Type::Parse(text, from);
        if (!type) continue;
        const auto again = Type::Parse(type->ToSql(), Type::From::kEngine);
        QUERN_CHECK(again && again->ToSql() == type->ToSql());
      }
  }
  return 0;
}
