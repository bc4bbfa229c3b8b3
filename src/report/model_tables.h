#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "report/model_data.h"
#include "warehouse/warehouse.h"

// Reading tables whose columns we expect and do not rely on: a monitor may be a dbt model or a script.
namespace quern::report {

/// A row by column; what is null or not there is nothing, or "".
class TableRow {
 public:
  void Set(const std::string& column, engine::Value value) { values_[column] = std::move(value); }
  std::optional<int64_t> Integer(std::string_view column) const;
  std::optional<double> Number(std::string_view column) const;  ///< finite
  std::string Text(std::string_view column) const;
  bool True(std::string_view column) const;

 private:
  const engine::Value* Find(std::string_view column) const;
  std::map<std::string, engine::Value, std::less<>> values_;
};

/// One table with the columns that it has.
class TableReader {
 public:
  TableReader(warehouse::Session& session, warehouse::TableName name, const std::vector<engine::Column>& columns);

  /// A column of the result and the expression that gives it.
  struct Want {
    std::string name;
    std::string sql;
  };
  const warehouse::TableName& name() const { return name_; }
  bool Has(std::string_view column) const { return columns_.contains(column); }
  std::string Quoted() const;
  /// Columns cast to a type, null where they are not there or do not fit.
  std::vector<Want> Columns(const std::vector<std::string>& names, std::string_view type) const;
  void Add(std::vector<Want>& wants, const std::vector<std::string>& names, std::string_view type) const;
  /// A moment as microseconds since 1970.
  void AddInstant(std::vector<Want>& wants, const std::string& name) const;
  /// SELECT wants FROM table `rest`.
  Result<std::vector<TableRow>> Read(const std::vector<Want>& wants, const std::string& rest);

 private:
  warehouse::Session& session_;
  warehouse::TableName name_;
  std::map<std::string, std::string, std::less<>> columns_;  // in lower case -> as written
};

/// Of the tables' JSON texts; what is not as expected is left out.
std::vector<CalibrationBin> CalibrationOf(const std::string& json);
std::map<std::string, double> SharesOf(const std::string& json);
std::optional<Histogram> HistogramOf(const std::string& json);
std::vector<Candidate> CandidatesOf(const std::string& json);

}  // namespace quern::report
