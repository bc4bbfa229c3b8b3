#pragma once
#include <filesystem>
#include <functional>
#include <string>

#include "base/cancellation.h"
#include "base/result.h"
#include "io/child_process.h"

namespace quern::io {

/// The packages of a requirements file must be pinned: `name==version`, or with --hash. Errors: kInvalidArgument with
/// the line.
Result<void> CheckRequirements(std::string_view text, const std::string& file);

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

/// Lets a program find an environment's Python and packages. Without one (an empty path) `python` becomes python3 where
/// the system has no program of that name, as Debian has not.
void UsePythonEnvironment(const std::filesystem::path& environment, ProcessOptions& process);

}  // namespace quern::io
