#include "ml/expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/text.h"

namespace quern::ml {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Names TestNames() {
  Names names;
  for (const char* name : {"auc", "log_loss", "dummy.auc", "drift.share", "drift.*", "rows", "slice.*.auc"})
    names.types[name] = ValueType::kNumber;
  names.types["age"] = ValueType::kDuration;
  return names;
}

Expression Parsed(std::string_view text) {
  auto expression = Expression::Parse(text, {"m.yml", 10, 17});
  EXPECT_TRUE(expression) << text << ": " << expression.error().ToString();
  return expression ? *expression : *Expression::Parse("true", {});
}

std::string ParseError(std::string_view text) {
  auto expression = Expression::Parse(text, {"m.yml", 10, 17});
  EXPECT_FALSE(expression) << text;
  if (expression) return "";
  EXPECT_EQ(expression.error().code(), ErrorCode::kExpression);
  return expression.error().ToString();
}

std::vector<std::string> CheckErrors(std::string_view text) {
  Diagnostics diagnostics;
  Parsed(text).Check(TestNames(), diagnostics);
  std::vector<std::string> errors;
  for (const auto& error : diagnostics.errors()) {
    EXPECT_EQ(error.code(), ErrorCode::kExpression);
    errors.push_back(error.ToString());
  }
  return errors;
}

class ExpressionTest : public testing::Test {
 protected:
  void SetUp() override {
    environment_.zone = *TimeZone::Find("America/New_York");
    environment_.now = *ParseTimestamp("2013-08-31", environment_.zone);
    Set("auc", 0.681);
    Set("dummy.auc", 0.5);
    Set("drift.share", 0.25);
    Set("rows", 12345);
    environment_.values["age"] = Measured::UnknownBecause("there is no champion");
  }
  void Set(const std::string& name, double value) { environment_.values[name] = Measured::Number(value); }
  void Born(const char* date) {
    environment_.values["age"] = Measured::Since(*ParseTimestamp(date, environment_.zone));
  }
  Verdict Evaluate(std::string_view text) {
    Diagnostics diagnostics;
    auto expression = Parsed(text);
    return expression.Evaluate(environment_);
  }
  void Expect(std::string_view text, Truth truth, std::string_view reason) {
    const Verdict verdict = Evaluate(text);
    EXPECT_EQ(verdict.truth, truth) << text;
    EXPECT_EQ(verdict.reason, reason) << text;
  }

  Environment environment_;
};

TEST_F(ExpressionTest, ComparisonsAreToldAsTheyWereFound) {
  Expect("auc < 0.70", Truth::kTrue, "auc 0.681 < 0.70");
  Expect("auc >= 70%", Truth::kFalse, "auc 0.681 < 70%");
  Expect("not auc >= 0.7", Truth::kTrue, "auc 0.681 < 0.7");
  Expect("auc > dummy.auc + 0.05", Truth::kTrue, "auc 0.681 > dummy.auc + 0.05 (0.55)");
  Expect("rows == 12345", Truth::kTrue, "rows 12345 == 12345");
  Expect("rows <> 12345", Truth::kFalse, "rows 12345 == 12345");
  Expect("true", Truth::kTrue, "always true");
  Expect("false", Truth::kFalse, "never true");
}

TEST_F(ExpressionTest, TheComparisonsThatDecidedMakeTheReason) {
  Expect("auc < 0.7 or drift.share > 0.3", Truth::kTrue, "auc 0.681 < 0.7");
  Expect("auc < 0.6 or drift.share > 0.3", Truth::kFalse, "auc 0.681 >= 0.6; drift.share 0.25 <= 0.3");
  Expect("auc < 0.7 and drift.share > 0.3", Truth::kFalse, "drift.share 0.25 <= 0.3");
  Expect("auc < 0.7 and drift.share > 20%", Truth::kTrue, "auc 0.681 < 0.7; drift.share 0.25 > 20%");
}

TEST_F(ExpressionTest, WhatIsUnknownIsNeitherTrueNorFalse) {
  Expect("age > 6 months", Truth::kUnknown, "age is unknown: there is no champion");
  Expect("not age > 6 months", Truth::kUnknown, "age is unknown: there is no champion");
  Expect("auc < 0.7 or age > 6 months", Truth::kTrue, "auc 0.681 < 0.7");
  Expect("auc < 0.6 or age > 6 months", Truth::kUnknown, "auc 0.681 >= 0.6; age is unknown: there is no champion");
  Expect("auc < 0.7 and age > 6 months", Truth::kUnknown, "age is unknown: there is no champion");
  Expect("auc < 0.6 and age > 6 months", Truth::kFalse, "auc 0.681 >= 0.6");
  Expect("log_loss == log_loss", Truth::kUnknown, "log_loss is unknown");
  Expect("auc / (rows - rows) > 1", Truth::kUnknown, "auc / (rows - rows) is unknown: a division by zero");
  EXPECT_FALSE(Evaluate("age > 6 months").holds());
  Set("auc", std::nan(""));
  Expect("auc < 2", Truth::kUnknown, "auc is unknown: it is no finite number");
}

TEST_F(ExpressionTest, MonthsOfAnAgeAreTheCalendars) {
  Born("2013-02-28");  // 31 August back by six months is the last of February
  Expect("age >= 6 months", Truth::kTrue, "age 184 days >= 6 months");
  Expect("age > 6 months", Truth::kFalse, "age 184 days <= 6 months");
  Born("2013-02-27");
  Expect("age > 6 months", Truth::kTrue, "age 185 days > 6 months");
  Expect("age > 26 weeks", Truth::kTrue, "age 185 days > 26 weeks");
  Expect("age + 1 week > 6 months + 2 days", Truth::kTrue,
         "age + 1 week (192 days) > 6 months + 2 days (6 months 2 days)");
  Expect("age - 1 week < 6 months", Truth::kTrue, "age - 1 week (178 days) < 6 months");
  Expect("30 days < 1 month", Truth::kTrue, "30 days < 1 month");  // July has 31
  Born("2013-08-30T12:00");
  Expect("age < 1 day", Truth::kTrue, "age 12 hours < 1 day");
}

TEST_F(ExpressionTest, EveryNameIsRecordedWithItsValue) {
  Born("2013-08-21");
  const Verdict verdict = Evaluate("auc < 0.7 or (log_loss > 1 and age > 5 days) or auc > 2");
  EXPECT_EQ(verdict.values, Json::parse(R"({"auc": 0.681, "log_loss": null, "age": 10.0})"));
}

TEST_F(ExpressionTest, CalculatesWithTheUsualPrecedence) {
  EXPECT_TRUE(Evaluate("1 + 2 * 3 == 7 and (1 + 2) * 3 == 9 and 7 - 2 - 1 == 4 and 8 / 2 / 2 == 2").holds());
  EXPECT_TRUE(Evaluate("-2 * -3 == 6 and --1 == 1 and 1e3 == 1000 and .5 == 50%").holds());
  EXPECT_TRUE(Evaluate("false and true or true").holds());
  EXPECT_TRUE(Evaluate("NOT false AND TRUE").holds());
  Expect("1e308 * 100 > 1", Truth::kUnknown, "1e308 * 100 is unknown: it is too large");
}

TEST_F(ExpressionTest, NamesInQuotesMayHoldAnything) {
  Set("slice.origin=JFK.auc", 0.6);
  Set("drift.air time", 0.2);
  Expect("slice.\"origin=JFK\".auc > 0.5", Truth::kTrue, "slice.\"origin=JFK\".auc 0.6 > 0.5");
  Expect("drift.\"air time\" > 0.1", Truth::kTrue, "drift.\"air time\" 0.2 > 0.1");
  EXPECT_THAT(CheckErrors("slice.\"origin=JFK\".auc > 0.5"), ElementsAre());
}

TEST_F(ExpressionTest, ErrorsOfSyntaxHaveTheirPlaceInTheFile) {
  EXPECT_THAT(ParseError("auc < "),
              HasSubstr("m.yml:10:23: error Q1302: the expression ends where a value is missing"));
  EXPECT_THAT(ParseError("auc = 1"), HasSubstr("m.yml:10:21"));
  EXPECT_THAT(ParseError("auc = 1"), HasSubstr("write '=='"));
  EXPECT_THAT(ParseError("auc < 1 &&\n  rows > 3"), HasSubstr("write 'and'"));
  EXPECT_THAT(ParseError("auc < 1 and\n  rows >> 3"), HasSubstr("m.yml:11:9"));
  EXPECT_THAT(ParseError("0 < auc < 1"), HasSubstr("a < b and b < c"));
  EXPECT_THAT(ParseError("(auc < 1"), HasSubstr("m.yml:10:17: error Q1302: a parenthesis is not closed"));
  EXPECT_THAT(ParseError("auc < 1)"), HasSubstr("')' cannot stand here"));
  EXPECT_THAT(ParseError("auc 1"), HasSubstr("an operator is missing"));
  EXPECT_THAT(ParseError("age > 6 mnths"), HasSubstr("minutes, hours, days, weeks, months, years"));
  EXPECT_THAT(ParseError("age > 1.5 months"), HasSubstr("whole number"));
  EXPECT_THAT(ParseError("abs(auc) < 1"), HasSubstr("there are no functions"));
  EXPECT_THAT(ParseError("auc < 0.7.1"), HasSubstr("m.yml:10:23"));
  EXPECT_THAT(ParseError("auc < '0.7'"), HasSubstr("double quotes"));
  EXPECT_THAT(ParseError("auc ≤ 0.7"), HasSubstr("'≤' cannot stand here"));
  EXPECT_THAT(ParseError("\"auc < 1"), HasSubstr("does not end"));
  EXPECT_THAT(ParseError("drift. < 1"), HasSubstr("m.yml:10:24"));
  EXPECT_THAT(ParseError("auc < 1e999"), HasSubstr("out of range"));
  EXPECT_THAT(ParseError("  "), HasSubstr("empty"));
  EXPECT_THAT(ParseError("and"), HasSubstr("'and' cannot stand here"));
}

TEST_F(ExpressionTest, DepthAndLengthAreBounded) {
  EXPECT_THAT(ParseError(std::string(100'000, '(')), HasSubstr("too long"));
  EXPECT_THAT(ParseError(std::string(500, '(') + "auc"), HasSubstr("nested too deeply"));
  EXPECT_THAT(ParseError(std::string(500, '-') + "auc"), HasSubstr("nested too deeply"));
  std::string chain = "auc";
  for (int i = 0; i < 900; ++i) chain += " + 1";
  EXPECT_TRUE(Evaluate(chain + " > 2").holds());
}

TEST_F(ExpressionTest, UnknownNamesAreReportedAllAtOnceWithTheNearest) {
  const auto errors = CheckErrors("acu < 0.7 or drift.share > dummy.acu");
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_THAT(errors[0], HasSubstr("m.yml:10:17: error Q1302: unknown name 'acu'"));
  EXPECT_THAT(errors[0], HasSubstr("did you mean 'auc'?"));
  EXPECT_THAT(errors[1], HasSubstr("m.yml:10:44"));
  EXPECT_THAT(errors[1], HasSubstr("did you mean 'dummy.auc'?"));
  EXPECT_THAT(CheckErrors("drift.any_feature > 1"), ElementsAre());
}

TEST_F(ExpressionTest, UnlikeTypesAreReported) {
  EXPECT_THAT(CheckErrors("auc < 6 months"), ElementsAre(HasSubstr("compares a number with a duration")));
  EXPECT_THAT(CheckErrors("age > 6"), ElementsAre(HasSubstr("write a duration as '6 months'")));
  EXPECT_THAT(CheckErrors("auc"), ElementsAre(HasSubstr("no yes-or-no question")));
  EXPECT_THAT(CheckErrors("auc < 1 and age"), ElementsAre(HasSubstr("'age' is a duration")));
  EXPECT_THAT(CheckErrors("age * 2 > 1 month"), ElementsAre(HasSubstr("'*' between a duration and a number")));
  EXPECT_THAT(CheckErrors("-age > 1 month"), ElementsAre(HasSubstr("only numbers have a sign")));
  EXPECT_THAT(CheckErrors("(auc < 1) == (rows > 2)"), ElementsAre(HasSubstr("a truth value")));
  EXPECT_THAT(CheckErrors("not auc"), ElementsAre(HasSubstr("compare it, as in 'auc < 0.7'")));
}

// ---- what is printed parses to the same, and means the same

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  std::string Question(int depth) {
    switch (depth > 0 ? Pick(6) : Pick(2) + 4) {
      case 0:
        return Question(depth - 1) + " and " + Question(depth - 1);
      case 1:
        return Question(depth - 1) + " or " + Question(depth - 1);
      case 2:
        return "not " + Question(depth - 1);
      case 3:
        return "(" + Question(depth - 1) + ")";
      case 4:
        return Sum(depth) + Operator() + Sum(depth);
      default:
        return std::string(Pick(2) ? "age" : "age + 1 week") + Operator() + std::to_string(Pick(10)) +
               (Pick(2) ? " months" : " days");
    }
  }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  std::string Operator() {
    const char* const operators[] = {" < ", " <= ", " > ", " >= ", " == ", " != "};
    return operators[Pick(6)];
  }
  std::string Sum(int depth) {
    switch (depth > 0 ? Pick(7) : Pick(3) + 4) {
      case 0:
        return Sum(depth - 1) + " + " + Sum(depth - 1);
      case 1:
        return Sum(depth - 1) + " - " + Sum(depth - 1);
      case 2:
        return Sum(depth - 1) + (Pick(2) ? " * " : " / ") + Sum(depth - 1);
      case 3:
        return (Pick(2) ? "-(" : "(") + Sum(depth - 1) + ")";
      case 4:
        return Pick(2) ? "auc" : "drift.share";
      case 5:
        return Pick(2) ? "log_loss" : "slice.\"a \"\"b\".auc";
      default:
        return std::to_string(Pick(3)) + (Pick(3) ? "" : "%");
    }
  }
  std::mt19937 random_;
};

TEST_F(ExpressionTest, WhatIsPrintedMeansTheSame) {
  Set("slice.a \"b.auc", 1);
  Born("2013-03-01");
  size_t known = 0;
  for (uint32_t seed = 0; seed < 2'000; ++seed) {
    const std::string text = Generator(seed).Question(4);
    const Expression first = Parsed(text);
    const Expression second = Parsed(first.ToString());
    ASSERT_EQ(first.ToString(), second.ToString()) << text;
    const Verdict a = first.Evaluate(environment_), b = second.Evaluate(environment_);
    ASSERT_EQ(a.truth, b.truth) << text;
    ASSERT_EQ(a.reason, b.reason) << text;
    ASSERT_EQ(a.values, b.values) << text;
    known += a.truth != Truth::kUnknown;
    // De Morgan: three-valued logic keeps it.
    const Expression negated = Parsed("not (" + text + ")");
    const Truth opposite = a.truth == Truth::kUnknown ? Truth::kUnknown
                           : a.truth == Truth::kTrue  ? Truth::kFalse
                                                      : Truth::kTrue;
    ASSERT_EQ(negated.Evaluate(environment_).truth, opposite) << text;
  }
  EXPECT_GT(known, 500u);
}

}  // namespace
}  // namespace quern::ml
