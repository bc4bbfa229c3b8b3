#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/yaml.h"
#include "jinja/value.h"

namespace quern::dbt {

/// dbt's resource types, in the spelling of its artifacts (ResourceTypeName).
enum class ResourceType { kModel, kSeed, kSnapshot, kTest, kAnalysis, kOperation, kSource, kExposure };
std::string_view ResourceTypeName(ResourceType type);

/// ref('name'), ref('package', 'name'), ref('name', version=1).
struct Ref {
  std::string name;
  std::optional<std::string> package;
  std::optional<std::string> version;
  SourcePos pos;
  friend bool operator==(const Ref& a, const Ref& b) {
    return a.name == b.name && a.package == b.package && a.version == b.version;
  }
};

struct SourceRef {
  std::string source;
  std::string table;
  SourcePos pos;
  friend bool operator==(const SourceRef& a, const SourceRef& b) { return a.source == b.source && a.table == b.table; }
};

/// A column as a properties file describes it.
struct ColumnInfo {
  std::string name;
  std::string description;
  std::optional<std::string> data_type;
  std::optional<bool> quote;
  Json meta = Json::object();
  std::vector<std::string> tags;
  Json constraints = Json::array();
  std::optional<std::string> granularity;
  std::vector<std::string> doc_blocks;
  SourcePos pos;
};

/// What makes a generic test: the macro, and its arguments as the properties file has them.
struct TestMetadata {
  std::string name;                    ///< "unique"
  std::optional<std::string> package;  ///< "dbt_utils" of dbt_utils.unique
  Json kwargs = Json::object();
  jinja::Value arguments;  ///< the same as a dict of templates, in the order of the file; frozen
  std::optional<std::string> column_name;
  std::string file_key_name;  ///< "models.stg_orders"
  std::optional<std::string> attached_node;
};

/// Anything that dbt keeps under `nodes` in its manifest, and sources and exposures.
struct ManifestNode {
  ResourceType type = ResourceType::kModel;
  std::string unique_id;
  std::string name;
  std::string package;
  std::string path;                ///< relative to the folder of its kind
  std::string original_file_path;  ///< relative to the package
  std::filesystem::path root;      ///< of the package
  std::vector<std::string> fqn;
  std::string database;
  std::string schema;
  std::string alias;  ///< a source's identifier
  std::optional<std::string> relation_name;
  std::string raw_code;
  SourcePos code_pos;    ///< where raw_code begins in the user's file
  std::string checksum;  ///< sha256; "" for generic tests
  std::string language = "sql";
  Json config = Json::object();
  Json unrendered_config = Json::object();
  std::vector<std::string> tags;
  Json meta = Json::object();
  std::optional<std::string> group;
  std::string description;
  std::vector<std::string> doc_blocks;
  std::vector<ColumnInfo> columns;
  Json constraints = Json::array();
  Json docs = {{"show", true}, {"node_color", nullptr}};
  std::string access = "protected";
  std::optional<std::string> patch_path;
  SourcePos pos;  ///< of the file, or of the YAML entry
  std::vector<Ref> refs;
  std::vector<SourceRef> sources;
  std::vector<std::string> depends_on;         ///< unique ids
  std::vector<std::string> depends_on_macros;  ///< unique ids
  std::vector<std::string> before_run;         ///< unique ids read as they stood before the run
  std::optional<TestMetadata> test;
  bool singular_test = false;
  int hook_index = -1;  ///< of an operation
  double created_at = 0;

  // sources
  std::string source_name;
  std::string source_description;
  Json source_meta = Json::object();
  std::string loader;
  Json quoting = Json::object();  ///< as configured; absent keys mean the default
  Json freshness;
  std::optional<std::string> loaded_at_field;
  std::optional<std::string> unrendered_database, unrendered_schema;
  Json external;

  // exposures
  std::string exposure_type;
  Json owner = Json::object();
  std::optional<std::string> label, maturity, url;

  bool enabled() const { return config.value("enabled", true); }
  std::string materialized() const {
    auto it = config.find("materialized");
    return it != config.end() && it->is_string() ? it->get<std::string>() : std::string();
  }
  bool is_ephemeral() const { return type == ResourceType::kModel && materialized() == "ephemeral"; }
  /// Something that ref() may name.
  bool is_refable() const {
    return type == ResourceType::kModel || type == ResourceType::kSeed || type == ResourceType::kSnapshot;
  }
};

/// A macro of the project, a package or of Quern itself. Its code lives in the Jinja environment.
struct MacroNode {
  std::string unique_id;  ///< "macro.shop.cents"
  std::string name;
  std::string package;
  std::string path;  ///< relative to the package
  std::string text;  ///< from {% macro to endmacro %}
  SourcePos pos;
  std::vector<std::string> depends_on;
  std::string description;
  Json meta = Json::object();
  Json arguments = Json::array();
  Json docs = {{"show", true}, {"node_color", nullptr}};
  std::optional<std::string> patch_path;
  std::vector<std::string> supported_languages;  ///< of a materialization
  bool is_materialization = false;
};

struct DocBlock {
  std::string unique_id;  ///< "doc.shop.cust"
  std::string name;
  std::string package;
  std::string path;
  std::string original_file_path;
  std::string text;
};

/// The project as parsed: everything by unique id. Built once, then read by many threads.
struct Manifest {
  std::map<std::string, std::unique_ptr<ManifestNode>>
      nodes;  ///< models, seeds, snapshots, tests, analyses, operations
  std::map<std::string, std::unique_ptr<ManifestNode>> sources;
  std::map<std::string, std::unique_ptr<ManifestNode>> exposures;
  std::map<std::string, std::vector<std::unique_ptr<ManifestNode>>> disabled;
  std::map<std::string, MacroNode> macros;
  std::map<std::string, DocBlock> docs;
  /// (name) -> unique ids of what ref() may find; ("source.table") -> unique ids.
  std::multimap<std::string, std::string> ref_index;
  std::multimap<std::string, std::string> source_index;
  std::map<std::string, std::vector<std::string>> parents, children;

  /// Node, source or exposure; null when there is none.
  const ManifestNode* Find(const std::string& unique_id) const;
  ManifestNode* Find(const std::string& unique_id);
  /// Fills parents and children from depends_on.
  void BuildMaps();
};

}  // namespace quern::dbt
