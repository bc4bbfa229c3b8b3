#pragma once
#include <string>
#include <vector>

#include "state/database.h"

namespace quern::tracking {

/// Gathers rows of one table and inserts many by one statement. Finish() must be called.
class BatchInsert {
 public:
  /// `head`: "INSERT INTO t (a, b) VALUES"; `tail`: what follows the rows, "ON CONFLICT ...".
  BatchInsert(state::Connection& connection, std::string head, size_t columns, std::string tail = "")
      : connection_(connection), head_(std::move(head)), tail_(std::move(tail)), columns_(columns) {}

  Result<void> Add(std::vector<state::Param> row) {
    QUERN_CHECK(row.size() == columns_);
    std::move(row.begin(), row.end(), std::back_inserter(values_));
    return values_.size() + columns_ > kMaxParams ? Finish() : Result<void>();
  }

  Result<void> Finish() {
    if (values_.empty()) return {};
    std::string sql = head_;
    for (size_t i = 0; i < values_.size(); ++i) {
      if (i % columns_ == 0) sql += i == 0 ? " (" : "), (";
      sql += fmt::format("{}:p{}", i % columns_ == 0 ? "" : ", ", i + 1);
    }
    sql += ") " + tail_;
    QUERN_TRY(connection_.Execute(sql, values_));
    values_.clear();
    return {};
  }

 private:
  // SQLite finds each parameter by going through the names before it: many small statements are quicker than few large.
  static constexpr size_t kMaxParams = 120;

  state::Connection& connection_;
  std::string head_;
  std::string tail_;
  size_t columns_;
  std::vector<state::Param> values_;
};

}  // namespace quern::tracking
