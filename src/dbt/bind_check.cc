#include "dbt/bind_check.h"

#include <algorithm>
#include <functional>
#include <set>

#include "base/text.h"
#include "dbt/compile.h"
#include "dbt/seed_csv.h"
#include "dbt/session.h"
#include "engine/duckdb/database.h"

namespace quern::dbt {

namespace {

/// One check: an in-memory database whose schemas and tables stand for the target's.
class BindCheck {
 public:
  BindCheck(const Workspace& workspace, Diagnostics& diagnostics) : w_(workspace), diagnostics_(diagnostics) {}

  Result<void> Run() {
    engine::DuckDbOptions options;
    options.threads = 1;
    auto db = QUERN_TRY(engine::DuckDatabase::Open(options));
    target_ = w_.target();
    session_ = std::make_unique<Session>(QUERN_TRY(db->Connect()), nullptr, nullptr, target_);
    QUERN_TRY(session_->Execute("ATTACH ':memory:' AS " + QuoteIdentifier(target_.database), false));
    for (const auto& [id, node] : w_.manifest().nodes) Visit(*node);
    session_.reset();
    return {};
  }

 private:
  enum class State { kUnseen, kBusy, kKnown, kUnknown };

  void Visit(const ManifestNode& node) {
    State& state = states_[node.unique_id];
    if (state != State::kUnseen) return;
    state = State::kBusy;
    bool known = true;
    for (const std::string& parent : node.depends_on) {
      const ManifestNode* p = w_.manifest().Find(parent);
      if (!p) continue;
      if (p->type == ResourceType::kSource) {
        if (!MakeSource(*p)) known = false;
        continue;
      }
      Visit(*p);
      if (states_[parent] != State::kKnown) known = false;
    }
    states_[node.unique_id] = Check(node, known) ? State::kKnown : State::kUnknown;
  }

  bool Create(const ManifestNode& node, const std::string& as) {
    std::string schema = QuoteIdentifier(node.database) + "." + QuoteIdentifier(node.schema);
    if (made_.insert(Lower(schema)).second) {
      if (!session_->Execute("CREATE SCHEMA IF NOT EXISTS " + schema, false)) return false;
    }
    return session_->Execute("CREATE OR REPLACE TABLE " + schema + "." + QuoteIdentifier(node.alias) + " " + as, false)
        .has_value();
  }

  /// A source is known when its columns are declared with types; else what reads it cannot be looked into.
  bool MakeSource(const ManifestNode& source) {
    auto [it, first] = sources_.try_emplace(source.unique_id, false);
    if (!first) return it->second;
    std::string columns;
    for (const ColumnInfo& column : source.columns) {
      if (!column.data_type) return false;
      columns += (columns.empty() ? "" : ", ") + QuoteIdentifier(column.name) + " " + *column.data_type;
    }
    if (columns.empty() || source.config.value("meta", Json::object()).value("complete_columns", false) == false)
      return false;
    return it->second = Create(source, "(" + columns + ")");
  }

  bool Check(const ManifestNode& node, bool known) {
    const Package* package = w_.FindPackage(node.package);
    if (!package) return false;
    if (node.type == ResourceType::kSeed) {
      std::string shown = w_.Shown(*package, node.original_file_path);
      Result<std::string> text = ReadTextFile(node.root / node.original_file_path, shown);
      if (!text) return false;
      Json delimiter = node.config.value("delimiter", Json(","));
      Result<SeedTable> seed = ParseSeed(
          *text, delimiter.is_string() && !delimiter.get<std::string>().empty() ? delimiter.get<std::string>()[0] : ',',
          shown);
      if (!diagnostics_.Check(seed)) return false;
      Json types = node.config.value("column_types", Json::object());
      std::string columns;
      for (size_t i = 0; i < seed->names.size(); ++i) {
        std::string type = types.contains(seed->names[i]) && types[seed->names[i]].is_string()
                               ? types[seed->names[i]].get<std::string>()
                               : seed->types[i];
        columns += (i ? ", " : "") + QuoteIdentifier(seed->names[i]) + " " + type;
      }
      return Create(node, "(" + columns + ")");
    }
    if (node.type == ResourceType::kOperation) return false;
    RenderContext context(w_, *package, &node, RenderContext::Mode::kCompile);
    context.session = session_.get();
    Result<Compiled> compiled = CompileNode(w_, node, context);
    if (!compiled) {
      // what asks the database at compile time may fail here for want of tables
      ErrorCode code = compiled.error().code();
      int n = static_cast<int>(code);
      bool sql = n >= 400 && n < 500;
      if (!sql && (known || code == ErrorCode::kTemplateUndefined))
        diagnostics_.Add(std::move(std::move(compiled).error()).At(node.code_pos));
      return false;
    }
    if (!known) return false;
    Result<std::vector<engine::Column>> columns = session_->Describe(compiled->record.code);
    if (!columns) {
      Error error = std::move(columns).error();
      if (error.code() != ErrorCode::kSqlSyntax && error.code() != ErrorCode::kSqlBind &&
          error.code() != ErrorCode::kTableNotFound)
        return false;
      diagnostics_.Add(
          std::move(PlaceSqlError(std::move(error), compiled->code)).At(node.code_pos).With("node", node.unique_id));
      return false;
    }
    if (!node.is_refable() || node.is_ephemeral()) return true;
    std::string select = "AS SELECT * FROM (" + compiled->record.code + "\n) LIMIT 0";
    if (node.type == ResourceType::kSnapshot) {
      select =
          "AS SELECT *, NULL::VARCHAR AS dbt_scd_id, NULL::TIMESTAMP AS dbt_updated_at, NULL::TIMESTAMP AS "
          "dbt_valid_from, NULL::TIMESTAMP AS dbt_valid_to FROM (" +
          compiled->record.code + "\n) LIMIT 0";
      Json names = node.config.value("snapshot_meta_column_names", Json::object());
      bool renamed = std::any_of(names.begin(), names.end(), [](const Json& name) { return name.is_string(); });
      if (renamed || node.config.value("hard_deletes", Json()) == "new_record") return false;
    }
    return Create(node, select);
  }

  const Workspace& w_;
  Diagnostics& diagnostics_;
  Target target_;
  std::unique_ptr<Session> session_;
  std::map<std::string, State> states_;
  std::map<std::string, bool> sources_;
  std::set<std::string> made_;
};

}  // namespace

void CheckBinding(const Workspace& workspace, Diagnostics& diagnostics) {
  BindCheck check(workspace, diagnostics);
  diagnostics.Check(check.Run());
}

}  // namespace quern::dbt
