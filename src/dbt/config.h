#pragma once
#include <string>
#include <vector>

#include "dbt/manifest.h"
#include "dbt/project.h"

namespace quern::dbt {

/// dbt's defaults for a kind of resource: what its artifacts show when nothing is configured.
Json DefaultConfig(ResourceType type);

/// Lays `partial` over `result` as dbt does: tags, hooks and packages add up; meta, docs, column_types, quoting,
/// contract and persist_docs merge by key; everything else replaces. Keys pre_hook and post_hook get their dashes.
void MergeConfig(Json& result, const Json& partial);

struct ConfigLayers {
  ResourceType type;
  const std::vector<std::string>* fqn;
  const Package* package;  ///< that the resource belongs to
  const Package* root;
  const Json* patch;  ///< `config:` of its properties file; may be null
  const Json* call;   ///< config() in its own file; may be null
};
/// All layers over the defaults: the package's dbt_project.yml by folder, properties, config(), the root project's
/// tree.
Json ResolveConfig(const ConfigLayers& layers);
/// Only what was written somewhere, without defaults (`unrendered_config` in artifacts).
Json WrittenConfig(const ConfigLayers& layers);

/// Config keys of dbt_project.yml's trees that are near a known key: probably misspelt.
void WarnAboutConfigKeys(const Package& root, Diagnostics& diagnostics);
/// Keys that dbt knows for a resource type, for messages.
const std::vector<std::string>& KnownConfigKeys();

/// Python's truth of a config value: for `enabled`, `full_refresh`, ...
bool ConfigTruth(const Json& value);
/// A text, or the texts of a list.
std::vector<std::string> ConfigTexts(const Json& value);

}  // namespace quern::dbt
