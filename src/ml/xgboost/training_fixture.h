#pragma once
// For tests: an engine with rows to learn from.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/duckdb/database.h"
#include "ml/xgboost/trainer.h"

namespace quern::ml {

class TrainingFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = engine::DuckDatabase::Open({.threads = 2});
    ASSERT_TRUE(opened) << opened.error().ToString();
    database_ = *std::move(opened);
    connection_ = *database_->Connect();
    // Numbers, truth values, text and categories, some missing; what is to be learned depends on all of them.
    Sql(R"(CREATE TABLE flights AS SELECT *, size > 12 AS late,
             CASE WHEN size > 14 THEN 'large' WHEN size > 9 THEN 'mid' ELSE 'small' END AS class FROM (
             SELECT *, coalesce(x, 3) + CASE WHEN flag THEN 2 ELSE 0 END + coalesce(ascii(carrier[2:2]), 50) % 5
               + month % 4 + coalesce(distance, 0) / 100.0 + fare::DOUBLE / 25 + hash(id + 9) % 3 AS size FROM (
             SELECT i AS id,
               CASE WHEN i % 11 = 0 THEN NULL ELSE (hash(i) % 1000) / 100.0::DOUBLE END AS x,
               hash(i + 1) % 2 = 0 AS flag,
               CASE WHEN i % 13 = 0 THEN NULL ELSE 'c' || (hash(i + 2) % 40) END AS carrier,
               (1 + hash(i + 3) % 12)::INTEGER AS month,
               CASE WHEN i % 7 = 0 THEN NULL ELSE (hash(i + 4) % 300)::BIGINT END AS distance,
               ((hash(i + 5) % 500) / 10.0)::DECIMAL(9, 1) AS fare
             FROM range(5000) t(i))))");
  }

  engine::QueryResult Sql(const std::string& sql) {
    auto result = connection_->Execute(sql);
    EXPECT_TRUE(result) << result.error().ToString();
    return result ? *std::move(result) : engine::QueryResult();
  }
  double Number(const std::string& sql) { return std::get<double>(Sql(sql).rows.at(0).at(0)); }

  static TrainRequest Request(const std::string& label) {
    TrainRequest out;
    out.query = "SELECT * FROM flights WHERE id < 4000 ORDER BY id";
    out.validation_query = "SELECT * FROM flights WHERE id >= 4000 ORDER BY id";
    out.key = {"id"};
    out.label = label;
    out.features = {"x", "flag", "carrier", "month", "distance", "fare"};
    out.categorical = {"month"};
    out.rounds = 40;
    out.early_stopping = 10;
    out.parameters = {{"max_depth", 5}, {"subsample", 0.8}, {"colsample_bytree", 0.8}};
    return out;
  }
  TrainedModel Train(const TrainRequest& request) {
    auto model = TrainXgboost(*connection_, request);
    EXPECT_TRUE(model) << model.error().ToString();
    return model ? *std::move(model) : TrainedModel();
  }

  std::unique_ptr<engine::DuckDatabase> database_;
  std::unique_ptr<engine::Connection> connection_;
};

}  // namespace quern::ml
