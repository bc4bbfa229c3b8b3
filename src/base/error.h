#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// Stable numbers, printed as Q0101 and documented in docs/reference/errors.md. Ranges by part; there is no catch-all.
enum class ErrorCode : int {
  // 01xx base, io: input, files, processes
  kInvalidArgument = 101,   ///< a value that cannot be used, given by a caller or user
  kParse = 102,             ///< YAML, JSON or another text that does not parse
  kUnknownKey = 103,        ///< a key that the file's format does not know
  kMissingKey = 104,        ///< a key that must be there
  kWrongType = 105,         ///< a value of another type than asked
  kNotFound = 110,          ///< a file, object or folder that is not there
  kAlreadyExists = 111,     ///< put-if-absent found something
  kPermissionDenied = 112,  ///< the system refused access, or a file system is read-only
  kNoSpace = 113,           ///< the disk is full
  kIo = 114,                ///< any other failure of the system's input or output
  kCorrupt = 115,           ///< data that contradicts its own format
  kProcessFailed = 120,     ///< a child process ended with another code than 0, or by a signal
  kTimeout = 121,           ///< a limit in time ran out
  kCancelled = 122,         ///< the user or a shutdown asked to stop
  kInternal = 190,          ///< a boundary caught what nothing should have thrown: a bug of ours
  // 02xx graph, selection
  kCycle = 201,
  kUnknownNode = 202,
  kDuplicateNode = 203,
  kSelector = 204,
  // 03xx jinja
  kTemplateSyntax = 301,
  kTemplateUndefined = 302,
  kTemplateType = 303,
  kTemplateRaised = 304,  ///< exceptions.raise_compiler_error and the like
  kTemplateLimit = 305,   ///< step, depth or size limit
  // 04xx sql, engine
  kSqlSyntax = 401,
  kSqlBind = 402,       ///< an unknown table or column, or types that do not fit
  kSqlExecution = 403,  ///< a conversion, a constraint, any failure while rows flow
  kOutOfMemory = 404,
  // 05xx delta
  kTableNotFound = 501,
  kUnsupportedFeature =
      502,  ///< a reader or writer feature of the Delta protocol that is not built; its name is in the message
  kCommitConflict = 503,
  kCorruptLog = 504,
  kVersionNotFound = 505,
  // 06xx state
  kStateBusy = 601,
  kStateSchema = 602,  ///< the metadata database was made by a newer version
  // 07xx schedule
  kCron = 701,
  kIntervalRunning = 702,  ///< another process is at the same interval
  kTaskFailed = 703,
  kRunNotFound = 704,
  kRerunPending = 705,  ///< a rerun of the schedule was begun and has not been finished
  // 08xx ingest
  kBadRow = 801,
  kContract = 802,
  kRowCount = 803,
  // 09xx dbt
  kDbtProject = 901,
  kDbtParse = 902,
  kDbtCompile = 903,
  kDbtTestFailed = 904,
  // 10xx scripts
  kScriptFailed = 1001,
  kScriptOutput = 1002,
  // 11xx project, cli
  kProject = 1101,
  kUsage = 1102,
  // 12xx tracking
  kTrackingSchema = 1201,    ///< the tracking database is of a version that is not known, or is not one
  kTrackingNotFound = 1202,  ///< no such experiment, run, registered model, version or alias
  kTrackingConflict = 1203,  ///< a name or alias that is taken, or a change that is not allowed
  // 13xx ml
  kModelConfig = 1301,     ///< ml/*.yml says something that cannot be
  kExpression = 1302,      ///< an expression of a rule that does not parse, or names what is not there
  kTrainingData = 1303,    ///< rows that a model cannot be trained or judged on: none, one class, infinite values
  kTraining = 1304,        ///< the trainer failed
  kModelFile = 1305,       ///< a model's files are missing, cut short or not what they should be
  kNotReproducible = 1306  ///< what a training was made of is no longer there
};

/// A place in a user's file. Line and column count from 1; 0 means unknown.
struct SourcePos {
  std::string file;
  int line = 0;
  int column = 0;

  bool known() const { return !file.empty() || line > 0; }
  std::string ToString() const;  ///< "file:line:column", as far as known
  friend bool operator==(const SourcePos&, const SourcePos&) = default;
};

/// A failure as a value: code, message, place, hint, fields, cause. One pointer wide; copyable; not thread-safe to
/// change.
class Error {
 public:
  Error(ErrorCode code, std::string message);
  Error(const Error& other);
  Error& operator=(const Error& other);
  Error(Error&&) noexcept = default;
  Error& operator=(Error&&) noexcept = default;
  ~Error() = default;

  Error&& At(SourcePos pos) &&;                           ///< where; does not replace a place already known
  Error&& Hint(std::string hint) &&;                      ///< what to do, a whole sentence or "did you mean 'x'?"
  Error&& With(std::string field, std::string value) &&;  ///< table, node, model, ...
  Error&& Because(Error cause) &&;
  Error&& Context(std::string_view doing) &&;         ///< prefixes the message: "doing: message"
  Error&& Trace(std::string what, SourcePos pos) &&;  ///< one more frame, innermost first: "in macro x"

  struct Frame {
    std::string what;
    SourcePos pos;
  };

  ErrorCode code() const;
  const std::string& message() const;
  const SourcePos& pos() const;
  const std::string& hint() const;
  const std::map<std::string, std::string>& fields() const;
  const std::vector<Frame>& trace() const;
  const Error* cause() const;  ///< null when there is none

  /// For people, several lines: "file:3:7: error Q0301: message", frames, "hint: ...", causes.
  std::string ToString() const;
  /// For programs: {"code": "Q0301", "message", "file", "line", "column", "hint", "fields", "trace", "cause"}.
  nlohmann::json ToJson() const;

 private:
  struct Data;
  struct DataDeleter {
    void operator()(Data*) const;
  };
  std::unique_ptr<Data, DataDeleter> data_;
};

/// "Q0301".
std::string ErrorCodeName(ErrorCode code);

/// Gathers every error and warning of a check, so that the user sees all at once.
class Diagnostics {
 public:
  void Add(Error error) { errors_.push_back(std::move(error)); }
  void Warn(Error warning) { warnings_.push_back(std::move(warning)); }
  /// Keeps the error of a failed result; tells whether it was ok.
  template <class R>
  bool Check(R&& result) {
    if (result) return true;
    Add(std::forward<R>(result).error());
    return false;
  }
  void Append(Diagnostics other);
  bool ok() const { return errors_.empty(); }
  const std::vector<Error>& errors() const { return errors_; }
  const std::vector<Error>& warnings() const { return warnings_; }
  /// Sorts by file, line and column and drops exact repetitions.
  void Sort();

 private:
  std::vector<Error> errors_;
  std::vector<Error> warnings_;
};

}  // namespace quern
