#include <fmt/format.h>

#include "base/text.h"
#include "ml/dataset/frame.h"
#include "ml/dataset/query.h"
#include "ml/nodes/tasks.h"

namespace quern::ml {
namespace {

using schedule::TaskResult;

// Whether the champion's classes name probabilities of their own.
std::string ProbabilitiesColumn(Task task) {
  return task == Task::kMulticlass ? ", probabilities" : "";
}

}  // namespace

Result<TaskResult> Predict(NodeWork& work) {
  const auto& model = work.model();
  const auto& run = work.run();
  const auto& table = model.predict.table;
  std::optional<Interval> period =
      model.predict.period == PredictConfig::Period::kNext ? run.next : std::optional(run.interval);
  if (!period || period->start == period->end) return NothingToDo("outside a schedule there is no period to predict");
  warehouse::Warehouse* house = QUERN_TRY(work.warehouse());
  if (QUERN_TRY(work.IsDone(table))) return NothingToDo("already recorded");
  auto champion = QUERN_TRY(work.Champion());
  if (!champion) return NothingToDo("there is no champion yet");

  auto session = QUERN_TRY(work.Session({table}));
  std::string why;
  auto bound = QUERN_TRY(work.Bind(*session, &why));
  if (!bound) return NothingToDo(why);
  const QueryOptions query{.rows = Rows::kAll, .interval = run.interval, .zone = run.zone};
  const TimeFrame frame{"period", period->start, period->end};
  const std::string rows = DatasetQuery(model, *bound, frame, query);
  if (QUERN_TRY(session->Execute(fmt::format("SELECT 1 FROM ({}) LIMIT 1", rows))).rows.empty()) {
    return NothingToDo(fmt::format("no rows from {} to predict", PeriodName(*period, run.zone)), {{"rows", 0}});
  }

  auto scorer =
      QUERN_TRY(Scorer::Open(*session, champion->folder, fmt::format("{}_v{}", model.name, champion->version.version),
                             work.options(), model, QUERN_TRY(work.Like(*session, *champion, *bound)), &work.task()));
  std::vector<std::string> columns;
  for (const auto& key : bound->key) columns.push_back(key.name);
  bool time_in_key = false;
  for (const auto& name : columns) time_in_key |= EqualsIgnoreCase(name, bound->time.name);
  if (!time_in_key) columns.push_back(bound->time.name);
  auto scored = scorer.Predictions(rows, columns);
  if (!scored && scored.error().code() == ErrorCode::kSqlBind) {
    return Fail(
        std::move(scored.error())
            .Context(fmt::format("predicting with version {}", champion->version.version))
            .At(model.dataset.pos)
            .Hint(fmt::format("bring it back into the dataset, or take another version: quern model promote {} VERSION",
                              model.name)));
  }
  const std::string predicted = QUERN_TRY(std::move(scored));
  const std::string select = fmt::format(
      "SELECT {}, prediction, score{}, {} AS model_name, {} AS model_version, {} AS run_id, {} AS period_start, {} AS "
      "period_end, {} AS dag_run, {} AS logical_date FROM ({})",
      QuoteColumns(columns), ProbabilitiesColumn(scorer.task()), Sql(model.name), Sql(champion->version.version),
      Sql(champion->version.run_id), InstantSql(period->start), InstantSql(period->end), Sql(run.dag_run),
      InstantSql(run.logical_date), predicted);

  const warehouse::TableName name{table.schema, table.table};
  if (!QUERN_TRY(house->Exists(name))) {
    auto maker = QUERN_TRY(house->NewSession());
    maker->SetContext(work.CommitContext());
    QUERN_TRY(maker->Execute("CREATE SCHEMA IF NOT EXISTS " + QuoteIdentifier(table.schema)));
    // Columns as they come; typed by hand, so that the table does not hang on the first model's details.
    std::vector<std::string> parts;
    for (const auto& column : QUERN_TRY(session->Describe(select)))
      parts.push_back(QuoteIdentifier(column.name) + " " + column.type);
    QUERN_TRY(maker->Execute(fmt::format("CREATE TABLE IF NOT EXISTS {} ({})", QuoteTable(table), Join(parts, ", "))));
  }
  QUERN_TRY(session->Execute("BEGIN"));
  auto written = [&]() -> Result<int64_t> {
    if (run.full_refresh) {
      QUERN_TRY(session->Execute(
          fmt::format("DELETE FROM {} WHERE dag_run = {}", QuoteTable(table), QuoteLiteral(run.dag_run))));
    }
    auto inserted = QUERN_TRY(session->Execute(fmt::format("INSERT INTO {} BY NAME {}", QuoteTable(table), select)));
    QUERN_TRY(session->Execute("COMMIT"));
    return inserted.rows_changed;
  }();
  if (!written) {
    Ignore(session->Execute("ROLLBACK"), "the first error counts");
    return Fail(written.error());
  }

  TaskResult result;
  result.rows = *written;
  result.values = {{"rows", *written},
                   {"model_version", champion->version.version},
                   {"run_id", champion->version.run_id},
                   {"period_start", FormatUtc(period->start)},
                   {"period_end", FormatUtc(period->end)}};
  result.message = fmt::format("{} rows of {} by version {}", FormatCount(*written), PeriodName(*period, run.zone),
                               champion->version.version);
  for (const auto& [feature, count] : scorer.Unseen())
    work.Log(
        fmt::format("{}: {} values were never seen in training and count as missing", feature, FormatCount(count)));
  return result;
}

}  // namespace quern::ml
