#include "dbt/context/datetime.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"
#include "dbt/context/values.h"
#include "jinja/environment.h"

namespace quern::dbt {

using jinja::BinaryOp;
using jinja::CallArgs;
using jinja::MakeRef;
using jinja::State;
using jinja::Value;
using namespace std::chrono;

namespace {

struct Parts {
  int year, month, day, hour, minute, second, micro;
};
Parts PartsOf(LocalTime t) {
  auto day = floor<days>(t);
  year_month_day ymd(day);
  auto rest = t - day;
  auto seconds_of_day = floor<seconds>(rest).count();
  return {int(ymd.year()),
          int(unsigned(ymd.month())),
          int(unsigned(ymd.day())),
          int(seconds_of_day / 3600),
          int(seconds_of_day / 60 % 60),
          int(seconds_of_day % 60),
          int((rest - floor<seconds>(rest)).count())};
}
std::optional<LocalTime> FromParts(int y, int mo, int d, int h = 0, int mi = 0, int s = 0, int us = 0) {
  year_month_day ymd{year(y), month(static_cast<unsigned>(mo)), day(static_cast<unsigned>(d))};
  if (!ymd.ok() || h < 0 || h > 23 || mi < 0 || mi > 59 || s < 0 || s > 59 || us < 0 || us > 999999)
    return std::nullopt;
  return LocalTime(local_days(ymd)) + hours(h) + minutes(mi) + seconds(s) + microseconds(us);
}
std::string OffsetText(std::chrono::seconds offset) {
  auto minutes_total = std::abs(offset.count()) / 60;
  return fmt::format("{}{:02}:{:02}", offset.count() < 0 ? '-' : '+', minutes_total / 60, minutes_total % 60);
}
std::string Clock24(const Parts& p) {
  std::string out = fmt::format("{:02}:{:02}:{:02}", p.hour, p.minute, p.second);
  if (p.micro) out += fmt::format(".{:06}", p.micro);
  return out;
}
const char* const kDays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
const char* const kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                               "July",    "August",   "September", "October", "November", "December"};

std::string Strftime(LocalTime t, const std::string& format, const std::optional<std::chrono::seconds>& offset,
                     const std::string& zone) {
  Parts p = PartsOf(t);
  auto day_point = floor<days>(t);
  unsigned weekday_index = std::chrono::weekday(day_point).c_encoding();
  int year_day = int((day_point - local_days(year_month_day{year(p.year), January, day(1)})).count()) + 1;
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 >= format.size()) {
      out += format[i];
      continue;
    }
    char c = format[++i];
    bool bare = c == '-' && i + 1 < format.size();
    if (bare) c = format[++i];
    auto two = [&](int v) { out += bare ? std::to_string(v) : fmt::format("{:02}", v); };
    switch (c) {
      case 'Y':
        out += fmt::format("{:04}", p.year);
        break;
      case 'y':
        two(p.year % 100);
        break;
      case 'm':
        two(p.month);
        break;
      case 'd':
        two(p.day);
        break;
      case 'H':
        two(p.hour);
        break;
      case 'I':
        two(p.hour % 12 == 0 ? 12 : p.hour % 12);
        break;
      case 'M':
        two(p.minute);
        break;
      case 'S':
        two(p.second);
        break;
      case 'f':
        out += fmt::format("{:06}", p.micro);
        break;
      case 'p':
        out += p.hour < 12 ? "AM" : "PM";
        break;
      case 'j':
        out += bare ? std::to_string(year_day) : fmt::format("{:03}", year_day);
        break;
      case 'A':
        out += kDays[weekday_index];
        break;
      case 'a':
        out += std::string_view(kDays[weekday_index]).substr(0, 3);
        break;
      case 'B':
        out += kMonths[p.month - 1];
        break;
      case 'b':
      case 'h':
        out += std::string_view(kMonths[p.month - 1]).substr(0, 3);
        break;
      case 'w':
        out += std::to_string(weekday_index);
        break;
      case 'u':
        out += std::to_string(weekday_index == 0 ? 7 : weekday_index);
        break;
      case 'U':
        two((year_day + 6 - int(weekday_index)) / 7);
        break;
      case 'W':
        two((year_day + 6 - int((weekday_index + 6) % 7)) / 7);
        break;
      case 'F':
        out += fmt::format("{:04}-{:02}-{:02}", p.year, p.month, p.day);
        break;
      case 'T':
      case 'X':
        out += fmt::format("{:02}:{:02}:{:02}", p.hour, p.minute, p.second);
        break;
      case 'D':
      case 'x':
        out += fmt::format("{:02}/{:02}/{:02}", p.month, p.day, p.year % 100);
        break;
      case 'R':
        out += fmt::format("{:02}:{:02}", p.hour, p.minute);
        break;
      case 's':
        out += std::to_string(floor<seconds>(t.time_since_epoch()).count() - (offset ? offset->count() : 0));
        break;
      case 'z':
        if (offset) {
          std::string o = OffsetText(*offset);
          out += o.substr(0, 3) + o.substr(4);
        }
        break;
      case 'Z':
        out += zone;
        break;
      case '%':
        out += '%';
        break;
      default:
        out += '%';
        out += c;
    }
  }
  return out;
}

class Timedelta : public jinja::Object {
 public:
  explicit Timedelta(microseconds d) : d(d) {}
  const microseconds d;
  std::string TypeName() const override { return "timedelta"; }
  std::string ToString() const override {
    auto day_count = floor<days>(d);
    auto rest = d - day_count;
    auto s = floor<seconds>(rest).count();
    auto us = (rest - floor<seconds>(rest)).count();
    std::string out;
    if (day_count.count() != 0)
      out = fmt::format("{} day{}, ", day_count.count(), std::abs(day_count.count()) == 1 ? "" : "s");
    out += fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
    if (us) out += fmt::format(".{:06}", us);
    return out;
  }
  std::string Repr() const override { return "datetime.timedelta(" + ToString() + ")"; }
  Result<std::optional<Value>> Attribute(std::string_view name, State&) override {
    auto day_count = floor<days>(d);
    if (name == "days") return Value(int64_t(day_count.count()));
    if (name == "seconds") return Value(int64_t(floor<seconds>(d - day_count).count()));
    if (name == "microseconds") return Value(int64_t(((d - day_count) % seconds(1)).count()));
    return std::nullopt;
  }
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs&) override {
    if (name == "total_seconds") return Value(static_cast<double>(d.count()) / 1e6);
    return std::nullopt;
  }
  bool Equals(const Value& other) const override {
    auto* o = other.As<Timedelta>();
    return o && o->d == d;
  }
  std::optional<size_t> Hash() const override { return std::hash<int64_t>()(d.count()); }
  std::optional<int> Compare(const Value& other) const override {
    auto* o = other.As<Timedelta>();
    if (!o) return std::nullopt;
    return d < o->d ? -1 : d > o->d ? 1 : 0;
  }
  bool Truthy() const override { return d.count() != 0; }
  Result<std::optional<Value>> Binary(BinaryOp op, const Value& other, bool) const override {
    if (auto* o = other.As<Timedelta>()) {
      if (op == BinaryOp::kAdd) return Value(MakeRef<Timedelta>(d + o->d));
      if (op == BinaryOp::kSubtract) return Value(MakeRef<Timedelta>(d - o->d));
      if (op == BinaryOp::kDivide && o->d.count() != 0) return Value(double(d.count()) / double(o->d.count()));
      return std::nullopt;
    }
    if (other.is_number() && op == BinaryOp::kMultiply)
      return Value(MakeRef<Timedelta>(microseconds(int64_t(double(d.count()) * other.AsDouble()))));
    return std::nullopt;
  }
};

class ZoneObject : public jinja::Object {
 public:
  explicit ZoneObject(TimeZone zone) : zone(std::move(zone)) {}
  const TimeZone zone;
  std::string TypeName() const override { return "timezone"; }
  std::string ToString() const override { return zone.name(); }
  std::string Repr() const override { return "<DstTzInfo '" + zone.name() + "'>"; }
  Result<std::optional<Value>> Attribute(std::string_view name, State&) override {
    if (name == "zone") return Value(zone.name());
    return std::nullopt;
  }
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override;
};

std::optional<TimeZone> ZoneOf(const Value& value) {
  if (auto* zone = value.As<ZoneObject>()) return zone->zone;
  return std::nullopt;
}

/// A datetime, or a date when `only_date`.
class Datetime : public jinja::Object {
 public:
  Datetime(LocalTime local, std::optional<TimeZone> zone, bool only_date)
      : local(local), zone(std::move(zone)), only_date(only_date) {}
  const LocalTime local;
  const std::optional<TimeZone> zone;
  const bool only_date;

  Timestamp Utc() const { return zone ? zone->ToUtc(local) : Timestamp(local.time_since_epoch()); }
  std::optional<std::chrono::seconds> Offset() const {
    return zone ? std::optional(zone->OffsetAt(Utc())) : std::nullopt;
  }

  std::string TypeName() const override { return only_date ? "date" : "datetime"; }
  std::string Iso(char separator) const {
    Parts p = PartsOf(local);
    std::string out = fmt::format("{:04}-{:02}-{:02}", p.year, p.month, p.day);
    if (only_date) return out;
    out += separator + Clock24(p);
    if (auto offset = Offset()) out += OffsetText(*offset);
    return out;
  }
  std::string ToString() const override { return Iso(' '); }
  std::string Repr() const override { return "datetime." + TypeName() + "(" + Iso(' ') + ")"; }
  std::optional<nlohmann::json> ToJson() const override { return nlohmann::json(Iso('T')); }

  Value With(LocalTime t) const { return Value(MakeRef<Datetime>(t, zone, only_date)); }

  Result<std::optional<Value>> Attribute(std::string_view name, State&) override {
    Parts p = PartsOf(local);
    if (name == "year") return Value(p.year);
    if (name == "month") return Value(p.month);
    if (name == "day") return Value(p.day);
    if (only_date) return std::nullopt;
    if (name == "hour") return Value(p.hour);
    if (name == "minute") return Value(p.minute);
    if (name == "second") return Value(p.second);
    if (name == "microsecond") return Value(p.micro);
    if (name == "tzinfo") return zone ? Value(MakeRef<ZoneObject>(*zone)) : Value();
    return std::nullopt;
  }

  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
    if (name == "strftime") {
      auto bound = QUERN_TRY(args.Bind(name, {"format"}, 1));
      return Value(Strftime(local, bound[0]->ToString(), Offset(), zone ? zone->name() : ""));
    }
    if (name == "isoformat") {
      auto bound = QUERN_TRY(args.Bind(name, {"sep", "timespec"}));
      std::string sep = bound[0] ? bound[0]->ToString() : "T";
      return Value(Iso(sep.empty() ? 'T' : sep[0]));
    }
    if (name == "date") return Value(MakeRef<Datetime>(LocalTime(floor<days>(local)), std::nullopt, true));
    if (name == "weekday") return Value(int64_t((std::chrono::weekday(floor<days>(local)).c_encoding() + 6) % 7));
    if (name == "isoweekday")
      return Value(int64_t((std::chrono::weekday(floor<days>(local)).c_encoding() + 6) % 7 + 1));
    if (name == "toordinal") return Value(int64_t(floor<days>(local.time_since_epoch()).count() + 719163));
    if (name == "timestamp") return Value(double(MicrosSinceEpoch(Utc())) / 1e6);
    if (name == "replace") {
      auto bound =
          QUERN_TRY(args.Bind(name, {"year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo"}));
      Parts p = PartsOf(local);
      int* fields[] = {&p.year, &p.month, &p.day, &p.hour, &p.minute, &p.second, &p.micro};
      for (size_t i = 0; i < 7; ++i) {
        if (bound[i] && bound[i]->is_int()) *fields[i] = int(bound[i]->AsInt());
      }
      auto t = FromParts(p.year, p.month, p.day, p.hour, p.minute, p.second, p.micro);
      if (!t) return Fail(Error(ErrorCode::kTemplateType, "replace: there is no such date"));
      std::optional<TimeZone> z = zone;
      if (bound[7]) z = ZoneOf(*bound[7]);
      return Value(MakeRef<Datetime>(*t, z, only_date));
    }
    if (name == "astimezone") {
      auto bound = QUERN_TRY(args.Bind(name, {"tz"}));
      TimeZone to = bound[0] ? ZoneOf(*bound[0]).value_or(TimeZone::Utc()) : TimeZone::Utc();
      return Value(MakeRef<Datetime>(to.ToLocal(Utc()), to, false));
    }
    return std::nullopt;
  }
  bool Equals(const Value& other) const override {
    auto* o = other.As<Datetime>();
    return o && o->only_date == only_date && o->zone.has_value() == zone.has_value() && o->Utc() == Utc();
  }
  std::optional<size_t> Hash() const override { return std::hash<int64_t>()(MicrosSinceEpoch(Utc())); }
  std::optional<int> Compare(const Value& other) const override {
    auto* o = other.As<Datetime>();
    if (!o || o->only_date != only_date || o->zone.has_value() != zone.has_value()) return std::nullopt;
    return Utc() < o->Utc() ? -1 : Utc() > o->Utc() ? 1 : 0;
  }
  Result<std::optional<Value>> Binary(BinaryOp op, const Value& other, bool reversed) const override {
    if (auto* delta = other.As<Timedelta>()) {
      microseconds d = only_date ? microseconds(floor<days>(delta->d)) : delta->d;
      if (op == BinaryOp::kAdd) return With(local + d);
      if (op == BinaryOp::kSubtract && !reversed) return With(local - d);
      return std::nullopt;
    }
    if (auto* o = other.As<Datetime>(); o && op == BinaryOp::kSubtract && o->only_date == only_date) {
      if (o->zone.has_value() != zone.has_value()) {
        return Fail(Error(ErrorCode::kTemplateType, "can't subtract a datetime with a time zone and one without"));
      }
      microseconds d = Utc() - o->Utc();
      return Value(MakeRef<Timedelta>(reversed ? -d : d));
    }
    return std::nullopt;
  }
};

Result<std::optional<Value>> ZoneObject::CallMethod(std::string_view name, CallArgs& args) {
  if (name == "localize" || name == "normalize") {
    auto bound = QUERN_TRY(args.Bind(name, {"dt", "is_dst"}, 1));
    auto* dt = bound[0]->As<Datetime>();
    if (!dt) return Fail(Error(ErrorCode::kTemplateType, "localize wants a datetime"));
    if (name == "normalize") return Value(MakeRef<Datetime>(zone.ToLocal(dt->Utc()), zone, false));
    return Value(MakeRef<Datetime>(dt->local, zone, false));
  }
  return std::nullopt;
}

Result<Value> BuildDatetime(CallArgs& args, bool only_date) {
  std::vector<std::optional<Value>> bound;
  if (only_date) {
    bound = QUERN_TRY(args.Bind("date", {"year", "month", "day"}, 3));
  } else {
    bound = QUERN_TRY(
        args.Bind("datetime", {"year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo"}, 3));
  }
  int fields[7] = {1970, 1, 1, 0, 0, 0, 0};
  for (size_t i = 0; i < std::min<size_t>(7, bound.size()); ++i) {
    if (bound[i]) {
      if (!bound[i]->is_int())
        return Fail(Error(ErrorCode::kTemplateType, "datetime wants whole numbers, not " + bound[i]->Repr()));
      fields[i] = int(bound[i]->AsInt());
    }
  }
  auto t = FromParts(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6]);
  if (!t)
    return Fail(
        Error(ErrorCode::kTemplateType, fmt::format("there is no date {}-{}-{}", fields[0], fields[1], fields[2])));
  std::optional<TimeZone> zone;
  if (bound.size() > 7 && bound[7]) zone = ZoneOf(*bound[7]);
  return Value(MakeRef<Datetime>(*t, zone, only_date));
}

/// The class `datetime` or `date` itself.
class DatetimeClass : public jinja::Object {
 public:
  DatetimeClass(const Clock& clock, bool only_date) : clock_(clock), only_date_(only_date) {}
  std::string TypeName() const override { return "type"; }
  std::string Repr() const override { return only_date_ ? "<class 'datetime.date'>" : "<class 'datetime.datetime'>"; }
  bool callable() const override { return true; }
  Result<Value> Call(CallArgs& args) override { return BuildDatetime(args, only_date_); }
  Result<std::optional<Value>> Attribute(std::string_view name, State&) override {
    if (name == "min") return Value(MakeRef<Datetime>(*FromParts(1, 1, 1), std::nullopt, only_date_));
    if (name == "max") return Value(MakeRef<Datetime>(*FromParts(9999, 12, 31), std::nullopt, only_date_));
    return std::nullopt;
  }
  Result<std::optional<Value>> CallMethod(std::string_view name, CallArgs& args) override {
    if (name == "today" && only_date_)
      return Value(
          MakeRef<Datetime>(LocalTime(floor<days>(TimeZone::Utc().ToLocal(clock_.Now()))), std::nullopt, true));
    if (name == "now" || name == "today" || name == "utcnow") {
      auto bound = QUERN_TRY(args.Bind(name, {"tz"}));
      std::optional<TimeZone> zone;
      if (bound[0]) zone = ZoneOf(*bound[0]);
      return Value(MakeRef<Datetime>(zone.value_or(TimeZone::Utc()).ToLocal(clock_.Now()), zone, false));
    }
    if (name == "fromisoformat") {
      auto bound = QUERN_TRY(args.Bind(name, {"date_string"}, 1));
      std::string text = bound[0]->ToString();
      Timestamp t = QUERN_TRY(ParseTimestamp(text, TimeZone::Utc()));
      bool zoned =
          text.size() > 10 && (text.back() == 'Z' || text.find('+', 10) != std::string::npos || text.rfind('-') > 10);
      LocalTime local = TimeZone::Utc().ToLocal(t);
      return Value(MakeRef<Datetime>(only_date_ ? LocalTime(floor<days>(local)) : local,
                                     zoned && !only_date_ ? std::optional(TimeZone::Utc()) : std::nullopt, only_date_));
    }
    if (name == "strptime") {
      auto bound = QUERN_TRY(args.Bind(name, {"date_string", "format"}, 2));
      std::string text = bound[0]->ToString(), format = bound[1]->ToString();
      std::optional<LocalTime> t = ParseTimeFormat(text, format);
      if (!t)
        return Fail(Error(ErrorCode::kTemplateType, "time data '" + text + "' does not match format '" + format + "'"));
      return Value(MakeRef<Datetime>(
          *t, format.find("%z") != std::string::npos ? std::optional(TimeZone::Utc()) : std::nullopt, false));
    }
    if (name == "strftime") {
      auto bound = QUERN_TRY(args.Bind(name, {"dt", "format"}, 2));
      auto* dt = bound[0]->As<Datetime>();
      if (!dt) return Fail(Error(ErrorCode::kTemplateType, "strftime wants a datetime"));
      return Value(Strftime(dt->local, bound[1]->ToString(), dt->Offset(), dt->zone ? dt->zone->name() : ""));
    }
    if (name == "fromtimestamp" || name == "utcfromtimestamp") {
      auto bound = QUERN_TRY(args.Bind(name, {"timestamp", "tz"}, 1));
      if (!bound[0]->is_number()) return Fail(Error(ErrorCode::kTemplateType, "fromtimestamp wants a number"));
      std::optional<TimeZone> zone;
      if (bound[1]) zone = ZoneOf(*bound[1]);
      Timestamp t = FromMicros(std::llround(bound[0]->AsDouble() * 1e6));
      LocalTime local = zone.value_or(TimeZone::Utc()).ToLocal(t);
      return Value(MakeRef<Datetime>(only_date_ ? LocalTime(floor<days>(local)) : local, zone, only_date_));
    }
    if (name == "combine") {
      auto bound = QUERN_TRY(args.Bind(name, {"date", "time"}, 2));
      auto* date = bound[0]->As<Datetime>();
      auto* time = bound[1]->As<Datetime>();
      if (!date || !time) return Fail(Error(ErrorCode::kTemplateType, "combine wants a date and a time"));
      return Value(MakeRef<Datetime>(LocalTime(floor<days>(date->local)) + (time->local - floor<days>(time->local)),
                                     std::nullopt, false));
    }
    return std::nullopt;
  }

 private:
  const Clock& clock_;
  bool only_date_;
};

}  // namespace

Value MakeDatetime(LocalTime local, std::optional<TimeZone> zone) {
  return Value(MakeRef<Datetime>(local, std::move(zone), false));
}

std::optional<Value> ParseDateValue(const std::string& text, const std::string& type) {
  Result<Timestamp> t = ParseTimestamp(text, TimeZone::Utc());
  if (!t) return std::nullopt;
  LocalTime local = TimeZone::Utc().ToLocal(*t);
  if (type == "DATE") return Value(MakeRef<Datetime>(local, std::nullopt, true));
  bool zoned = type.find("TIME ZONE") != std::string::npos || type == "TIMESTAMPTZ";
  return Value(MakeRef<Datetime>(local, zoned ? std::optional(TimeZone::Utc()) : std::nullopt, false));
}

Value MakeDatetimeModule(const Clock& clock) {
  Value timedelta = Value::Function("timedelta", [](CallArgs& args) -> Result<Value> {
    auto bound = QUERN_TRY(
        args.Bind("timedelta", {"days", "seconds", "microseconds", "milliseconds", "minutes", "hours", "weeks"}));
    const double unit[] = {86400e6, 1e6, 1, 1e3, 60e6, 3600e6, 604800e6};
    double total = 0;
    for (size_t i = 0; i < 7; ++i) {
      if (!bound[i]) continue;
      if (!bound[i]->is_number())
        return Fail(Error(ErrorCode::kTemplateType, "timedelta wants numbers, not " + bound[i]->Repr()));
      total += bound[i]->AsDouble() * unit[i];
    }
    return Value(MakeRef<Timedelta>(microseconds(std::llround(total))));
  });
  Value time = Value::Function("time", [](CallArgs& args) -> Result<Value> {
    auto bound = QUERN_TRY(args.Bind("time", {"hour", "minute", "second", "microsecond"}));
    int f[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < 4; ++i) {
      if (bound[i] && bound[i]->is_int()) f[i] = int(bound[i]->AsInt());
    }
    auto t = FromParts(1970, 1, 1, f[0], f[1], f[2], f[3]);
    if (!t) return Fail(Error(ErrorCode::kTemplateType, "there is no such time"));
    return Value(MakeRef<Datetime>(*t, std::nullopt, false));
  });
  return Value::NewDict({{"datetime", Value(MakeRef<DatetimeClass>(clock, false))},
                         {"date", Value(MakeRef<DatetimeClass>(clock, true))},
                         {"time", time},
                         {"timedelta", timedelta},
                         {"timezone", Value::NewDict({{"utc", Value(MakeRef<ZoneObject>(TimeZone::Utc()))}})}});
}

Value MakePytzModule() {
  Value timezone = Value::Function("timezone", [](CallArgs& args) -> Result<Value> {
    auto bound = QUERN_TRY(args.Bind("timezone", {"zone"}, 1));
    return Value(MakeRef<ZoneObject>(QUERN_TRY(TimeZone::Find(bound[0]->ToString()))));
  });
  Value utc(MakeRef<ZoneObject>(TimeZone::Utc()));
  return Value::NewDict({{"timezone", timezone}, {"utc", utc}, {"UTC", utc}});
}

}  // namespace quern::dbt
