#include "script/outputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "base/json.h"
#include "base/text.h"

namespace quern::script {
namespace fs = std::filesystem;
namespace {

std::string FormatOf(const fs::path& file) {
  std::string name = Lower(file.filename().string());
  for (const char* ending : {".gz", ".zst"}) {
    if (name.ends_with(ending)) name.erase(name.size() - std::string_view(ending).size());
  }
  if (name.ends_with(".parquet")) return "parquet";
  if (name.ends_with(".jsonl") || name.ends_with(".ndjson")) return "jsonl";
  return "";
}

bool Hidden(const fs::path& path) {
  std::string name = path.filename().string();
  return name.empty() || name[0] == '.' || name[0] == '_';
}

std::string TableSql(const ScriptWrite& write) {
  return QuoteIdentifier(write.table.schema) + "." + QuoteIdentifier(write.table.table);
}

std::string SourceSql(const std::string& format, const std::vector<fs::path>& files) {
  std::vector<std::string> quoted;
  for (const auto& file : files) quoted.push_back(QuoteLiteral(file.string()));
  std::string list = "[" + Join(quoted, ", ") + "]";
  if (format == "parquet") return fmt::format("read_parquet({}, union_by_name = true)", list);
  // records: each line is an object, anything else is an error. Types are inferred over all lines of all files.
  return fmt::format(
      "read_json({}, format = 'newline_delimited', records = true, sample_size = -1, maximum_depth = -1, union_by_name "
      "= true)",
      list);
}

std::vector<std::string> Names(const std::vector<ScriptWrite>& writes) {
  std::vector<std::string> names;
  for (const auto& write : writes) names.push_back(write.Name());
  return names;
}

// "line 3 is no JSON object", for the first such line of a plain file; "" when each is one.
std::string BadLine(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  for (int64_t number = 1; std::getline(in, line); number++) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (!Json::parse(line, nullptr, false).is_object()) return fmt::format("line {} is no JSON object", number);
  }
  return "";
}

std::string WhyUnreadable(const TableOutput& output, const fs::path& file, const fs::path& out, const Error& error) {
  if (output.format == "jsonl" && (file.extension() == ".jsonl" || file.extension() == ".ndjson")) {
    if (auto bad = BadLine(file); !bad.empty()) return bad;
  }
  // The script's folder is gone when the message is read.
  return ReplaceAll(error.message(), out.string() + "/", "");
}

}  // namespace

Result<std::vector<TableOutput>> FindOutputs(const fs::path& out, const std::vector<ScriptWrite>& writes) {
  std::vector<TableOutput> outputs;
  std::map<std::string, TableOutput*> by_folder;
  for (const auto& write : writes) outputs.push_back({&write, "", {}});
  for (auto& output : outputs) {
    by_folder[Lower(output.write->Name())] = &output;
    std::string table = Lower(output.write->table.table);
    auto same = std::count_if(writes.begin(), writes.end(),
                              [&](const ScriptWrite& w) { return Lower(w.table.table) == table; });
    if (same == 1) by_folder.try_emplace(table, &output);
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(out, error)) {
    if (Hidden(entry.path())) continue;
    std::string name = entry.path().filename().string();
    if (!entry.is_directory()) {
      return Fail(Error(ErrorCode::kScriptOutput,
                        fmt::format("the script left the file $QUERN_OUT/{} beside the tables' folders", name))
                      .Hint("write to $QUERN_OUT/<schema>.<table>/"));
    }
    auto it = by_folder.find(Lower(name));
    if (it == by_folder.end()) {
      auto near = DidYouMean(name, Names(writes));
      return Fail(
          Error(ErrorCode::kScriptOutput,
                fmt::format(
                    "the script wrote to $QUERN_OUT/{}, which is not among the tables that it says it writes ({})",
                    name, writes.empty() ? "none" : Join(Names(writes), ", ")))
              .Hint(near.empty() ? "add the table to 'writes'" : near));
    }
    TableOutput& output = *it->second;
    for (const auto& file : fs::recursive_directory_iterator(entry.path(), error)) {
      if (file.is_directory() || Hidden(file.path())) continue;
      std::string shown = fs::relative(file.path(), out).generic_string();
      std::string format = FormatOf(file.path());
      if (format.empty() || (!output.write->format.empty() && format != output.write->format)) {
        return Fail(Error(ErrorCode::kScriptOutput,
                          fmt::format("the script wrote {}, which is no file of {}", shown,
                                      output.write->format.empty() ? "Parquet (.parquet) or JSON lines (.jsonl)"
                                                                   : output.write->format)));
      }
      if (!output.format.empty() && output.format != format) {
        return Fail(Error(ErrorCode::kScriptOutput,
                          fmt::format("the script wrote both Parquet and JSON lines to {}", output.write->Name())));
      }
      output.format = format;
      if (format == "jsonl" && file.file_size() == 0) continue;
      output.files.push_back(file.path());
    }
    if (error) return Fail(ErrorCode::kIo, fmt::format("cannot list {}: {}", entry.path().string(), error.message()));
    std::sort(output.files.begin(), output.files.end());
  }
  return outputs;
}

Result<void> CheckOutput(const TableOutput& output, const fs::path& out, warehouse::Session& session) {
  for (const auto& file : output.files) {
    // Every column of every row is decoded: a torn file shows only there.
    auto read =
        session.Execute(fmt::format("SELECT count(*), count(columns(*)) FROM {}", SourceSql(output.format, {file})));
    if (read) continue;
    if (read.error().code() == ErrorCode::kCancelled) return Fail(read.error());
    return Fail(Error(ErrorCode::kScriptOutput, fmt::format("the script wrote {}, which cannot be read as {}: {}",
                                                            fs::relative(file, out).generic_string(),
                                                            output.format == "parquet" ? "Parquet" : "JSON lines",
                                                            WhyUnreadable(output, file, out, read.error()))));
  }
  return {};
}

Result<int64_t> CommitOutput(const TableOutput& output, bool exists, bool full_refresh, warehouse::Session& session) {
  const ScriptWrite& write = *output.write;
  bool replace = write.mode == WriteMode::kReplace || full_refresh || !exists;
  if (output.files.empty()) {
    if (!replace) {
      QUERN_TRY(session.CommitTxns());  // appending nothing is done, and recorded as done
      return 0;
    }
    return Fail(Error(ErrorCode::kScriptOutput, fmt::format("the script wrote no file for {}", write.Name()))
                    .Hint(exists ? "a table that is replaced needs at least one file; an empty Parquet file empties it"
                                 : "the table does not exist yet: the first file says which columns it has"));
  }
  std::string source = SourceSql(output.format, output.files);
  std::string sql;
  if (replace) {
    QUERN_TRY(session.Execute("CREATE SCHEMA IF NOT EXISTS " + QuoteIdentifier(write.table.schema)));
    sql = fmt::format("CREATE OR REPLACE TABLE {} AS SELECT * FROM {}", TableSql(write), source);
  } else {
    sql = fmt::format("INSERT INTO {} BY NAME SELECT * FROM {}", TableSql(write), source);
  }
  auto done = session.Execute(sql);
  if (done) return std::max<int64_t>(done->rows_changed, 0);
  switch (done.error().code()) {
    case ErrorCode::kSqlBind:
    case ErrorCode::kSqlExecution:
      return Fail(Error(ErrorCode::kScriptOutput, fmt::format("what the script wrote does not fit the table {}: {}",
                                                              write.Name(), done.error().message()))
                      .Hint(done.error().hint()));
    default:
      return Fail(std::move(done).error().Context("writing " + write.Name()));
  }
}

}  // namespace quern::script
