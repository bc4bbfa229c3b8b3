#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "graph/graph.h"

// dbt's selection syntax over any graph: `tag:daily`, `+orders+2`, `@stg_x`, `a,b` (both), `a b` (either), wildcards.
namespace quern::graph {

/// What selection knows of a node; one for each node of the graph, in the graph's order.
struct Attributes {
  std::string id;    ///< unique id; matches whole, too
  std::string kind;  ///< resource type: model, source, seed, snapshot, test, ingest, script, exposure, ...
  std::string name;
  std::string package;
  std::vector<std::string> fqn;  ///< package first; empty: package, kind, name
  std::vector<std::string> tags;
  std::vector<std::string>
      paths;  ///< of the defining file, under each root it may be named from (project, dbt project)
  std::vector<std::string> described_in;  ///< files with its properties: `path:` takes them when named themselves
  Json config = Json::object();           ///< `config.materialized:view`, `config.meta.owner:me`
  bool test = false;                      ///< may be selected through what it tests (indirect selection)
  std::string test_name;                  ///< the generic test's name (`test_name:unique`); empty for a singular test
};

/// Which tests come along with the nodes that they test (dbt's --indirect-selection).
enum class IndirectSelection {
  kEager,      ///< every test that touches a selected node
  kCautious,   ///< only tests all of whose parents are selected
  kBuildable,  ///< as cautious, but parents of selected nodes count as selected too
  kEmpty,      ///< none that is not selected itself
};
/// Errors: kInvalidArgument with "did you mean".
Result<IndirectSelection> ParseIndirectSelection(std::string_view text);

struct SelectOptions {
  IndirectSelection indirect = IndirectSelection::kEager;
  std::string root_package;  ///< what `package:this` means
};

struct Selection {
  std::vector<bool> nodes;      ///< one for each node of the graph
  std::vector<Error> warnings;  ///< criteria that match nothing, with "did you mean"
  int count() const;
};

/// Nodes that one of `select` takes and none of `exclude`. Each text is a union (blanks) of intersections (commas) of
/// criteria; several texts are united; an empty `select` takes everything. `graph` holds dependencies only (no gate
/// edges). Errors: kSelector (bad syntax, an unknown method with "did you mean", a method that is not built: state:,
/// result:, source_status:, selector:, by its name), with the text as the place's file. Cost: O((V + E) x criteria).
Result<Selection> Select(const Graph& graph, const std::vector<Attributes>& attributes,
                         const std::vector<std::string>& select, const std::vector<std::string>& exclude,
                         const SelectOptions& options);

/// Checks the syntax only (for `quern check`). Errors as above.
Result<void> CheckSelector(const std::string& text);

}  // namespace quern::graph
