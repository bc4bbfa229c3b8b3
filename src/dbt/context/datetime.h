#pragma once
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/time.h"
#include "jinja/value.h"

namespace quern::dbt {

/// Python's datetime.datetime: with a zone when `zone` is set, else naive.
jinja::Value MakeDatetime(LocalTime local, std::optional<TimeZone> zone);
/// Now and UTC as `modules.datetime`, `modules.pytz`; times come from `clock`, which must outlive the values.
jinja::Value MakeDatetimeModule(const Clock& clock);
jinja::Value MakePytzModule();
/// A DATE or TIMESTAMP text of the engine as a date or datetime object.
std::optional<jinja::Value> ParseDateValue(const std::string& text, const std::string& type);

}  // namespace quern::dbt
