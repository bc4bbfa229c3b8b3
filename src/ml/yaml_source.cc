#include "ml/yaml_source.h"

namespace quern::ml {
namespace {

bool IsSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

size_t OffsetOf(std::string_view text, const SourcePos& pos) {
  size_t at = 0;
  for (int line = 1; line < pos.line; ++line) {
    at = text.find('\n', at);
    if (at == std::string_view::npos) return text.size();
    ++at;
  }
  // yaml-cpp counts columns in code points.
  for (int column = 1; column < pos.column && at < text.size(); ++column) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  }
  return at;
}

}  // namespace

ScalarSource SourceOf(const Yaml& scalar, std::string_view file_text) {
  ScalarSource source{scalar.text(), scalar.pos()};
  size_t begin = OffsetOf(file_text, scalar.pos());
  if (begin >= file_text.size()) return source;
  const char first = file_text[begin];
  if (scalar.quoted() && (first == '\'' || first == '"')) {
    ++begin;
    ++source.pos.column;
  } else if (scalar.quoted() && (first == '|' || first == '>')) {
    begin = std::min(file_text.find('\n', begin), file_text.size());
    while (begin < file_text.size() && IsSpace(file_text[begin])) ++begin;
    source.pos.line = 1;
    source.pos.column = 1;
    for (size_t i = 0; i < begin; ++i) {
      ++source.pos.column;
      if (file_text[i] == '\n') {
        ++source.pos.line;
        source.pos.column = 1;
      }
    }
  }
  // Both texts side by side: the same but for white space.
  size_t at = begin;
  for (char c : scalar.text()) {
    if (IsSpace(c)) continue;
    while (at < file_text.size() && IsSpace(file_text[at])) ++at;
    if (at >= file_text.size() || file_text[at] != c) return source;
    ++at;
  }
  source.text = std::string(file_text.substr(begin, at - begin));
  return source;
}

}  // namespace quern::ml
