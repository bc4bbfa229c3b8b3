#include "dbt/macro_registry.h"

#include <algorithm>
#include <set>

namespace quern::dbt {

Result<void> MacroRegistry::Add(const std::string& package, const std::string& name, Macro macro) {
  Table& table = packages_[package];
  auto [it, added] = table.try_emplace(name, macro);
  if (!added) {
    return Fail(Error(ErrorCode::kDbtParse, "macro '" + name + "' is defined twice in package '" + package + "'")
                    .At(macro.node->pos)
                    .Hint("the other is at " + it->second.node->pos.ToString()));
  }
  return {};
}

const Macro* MacroRegistry::Find(std::string_view package, std::string_view name) const {
  auto table = packages_.find(std::string(package));
  if (table == packages_.end()) return nullptr;
  auto it = table->second.find(std::string(name));
  return it == table->second.end() ? nullptr : &it->second;
}

const Macro* MacroRegistry::Lookup(std::string_view package, std::string_view name) const {
  if (const Macro* macro = Find(root_, name)) return macro;
  if (package != root_) {
    if (const Macro* macro = Find(package, name)) return macro;
  }
  return Find(kBuiltinPackage, name);
}

std::vector<std::string> MacroRegistry::Names(std::string_view package) const {
  std::vector<std::string> out;
  if (auto table = packages_.find(std::string(package)); table != packages_.end()) {
    for (const auto& [name, macro] : table->second) out.push_back(name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

const Macro* MacroRegistry::Dispatch(const std::vector<std::string>& search, const std::vector<std::string>& prefixes,
                                     std::string_view name, std::string_view from_package,
                                     std::vector<std::string>* tried) const {
  for (const std::string& package : search) {
    for (const std::string& prefix : prefixes) {
      std::string full = prefix + "__" + std::string(name);
      const Macro* macro = package.empty() ? Lookup(from_package, full) : Find(package, full);
      if (macro) return macro;
      if (tried) tried->push_back(package.empty() ? full : package + "." + full);
    }
  }
  return nullptr;
}

const Macro* MacroRegistry::Materialization(std::string_view name, const std::vector<std::string>& adapters) const {
  for (const std::string& adapter : adapters) {
    std::string full = "materialization_" + std::string(name) + "_" + adapter;
    if (const Macro* macro = Find(root_, full)) return macro;
    const Macro* builtin = Find(kBuiltinPackage, full);
    if (builtin) return builtin;
    for (const auto& [package, table] : packages_) {
      if (auto it = table.find(full); it != table.end()) return &it->second;
    }
  }
  return nullptr;
}

std::vector<std::string> MacroRegistry::MaterializationNames() const {
  std::set<std::string> names;
  for (const auto& [package, table] : packages_) {
    for (const auto& [name, macro] : table) {
      if (!macro.node->is_materialization) continue;
      std::string bare = name.substr(std::string("materialization_").size());
      names.insert(bare.substr(0, bare.rfind('_')));
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace quern::dbt
