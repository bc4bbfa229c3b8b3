#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ingest/config.h"

namespace quern::ingest {

// The Delta `txn` actions in which a table remembers its files. One of each per file, committed with the rows.
inline constexpr std::string_view kFileTxn = "quern-file/";        ///< version: the loading run's logical date in ms
inline constexpr std::string_view kContentTxn = "quern-content/";  ///< version: Fingerprint() of the file
inline constexpr std::string_view kRowsTxn = "quern-rows/";        ///< version: rows that arrived in the file
inline constexpr int64_t kForgotten = -1;  ///< version of a file whose load was undone; the warehouse takes it for none

/// What a table remembers of one file.
struct LoadedFile {
  int64_t run = 0;      ///< the loading run's logical date in ms
  int64_t content = 0;  ///< 0: not known
  int64_t rows = -1;    ///< -1: not known
};
/// From all txns with the prefix "quern-"; undone loads are left out.
std::map<std::string, LoadedFile> RememberedFiles(const std::map<std::string, int64_t>& txns);

/// Files that are loaded together, in order, by one commit.
struct LoadGroup {
  std::vector<SourceFile> files;
  std::optional<Timestamp> time;  ///< the latest logical time among them
};

struct LoadPlan {
  std::vector<LoadGroup> groups;       ///< nothing to do when empty
  std::vector<SourceFile> superseded;  ///< replace: older files that a newer one makes pointless; remembered, not read
  std::vector<SourceFile> changed;     ///< loaded before, and their content is another now
  std::vector<SourceFile> late;        ///< history: before what was applied already
  int64_t waiting = 0;                 ///< files whose logical time is after the interval's end
  int64_t known = 0;                   ///< files loaded before
};

/// Which of the files are due and how they are loaded. Pure.
/// `files` are in order (FindFiles); `remembered` is what the table says; `fingerprint` is asked only for files that
/// were loaded before and may have changed.
/// - due: logical time <= `until`; a file without time always.
/// - append, merge, delete_insert: all new files, one group. history: one group for each logical time.
/// - replace: with time, the newest due logical time's files when any of them is new or changed; without, all files
/// when any
///   is new, changed, or gone.
LoadPlan PlanLoad(Mode mode, const std::vector<SourceFile>& files, const std::map<std::string, LoadedFile>& remembered,
                  Timestamp until, const std::map<std::string, int64_t>& fingerprints);

/// Verdict of the row-count check: text of the warning, or nothing.
/// `earlier` are the row counts of earlier loads, newest first.
std::optional<std::string> CheckRowCount(const RowCheck& check, const std::vector<int64_t>& earlier, int64_t rows);

/// Row counts of earlier loads out of what the table remembers, newest first: files of one logical time (or of one run,
/// when the pattern has no time) are one load. Files in `now` are left out.
std::vector<int64_t> EarlierLoads(const PathPattern& pattern, const TimeZone& zone,
                                  const std::map<std::string, LoadedFile>& remembered,
                                  const std::vector<SourceFile>& now);

}  // namespace quern::ingest
