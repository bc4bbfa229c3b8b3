#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dbt/context/render_context.h"
#include "dbt/workspace.h"

namespace quern::dbt {

/// An entry of a properties file, kept until the node that it describes is there.
struct Properties {
  std::string section;  ///< "models", "seeds", ...
  std::string name;
  const Package* package = nullptr;
  std::string original_file_path;  ///< "models/staging/p.yml"
  std::string relative_path;       ///< "staging/p.yml"
  Yaml yaml;
  bool used = false;
  Json config = Json::object();  ///< rendered `config:`, with the older top-level keys
};

/// Fills a workspace's manifest. Everything wrong goes to the diagnostics; what can be read is read all the same.
class Parser {
 public:
  Parser(Workspace& workspace, Diagnostics& diagnostics);
  void Run();

 private:
  // files.cc
  void ReadDocs(const Package& package);
  void ReadProperties(const Package& package);
  void AddProperties(const Package& package, const FoundFile& file, const Yaml& yaml);
  // nodes.cc
  void ParseModels(const Package& package);
  void ParseSeeds(const Package& package);
  void ParseSnapshots(const Package& package);
  void ParseYamlSnapshots(const Package& package);
  void ParseSingularTests(const Package& package);
  void ParseAnalyses(const Package& package);
  void ParseHooks(const Package& package);
  struct Draft;
  /// Compiles and runs the node's text with execute = false, resolves its config and names, and keeps it.
  void Finish(std::unique_ptr<ManifestNode> node, const Package& package, Properties* properties);
  void ApplyProperties(ManifestNode& node, const Package& package, Properties& properties);
  void ResolveNames(ManifestNode& node, const Package& package);
  void Keep(std::unique_ptr<ManifestNode> node);
  std::optional<std::string> CallNameMacro(const std::string& macro, const Json& custom, RenderContext& context);
  // sources.cc
  void ParseSources(const Package& package);
  void ParseSourceTable(const Package& package, const Properties& file, const Yaml& source, const Yaml& table);
  void ParseExposures(const Package& package);
  void ParseMacroProperties(const Package& package);
  std::vector<ColumnInfo> ParseColumns(const Package& package, const Yaml& owner, const std::string& what);
  Json ParseConstraints(const Package& package, const Yaml& yaml, bool of_model);
  // generic_tests.cc
  void ParseGenericTests(const Package& package);
  struct TestTarget;
  void ParseTestsOf(const TestTarget& target, const Yaml& owner);
  void ParseTest(const TestTarget& target, const Yaml& test, const ColumnInfo* column);
  // resolve.cc
  void Resolve();
  void ResolveNode(ManifestNode& node);

  /// Rendered description with its docs blocks; the text as it is when it cannot be rendered (reported).
  std::string Description(const Package& package, const Yaml* yaml, std::vector<std::string>* doc_blocks);
  Json Rendered(const Package& package, const Yaml& yaml);
  Properties* FindProperties(const std::string& section, const std::string& name, const Package& package);
  /// Reports keys that are not in `known`: an error when one is near, else a warning.
  void CheckKeys(const Yaml& yaml, const std::vector<std::string>& known, const std::string& what);

  Workspace& w_;
  Diagnostics& diagnostics_;
  std::vector<std::unique_ptr<Properties>> properties_;
  std::multimap<std::string, Properties*> by_name_;  ///< "models.stg_orders"
  std::set<std::string> broken_;  ///< names of nodes that could not be read: no "unknown ref" for them
  Manifest& m_;
};

}  // namespace quern::dbt
