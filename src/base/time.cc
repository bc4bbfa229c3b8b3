#include "base/time.h"

#include <date/date.h>
#include <date/tz.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <vector>

#include "base/text.h"

namespace quern {
namespace {
using std::chrono::microseconds;

constexpr std::array<const char*, 12> kMonths = {"January", "February", "March",     "April",   "May",      "June",
                                                 "July",    "August",   "September", "October", "November", "December"};

const date::time_zone* Zone(const void* zone) {
  return static_cast<const date::time_zone*>(zone);
}
date::local_time<microseconds> ToDate(LocalTime t) {
  return date::local_time<microseconds>(t.time_since_epoch());
}
date::sys_time<microseconds> ToDate(Timestamp t) {
  return date::sys_time<microseconds>(t.time_since_epoch());
}

struct Fields {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0, micro = 0;
};

Fields FieldsOf(LocalTime t) {
  auto day = date::floor<date::days>(ToDate(t));
  date::year_month_day ymd{day};
  date::hh_mm_ss<microseconds> time{ToDate(t) - day};
  return {static_cast<int>(ymd.year()),
          static_cast<int>(static_cast<unsigned>(ymd.month())),
          static_cast<int>(static_cast<unsigned>(ymd.day())),
          static_cast<int>(time.hours().count()),
          static_cast<int>(time.minutes().count()),
          static_cast<int>(time.seconds().count()),
          static_cast<int>(time.subseconds().count())};
}

std::optional<LocalTime> Build(const Fields& f) {
  date::year_month_day ymd{date::year(f.year), date::month(static_cast<unsigned>(f.month)),
                           date::day(static_cast<unsigned>(f.day))};
  if (!ymd.ok() || f.hour > 23 || f.minute > 59 || f.second > 59 || f.year < 1 || f.year > 9999) return std::nullopt;
  auto t = date::local_days(ymd) + std::chrono::hours(f.hour) + std::chrono::minutes(f.minute) +
           std::chrono::seconds(f.second) + microseconds(f.micro);
  return LocalTime(t.time_since_epoch());
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  bool done() const { return at_ == text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  void skip() { ++at_; }
  bool Eat(char c) {
    if (peek() != c || done()) return false;
    ++at_;
    return true;
  }
  bool Digits(int least, int most, int& out) {
    int n = 0, value = 0;
    while (n < most && peek() >= '0' && peek() <= '9' && !done()) {
      value = value * 10 + (text_[at_++] - '0');
      ++n;
    }
    if (n < least) return false;
    out = value;
    return true;
  }
  // A fraction of a second of any length; digits past microseconds are cut.
  bool Fraction(int& micros) {
    int n = 0;
    micros = 0;
    for (; peek() >= '0' && peek() <= '9' && !done(); ++at_, ++n) {
      if (n < 6) micros = micros * 10 + (text_[at_] - '0');
    }
    for (int i = n; i < 6; ++i) micros *= 10;
    return n > 0;
  }
  // Z, +hh, +hhmm, +hh:mm
  bool Offset(int& minutes) {
    if (Eat('Z') || Eat('z')) return minutes = 0, true;
    int sign = peek() == '-' ? -1 : 1;
    if (!Eat('+') && !Eat('-')) return false;
    int h = 0, m = 0;
    if (!Digits(2, 2, h)) return false;
    bool colon = Eat(':');
    if (!Digits(2, 2, m) && colon) return false;
    if (h > 18 || m > 59) return false;
    minutes = sign * (h * 60 + m);
    return true;
  }
  bool Word(std::string_view word) {
    if (text_.size() - at_ < word.size() || !EqualsIgnoreCase(text_.substr(at_, word.size()), word)) return false;
    at_ += word.size();
    return true;
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
};
}  // namespace

TimeZone TimeZone::Utc() {
  return TimeZone("UTC", nullptr);
}

Result<TimeZone> TimeZone::Find(std::string_view name) {
  if (name == "UTC" || name == "Etc/UTC" || name == "Z") return Utc();
  try {
    return TimeZone(std::string(name), date::locate_zone(name));
  } catch (const std::runtime_error&) {
    std::vector<std::string> names;
    try {
      for (const auto& zone : date::get_tzdb().zones) names.push_back(zone.name());
    } catch (const std::runtime_error&) {
      return Fail(Error(ErrorCode::kNotFound, "the system's time zone database cannot be read")
                      .Hint("install the package tzdata"));
    }
    return Fail(Error(ErrorCode::kInvalidArgument, fmt::format("there is no time zone '{}'", name))
                    .Hint(DidYouMean(name, names)));
  }
}

LocalTime TimeZone::ToLocal(Timestamp t) const {
  if (!zone_) return LocalTime(t.time_since_epoch());
  return LocalTime(Zone(zone_)->to_local(ToDate(t)).time_since_epoch());
}

Timestamp TimeZone::ToUtc(LocalTime local) const {
  if (!zone_) return Timestamp(local.time_since_epoch());
  auto info = Zone(zone_)->get_info(ToDate(local));
  if (info.result == date::local_info::nonexistent) {
    return Timestamp(std::chrono::duration_cast<microseconds>(info.first.end.time_since_epoch()));
  }
  return Timestamp(local.time_since_epoch() - std::chrono::duration_cast<microseconds>(info.first.offset));
}

std::chrono::seconds TimeZone::OffsetAt(Timestamp t) const {
  if (!zone_) return std::chrono::seconds(0);
  return Zone(zone_)->get_info(ToDate(t)).offset;
}

Result<Timestamp> ParseTimestamp(std::string_view text, const TimeZone& zone) {
  auto bad = [&](std::string_view why) {
    return Fail(Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not a date or time: {}", text, why))
                    .Hint("write 2013-05-01, 2013-05-01T04:00, or 2013-05-01T04:00:00Z"));
  };
  Scanner in(text);
  Fields f;
  if (!in.Digits(4, 4, f.year) || !in.Eat('-') || !in.Digits(1, 2, f.month) || !in.Eat('-') ||
      !in.Digits(1, 2, f.day)) {
    return bad("it must begin with year-month-day");
  }
  std::optional<int> offset;
  if (!in.done() && (in.Eat('T') || in.Eat(' '))) {
    if (!in.Digits(1, 2, f.hour) || !in.Eat(':') || !in.Digits(2, 2, f.minute))
      return bad("the time must be hour:minute");
    if (in.Eat(':') && !in.Digits(2, 2, f.second)) return bad("the seconds are missing");
    if (in.Eat('.') && !in.Fraction(f.micro)) return bad("the fraction of a second is missing");
  }
  if (!in.done()) {
    int minutes = 0;
    if (!in.Offset(minutes) || !in.done()) return bad("what follows the time is no offset such as Z or +02:00");
    offset = minutes;
  }
  auto local = Build(f);
  if (!local) return bad("there is no such day or time");
  if (offset) return Timestamp(local->time_since_epoch() - std::chrono::minutes(*offset));
  return zone.ToUtc(*local);
}

Result<void> CheckTimeFormat(std::string_view format) {
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') continue;
    char c = ++i < format.size() ? format[i] : '\0';
    if (c == '\0' || std::string_view("YmdHMSyjbBpIzf%").find(c) == std::string_view::npos) {
      return Fail(Error(ErrorCode::kInvalidArgument,
                        c == '\0' ? fmt::format("the time format '{}' ends with a lone %", format)
                                  : fmt::format("the time format '{}' has the unknown letter %{}", format, c))
                      .Hint("known letters are %Y %m %d %H %M %S %y %j %b %B %p %I %z %f %%"));
    }
  }
  return {};
}

std::optional<LocalTime> ParseTimeFormat(std::string_view text, std::string_view format) {
  Scanner in(text);
  Fields f;
  int offset = 0, day_of_year = 0;
  std::optional<bool> afternoon;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      if (!in.Eat(format[i])) return std::nullopt;
      continue;
    }
    if (++i == format.size()) return std::nullopt;
    bool ok = false;
    switch (format[i]) {
      case 'Y':
        ok = in.Digits(4, 4, f.year);
        break;
      case 'y':
        ok = in.Digits(2, 2, f.year);
        f.year += f.year < 69 ? 2000 : 1900;
        break;
      case 'm':
        ok = in.Digits(1, 2, f.month);
        break;
      case 'd':
        ok = in.Digits(1, 2, f.day);
        break;
      case 'j':
        ok = in.Digits(3, 3, day_of_year) && day_of_year >= 1 && day_of_year <= 366;
        break;
      case 'H':
        ok = in.Digits(1, 2, f.hour);
        break;
      case 'I':
        ok = in.Digits(1, 2, f.hour) && f.hour >= 1 && f.hour <= 12;
        break;
      case 'M':
        ok = in.Digits(1, 2, f.minute);
        break;
      case 'S':
        ok = in.Digits(1, 2, f.second);
        break;
      case 'f':
        ok = in.Fraction(f.micro);
        break;
      case 'z':
        ok = in.Offset(offset);
        break;
      case '%':
        ok = in.Eat('%');
        break;
      case 'p':
        if (in.Word("AM"))
          ok = true, afternoon = false;
        else if (in.Word("PM"))
          ok = true, afternoon = true;
        break;
      case 'b':
      case 'B':
        for (size_t m = 0; m < kMonths.size() && !ok; ++m) {
          std::string_view name = kMonths[m];
          if (in.Word(format[i] == 'b' ? name.substr(0, 3) : name)) f.month = static_cast<int>(m) + 1, ok = true;
        }
        break;
      default:
        break;
    }
    if (!ok) return std::nullopt;
  }
  if (!in.done()) return std::nullopt;
  if (afternoon) f.hour = f.hour % 12 + (*afternoon ? 12 : 0);
  auto t = Build(f);
  if (!t) return std::nullopt;
  if (day_of_year > 0) *t += std::chrono::hours(24 * (day_of_year - 1));
  return *t - std::chrono::minutes(offset);
}

std::string FormatTime(LocalTime t, std::string_view format) {
  Fields f = FieldsOf(t);
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    switch (format[++i]) {
      case 'Y':
        out += fmt::format("{:04}", f.year);
        break;
      case 'y':
        out += fmt::format("{:02}", f.year % 100);
        break;
      case 'm':
        out += fmt::format("{:02}", f.month);
        break;
      case 'd':
        out += fmt::format("{:02}", f.day);
        break;
      case 'H':
        out += fmt::format("{:02}", f.hour);
        break;
      case 'I':
        out += fmt::format("{:02}", f.hour % 12 == 0 ? 12 : f.hour % 12);
        break;
      case 'p':
        out += f.hour < 12 ? "AM" : "PM";
        break;
      case 'M':
        out += fmt::format("{:02}", f.minute);
        break;
      case 'S':
        out += fmt::format("{:02}", f.second);
        break;
      case 'f':
        out += fmt::format("{:06}", f.micro);
        break;
      case 'b':
        out += std::string_view(kMonths[static_cast<size_t>(f.month) - 1]).substr(0, 3);
        break;
      case 'B':
        out += kMonths[static_cast<size_t>(f.month) - 1];
        break;
      case 'z':
        out += "+0000";
        break;
      case 'j': {
        auto day = date::floor<date::days>(ToDate(t));
        auto first = date::local_days(date::year(f.year) / 1 / 1);
        out += fmt::format("{:03}", (day - first).count() + 1);
        break;
      }
      default:
        out += format[i];
    }
  }
  return out;
}

std::string FormatDate(LocalTime t) {
  return FormatTime(t, "%Y-%m-%d");
}

std::string FormatShort(LocalTime t) {
  Fields f = FieldsOf(t);
  if (f.hour == 0 && f.minute == 0 && f.second == 0) return FormatDate(t);
  return FormatTime(t, f.second == 0 ? "%Y-%m-%dT%H:%M" : "%Y-%m-%dT%H:%M:%S");
}

std::string FormatUtc(Timestamp t) {
  LocalTime local(t.time_since_epoch());
  return FormatTime(local,
                    t.time_since_epoch().count() % 1'000'000 == 0 ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%dT%H:%M:%S.%fZ");
}

std::string FormatInZone(Timestamp t, const TimeZone& zone) {
  auto offset = std::chrono::duration_cast<std::chrono::minutes>(zone.OffsetAt(t)).count();
  auto text = FormatTime(zone.ToLocal(t),
                         t.time_since_epoch().count() % 1'000'000 == 0 ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%dT%H:%M:%S.%f");
  return fmt::format("{}{}{:02}:{:02}", text, offset < 0 ? '-' : '+', std::abs(offset) / 60, std::abs(offset) % 60);
}

}  // namespace quern
