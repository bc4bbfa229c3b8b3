#pragma once
#include <filesystem>

#include "project/project.h"

namespace quern::cli {

/// Writes the project's report.html from its graph and the newest runs of its history; gives the file.
Result<std::filesystem::path> WriteReport(project::Project& project);

}  // namespace quern::cli
