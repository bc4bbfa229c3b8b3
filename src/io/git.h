#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"

namespace quern::io {

struct GitState {
  std::string commit;  ///< 40 hexadecimal digits; "" in a repository without a commit
  bool dirty = false;  ///< tracked or untracked, not ignored files under the folder differ from the commit
  /// "<commit>", or "<commit>-dirty".
  std::string ToString() const;
};

/// The checkout that holds `folder`; nothing when there is none (or git refuses it: another owner's, or not readable).
/// The dirty check looks at that folder only. Thread-safe.
Result<std::optional<GitState>> ReadGitState(const std::filesystem::path& folder);

}  // namespace quern::io
