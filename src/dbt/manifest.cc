#include "dbt/manifest.h"

#include <algorithm>

namespace quern::dbt {

std::string_view ResourceTypeName(ResourceType type) {
  switch (type) {
    case ResourceType::kModel:
      return "model";
    case ResourceType::kSeed:
      return "seed";
    case ResourceType::kSnapshot:
      return "snapshot";
    case ResourceType::kTest:
      return "test";
    case ResourceType::kAnalysis:
      return "analysis";
    case ResourceType::kOperation:
      return "operation";
    case ResourceType::kSource:
      return "source";
    case ResourceType::kExposure:
      return "exposure";
  }
  return "";
}

const ManifestNode* Manifest::Find(const std::string& unique_id) const {
  for (const auto* part : {&nodes, &sources, &exposures}) {
    if (auto it = part->find(unique_id); it != part->end()) return it->second.get();
  }
  return nullptr;
}

ManifestNode* Manifest::Find(const std::string& unique_id) {
  return const_cast<ManifestNode*>(static_cast<const Manifest*>(this)->Find(unique_id));
}

void Manifest::BuildMaps() {
  parents.clear();
  children.clear();
  for (const auto* part : {&nodes, &sources, &exposures}) {
    for (const auto& [id, node] : *part) {
      parents[id];
      children[id];
    }
  }
  for (const auto* part : {&nodes, &exposures}) {
    for (const auto& [id, node] : *part) {
      for (const std::string& parent : node->depends_on) {
        auto& known = parents[id];
        if (std::find(known.begin(), known.end(), parent) != known.end()) continue;
        known.push_back(parent);
        children[parent].push_back(id);
      }
    }
  }
  for (auto& [id, list] : parents) std::sort(list.begin(), list.end());
  for (auto& [id, list] : children) std::sort(list.begin(), list.end());
}

}  // namespace quern::dbt
