#include "ml/dataset/frame.h"

#include <fmt/format.h>

#include <algorithm>

namespace quern::ml {

std::string TimeFrame::ToString(const TimeZone& zone) const {
  const std::string end = FormatShort(zone.ToLocal(to));
  return from ? fmt::format("{} to {}", FormatShort(zone.ToLocal(*from)), end) : "until " + end;
}

Result<std::optional<TimeFrame>> ResolveFrame(const FrameConfig& frame, const Interval& interval,
                                              const TimeZone& zone) {
  TimeFrame out{frame.name, std::nullopt, interval.start};
  switch (frame.kind) {
    case FrameConfig::Kind::kAll:
      break;
    case FrameConfig::Kind::kLast:
      out.from = Subtract(interval.start, frame.last, zone);
      break;
    case FrameConfig::Kind::kBetween: {
      auto moment = [&](const std::string& text) -> Result<Timestamp> {
        auto parsed = ParseTimestamp(text, zone);
        if (parsed) return parsed;
        return Fail(
            Error(ErrorCode::kModelConfig, fmt::format("a frame cannot have the date '{}'", text)).At(frame.pos));
      };
      if (!frame.from.empty()) out.from = QUERN_TRY(moment(frame.from));
      if (!frame.to.empty()) out.to = std::min(interval.start, QUERN_TRY(moment(frame.to)));
      if (out.from && *out.from >= out.to) return std::optional<TimeFrame>();
      break;
    }
  }
  return std::optional(std::move(out));
}

TimeFrame EvaluationFrame(const Interval& interval) {
  return {"evaluation", interval.start, interval.end};
}

std::vector<std::optional<size_t>> FirstEqualFrame(const std::vector<std::optional<TimeFrame>>& frames,
                                                   std::optional<Timestamp> first_row) {
  std::vector<std::optional<size_t>> first(frames.size());
  auto begin = [&](const TimeFrame& frame) {
    return first_row && (!frame.from || *frame.from < *first_row) ? first_row : frame.from;
  };
  for (size_t i = 0; i < frames.size(); ++i) {
    if (!frames[i]) continue;
    first[i] = i;
    for (size_t j = 0; j < i; ++j) {
      if (!frames[j] || first[j] != j) continue;
      const bool equal = !first_row || (begin(*frames[i]) == begin(*frames[j]) && frames[i]->to == frames[j]->to);
      if (equal) {
        first[i] = j;
        break;
      }
    }
  }
  return first;
}

}  // namespace quern::ml
