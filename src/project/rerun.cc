#include "project/rerun.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"

namespace quern::project {
namespace {

using schedule::RerunPreparer;
using warehouse::HistoryEntry;
using warehouse::TableName;

// What a commit says about the run that made it.
struct Origin {
  std::string dag_run;
  std::string node;
  std::optional<Timestamp> logical_date;
};

Origin OriginOf(const HistoryEntry& entry) {
  Origin out;
  auto text = [&](const char* key) {
    auto it = entry.commit_info.find(key);
    return it != entry.commit_info.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  out.dag_run = text("quernDagRun");
  out.node = text("quernNode");
  auto date = entry.commit_info.find("quernLogicalDate");
  if (date != entry.commit_info.end() && date->is_number_integer()) {
    out.logical_date = FromMicros(date->get<int64_t>() * 1000);
  } else if (date != entry.commit_info.end() && date->is_string()) {
    auto parsed = ParseTimestamp(date->get<std::string>(), TimeZone::Utc());
    if (parsed) out.logical_date = *parsed;
  }
  return out;
}

std::optional<int64_t> RestoredVersion(const HistoryEntry& entry) {
  if (entry.operation != "RESTORE" || !entry.operation_parameters.is_object()) return std::nullopt;
  auto it = entry.operation_parameters.find("version");
  if (it == entry.operation_parameters.end()) return std::nullopt;
  if (it->is_number_integer()) return it->get<int64_t>();
  if (!it->is_string()) return std::nullopt;
  auto text = it->get<std::string>();
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || text.size() > 18)
    return std::nullopt;
  return std::stoll(text);
}

// Rows stay what they are.
bool KeepsContent(const HistoryEntry& entry) {
  return entry.operation == "OPTIMIZE" || entry.operation.starts_with("VACUUM") ||
         entry.operation == "SET TBLPROPERTIES";
}

}  // namespace

std::vector<const HistoryEntry*> EffectiveHistory(const std::vector<HistoryEntry>& newest_first) {
  std::vector<const HistoryEntry*> line;
  std::map<int64_t, std::vector<const HistoryEntry*>> at;  // the line as it was at each version that a restore names
  std::set<int64_t> named;
  for (const auto& entry : newest_first) {
    if (auto version = RestoredVersion(entry)) named.insert(*version);
  }
  for (auto it = newest_first.rbegin(); it != newest_first.rend(); ++it) {
    if (auto version = RestoredVersion(*it)) {
      auto known = at.find(*version);
      // A version that the log no longer holds: all that is known is that what came before does not count.
      line = known != at.end() ? known->second : std::vector<const HistoryEntry*>();
    }
    line.push_back(&*it);
    if (named.contains(it->version)) at[it->version] = line;
  }
  return line;
}

Result<std::optional<UndoPoint>> FindUndoPoint(const std::string& table, const std::vector<HistoryEntry>& newest_first,
                                               const std::string& dag, Timestamp from,
                                               const std::set<std::string>& nodes) {
  auto line = EffectiveHistory(newest_first);
  auto of_rerun = [&](const HistoryEntry& entry) {
    auto origin = OriginOf(entry);
    return origin.dag_run.starts_with(dag + "/") && origin.logical_date && *origin.logical_date >= from &&
           nodes.contains(origin.node);
  };
  size_t first = 0;
  while (first < line.size() && (RestoredVersion(*line[first]) || !of_rerun(*line[first]))) ++first;
  if (first == line.size()) return std::nullopt;
  for (size_t i = first + 1; i < line.size(); ++i) {
    const auto& entry = *line[i];
    if (of_rerun(entry) || KeepsContent(entry) || RestoredVersion(entry)) continue;
    auto origin = OriginOf(entry);
    auto who = origin.dag_run.empty() ? "by hand (no run made it)"
                                      : fmt::format("by {} in the run {}", origin.node, origin.dag_run);
    return Fail(
        Error(ErrorCode::kInvalidArgument,
              fmt::format(
                  "{} cannot be taken back to before the rerun: version {} ({}) was made {} since, and would be lost",
                  table, entry.version, entry.operation, who))
            .With("table", table)
            .Hint(fmt::format(
                "look at it with quern table history {}; to give it up, restore the table yourself: quern "
                "table restore {} --version {}",
                table, table, first == 0 ? std::string("VERSION") : std::to_string(line[first - 1]->version))));
  }
  return UndoPoint{first == 0 ? std::optional<int64_t>() : line[first - 1]->version};
}

namespace {

class OnWarehouse : public RerunPreparer {
 public:
  explicit OnWarehouse(std::function<Result<warehouse::Warehouse*>()> open) : open_(std::move(open)) {}

  Result<void> Check(const std::string& dag, Timestamp from, const std::vector<const schedule::Node*>& nodes) override {
    QUERN_TRY(MakePlan(dag, from, nodes));
    return {};
  }

  Result<std::vector<Restored>> Restore(const std::string& dag, Timestamp from,
                                        const std::vector<const schedule::Node*>& nodes) override {
    std::vector<Restored> out;
    for (const auto& undo : QUERN_TRY(MakePlan(dag, from, nodes))) {
      warehouse::Warehouse* house = QUERN_TRY(open_());
      if (undo.point.version) {
        warehouse::CommitContext context;
        context.dag_run = dag + "/rerun";
        context.node = undo.node;
        QUERN_TRY(house->Restore(undo.table, *undo.point.version, context));
        out.push_back({undo.table.ToString(), *undo.point.version});
      } else {
        auto session = QUERN_TRY(house->NewSession());
        QUERN_TRY(session->Execute(
            fmt::format("DROP TABLE {}.{}", QuoteIdentifier(undo.table.schema), QuoteIdentifier(undo.table.table))));
        out.push_back({undo.table.ToString(), -1});
      }
    }
    return out;
  }

 private:
  struct Undo {
    TableName table;
    UndoPoint point;
    std::string node;
  };
  Result<std::vector<Undo>> MakePlan(const std::string& dag, Timestamp from,
                                     const std::vector<const schedule::Node*>& nodes) {
    warehouse::Warehouse* house = QUERN_TRY(open_());
    std::set<std::string> tables, ids;
    for (const auto& listed : QUERN_TRY(house->List())) {
      if (listed.kind == warehouse::Warehouse::Kind::kTable) tables.insert(Lower(listed.name.ToString()));
    }
    for (const auto* node : nodes) ids.insert(node->id);
    std::vector<Undo> out;
    for (const auto* node : nodes) {
      for (const auto& written : node->writes) {
        auto keeps = [&](const schedule::TableRef& kept) { return kept.Key() == written.Key(); };
        if (std::any_of(node->keeps.begin(), node->keeps.end(), keeps)) continue;
        TableName table{written.schema, written.table};
        if (!tables.contains(Lower(table.ToString()))) continue;
        auto point = QUERN_TRY(FindUndoPoint(table.ToString(), QUERN_TRY(house->History(table, -1)), dag, from, ids));
        if (point) out.push_back({table, *point, node->id});
      }
    }
    return out;
  }

  std::function<Result<warehouse::Warehouse*>()> open_;
};

}  // namespace

std::unique_ptr<RerunPreparer> MakeRerunPreparer(std::function<Result<warehouse::Warehouse*>()> warehouse) {
  return std::make_unique<OnWarehouse>(std::move(warehouse));
}

}  // namespace quern::project
