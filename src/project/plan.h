#pragma once
#include <map>
#include <string>
#include <vector>

#include "project/project.h"

namespace quern::project {

/// One node that a run would do, and why.
struct PlannedNode {
  graph::NodeIndex node = 0;
  std::string why;      ///< "selected by tag:daily", "upstream of fct_orders", "tests dim_planes", "the whole graph"
  std::string outlook;  ///< what the node would find (NodeProvider::Outlook); mostly ""
  std::optional<schedule::LastTime> last;
  bool done = false;  ///< an earlier attempt of this interval's run finished it
};

/// What a run of `work` would do, in the order in which it could. `run`: its DAG run's id tells what is done already.
/// Reads the history when there is one; writes nothing. Errors: the metadata database's, kCycle.
Result<std::vector<PlannedNode>> MakePlan(Project& project, const schedule::Workload& work,
                                          const schedule::RunContext& run);

/// Why each selected node is selected (by index; "" for those that are not).
std::vector<std::string> Reasons(const schedule::NodeGraph& graph, const schedule::Workload& work,
                                 const std::string& root_package);

}  // namespace quern::project
