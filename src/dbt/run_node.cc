// One node's work: compile, effects, materialization or test, and what it answers.
#include <filesystem>

#include "base/text.h"
#include "dbt/config.h"
#include "dbt/context/table.h"
#include "dbt/context/values.h"
#include "dbt/run_state.h"
#include "dbt/seed_csv.h"
#include "io/files.h"

namespace quern::dbt {

namespace fs = std::filesystem;
using jinja::Value;
using schedule::TaskResult;
using schedule::TaskStatus;

namespace {

bool CannotHelpToRetry(ErrorCode code) {
  int n = static_cast<int>(code);
  return (n >= 300 && n < 400) || (n >= 900 && n < 1000) || code == ErrorCode::kSqlSyntax ||
         code == ErrorCode::kSqlBind || code == ErrorCode::kUnsupportedFeature || code == ErrorCode::kParse ||
         code == ErrorCode::kInvalidArgument;
}

std::optional<int64_t> Whole(const Value& value) {
  if (value.is_number()) return static_cast<int64_t>(value.AsDouble());
  return std::nullopt;
}

/// Places in our own macros help nobody: the error is then the node's, and only the user's macros stay in the trace.
Error WithoutOwnPlaces(Error error, const SourcePos& node) {
  auto own = [](const SourcePos& pos) { return pos.file.empty() || pos.file.rfind("quern:", 0) == 0; };
  if (!own(error.pos()) &&
      std::none_of(error.trace().begin(), error.trace().end(), [&](const Error::Frame& f) { return own(f.pos); }))
    return error;
  SourcePos place = error.pos();
  std::vector<Error::Frame> kept;
  for (const Error::Frame& frame : error.trace()) {
    if (!own(frame.pos)) kept.push_back(frame);
  }
  if (own(place)) {
    place = kept.empty() ? node : kept.front().pos;
  }
  Error out(error.code(), error.message());
  out = std::move(out).At(place);
  if (!error.hint().empty()) out = std::move(out).Hint(error.hint());
  for (const auto& [field, value] : error.fields()) out = std::move(out).With(field, value);
  for (const Error::Frame& frame : kept) out = std::move(out).Trace(frame.what, frame.pos);
  if (error.cause()) out = std::move(out).Because(*error.cause());
  return out;
}

std::string Results(int64_t n) {
  return std::to_string(n) + (n == 1 ? " result" : " results");
}

}  // namespace

/// The work of one node; lives on one thread.
class NodeRun {
 public:
  NodeRun(RunState& state, const ManifestNode& node, schedule::TaskContext& task)
      : state_(state), node_(node), task_(task), w_(state.workspace()) {
    result_.unique_id = node.unique_id;
  }

  TaskResult Run() {
    Timestamp begun = w_.clock().Now();
    Result<TaskResult> done = Work();
    TaskResult out;
    if (done) {
      out = *std::move(done);
    } else {
      Error error = WithoutOwnPlaces(std::move(done).error(), node_.code_pos.known() ? node_.code_pos : node_.pos);
      out.status = TaskStatus::kFailed;
      out.retryable = !CannotHelpToRetry(error.code());
      out.message = error.message();
      result_.status = "error";
      result_.message = error.ToString();
      out.error = std::move(error).With("node", node_.unique_id);
    }
    session_.reset();
    Timestamp ended = w_.clock().Now();
    result_.execution_time = static_cast<double>(MicrosSinceEpoch(ended) - MicrosSinceEpoch(begun)) / 1e6;
    if (compiled_at_) result_.executing = Interval{compiled_at_->end, ended};
    result_.compiling = compiled_at_;
    if (node_.type != ResourceType::kTest) result_.relation_name = node_.relation_name;
    out.details = {{"adapter_response", result_.adapter_response},
                   {"relation_name", node_.relation_name ? Json(*node_.relation_name) : Json()}};
    if (record_) out.details["compiled_path"] = record_->path;
    state_.Record(result_, std::move(record_));
    return out;
  }

 private:
  Result<TaskResult> Work() {
    session_ = QUERN_TRY(state_.database().Connect());
    Cancellation::Subscription interrupt =
        task_.cancellation.OnCancel([session = session_.get()] { session->Interrupt(); });
    std::unique_ptr<RenderContext> context = state_.ContextOf(node_, session_.get(), task_.log);
    if (std::optional<TaskResult> known = QUERN_TRY(AlreadyRecorded())) return *known;
    SetCommitContext();
    QUERN_TRY(FindBeforeRun(*context));
    bool has_code = node_.type != ResourceType::kSeed;
    if (has_code) {
      Timestamp begun = w_.clock().Now();
      context->mode = RenderContext::Mode::kCompile;
      Compiled compiled = QUERN_TRY(CompileNode(w_, node_, *context));
      std::string path = NodeFilePath(node_);
      fs::path file = w_.target_path() / "compiled" / path;
      QUERN_TRY(WriteArtifact(file, compiled.record.code));
      compiled.record.path = file.lexically_relative(w_.options().project_dir).generic_string();
      result_.compiled_code = compiled.record.code;
      context->compiled_code = compiled.code;
      context->locals["sql"] = compiled.code;
      context->locals["compiled_code"] = compiled.code;
      record_ = std::move(compiled.record);
      compiled_at_ = Interval{begun, w_.clock().Now()};
    } else {
      compiled_at_ = Interval{w_.clock().Now(), w_.clock().Now()};
    }
    if (state_.which() == "compile" || node_.type == ResourceType::kAnalysis) {
      session_->Rollback();
      result_.status = "success";
      TaskResult out;
      out.message = "compiled";
      return out;
    }
    return Execute(*context);
  }

  /// Incremental models and snapshots whose effect in this interval is in the table already have nothing to do.
  Result<std::optional<TaskResult>> AlreadyRecorded() {
    const schedule::RunContext& run = state_.run();
    warehouse::Warehouse* warehouse = session_->warehouse();
    bool ordered = node_.type == ResourceType::kSnapshot || node_.materialized() == "incremental";
    if (!warehouse || !ordered || run.full_refresh || state_.which() == "compile") return std::nullopt;
    const warehouse::TableName table{node_.schema, node_.alias};
    std::optional<int64_t> version =
        QUERN_TRY(warehouse->TxnVersion(table, schedule::EffectAppId(run, node_.unique_id)));
    if (!version || *version < schedule::EffectVersion(run)) return std::nullopt;
    if (*version > schedule::EffectVersion(run) && run.schedule != "manual" &&
        !QUERN_TRY(warehouse->HasCommitOf(table, run.dag_run, node_.unique_id))) {
      return Fail(schedule::OutOfOrder(run, table.ToString(), *version).At(node_.pos));
    }
    result_.status = "success";
    result_.message = "already recorded";
    TaskResult out;
    out.status = TaskStatus::kNoOp;
    out.message = "already recorded";
    return out;
  }

  void SetCommitContext() {
    warehouse::Session* session = session_->warehouse_session();
    if (!session) return;
    const schedule::RunContext& run = state_.run();
    warehouse::CommitContext context;
    context.dag_run = run.dag_run;
    context.node = node_.unique_id;
    context.git_commit = run.git_commit;
    context.logical_date = run.logical_date;
    if (node_.is_refable() && !node_.is_ephemeral()) {
      context.txns.push_back(
          {{node_.schema, node_.alias}, schedule::EffectAppId(run, node_.unique_id), schedule::EffectVersion(run)});
    }
    session->SetContext(std::move(context));
  }

  /// The version of each table that is read as it stood before this interval's run.
  Result<void> FindBeforeRun(RenderContext& context) {
    if (node_.before_run.empty()) return {};
    warehouse::Warehouse* warehouse = session_->warehouse();
    if (!warehouse) {
      return Fail(Error(ErrorCode::kUnsupportedFeature,
                        "before_run needs the versions of a Delta warehouse; this target is " + w_.target().type)
                      .At(node_.pos));
    }
    const schedule::RunContext& run = state_.run();
    Value versions = Value::NewDict();
    for (const std::string& id : node_.before_run) {
      const ManifestNode* parent = w_.manifest().Find(id);
      if (!parent) continue;
      warehouse::TableName name{parent->schema, parent->alias};
      Result<std::vector<warehouse::HistoryEntry>> found = warehouse->History(name, -1);
      if (!found && found.error().code() != ErrorCode::kTableNotFound) {
        return Fail(
            std::move(std::move(found).error()).Context("finding " + name.ToString() + " as it stood before the run"));
      }
      std::vector<warehouse::HistoryEntry> history = found ? *std::move(found) : std::vector<warehouse::HistoryEntry>{};
      std::optional<int64_t> version;
      for (const warehouse::HistoryEntry& entry : history) {
        // newest first: what this interval's run, or a later one of the same schedule, has written is not there yet
        std::string dag_run = entry.commit_info.value("quernDagRun", "");
        std::string schedule_prefix = run.schedule + "/";
        bool ours = !dag_run.empty() && dag_run == run.dag_run;
        if (!ours && dag_run.rfind(schedule_prefix, 0) == 0 && entry.commit_info.contains("quernLogicalDate") &&
            entry.commit_info["quernLogicalDate"].is_string()) {
          Result<Timestamp> date =
              ParseTimestamp(entry.commit_info["quernLogicalDate"].get<std::string>(), TimeZone::Utc());
          ours = date && *date >= run.logical_date;
        }
        if (ours) continue;
        version = entry.version;
        break;
      }
      if (!version) continue;  // ref() and source() fail then; before_run() gives none
      Put(versions, id, *version);
      read_versions_[name.ToString()] = *version;
    }
    context.locals["__before_run"] = versions;
    return {};
  }

  Result<TaskResult> Execute(RenderContext& context) {
    context.mode = RenderContext::Mode::kRun;
    std::string kind = node_.type == ResourceType::kTest ? "test" : node_.materialized();
    std::vector<std::string> adapters = AdapterPrefixes(w_.target().type);
    const Macro* materialization = w_.macros().Materialization(kind, adapters);
    if (!materialization) {
      std::string hint = DidYouMean(kind, w_.macros().MaterializationNames());
      return Fail(Error(ErrorCode::kDbtCompile, "there is no materialization '" + kind + "'")
                      .At(node_.pos)
                      .Hint(hint.empty() ? "built are " + Join(w_.macros().MaterializationNames(), ", ") : hint));
    }
    fs::path run_file = w_.target_path() / "run" / NodeFilePath(node_);
    Result<void> written;
    context.write = [&](const std::string& sql) { written = WriteArtifact(run_file, sql); };
    context.locals["pre_hooks"] = Hooks("pre-hook");
    context.locals["post_hooks"] = Hooks("post-hook");
    context.locals["database"] = Value(node_.database);
    context.locals["schema"] = Value(node_.schema);
    if (node_.type == ResourceType::kSeed) QUERN_TRY(PrepareSeed(context));
    jinja::ScopePtr scope = w_.ScopeOf(node_.package);
    if (session_->warehouse()) session_->BeginAlways();
    Result<Value> called = jinja::CallMacro(w_.jinja(), materialization->callable, {}, {}, scope, context.Options());
    if (!called) {
      session_->Rollback();
      return Fail(std::move(std::move(called).error()).At(node_.pos));
    }
    if (!written) return Fail(std::move(written).error());
    // A materialization of the user's own may leave its transaction open.
    QUERN_TRY(session_->Commit());
    auto main = context.results.find("main");
    if (main != context.results.end()) {
      if (Result<Json> response = main->second.response.ToJson(); response && response->is_object())
        result_.adapter_response = *std::move(response);
    }
    if (node_.type == ResourceType::kTest)
      return TestOutcome(main == context.results.end() ? Value() : main->second.table);
    TaskResult out;
    result_.status = "success";
    out.message = "OK";
    if (auto it = result_.adapter_response.find("rows_affected");
        it != result_.adapter_response.end() && it->is_number_integer())
      out.rows = it->get<int64_t>();
    if (warehouse::Session* session = session_->warehouse_session()) {
      int64_t inserted = 0;
      bool any = false;
      for (const warehouse::Commit& commit : session->TakeCommits()) {
        if (!EqualsIgnoreCase(commit.table.ToString(), node_.schema + "." + node_.alias)) continue;
        any = true;
        inserted += commit.rows_inserted;
        out.values["version"] = commit.version;
      }
      if (any && node_.materialized() != "view") out.rows = inserted;
    }
    if (node_.type == ResourceType::kSeed) out.message = result_.adapter_response.value("_message", "OK");
    if (out.rows && node_.type != ResourceType::kSeed)
      out.message = FormatCount(*out.rows) + (*out.rows == 1 ? " row" : " rows");
    result_.message = out.message;
    if (out.rows) out.values["rows"] = *out.rows;
    if (!read_versions_.empty()) out.values["versions_read"] = read_versions_;
    return out;
  }

  Value Hooks(const char* key) const {
    auto it = node_.config.find(key);
    if (it == node_.config.end() || !it->is_array()) return Value::NewList();
    return Value::FromJson(*it);
  }

  Result<void> PrepareSeed(RenderContext& context) {
    std::string shown = w_.Shown(*w_.FindPackage(node_.package), node_.original_file_path);
    std::string text = QUERN_TRY(ReadTextFile(node_.root / node_.original_file_path, shown));
    std::string delimiter =
        node_.config.value("delimiter", Json(",")).is_string() ? node_.config["delimiter"].get<std::string>() : ",";
    SeedTable seed = QUERN_TRY(ParseSeed(text, delimiter.empty() ? ',' : delimiter[0], shown));
    std::vector<std::vector<Value>> rows;
    rows.reserve(seed.rows.size());
    for (auto& row : seed.rows) {
      std::vector<Value> values;
      values.reserve(row.size());
      for (std::string& field : row) values.push_back(field.empty() ? Value() : Value(std::move(field)));
      rows.push_back(std::move(values));
    }
    context.locals["__seed_types"] = ListOf(seed.types);
    Value table = MakeTable(seed.names, std::move(rows));
    context.load_seed = [table]() -> Result<Value> { return table; };
    return {};
  }

  Result<TaskResult> TestOutcome(const Value& table) {
    const TableData* data = AsTable(table);
    if (!data || data->rows.size() != 1 || data->names.size() != 3) {
      return Fail(Error(ErrorCode::kDbtCompile,
                        "the test must give one row of three columns (failures, should_warn, should_error)")
                      .At(node_.pos));
    }
    std::vector<Value> row = QUERN_TRY(data->rows[0].Iterate());
    std::optional<int64_t> failures = Whole(row[0]);
    if (!failures && !row[0].is_none())
      return Fail(
          Error(ErrorCode::kDbtCompile, "fail_calc of the test gave " + row[0].Repr() + ", no number").At(node_.pos));
    int64_t n = failures.value_or(0);
    result_.failures = n;
    TaskResult out;
    out.rows = n;
    std::string severity =
        Upper(node_.config.value("severity", Json("ERROR")).is_string() ? node_.config["severity"].get<std::string>()
                                                                        : "ERROR");
    auto setting = [&](const char* key) {
      return node_.config.value(key, Json("!= 0")).is_string() ? node_.config[key].get<std::string>()
                                                               : std::string("!= 0");
    };
    if (severity == "ERROR" && row[2].Truthy()) {
      result_.status = "fail";
      result_.message = "Got " + Results(n) + ", configured to fail if " + setting("error_if");
      out.status = TaskStatus::kFailed;
      out.retryable = false;
      out.message = "FAIL " + std::to_string(n);
      Error error = Error(ErrorCode::kDbtTestFailed, "test " + node_.name + ": " + result_.message)
                        .At(node_.pos)
                        .With("node", node_.unique_id);
      if (record_) error = std::move(error).With("compiled", record_->path);
      if (node_.relation_name) error = std::move(error).Hint("the rows are in " + *node_.relation_name);
      out.error = std::move(error);
    } else if (row[1].Truthy()) {
      result_.status = "warn";
      result_.message = "Got " + Results(n) + ", configured to warn if " + setting("warn_if");
      out.status = TaskStatus::kWarned;
      out.message = "WARN " + std::to_string(n);
    } else {
      result_.status = "pass";
      out.message = "PASS";
    }
    return out;
  }

  RunState& state_;
  const ManifestNode& node_;
  schedule::TaskContext& task_;
  const Workspace& w_;
  std::unique_ptr<Session> session_;
  NodeResult result_;
  std::optional<CompiledCode> record_;
  std::optional<Interval> compiled_at_;
  std::map<std::string, int64_t> read_versions_;
};

TaskResult RunState::RunNode(const ManifestNode& node, schedule::TaskContext& context) {
  return NodeRun(*this, node, context).Run();
}

}  // namespace quern::dbt
