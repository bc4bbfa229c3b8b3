#include "ingest/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace quern::ingest {
namespace {

bool Changed(const SourceFile& file, const LoadedFile& loaded, const std::map<std::string, int64_t>& fingerprints) {
  const auto now = fingerprints.find(file.path);
  return now != fingerprints.end() && loaded.content != 0 && now->second != loaded.content;
}

}  // namespace

std::map<std::string, LoadedFile> RememberedFiles(const std::map<std::string, int64_t>& txns) {
  std::map<std::string, LoadedFile> files;
  for (const auto& [app, version] : txns) {
    if (app.starts_with(kFileTxn) && version != kForgotten) files[app.substr(kFileTxn.size())].run = version;
  }
  for (const auto& [app, version] : txns) {
    for (const std::string_view prefix : {kContentTxn, kRowsTxn}) {
      if (!app.starts_with(prefix)) continue;
      const auto file = files.find(app.substr(prefix.size()));
      if (file == files.end()) continue;
      (prefix == kContentTxn ? file->second.content : file->second.rows) = version;
    }
  }
  return files;
}

LoadPlan PlanLoad(Mode mode, const std::vector<SourceFile>& files, const std::map<std::string, LoadedFile>& remembered,
                  Timestamp until, const std::map<std::string, int64_t>& fingerprints) {
  LoadPlan plan;
  std::vector<SourceFile> due;
  for (const SourceFile& file : files) {
    if (file.time && *file.time > until) {
      ++plan.waiting;
      continue;
    }
    due.push_back(file);
    const auto loaded = remembered.find(file.path);
    if (loaded == remembered.end()) continue;
    ++plan.known;
    if (Changed(file, loaded->second, fingerprints)) plan.changed.push_back(file);
  }
  const auto is_new = [&](const SourceFile& file) { return !remembered.contains(file.path); };
  if (due.empty()) return plan;

  if (mode == Mode::kReplace) {
    const std::optional<Timestamp> newest = due.back().time;
    LoadGroup group;
    group.time = newest;
    bool fresh = false;
    for (const SourceFile& file : due) {
      if (file.time != newest) {
        if (is_new(file)) plan.superseded.push_back(file);
        continue;
      }
      const auto loaded = remembered.find(file.path);
      fresh = fresh || loaded == remembered.end() || Changed(file, loaded->second, fingerprints);
      group.files.push_back(file);
    }
    if (!newest && !fresh) {  // a file that is gone changes the whole
      std::set<std::string> there;
      for (const SourceFile& file : group.files) there.insert(file.path);
      for (const auto& [path, loaded] : remembered) fresh = fresh || !there.contains(path);
    }
    if (fresh)
      plan.groups.push_back(std::move(group));
    else
      plan.superseded.clear();
    return plan;
  }

  std::optional<Timestamp> applied;
  if (mode == Mode::kHistory) {
    for (const SourceFile& file : due) {
      if (!is_new(file) && file.time && (!applied || *file.time > *applied)) applied = file.time;
    }
  }
  for (const SourceFile& file : due) {
    if (!is_new(file)) continue;
    if (applied && file.time && *file.time < *applied) {
      plan.late.push_back(file);
      continue;
    }
    const bool fresh = plan.groups.empty() || (mode == Mode::kHistory && plan.groups.back().time != file.time);
    if (fresh) plan.groups.emplace_back();
    plan.groups.back().files.push_back(file);
    plan.groups.back().time = file.time;
  }
  return plan;
}

std::optional<std::string> CheckRowCount(const RowCheck& check, const std::vector<int64_t>& earlier, int64_t rows) {
  if (check.action == RowCheck::Action::kOff) return {};
  std::vector<int64_t> counts(earlier.begin(), earlier.begin() + std::min<ptrdiff_t>(check.loads, std::ssize(earlier)));
  if (std::ssize(counts) < check.min_loads) return {};
  std::sort(counts.begin(), counts.end());
  const size_t middle = counts.size() / 2;
  const double median = counts.size() % 2 == 1 ? static_cast<double>(counts[middle])
                                               : static_cast<double>(counts[middle - 1] + counts[middle]) / 2;
  const std::string usual = fmt::format("the last {} loads brought {} in the median", counts.size(),
                                        FormatCount(static_cast<int64_t>(median)));
  if (rows == 0 && counts.front() > 0) return "no rows arrived, and " + usual;
  if (static_cast<double>(rows) < check.min_ratio * median) {
    return fmt::format("only {} {} arrived, and {}", FormatCount(rows), rows == 1 ? "row" : "rows", usual);
  }
  return {};
}

std::vector<int64_t> EarlierLoads(const PathPattern& pattern, const TimeZone& zone,
                                  const std::map<std::string, LoadedFile>& remembered,
                                  const std::vector<SourceFile>& now) {
  std::set<std::string> leave_out;
  for (const SourceFile& file : now) leave_out.insert(file.path);
  std::map<int64_t, int64_t> loads;
  for (const auto& [path, loaded] : remembered) {
    if (loaded.rows < 0 || leave_out.contains(path)) continue;
    const auto match = pattern.MatchPath(path);
    const bool timed = match && match->time;
    loads[timed ? MillisSinceEpoch(zone.ToUtc(*match->time)) : loaded.run] += loaded.rows;
  }
  std::vector<int64_t> counts;
  for (auto it = loads.rbegin(); it != loads.rend(); ++it) counts.push_back(it->second);
  return counts;
}

}  // namespace quern::ingest
