// DuckDB's errors as ours: code, message without DuckDB's decoration, place in the SQL text, hint.
#include "base/json.h"
#include "base/text.h"
#include "engine/duckdb/native.h"

namespace quern::engine {

namespace {

using ::duckdb::ErrorData;
using ::duckdb::ExceptionType;

// The key under which an Error of ours travels through a DuckDB exception.
constexpr const char* kCarried = "quern_error";

Json Pack(const Error& error) {
  Json fields = Json::object();
  for (const auto& [key, value] : error.fields()) fields[key] = value;
  Json packed = {{"code", static_cast<int>(error.code())},
                 {"message", error.message()},
                 {"hint", error.hint()},
                 {"file", error.pos().file},
                 {"line", error.pos().line},
                 {"column", error.pos().column},
                 {"fields", fields}};
  return packed;
}

Error Unpack(const Json& packed) {
  Error error(static_cast<ErrorCode>(packed.value("code", static_cast<int>(ErrorCode::kInternal))),
              packed.value("message", ""));
  if (std::string hint = packed.value("hint", ""); !hint.empty()) error = std::move(error).Hint(hint);
  SourcePos pos{packed.value("file", ""), packed.value("line", 0), packed.value("column", 0)};
  if (pos.known()) error = std::move(error).At(pos);
  for (const auto& [key, value] : packed["fields"].items())
    error = std::move(error).With(key, value.get<std::string>());
  return error;
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

ErrorCode CodeFor(ExceptionType type, const std::string& message, const std::map<std::string, std::string>& extra) {
  auto info = [&](const char* key) {
    auto it = extra.find(key);
    return it == extra.end() ? std::string() : it->second;
  };
  switch (type) {
    case ExceptionType::PARSER:
    case ExceptionType::SYNTAX:
      return ErrorCode::kSqlSyntax;
    case ExceptionType::CATALOG:
      if (info("error_subtype") == "MISSING_ENTRY" && info("type") == "Table") return ErrorCode::kTableNotFound;
      return ErrorCode::kSqlBind;
    case ExceptionType::BINDER:
    case ExceptionType::NOT_IMPLEMENTED:
    case ExceptionType::PARAMETER_NOT_RESOLVED:
    case ExceptionType::PARAMETER_NOT_ALLOWED:
      return ErrorCode::kSqlBind;
    case ExceptionType::OUT_OF_MEMORY:
      return Contains(message, "max_temp_directory_size") && Contains(message, "failed to offload")
                 ? ErrorCode::kNoSpace
                 : ErrorCode::kOutOfMemory;
    case ExceptionType::INTERRUPT:
      return ErrorCode::kCancelled;
    case ExceptionType::PERMISSION:
      return ErrorCode::kPermissionDenied;
    case ExceptionType::IO:
    case ExceptionType::HTTP:
      if (Contains(message, "No space left on device") || Contains(message, "Disk quota exceeded"))
        return ErrorCode::kNoSpace;
      if (Contains(message, "Permission denied") || Contains(message, "Read-only file system"))
        return ErrorCode::kPermissionDenied;
      if (Contains(message, "No files found") || Contains(message, "No such file")) return ErrorCode::kNotFound;
      if (Contains(message, "not a valid DuckDB database") || Contains(message, "Corrupt")) return ErrorCode::kCorrupt;
      return ErrorCode::kIo;
    case ExceptionType::INTERNAL:
    case ExceptionType::FATAL:
      return ErrorCode::kInternal;
    default:
      return ErrorCode::kSqlExecution;
  }
}

// Takes what DuckDB writes for a reader of a terminal out of the message and gives it as a hint.
std::string TakeHint(std::string& message) {
  for (const char* mark : {"\nDid you mean ", "\n\nDid you mean", "Did you mean "}) {
    size_t at = message.find(mark);
    if (at == std::string::npos) continue;
    std::string hint(Trim(message.substr(at)));
    message.erase(at);
    // DuckDB's own tables are near to everything when a database has few others.
    for (const char* own : {"\"pg_", "\"sqlite_", "\"duckdb_", "\"pragma_", "\"pg_catalog.", "\"information_schema."}) {
      if (hint.find(own) != std::string::npos) return "";
    }
    hint[0] = 'd';
    return ReplaceAll(hint, "\"", "'");
  }
  for (const char* mark : {"\nCandidate bindings: ", "\nCandidate Entries: "}) {
    size_t at = message.find(mark);
    if (at == std::string::npos) continue;
    std::string names(Trim(message.substr(at + std::string_view(mark).size())));
    message.erase(at);
    return "did you mean " + ReplaceAll(names, "\"", "'") + "?";
  }
  return "";
}

}  // namespace

void ThrowToDuckDb(const Error& error) {
  ExceptionType type = ExceptionType::INVALID_INPUT;
  if (error.code() == ErrorCode::kCommitConflict) type = ExceptionType::TRANSACTION;
  if (error.code() == ErrorCode::kSqlBind || error.code() == ErrorCode::kUnsupportedFeature)
    type = ExceptionType::BINDER;
  if (error.code() == ErrorCode::kTableNotFound) type = ExceptionType::CATALOG;
  throw ::duckdb::Exception({{kCarried, Pack(error).dump(-1, ' ', false, Json::error_handler_t::replace)}}, type,
                            error.message());
}

Error FromDuckDb(const ErrorData& data, std::string_view sql) {
  std::string message = data.RawMessage();
  ExceptionType type = data.Type();
  std::map<std::string, std::string> extra(data.ExtraInfo().begin(), data.ExtraInfo().end());
  if (message.starts_with('{')) {  // errors_as_json, which keeps the position
    Json json = Json::parse(message, nullptr, false);
    if (json.is_object() && json.contains("exception_message")) {
      for (const auto& [key, value] : json.items()) {
        if (value.is_string()) extra[key] = value.get<std::string>();
      }
      message = extra["exception_message"];
      type = ::duckdb::Exception::StringToExceptionType(extra["exception_type"]);
    }
  }
  SourcePos pos;
  if (auto it = extra.find("position"); it != extra.end() && !sql.empty()) {
    size_t offset = std::strtoull(it->second.c_str(), nullptr, 10);
    if (offset <= sql.size()) {
      LineColumn place = LineColumnAt(sql, offset);
      pos.line = place.line;
      pos.column = place.column;
    }
  }
  if (auto it = extra.find(kCarried); it != extra.end()) {
    Json packed = Json::parse(it->second, nullptr, false);
    if (packed.is_object()) return Unpack(packed).At(pos);
  }
  // DuckDB's own "LINE 1: ..." is cut: our error carries the place.
  if (size_t at = message.find("\n\nLINE "); at != std::string::npos) message.erase(at);
  std::string hint = TakeHint(message);
  message = std::string(Trim(message));
  const ErrorCode code = CodeFor(type, message, extra);
  Error error(code, std::move(message));
  if (!hint.empty()) error = std::move(error).Hint(std::move(hint));
  if (pos.known()) error = std::move(error).At(pos);
  return error;
}

PendingError& PendingError::Of(::duckdb::ClientContext& context) {
  return *context.registered_state->GetOrCreate<PendingError>("quern_pending_error");
}

void PendingError::Set(Error error) {
  std::lock_guard lock(mutex_);
  error_ = std::move(error);
}

std::optional<Error> PendingError::TakeIfIn(std::string_view message) {
  std::lock_guard lock(mutex_);
  std::optional<Error> error = std::move(error_);
  error_.reset();
  if (error && message.find(error->message()) == std::string_view::npos) error.reset();
  return error;
}

}  // namespace quern::engine
