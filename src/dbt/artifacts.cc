#include "dbt/artifacts.h"

#include <algorithm>

#include "base/clock.h"
#include "base/text.h"
#include "dbt/workspace.h"

namespace quern::dbt {
namespace {

Json OrNull(const std::optional<std::string>& value) {
  return value ? Json(*value) : Json(nullptr);
}
Json TextOrNull(const std::string& value) {
  return value.empty() ? Json(nullptr) : Json(value);
}

/// dbt writes times with microseconds and Z.
std::string ArtifactTime(Timestamp t) {
  return FormatTime(LocalTime(t.time_since_epoch()), "%Y-%m-%dT%H:%M:%S.%fZ");
}

Json ColumnsJson(const std::vector<ColumnInfo>& columns) {
  Json out = Json::object();
  for (const auto& column : columns) {
    out[column.name] = {{"name", column.name},
                        {"description", column.description},
                        {"meta", column.meta},
                        {"data_type", OrNull(column.data_type)},
                        {"constraints", column.constraints},
                        {"quote", column.quote ? Json(*column.quote) : Json(nullptr)},
                        {"config", {{"meta", column.meta}, {"tags", column.tags}}},
                        {"tags", column.tags},
                        {"granularity", OrNull(column.granularity)},
                        {"doc_blocks", column.doc_blocks}};
  }
  return out;
}

Json RefsJson(const std::vector<Ref>& refs) {
  Json out = Json::array();
  for (const auto& ref : refs)
    out.push_back({{"name", ref.name}, {"package", OrNull(ref.package)}, {"version", OrNull(ref.version)}});
  return out;
}

Json SourceRefsJson(const std::vector<SourceRef>& sources) {
  Json out = Json::array();
  for (const auto& source : sources) out.push_back({source.source, source.table});
  return out;
}

Json DependsOn(const ManifestNode& node) {
  return {{"macros", node.depends_on_macros}, {"nodes", node.depends_on}};
}

Json CommonJson(const ManifestNode& node) {
  return {{"name", node.name}, {"resource_type", ResourceTypeName(node.type)},  {"package_name", node.package},
          {"path", node.path}, {"original_file_path", node.original_file_path}, {"unique_id", node.unique_id},
          {"fqn", node.fqn}};
}

Json SourceJson(const ManifestNode& node) {
  Json out = CommonJson(node);
  out.update({{"database", node.database},
              {"schema", node.schema},
              {"source_name", node.source_name},
              {"source_description", node.source_description},
              {"loader", node.loader},
              {"identifier", node.alias},
              {"quoting", {{"database", nullptr}, {"schema", nullptr}, {"identifier", nullptr}, {"column", nullptr}}},
              {"loaded_at_field", OrNull(node.loaded_at_field)},
              {"loaded_at_query", nullptr},
              {"freshness", node.freshness},
              {"external", node.external},
              {"description", node.description},
              {"columns", ColumnsJson(node.columns)},
              {"meta", node.meta},
              {"source_meta", node.source_meta},
              {"tags", node.tags},
              {"config", node.config},
              {"patch_path", OrNull(node.patch_path)},
              {"unrendered_config", node.unrendered_config},
              {"relation_name", OrNull(node.relation_name)},
              {"created_at", node.created_at},
              {"unrendered_database", OrNull(node.unrendered_database)},
              {"unrendered_schema", OrNull(node.unrendered_schema)},
              {"doc_blocks", node.doc_blocks}});
  for (const auto& [key, value] : node.quoting.items()) {
    if (out["quoting"].contains(key)) out["quoting"][key] = value;
  }
  return out;
}

Json ExposureJson(const ManifestNode& node) {
  Json out = CommonJson(node);
  out.update({{"type", node.exposure_type},
              {"owner", node.owner},
              {"description", node.description},
              {"label", OrNull(node.label)},
              {"maturity", OrNull(node.maturity)},
              {"meta", node.meta},
              {"tags", node.tags},
              {"config", node.config},
              {"unrendered_config", node.unrendered_config},
              {"url", OrNull(node.url)},
              {"depends_on", DependsOn(node)},
              {"refs", RefsJson(node.refs)},
              {"sources", SourceRefsJson(node.sources)},
              {"metrics", Json::array()},
              {"created_at", node.created_at}});
  return out;
}

/// The contract part of a config, with the keys that dbt always writes.
Json ContractJson(const Json& config) {
  Json out = {{"enforced", false}, {"alias_types", true}, {"checksum", nullptr}};
  if (auto it = config.find("contract"); it != config.end() && it->is_object()) {
    for (const char* key : {"enforced", "alias_types"}) {
      if (it->contains(key)) out[key] = (*it)[key];
    }
  }
  return out;
}

/// Columns that a model's own tests show to be its key: dbt's `primary_key`.
Json PrimaryKey(const ManifestNode& node) {
  for (const auto& constraint : node.constraints) {
    if (constraint.value("type", "") == "primary_key" && constraint.contains("columns")) return constraint["columns"];
  }
  Json out = Json::array();
  for (const auto& column : node.columns) {
    for (const auto& constraint : column.constraints) {
      if (constraint.value("type", "") == "primary_key") out.push_back(column.name);
    }
  }
  return out;
}

Json Metadata(const Workspace& workspace, const char* schema) {
  const auto& invocation = workspace.invocation();
  return {{"dbt_schema_version", std::string("https://schemas.getdbt.com/dbt/") + schema + ".json"},
          {"dbt_version", kDbtVersion},
          {"generated_at", ArtifactTime(workspace.clock().Now())},
          {"invocation_id", TextOrNull(invocation.id)},
          {"invocation_started_at", ArtifactTime(invocation.started)},
          {"env", Json::object()}};
}

Json Timing(const char* name, const std::optional<Interval>& span) {
  if (!span) return nullptr;
  return {{"name", name}, {"started_at", ArtifactTime(span->start)}, {"completed_at", ArtifactTime(span->end)}};
}

}  // namespace

Json NodeJson(const ManifestNode& node, const CompiledCode* compiled) {
  if (node.type == ResourceType::kSource) return SourceJson(node);
  if (node.type == ResourceType::kExposure) return ExposureJson(node);
  Json out = CommonJson(node);
  Json checksum = node.checksum.empty() ? Json{{"name", "none"}, {"checksum", ""}}
                                        : Json{{"name", "sha256"}, {"checksum", node.checksum}};
  out.update({{"database", node.database},
              {"schema", node.schema},
              {"alias", node.alias},
              {"checksum", checksum},
              {"config", node.config},
              {"tags", node.tags},
              {"description", node.description},
              {"columns", ColumnsJson(node.columns)},
              {"meta", node.meta},
              {"group", OrNull(node.group)},
              {"docs", node.docs},
              {"patch_path", OrNull(node.patch_path)},
              {"build_path", nullptr},
              {"unrendered_config", node.unrendered_config},
              {"created_at", node.created_at},
              {"relation_name", OrNull(node.relation_name)},
              {"raw_code", node.raw_code},
              {"doc_blocks", node.doc_blocks}});
  if (node.type == ResourceType::kSeed) {
    out["root_path"] = node.root.string();
    out["depends_on"] = {{"macros", node.depends_on_macros}};
    return out;
  }
  Json ctes = Json::array();
  if (compiled) {
    for (const auto& cte : compiled->extra_ctes) ctes.push_back({{"id", cte.id}, {"sql", cte.sql}});
  }
  out.update({{"language", node.language},
              {"refs", RefsJson(node.refs)},
              {"sources", SourceRefsJson(node.sources)},
              {"metrics", Json::array()},
              {"functions", Json::array()},
              {"depends_on", DependsOn(node)},
              {"contract", ContractJson(node.config)},
              {"compiled_path", compiled && !compiled->path.empty() ? Json(compiled->path) : Json(nullptr)}});
  if (compiled) {
    out["compiled"] = true;
    out["compiled_code"] = compiled->code;
    out["extra_ctes_injected"] = true;
    out["extra_ctes"] = ctes;
  }
  switch (node.type) {
    case ResourceType::kModel:
      out["access"] = node.access;
      out["constraints"] = node.constraints;
      out["version"] = nullptr;
      out["latest_version"] = nullptr;
      out["deprecation_date"] = nullptr;
      out["primary_key"] = PrimaryKey(node);
      out["time_spine"] = nullptr;
      break;
    case ResourceType::kTest:
      if (node.test) {
        out["column_name"] = OrNull(node.test->column_name);
        out["file_key_name"] = TextOrNull(node.test->file_key_name);
        out["attached_node"] = OrNull(node.test->attached_node);
        out["test_metadata"] = {
            {"name", node.test->name}, {"kwargs", node.test->kwargs}, {"namespace", OrNull(node.test->package)}};
      }
      break;
    case ResourceType::kOperation:
      out["index"] = node.hook_index >= 0 ? Json(node.hook_index) : Json(nullptr);
      break;
    default:
      break;
  }
  return out;
}

Json MacroJson(const MacroNode& macro) {
  return {{"name", macro.name},
          {"resource_type", "macro"},
          {"package_name", macro.package},
          {"path", macro.path},
          {"original_file_path", macro.path},
          {"unique_id", macro.unique_id},
          {"macro_sql", macro.text},
          {"depends_on", {{"macros", macro.depends_on}}},
          {"description", macro.description},
          {"meta", macro.meta},
          {"docs", macro.docs},
          {"config", {{"meta", macro.meta}, {"docs", macro.docs}}},
          {"patch_path", OrNull(macro.patch_path)},
          {"arguments", macro.arguments},
          {"created_at", 0.0},
          {"supported_languages",
           macro.is_materialization
               ? Json(macro.supported_languages.empty() ? std::vector<std::string>{"sql"} : macro.supported_languages)
               : Json(nullptr)}};
}

Json ManifestJson(const Workspace& workspace, const std::map<std::string, CompiledCode>& compiled) {
  const Manifest& manifest = workspace.manifest();
  Json metadata = Metadata(workspace, "manifest/v12");
  metadata.update({{"project_name", workspace.root().name},
                   {"project_id", Md5Hex(workspace.root().name)},
                   {"user_id", nullptr},
                   {"send_anonymous_usage_stats", false},
                   {"adapter_type", workspace.target().type},
                   {"quoting", {{"database", true}, {"schema", true}, {"identifier", true}, {"column", nullptr}}},
                   {"run_started_at", ArtifactTime(workspace.invocation().started)}});
  for (const auto& [key, value] : workspace.root().quoting.items()) {
    if (metadata["quoting"].contains(key)) metadata["quoting"][key] = value;
  }
  Json out = {{"metadata", std::move(metadata)}};
  for (const char* part :
       {"nodes", "sources", "macros", "docs", "exposures", "metrics", "groups", "selectors", "disabled", "parent_map",
        "child_map", "group_map", "saved_queries", "semantic_models", "unit_tests", "functions"}) {
    out[part] = Json::object();
  }
  for (const auto& [id, node] : manifest.nodes) {
    auto it = compiled.find(id);
    out["nodes"][id] = NodeJson(*node, it == compiled.end() ? nullptr : &it->second);
    if (node->group) out["group_map"][*node->group].push_back(id);
  }
  for (const auto& [id, node] : manifest.sources) out["sources"][id] = NodeJson(*node);
  for (const auto& [id, node] : manifest.exposures) out["exposures"][id] = NodeJson(*node);
  for (const auto& [id, macro] : manifest.macros) out["macros"][id] = MacroJson(macro);
  for (const auto& [id, doc] : manifest.docs) {
    out["docs"][id] = {{"name", doc.name},
                       {"resource_type", "doc"},
                       {"package_name", doc.package},
                       {"path", doc.path},
                       {"original_file_path", doc.original_file_path},
                       {"unique_id", doc.unique_id},
                       {"block_contents", doc.text}};
  }
  for (const auto& [id, nodes] : manifest.disabled) {
    Json list = Json::array();
    for (const auto& node : nodes) list.push_back(NodeJson(*node));
    out["disabled"][id] = std::move(list);
  }
  auto fill = [&](const char* part, const std::map<std::string, std::vector<std::string>>& edges) {
    for (const auto* group : {&manifest.nodes, &manifest.sources, &manifest.exposures}) {
      for (const auto& [id, node] : *group) {
        auto it = edges.find(id);
        out[part][id] = it == edges.end() ? std::vector<std::string>() : it->second;
      }
    }
  };
  fill("parent_map", manifest.parents);
  fill("child_map", manifest.children);
  return out;
}

Json RunResultsJson(const Workspace& workspace, const std::vector<NodeResult>& results, double elapsed) {
  Json list = Json::array();
  for (const auto& result : results) {
    Json timing = Json::array();
    for (Json step : {Timing("compile", result.compiling), Timing("execute", result.executing)}) {
      if (!step.is_null()) timing.push_back(std::move(step));
    }
    list.push_back({{"status", result.status},
                    {"timing", std::move(timing)},
                    {"thread_id", result.thread_id},
                    {"execution_time", result.execution_time},
                    {"adapter_response", result.adapter_response},
                    {"message", TextOrNull(result.message)},
                    {"failures", result.failures ? Json(*result.failures) : Json(nullptr)},
                    {"unique_id", result.unique_id},
                    {"compiled", result.compiled_code ? Json(true) : Json(nullptr)},
                    {"compiled_code", OrNull(result.compiled_code)},
                    {"relation_name", OrNull(result.relation_name)},
                    {"batch_results", nullptr}});
  }
  return {{"metadata", Metadata(workspace, "run-results/v6")},
          {"results", std::move(list)},
          {"elapsed_time", elapsed},
          {"args", workspace.invocation().args}};
}

}  // namespace quern::dbt
