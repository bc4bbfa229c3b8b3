#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "delta/table.h"

namespace quern::delta {

/// The files that make up one version: the newest usable checkpoint not after it, and the commits that follow.
struct LogSegment {
  struct Commit {
    int64_t version = 0;
    std::string key;
    Timestamp modified;
    int64_t size = 0;
  };
  struct Checkpoint {
    int64_t version = 0;
    /// One for a classic or V2 checkpoint, several for a multi-part one, in order.
    std::vector<std::string> keys;
    bool json = false;     ///< a V2 checkpoint whose top level is JSON
    bool v2_name = false;  ///< named by UUID
  };
  int64_t version = -1;
  std::optional<Checkpoint> checkpoint;
  std::vector<Commit> commits;  ///< without a gap, from checkpoint + 1 (or 0) to version
  Timestamp modified{};         ///< of the version's commit file, or of its checkpoint when that is cleaned up
  int64_t size = -1;            ///< of the version's commit file, -1 when it is cleaned up
};

/// Whether a file of this name in `_delta_log` is a commit or (a part of) a checkpoint. A folder without any is no
/// table: whoever made it died before the first commit.
bool IsLogFileName(std::string_view name);
/// One LIST of the log from the checkpoint that `_last_checkpoint` names (a wrong or broken hint is passed over), a
/// second one from the start when that is not enough. Other files in the folder are ignored. Errors: kTableNotFound;
/// kVersionNotFound (it says which versions there are); kCorruptLog for a missing commit.
Result<LogSegment> ListLog(const Table& table, std::optional<int64_t> version);
/// The commit of `version`, if it is still there, and those after it, as listed.
Result<std::vector<LogSegment::Commit>> ListCommitsFrom(const Table& table, int64_t version);
/// Every commit that is still there, ascending. Error: kTableNotFound.
Result<std::vector<LogSegment::Commit>> ListCommits(const Table& table);

}  // namespace quern::delta
