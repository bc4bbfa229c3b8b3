#include "ml/dataset/leakage.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"

namespace quern::ml {
namespace {

// More rows tell no more about a feature that gives everything away.
constexpr int64_t kSample = 200'000;
// With fewer rows of a class (or values, for regression) chance looks like knowledge.
constexpr int64_t kLeastRows = 20;
// Rows of the prior that a value's own rate is mixed with.
constexpr int kSmoothing = 10;
constexpr int kBins = 200;

class Search {
 public:
  Search(const BoundColumn& label, TaskType task, engine::Connection& connection)
      : label_(label), task_(task), connection_(connection) {}

  Result<std::vector<LeakageFinding>> Run(const std::string& relation, const std::vector<BoundColumn>& key,
                                          const std::vector<BoundFeature>& features) {
    auto counted = QUERN_TRY(connection_.Execute("SELECT count(*) FROM " + relation));
    const int64_t rows = std::get<int64_t>(counted.rows[0][0]);
    std::vector<std::string> keys;
    for (const auto& column : key) keys.push_back(QuoteIdentifier(column.name));
    std::string columns, sample;
    for (size_t i = 0; i < features.size(); ++i)
      columns += fmt::format(", {} AS f{}", QuoteIdentifier(features[i].name), i);
    const std::string hash = fmt::format("hash({})", Join(keys, ", "));
    if (rows > 2 * kSample) sample = fmt::format(" WHERE {} % {} = 0", hash, rows / kSample);
    QUERN_TRY(connection_.Execute(
        fmt::format("CREATE OR REPLACE TEMP TABLE quern_leakage AS SELECT {} AS y, ({} >> 32) % 2 AS half{} FROM {}{}",
                    LabelSql(), hash, columns, relation, sample)));
    auto found = Look(features);
    auto dropped = connection_.Execute("DROP TABLE IF EXISTS temp.quern_leakage");
    if (found && !dropped) return Fail(std::move(dropped).error());
    return found;
  }

 private:
  std::string LabelSql() const {
    const std::string label = QuoteIdentifier(label_.name);
    switch (task_) {
      case TaskType::kClassification:
        // Of two classes the larger one is positive.
        return fmt::format("CAST({0} = max({0}) OVER () AS INTEGER)", label);
      case TaskType::kMulticlass:
        return fmt::format("CAST({} AS VARCHAR)", label);
      case TaskType::kRegression:
        return label;
    }
    return label;
  }

  Result<std::vector<LeakageFinding>> Look(const std::vector<BoundFeature>& features) {
    std::vector<LeakageFinding> findings;
    for (size_t i = 0; i < features.size(); ++i) {
      const std::string f = fmt::format("f{}", i);
      const double threshold = task_ == TaskType::kClassification ? kLeakageAuc
                               : task_ == TaskType::kMulticlass   ? kLeakagePurity
                                                                  : kLeakageR2;
      const char* measure = task_ == TaskType::kClassification ? "auc"
                            : task_ == TaskType::kMulticlass   ? "purity"
                                                               : "r2";
      auto note = [&](std::optional<double> figure, bool by_null) {
        if (figure && *figure > threshold) findings.push_back({features[i].name, by_null, measure, *figure, threshold});
      };
      note(QUERN_TRY(OfNulls(f)), true);
      const bool number = features[i].kind == FeatureKind::kNumber;
      if (task_ == TaskType::kClassification && number) {
        note(QUERN_TRY(Auc(f)), false);
      } else if (task_ == TaskType::kRegression && number) {
        auto linear = QUERN_TRY(One(fmt::format(
            "SELECT CASE WHEN count(*) >= {} THEN pow(corr({}, y), 2) END FROM quern_leakage WHERE {} IS NOT NULL",
            kLeastRows, f, f)));
        auto binned = QUERN_TRY(ByValue(Binned(f)));
        note(std::max(linear.value_or(0), binned.value_or(0)), false);
      } else {
        note(QUERN_TRY(ByValue(number ? Binned(f) : Categories(f))), false);
      }
    }
    return findings;
  }

  /// One number, nothing for null and what is not finite.
  Result<std::optional<double>> One(const std::string& sql) {
    auto result = QUERN_TRY(connection_.Execute(sql));
    if (result.rows.empty()) return std::optional<double>();
    const auto* number = std::get_if<double>(&result.rows[0][0]);
    if (!number || !std::isfinite(*number)) return std::optional<double>();
    return std::optional(*number);
  }

  /// The rank statistic, ties counted half; a feature that orders the wrong way round tells as much.
  Result<std::optional<double>> Auc(const std::string& f) {
    return AucOf(fmt::format("SELECT {0} AS v, y FROM quern_leakage WHERE {0} IS NOT NULL", f));
  }
  Result<std::optional<double>> AucOf(const std::string& rows) {
    return One(
        fmt::format("WITH r AS ({}), g AS (SELECT v, count(*)::DOUBLE AS n, sum(y)::DOUBLE AS p FROM r GROUP BY v), "
                    "c AS (SELECT n, p, sum(n) OVER (ORDER BY v) - n AS below FROM g), "
                    "t AS (SELECT sum(p) AS p, sum(n) - sum(p) AS q, sum(p * (below + (n + 1) / 2)) AS ranks FROM c), "
                    "a AS (SELECT p, q, (ranks - p * (p + 1) / 2) / (p * q) AS auc FROM t) "
                    "SELECT CASE WHEN p >= {} AND q >= {} THEN greatest(auc, 1 - auc) END FROM a",
                    rows, kLeastRows, kLeastRows));
  }

  /// How well it tells the label whether the feature is missing.
  Result<std::optional<double>> OfNulls(const std::string& f) {
    auto counted = QUERN_TRY(
        connection_.Execute(fmt::format("SELECT count(*) FILTER ({0} IS NULL), count({0}) FROM quern_leakage", f)));
    const auto nulls = std::get<int64_t>(counted.rows[0][0]), others = std::get<int64_t>(counted.rows[0][1]);
    if (nulls < kLeastRows || others < kLeastRows) return std::optional<double>();
    if (task_ == TaskType::kClassification)
      return AucOf(fmt::format("SELECT {} IS NULL AS v, y FROM quern_leakage", f));
    return ByValue(fmt::format("SELECT {} IS NULL AS v, y, half FROM quern_leakage", f));
  }

  static std::string Categories(const std::string& f) {
    return fmt::format("SELECT {0} AS v, y, half FROM quern_leakage WHERE {0} IS NOT NULL", f);
  }
  /// A number's values as they are while they are few, otherwise bins of equal size.
  static std::string Binned(const std::string& f) {
    return fmt::format(
        "SELECT CASE WHEN (SELECT approx_count_distinct({0}) FROM quern_leakage) <= {1} THEN {0} "
        "ELSE ntile({1}) OVER (ORDER BY {0}) END AS v, y, half FROM quern_leakage WHERE {0} IS NOT NULL",
        f, kBins);
  }

  /// Each half of the rows is predicted by what the other half knows of the value, so that values that are there once
  /// (ids) tell nothing. `rows` gives v, y, half.
  Result<std::optional<double>> ByValue(const std::string& rows) {
    switch (task_) {
      case TaskType::kClassification:
        return AucOf(fmt::format(
            "WITH x AS ({0}), m AS (SELECT avg(y) AS prior FROM x), "
            "k AS (SELECT v, half, count(*) AS n, sum(y) AS p FROM x GROUP BY v, half) "
            "SELECT (coalesce(k.p, 0) + {1} * m.prior) / (coalesce(k.n, 0) + {1}) AS v, x.y FROM x CROSS JOIN m "
            "LEFT JOIN k ON k.v = x.v AND k.half = 1 - x.half",
            rows, kSmoothing));
      case TaskType::kMulticlass:
        return One(
            fmt::format("WITH x AS ({0}), b AS (SELECT y, count(*) AS n FROM x GROUP BY y ORDER BY n DESC, y LIMIT 1), "
                        "k AS (SELECT v, half, y, row_number() OVER (PARTITION BY v, half ORDER BY count(*) DESC, y) "
                        "AS place FROM x "
                        "GROUP BY v, half, y), "
                        "r AS (SELECT avg((x.y = coalesce(k.y, b.y))::INTEGER) AS right_share, "
                        "avg((x.y = b.y)::INTEGER) AS base, count(*) AS n FROM x CROSS JOIN b "
                        "LEFT JOIN k ON k.v = x.v AND k.half = 1 - x.half AND k.place = 1) "
                        "SELECT CASE WHEN n * (1 - base) >= {1} THEN (right_share - base) / (1 - base) END FROM r",
                        rows, kLeastRows));
      case TaskType::kRegression:
        return One(fmt::format(
            "WITH x AS ({0}), m AS (SELECT avg(y) AS prior FROM x), "
            "k AS (SELECT v, half, count(*) AS n, sum(y) AS s FROM x GROUP BY v, half) "
            "SELECT CASE WHEN count(*) >= {2} THEN 1 - sum(pow(x.y - coalesce(k.s / k.n, m.prior), 2)) / "
            "sum(pow(x.y - m.prior, 2)) END FROM x CROSS JOIN m LEFT JOIN k ON k.v = x.v AND k.half = 1 - x.half",
            rows, kSmoothing, kLeastRows));
    }
    return std::optional<double>();
  }

  const BoundColumn& label_;
  const TaskType task_;
  engine::Connection& connection_;
};

}  // namespace

std::string LeakageFinding::ToString() const {
  return fmt::format("{}{} alone tells the label: {} {:.4f} (suspicious above {})", feature,
                     by_null ? " being missing" : "", measure, figure, threshold);
}

Result<std::vector<LeakageFinding>> FindLeakage(const std::string& relation, const std::vector<BoundColumn>& key,
                                                const BoundColumn& label, TaskType task,
                                                const std::vector<BoundFeature>& features,
                                                engine::Connection& connection) {
  return Search(label, task, connection).Run(relation, key, features);
}

}  // namespace quern::ml
