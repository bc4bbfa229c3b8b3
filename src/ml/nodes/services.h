#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ml/config.h"
#include "ml/dataset/binding.h"
#include "ml/metrics/performance.h"
#include "ml/model/loaded_model.h"
#include "schedule/node_provider.h"
#include "tracking/store.h"
#include "warehouse/warehouse.h"

// What the nodes of a model share: where things lie, and how a node's effect is made once.
namespace quern::ml {

struct ProviderOptions {
  std::filesystem::path project{};       ///< its folder, absolute
  std::string package{};                 ///< the project's name
  std::filesystem::path environments{};  ///< of Python, for trainers that are scripts
  std::filesystem::path work{};          ///< for temporary files
  std::function<Result<warehouse::Warehouse*>()> warehouse{};
  std::function<Result<tracking::Store*>()> tracking{};
  std::function<Result<tracking::Store*>()> tracking_if_any{};  ///< null when nothing was ever tracked; makes nothing
};

Task TaskOf(TaskType type);

/// A schema.table in double quotes.
std::string QuoteTable(const schedule::TableRef& table);
/// Columns as a SQL list.
std::string QuoteColumns(const std::vector<std::string>& columns);
/// TIMESTAMPTZ '2013-05-01T04:00:00Z'.
std::string InstantSql(Timestamp t);
/// A value of a row to be inserted; numbers that are not finite are NULL.
std::string Sql(const std::optional<double>& value);
std::string Sql(int64_t value);
std::string Sql(bool value);
std::string Sql(const std::string& value);
std::string Sql(const char* value);
std::string SqlOf(const Json& value);  ///< its JSON text

/// Where an interval's column lies: the frame in which rows were recorded.
std::string PeriodName(const Interval& interval, const TimeZone& zone);

/// A version of a registered model, ready to be looked at.
struct ModelInUse {
  tracking::ModelVersion version;
  std::filesystem::path folder;            ///< of the MLmodel file
  Json training;                           ///< training.json of its run; null when it was not trained here
  std::optional<Timestamp> trained_until;  ///< end of the interval in which it was trained
};

/// The folder of a version's MLmodel file. Errors: kModelFile when it lies elsewhere than on this machine.
Result<std::filesystem::path> FolderOf(const tracking::ModelVersion& version);
/// Puts a copy of the champion where production picks it up (`save_to`); nothing without that.
Result<void> SaveChampion(const ModelConfig& model, const ProviderOptions& options,
                          const tracking::ModelVersion& champion);

/// What training.json of a run holds under "dummy".
Json ToJson(const DummyModel& dummy);
DummyModel DummyFromJson(const Json& json);

/// What a model that Python scores does not say of itself.
struct ScoredAs {
  Task task = Task::kBinary;
  std::vector<std::string> features{};  ///< of the dataset; a signature's columns win
  std::vector<std::string> classes{};   ///< in the order of probabilities that the model may give
  bool foreign = false;                 ///< it was not trained here: its own requirements make its environment
};

/// The classes of a label as a trainer meets them, as text: false and true, numbers and texts in order. Regression:
/// none.
Result<std::vector<std::string>> ClassesOf(engine::Connection& connection, const std::string& query,
                                           const BoundColumn& label, Task task);

/// One node's work in one interval: its session, its effect's key, the doors to warehouse and tracking.
class NodeWork {
 public:
  NodeWork(const ModelConfig& model, const ProviderOptions& options, schedule::TaskContext& context)
      : model_(model), options_(options), context_(context) {}

  const ModelConfig& model() const { return model_; }
  const ProviderOptions& options() const { return options_; }
  const schedule::RunContext& run() const { return *context_.run; }
  schedule::TaskContext& task() { return context_; }
  void Log(std::string_view line) {
    if (context_.log) context_.log->Line(line);
  }

  Result<warehouse::Warehouse*> warehouse() { return options_.warehouse(); }
  Result<tracking::Store*> tracking() { return options_.tracking(); }
  /// A session whose commits carry the run and the node, and the effect's txn for each of `tables`.
  Result<std::unique_ptr<warehouse::Session>> Session(const std::vector<schedule::TableRef>& tables);
  warehouse::CommitContext CommitContext() const;
  /// Whether the node's effect of this interval is in the table already. Errors: kInvalidArgument when that of a later
  /// one is and this one's is not.
  Result<bool> IsDone(const schedule::TableRef& table);
  /// The columns as the warehouse has them; nothing when a table is not there yet (`why` says which).
  /// Errors: the first of what is wrong.
  Result<std::optional<BoundDataset>> Bind(engine::Connection& connection, std::string* why);
  /// The values that an earlier node of this run handed on; an empty object when it was not selected.
  Json ValuesOf(std::string_view kind) const;

  Result<std::optional<ModelInUse>> Champion();
  /// As Champion(), and makes no tracking database.
  Result<std::optional<ModelInUse>> ChampionIfAny();
  Result<ModelInUse> Open(const tracking::ModelVersion& version);
  /// How a registered model is scored on this dataset: by its own record, or, when it was not trained here, by the
  /// labels there are until the interval's end.
  Result<ScoredAs> Like(engine::Connection& connection, const ModelInUse& version, const BoundDataset& bound);

 private:
  const ModelConfig& model_;
  const ProviderOptions& options_;
  schedule::TaskContext& context_;
};

/// Predictions of a model over a query, as SQL text that can be selected from; keeps what it needs while it lives.
class Scorer {
 public:
  /// Loads the model in `folder`. `name` makes its function's name; letters, digits and _ only.
  static Result<Scorer> Open(engine::Connection& connection, const std::filesystem::path& folder,
                             const std::string& name, const ProviderOptions& options, const ModelConfig& model,
                             const ScoredAs& as, schedule::TaskContext* context);
  Scorer(Scorer&&) noexcept;
  Scorer& operator=(Scorer&&) noexcept;
  ~Scorer();

  /// SELECT <columns>, prediction, score[, probabilities] over the rows of `query`. Errors: kSqlBind for a column that
  /// the model needs and the query does not have.
  Result<std::string> Predictions(const std::string& query, const std::vector<std::string>& columns);
  const std::vector<std::string>& classes() const;  ///< [negative, positive] of a binary model
  Task task() const;
  /// Categories that training had not, by feature, in what has been scored so far.
  std::map<std::string, int64_t> Unseen() const;

 private:
  struct State;
  explicit Scorer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Ends a task: nothing was to be done, and why.
schedule::TaskResult NothingToDo(std::string why, Json values = Json::object());
/// Ends a task with a failure; those that another try cannot mend say so.
schedule::TaskResult FailedTask(Error error, const ModelConfig& model, const std::string& node);

}  // namespace quern::ml
