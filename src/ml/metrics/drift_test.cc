#include "ml/metrics/drift.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/duckdb/database.h"

namespace quern::ml {
namespace {

class DriftTest : public testing::Test {
 protected:
  DriftTest() : db_(*engine::DuckDatabase::Open({.threads = 2})), con_(*db_->Connect()) {}

  DriftReport Drift(std::string_view reference, std::string_view current, FeatureColumn feature,
                    const DriftOptions& options = {.methods = {"psi", "jensenshannon", "wasserstein", "ks", "chisquare",
                                                               "hellinger", "kl_div", "z"}}) {
    auto result = ComputeDrift(*con_, reference, current, {std::move(feature)}, options);
    if (!result) {
      ADD_FAILURE() << result.error().ToString();
      return {};
    }
    return *std::move(result);
  }
  static const DriftResult& Of(const DriftReport& report, std::string_view method) {
    for (const auto& result : report.results) {
      if (result.method == method) return result;
    }
    static const DriftResult kNone;
    ADD_FAILURE() << "no result of " << method;
    return kNone;
  }
  static const DriftResult& Default(const DriftReport& report) {
    for (const auto& result : report.results) {
      if (result.is_default) return result;
    }
    static const DriftResult kNone;
    ADD_FAILURE() << "no default";
    return kNone;
  }

  std::unique_ptr<engine::DuckDatabase> db_;
  std::unique_ptr<engine::Connection> con_;
};

constexpr auto kReference = "SELECT (i * 37 % 101) / 7.0::DOUBLE AS x FROM range(120) t(i)";
constexpr auto kCurrent = "SELECT (i * 53 % 89) / 6.0::DOUBLE AS x FROM range(90) t(i)";

// Recorded from Evidently 0.7.21.
TEST_F(DriftTest, NumbersAreEvidentlys) {
  const auto report = Drift(kReference, kCurrent, {.name = "x"});
  const std::map<std::string, double> expected = {
      {"psi", 0.014455603974479562},     {"jensenshannon", 0.042450784970298264},
      {"ks", 0.9999935369557692},        {"wasserstein", 0.052817907328416194},
      {"kl_div", 0.0071418663711437097}, {"hellinger", 0.042479470150083382}};
  ASSERT_EQ(report.results.size(), expected.size());
  for (const auto& [method, value] : expected) {
    EXPECT_NEAR(Of(report, method).value.value(), value, 1e-12) << method;
    EXPECT_FALSE(Of(report, method).drifted);
    EXPECT_EQ(Of(report, method).is_default, method == "ks");
  }
}

TEST_F(DriftTest, SortedByTheEngineIsTheSame) {
  DriftOptions options{.methods = {"psi", "wasserstein", "ks", "hellinger"}, .profile = true};
  const auto held = Drift(kReference, kCurrent, {.name = "x"}, options);
  options.columns.memory_bytes = 0;
  const auto sorted = Drift(kReference, kCurrent, {.name = "x"}, options);
  ASSERT_EQ(held.results.size(), sorted.results.size());
  for (size_t i = 0; i < held.results.size(); i++) {
    EXPECT_NEAR(*held.results[i].value, *sorted.results[i].value, 1e-14) << held.results[i].method;
  }
  EXPECT_EQ(held.current[0].histogram->counts, sorted.current[0].histogram->counts);
  EXPECT_EQ(held.current[0].cardinality, 89);
}

// Recorded from Evidently 0.7.21.
TEST_F(DriftTest, CategoriesAreEvidentlys) {
  const auto report =
      Drift("SELECT unnest(string_split('aaaaabbbbccd', '')) AS c",
            "SELECT unnest(string_split('aabbbbbbcce', '')) AS c", {.name = "c", .kind = ColumnKind::kCategory});
  const std::map<std::string, std::pair<double, bool>> expected = {{"psi", {1.4789502763022686, true}},
                                                                   {"jensenshannon", {0.31168929019345964, true}},
                                                                   {"chisquare", {0, true}},
                                                                   {"hellinger", {0.35253364385756314, true}},
                                                                   {"kl_div", {0.72657124855192479, true}},
                                                                   {"z", {0.22143268448129794, false}}};
  ASSERT_EQ(report.results.size(), expected.size());
  for (const auto& [method, value] : expected) {
    EXPECT_NEAR(Of(report, method).value.value(), value.first, 1e-12) << method;
    EXPECT_EQ(Of(report, method).drifted, value.second) << method;
  }
  EXPECT_EQ(Default(report).method, "chisquare");
  const auto known =
      Drift("SELECT unnest(string_split('aaaaabbbbccc', '')) AS c",
            "SELECT unnest(string_split('aabbbbbbcc', '')) AS c", {.name = "c", .kind = ColumnKind::kCategory});
  EXPECT_NEAR(Of(known, "chisquare").value.value(), 0.18637397603940994, 1e-12);
}

TEST_F(DriftTest, DefaultMethodGoesBySizeKindAndDistinctValues) {
  const auto method = [&](int rows, int distinct, ColumnKind kind) {
    const auto sql = fmt::format("SELECT i % {} AS x FROM range({}) t(i)", distinct, rows);
    return Default(Drift(sql, sql, {.name = "x", .kind = kind}, {})).method;
  };
  EXPECT_EQ(method(1000, 6, ColumnKind::kNumeric), "ks");
  EXPECT_EQ(method(1000, 5, ColumnKind::kNumeric), "chisquare");
  EXPECT_EQ(method(1000, 2, ColumnKind::kNumeric), "z");
  EXPECT_EQ(method(1001, 6, ColumnKind::kNumeric), "wasserstein");
  EXPECT_EQ(method(1001, 5, ColumnKind::kNumeric), "jensenshannon");
  EXPECT_EQ(method(1000, 3, ColumnKind::kCategory), "chisquare");
  EXPECT_EQ(method(1000, 2, ColumnKind::kCategory), "z");
  EXPECT_EQ(method(1001, 2, ColumnKind::kCategory), "jensenshannon");
}

TEST_F(DriftTest, WhatIsNotThereHasNoValueButANote) {
  const auto note = [&](std::string_view reference, std::string_view current) {
    const auto report = Drift(reference, current, {.name = "x"});
    EXPECT_FALSE(report.results.empty());
    for (const auto& result : report.results) {
      EXPECT_FALSE(result.value.has_value());
      EXPECT_FALSE(result.drifted);
    }
    return Default(report).note;
  };
  EXPECT_EQ(note("SELECT 1 AS y", "SELECT 1 AS x"), "the reference has no such column");
  EXPECT_EQ(note("SELECT 1 AS x", "SELECT 1 AS y"), "the current data have no such column");
  EXPECT_EQ(note("SELECT 1 AS y", "SELECT 1 AS y"), "there is no such column");
  EXPECT_EQ(note("SELECT 1 AS x WHERE false", "SELECT 1 AS x"), "the reference has no values");
  EXPECT_EQ(note("SELECT 1 AS x", "SELECT NULL::DOUBLE AS x"), "the current data have no values");
  EXPECT_EQ(note("SELECT 'inf'::DOUBLE AS x", "SELECT 'nan'::DOUBLE AS x"), "there are no values");
  EXPECT_EQ(note("SELECT 'a' AS x", "SELECT 'a' AS x"), "the column is not numeric");
}

TEST_F(DriftTest, ThresholdsAreTheCallersAndMethodsAreKnown) {
  const auto report = Drift(kReference, kCurrent, {.name = "x"}, {.methods = {"psi"}, .thresholds = {{"psi", 0.01}}});
  EXPECT_TRUE(Of(report, "psi").drifted);
  EXPECT_EQ(Of(report, "psi").threshold, 0.01);
  const auto unknown = ComputeDrift(*con_, kReference, kCurrent, {{.name = "x"}}, {.methods = {"psy"}});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(DriftTest, ShareCountsDefaultMethodsWithoutThePrediction) {
  const std::vector<DriftResult> results = {{.feature = "a", .drifted = true, .is_default = true},
                                            {.feature = "a", .drifted = false},
                                            {.feature = "b", .drifted = false, .is_default = true},
                                            {.feature = "prediction", .drifted = true, .is_default = true}};
  EXPECT_EQ(DriftShare(results), 0.5);
  EXPECT_EQ(DriftShare({}), std::nullopt);
}

}  // namespace
}  // namespace quern::ml
