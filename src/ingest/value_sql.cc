#include "ingest/value_sql.h"

#include <fmt/format.h>

#include "base/text.h"

namespace quern::ingest {
namespace {

using Kind = Type::Kind;

// A time that says its own offset from UTC.
constexpr const char* kOffset = R"(:[0-9.]+ ?([zZ]|[+-][0-9]{1,2}(:?[0-9]{2})?)$)";
// Numbers that DOUBLE gives back: no leading zeros (they are part of a code), no whole numbers past 15 digits.
constexpr const char* kPlainDouble =
    R"(-?((0|[1-9][0-9]{0,14})(\.[0-9]*)?|[1-9][0-9]*\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|-?(?i:nan|inf|infinity))";

std::string NotNull(const std::string& sql) {
  return fmt::format("({}) IS NOT NULL", sql);
}
std::string Finite(const std::string& sql) {
  return fmt::format("coalesce(isfinite({}), false)", sql);
}

// `ok` for values that are there.
std::string OrNull(const std::string& column, const std::string& ok) {
  return fmt::format("({} IS NULL OR {})", column, ok);
}

bool SaysOffset(const std::string& format) {
  return format.find("%z") != std::string::npos;
}

ValueSql OfText(const ValueSpec& spec, const std::string& text) {
  const std::string type = spec.target.ToSql();
  ValueSql out;
  out.text = text;
  out.value = fmt::format("TRY_CAST({} AS {})", text, type);
  switch (spec.target.kind) {
    case Kind::kUnknown:
    case Kind::kVarchar:
      out.value = text;
      out.ok = "true";
      return out;
    case Kind::kTinyInt:
    case Kind::kSmallInt:
    case Kind::kInteger:
    case Kind::kBigInt: {
      const std::string same = fmt::format("coalesce(CAST({} AS VARCHAR) = {}, false)", out.value, text);
      out.ok = spec.inferred ? same
                             : fmt::format("{} OR ({} AND regexp_full_match({}, {}))", same, NotNull(out.value), text,
                                           QuoteLiteral(spec.guessed ? R"(\s*[+-]?(0|[1-9][0-9]*)(\.0*)?\s*)"
                                                                     : R"(\s*[+-]?[0-9]+(\.0*)?\s*)"));
      break;
    }
    case Kind::kFloat:
    case Kind::kDouble:
      out.ok = spec.inferred ? fmt::format("regexp_full_match({}, {}) AND {}", text, QuoteLiteral(kPlainDouble),
                                           NotNull(out.value))
                             : NotNull(out.value);
      if (spec.guessed)
        out.ok = fmt::format("{} AND NOT regexp_matches({}, {})", out.ok, text, QuoteLiteral(R"(^\s*[+-]?0[0-9])"));
      break;
    case Kind::kBoolean:
      out.ok = spec.inferred ? fmt::format("lower({}) IN ('true', 'false')", text) : NotNull(out.value);
      break;
    case Kind::kDate:
      if (!spec.format.empty()) {
        out.value = fmt::format("CAST(try_strptime({}, {}) AS DATE)", text, QuoteLiteral(spec.format));
        out.ok = Finite(out.value);
      } else if (spec.inferred) {
        out.ok = fmt::format("length({}) = 10 AND {}", text, Finite(out.value));
      } else {
        // A time of day would be lost. Most have no more than ten bytes, which is soon seen.
        out.ok = fmt::format(
            "{0} AND (strlen({1}) <= 10 OR length(trim({1})) <= 10 OR TRY_CAST({1} AS TIMESTAMP) = CAST({2} AS "
            "TIMESTAMP))",
            Finite(out.value), text, out.value);
      }
      break;
    case Kind::kTimestamp: {
      const std::string zone = QuoteLiteral(spec.zone.name());
      if (!spec.format.empty()) {
        out.value = fmt::format("try_strptime({}, {})", text, QuoteLiteral(spec.format));
        if (!SaysOffset(spec.format)) out.value = fmt::format("timezone({}, {})", zone, out.value);
      } else if (spec.zone.name() != TimeZone::Utc().name()) {
        out.value = fmt::format(
            "CASE WHEN regexp_matches({0}, {1}) THEN TRY_CAST({0} AS TIMESTAMPTZ) ELSE timezone({2}, TRY_CAST({0} AS "
            "TIMESTAMP)) END",
            text, QuoteLiteral(kOffset), zone);
      } else {
        // A calendar is slow, and not needed where no offset can be.
        out.value = fmt::format(
            "CASE WHEN {0} LIKE '____-__-__ __:__:__' THEN make_timestamptz(epoch_us(TRY_CAST({0} AS TIMESTAMP))) ELSE "
            "{1} END",
            text, out.value);
      }
      out.ok = spec.inferred ? fmt::format("length({}) >= 10 AND {}", text, Finite(out.value)) : Finite(out.value);
      break;
    }
    case Kind::kTimestampNtz:
      if (!spec.format.empty()) {
        out.value = fmt::format("CAST(try_strptime({}, {}) AS TIMESTAMP)", text, QuoteLiteral(spec.format));
      }
      out.ok = Finite(out.value);
      break;
    default:
      out.ok = NotNull(out.value);
      break;
  }
  out.ok = OrNull(text, out.ok);
  return out;
}

ValueSql OfJson(const ValueSpec& spec, const std::string& json) {
  const std::string text = fmt::format("({} ->> '$')", json);
  if (!spec.target.nested()) return OfText(spec, text);
  ValueSql out;
  out.text = fmt::format("CAST({} AS VARCHAR)", json);
  out.value = fmt::format("json_transform({}, {})", json, QuoteLiteral(TransformStructure(spec.target)));
  // Whole numbers that BIGINT cannot hold would become null inside.
  std::string ok =
      fmt::format("NOT regexp_matches({}, {})", out.text, QuoteLiteral(R"([:\[,]\s*-?[0-9]{19,}\s*[,\]}])"));
  if (!spec.bad_structures.empty()) {
    std::string list;
    for (const std::string& structure : spec.bad_structures)
      list += (list.empty() ? "" : ", ") + QuoteLiteral(structure);
    ok += fmt::format(" AND CAST(json_structure({}) AS VARCHAR) NOT IN ({})", json, list);
  }
  out.ok = OrNull(json, ok);
  return out;
}

ValueSql OfTyped(const ValueSpec& spec, const std::string& column) {
  const std::string type = spec.target.ToSql();
  const Type& raw = spec.raw_type;
  ValueSql out;
  if (raw.kind == Kind::kVarchar && spec.target.kind != Kind::kVarchar && !spec.target.nested()) {
    return OfText(spec, fmt::format("CAST({} AS VARCHAR)", column));
  }
  out.text = fmt::format("CAST({} AS VARCHAR)", column);
  out.ok = "true";
  if (raw.kind == Kind::kTimestampNtz && spec.target.kind == Kind::kTimestamp) {
    out.value = fmt::format("timezone({}, CAST({} AS TIMESTAMP))", QuoteLiteral(spec.zone.name()), column);
  } else if (raw.kind == Kind::kTimestamp && spec.target.kind == Kind::kTimestampNtz) {
    out.value = fmt::format("timezone({}, {})", QuoteLiteral(spec.zone.name()), column);
  } else if (Upper(spec.raw_sql_type) == Upper(type)) {
    out.value = column;
  } else if (raw.nested() && spec.target.kind == Kind::kVarchar) {
    out.value = fmt::format("CAST(to_json({}) AS VARCHAR)", column);
  } else if (Fits(raw, spec.target)) {
    out.value = fmt::format("CAST({} AS {})", column, type);
  } else {
    out.value = fmt::format("TRY_CAST({} AS {})", column, type);
    if (raw.nested() || spec.target.nested()) {
      out.ok = OrNull(column, "false");
    } else {
      const std::string back = spec.raw_sql_type.empty() ? raw.ToSql() : spec.raw_sql_type;
      out.ok = OrNull(column, fmt::format("coalesce(TRY_CAST({} AS {}) = {}, false)", out.value, back, column));
    }
  }
  return out;
}

}  // namespace

ValueSql MakeValue(const ValueSpec& spec, const std::string& column) {
  ValueSql out = spec.raw == Raw::kText   ? OfText(spec, column)
                 : spec.raw == Raw::kJson ? OfJson(spec, column)
                                          : OfTyped(spec, column);
  if (!spec.nullable) {
    const std::string there = fmt::format("{} IS NOT NULL", out.text);
    out.ok = out.ok == "true" ? there : fmt::format("({} AND {})", there, out.ok);
  }
  return out;
}

std::vector<Type> Candidates(bool text_only) {
  if (text_only) return {Kind::kDate, Kind::kTimestamp, Kind::kVarchar};
  return {Kind::kBigInt, Kind::kDouble, Kind::kBoolean, Kind::kDate, Kind::kTimestamp, Kind::kVarchar};
}

std::vector<Type> WiderTypes(const Type& type) {
  switch (type.kind) {
    case Kind::kTinyInt:
      return {Kind::kSmallInt, Kind::kInteger, Kind::kBigInt, Kind::kDouble, Kind::kVarchar};
    case Kind::kSmallInt:
      return {Kind::kInteger, Kind::kBigInt, Kind::kDouble, Kind::kVarchar};
    case Kind::kInteger:
      return {Kind::kBigInt, Kind::kDouble, Kind::kVarchar};
    case Kind::kBigInt:
    case Kind::kFloat:
      return {Kind::kDouble, Kind::kVarchar};
    case Kind::kDate:
      return {Kind::kTimestamp, Kind::kVarchar};
    case Kind::kVarchar:
      return {};
    default:
      return {Kind::kVarchar};
  }
}

std::string TransformStructure(const Type& type) {
  if (type.kind == Kind::kList) return "[" + TransformStructure(type.fields[0].type) + "]";
  if (type.kind != Kind::kStruct) return Json(type.ToSql()).dump();
  std::string out;  // in the order of the fields, which Json would not keep
  for (const Type::Field& field : type.fields) {
    out += (out.empty() ? "" : ",") + Json(field.name).dump() + ":" + TransformStructure(field.type);
  }
  return "{" + out + "}";
}

}  // namespace quern::ingest
