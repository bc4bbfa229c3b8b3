#include "schedule/cron.h"

#include <charconv>
#include <map>

#include "base/text.h"

namespace quern::schedule {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::local_days;
using std::chrono::minutes;
using std::chrono::year;
using std::chrono::year_month_day;

struct Field {
  const char* name;
  int first;
  int last;
  std::vector<std::string> names;  // of first, first + 1, ...
  bool wraps = false;
};

const std::vector<Field>& Fields() {
  static const std::vector<Field> fields = {
      {"minute", 0, 59, {}, false},
      {"hour", 0, 23, {}, false},
      {"day of month", 1, 31, {}, false},
      {"month", 1, 12, {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}, false},
      {"day of week", 0, 7, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, true},
  };
  return fields;
}

const std::map<std::string, std::string>& Presets() {
  static const std::map<std::string, std::string> presets = {
      {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
      {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"},
  };
  return presets;
}

class FieldParser {
 public:
  FieldParser(std::string_view whole, const Field& field) : whole_(whole), field_(field) {}

  /// Values of the field; `last_day` is set by L.
  Result<std::vector<int>> Parse(std::string_view text, bool& last_day) {
    std::vector<int> out;
    for (const std::string& item : Split(text, ',')) {
      if (Upper(item) == "L" && field_.last == 31) {
        last_day = true;
        continue;
      }
      auto values = QUERN_TRY(ParseItem(item));
      out.insert(out.end(), values.begin(), values.end());
    }
    return out;
  }

 private:
  Error Bad(std::string message) const {
    return Error(ErrorCode::kCron, fmt::format("cron '{}': {}: {}", whole_, field_.name, message));
  }

  Result<std::vector<int>> ParseItem(std::string_view item) {
    if (item.empty()) return Fail(Bad("a value is missing"));
    if (item.find('#') != std::string_view::npos)
      return Fail(Bad(fmt::format("'{}': # (the nth weekday) is not supported", item)));
    const std::string_view range = item.substr(0, item.find('/'));
    int step = 1;
    const bool has_step = range.size() < item.size();
    if (has_step) {
      step = QUERN_TRY(ParseNumber(item.substr(range.size() + 1)));
      if (step < 1) return Fail(Bad(fmt::format("'{}': a step must be at least 1", item)));
    }
    int from = field_.first;
    int to = field_.last;
    const bool day_field = field_.last == 31 || field_.wraps;
    if (range == "*" || (range == "?" && day_field)) {
      if (field_.wraps) to = 6;
    } else {
      const size_t dash = range.find('-');
      from = QUERN_TRY(ParseValue(range.substr(0, dash)));
      if (dash != std::string_view::npos) {
        to = QUERN_TRY(ParseValue(range.substr(dash + 1)));
      } else if (!has_step) {
        to = from;
      } else if (field_.wraps) {
        to = 6;
      }
    }
    if (from > to && !field_.wraps) {
      return Fail(Bad(fmt::format("'{}' runs backwards", item))
                      .Hint(fmt::format("write it as two ranges: {}-{},{}-{}", from, field_.last, field_.first, to)));
    }
    if (from > to) to += 7;
    std::vector<int> out;
    for (int value = from; value <= to; value += step) out.push_back(field_.wraps ? value % 7 : value);
    return out;
  }

  Result<int> ParseNumber(std::string_view text) {
    int out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || text[0] == '-') {
      return Fail(Bad(fmt::format("'{}' is no number", text)));
    }
    return out;
  }

  Result<int> ParseValue(std::string_view text) {
    const std::string name = Lower(text);
    const auto found = std::find(field_.names.begin(), field_.names.end(), name);
    if (found != field_.names.end()) return field_.first + static_cast<int>(found - field_.names.begin());
    if (!text.empty() && std::isalpha(static_cast<unsigned char>(text[0])) && field_.names.empty()) {
      return Fail(Bad(fmt::format("'{}' is no number", text)));
    }
    for (char c : text) {
      if (c == 'L' || c == 'l' || c == 'W' || c == 'w') {
        if (field_.names.empty() || std::isdigit(static_cast<unsigned char>(text[0])) || text.size() == 1) {
          return Fail(Bad(fmt::format("'{}': {} is not supported here", text, static_cast<char>(std::toupper(c)))));
        }
      }
    }
    if (!field_.names.empty() && !text.empty() && std::isalpha(static_cast<unsigned char>(text[0]))) {
      return Fail(Bad(fmt::format("there is no '{}'", text)).Hint("names are " + Join(field_.names, ", ")));
    }
    const int value = QUERN_TRY(ParseNumber(text));
    if (value < field_.first || value > field_.last) {
      return Fail(Bad(fmt::format("{} is not between {} and {}", value, field_.first, field_.last)));
    }
    return value;
  }

  std::string_view whole_;
  const Field& field_;
};

local_days DayOf(LocalTime t) {
  return std::chrono::floor<days>(t);
}

const local_days kFirstDay = local_days(year(1) / 1 / 2);
const local_days kLastDay = local_days(year(9999) / 12 / 30);

}  // namespace

Result<Cron> Cron::Parse(std::string_view text, const TimeZone& zone) {
  Cron cron(zone);
  cron.text_ = Trim(text);
  std::string expression = cron.text_;
  if (expression.starts_with('@')) {
    const auto preset = Presets().find(Lower(expression));
    if (preset == Presets().end()) {
      std::vector<std::string> names;
      for (const auto& [name, meaning] : Presets()) names.push_back(name);
      return Fail(Error(ErrorCode::kCron, fmt::format("cron '{}' is not supported", expression))
                      .Hint("presets are " + Join(names, ", ")));
    }
    expression = preset->second;
  }
  const auto words = SplitWords(expression);
  if (words.size() != Fields().size()) {
    return Fail(Error(ErrorCode::kCron, fmt::format("cron '{}' has {} fields instead of 5", cron.text_, words.size()))
                    .Hint(words.size() == 6 || words.size() == 7
                              ? "seconds and years are not supported: minute hour day month weekday"
                              : "minute hour day-of-month month day-of-week, as in \"0 6 * * mon-fri\""));
  }
  for (size_t i = 0; i < words.size(); ++i) {
    const auto values = QUERN_TRY(FieldParser(cron.text_, Fields()[i]).Parse(words[i], cron.last_day_));
    for (int value : values) {
      const auto bit = static_cast<size_t>(value);
      if (i == 0) cron.minutes_.set(bit);
      if (i == 1) cron.hours_.set(bit);
      if (i == 2) cron.days_.set(bit);
      if (i == 3) cron.months_.set(bit);
      if (i == 4) cron.weekdays_.set(bit);
    }
  }
  // A date that never comes: only the day of month counts, and it is past the end of every month that is named.
  if (cron.weekdays_.all() && !cron.last_day_) {
    size_t first_day = 1;
    while (!cron.days_[first_day]) ++first_day;
    size_t longest = 0;
    for (size_t month = 1; month <= 12; ++month) {
      const size_t length = month == 2 ? 29 : (month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31);
      if (cron.months_[month]) longest = std::max(longest, length);
    }
    if (first_day > longest) {
      return Fail(Error(ErrorCode::kCron, fmt::format("cron '{}' never fires: no month that it names has a day {}",
                                                      cron.text_, first_day)));
    }
  }
  return cron;
}

bool Cron::DayMatches(local_days day) const {
  const year_month_day calendar(day);
  if (!months_[static_cast<unsigned>(calendar.month())]) return false;
  const unsigned number = static_cast<unsigned>(calendar.day());
  bool by_month = days_[number];
  if (last_day_ && year_month_day(day + days(1)).month() != calendar.month()) by_month = true;
  const bool by_week = weekdays_[std::chrono::weekday(day).c_encoding()];
  const bool month_restricted = days_.count() < 31;
  const bool week_restricted = !weekdays_.all();
  if (month_restricted && week_restricted) return by_month || by_week;
  return by_month && by_week;
}

/// Whether the wall clock runs through the day without a jump.
bool Cron::Uniform(local_days day) const {
  const Timestamp begin = zone_.ToUtc(LocalTime(day));
  const Timestamp end = zone_.ToUtc(LocalTime(day + days(1)));
  return end - begin == days(1) && zone_.OffsetAt(begin) == zone_.OffsetAt(end - std::chrono::microseconds(1)) &&
         zone_.ToLocal(begin) == LocalTime(day);
}

std::vector<Timestamp> Cron::MomentsOf(local_days day) const {
  std::vector<Timestamp> out;
  if (!DayMatches(day)) return out;
  const bool uniform = Uniform(day);
  const Timestamp begin = zone_.ToUtc(LocalTime(day));
  for (int hour = 0; hour < 24; ++hour) {
    if (!hours_[static_cast<size_t>(hour)]) continue;
    for (int minute = 0; minute < 60; ++minute) {
      if (!minutes_[static_cast<size_t>(minute)]) continue;
      const auto since_midnight = hours(hour) + minutes(minute);
      if (uniform) {
        out.push_back(begin + since_midnight);
        continue;
      }
      const LocalTime wall = LocalTime(day) + since_midnight;
      const Timestamp first = zone_.ToUtc(wall);
      if (!EveryHour()) {
        out.push_back(first);
        continue;
      }
      if (zone_.ToLocal(first) != wall) continue;
      out.push_back(first);
      // The same wall clock time again after the clock has gone back: as far on as the offset has shrunk.
      const auto before = zone_.OffsetAt(first);
      for (const auto ahead : {hours(1), hours(2), hours(3), hours(24), hours(25)}) {
        const auto shrunk = before - zone_.OffsetAt(first + ahead);
        if (shrunk > shrunk.zero() && zone_.ToLocal(first + shrunk) == wall) {
          out.push_back(first + shrunk);
          break;
        }
      }
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<Timestamp> Cron::Next(Timestamp t) const {
  const local_days around = DayOf(zone_.ToLocal(t));
  std::optional<Timestamp> best;
  // A day before and one after: where the clock jumps over midnight, days of the wall clock interleave.
  for (local_days day = std::max(around - days(1), kFirstDay); day <= kLastDay; day += days(1)) {
    const year_month_day calendar(day);
    if (!months_[static_cast<unsigned>(calendar.month())] && day > around) {
      if (best) break;
      day = local_days(calendar.year() / calendar.month() / std::chrono::last);
      continue;
    }
    const bool had = best.has_value();
    for (Timestamp moment : MomentsOf(day)) {
      if (moment <= t) continue;
      if (!best || moment < *best) best = moment;
      break;
    }
    if (had && day > around) break;
  }
  if (best) return *best;
  return Fail(ErrorCode::kCron,
              fmt::format("cron '{}' does not fire after {} within the calendar", text_, FormatUtc(t)));
}

Result<Timestamp> Cron::Previous(Timestamp t) const {
  const local_days around = DayOf(zone_.ToLocal(t));
  std::optional<Timestamp> best;
  for (local_days day = std::min(around + days(1), kLastDay); day >= kFirstDay; day -= days(1)) {
    const year_month_day calendar(day);
    if (!months_[static_cast<unsigned>(calendar.month())] && day < around) {
      if (best) break;
      day = local_days(calendar.year() / calendar.month() / 1);
      continue;
    }
    const bool had = best.has_value();
    const auto moments = MomentsOf(day);
    for (auto moment = moments.rbegin(); moment != moments.rend(); ++moment) {
      if (*moment >= t) continue;
      if (!best || *moment > *best) best = *moment;
      break;
    }
    if (had && day < around) break;
  }
  if (best) return *best;
  return Fail(ErrorCode::kCron,
              fmt::format("cron '{}' does not fire before {} within the calendar", text_, FormatUtc(t)));
}

bool Cron::FiresAt(Timestamp t) const {
  auto next = Next(t - std::chrono::microseconds(1));
  return next && *next == t;
}

}  // namespace quern::schedule
