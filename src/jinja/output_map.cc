#include "jinja/output_map.h"

#include <algorithm>

namespace quern::jinja {
namespace {

/// The place of text[to] when a literal mark stands at text[mark.offset].
void Advance(OutputMap::Mark& mark, std::string_view text, size_t to) {
  if (mark.literal) {
    for (size_t i = mark.offset; i < to && i < text.size(); ++i) {
      if (text[i] == '\n') {
        ++mark.line;
        mark.column = 1;
      } else {
        ++mark.column;
      }
    }
  }
  mark.offset = static_cast<uint32_t>(to);
}

const OutputMap::Mark* MarkAt(const OutputMap& map, size_t offset) {
  auto after = std::upper_bound(map.marks.begin(), map.marks.end(), offset,
                                [](size_t o, const OutputMap::Mark& mark) { return o < mark.offset; });
  return after == map.marks.begin() ? nullptr : &*(after - 1);
}

SourcePos PlaceOf(const std::string* file, uint32_t line, uint32_t column) {
  return {file ? *file : std::string(), static_cast<int>(line), static_cast<int>(column)};
}

}  // namespace

void AppendMap(OutputMap& whole, const OutputMap& part, uint32_t at) {
  for (auto mark : part.marks) {
    mark.offset += at;
    whole.marks.push_back(mark);
  }
  for (auto span : part.spans) {
    span.begin += at;
    span.end += at;
    whole.spans.push_back(span);
  }
}

OutputMap CutMap(const OutputMap& map, std::string_view text, size_t begin, size_t end) {
  OutputMap out;
  if (const OutputMap::Mark* first = MarkAt(map, begin); first && begin < end) {
    OutputMap::Mark mark = *first;
    Advance(mark, text, begin);
    mark.offset = 0;
    out.marks.push_back(mark);
  }
  for (auto mark : map.marks) {
    if (mark.offset <= begin || mark.offset >= end) continue;
    mark.offset -= static_cast<uint32_t>(begin);
    out.marks.push_back(mark);
  }
  for (auto span : map.spans) {
    if (span.end <= begin || span.begin >= end) continue;
    span.begin = static_cast<uint32_t>(std::max<size_t>(span.begin, begin) - begin);
    span.end = static_cast<uint32_t>(std::min<size_t>(span.end, end) - begin);
    out.spans.push_back(span);
  }
  return out;
}

OutputPlace RenderResult::Locate(size_t offset) const {
  OutputPlace place;
  const OutputMap::Mark* found = MarkAt(map, offset);
  if (!found) return place;
  OutputMap::Mark mark = *found;
  Advance(mark, text, std::min(offset, text.size()));
  place.pos = PlaceOf(mark.file, mark.line, mark.column);
  for (const auto& span : map.spans) {
    if (span.begin <= offset && offset < span.end)
      place.printed_by.push_back(PlaceOf(span.file, span.line, span.column));
  }
  return place;
}

OutputPlace RenderResult::Locate(int line, int column) const {
  size_t at = 0;
  for (int l = 1; l < line; ++l) {
    size_t next = text.find('\n', at);
    if (next == std::string::npos) break;
    at = next + 1;
  }
  size_t end = std::min(text.find('\n', at), text.size());
  return Locate(std::min(at + static_cast<size_t>(std::max(column, 1) - 1), end));
}

}  // namespace quern::jinja
