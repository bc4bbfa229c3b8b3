#include "delta/history.h"

#include <fmt/format.h>

#include <charconv>

#include "delta/log_segment.h"
#include "delta/snapshot.h"

namespace quern::delta {

namespace {

Result<std::optional<CommitInfo>> ReadCommitInfo(const Table& table, const LogSegment::Commit& commit) {
  const auto text = QUERN_TRY(table.store->Get(commit.key));
  if (!text) return std::nullopt;
  const std::string location = table.store->Location(commit.key);
  // Writers put it first; then the rest need not be read.
  const std::string_view whole = *text;
  for (const std::string_view part : {whole.substr(0, whole.find('\n')), whole}) {
    std::vector<Action> actions = QUERN_TRY(ParseActions(part, location, kCommitInfoAction));
    if (!actions.empty()) return std::get<CommitInfo>(std::move(actions.front()));
  }
  return std::nullopt;
}

/// Commit files' times, made strictly ascending.
std::vector<Timestamp> AscendingTimes(const std::vector<LogSegment::Commit>& commits) {
  std::vector<Timestamp> times;
  for (const LogSegment::Commit& commit : commits) {
    Timestamp time = commit.modified;
    if (!times.empty() && time <= times.back()) time = times.back() + std::chrono::milliseconds(1);
    times.push_back(time);
  }
  return times;
}

}  // namespace

Result<std::vector<HistoryEntry>> History(const Table& table, int64_t limit) {
  const std::vector<LogSegment::Commit> commits = QUERN_TRY(ListCommits(table));
  const std::vector<Timestamp> times = AscendingTimes(commits);
  std::vector<HistoryEntry> entries;
  for (size_t i = commits.size(); i > 0 && (limit < 0 || static_cast<int64_t>(entries.size()) < limit); --i) {
    HistoryEntry entry;
    entry.version = commits[i - 1].version;
    entry.timestamp = times[i - 1];
    entry.commit_info = QUERN_TRY(ReadCommitInfo(table, commits[i - 1]));
    if (entry.commit_info) {
      if (const auto ms = entry.commit_info->in_commit_timestamp()) entry.timestamp = FromMicros(*ms * 1000);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<int64_t> VersionAt(const Table& table, Timestamp at) {
  const SnapshotPtr newest = QUERN_TRY(Snapshot::Load(table));
  std::vector<LogSegment::Commit> commits = QUERN_TRY(ListCommits(table));
  std::erase_if(commits, [&](const LogSegment::Commit& commit) { return commit.version > newest->version(); });
  if (commits.empty()) return newest->version();
  const std::vector<Timestamp> times = AscendingTimes(commits);
  size_t low = 0;
  size_t high = commits.size();
  // Where the table turned in-commit timestamps on later, the moment tells which side of that version to look at.
  size_t first_in_commit = commits.size();
  if (newest->PropertyIsTrue("delta.enableInCommitTimestamps")) {
    first_in_commit = 0;
    const auto number = [&](std::string_view key) -> std::optional<int64_t> {
      const std::string text = newest->Property(key);
      int64_t n = 0;
      if (text.empty() || std::from_chars(text.data(), text.data() + text.size(), n).ec != std::errc())
        return std::nullopt;
      return n;
    };
    const auto version = number("delta.inCommitTimestampEnablementVersion");
    const auto moment = number("delta.inCommitTimestampEnablementTimestamp");
    if (version && moment) {
      while (first_in_commit < commits.size() && commits[first_in_commit].version < *version) ++first_in_commit;
      if (MillisSinceEpoch(at) >= *moment) {
        low = first_in_commit;
      } else {
        high = first_in_commit;
      }
    }
  }
  const size_t begin = low;
  const auto time_of = [&](size_t i) -> Result<Timestamp> {
    if (i < first_in_commit) return times[i];
    const auto info = QUERN_TRY(ReadCommitInfo(table, commits[i]));
    const auto ms = info ? info->in_commit_timestamp() : std::nullopt;
    return ms ? FromMicros(*ms * 1000) : times[i];
  };
  // Times ascend: search by halves, so that few commits are read where their own times count.
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (QUERN_TRY(time_of(middle)) <= at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0 || low == begin) {
    if (begin > 0) return commits[begin].version;
    return Fail(ErrorCode::kVersionNotFound,
                fmt::format("{} had no version yet at {}: its oldest, {}, is of {}", table.Location(), FormatUtc(at),
                            commits.front().version, FormatUtc(QUERN_TRY(time_of(0)))));
  }
  return commits[low - 1].version;
}

}  // namespace quern::delta
