#include "ingest/json_lines.h"

#include <fmt/format.h>

#include <set>

#include "base/json.h"
#include "base/text.h"

namespace quern::ingest {
namespace {

// Watches for repeated keys of the outermost object, and for nesting too deep to be read.
class LineHandler : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return Down(); }
  bool end_object() override { return --depth_, true; }
  bool start_array(std::size_t) override { return Down(); }
  bool end_array() override { return --depth_, true; }
  bool key(string_t& name) override {
    if (depth_ == 1 && !keys_.insert(name).second) {
      reason = fmt::format("the key '{}' appears twice", name);
      return false;
    }
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    reason = "malformed JSON";
    column = static_cast<int>(position);
    return false;
  }

  std::string reason;
  int column = 0;

 private:
  bool Down() {
    if (++depth_ <= 200) return true;
    reason = "JSON nested deeper than 200 levels";
    return false;
  }
  int depth_ = 0;
  std::set<std::string> keys_;
};

}  // namespace

void CheckJsonLine(JsonLine& line) {
  line.reason.clear();
  line.column = 0;
  if (!IsValidUtf8(line.text)) {
    line.reason = "invalid UTF-8";
    return;
  }
  if (line.text.front() != '{') {
    line.reason = line.text.front() == '[' ? "a JSON array, not an object" : "not a JSON object";
    line.column = 1;
    return;
  }
  LineHandler handler;
  if (!Json::sax_parse(line.text.begin(), line.text.end(), &handler)) {
    line.reason = handler.reason.empty() ? "malformed JSON" : handler.reason;
    line.column = handler.column;
  }
}

Result<bool> JsonLineScanner::Next(JsonLine& line) {
  while (true) {
    size_t from = position_;
    size_t end;
    while ((end = buffer_.find('\n', from)) == std::string::npos && !ended_) {
      if (buffer_.size() - position_ > kMaxLine) {
        return Fail(Error(ErrorCode::kBadRow, fmt::format("a line is longer than {}", FormatBytes(kMaxLine)))
                        .At({"", static_cast<int>(line_), 1})
                        .Hint("the file must hold one JSON object per line, not one large array or object"));
      }
      const size_t scanned = buffer_.size() - position_;
      buffer_.erase(0, position_);
      position_ = 0;
      from = scanned;
      const std::string_view block = QUERN_TRY(reader_->Next());
      if (block.empty()) ended_ = true;
      buffer_ += block;
    }
    const bool last = end == std::string::npos;
    if (last) end = buffer_.size();
    if (last && position_ >= buffer_.size()) return false;
    std::string_view text = Trim(std::string_view(buffer_).substr(position_, end - position_));
    if (line_ == 1 && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    position_ = last ? end : end + 1;
    const int64_t number = line_++;
    if (text.empty()) continue;
    line.line = number;
    line.text = text;
    CheckJsonLine(line);
    return true;
  }
}

}  // namespace quern::ingest
