#include "ml/metrics/slices.h"

#include <algorithm>

#include "base/text.h"

namespace quern::ml {

SliceSql::SliceSql(const std::vector<std::string>& slices) {
  std::string set = "0";
  std::string value = "CAST(NULL AS VARCHAR)";
  for (const auto& slice : slices) {
    if (std::find(names_.begin(), names_.end(), slice) != names_.end()) continue;
    const auto column = fmt::format("quern_slice_{}", names_.size());
    names_.push_back(slice);
    columns_ += fmt::format("CAST({} AS VARCHAR) AS {}, ", QuoteIdentifier(slice), column);
    set = fmt::format("CASE WHEN GROUPING({}) = 0 THEN {} ELSE {} END", column, names_.size(), set);
    value = fmt::format("CASE WHEN GROUPING({0}) = 0 THEN {0} ELSE {1} END", column, value);
  }
  select_ = fmt::format("CAST({} AS INTEGER) AS set_number, {} AS slice_value", set, value);
  if (names_.empty()) select_ = "0 AS set_number, CAST(NULL AS VARCHAR) AS slice_value";
}

std::string SliceSql::Sets(std::string_view keys) const {
  std::string out = fmt::format("GROUPING SETS (({})", keys);
  for (size_t i = 0; i < names_.size(); i++) {
    out += fmt::format(", (quern_slice_{}{}{})", i, keys.empty() ? "" : ", ", keys);
  }
  return out + ")";
}

const std::string& SliceSql::Name(int64_t set) const {
  static const std::string kAll;
  return set == 0 ? kAll : names_[static_cast<size_t>(set) - 1];
}

std::vector<std::string> SliceColumns(size_t count) {
  std::vector<std::string> columns;
  for (size_t i = 0; i < count; ++i) columns.push_back(fmt::format("__slice{}", i));
  return columns;
}

std::string SliceText(std::string_view column, const std::optional<std::string>& value) {
  return column.empty() ? std::string() : fmt::format("{}={}", column, value.value_or("null"));
}

std::string DoubleSql(double value) {
  return fmt::format("CAST('{}' AS DOUBLE)", value);
}

namespace {
class FunctionSink : public engine::BatchSink {
 public:
  explicit FunctionSink(const std::function<Result<void>(const engine::Batch&)>& add) : add_(add) {}
  Result<void> Begin(const std::vector<engine::Column>& /*columns*/,
                     const std::vector<engine::BatchType>& /*types*/) override {
    return {};
  }
  Result<void> Add(const engine::Batch& batch) override { return add_(batch); }

 private:
  const std::function<Result<void>(const engine::Batch&)>& add_;
};
}  // namespace

Result<void> ForEachBatch(engine::Connection& connection, std::string_view sql,
                          const std::function<Result<void>(const engine::Batch&)>& add) {
  FunctionSink sink(add);
  return connection.StreamBatches(sql, sink);
}

Result<void> ForEachSlice(engine::Connection& connection, std::string_view sql,
                          const std::function<void(const engine::Batch& batch, size_t row)>& add,
                          const std::function<void(int64_t set, const std::optional<std::string>& value)>& finish) {
  int64_t set = 0;
  std::optional<std::string> value;
  QUERN_TRY(ForEachBatch(connection, sql, [&](const engine::Batch& batch) -> Result<void> {
    const auto& sets = batch.columns[0];
    const auto& values = batch.columns[1];
    for (size_t row = 0; row < batch.rows; row++) {
      const bool same = sets.integers[row] == set && values.IsValid(row) == value.has_value() &&
                        (!value || values.texts[row] == *value);
      if (!same) {
        finish(set, value);
        set = sets.integers[row];
        value.reset();
        if (values.IsValid(row)) value = values.texts[row];
      }
      add(batch, row);
    }
    return {};
  }));
  finish(set, value);
  return {};
}

}  // namespace quern::ml
