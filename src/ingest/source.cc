#include "ingest/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "base/ids.h"
#include "base/text.h"
#include "ingest/json_lines.h"

namespace quern::ingest {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxCopiedRecord = 1'900'000;  // DuckDB's reader takes lines of up to 2,000,000 bytes
constexpr size_t kMaxKeptText = 100'000;        // of a rejected row, in the quarantine

std::string CompressionSql(Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return "'gzip'";
    case Compression::kZstd:
      return "'zstd'";
    case Compression::kNone:
      break;
  }
  return "'none'";
}

std::string Character(char c) {
  return QuoteLiteral(c == 0 ? std::string() : std::string(1, c));
}

std::string CsvField(std::string_view text) {
  return "\"" + ReplaceAll(std::string(text), "\"", "\"\"") + "\"";
}

// Bytes that are no UTF-8 as U+FFFD, and not more of them than anybody reads.
std::string Printable(std::string_view bytes) {
  if (bytes.size() > kMaxKeptText) bytes = bytes.substr(0, kMaxKeptText);
  std::string out;
  for (size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const size_t n = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (bytes[i] != '\0' && i + n <= bytes.size() && IsValidUtf8(bytes.substr(i, n))) {
      out += bytes.substr(i, n);
      i += n;
    } else {
      out += "\xEF\xBF\xBD";
      ++i;
    }
  }
  return out;
}

class CopyWriter {
 public:
  explicit CopyWriter(const fs::path& path) : path_(path), out_(path, std::ios::binary | std::ios::trunc) {}
  void Write(std::string_view text) { out_.write(text.data(), static_cast<std::streamsize>(text.size())); }
  Result<void> Close() {
    out_.close();
    if (out_) return {};
    std::error_code error;
    const fs::space_info space = fs::space(path_.parent_path(), error);
    if (!error && space.available < (1u << 20)) {
      return Fail(
          Error(ErrorCode::kNoSpace, fmt::format("No space left on the device of {}", path_.parent_path().string())));
    }
    return Fail(Error(ErrorCode::kIo, fmt::format("cannot write {}", path_.string())));
  }

 private:
  fs::path path_;
  std::ofstream out_;
};

}  // namespace

Source::Source(const TableConfig& config, std::vector<SourceFile> files, fs::path project, fs::path temp,
               engine::Connection& connection, const Cancellation& cancellation)
    : config_(config),
      files_(std::move(files)),
      project_(std::move(project)),
      temp_(std::move(temp)),
      connection_(connection),
      cancellation_(cancellation) {}

Source::~Source() {
  std::error_code ignored;
  fs::remove_all(temp_, ignored);
}

Result<std::unique_ptr<Source>> Source::Open(const TableConfig& config, std::vector<SourceFile> files,
                                             const fs::path& project, const fs::path& temp,
                                             engine::Connection& connection, const Cancellation& cancellation) {
  std::unique_ptr<Source> source(
      new Source(config, std::move(files), project, temp / ("ingest-" + RandomUuid()), connection, cancellation));
  switch (config.format) {
    case Format::kCsv:
      QUERN_TRY(source->OpenCsv());
      break;
    case Format::kJsonLines:
      QUERN_TRY(source->OpenJson());
      break;
    case Format::kParquet:
      QUERN_TRY(source->OpenParquet());
      break;
  }
  return source;
}

// An engine's error about a file, with the project's path instead of the absolute one.
Error Source::Place(Error error) const {
  for (const SourceFile& file : files_) {
    if (error.message().find(file.absolute.string()) == std::string::npos) continue;
    std::string message = ReplaceAll(error.message(), file.absolute.string(), file.path);
    return Error(error.code(), std::move(message)).At({file.path});
  }
  return files_.size() == 1 ? std::move(error).At({files_[0].path}) : error;
}

Result<void> Source::OpenCsv() {
  std::map<std::pair<std::vector<std::string>, Compression>, size_t> known;
  std::vector<std::vector<std::string>> headers;
  for (size_t i = 0; i < files_.size(); ++i) {
    QUERN_TRY(cancellation_.Check());
    const SourceFile& file = files_[i];
    std::vector<std::string> header = QUERN_TRY(ReadHeader(file, config_.csv));
    headers.push_back(header);
    if (header.empty()) {
      if (config_.skip_empty_files) continue;
      return Fail(Error(ErrorCode::kBadRow,
                        config_.csv.header ? "the file is empty: it has not even a header line" : "the file is empty")
                      .At({file.path, 1})
                      .Hint("`empty_files: skip` takes empty files for files without rows"));
    }
    if (!config_.csv.header && !config_.columns.empty()) {  // the declaration names the columns in their order
      std::vector<std::string> names;
      for (const ColumnConfig& column : config_.columns) {
        if (column.expression.empty()) names.push_back(column.source);
      }
      for (size_t c = 0; c < header.size() && c < names.size(); ++c) header[c] = names[c];
    }
    if (header.size() == 1 && config_.csv.header && config_.FindSource(header[0]) == nullptr) {
      for (const char c : {',', ';', '\t', '|'}) {
        if (c == config_.csv.delimiter || header[0].find(c) == std::string::npos) continue;
        const std::string shown = c == '\t' ? "\\t" : std::string(1, c);
        return Fail(
            Error(ErrorCode::kBadRow, fmt::format("the header is one column, '{}'", header[0]))
                .At({file.path, 1, 1})
                .Hint(fmt::format("the values seem to be separated by '{0}': csv: {{delimiter: \"{0}\"}}", shown)));
      }
    }
    const auto [it, fresh] = known.try_emplace({header, CompressionOfName(file.path)}, groups_.size());
    if (fresh) groups_.push_back({header, CompressionOfName(file.path), {}});
    groups_[it->second].files.push_back(i);
  }
  // Columns in the order in which files name them.
  std::map<std::string, size_t> index;
  for (const Group& group : groups_) {
    for (const std::string& name : group.header) {
      if (!index.try_emplace(Lower(name), columns_.size()).second) continue;
      columns_.push_back({name, Raw::kText, Type(), "", "", {}});
    }
  }
  for (SourceColumn& column : columns_) {
    for (const Group& group : groups_) {
      const bool has = std::any_of(group.header.begin(), group.header.end(),
                                   [&](const std::string& name) { return EqualsIgnoreCase(name, column.name); });
      if (!has && (column.missing_in.empty() || files_[group.files[0]].path < column.missing_in)) {
        column.missing_in = files_[group.files[0]].path;
      }
    }
  }
  return {};
}

Result<void> Source::OpenJson() {
  std::map<Compression, size_t> known;
  for (size_t i = 0; i < files_.size(); ++i) {
    const auto [it, fresh] = known.try_emplace(CompressionOfName(files_[i].path), groups_.size());
    if (fresh) groups_.push_back({{}, CompressionOfName(files_[i].path), {}});
    groups_[it->second].files.push_back(i);
  }
  auto read = ReadStructure();
  if (read) return {};
  const ErrorCode code = read.error().code();
  if (code == ErrorCode::kCancelled || code == ErrorCode::kOutOfMemory || code == ErrorCode::kNoSpace) return read;
  QUERN_TRY(ExactJson());
  exact_ = true;
  return ReadStructure();
}

// The columns are the keys of all rows, merged.
Result<void> Source::ReadStructure() {
  std::string rows;
  for (size_t g = 0; g < groups_.size(); ++g) {
    if (!rows.empty()) rows += " UNION ALL ";
    if (exact_) {
      rows += fmt::format("SELECT j AS json FROM ({})", CsvSql(groups_[g], &copies_[g]));
    } else {
      rows += fmt::format("SELECT json FROM read_ndjson_objects({}, compression={})", FileList(groups_[g].files),
                          CompressionSql(groups_[g].compression));
    }
  }
  auto answer = connection_.Execute(fmt::format("SELECT CAST(json_group_structure(json) AS VARCHAR) FROM ({})", rows));
  if (!answer) return Fail(Place(std::move(answer).error()));
  columns_.clear();
  children_.clear();
  if (answer->rows.empty() || engine::IsNull(answer->rows[0][0])) return {};  // no rows at all
  // In the order in which the rows name the keys.
  const auto structure = nlohmann::ordered_json::parse(engine::ToText(answer->rows[0][0]), nullptr, false);
  if (!structure.is_object()) {
    return Fail(Error(ErrorCode::kBadRow, "not every line is a JSON object").At({files_[0].path}));
  }
  for (const auto& item : structure.items()) {
    if (item.key().empty()) return Fail(Error(ErrorCode::kContract, "a row has an empty key").At({files_[0].path}));
    Type type = Type::OfJsonStructure(item.value());
    if (config_.child_tables && type.nested())
      Unfold(type, {item.key()});
    else
      columns_.push_back({item.key(), Raw::kJson, std::move(type), "", "", {item.key()}});
  }
  std::set<std::string> seen;
  for (const SourceColumn& column : columns_) {
    if (seen.insert(Lower(column.name)).second) continue;
    return Fail(Error(ErrorCode::kContract, fmt::format("two keys become the column '{}'", column.name))
                    .At({files_[0].path})
                    .Hint("names are compared without case"));
  }
  return {};
}

// Structs become columns a__b, lists become tables of their own.
void Source::Unfold(const Type& type, std::vector<std::string> path) {
  if (type.kind == Type::Kind::kStruct) {
    for (const Type::Field& field : type.fields) {
      std::vector<std::string> inner = path;
      inner.push_back(field.name);
      Unfold(field.type, std::move(inner));
    }
    return;
  }
  if (type.kind == Type::Kind::kList)
    children_.push_back({Join(path, "__"), std::move(path), type.fields[0].type});
  else
    columns_.push_back({Join(path, "__"), Raw::kJson, type, "", "", std::move(path)});
}

// The value at a path, NULL where it is a JSON null or not there.
std::string Source::JsonSql(const std::vector<std::string>& path) const {
  std::string json_path = "$";
  for (size_t i = exact_ ? 0 : 1; i < path.size(); ++i) json_path += "." + Json(path[i]).dump();
  const std::string top = exact_ ? "j" : QuoteIdentifier(path[0]);
  if (json_path == "$") return top;
  const std::string value = fmt::format("json_extract({}, {})", top, QuoteLiteral(json_path));
  return fmt::format("CASE WHEN json_type({0}) = 'NULL' THEN NULL ELSE {0} END", value);
}

std::string Source::ChildColumns() const {
  std::string names;
  for (size_t i = 0; i < children_.size(); ++i) names += fmt::format("{}quern_n{}", i == 0 ? "" : ", ", i);
  return names;
}

Result<void> Source::OpenParquet() {
  groups_.push_back({});
  std::map<std::string, size_t> index;
  std::vector<std::set<std::string>> has(files_.size());
  for (size_t i = 0; i < files_.size(); ++i) {
    QUERN_TRY(cancellation_.Check());
    groups_[0].files.push_back(i);
    if (files_[i].size == 0) {
      return Fail(Error(ErrorCode::kCorrupt, "the file is empty: it is no Parquet file").At({files_[i].path}));
    }
    auto described = connection_.Describe(fmt::format("SELECT * FROM read_parquet({}, hive_partitioning=false)",
                                                      QuoteLiteral(files_[i].absolute.string())));
    if (!described) {
      return Fail(Error(ErrorCode::kCorrupt, Place(std::move(described).error()).message())
                      .At({files_[i].path})
                      .Hint("the file is no Parquet file, or was not written or copied to its end"));
    }
    for (const engine::Column& column : *described) {
      if (!has[i].insert(Lower(column.name)).second) {
        return Fail(Error(ErrorCode::kContract, fmt::format("the file has two columns '{}'", column.name))
                        .At({files_[i].path})
                        .Hint("names are compared without case"));
      }
      Type type = QUERN_TRY(Type::Parse(column.type, Type::From::kEngine));
      const auto [it, fresh] = index.try_emplace(Lower(column.name), columns_.size());
      if (fresh) {
        columns_.push_back({column.name, Raw::kTyped, std::move(type), column.type, "", {}});
      } else {
        SourceColumn& known = columns_[it->second];
        if (known.sql_type != column.type) {
          known.type = Widen(known.type, type);
          known.sql_type = known.type.ToSql();
        }
      }
    }
  }
  for (SourceColumn& column : columns_) {
    for (size_t i = 0; i < files_.size() && column.missing_in.empty(); ++i) {
      if (!has[i].contains(Lower(column.name))) column.missing_in = files_[i].path;
    }
  }
  return {};
}

std::string Source::FileList(const std::vector<size_t>& files) const {
  std::string list;
  for (const size_t i : files) list += (list.empty() ? "" : ", ") + QuoteLiteral(files_[i].absolute.string());
  return "[" + list + "]";
}

// The project's path of a file out of the engine's `filename`.
std::string Source::PathOfFilename() const {
  if (files_.size() == 1) return QuoteLiteral(files_[0].path);
  const std::string prefix = (project_ / "").string();
  const bool inside = std::all_of(files_.begin(), files_.end(),
                                  [&](const SourceFile& file) { return file.absolute.string() == prefix + file.path; });
  return inside ? fmt::format("substr(quern_filename, {})", Utf8Length(prefix) + 1) : "quern_filename";
}

// The raw value with the table's and the column's null markers as NULL.
std::string Source::WithNulls(const SourceColumn& column, const std::string& raw) const {
  std::vector<std::string> markers;
  if (column.raw != Raw::kText) markers = config_.null_values;  // CSV's reader knows the table's already
  const ColumnConfig* declared = config_.FindSource(column.name);
  if (declared != nullptr) markers.insert(markers.end(), declared->null_values.begin(), declared->null_values.end());
  const bool text = column.raw != Raw::kTyped || column.type.kind == Type::Kind::kVarchar;
  if (markers.empty() || !text) return raw;
  std::string list;
  for (const std::string& marker : markers) list += (list.empty() ? "" : ", ") + QuoteLiteral(marker);
  const std::string value = column.raw == Raw::kJson ? fmt::format("({} ->> '$')", raw) : raw;
  return fmt::format("CASE WHEN {} IN ({}) THEN NULL ELSE {} END", value, list, raw);
}

// One group's rows: its columns by their header names, and `filename`; the exact copy has `fi` and `l` in front.
std::string Source::CsvSql(const Group& group, const ExactCopy* exact_copy) const {
  const bool copy = exact_copy != nullptr;
  std::string columns = copy ? "'fi': 'BIGINT', 'l': 'BIGINT'" : "";
  if (config_.format == Format::kJsonLines) {
    columns += ", 'j': 'JSON'";
  } else {
    for (size_t i = 0; i < group.header.size(); ++i)
      columns += fmt::format("{}'h{}': 'VARCHAR'", columns.empty() ? "" : ", ", i);
  }
  std::string nulls = "''";
  for (const std::string& marker : config_.null_values) nulls += ", " + QuoteLiteral(marker);
  const CsvDialect plain;
  const CsvDialect& dialect = config_.format == Format::kCsv ? config_.csv : plain;
  std::string sql = fmt::format(
      "SELECT * FROM read_csv({}, auto_detect=false, columns={{{}}}, delim={}, quote={}, escape={}, strict_mode=true, "
      "null_padding=false, comment='', compression={}",
      copy ? QuoteLiteral(exact_copy->path) : FileList(group.files), columns, Character(dialect.delimiter),
      Character(dialect.quote), Character(dialect.escape), copy ? "'none'" : CompressionSql(group.compression));
  if (config_.format == Format::kCsv) sql += fmt::format(", nullstr=[{}]", nulls);
  if (copy) {
    sql += ", header=false, new_line='\\n'";
    if (config_.format == Format::kJsonLines) {
      // The engine would take sixteen times the longest line as its buffer.
      const size_t line = std::max<size_t>(exact_copy->longest_record, 64 << 10);
      sql += fmt::format(", max_line_size={}, buffer_size={}", line, std::max<size_t>(2 * line, 1 << 20));
    }
  } else {
    sql += fmt::format(", header={}, skip={}, filename='quern_filename'{}", config_.csv.header, config_.csv.skip_lines,
                       config_.csv.latin1 ? ", encoding='latin-1'" : "");
  }
  return sql + ")";
}

std::string Source::EmptySql() const {
  std::string select;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const char* type = columns_[i].raw == Raw::kJson ? "JSON" : "VARCHAR";
    const std::string named = columns_[i].raw == Raw::kTyped ? columns_[i].sql_type : type;
    select += fmt::format("CAST(NULL AS {}) AS quern_c{}, ", named, i);
  }
  for (size_t i = 0; i < children_.size(); ++i) select += fmt::format("CAST(NULL AS JSON) AS quern_n{}, ", i);
  return fmt::format("SELECT {}CAST(NULL AS VARCHAR) AS quern_f, CAST(NULL AS BIGINT) AS quern_l WHERE false", select);
}

std::string Source::Sql() const {
  std::string all;
  std::string paths;
  for (const SourceFile& file : files_) paths += (paths.empty() ? "" : ", ") + QuoteLiteral(file.path);
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    std::string select;
    for (size_t i = 0; i < columns_.size(); ++i) {
      std::string raw = "NULL";
      switch (columns_[i].raw) {
        case Raw::kText:
          raw = "CAST(NULL AS VARCHAR)";
          for (size_t h = 0; h < group.header.size(); ++h) {
            if (EqualsIgnoreCase(group.header[h], columns_[i].name)) raw = fmt::format("h{}", h);
          }
          break;
        case Raw::kJson:
          raw = JsonSql(columns_[i].path);
          break;
        case Raw::kTyped:
          raw = QuoteIdentifier(columns_[i].name);
          break;
      }
      select += fmt::format("{} AS quern_c{}, ", WithNulls(columns_[i], raw), i);
    }
    for (size_t i = 0; i < children_.size(); ++i)
      select += fmt::format("{} AS quern_n{}, ", JsonSql(children_[i].path), i);
    std::string from;
    if (config_.format == Format::kParquet) {
      select += fmt::format("{} AS quern_f, file_row_number + 1 AS quern_l", PathOfFilename());
      from = fmt::format(
          "read_parquet({}, filename='quern_filename', file_row_number=true, union_by_name=true, "
          "hive_partitioning=false)",
          FileList(group.files));
    } else if (exact_) {
      select += fmt::format("[{}][fi] AS quern_f, l AS quern_l", paths);
      from = "(" + CsvSql(group, &copies_[g]) + ")";
    } else if (config_.format == Format::kJsonLines) {
      std::string columns;
      std::set<std::string> tops;
      for (const SourceColumn& column : columns_) tops.insert(column.path[0]);
      for (const ChildList& child : children_) tops.insert(child.path[0]);
      for (const std::string& top : tops)
        columns += fmt::format("{}{}: 'JSON'", columns.empty() ? "" : ", ", QuoteLiteral(top));
      if (columns.empty()) continue;
      select += fmt::format("{} AS quern_f, CAST(NULL AS BIGINT) AS quern_l", PathOfFilename());
      from = fmt::format(
          "read_json({}, format='newline_delimited', columns={{{}}}, compression={}, filename='quern_filename')",
          FileList(group.files), columns, CompressionSql(group.compression));
    } else {
      select += fmt::format("{} AS quern_f, CAST(NULL AS BIGINT) AS quern_l", PathOfFilename());
      from = "(" + CsvSql(group, nullptr) + ")";
    }
    all += (all.empty() ? "" : " UNION ALL ") + fmt::format("SELECT {} FROM {}", select, from);
  }
  return all.empty() ? EmptySql() : all;
}

Result<void> Source::MakeExact() {
  if (exact_) return {};
  if (config_.format == Format::kCsv) QUERN_TRY(ExactCsv());
  if (config_.format == Format::kJsonLines) QUERN_TRY(ExactJson());
  exact_ = true;
  return {};
}

Result<void> Source::ExactCsv() {
  std::error_code error;
  fs::create_directories(temp_, error);
  CopyWriter rejects(temp_ / "rejects.csv");
  for (size_t g = 0; g < groups_.size(); ++g) {
    copies_.push_back({(temp_ / fmt::format("rows{}.csv", g)).string()});
    CopyWriter copy(copies_.back().path);
    for (const size_t i : groups_[g].files) {
      auto reader = QUERN_TRY(ByteReader::Open(files_[i].absolute, CompressionOfName(files_[i].path), files_[i].path));
      CsvScanner scanner(std::move(reader), config_.csv);
      CsvRecord record;
      bool header = config_.csv.header;
      int64_t n = 0;
      while (true) {
        auto more = scanner.Next(record);
        if (!more) return Fail(std::move(more.error()).At({files_[i].path}));
        if (!*more) break;
        if (++n % 4096 == 0) QUERN_TRY(cancellation_.Check());
        if (header) {
          header = false;
          continue;
        }
        if (record.reason.empty() && record.fields.size() != groups_[g].header.size()) {
          record.reason =
              fmt::format("{} values, where the header has {} columns", record.fields.size(), groups_[g].header.size());
          record.column = 1;
        }
        if (record.reason.empty() && record.text.size() > kMaxCopiedRecord) record.reason = "the row is too long";
        if (record.reason.empty()) {
          // The prefix needs the file's own delimiter.
          copy.Write(fmt::format("{}{}{}{}", i + 1, config_.csv.delimiter, record.line, config_.csv.delimiter));
          copy.Write(record.text);
          copy.Write("\n");
          continue;
        }
        if (rejected_++ == 0 || (files_[i].path == first_reject_.file && record.line < first_reject_.line)) {
          first_reject_ = {files_[i].path, record.line, record.column, record.reason};
        }
        rejects.Write(fmt::format("{},{},{},{}\n", i + 1, record.line, CsvField(record.reason),
                                  CsvField(Printable(record.text))));
      }
    }
    QUERN_TRY(copy.Close());
  }
  return rejects.Close();
}

Result<void> Source::ExactJson() {
  std::error_code error;
  fs::create_directories(temp_, error);
  CopyWriter rejects(temp_ / "rejects.csv");
  for (size_t g = 0; g < groups_.size(); ++g) {
    copies_.push_back({(temp_ / fmt::format("rows{}.csv", g)).string()});
    CopyWriter copy(copies_.back().path);
    for (const size_t i : groups_[g].files) {
      auto reader = QUERN_TRY(ByteReader::Open(files_[i].absolute, CompressionOfName(files_[i].path), files_[i].path));
      JsonLineScanner scanner(std::move(reader));
      JsonLine line;
      int64_t n = 0;
      while (true) {
        auto more = scanner.Next(line);
        if (!more) return Fail(std::move(more.error()).At({files_[i].path}));
        if (!*more) break;
        if (++n % 4096 == 0) QUERN_TRY(cancellation_.Check());
        if (line.reason.empty()) {
          const std::string record = fmt::format("{},{},{}\n", i + 1, line.line, CsvField(line.text));
          copies_.back().longest_record = std::max(copies_.back().longest_record, record.size());
          copy.Write(record);
          continue;
        }
        if (rejected_++ == 0) first_reject_ = {files_[i].path, line.line, line.column, line.reason};
        rejects.Write(
            fmt::format("{},{},{},{}\n", i + 1, line.line, CsvField(line.reason), CsvField(Printable(line.text))));
      }
    }
    QUERN_TRY(copy.Close());
  }
  return rejects.Close();
}

std::string Source::RejectsSql() const {
  if (rejected_ == 0) return "";
  std::string paths;
  for (const SourceFile& file : files_) paths += (paths.empty() ? "" : ", ") + QuoteLiteral(file.path);
  return fmt::format(
      "SELECT [{}][fi] AS file, l AS line, CAST(NULL AS VARCHAR) AS col, reason, value FROM read_csv({}, "
      "auto_detect=false, "
      "header=false, delim=',', quote='\"', escape='\"', nullstr='', columns={{'fi': 'BIGINT', 'l': 'BIGINT', "
      "'reason': "
      "'VARCHAR', 'value': 'VARCHAR'}})",
      paths, QuoteLiteral((temp_ / "rejects.csv").string()));
}

int Source::ColumnOf(const std::string& path, int64_t line, int source) const {
  if (config_.format != Format::kCsv || source < 0) return 0;
  for (const Group& group : groups_) {
    for (const size_t i : group.files) {
      if (files_[i].path != path) continue;
      auto reader = ByteReader::Open(files_[i].absolute, CompressionOfName(path), path);
      if (!reader) return 0;
      CsvScanner scanner(*std::move(reader), config_.csv);
      CsvRecord record;
      while (true) {
        const auto more = scanner.Next(record);
        if (!more || !*more || record.line > line) return 0;
        if (record.line < line) continue;
        for (size_t h = 0; h < group.header.size() && h < record.fields.size(); ++h) {
          if (!EqualsIgnoreCase(group.header[h], columns_[static_cast<size_t>(source)].name)) continue;
          return static_cast<int>(record.fields[h].data() - record.text.data()) + 1;
        }
        return 0;
      }
    }
  }
  return 0;
}

}  // namespace quern::ingest
