#pragma once
#include <memory>
#include <string>

#include "cli/invocation.h"
#include "project/project.h"
#include "schedule/scheduler.h"

namespace quern::cli {

/// What `quern up` offers beside the scheduler, as long as the object lives.
class UpServices {
 public:
  virtual ~UpServices() = default;
  virtual std::string Where() const = 0;  ///< "http://127.0.0.1:8080"
};

/// Starts them; null when there are none to start. `project` and `scheduler` outlive them.
Result<std::unique_ptr<UpServices>> StartServices(Invocation& invocation, project::Project& project,
                                                  schedule::Scheduler& scheduler);

}  // namespace quern::cli
