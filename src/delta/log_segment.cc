#include "delta/log_segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/json.h"

namespace quern::delta {

namespace {

constexpr size_t kVersionDigits = 20;

/// What a name in the log folder stands for.
struct LogName {
  enum class Kind { kCommit, kClassic, kPart, kV2, kOther };
  Kind kind = Kind::kOther;
  int64_t version = -1;
  int part = 0;
  int parts = 0;
  bool json = false;
};

bool AllDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

LogName ParseName(std::string_view name) {
  LogName parsed;
  const std::string_view digits = name.substr(0, kVersionDigits);
  if (digits.size() < kVersionDigits || !AllDigits(digits)) return parsed;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), parsed.version).ec != std::errc()) return parsed;
  std::string_view rest = name.substr(kVersionDigits);
  if (rest == ".json") {
    parsed.kind = LogName::Kind::kCommit;
    return parsed;
  }
  if (!rest.starts_with(".checkpoint.")) return parsed;
  rest.remove_prefix(12);
  if (rest == "parquet") {
    parsed.kind = LogName::Kind::kClassic;
    return parsed;
  }
  if (rest.size() == 10 + 1 + 10 + 8 && AllDigits(rest.substr(0, 10)) && rest[10] == '.' &&
      AllDigits(rest.substr(11, 10)) && rest.ends_with(".parquet")) {
    const std::string_view part = rest.substr(0, 10), parts = rest.substr(11, 10);
    std::from_chars(part.data(), part.data() + part.size(), parsed.part);
    std::from_chars(parts.data(), parts.data() + parts.size(), parsed.parts);
    if (parsed.part >= 1 && parsed.part <= parsed.parts) parsed.kind = LogName::Kind::kPart;
    return parsed;
  }
  const size_t dot = rest.rfind('.');
  if (dot == 36 && (rest.substr(dot) == ".parquet" || rest.substr(dot) == ".json")) {
    parsed.kind = LogName::Kind::kV2;
    parsed.json = rest.substr(dot) == ".json";
  }
  return parsed;
}

std::string VersionPrefix(const Table& table, int64_t version) {
  return fmt::format("{}{:020}", LogFolder(table), version);
}

/// Everything of the log from some version on.
struct Listing {
  std::vector<LogSegment::Commit> commits;
  std::vector<std::pair<LogSegment::Checkpoint, Timestamp>> checkpoints;  // whole ones, ascending
  bool anything = false;
};

Result<Listing> List(const Table& table, std::string_view start_after) {
  const std::string folder = LogFolder(table);
  const std::vector<io::ObjectMeta> files = QUERN_TRY(table.store->List(folder, start_after));
  Listing listing;
  std::map<std::pair<int64_t, int>, std::map<int, std::string>> parts;
  std::map<int64_t, Timestamp> times;
  for (const io::ObjectMeta& file : files) {
    const LogName name = ParseName(std::string_view(file.key).substr(folder.size()));
    if (name.kind == LogName::Kind::kOther) continue;
    listing.anything = true;
    switch (name.kind) {
      case LogName::Kind::kCommit:
        listing.commits.push_back({name.version, file.key, file.modified, file.size});
        break;
      case LogName::Kind::kClassic:
      case LogName::Kind::kV2:
        listing.checkpoints.push_back(
            {{name.version, {file.key}, name.json, name.kind == LogName::Kind::kV2}, file.modified});
        break;
      default:
        parts[{name.version, name.parts}][name.part] = file.key;
        times[name.version] = file.modified;
    }
  }
  for (const auto& [id, found] : parts) {
    if (found.size() != static_cast<size_t>(id.second)) continue;  // a writer is at it, or died
    LogSegment::Checkpoint checkpoint;
    checkpoint.version = id.first;
    for (const auto& [part, key] : found) checkpoint.keys.push_back(key);
    listing.checkpoints.push_back({std::move(checkpoint), times[id.first]});
  }
  std::stable_sort(listing.checkpoints.begin(), listing.checkpoints.end(),
                   [](const auto& a, const auto& b) { return a.first.version < b.first.version; });
  return listing;
}

/// The version that _last_checkpoint names; it is a hint only.
std::optional<int64_t> CheckpointHint(const Table& table) {
  const auto text = table.store->Get(LogFolder(table) + "_last_checkpoint");
  if (!text || !*text) return std::nullopt;
  const Json json = Json::parse(**text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto version = json.find("version");
  if (version == json.end() || !version->is_number_integer()) return std::nullopt;
  const auto n = version->get<int64_t>();
  return n >= 0 ? std::optional(n) : std::nullopt;
}

Error Gap(const Table& table, int64_t missing, int64_t newest) {
  return Error(ErrorCode::kCorruptLog,
               fmt::format("the log of {} lacks commit {} (its newest is {})", table.Location(), missing, newest))
      .Hint(
          "The file was deleted, or the folder was copied in part. The table can be read from a later checkpoint "
          "only.");
}

/// Makes the segment of a version (or the newest) out of a listing; nothing when the listing does not reach back far
/// enough.
Result<std::optional<LogSegment>> Assemble(const Table& table, const Listing& listing, std::optional<int64_t> version,
                                           bool whole) {
  LogSegment segment;
  int64_t newest = -1;
  if (!listing.commits.empty()) newest = listing.commits.back().version;
  if (!listing.checkpoints.empty()) newest = std::max(newest, listing.checkpoints.back().first.version);
  const int64_t target = version.value_or(newest);
  const auto commits_after = [&](int64_t after) -> std::optional<std::vector<LogSegment::Commit>> {
    std::vector<LogSegment::Commit> commits;
    int64_t next = after + 1;
    for (const LogSegment::Commit& commit : listing.commits) {
      if (commit.version <= after || commit.version > target) continue;
      if (commit.version != next) return std::nullopt;
      commits.push_back(commit);
      ++next;
    }
    if (next != target + 1) return std::nullopt;
    return commits;
  };
  if (target > newest) {
    if (!whole) return std::nullopt;
    const int64_t oldest = listing.commits.empty() ? newest : listing.commits.front().version;
    return Fail(ErrorCode::kVersionNotFound,
                fmt::format("{} has no version {}: its newest is {}{}", table.Location(), target, newest,
                            oldest > 0 ? fmt::format(", its oldest commit {}", oldest) : ""));
  }
  // Without a Parquet reader a log that is whole from its beginning is read without its checkpoints.
  const bool can_parquet = table.parquet != nullptr;
  for (auto it = listing.checkpoints.rbegin(); it != listing.checkpoints.rend(); ++it) {
    if (it->first.version > target || (!can_parquet && !it->first.json)) continue;
    if (auto commits = commits_after(it->first.version)) {
      segment.version = target;
      segment.checkpoint = it->first;
      segment.commits = *std::move(commits);
      segment.modified = it->second;
      for (const LogSegment::Commit& commit : listing.commits) {
        if (commit.version == target) {
          segment.modified = commit.modified;
          segment.size = commit.size;
        }
      }
      return segment;
    }
  }
  if (!whole) return std::nullopt;
  if (auto commits = commits_after(-1); commits && !commits->empty()) {
    segment.version = target;
    segment.modified = commits->back().modified;
    segment.size = commits->back().size;
    segment.commits = *std::move(commits);
    return segment;
  }
  // Say what is wrong, as near to the target as can be.
  std::optional<int64_t> from;
  for (const auto& [checkpoint, modified] : listing.checkpoints) {
    if (checkpoint.version > target) continue;
    if (!can_parquet && !checkpoint.json) {
      return Fail(ErrorCode::kUnsupportedFeature,
                  fmt::format("{} can be read from its Parquet checkpoint only, and no Parquet reader is given",
                              table.Location()));
    }
    from = checkpoint.version;
  }
  int64_t next = from.value_or(-1) + 1;
  for (const LogSegment::Commit& commit : listing.commits) {
    if (commit.version == next) ++next;
  }
  if (!from && (listing.commits.empty() || listing.commits.front().version > 0)) {
    // The beginning was cleaned up: old versions cannot be rebuilt.
    if (version && !listing.checkpoints.empty()) {
      return Fail(
          ErrorCode::kVersionNotFound,
          fmt::format("version {} of {} can no longer be read: its log begins with the checkpoint of version {}",
                      target, table.Location(), listing.checkpoints.front().first.version));
    }
  }
  return Fail(Gap(table, next, newest));
}

}  // namespace

std::string LogFolder(const Table& table) {
  return io::JoinKey(table.root, "_delta_log") + "/";
}
std::string CommitKey(const Table& table, int64_t version) {
  return VersionPrefix(table, version) + ".json";
}

bool IsLogFileName(std::string_view name) {
  return ParseName(name).kind != LogName::Kind::kOther;
}

Result<bool> TableExists(const Table& table) {
  return QUERN_TRY(List(table, "")).anything;
}

Result<LogSegment> ListLog(const Table& table, std::optional<int64_t> version) {
  if (version && *version < 0) return Fail(ErrorCode::kVersionNotFound, fmt::format("{} is no version", *version));
  if (const auto hint = CheckpointHint(table); hint && (!version || *hint <= *version)) {
    // All names of a version sort after its bare number.
    const Listing listing = QUERN_TRY(List(table, VersionPrefix(table, *hint)));
    if (auto segment = QUERN_TRY(Assemble(table, listing, version, false))) return *std::move(segment);
  }
  const Listing listing = QUERN_TRY(List(table, ""));
  if (!listing.anything) {
    return Fail(Error(ErrorCode::kTableNotFound, fmt::format("{} is no Delta table: it has no log", table.Location())));
  }
  auto segment = QUERN_TRY(Assemble(table, listing, version, true));
  return *std::move(segment);
}

Result<std::vector<LogSegment::Commit>> ListCommitsFrom(const Table& table, int64_t version) {
  return QUERN_TRY(List(table, VersionPrefix(table, version))).commits;
}

Result<std::vector<LogSegment::Commit>> ListCommits(const Table& table) {
  Listing listing = QUERN_TRY(List(table, ""));
  if (!listing.anything)
    return Fail(ErrorCode::kTableNotFound, fmt::format("{} is no Delta table: it has no log", table.Location()));
  return std::move(listing.commits);
}

}  // namespace quern::delta
