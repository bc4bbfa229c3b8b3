#include "warehouse/before_run.h"

#include <charconv>

namespace quern::warehouse {
namespace {

// To which version a commit of operation RESTORE took its table back; nothing when it does not say so.
std::optional<int64_t> RestoredVersion(const Json& commit_info) {
  auto parameters = commit_info.find("operationParameters");
  if (parameters == commit_info.end() || !parameters->is_object()) return std::nullopt;
  auto version = parameters->find("version");
  if (version == parameters->end()) return std::nullopt;
  if (version->is_number_integer()) return version->get<int64_t>();
  if (!version->is_string()) return std::nullopt;  // Delta's own writers give text, or null with a timestamp
  const auto& text = version->get_ref<const std::string&>();
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Result<std::optional<int64_t>> VersionBeforeRun(Warehouse& warehouse, const TableName& table,
                                                const std::string& dag_run) {
  if (!QUERN_TRY(warehouse.Exists(table))) return std::nullopt;
  auto history = QUERN_TRY(warehouse.History(table, -1));
  std::optional<int64_t> before, restored;
  if (!history.empty()) before = history.front().version;
  for (const auto& entry : history) {  // newest first
    // What a restore undid is no part of the table any more, the same run's earlier commits neither.
    if (restored && entry.version > *restored) continue;
    if (entry.operation == "RESTORE") restored = RestoredVersion(entry.commit_info);
    auto it = entry.commit_info.find("quernDagRun");
    if (it != entry.commit_info.end() && it->is_string() && it->get<std::string>() == dag_run)
      before = entry.version == 0 ? std::optional<int64_t>() : entry.version - 1;
  }
  return before;
}

}  // namespace quern::warehouse
