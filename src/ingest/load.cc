#include "ingest/load.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "base/thread_pool.h"
#include "ingest/byte_reader.h"
#include "ingest/children.h"
#include "ingest/source.h"
#include "ingest/table_writer.h"
#include "ingest/write_sql.h"

namespace quern::ingest {
namespace {

using warehouse::TableName;

// Failures that may lie in the data, so that reading it row by row can say where.
bool MayBeData(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kSqlExecution:
    case ErrorCode::kSqlBind:
    case ErrorCode::kIo:
    case ErrorCode::kCorrupt:
    case ErrorCode::kInvalidArgument:
      return true;
    default:
      return false;
  }
}

int64_t Integer(const engine::Value& value) {
  if (const auto* n = std::get_if<int64_t>(&value)) return *n;
  return engine::IsNull(value) ? 0 : std::strtoll(engine::ToText(value).c_str(), nullptr, 10);
}

class Loader {
 public:
  Loader(const TableConfig& config, warehouse::Warehouse& warehouse, const LoadOptions& options)
      : config_(config), warehouse_(warehouse), options_(options), name_{config.schema, config.name} {}

  Result<LoadReport> Run() {
    if (!options_.full_refresh && !options_.effect_app.empty()) {
      const auto recorded = QUERN_TRY(warehouse_.TxnVersion(name_, options_.effect_app));
      if (recorded && *recorded >= options_.effect_version) {
        report_.status = LoadReport::Status::kRecorded;
        report_.message = "already recorded";
        return std::move(report_);
      }
    }
    const auto files = QUERN_TRY(FindFiles(options_.project, config_.path, config_.timezone));
    exists_ = QUERN_TRY(warehouse_.Exists(name_));
    std::map<std::string, LoadedFile> remembered;
    if (exists_) remembered = RememberedFiles(QUERN_TRY(warehouse_.Txns(name_, "quern-")));
    const std::map<std::string, LoadedFile> before = remembered;
    if (options_.full_refresh) remembered.clear();
    const auto fingerprints = QUERN_TRY(FingerprintsOfKnown(files, remembered));
    LoadPlan plan = PlanLoad(config_.mode, files, remembered, options_.until, fingerprints);
    QUERN_TRY(Judge(plan));
    if (plan.groups.empty()) return Nothing(plan, files.empty());
    if (!exists_ && config_.contract.tables != Rule::kEvolve) {
      if (config_.contract.tables == Rule::kFreeze) {
        return Fail(
            Error(ErrorCode::kContract,
                  fmt::format("the table {} does not exist, and the contract says tables: freeze", name_.ToString()))
                .At(config_.pos)
                .Hint("create it, or let the contract say tables: evolve"));
      }
      Warn(fmt::format("the table {} does not exist, and the contract says tables: {}: nothing is loaded",
                       name_.ToString(), RuleName(config_.contract.tables)));
      report_.message = "table not made";
      return std::move(report_);
    }
    for (const LoadGroup& group : plan.groups) QUERN_TRY(Verify(group));
    session_ = QUERN_TRY(warehouse_.NewSession());
    const auto stop = options_.cancellation.OnCancel([this] { session_->Interrupt(); });
    if (!exists_)
      QUERN_TRY(session_->Execute(fmt::format("CREATE SCHEMA IF NOT EXISTS {}", QuoteIdentifier(config_.schema))));
    anew_ = options_.full_refresh || !exists_;
    for (size_t g = 0; g < plan.groups.size(); ++g) {
      const bool last = g + 1 == plan.groups.size();
      std::vector<warehouse::CommitContext::Txn> txns;
      if (g == 0 && (options_.full_refresh || (config_.mode == Mode::kReplace && !config_.path.has_time())))
        Forget(before, plan.groups[g], txns);
      if (last) {
        for (const SourceFile& file : plan.superseded) QUERN_TRY(RememberFile(file, -1, txns));
        if (!options_.effect_app.empty()) txns.push_back({name_, options_.effect_app, options_.effect_version});
      }
      QUERN_TRY(LoadOne(plan.groups[g], before, std::move(txns)));
      anew_ = false;
      exists_ = true;
    }
    report_.status = LoadReport::Status::kLoaded;
    report_.message = fmt::format("{} {} in {} {}", FormatCount(report_.rows), report_.rows == 1 ? "row" : "rows",
                                  report_.files.size(), report_.files.size() == 1 ? "file" : "files");
    if (report_.discarded > 0) report_.message += fmt::format(", {} discarded", FormatCount(report_.discarded));
    return std::move(report_);
  }

 private:
  std::string table() const { return QualifiedName(config_.schema, config_.name); }
  void Log(const std::string& text) {
    if (options_.log) options_.log(text);
  }
  void Note(const std::string& text) {
    Log(text);
    report_.notes.push_back(text);
  }
  void Warn(const std::string& text) {
    Log("warning: " + text);
    report_.warnings.push_back(text);
  }
  Result<void> Step(std::string_view step) {
    QUERN_TRY(options_.cancellation.Check());
    return options_.fault ? options_.fault(step) : Result<void>{};
  }

  // Only files touched since the table's last commit are read again to see whether they are others now.
  Result<std::map<std::string, int64_t>> FingerprintsOfKnown(const std::vector<SourceFile>& files,
                                                             const std::map<std::string, LoadedFile>& remembered) {
    std::map<std::string, int64_t> fingerprints;
    if (remembered.empty()) return fingerprints;
    const warehouse::TableInfo info = QUERN_TRY(warehouse_.Describe(name_));
    // Times of the file system on both sides: the warehouse's clock may be another. Two seconds for coarse ones.
    struct stat log{};
    const std::string commit = fmt::format("{}/_delta_log/{:020}.json", info.location, info.version);
    const int64_t committed = ::stat(commit.c_str(), &log) == 0 ? (log.st_mtim.tv_sec - 2) * 1'000'000 : 0;
    for (const SourceFile& file : files) {
      if (!remembered.contains(file.path) || file.modified_micros < committed) continue;
      fingerprints[file.path] = QUERN_TRY(Fingerprint(file.absolute));
    }
    return fingerprints;
  }

  Result<void> Judge(const LoadPlan& plan) {
    if (config_.mode != Mode::kReplace) {
      for (const SourceFile& file : plan.changed) {
        Warn(fmt::format(
            "{} has changed since it was loaded; it is not loaded again (--full-refresh loads all files anew)",
            file.path));
      }
    }
    if (!plan.late.empty()) {
      const SourceFile& file = plan.late[0];
      if (config_.history.late_files == HistoryConfig::Late::kFail) {
        return Fail(Error(ErrorCode::kContract,
                          fmt::format("the file came late: what the table {} holds is already later than {}",
                                      name_.ToString(), FormatUtc(*file.time)))
                        .At({file.path})
                        .Hint("--full-refresh plays all files in their order; `history: {late_files: skip}` leaves "
                              "late ones out"));
      }
      for (const SourceFile& late : plan.late) Warn(fmt::format("{} came late and is left out", late.path));
    }
    return {};
  }

  Result<LoadReport> Nothing(const LoadPlan& plan, bool no_files) {
    report_.message = no_files ? fmt::format("no files match {}", config_.path.text()) : "no new files";
    if (plan.waiting > 0) report_.message += fmt::format(" ({} not due yet)", plan.waiting);
    if (config_.rows_check.no_files == RowCheck::Action::kFail) {
      return Fail(Error(ErrorCode::kRowCount, report_.message)
                      .At(config_.pos)
                      .Hint("checks: {rows: {no_files: warn}} only warns"));
    }
    if (config_.rows_check.no_files == RowCheck::Action::kWarn) Warn(report_.message);
    return std::move(report_);
  }

  // Compressed files are read to their end: the engine takes a file that breaks off at a line's end for a whole one.
  Result<void> Verify(const LoadGroup& group) {
    std::mutex mutex;
    std::map<std::string, Error> failed;
    {
      ThreadPool pool(std::max(1, std::min<int>(options_.threads, static_cast<int>(group.files.size()))));
      for (const SourceFile& file : group.files) {
        pool.Submit([&] {
          const Compression compression =
              config_.format == Format::kParquet ? Compression::kNone : CompressionOfName(file.path);
          auto ok = VerifyWhole(file.absolute, compression, file.path, options_.cancellation);
          if (ok) return;
          const std::lock_guard lock(mutex);
          failed.emplace(file.path, std::move(ok).error());
        });
      }
    }
    if (failed.empty()) return {};
    Error error = failed.begin()->second;
    for (auto it = std::next(failed.begin()); it != failed.end(); ++it) error = std::move(error).Because(it->second);
    return Fail(std::move(error));
  }

  void Forget(const std::map<std::string, LoadedFile>& before, const LoadGroup& group,
              std::vector<warehouse::CommitContext::Txn>& txns) {
    std::set<std::string> now;
    for (const SourceFile& file : group.files) now.insert(file.path);
    for (const auto& [path, loaded] : before) {
      if (!now.contains(path)) txns.push_back({name_, std::string(kFileTxn) + path, kForgotten});
    }
  }

  Result<void> RememberFile(const SourceFile& file, int64_t rows, std::vector<warehouse::CommitContext::Txn>& txns) {
    txns.push_back({name_, std::string(kFileTxn) + file.path, options_.logical_ms});
    const int64_t content = QUERN_TRY(Fingerprint(file.absolute));
    txns.push_back({name_, std::string(kContentTxn) + file.path, content});
    if (rows >= 0) txns.push_back({name_, std::string(kRowsTxn) + file.path, rows});
    return {};
  }

  Result<std::optional<std::vector<TableColumn>>> ExistingColumns() {
    writer_columns_.clear();
    if (anew_) return std::optional<std::vector<TableColumn>>();
    const warehouse::TableInfo info = QUERN_TRY(warehouse_.Describe(name_));
    std::vector<TableColumn> columns;
    for (size_t i = 0; i < info.columns.size(); ++i) {
      const engine::Column& column = info.columns[i];
      Type type = QUERN_TRY(Type::Parse(column.type, Type::From::kEngine));
      TableColumn known{column.name, std::move(type), i >= info.nullable.size() || info.nullable[i]};
      writer_columns_.push_back(known);
      const bool history =
          config_.mode == Mode::kHistory && (EqualsIgnoreCase(column.name, config_.history.valid_from) ||
                                             EqualsIgnoreCase(column.name, config_.history.valid_to) ||
                                             EqualsIgnoreCase(column.name, config_.history.is_current));
      if (history || Lower(column.name).starts_with("_quern_")) continue;
      columns.push_back(std::move(known));
    }
    partitions_ = info.partition_columns;
    return std::optional<std::vector<TableColumn>>(std::move(columns));
  }

  Result<void> LoadOne(const LoadGroup& group, const std::map<std::string, LoadedFile>& before,
                       std::vector<warehouse::CommitContext::Txn> txns) {
    const auto existing = QUERN_TRY(ExistingColumns());
    auto source = QUERN_TRY(
        Source::Open(config_, group.files, options_.project, options_.temp, *session_, options_.cancellation));
    if (source->exact()) QUERN_TRY(CheckRejects(*source));
    SchemaPlan plan = QUERN_TRY(PlanSchema(config_, existing, source->columns(), group.files[0].path));
    for (const std::string& note : plan.notes) Note(note);
    if (plan.columns.empty()) {
      return Fail(
          Error(ErrorCode::kContract, "the files have no columns, and none are declared").At({group.files[0].path}));
    }

    // Types out of a sample first: when everything then fits, they are those of the whole input (see value_sql.h).
    const bool exact_needed = source->exact() || !plan.unwanted.empty() || NeedsRows(plan, *source);
    if (!exact_needed) {
      const auto fast = Fast(*source, plan, group, before, txns);
      if (fast) return {};
      if (!MayBeData(fast.error())) return Fail(fast.error());
      Log(fmt::format("reading row by row: {}", FirstLine(fast.error().message())));
    }
    return Exact(*source, std::move(plan), group, before, std::move(txns));
  }

  static std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

  // Nested data that does not fit its column as a whole: the rows must be looked at one by one.
  bool NeedsRows(const SchemaPlan& plan, const Source& source) const {
    return std::any_of(plan.columns.begin(), plan.columns.end(),
                       [&](const PlannedColumn& column) { return column.source >= 0 && NestedMisfit(column, source); });
  }
  static bool NestedMisfit(const PlannedColumn& column, const Source& source) {
    const SourceColumn& from = source.columns()[static_cast<size_t>(column.source)];
    if (from.raw == Raw::kText || !column.type.nested()) return false;
    const Type type = column.drop_new_fields ? WithoutNewFields(from.type, column.type) : from.type;
    return !Fits(type, column.type);
  }

  Result<void> Fast(Source& source, SchemaPlan plan, const LoadGroup& group,
                    const std::map<std::string, LoadedFile>& before,
                    const std::vector<warehouse::CommitContext::Txn>& txns) {
    QUERN_TRY(InferTypes(config_, source, *session_, 20'000, plan));
    SchemaPlan unknown;
    std::vector<size_t> where;
    for (size_t i = 0; i < plan.columns.size(); ++i) {
      if (plan.columns[i].type.kind != Type::Kind::kUnknown || plan.columns[i].source < 0) continue;
      unknown.columns.push_back(plan.columns[i]);
      where.push_back(i);
    }
    if (!where.empty()) {
      QUERN_TRY(InferTypes(config_, source, *session_, 0, unknown));
      for (size_t i = 0; i < where.size(); ++i) plan.columns[where[i]] = unknown.columns[i];
    }
    RowsSql rows(config_, source, plan, options_.commit.dag_run, options_.now);
    return Write(source, plan, rows, group, before, txns);
  }

  Result<void> CheckRejects(const Source& source) {
    if (source.rejected() == 0 || config_.contract.rows == Rule::kDiscardRow) return {};
    const Reject& first = source.first_reject();
    std::string hint = "`contract: {rows: discard_row}` puts broken rows into the quarantine";
    if (config_.format == Format::kJsonLines && first.line == 1 && first.reason.starts_with("a JSON array")) {
      hint = "each line must be one object, as `jq -c '.[]'` writes the elements of an array";
    } else if (config_.format == Format::kCsv && first.reason == "invalid UTF-8" && !config_.csv.latin1) {
      hint = "`csv: {encoding: latin-1}` reads the file as Latin-1; " + hint;
    }
    Error error = Error(ErrorCode::kBadRow, fmt::format("a broken row: {}", first.reason))
                      .At({first.file, static_cast<int>(first.line), first.column})
                      .With("table", name_.ToString())
                      .Hint(hint);
    if (source.rejected() > 1) error = std::move(error).With("broken rows", std::to_string(source.rejected()));
    return Fail(std::move(error));
  }

  Result<void> Exact(Source& source, SchemaPlan plan, const LoadGroup& group,
                     const std::map<std::string, LoadedFile>& before, std::vector<warehouse::CommitContext::Txn> txns) {
    QUERN_TRY(source.MakeExact());
    QUERN_TRY(CheckRejects(source));
    QUERN_TRY(InferTypes(config_, source, *session_, 0, plan));
    std::vector<std::vector<std::string>> structures(plan.columns.size());
    for (size_t i = 0; i < plan.columns.size(); ++i) {
      if (plan.columns[i].source >= 0 && NestedMisfit(plan.columns[i], source)) {
        structures[i] = QUERN_TRY(BadStructures(plan.columns[i], source));
      }
    }
    std::vector<OnBad> on_bad(plan.columns.size(), OnBad::kFail);
    std::vector<int64_t> counts;
    for (int round = 0;; ++round) {
      RowsSql rows(config_, source, plan, options_.commit.dag_run, options_.now);
      for (size_t i = 0; i < structures.size(); ++i) {
        if (!structures[i].empty()) rows.SetBadStructures(i, structures[i]);
      }
      counts = QUERN_TRY(CountBad(source, rows));
      bool again = false;
      for (size_t i = 0; i < plan.columns.size(); ++i) {
        if (counts[i] == 0) continue;
        PlannedColumn& column = plan.columns[i];
        if (config_.contract.data_type == Rule::kEvolve && !column.fixed() && round < 8 && !column.type.nested()) {
          const auto wider = QUERN_TRY(WiderType(config_, source, *session_, column, table()));
          if (wider) {
            Note(fmt::format("column '{}' becomes {}, it was {}", column.name, wider->ToSql(), column.type.ToSql()));
            if (column.exists && !column.was) column.was = column.type;
            column.type = *wider;
            column.inferred = false;
            again = true;
            continue;
          }
        }
        if (config_.contract.data_type == Rule::kEvolve || config_.contract.data_type == Rule::kFreeze) {
          return Fail(QUERN_TRY(DescribeBad(source, plan, rows, i, counts[i])));
        }
        const bool null = config_.contract.data_type == Rule::kDiscardValue && column.nullable;
        on_bad[i] = null ? OnBad::kNull : OnBad::kDrop;
        if (null)
          Warn(fmt::format("{} values of column '{}' are no {} and became null", FormatCount(counts[i]), column.name,
                           column.type.ToSql()));
      }
      if (again) continue;
      for (size_t i = 0; i < on_bad.size(); ++i) rows.SetOnBad(i, on_bad[i]);
      QUERN_TRY(WriteQuarantine(source, rows, group));
      return Write(source, plan, rows, group, before, std::move(txns));
    }
  }

  // The row structures in which a nested value does not fit its column.
  Result<std::vector<std::string>> BadStructures(const PlannedColumn& column, const Source& source) {
    std::vector<std::string> bad;
    if (source.columns()[static_cast<size_t>(column.source)].raw != Raw::kJson) return bad;
    const auto found = QUERN_TRY(session_->Execute(fmt::format(
        "SELECT DISTINCT CAST(json_structure(quern_c{0}) AS VARCHAR) FROM ({1}) WHERE quern_c{0} IS NOT NULL",
        column.source, source.Sql())));
    for (const auto& row : found.rows) {
      const std::string text = engine::ToText(row[0]);
      Type type = Type::OfJsonStructure(nlohmann::ordered_json::parse(text, nullptr, false));
      if (column.drop_new_fields) type = WithoutNewFields(type, column.type);
      if (!Fits(type, column.type)) bad.push_back(text);
    }
    return bad;
  }

  Result<std::vector<int64_t>> CountBad(const Source& source, const RowsSql& rows) {
    std::string select;
    for (const ColumnSql& column : rows.columns()) {
      select += (select.empty() ? "" : ", ") +
                (column.sql.ok == "true" ? "0" : fmt::format("count_if(NOT ({}))", column.sql.ok));
    }
    const auto answer = QUERN_TRY(session_->Execute(fmt::format("SELECT {} FROM ({})", select, source.Sql())));
    std::vector<int64_t> counts;
    for (const engine::Value& value : answer.rows.at(0)) counts.push_back(Integer(value));
    return counts;
  }

  // The error for the first value that does not fit: file, line, column.
  Result<Error> DescribeBad(const Source& source, const SchemaPlan& plan, const RowsSql& rows, size_t index,
                            int64_t count) {
    const ColumnSql& column = rows.columns()[index];
    const auto answer = QUERN_TRY(session_->Execute(
        fmt::format("SELECT quern_f, quern_l, left({}, 200) FROM ({}) WHERE NOT ({}) ORDER BY quern_f, quern_l LIMIT 1",
                    column.sql.text, source.Sql(), column.sql.ok)));
    const auto& row = answer.rows.at(0);
    const std::string file = engine::ToText(row[0]);
    const int64_t line = Integer(row[1]);
    const bool null = engine::IsNull(row[2]);
    std::string message =
        null ? fmt::format("column '{}': a null, which it may not hold", column.name)
             : fmt::format("column '{}': '{}' is no {}", column.name, engine::ToText(row[2]), column.type);
    if (count > 1) message += fmt::format(" (and {} more such values)", FormatCount(count - 1));
    const std::string hint = config_.contract.data_type == Rule::kEvolve
                                 ? (null ? "`nullable: true` allows it" : "its type is declared and does not evolve")
                                 : "`contract: {data_type: discard_row}` (or discard_value, evolve) lets the rest pass";
    return Error(null ? ErrorCode::kBadRow : ErrorCode::kContract, std::move(message))
        .At({file, static_cast<int>(line), source.ColumnOf(file, line, plan.columns[index].source)})
        .With("table", name_.ToString())
        .Hint(hint);
  }

  Result<void> WriteQuarantine(const Source& source, const RowsSql& rows, const LoadGroup& group) {
    std::string all = source.RejectsSql();
    if (!all.empty())
      all = fmt::format("SELECT file, line, col AS column_name, reason, value AS content FROM ({})", all);
    if (const std::string discarded = rows.Discarded(); !discarded.empty()) {
      all += (all.empty() ? "" : " UNION ALL ") + discarded;
    }
    discarded_.clear();
    const TableName name{config_.schema, QuarantineName(config_)};
    const bool exists = QUERN_TRY(warehouse_.Exists(name));
    if (all.empty() && !exists) return {};
    int64_t total = 0;
    if (!all.empty()) {
      QUERN_TRY(session_->Execute("CREATE OR REPLACE TEMP TABLE quern_discarded AS " + all));
      const auto counted = QUERN_TRY(session_->Execute("SELECT file, count(*) FROM quern_discarded GROUP BY ALL"));
      for (const auto& row : counted.rows) total += discarded_[engine::ToText(row[0])] = Integer(row[1]);
    }
    if (total == 0 && !exists) return {};
    QUERN_TRY(Step("quarantine"));
    // Before the rows themselves, so that a discarded row is never lost; what an earlier try left of these files goes.
    const std::string quarantine = QualifiedName(name.schema, name.table);
    std::string files;
    for (const SourceFile& file : group.files) files += (files.empty() ? "" : ", ") + QuoteLiteral(file.path);
    session_->SetContext(options_.commit);
    QUERN_TRY(Begin());
    Result<void> done = Statements({
        exists ? fmt::format("DELETE FROM {} WHERE file IN ({})", quarantine, files)
               : CreateTableSql(quarantine,
                                {{"file", Type::Kind::kVarchar},
                                 {"line", Type::Kind::kBigInt},
                                 {"column_name", Type::Kind::kVarchar},
                                 {"reason", Type::Kind::kVarchar},
                                 {"content", Type::Kind::kVarchar},
                                 {std::string(kRunColumn), Type::Kind::kVarchar},
                                 {std::string(kLoadedAtColumn), Type::Kind::kTimestamp}},
                                {}, false),
        total == 0 ? ""
                   : fmt::format("INSERT INTO {} SELECT file, line, column_name, reason, content, {}, {} FROM "
                                 "quern_discarded ORDER BY file, line",
                                 quarantine, QuoteLiteral(options_.commit.dag_run), TimestampLiteral(options_.now)),
    });
    QUERN_TRY(End(std::move(done)));
    if (total > 0)
      Warn(fmt::format("{} {} discarded: see {}", FormatCount(total), total == 1 ? "row is" : "rows are",
                       name.ToString()));
    return Step("quarantined");
  }

  Result<void> Begin() {
    QUERN_TRY(session_->Execute("BEGIN TRANSACTION"));
    return {};
  }
  Result<void> Statements(const std::vector<std::string>& statements) {
    for (const std::string& statement : statements) {
      if (!statement.empty()) QUERN_TRY(session_->Execute(statement));
    }
    return {};
  }
  // Commits, or rolls back when `done` failed.
  Result<void> End(Result<void> done) {
    if (done) {
      auto committed = session_->Execute("COMMIT");
      if (committed) {
        for (warehouse::Commit& commit : session_->TakeCommits()) report_.commits.push_back(std::move(commit));
        return {};
      }
      done = Fail(std::move(committed).error());
    }
    Ignore(session_->Execute("ROLLBACK"), "the failure that led here is the one to tell");
    Ignore(Result<int>(static_cast<int>(session_->TakeCommits().size())), "nothing was committed");
    return done;
  }

  // A computed column that cannot be is an error of its own place, not of the statement around it.
  Result<void> CheckExpressions(const SchemaPlan& plan, const RowsSql& rows) {
    for (size_t i = 0; i < plan.columns.size(); ++i) {
      const ColumnConfig* declared = plan.columns[i].config;
      if (declared == nullptr || declared->expression.empty()) continue;
      const auto bound = session_->Describe(rows.SelectComputed(i));
      if (bound) continue;
      return Fail(Error(bound.error().code(),
                        fmt::format("the expression of column '{}': {}", declared->name, bound.error().message()))
                      .At(declared->pos)
                      .Hint(bound.error().hint()));
    }
    return {};
  }

  Result<void> Write(Source& source, const SchemaPlan& plan, const RowsSql& rows, const LoadGroup& group,
                     const std::map<std::string, LoadedFile>& before, std::vector<warehouse::CommitContext::Txn> txns) {
    QUERN_TRY(CheckExpressions(plan, rows));
    TableWriter writer(config_, *session_, table(), source, plan, rows, group, anew_, writer_columns_);
    QUERN_TRY(writer.Stage());
    if (config_.child_tables) {
      QUERN_TRY(Step("children"));
      QUERN_TRY(LoadChildren(config_, warehouse_, *session_, source, group, rows.Output(), options_, anew_, report_));
    }
    warehouse::CommitContext context = options_.commit;
    session_->SetContext(context);
    QUERN_TRY(Begin());
    std::map<std::string, int64_t> counts;
    Result<void> done = [&]() -> Result<void> {
      QUERN_TRY(writer.Apply());
      counts = QUERN_TRY(writer.RowsByFile());
      int64_t arrived = 0;
      for (const SourceFile& file : group.files) {
        const auto found = counts.find(file.path);
        const int64_t n = found == counts.end() ? 0 : found->second;
        arrived += n;
        QUERN_TRY(RememberFile(file, n, txns));
      }
      QUERN_TRY(CheckRows(group, before, arrived));
      context.txns = std::move(txns);
      session_->SetContext(context);
      return Step("commit");
    }();
    QUERN_TRY(End(std::move(done)));
    for (const SourceFile& file : group.files) {
      const auto n = counts.find(file.path);
      const auto d = discarded_.find(file.path);
      FileReport report{file.path, n == counts.end() ? 0 : n->second, d == discarded_.end() ? 0 : d->second};
      report_.rows += report.rows;
      report_.discarded += report.discarded;
      Log(fmt::format("{}: {} {}{}", report.path, FormatCount(report.rows), report.rows == 1 ? "row" : "rows",
                      report.discarded > 0 ? fmt::format(", {} discarded", FormatCount(report.discarded)) : ""));
      report_.files.push_back(std::move(report));
    }
    discarded_.clear();
    return Step("committed");
  }

  // Each logical time of the group is a load of its own against the history.
  Result<void> CheckRows(const LoadGroup& group, const std::map<std::string, LoadedFile>& before, int64_t arrived) {
    std::set<std::optional<Timestamp>> times;
    for (const SourceFile& file : group.files) times.insert(file.time);
    const auto earlier = EarlierLoads(config_.path, config_.timezone, before, group.files);
    const auto verdict =
        CheckRowCount(config_.rows_check, earlier, arrived / std::max<int64_t>(1, static_cast<int64_t>(times.size())));
    if (!verdict) return {};
    if (config_.rows_check.action == RowCheck::Action::kFail) {
      return Fail(Error(ErrorCode::kRowCount, *verdict)
                      .At({group.files[0].path})
                      .With("table", name_.ToString())
                      .Hint("nothing was loaded; `checks: {rows: warn}` loads and warns"));
    }
    Warn(*verdict);
    return {};
  }

  const TableConfig& config_;
  warehouse::Warehouse& warehouse_;
  const LoadOptions& options_;
  const TableName name_;
  std::unique_ptr<warehouse::Session> session_;
  bool exists_ = false;
  bool anew_ = false;  // the table is made anew by this commit
  std::vector<TableColumn> writer_columns_;
  std::vector<std::string> partitions_;
  std::map<std::string, int64_t> discarded_;
  LoadReport report_;
};

}  // namespace

std::string QuarantineName(const TableConfig& config) {
  return config.name + "_quarantine";
}

Result<LoadReport> LoadTable(const TableConfig& config, warehouse::Warehouse& warehouse, const LoadOptions& options) {
  auto report = Loader(config, warehouse, options).Run();
  if (report) return report;
  return Fail(std::move(report.error()).With("node", config.id()));
}

}  // namespace quern::ingest
