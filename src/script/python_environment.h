#pragma once
#include <filesystem>
#include <functional>
#include <string>

#include "base/cancellation.h"
#include "base/result.h"

namespace quern::script {

/// A virtual environment made from a pinned requirements file: <folder>/<hash of Python's version and the file>. Made
/// once and kept; a changed file makes another. Safe against several processes and against being killed: it counts only
/// once its mark is written. Lines of pip go to `log`. Gives the environment's folder. Errors: kNotFound (no python3;
/// no such file), kInvalidArgument (a package that is not pinned, with its line), kScriptFailed (pip failed: its last
/// lines), kNoSpace, kCancelled.
Result<std::filesystem::path> MakePythonEnvironment(const std::filesystem::path& folder,
                                                    const std::filesystem::path& requirements,
                                                    const std::string& shown_name,
                                                    const std::function<void(std::string_view)>& log,
                                                    const Cancellation& cancellation);

}  // namespace quern::script
