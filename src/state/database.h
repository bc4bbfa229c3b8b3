#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace quern::state {

/// A parameter of a statement.
using Param = std::variant<std::monostate, int64_t, double, std::string>;
inline Param Nullable(const std::optional<int64_t>& value) {
  return value ? Param(*value) : Param();
}
inline Param Nullable(const std::optional<std::string>& value) {
  return value ? Param(*value) : Param();
}

/// One row of a result; columns by position. A null reads as 0, 0.0 or "".
class Row {
 public:
  explicit Row(std::vector<std::optional<std::string>> values) : values_(std::move(values)) {}
  bool IsNull(size_t column) const { return !values_.at(column); }
  int64_t Int(size_t column) const;
  double Float(size_t column) const;
  std::string Text(size_t column) const { return values_.at(column).value_or(""); }
  std::optional<int64_t> OptionalInt(size_t column) const;
  std::optional<std::string> OptionalText(size_t column) const { return values_.at(column); }
  size_t size() const { return values_.size(); }

 private:
  std::vector<std::optional<std::string>> values_;
};

/// Runs statements inside a transaction, or alone. Parameters are :p1, :p2, ... in the text (every backend knows them).
class Connection {
 public:
  virtual ~Connection() = default;
  virtual Result<std::vector<Row>> Query(std::string_view sql, const std::vector<Param>& params) = 0;
  /// Rows changed.
  virtual Result<int64_t> Execute(std::string_view sql, const std::vector<Param>& params) = 0;
  Result<std::vector<Row>> Query(std::string_view sql) { return Query(sql, {}); }
  Result<int64_t> Execute(std::string_view sql) { return Execute(sql, {}); }
};

/// One step of a part's schema. Steps are numbered from 1 in the order given, and never changed once released.
struct Migration {
  std::string what;  ///< for the history: "dag runs and task instances"
  std::vector<std::string> statements;
};

/// How messages name a database, and what their hints say.
struct Wording {
  std::string noun = "metadata database";
  std::string elsewhere = "another place can be named by `state:` of the target";
  std::string corrupt =
      "move the file away: a new one is made, and what the tables themselves record is not done twice";
};

struct OpenOptions {
  /// A file's path, or sqlite:<path>. postgresql:// and mysql:// are refused by name: they come with a later version.
  std::string url;
  bool read_only = false;
  std::chrono::milliseconds busy_timeout{30'000};
  Wording wording = {};
};

/// The metadata database. Thread-safe: writes go through one connection, one transaction at a time; reads through
/// another, and see the last commit. A committed transaction lasts (SQLite: WAL, synchronous=FULL). Errors: kStateBusy
/// (another process holds the lock past the timeout), kStateSchema, kPermissionDenied, kNoSpace, kCorrupt (not a
/// database, or a damaged one), kNotFound (read_only, and no file), kIo.
class Database {
 public:
  static Result<std::unique_ptr<Database>> Open(const OpenOptions& options);
  virtual ~Database() = default;

  /// Brings the tables of `part` to the last of `migrations`, in one transaction; several processes may try at once.
  /// Each part owns its tables; no other part's statements name them. kStateSchema when the database is newer.
  virtual Result<void> Migrate(const std::string& part, const std::vector<Migration>& migrations) = 0;

  /// Runs `work` in a transaction that is exclusive among writers; commits when it answers ok, else rolls back.
  /// `work` must not call the Database itself. Waits for another writer up to the busy timeout.
  virtual Result<void> Write(const std::function<Result<void>(Connection&)>& work) = 0;
  /// Runs `work` over one consistent view.
  virtual Result<void> Read(const std::function<Result<void>(Connection&)>& work) = 0;

  Result<std::vector<Row>> Query(std::string_view sql, const std::vector<Param>& params = {});

  virtual const std::string& location() const = 0;  ///< for messages
};

}  // namespace quern::state
