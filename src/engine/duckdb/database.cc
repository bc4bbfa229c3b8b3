#include "engine/duckdb/database.h"

#include "engine/duckdb/native.h"

namespace quern::engine {

namespace {

class Embedded : public DuckDatabase {
 public:
  explicit Embedded(std::unique_ptr<::duckdb::DuckDB> db) : db_(std::move(db)) {}
  Result<std::unique_ptr<Connection>> Connect() override {
    try {
      return std::make_unique<DuckConnection>(*db_);
    } catch (const std::exception& e) {
      return Fail(FromDuckDb(::duckdb::ErrorData(e), ""));
    }
  }
  ::duckdb::DuckDB& native() override { return *db_; }

 private:
  std::unique_ptr<::duckdb::DuckDB> db_;
};

}  // namespace

Result<std::unique_ptr<DuckDatabase>> DuckDatabase::Open(const DuckDbOptions& options) {
  using DuckValue = ::duckdb::Value;
  std::error_code ignored;
  std::filesystem::path temp = options.temp_directory;
  if (temp.empty() && options.file.empty()) temp = std::filesystem::temp_directory_path(ignored) / "quern-spill";
  try {
    ::duckdb::DBConfig config;
    auto set = [&](const char* name, DuckValue value) { config.SetOptionByName(name, value); };
    set("allow_unsigned_extensions", DuckValue::BOOLEAN(false));
    set("allow_community_extensions", DuckValue::BOOLEAN(false));
    set("autoinstall_known_extensions", DuckValue::BOOLEAN(false));
    set("autoload_known_extensions", DuckValue::BOOLEAN(false));
    set("allow_persistent_secrets", DuckValue::BOOLEAN(false));
    // Nothing is looked for in the user's home folder.
    set("home_directory", DuckValue("/nonexistent"));
    set("extension_directory", DuckValue("/nonexistent"));
    if (options.threads > 0) set("threads", DuckValue::BIGINT(options.threads));
    if (!options.memory_limit.empty()) set("memory_limit", DuckValue(options.memory_limit));
    if (!temp.empty()) set("temp_directory", DuckValue(temp.string()));
    if (options.read_only && !options.file.empty()) config.options.access_mode = ::duckdb::AccessMode::READ_ONLY;
    const std::string file = options.file.string();
    auto db = std::make_unique<::duckdb::DuckDB>(file.empty() ? nullptr : file.c_str(), &config);
    ::duckdb::Connection connection(*db);
    auto zone = connection.Query("SET GLOBAL TimeZone = 'UTC'");
    if (zone->HasError()) return Fail(FromDuckDb(zone->GetErrorObject(), ""));
    return std::make_unique<Embedded>(std::move(db));
  } catch (const std::exception& e) {
    Error error = FromDuckDb(::duckdb::ErrorData(e), "");
    const ErrorCode code = error.code() == ErrorCode::kSqlExecution || error.code() == ErrorCode::kSqlBind ||
                                   error.code() == ErrorCode::kTableNotFound || error.code() == ErrorCode::kSqlSyntax
                               ? ErrorCode::kInvalidArgument
                               : error.code();
    return Fail(Error(code, "opening DuckDB: " + error.message()).Hint(error.hint()));
  }
}

}  // namespace quern::engine
