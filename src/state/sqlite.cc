#include "state/sqlite.h"

#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <filesystem>
#include <thread>

#include "base/text.h"

namespace quern::state {
namespace {

namespace fs = std::filesystem;

ErrorCode CodeOf(int sqlite_result) {
  switch (sqlite_result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kStateBusy;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return ErrorCode::kPermissionDenied;
    case SQLITE_FULL:
      return ErrorCode::kNoSpace;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kCorrupt;
    default:
      return ErrorCode::kIo;
  }
}

/// What messages say of a database.
struct Named {
  std::string location;
  Wording wording;
};

std::string HintOf(ErrorCode code, const Wording& wording) {
  switch (code) {
    case ErrorCode::kStateBusy:
      return "another process is writing to it; try again when it has ended";
    case ErrorCode::kPermissionDenied:
      return "the file and its folder must be writable; " + wording.elsewhere;
    case ErrorCode::kNoSpace:
      return "free some space; nothing of what was to be recorded has been kept, and it will be done again";
    case ErrorCode::kCorrupt:
      return wording.corrupt;
    default:
      return "";
  }
}

Error StateError(const Named& database, ErrorCode code, std::string_view what) {
  return Error(code, fmt::format("{} {}: {}", database.wording.noun, database.location, what))
      .Hint(HintOf(code, database.wording));
}

/// SOCI's text without its "sqlite3_statement_backend::loadOne: " in front.
std::string_view Reason(const std::exception& error) {
  std::string_view text = error.what();
  const size_t colons = text.find("::");
  const size_t colon = text.find(": ", colons == std::string_view::npos ? 0 : colons);
  if (colons != std::string_view::npos && colon != std::string_view::npos) text.remove_prefix(colon + 2);
  return text;
}

/// Runs what calls SOCI; its exceptions become errors here and go no further.
template <class F>
auto Guarded(const Named& database, F&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const soci::sqlite3_soci_error& error) {
    return Fail(StateError(database, CodeOf(error.result()), Reason(error)));
  } catch (const soci::soci_error& error) {
    return Fail(StateError(database, ErrorCode::kIo, Reason(error)));
  } catch (const std::exception& error) {
    return Fail(StateError(database, ErrorCode::kIo, error.what()));
  }
}

class SqliteConnection : public Connection {
 public:
  explicit SqliteConnection(const Named& named) : named_(named) {}
  ~SqliteConnection() override = default;

  Result<void> Open(const std::string& path, const OpenOptions& options) {
    return Guarded(named_, [&]() -> Result<void> {
      const auto seconds = std::chrono::ceil<std::chrono::seconds>(options.busy_timeout).count();
      session_.open(soci::sqlite3, fmt::format("db=\"{}\" timeout={}", path, seconds));
      session_ << fmt::format("PRAGMA busy_timeout = {}", options.busy_timeout.count());
      if (options.read_only) session_ << "PRAGMA query_only = ON";
      session_ << "PRAGMA foreign_keys = ON";
      return {};
    });
  }

  Result<std::vector<Row>> Query(std::string_view sql, const std::vector<Param>& params) override {
    return Guarded(named_, [&]() -> Result<std::vector<Row>> {
      Bound bound(session_, params);
      soci::statement& statement = bound.statement;
      statement.prepare(std::string(sql));
      const auto columns = static_cast<size_t>(statement.get_backend()->prepare_for_describe());
      std::vector<std::string> values(columns);
      std::vector<soci::indicator> indicators(columns, soci::i_ok);
      for (size_t i = 0; i < columns; ++i) statement.exchange(soci::into(values[i], indicators[i]));
      statement.define_and_bind();
      std::vector<Row> rows;
      for (bool more = statement.execute(true); more; more = statement.fetch()) {
        std::vector<std::optional<std::string>> row(columns);
        for (size_t i = 0; i < columns; ++i) {
          if (indicators[i] != soci::i_null) row[i] = values[i];
        }
        rows.emplace_back(std::move(row));
      }
      return rows;
    });
  }

  Result<int64_t> Execute(std::string_view sql, const std::vector<Param>& params) override {
    return Guarded(named_, [&]() -> Result<int64_t> {
      Bound bound(session_, params);
      bound.statement.prepare(std::string(sql));
      bound.statement.define_and_bind();
      bound.statement.execute(true);
      return bound.statement.get_affected_rows();
    });
  }

 private:
  /// A statement with its parameters: SOCI keeps references, so their values live beside it.
  struct Bound {
    Bound(soci::session& session, const std::vector<Param>& given) : values(given), statement(session) {
      statement.alloc();
      for (size_t i = 0; i < values.size(); ++i) names.push_back("p" + std::to_string(i + 1));
      for (size_t i = 0; i < values.size(); ++i) {
        Param& value = values[i];
        if (auto* number = std::get_if<int64_t>(&value)) {
          numbers.push_back(std::make_unique<long long>(*number));
          statement.exchange(soci::use(*numbers.back(), names[i]));
        } else if (auto* real = std::get_if<double>(&value)) {
          statement.exchange(soci::use(*real, names[i]));
        } else if (auto* text = std::get_if<std::string>(&value)) {
          statement.exchange(soci::use(*text, names[i]));
        } else {
          statement.exchange(soci::use(nothing, null, names[i]));
        }
      }
    }
    std::vector<Param> values;
    std::vector<std::string> names;
    std::vector<std::unique_ptr<long long>> numbers;
    std::string nothing;
    soci::indicator null = soci::i_null;
    soci::statement statement;
  };

  const Named& named_;
  soci::session session_;
};

class SqliteDatabase : public Database {
 public:
  SqliteDatabase(std::string location, OpenOptions options)
      : named_{std::move(location), options.wording}, options_(std::move(options)), writer_(named_), reader_(named_) {}

  Result<void> Open() {
    std::error_code error;
    const fs::path file(named_.location);
    if (named_.location.find('"') != std::string::npos) {
      return Fail(StateError(named_, ErrorCode::kInvalidArgument, "the path must not contain a double quote"));
    }
    if (options_.read_only && !fs::exists(file, error)) {
      return Fail(StateError(named_, ErrorCode::kNotFound, "there is none yet"));
    }
    if (!options_.read_only && file.has_parent_path()) {
      fs::create_directories(file.parent_path(), error);
      if (error) {
        const bool refused = error == std::errc::permission_denied || error == std::errc::read_only_file_system;
        const auto code = refused ? ErrorCode::kPermissionDenied
                                  : (error == std::errc::no_space_on_device ? ErrorCode::kNoSpace : ErrorCode::kIo);
        return Fail(StateError(named_, code, "its folder cannot be made: " + error.message()));
      }
    }
    QUERN_TRY(writer_.Open(named_.location, options_));
    QUERN_TRY(reader_.Open(named_.location, options_));
    if (options_.read_only) return CheckReadable();
    QUERN_TRY(UseWriteAheadLog());
    // FULL: a commit is on the disk before it is answered, also when the machine loses power.
    QUERN_TRY(writer_.Execute("PRAGMA synchronous = FULL", {}));
    return CheckReadable();
  }

  Result<void> Migrate(const std::string& part, const std::vector<Migration>& migrations) override {
    const auto newest = static_cast<int64_t>(migrations.size());
    return Write([&](Connection& db) -> Result<void> {
      QUERN_TRY(
          db.Execute("CREATE TABLE IF NOT EXISTS schema_version (part VARCHAR(64) NOT NULL, version BIGINT NOT NULL, "
                     "what TEXT NOT NULL, PRIMARY KEY (part, version))"));
      auto rows = QUERN_TRY(db.Query("SELECT max(version) FROM schema_version WHERE part = :p1", {part}));
      const int64_t present = rows.at(0).Int(0);
      if (present > newest) {
        return Fail(
            Error(ErrorCode::kStateSchema,
                  fmt::format("metadata database {} was made by a newer version of Quern (schema {} of '{}', this "
                              "program knows {})",
                              named_.location, present, part, newest))
                .Hint("use that version, or name another database by `state:` of the target"));
      }
      for (int64_t version = present + 1; version <= newest; ++version) {
        const Migration& step = migrations[static_cast<size_t>(version - 1)];
        for (const auto& statement : step.statements) {
          QUERN_TRY_CONTEXT(db.Execute(statement), fmt::format("schema {} of '{}' ({})", version, part, step.what));
        }
        QUERN_TRY(db.Execute("INSERT INTO schema_version (part, version, what) VALUES (:p1, :p2, :p3)",
                             {part, version, step.what}));
      }
      return {};
    });
  }

  Result<void> Write(const std::function<Result<void>(Connection&)>& work) override {
    if (options_.read_only) {
      return Fail(StateError(named_, ErrorCode::kPermissionDenied, "it was opened for reading only"));
    }
    std::lock_guard lock(writer_mutex_);
    return Transaction(writer_, "BEGIN IMMEDIATE", work);
  }

  Result<void> Read(const std::function<Result<void>(Connection&)>& work) override {
    std::lock_guard lock(reader_mutex_);
    return Transaction(reader_, "BEGIN", work);
  }

  const std::string& location() const override { return named_.location; }

 private:
  /// Turning the log on needs the file alone for a moment, and SQLite does not wait for that by itself.
  Result<void> UseWriteAheadLog() {
    const auto until = std::chrono::steady_clock::now() + options_.busy_timeout;
    while (true) {
      auto answer = writer_.Query("PRAGMA journal_mode = WAL", {});
      if (answer) return {};
      if (answer.error().code() != ErrorCode::kStateBusy || std::chrono::steady_clock::now() > until) {
        return Fail(std::move(answer).error());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  Result<void> CheckReadable() {
    QUERN_TRY(reader_.Query("SELECT count(*) FROM sqlite_master", {}));
    return {};
  }

  Result<void> Transaction(SqliteConnection& connection, std::string_view begin,
                           const std::function<Result<void>(Connection&)>& work) {
    QUERN_TRY(connection.Execute(begin, {}));
    auto done = work(connection);
    if (done) {
      auto committed = connection.Execute("COMMIT", {});
      if (committed) return {};
      done = Fail(std::move(committed).error());
    }
    Ignore(connection.Execute("ROLLBACK", {}), "SQLite has rolled back by itself after some errors");
    return done;
  }

  Named named_;
  OpenOptions options_;
  std::mutex writer_mutex_;
  SqliteConnection writer_;
  std::mutex reader_mutex_;
  SqliteConnection reader_;
};

}  // namespace

Result<std::unique_ptr<Database>> OpenSqlite(const std::string& path, const OpenOptions& options) {
  if (path.empty()) return Fail(ErrorCode::kInvalidArgument, "the metadata database needs a path");
  auto database = std::make_unique<SqliteDatabase>(path, options);
  QUERN_TRY(database->Open());
  return database;
}

}  // namespace quern::state
