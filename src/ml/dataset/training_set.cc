#include "ml/dataset/training_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace quern::ml {
namespace {

constexpr const char* kRecordKey = "quernTrainingSet";
constexpr const char* kSchema = "training";
// Longer than any model lives. In days, which every Delta writer reads.
constexpr const char* kRetention = "interval 36500 days";

const std::string kName = "training_set";

std::string Quoted(const std::vector<BoundColumn>& columns) {
  std::vector<std::string> names;
  for (const auto& column : columns) names.push_back(QuoteIdentifier(column.name));
  return Join(names, ", ");
}

std::vector<BoundColumn> ColumnsOf(const std::vector<BoundColumn>& key, const BoundColumn& time,
                                   const std::vector<BoundFeature>& features, const BoundColumn& label) {
  std::vector<BoundColumn> columns = key;
  columns.push_back(time);
  columns.insert(columns.end(), features.begin(), features.end());
  columns.push_back(label);
  return columns;
}

std::vector<BoundColumn> KeyAndTime(const std::vector<BoundColumn>& key, const BoundColumn& time) {
  std::vector<BoundColumn> columns = key;
  columns.push_back(time);
  return columns;
}

std::map<std::string, std::string> HashesOf(const std::map<std::string, std::string>& views) {
  std::map<std::string, std::string> hashes;
  for (const auto& [name, sql] : views) hashes[name] = Sha256Hex(sql);
  return hashes;
}

/// "store=3, week=2013-05-01".
std::string RowName(const std::vector<BoundColumn>& columns, const std::vector<engine::Value>& values) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < columns.size() && i < values.size(); ++i)
    parts.push_back(columns[i].name + "=" + (engine::IsNull(values[i]) ? "null" : engine::ToText(values[i])));
  return Join(parts, ", ");
}

class Saver {
 public:
  Saver(const ModelConfig& model, const BoundDataset& bound, const SaveOptions& options,
        warehouse::Warehouse& warehouse, warehouse::Session& session)
      : model_(model), bound_(bound), options_(options), warehouse_(warehouse), session_(session) {
    table_ = {kSchema, model.name};
    columns_ = ColumnsOf(bound.key, bound.time, bound.features, bound.label);
    key_ = KeyAndTime(bound.key, bound.time);
  }

  Result<TrainingSet> Save() {
    // Readers put the rows in order (ReadSql): to sort them here too would be half of the work.
    QueryOptions unordered = options_.query;
    unordered.ordered = false;
    record_.query = DatasetQuery(model_, bound_, options_.frame, unordered);
    const auto recorded = QUERN_TRY(warehouse_.TxnVersion(table_, EffectApp()));
    if (recorded) {
      QUERN_TRY(FindEarlier());
      if (earlier_ && QUERN_TRY(FromTheSame())) return *earlier_;
    }
    QUERN_TRY(session_.Execute(fmt::format("CREATE SCHEMA IF NOT EXISTS {}", kSchema)));
    QUERN_TRY(session_.Execute("BEGIN"));
    auto saved = InTransaction();
    if (!saved) Ignore(session_.Execute("ROLLBACK"), "the error that led here is the one to tell");
    session_.SetContext({});
    return saved;
  }

 private:
  std::string EffectApp() const { return options_.effect_app + "/" + options_.training_set; }
  std::string TableSql() const { return QuoteIdentifier(table_.schema) + "." + QuoteIdentifier(table_.table); }
  Error Bad(std::string message) const {
    return Error(ErrorCode::kTrainingData, fmt::format("model '{}': {}", model_.name, message))
        .At(model_.dataset.source_pos)
        .With("model", model_.name)
        .With("training_set", record_.training_set);
  }
  std::string FrameText() const { return options_.frame.ToString(options_.query.zone); }

  // The newest set of the same name; later ones of other rows are called name#2, ...
  Result<void> FindEarlier() {
    for (const auto& entry : QUERN_TRY(warehouse_.History(table_, -1))) {
      auto it = entry.commit_info.find(kRecordKey);
      if (it == entry.commit_info.end()) continue;
      auto record = TrainingSet::FromJson(*it);
      if (!record || (record->training_set != options_.training_set &&
                      !record->training_set.starts_with(options_.training_set + "#")))
        continue;
      ++earlier_count_;
      if (earlier_) continue;
      record->version = entry.version;
      earlier_ = *std::move(record);
    }
    return {};
  }

  /// Whether the earlier set was made by the same query from tables that nobody changed since.
  Result<bool> FromTheSame() {
    if (earlier_->query != record_.query) return false;
    (void)session_.TakeReads();
    QUERN_TRY(session_.Describe(record_.query));
    const auto reads = session_.TakeReads();
    return reads.tables == earlier_->sources && HashesOf(reads.views) == earlier_->views;
  }

  Result<TrainingSet> InTransaction() {
    record_.table = table_.ToString();
    record_.training_set =
        earlier_count_ == 0 ? options_.training_set : fmt::format("{}#{}", options_.training_set, earlier_count_ + 1);
    record_.frame = options_.frame;
    record_.key = bound_.key;
    record_.time = bound_.time;
    record_.label = bound_.label;
    record_.features = bound_.features;
    record_.task = bound_.task;
    record_.git_commit = options_.commit.git_commit;
    if (record_.git_commit.ends_with("-dirty")) {
      record_.git_dirty = true;
      record_.git_commit.resize(record_.git_commit.size() - 6);
    }
    QUERN_TRY(PrepareTable());
    (void)session_.TakeReads();
    auto inserted =
        QUERN_TRY_CONTEXT(session_.Execute(fmt::format("INSERT INTO {} ({}, {}) SELECT {}, * FROM (\n{}\n)", TableSql(),
                                                       QuoteIdentifier(kName), Quoted(columns_),
                                                       QuoteLiteral(record_.training_set), record_.query)),
                          fmt::format("building the training set {} of model '{}'", record_.training_set, model_.name));
    const auto reads = session_.TakeReads();
    record_.sources = reads.tables;
    record_.views = HashesOf(reads.views);
    record_.rows = inserted.rows_changed;
    QUERN_TRY(CheckRows());
    record_.digest = QUERN_TRY(DigestOf(session_, SelectSql())).Hex();
    if (earlier_ && earlier_->digest == record_.digest && earlier_->rows == record_.rows) {
      QUERN_TRY(session_.Execute("ROLLBACK"));
      return *earlier_;
    }
    if (options_.for_training && model_.dataset.leakage != LeakageMode::kOff) QUERN_TRY(CheckLeakage());
    return Commit();
  }

  Result<void> PrepareTable() {
    if (!QUERN_TRY(warehouse_.Exists(table_))) {
      std::string columns = QuoteIdentifier(kName) + " VARCHAR";
      for (const auto& column : columns_) columns += fmt::format(", {} {}", QuoteIdentifier(column.name), column.type);
      QUERN_TRY(session_.Execute(
          fmt::format("CREATE TABLE {} ({}) WITH (\"delta.appendOnly\" = true, \"delta.logRetentionDuration\" = {}, "
                      "\"delta.deletedFileRetentionDuration\" = {})",
                      TableSql(), columns, QuoteLiteral(kRetention), QuoteLiteral(kRetention))));
      return {};
    }
    const auto info = QUERN_TRY(warehouse_.Describe(table_));
    for (const auto& column : columns_) {
      auto there = std::find_if(info.columns.begin(), info.columns.end(),
                                [&](const auto& c) { return EqualsIgnoreCase(c.name, column.name); });
      if (there == info.columns.end()) {
        QUERN_TRY(session_.Execute(
            fmt::format("ALTER TABLE {} ADD COLUMN {} {}", TableSql(), QuoteIdentifier(column.name), column.type)));
      } else if (there->type != column.type) {
        return Fail(
            Error(ErrorCode::kModelConfig, fmt::format("the column '{}' of {} is {}, now it would be {}", column.name,
                                                       table_.ToString(), there->type, column.type))
                .At(model_.dataset.pos)
                .With("model", model_.name)
                .Hint("earlier training sets keep their columns' types: give the column another name, or cast "
                      "it to the type it had"));
      }
    }
    return {};
  }

  std::string Relation() const {
    return fmt::format("(SELECT * FROM {} WHERE {} = {})", TableSql(), QuoteIdentifier(kName),
                       QuoteLiteral(record_.training_set));
  }
  std::string SelectSql() const { return fmt::format("SELECT {} FROM {}", Quoted(columns_), Relation()); }

  Result<void> CheckRows() {
    if (record_.rows <= 0) {
      return Fail(
          Bad(fmt::format("there is no row with a label in the frame {} ({})", options_.frame.name, FrameText()))
              .Hint("see whether the source has rows of that time, and whether their labels have arrived"));
    }
    // One pass for what can be counted.
    std::vector<std::string> counts;
    for (const auto& column : key_) counts.push_back(fmt::format("count({})", QuoteIdentifier(column.name)));
    for (const auto& column : columns_) {
      if (column.type == "DOUBLE")
        counts.push_back(fmt::format("count(*) FILTER (isinf({}))", QuoteIdentifier(column.name)));
    }
    const std::string label = QuoteIdentifier(bound_.label.name);
    const bool classes = options_.for_training && bound_.task != TaskType::kRegression;
    counts.push_back(fmt::format("CAST(min({0}) AS VARCHAR), CAST(max({0}) AS VARCHAR)", label));
    for (const auto& feature : bound_.features)
      counts.push_back(fmt::format("count({})", QuoteIdentifier(feature.name)));
    auto counted = QUERN_TRY(session_.Execute(fmt::format("SELECT {} FROM {}", Join(counts, ", "), Relation())));
    const auto& row = counted.rows[0];
    size_t at = 0;
    for (const auto& column : key_) {
      if (std::get<int64_t>(row[at++]) != record_.rows) {
        return Fail(
            Bad(fmt::format("the key column '{}' is null in {} of {} rows", column.name,
                            FormatCount(record_.rows - std::get<int64_t>(row[at - 1])), FormatCount(record_.rows)))
                .Hint("leave such rows out of the dataset's source"));
      }
    }
    for (const auto& column : columns_) {
      if (column.type != "DOUBLE") continue;
      const int64_t infinite = std::get<int64_t>(row[at++]);
      if (infinite > 0) QUERN_TRY(Infinite(column.name, infinite));
    }
    if (classes && row[at] == row[at + 1]) {
      return Fail(Bad(fmt::format("all {} rows of the frame {} ({}) have the label '{}'", FormatCount(record_.rows),
                                  options_.frame.name, FrameText(), engine::ToText(row[at])))
                      .Hint("a classifier needs rows of two classes: take a longer frame, or look at the label"));
    }
    at += 2;
    for (const auto& feature : bound_.features) {
      if (std::get<int64_t>(row[at++]) == 0 && options_.for_training)
        record_.warnings.push_back(fmt::format("the feature '{}' has no value in any of {} rows of the frame {}",
                                               feature.name, FormatCount(record_.rows), options_.frame.name));
    }
    return Duplicates();
  }

  Result<void> Infinite(const std::string& column, int64_t count) {
    auto first =
        QUERN_TRY(session_.Execute(fmt::format("SELECT {0}, {1} FROM {2} WHERE isinf({1}) ORDER BY {0} LIMIT 1",
                                               Quoted(key_), QuoteIdentifier(column), Relation())));
    const std::string where = first.rows.empty() ? "" : RowName(key_, first.rows[0]);
    return Fail(Bad(fmt::format("'{}' is infinite in {} of {} rows, such as {}", column, FormatCount(count),
                                FormatCount(record_.rows), where))
                    .Hint("make it null where it cannot be computed, such as x / nullif(y, 0)"));
  }

  Result<void> Duplicates() {
    auto twice = QUERN_TRY(session_.Execute(
        fmt::format("SELECT {0}, count(*) FROM {1} GROUP BY {0} HAVING count(*) > 1 ORDER BY {0} LIMIT 1", Quoted(key_),
                    Relation())));
    if (twice.rows.empty()) return {};
    return Fail(Bad(fmt::format("there are {} rows of the key {}", engine::ToText(twice.rows[0].back()),
                                RowName(key_, twice.rows[0])))
                    .Hint("'key' and 'time' together must tell every row from all others"));
  }

  Result<void> CheckLeakage() {
    const auto findings =
        QUERN_TRY(FindLeakage(Relation(), key_, bound_.label, bound_.task, bound_.features, session_));
    for (const auto& finding : findings) record_.warnings.push_back(finding.ToString());
    if (findings.empty() || model_.dataset.leakage != LeakageMode::kFail) return {};
    std::vector<std::string> told;
    for (const auto& finding : findings) told.push_back(finding.ToString());
    return Fail(Bad(Join(told, "; "))
                    .Hint("such a feature is likely known only after the label; leave it out with 'exclude', or set "
                          "'leakage: warn' when it is right"));
  }

  Result<TrainingSet> Commit() {
    warehouse::CommitContext context = options_.commit;
    context.txns.push_back({table_, EffectApp(), options_.effect_version});
    context.extra[kRecordKey] = record_.ToJson();
    session_.SetContext(std::move(context));
    (void)session_.TakeCommits();
    QUERN_TRY(session_.Execute("COMMIT"));
    for (const auto& commit : session_.TakeCommits()) {
      if (EqualsIgnoreCase(commit.table.schema, table_.schema) && EqualsIgnoreCase(commit.table.table, table_.table))
        record_.version = commit.version;
    }
    return record_;
  }

  const ModelConfig& model_;
  const BoundDataset& bound_;
  const SaveOptions& options_;
  warehouse::Warehouse& warehouse_;
  warehouse::Session& session_;
  warehouse::TableName table_;
  std::vector<BoundColumn> columns_;
  std::vector<BoundColumn> key_;
  TrainingSet record_;
  std::optional<TrainingSet> earlier_;
  int earlier_count_ = 0;
};

bool IsGone(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kTableNotFound:
    case ErrorCode::kVersionNotFound:
    case ErrorCode::kNotFound:
    case ErrorCode::kIo:
    case ErrorCode::kCorrupt:
    case ErrorCode::kCorruptLog:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<TrainingSet> SaveTrainingSet(const ModelConfig& model, const BoundDataset& bound, const SaveOptions& options,
                                    warehouse::Warehouse& warehouse, warehouse::Session& session) {
  auto set = QUERN_TRY(Saver(model, bound, options, warehouse, session).Save());
  // Known once the table is there.
  const auto info = QUERN_TRY(warehouse.Describe({kSchema, model.name}));
  set.table_id = info.id;
  set.location = info.location;
  return set;
}

Result<Verification> VerifyTrainingSet(const TrainingSet& set, warehouse::Warehouse& warehouse,
                                       warehouse::Session& session) {
  const std::string what = fmt::format("the training set {} ({} version {})", set.training_set, set.table, set.version);
  auto gone = [&](std::string why) {
    return Error(ErrorCode::kNotReproducible, fmt::format("{} is no longer there: {}", what, why))
        .With("table", set.table)
        .With("version", std::to_string(set.version));
  };
  const auto parts = Split(set.table, '.');
  if (parts.size() != 2) return Fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is no table", set.table));
  auto info = warehouse.Describe({parts[0], parts[1]}, set.version);
  if (!info) {
    if (!IsGone(info.error())) return Fail(std::move(info).error());
    return Fail(gone(info.error().message()).Because(info.error()));
  }
  if (!set.table_id.empty() && info->id != set.table_id) return Fail(gone("the table was made anew since"));
  auto digest = DigestOf(session, set.ReadSql());
  if (!digest) {
    if (!IsGone(digest.error()) && digest.error().code() != ErrorCode::kSqlBind) return Fail(std::move(digest).error());
    return Fail(gone(digest.error().message()).Because(digest.error()));
  }
  return Verification{digest->rows == set.rows && digest->Hex() == set.digest, digest->rows, digest->Hex()};
}

Result<Rebuilt> RebuildTrainingSet(const std::string& query, const std::map<std::string, int64_t>& sources,
                                   warehouse::Session& session) {
  (void)session.TakeReads();
  session.PinVersions(sources);
  auto digest = DigestOf(session, query);
  session.PinVersions({});
  const auto reads = session.TakeReads();
  if (!digest) {
    if (!IsGone(digest.error())) return Fail(std::move(digest).error());
    return Fail(Error(ErrorCode::kNotReproducible,
                      fmt::format("what the training set was made of is no longer there: {}", digest.error().message()))
                    .Because(digest.error()));
  }
  return Rebuilt{*digest, reads.tables, HashesOf(reads.views)};
}

}  // namespace quern::ml
