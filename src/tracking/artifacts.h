#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/files.h"

namespace quern::tracking {

/// file:///absolute/path, percent-encoded as the mlflow client reads it.
std::string FileUri(const std::filesystem::path& path);
/// The path of a file: URI, or of what is a plain path already; nothing for other schemes.
std::optional<std::filesystem::path> PathOfUri(std::string_view uri);

/// An empty folder beside `run_folder`, to write a run's artifacts into, then to be published. Its guard removes it;
/// what a killed process left beside stays until the next PublishArtifacts of the same run removes it.
Result<io::TempFolder> PrepareArtifacts(const std::filesystem::path& run_folder);

/// Puts a prepared folder in the place of `run_folder`: every file and folder is on the disk before its name is; a
/// folder that is there (of a killed attempt, or of an equal run) is replaced. A reader sees the old files, for a
/// moment no folder, or the new ones, never a mixture. Errors: kNoSpace, kPermissionDenied, kIo.
Result<void> PublishArtifacts(io::TempFolder prepared, const std::filesystem::path& run_folder);

/// Replaces `destination` by a copy of `source` in the same way (save_to of a model).
Result<void> CopyFolderAtomically(const std::filesystem::path& source, const std::filesystem::path& destination);

}  // namespace quern::tracking
