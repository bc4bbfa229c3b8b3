#pragma once
// Writing JSON text piece by piece; for the log's hot paths.
#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>

namespace quern::delta {

/// Appends a quoted JSON string; bytes that are no UTF-8 become U+FFFD, so that the line stays valid.
void AppendJsonString(std::string& out, std::string_view text);

/// The fields of one object, in call order.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  void End() { out_ += '}'; }

  /// The key alone: the value is appended by the caller.
  std::string& Key(std::string_view key) {
    if (!first_) out_ += ',';
    first_ = false;
    AppendJsonString(out_, key);
    out_ += ':';
    return out_;
  }
  void String(std::string_view key, std::string_view value) { AppendJsonString(Key(key), value); }
  void Int(std::string_view key, int64_t value) { fmt::format_to(std::back_inserter(Key(key)), "{}", value); }
  void Bool(std::string_view key, bool value) { Key(key) += value ? "true" : "false"; }
  void Raw(std::string_view key, std::string_view json) { Key(key) += json; }
  void OptionalInt(std::string_view key, const std::optional<int64_t>& value) {
    if (value) Int(key, *value);
  }
  template <class Map>
  void Strings(std::string_view key, const Map& map) {
    ObjectWriter inner(Key(key));
    for (const auto& [k, v] : map) inner.String(k, v);
    inner.End();
  }

 private:
  std::string& out_;
  bool first_ = true;
};

}  // namespace quern::delta
