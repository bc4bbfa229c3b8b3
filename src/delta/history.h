#pragma once
#include <optional>
#include <vector>

#include "base/time.h"
#include "delta/actions.h"
#include "delta/table.h"

namespace quern::delta {

struct HistoryEntry {
  int64_t version = 0;
  Timestamp timestamp;  ///< as for VersionAt
  std::optional<CommitInfo> commit_info;
};
/// The newest `limit` commits (-1: all), newest first. Only commit files that are still there have a history.
Result<std::vector<HistoryEntry>> History(const Table& table, int64_t limit);

/// The newest version not after the moment. A version's time is its commitInfo.inCommitTimestamp where it has one; else
/// its commit file's modification time, made strictly ascending as Spark does (a time not after its predecessor's
/// counts as the predecessor's + 1 ms). A moment after the newest commit gives the newest. Errors: kVersionNotFound
/// when the moment is before the oldest version that can still be rebuilt; it names that version and its time.
Result<int64_t> VersionAt(const Table& table, Timestamp at);

}  // namespace quern::delta
