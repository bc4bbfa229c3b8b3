#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "engine/duckdb/database.h"
#include "ingest/value_sql.h"

namespace quern::ingest {
namespace {

class ValueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    engine::DuckDbOptions options;
    options.threads = 1;
    db_ = *engine::DuckDatabase::Open(options);
    connection_ = *db_->Connect();
  }
  // The value as text, or "bad".
  std::string Value(const ValueSpec& spec, const std::string& literal) {
    const ValueSql sql = MakeValue(spec, "c");
    const auto answer = connection_->Execute(
        fmt::format("SELECT CASE WHEN {} THEN coalesce(CAST({} AS VARCHAR), '-') ELSE 'bad' END FROM (SELECT {} AS c)",
                    sql.ok, sql.value, literal));
    return answer ? engine::ToText(answer->rows[0][0]) : answer.error().ToString();
  }
  std::string FromText(const char* type, const std::string& text, bool inferred = false) {
    ValueSpec spec;
    spec.target = *Type::Parse(type, Type::From::kUser);
    spec.inferred = inferred;
    return Value(spec, QuoteLiteral(text));
  }
  // The first type that a text may be guessed as.
  std::string Guess(const std::string& text) {
    for (const Type& candidate : Candidates(false)) {
      ValueSpec spec;
      spec.target = candidate;
      spec.inferred = true;
      if (Value(spec, QuoteLiteral(text)) != "bad") return candidate.ToSql();
    }
    return "";
  }

  std::unique_ptr<engine::DuckDatabase> db_;
  std::unique_ptr<engine::Connection> connection_;
};

TEST_F(ValueTest, GuessesNothingThatWouldChange) {
  for (const char* text : {"0", "7", "-12", "9223372036854775807"}) EXPECT_EQ(Guess(text), "BIGINT") << text;
  for (const char* text : {"1.5", "-0.25", ".5", "1.", "1e3", "nan", "1234567890123456.5"})
    EXPECT_EQ(Guess(text), "DOUBLE") << text;
  for (const char* text : {"true", "False"}) EXPECT_EQ(Guess(text), "BOOLEAN") << text;
  EXPECT_EQ(Guess("2026-01-31"), "DATE");
  for (const char* text : {"2026-01-31 10:00:00", "2026-01-31T10:00:00Z", "2026-01-31 10:00:00.123+02:00"})
    EXPECT_EQ(Guess(text), "TIMESTAMP WITH TIME ZONE") << text;
  for (const char* text : {"007", "+7", " 7", "1_000", "0x10", "00.5", "9223372036854775808", "t", "yes", "31.01.2026",
                           "2026-1-1", "2026-02-31", "10:00", "infinity?", "epoch", "", "x"}) {
    EXPECT_EQ(Guess(text), "VARCHAR") << text;
  }
}

TEST_F(ValueTest, TakesWhatCanBeKept) {
  EXPECT_EQ(FromText("integer", " +007.00 "), "7");
  EXPECT_EQ(FromText("integer", "1.5"), "bad");
  EXPECT_EQ(FromText("integer", "3000000000"), "bad");
  EXPECT_EQ(FromText("tinyint", "128"), "bad");
  EXPECT_EQ(FromText("double", "1e3"), "1000.0");
  EXPECT_EQ(FromText("decimal(5,2)", "1.235"), "1.24");
  EXPECT_EQ(FromText("decimal(5,2)", "12345"), "bad");
  EXPECT_EQ(FromText("boolean", "t"), "true");
  EXPECT_EQ(FromText("date", "2026-1-2"), "2026-01-02");
  EXPECT_EQ(FromText("date", "2026-01-02 00:00:00"), "2026-01-02");
  EXPECT_EQ(FromText("date", "2026-01-02 00:00:01"), "bad");
  EXPECT_EQ(FromText("timestamp", "2026-01-02"), "2026-01-02 00:00:00+00");
  EXPECT_EQ(FromText("timestamp", "infinity"), "bad");
  EXPECT_EQ(FromText("timestamp_ntz", "2026-01-02 10:00:00"), "2026-01-02 10:00:00");
}

TEST_F(ValueTest, FormatsAndZones) {
  ValueSpec spec;
  spec.target = Type::Kind::kTimestamp;
  spec.format = "%d.%m.%Y %H:%M";
  spec.zone = *TimeZone::Find("Europe/Berlin");
  EXPECT_EQ(Value(spec, "'01.07.2026 12:00'"), "2026-07-01 10:00:00+00");
  EXPECT_EQ(Value(spec, "'2026-07-01'"), "bad");
  EXPECT_EQ(Value(spec, "CAST(NULL AS VARCHAR)"), "-");
  spec.format = "%Y-%m-%dT%H:%M%z";
  EXPECT_EQ(Value(spec, "'2026-07-01T12:00+0500'"), "2026-07-01 07:00:00+00");
  spec.format = "";
  EXPECT_EQ(Value(spec, "'2026-07-01 12:00:00'"), "2026-07-01 10:00:00+00");
  EXPECT_EQ(Value(spec, "'2026-07-01 12:00:00-0100'"), "2026-07-01 13:00:00+00");
  EXPECT_EQ(Value(spec, "'2026-07-01'"), "2026-06-30 22:00:00+00");
  spec.nullable = false;
  EXPECT_EQ(Value(spec, "CAST(NULL AS VARCHAR)"), "bad");
}

TEST_F(ValueTest, JsonKeepsItsStructure) {
  ValueSpec spec;
  spec.raw = Raw::kJson;
  spec.target = *Type::Parse("STRUCT(b VARCHAR, a BIGINT, l DOUBLE[])", Type::From::kEngine);
  EXPECT_EQ(Value(spec, "'{\"a\": 1, \"l\": [1, null]}'::JSON"), "{'b': NULL, 'a': 1, 'l': [1.0, NULL]}");
  EXPECT_EQ(Value(spec, "'{\"a\": 99999999999999999999}'::JSON"), "bad");
  spec.bad_structures = {"{\"a\":\"DOUBLE\"}"};
  EXPECT_EQ(Value(spec, "'{\"a\": 1.5}'::JSON"), "bad");
  EXPECT_EQ(Value(spec, "'{\"a\": 2}'::JSON"), "{'b': NULL, 'a': 2, 'l': NULL}");
  spec.target = Type::Kind::kVarchar;
  EXPECT_EQ(Value(spec, "'{\"a\": 2}'::JSON"), "{\"a\":2}");
  EXPECT_EQ(Value(spec, "'\"text\"'::JSON"), "text");
}

TEST_F(ValueTest, TypedValuesArriveWhole) {
  ValueSpec spec;
  spec.raw = Raw::kTyped;
  spec.raw_type = Type::Kind::kDouble;
  spec.raw_sql_type = "DOUBLE";
  spec.target = Type::Kind::kInteger;
  EXPECT_EQ(Value(spec, "2.0::DOUBLE"), "2");
  EXPECT_EQ(Value(spec, "2.5::DOUBLE"), "bad");
  EXPECT_EQ(Value(spec, "1e12::DOUBLE"), "bad");
  spec.raw_type = *Type::Parse("INTEGER[]", Type::From::kEngine);
  spec.raw_sql_type = "INTEGER[]";
  spec.target = Type::Kind::kVarchar;
  EXPECT_EQ(Value(spec, "[1, 2]"), "[1,2]");
}

}  // namespace
}  // namespace quern::ingest
