#include "warehouse/before_run.h"

namespace quern::warehouse {

Result<std::optional<int64_t>> VersionBeforeRun(Warehouse& warehouse, const TableName& table,
                                                const std::string& dag_run) {
  if (!QUERN_TRY(warehouse.Exists(table))) return std::nullopt;
  auto history = QUERN_TRY(warehouse.History(table, -1));
  std::optional<int64_t> before;
  if (!history.empty()) before = history.front().version;
  for (const auto& entry : history) {  // newest first
    auto it = entry.commit_info.find("quernDagRun");
    if (it != entry.commit_info.end() && it->is_string() && it->get<std::string>() == dag_run)
      before = entry.version == 0 ? std::optional<int64_t>() : entry.version - 1;
  }
  return before;
}

}  // namespace quern::warehouse
