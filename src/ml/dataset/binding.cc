#include "ml/dataset/binding.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "ml/dataset/query.h"

namespace quern::ml {
namespace {

using engine::Column;

bool IsOneOf(std::string_view type, std::initializer_list<std::string_view> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}
bool IsWhole(std::string_view type) {
  return IsOneOf(type, {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"});
}
bool IsNumber(std::string_view type) {
  return IsWhole(type) || IsOneOf(type, {"FLOAT", "DOUBLE", "HUGEINT", "UBIGINT", "UHUGEINT"}) ||
         type.starts_with("DECIMAL(");
}
bool IsText(std::string_view type) {
  return IsOneOf(type, {"VARCHAR", "UUID"}) || type.starts_with("ENUM(");
}
std::optional<TimeKind> TimeKindOf(std::string_view type) {
  if (type == "DATE") return TimeKind::kDate;
  if (type == "TIMESTAMP WITH TIME ZONE") return TimeKind::kInstant;
  if (IsOneOf(type, {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})) return TimeKind::kUtc;
  return std::nullopt;
}

/// The type in which a value is stored: few and wide ones, so that a training table takes what comes later too.
std::optional<std::string> Stored(std::string_view type) {
  if (type == "BOOLEAN") return "BOOLEAN";
  if (IsWhole(type)) return "BIGINT";
  if (IsNumber(type)) return "DOUBLE";
  if (IsText(type)) return "VARCHAR";
  return std::nullopt;
}

/// Columns of a relation, found without case.
class Relation {
 public:
  explicit Relation(std::vector<Column> columns) : columns_(std::move(columns)) {}
  const std::vector<Column>& columns() const { return columns_; }
  const Column* Find(std::string_view name) const {
    for (const auto& column : columns_) {
      if (EqualsIgnoreCase(column.name, name)) return &column;
    }
    return nullptr;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& column : columns_) names.push_back(column.name);
    return names;
  }

 private:
  std::vector<Column> columns_;
};

class Binder {
 public:
  Binder(const ModelConfig& model, engine::Connection& connection, Diagnostics& diagnostics)
      : model_(model), dataset_(model.dataset), connection_(connection), diagnostics_(diagnostics) {}

  std::optional<BoundDataset> Bind(std::optional<std::string>* missing_table) {
    for (const auto& table : model_.source_tables()) {
      auto columns = DescribeTable(table);
      if (columns || !IsMissing(columns.error())) continue;
      if (missing_table) *missing_table = table.schema + "." + table.table;
      return std::nullopt;
    }
    auto source = Source();
    if (!source) return std::nullopt;
    source_.emplace(*std::move(source));
    BindRoles();
    BindJoins();
    BindFeatures();
    BindTask();
    if (!good_) return std::nullopt;
    std::vector<std::string> features;
    for (const auto& feature : out_.features) features.push_back(feature.name);
    Diagnostics found;
    CheckTask(model_, out_.task, &features, found);
    CheckSlices(found);
    good_ = found.ok();
    diagnostics_.Append(std::move(found));
    if (!good_ || !CheckWhole()) return std::nullopt;
    return std::move(out_);
  }

 private:
  void Report(const SourcePos& pos, std::string message, std::string hint = "") {
    good_ = false;
    Error error = Error(ErrorCode::kModelConfig, std::move(message)).At(pos).With("model", model_.name);
    diagnostics_.Add(hint.empty() ? std::move(error) : std::move(error).Hint(std::move(hint)));
  }

  static bool IsMissing(const Error& error) {
    return error.code() == ErrorCode::kTableNotFound ||
           (error.code() == ErrorCode::kSqlBind && error.message().find("does not exist") != std::string::npos);
  }

  Result<std::vector<Column>> DescribeTable(const schedule::TableRef& table) {
    return connection_.Describe(
        fmt::format("SELECT * FROM {}.{}", QuoteIdentifier(table.schema), QuoteIdentifier(table.table)));
  }

  std::optional<Relation> Source() {
    if (dataset_.from) {
      auto columns = DescribeTable(*dataset_.from);
      if (columns) return Relation(*std::move(columns));
      diagnostics_.Add(std::move(columns).error().At(dataset_.source_pos));
      return std::nullopt;
    }
    auto columns = connection_.Describe(BindInterval(dataset_.query, {}));
    if (columns) return Relation(*std::move(columns));
    // The place in the SQL, as a place in the file.
    Error found = std::move(columns).error();
    SourcePos pos = dataset_.source_pos;
    if (found.pos().line > 0) {
      pos.line += found.pos().line - 1;
      pos.column += found.pos().column - 1;
    }
    Error error = Error(found.code(), found.message()).At(pos).With("model", model_.name);
    diagnostics_.Add(found.hint().empty() ? std::move(error) : std::move(error).Hint(found.hint()));
    return std::nullopt;
  }

  const Column* Find(const Named& named, const Relation& relation, std::string_view role, std::string_view where) {
    if (named.name.empty()) {
      good_ = false;  // reported when the file was read
      return nullptr;
    }
    if (const Column* column = relation.Find(named.name)) return column;
    std::string hint = DidYouMean(named.name, relation.names());
    if (hint.empty()) hint = "its columns are " + Join(relation.names(), ", ");
    Report(named.pos,
           fmt::format("{} has no column '{}', which is to be {} of model '{}'", where, named.name, role, model_.name),
           std::move(hint));
    return nullptr;
  }
  std::string SourceName() const {
    return dataset_.from ? dataset_.from->schema + "." + dataset_.from->table : "the query";
  }

  void BindRoles() {
    for (const auto& column : source_->columns()) {
      if (EqualsIgnoreCase(column.name, "training_set")) excluded_.insert("training_set");  // the training table's own
    }
    if (const Column* time = Find(dataset_.time, *source_, "the time", SourceName())) {
      auto kind = TimeKindOf(time->type);
      if (!kind) {
        Report(dataset_.time.pos, fmt::format("the time column '{}' is of type {}", time->name, time->type),
               "it must be DATE, TIMESTAMP WITH TIME ZONE or TIMESTAMP; cast it in a query");
      } else {
        out_.time_kind = *kind;
        out_.time = {time->name, *kind == TimeKind::kUtc ? "TIMESTAMP" : time->type};
      }
    }
    for (const auto& named : dataset_.key) {
      const Column* key = Find(named, *source_, "a key", SourceName());
      if (!key || EqualsIgnoreCase(key->name, dataset_.time.name)) continue;
      std::optional<std::string> type = Stored(key->type);
      if (key->type.starts_with("DECIMAL(")) type = key->type;
      if (auto time = TimeKindOf(key->type)) type = *time == TimeKind::kUtc ? "TIMESTAMP" : key->type;
      if (!type) {
        Report(named.pos, fmt::format("the key column '{}' is of type {}", key->name, key->type),
               "a key is a number, a text, a date or a timestamp");
      } else {
        out_.key.push_back({key->name, *type});
      }
    }
    if (const Column* label = Find(dataset_.label, *source_, "the label", SourceName())) {
      label_type_ = label->type;
      out_.label = {label->name, Stored(label->type).value_or("")};
      if (out_.label.type.empty())
        Report(dataset_.label.pos, fmt::format("the label '{}' is of type {}", label->name, label->type),
               "a label is a truth value, a text or a number");
    }
  }

  void BindJoins() {
    for (const auto& join : dataset_.joins) {
      const std::string name = join.table.schema + "." + join.table.table;
      auto columns = DescribeTable(join.table);
      if (!columns) {
        good_ = false;
        diagnostics_.Add(std::move(columns).error().At(join.pos));
        joined_.emplace_back(std::vector<Column>());
        out_.joins.emplace_back();
        continue;
      }
      Relation relation(*std::move(columns));
      for (const auto& on : join.on) {
        const Column* left = Find({on.left, on.pos}, *source_, "joined on", SourceName());
        const Column* right = Find({on.right, on.pos}, relation, "joined on", name);
        if (left && right && IsText(left->type) != IsText(right->type))
          Report(on.pos,
                 fmt::format("'{}' of {} is {}, '{}' of {} is {}", on.left, SourceName(), left->type, on.right, name,
                             right->type),
                 "columns that are joined on must be of like types");
      }
      BoundJoin bound;
      if (auto kind = Validity(join.valid_from, relation, name)) bound.valid_from = *kind;
      if (join.valid_to) bound.valid_to = Validity(*join.valid_to, relation, name);
      for (const auto& column : join.columns) (void)Find({column.from, column.pos}, relation, "a column", name);
      joined_.push_back(std::move(relation));
      out_.joins.push_back(bound);
    }
  }

  std::optional<TimeKind> Validity(const Named& named, const Relation& relation, const std::string& table) {
    const Column* column = Find(named, relation, "the validity", table);
    if (!column) return std::nullopt;
    auto kind = TimeKindOf(column->type);
    if (!kind)
      Report(named.pos, fmt::format("'{}' of {} is of type {}", column->name, table, column->type),
             "it must be DATE, TIMESTAMP WITH TIME ZONE or TIMESTAMP");
    return kind;
  }

  struct Candidate {
    std::string name;
    std::string source_column;
    std::string type;
    std::optional<size_t> join;
    SourcePos pos;
  };

  void BindFeatures() {
    std::vector<Candidate> candidates;
    for (const auto& column : source_->columns()) {
      const bool taken =
          IsRole(column.name) || column.name.starts_with("_quern_") || excluded_.contains(Lower(column.name));
      if (!taken) candidates.push_back({column.name, column.name, column.type, {}, dataset_.source_pos});
    }
    for (size_t i = 0; i < dataset_.joins.size(); ++i) {
      for (const auto& column : dataset_.joins[i].columns) {
        const Column* found = joined_[i].Find(column.from);
        if (!found) continue;
        if (source_->Find(column.as))
          Report(column.pos, fmt::format("a join gives a column '{}', which {} has too", column.as, SourceName()),
                 "rename it: columns: {name in the table: name in the dataset}");
        candidates.push_back({column.as, found->name, found->type, i, column.pos});
      }
    }
    std::vector<std::string> names;
    for (const auto& candidate : candidates) names.push_back(candidate.name);
    auto find = [&](std::string_view name) -> const Candidate* {
      for (const auto& candidate : candidates) {
        if (EqualsIgnoreCase(candidate.name, name)) return &candidate;
      }
      return nullptr;
    };
    std::set<std::string> left_out;
    for (const auto& named : dataset_.exclude) {
      if (!find(named.name) && !source_->Find(named.name)) {
        std::string hint = DidYouMean(named.name, names);
        Report(named.pos, fmt::format("'exclude' names '{}', which is no column of the dataset", named.name),
               std::move(hint));
      }
      left_out.insert(Lower(named.name));
    }
    for (const auto& named : dataset_.features) {
      if (const Candidate* candidate = find(named.name)) {
        AddFeature(*candidate, named.pos);
      } else if (!IsRole(named.name)) {
        std::string hint = DidYouMean(named.name, names);
        if (hint.empty()) hint = "columns there are: " + Join(names, ", ");
        Report(named.pos, fmt::format("the feature '{}' is no column of {} nor of a join", named.name, SourceName()),
               std::move(hint));
      }
    }
    if (dataset_.features.empty()) {
      for (const auto& candidate : candidates) {
        if (!left_out.contains(Lower(candidate.name))) AddFeature(candidate, candidate.pos);
      }
    }
    if (good_ && out_.features.empty())
      Report(dataset_.pos, fmt::format("model '{}' has no features", model_.name),
             "every column of its source is key, time, label or excluded");
    for (const auto& named : dataset_.categorical) {
      auto feature = std::find_if(out_.features.begin(), out_.features.end(),
                                  [&](const auto& f) { return EqualsIgnoreCase(f.name, named.name); });
      if (feature == out_.features.end()) {
        std::vector<std::string> features;
        for (const auto& f : out_.features) features.push_back(f.name);
        if (good_)
          Report(named.pos, fmt::format("'categorical' names '{}', which is no feature", named.name),
                 DidYouMean(named.name, features));
      } else {
        feature->kind = FeatureKind::kCategory;
      }
    }
  }

  void AddFeature(const Candidate& candidate, const SourcePos& pos) {
    auto type = Stored(candidate.type);
    if (!type) {
      Report(pos, fmt::format("'{}' is of type {} and cannot be a feature", candidate.name, candidate.type),
             TimeKindOf(candidate.type) ? "make a number of it, such as days since another date, or exclude it"
                                        : "features are numbers, texts and truth values; exclude it");
      return;
    }
    if (EqualsIgnoreCase(candidate.name, "prediction")) {
      Report(pos, "a feature cannot be called 'prediction': monitoring calls what the model says so",
             "give it another name in the dataset's source, or exclude it");
      return;
    }
    BoundFeature feature;
    feature.name = candidate.name;
    feature.type = *type;
    feature.kind = *type == "BOOLEAN"   ? FeatureKind::kBoolean
                   : *type == "VARCHAR" ? FeatureKind::kCategory
                                        : FeatureKind::kNumber;
    feature.join = candidate.join;
    feature.source_column = candidate.source_column;
    out_.features.push_back(std::move(feature));
  }

  bool IsRole(std::string_view name) const {
    if (EqualsIgnoreCase(name, dataset_.time.name) || EqualsIgnoreCase(name, dataset_.label.name)) return true;
    return std::any_of(dataset_.key.begin(), dataset_.key.end(),
                       [&](const Named& key) { return EqualsIgnoreCase(key.name, name); });
  }

  void BindTask() {
    if (label_type_.empty() || out_.label.type.empty()) return;
    const bool number = IsNumber(label_type_);
    out_.task = model_.train.task.value_or(label_type_ == "BOOLEAN" ? TaskType::kClassification
                                           : number                 ? TaskType::kRegression
                                                                    : TaskType::kMulticlass);
    const SourcePos& pos = dataset_.label.pos;
    const std::string what = fmt::format("the label '{}' is of type {}", out_.label.name, label_type_);
    if (out_.task == TaskType::kRegression && !number) {
      Report(pos, what + ", a regression model predicts numbers", "set 'task' to classification or multiclass");
    } else if (out_.task != TaskType::kRegression && out_.label.type == "DOUBLE") {
      Report(pos, fmt::format("{}, a {} model predicts classes", what, ToString(out_.task)),
             "set 'task' to regression, or cast the label to a whole number, a text or a truth value");
    }
    if (out_.task == TaskType::kRegression) out_.label.type = "DOUBLE";
    if (label_type_ != "BOOLEAN") return;
    for (const auto& [label, weight] : model_.train.class_weight.weights) {
      if (label != "true" && label != "false")
        Report(model_.train.class_weight.pos, fmt::format("'class_weight' names the class '{}'", label),
               "the classes of a truth value are true and false");
    }
  }

  void CheckSlices(Diagnostics& found) {
    std::vector<std::string> names;
    for (const auto& key : out_.key) names.push_back(key.name);
    for (const auto& feature : out_.features) names.push_back(feature.name);
    auto check = [&](const std::vector<Named>& slices, const char* section) {
      for (const auto& slice : slices) {
        if (std::any_of(names.begin(), names.end(), [&](const auto& n) { return EqualsIgnoreCase(n, slice.name); }))
          continue;
        std::string hint = DidYouMean(slice.name, names);
        if (hint.empty()) hint = "slices are by keys and features: " + Join(names, ", ");
        found.Add(
            Error(ErrorCode::kModelConfig,
                  fmt::format("'slices' of '{}' names '{}', which is neither key nor feature", section, slice.name))
                .At(slice.pos)
                .Hint(std::move(hint))
                .With("model", model_.name));
      }
    };
    check(model_.promote.slices, "promote");
    check(model_.monitor.slices, "monitor");
  }

  /// What is left can only be types that do not go together.
  bool CheckWhole() {
    auto columns = connection_.Describe(DatasetQuery(model_, out_, {"all", {}, {}}, {}));
    if (columns) return true;
    Error found = std::move(columns).error();
    Error error = Error(found.code(), found.message()).At(dataset_.pos).With("model", model_.name);
    diagnostics_.Add(found.hint().empty() ? std::move(error) : std::move(error).Hint(found.hint()));
    return false;
  }

  const ModelConfig& model_;
  const DatasetConfig& dataset_;
  engine::Connection& connection_;
  Diagnostics& diagnostics_;
  std::optional<Relation> source_;
  std::vector<Relation> joined_;
  std::set<std::string> excluded_;
  std::string label_type_;
  BoundDataset out_;
  bool good_ = true;
};

}  // namespace

std::optional<BoundDataset> BindDataset(const ModelConfig& model, engine::Connection& connection,
                                        Diagnostics& diagnostics, std::optional<std::string>* missing_table) {
  if (missing_table) missing_table->reset();
  return Binder(model, connection, diagnostics).Bind(missing_table);
}

}  // namespace quern::ml
