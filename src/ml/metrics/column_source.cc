#include "ml/metrics/column_source.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <thread>

#include "base/text.h"
#include "base/thread_pool.h"
#include "ml/metrics/slices.h"

namespace quern::ml {
namespace {

bool IsInteger(const std::string& type) {
  static const std::vector<std::string> kTypes = {"BOOLEAN", "TINYINT",  "SMALLINT",  "INTEGER",
                                                  "BIGINT",  "UTINYINT", "USMALLINT", "UINTEGER"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

bool IsFloat(const std::string& type) {
  return type == "FLOAT" || type == "DOUBLE";
}

std::string NumberSql(const engine::Column& column, bool integers) {
  const auto name = QuoteIdentifier(column.name);
  if (!integers) return column.type == "DOUBLE" ? name : fmt::format("CAST({} AS DOUBLE)", name);
  return column.type == "BOOLEAN" ? fmt::format("CAST({} AS INTEGER)", name) : name;
}

struct NumericFeature {
  size_t place = 0;
  bool integers = false;  // in both relations
  const engine::Column* reference = nullptr;
  const engine::Column* current = nullptr;
};

std::vector<NumericFeature> NumericFeatures(const Relation& reference, const Relation& current,
                                            const std::vector<FeatureColumn>& features) {
  std::vector<NumericFeature> out;
  for (size_t i = 0; i < features.size(); i++) {
    if (features[i].kind != ColumnKind::kNumeric) continue;
    NumericFeature feature{.place = i, .integers = true};
    feature.reference = reference.Find(features[i].name);
    feature.current = current.Find(features[i].name);
    bool number = feature.reference != nullptr || feature.current != nullptr;
    for (const auto* column : {feature.reference, feature.current}) {
      if (column == nullptr) continue;
      number = number && IsNumber(column->type);
      feature.integers = feature.integers && IsInteger(column->type);
    }
    if (number) out.push_back(feature);
  }
  return out;
}

Result<int64_t> CountRows(engine::Connection& connection, const Relation& relation) {
  if (relation.columns.empty()) return 0;
  auto result = QUERN_TRY(connection.Execute(fmt::format("SELECT count(*) FROM (\n{}\n)", relation.sql)));
  return std::get<int64_t>(result.rows[0][0]);
}

// Reads the columns of a group from one relation.
Result<void> Load(engine::Connection& connection, const Relation& relation, int64_t rows, bool is_reference,
                  std::span<const NumericFeature> group, std::vector<ColumnValues>& values) {
  std::vector<std::string> columns;
  std::vector<size_t> places;
  for (size_t i = 0; i < group.size(); i++) {
    const auto* column = is_reference ? group[i].reference : group[i].current;
    if (column == nullptr) continue;
    columns.push_back(NumberSql(*column, group[i].integers));
    places.push_back(i);
    values[i].Reserve(rows);
  }
  if (columns.empty()) return {};
  return ForEachBatch(connection, fmt::format("SELECT {} FROM (\n{}\n)", Join(columns, ", "), relation.sql),
                      [&](const engine::Batch& batch) -> Result<void> {
                        for (size_t i = 0; i < places.size(); i++) {
                          values[places[i]].Append(batch.columns[i], batch.rows, group[places[i]].integers);
                        }
                        return {};
                      });
}

}  // namespace

const engine::Column* Relation::Find(std::string_view name) const {
  for (const auto& column : columns) {
    if (EqualsIgnoreCase(column.name, name)) return &column;
  }
  return nullptr;
}

Result<Relation> DescribeRelation(engine::Connection& connection, std::string_view sql) {
  auto columns = QUERN_TRY(connection.Describe(sql));
  return Relation{.sql = std::string(sql), .columns = std::move(columns)};
}

bool IsNumber(const std::string& type) {
  return IsInteger(type) || IsFloat(type) || type == "UBIGINT" || type == "HUGEINT" || type == "UHUGEINT" ||
         type.starts_with("DECIMAL");
}

Result<void> ForEachNumericColumn(engine::Connection& connection, const Relation& reference, const Relation& current,
                                  const std::vector<FeatureColumn>& features, const ColumnOptions& options,
                                  const std::function<Result<void>(size_t, const ValueStream&)>& visit) {
  const auto numeric = NumericFeatures(reference, current, features);
  if (numeric.empty()) return {};
  const int64_t reference_rows = QUERN_TRY(CountRows(connection, reference));
  const int64_t current_rows = QUERN_TRY(CountRows(connection, current));
  const int64_t column_bytes = std::max<int64_t>(1, (reference_rows + current_rows) * 8);
  if (column_bytes > options.memory_bytes) {
    for (const auto& feature : numeric) {
      const auto query = [&](const Relation& relation, const engine::Column* column) {
        if (column == nullptr) return std::string();
        return fmt::format("SELECT {} AS v FROM (\n{}\n)", NumberSql(*column, feature.integers), relation.sql);
      };
      const auto stream = QUERN_TRY(EngineStream(connection, query(reference, feature.reference),
                                                 query(current, feature.current), feature.integers));
      QUERN_TRY(visit(feature.place, *stream));
    }
    return {};
  }
  // While the threads sort one group the next is read: each gets half of the memory.
  const int threads =
      options.threads > 0 ? options.threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const auto group_size = static_cast<size_t>(std::max<int64_t>(1, options.memory_bytes / 2 / column_bytes));
  std::mutex mutex;
  Result<void> result;
  ThreadPool pool(threads);
  for (size_t from = 0; from < numeric.size(); from += group_size) {
    const auto group = std::span(numeric).subspan(from, std::min(group_size, numeric.size() - from));
    std::vector<ColumnValues> first(group.size());
    std::vector<ColumnValues> second(group.size());
    QUERN_TRY(Load(connection, reference, reference_rows, true, group, first));
    QUERN_TRY(Load(connection, current, current_rows, false, group, second));
    pool.Wait();
    for (size_t i = 0; i < group.size(); i++) {
      auto work = std::make_shared<std::pair<ColumnValues, ColumnValues>>(std::move(first[i]), std::move(second[i]));
      pool.Submit([&, feature = group[i], work] {
        {
          std::vector<uint64_t> scratch;
          work->first.Sort(scratch);
          work->second.Sort(scratch);
        }
        const auto stream = MemoryStream(std::move(work->first), std::move(work->second), feature.integers);
        auto done = visit(feature.place, *stream);
        if (done) return;
        const std::lock_guard lock(mutex);
        if (result) result = std::move(done);
      });
    }
  }
  pool.Wait();
  return result;
}

Result<CategoryCounts> CountCategories(engine::Connection& connection, const Relation& reference,
                                       const Relation& current, const std::string& feature) {
  const auto* first = reference.Find(feature);
  const auto* second = current.Find(feature);
  const bool as_they_are =
      first == nullptr || second == nullptr || first->type == second->type ||
      (IsNumber(first->type) && IsNumber(second->type) && first->type != "BOOLEAN" && second->type != "BOOLEAN");
  std::string both;
  int side = 0;
  for (const auto& [relation, column] : {std::pair(&reference, first), std::pair(&current, second)}) {
    if (column != nullptr) {
      const auto name = QuoteIdentifier(column->name);
      const auto value = IsFloat(column->type) ? fmt::format("CASE WHEN isfinite({0}) THEN {0} + 0 END", name)
                         : as_they_are         ? name
                                               : fmt::format("CAST({} AS VARCHAR)", name);
      both += fmt::format("{}SELECT {} AS v, {} AS side FROM (\n{}\n)", both.empty() ? "" : " UNION ALL ", value, side,
                          relation->sql);
    }
    side++;
  }
  auto result = QUERN_TRY(connection.Execute(fmt::format(
      "SELECT reference, current, v IS NULL AS missing, count(*) FROM (SELECT v, count(*) FILTER (side = 0) "
      "AS reference, count(*) FILTER (side = 1) AS current FROM ({}) GROUP BY v) GROUP BY reference, "
      "current, missing ORDER BY missing, min(v)",
      both)));
  CategoryCounts out;
  for (const auto& row : result.rows) {
    const PairCount pair{.reference = std::get<int64_t>(row[0]),
                         .current = std::get<int64_t>(row[1]),
                         .values = std::get<int64_t>(row[3])};
    out.reference.rows += pair.reference * pair.values;
    out.current.rows += pair.current * pair.values;
    if (std::get<bool>(row[2])) {
      out.reference.nulls += pair.reference;
      out.current.nulls += pair.current;
      continue;
    }
    if (out.pairs.empty()) out.first = pair;
    out.pairs.push_back(pair);
    out.values += pair.values;
  }
  return out;
}

Result<std::vector<std::pair<std::string, int64_t>>> TopCategories(engine::Connection& connection,
                                                                   const Relation& relation, const std::string& feature,
                                                                   int count) {
  const auto* column = relation.Find(feature);
  const auto name = QuoteIdentifier(column->name);
  const auto value = IsFloat(column->type) ? fmt::format("CASE WHEN isfinite({0}) THEN {0} + 0 END", name) : name;
  auto result = QUERN_TRY(connection.Execute(
      fmt::format("SELECT CAST(v AS VARCHAR) AS value, count(*) AS rows FROM (SELECT {} AS v FROM (\n{}\n)) WHERE v IS "
                  "NOT NULL GROUP BY v ORDER BY rows DESC, value LIMIT {}",
                  value, relation.sql, count)));
  std::vector<std::pair<std::string, int64_t>> out;
  for (const auto& row : result.rows) out.emplace_back(engine::ToText(row[0]), std::get<int64_t>(row[1]));
  return out;
}

}  // namespace quern::ml
