#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "base/yaml.h"
#include "ingest/csv_records.h"
#include "ingest/discovery.h"
#include "ingest/path_pattern.h"
#include "ingest/type.h"

namespace quern::ingest {

enum class Mode { kReplace, kAppend, kMerge, kDeleteInsert, kHistory };
std::string_view ModeName(Mode mode);

/// What happens to what a table does not expect.
enum class Rule { kEvolve, kFreeze, kDiscardRow, kDiscardValue };
std::string_view RuleName(Rule rule);

struct Contract {
  Rule tables = Rule::kEvolve;     ///< a table (or child table) that is not there yet
  Rule columns = Rule::kEvolve;    ///< a column or nested field that the table does not have
  Rule data_type = Rule::kFreeze;  ///< a value that does not fit its column's type
  Rule rows = Rule::kFreeze;       ///< a row that cannot be cut into columns: kFreeze or kDiscardRow (the default with
                                   ///< data_type: discard_row)
};

struct ColumnConfig {
  std::string name;
  std::string source;                ///< its name in the files
  std::optional<Type> type;          ///< else inferred
  std::string format;                ///< strptime's, for dates and timestamps in text
  std::optional<TimeZone> timezone;  ///< of times without an offset; else the table's
  bool nullable = true;
  bool optional = false;  ///< the files may lack it
  std::vector<std::string> null_values;
  std::string expression;  ///< computed by SQL from the other columns
  std::string description;
  SourcePos pos;
};

struct HistoryConfig {
  std::string valid_from = "_quern_valid_from";
  std::string valid_to = "_quern_valid_to";
  std::string is_current = "_quern_is_current";
  enum class Missing { kKeep, kClose };
  Missing missing_keys = Missing::kKeep;
  enum class Late { kFail, kSkip };
  Late late_files = Late::kFail;
};

struct RowCheck {
  enum class Action { kWarn, kFail, kOff };
  Action action = Action::kWarn;
  int loads = 10;                  ///< how many of the newest earlier loads are looked at
  int min_loads = 3;               ///< fewer: no judgement
  double min_ratio = 0.3;          ///< of their median
  Action no_files = Action::kOff;  ///< when no new file is there at all
};

struct TableConfig {
  std::string name;
  std::string schema = "raw";
  std::string description;
  std::vector<std::string> tags;
  PathPattern path;
  TimeZone timezone = TimeZone::Utc();
  Format format = Format::kCsv;
  CsvDialect csv;
  bool skip_empty_files = false;
  std::vector<std::string> null_values;
  Mode mode = Mode::kAppend;
  std::vector<std::string> key;
  std::vector<std::string> partition_by;
  std::vector<ColumnConfig> columns;
  Contract contract;
  bool child_tables = false;
  HistoryConfig history;
  RowCheck rows_check;
  bool metadata_columns = true;
  std::string file;  ///< relative to the project
  SourcePos pos;
  Json config = Json::object();  ///< as written

  const ColumnConfig* FindColumn(std::string_view name) const;    ///< without case; null when not declared
  const ColumnConfig* FindSource(std::string_view source) const;  ///< by the name in the files
  std::string id() const { return "ingest." + name; }
};

inline constexpr std::string_view kFileColumn = "_quern_file";
inline constexpr std::string_view kFileTimeColumn = "_quern_file_time";  ///< seen by expressions only
inline constexpr std::string_view kRunColumn = "_quern_run";
inline constexpr std::string_view kLoadedAtColumn = "_quern_loaded_at";
inline constexpr std::string_view kIdColumn = "_quern_id";         ///< of a row that has child rows
inline constexpr std::string_view kRootColumn = "_quern_root_id";  ///< of a child row: the _quern_id of the table's row
inline constexpr std::string_view kParentColumn = "_quern_parent_id";
inline constexpr std::string_view kIndexColumn = "_quern_index";  ///< of a child row in its list, from 0

/// Reads the text of one file. Everything wrong is reported; tables that could be read are returned all the same.
std::vector<TableConfig> ParseIngestFile(std::string_view text, const std::string& file, Diagnostics& diagnostics);

/// Reads ingest/*.yml and *.yaml of a project in name order, and reports two loads of one name or table.
std::vector<TableConfig> LoadIngestFiles(const std::filesystem::path& project, Diagnostics& diagnostics);

}  // namespace quern::ingest
