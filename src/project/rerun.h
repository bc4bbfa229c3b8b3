#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "schedule/backfill.h"
#include "warehouse/warehouse.h"

namespace quern::project {

/// The commits that made a table what it is, oldest first: what a RESTORE gave up is left out (the RESTORE itself
/// stays).
std::vector<const warehouse::HistoryEntry*> EffectiveHistory(const std::vector<warehouse::HistoryEntry>& newest_first);

/// Where to take a table back to, so that nothing of a schedule's runs from a logical date on is in it.
struct UndoPoint {
  std::optional<int64_t> version;  ///< nothing: the table did not exist before
};
/// Nothing when no such run changed the table. Errors: kInvalidArgument when somebody else's commit (none of `nodes` in
/// a run of that schedule from that date on) came after the first of them: going back would lose it.
Result<std::optional<UndoPoint>> FindUndoPoint(const std::string& table,
                                               const std::vector<warehouse::HistoryEntry>& newest_first,
                                               const std::string& dag, Timestamp from,
                                               const std::set<std::string>& nodes);

/// RerunPreparer on the warehouse that `warehouse` gives (opened when first needed).
std::unique_ptr<schedule::RerunPreparer> MakeRerunPreparer(std::function<Result<warehouse::Warehouse*>()> warehouse);

}  // namespace quern::project
