#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "ml/config.h"

namespace quern::ml {

/// A time frame of one interval: rows with from <= time < to.
struct TimeFrame {
  std::string name;
  std::optional<Timestamp> from;  ///< absent: since ever
  Timestamp to;
  std::string ToString(const TimeZone& zone) const;  ///< "2013-01-01 to 2013-05-01", "until 2013-05-01"
};

/// Training frames end at the interval's start, so that the interval itself is left for evaluation: `last` counts back
/// from there, an absolute frame is cut there. Nothing when an absolute frame has not begun by then.
/// Errors: kModelConfig for dates that do not parse.
Result<std::optional<TimeFrame>> ResolveFrame(const FrameConfig& frame, const Interval& interval, const TimeZone& zone);
/// The interval itself: what candidates and champion are evaluated on.
TimeFrame EvaluationFrame(const Interval& interval);

/// Which frames are the same data: for each frame the index of the first one equal to it once every start is moved up
/// to `first_row` (the time of the first labelled row; absent: there is none, then all are equal). Absent frames give
/// nothing.
std::vector<std::optional<size_t>> FirstEqualFrame(const std::vector<std::optional<TimeFrame>>& frames,
                                                   std::optional<Timestamp> first_row);

}  // namespace quern::ml
