#include "cli/workspace.h"

namespace quern::cli {

Result<void> AddProviders(project::Project&, const Invocation&) { return {}; }

}  // namespace quern::cli
