#include "dbt/compile.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "dbt/parse/test_kwargs.h"
#include "dbt/yaml_value.h"
#include "jinja/output_map.h"

namespace quern::dbt {

using jinja::Value;

namespace {

void Append(MappedCode& to, std::string_view text) {
  if (text.empty()) return;
  to.map.marks.push_back({static_cast<uint32_t>(to.text.size()), 0, 0, false, nullptr});
  to.text += text;
}

void Append(MappedCode& to, const MappedCode& part) {
  jinja::AppendMap(to.map, part.map, static_cast<uint32_t>(to.text.size()));
  to.text += part.text;
}

MappedCode Cut(const MappedCode& code, size_t begin, size_t end) {
  return {code.text.substr(begin, end - begin), jinja::CutMap(code.map, code.text, begin, end)};
}

/// Offset behind white space and comments.
size_t SkipBlank(std::string_view sql, size_t at) {
  while (at < sql.size()) {
    if (std::isspace(static_cast<unsigned char>(sql[at]))) {
      ++at;
    } else if (sql.compare(at, 2, "--") == 0) {
      while (at < sql.size() && sql[at] != '\n') ++at;
    } else if (sql.compare(at, 2, "/*") == 0) {
      size_t end = sql.find("*/", at + 2);
      if (end == std::string_view::npos) return sql.size();
      at = end + 2;
    } else {
      break;
    }
  }
  return at;
}

/// Offset behind a word at `at`, or 0 when another stands there.
size_t AfterWord(std::string_view sql, size_t at, std::string_view word) {
  if (at + word.size() > sql.size() || !EqualsIgnoreCase(sql.substr(at, word.size()), word)) return 0;
  size_t end = at + word.size();
  if (end < sql.size() && (std::isalnum(static_cast<unsigned char>(sql[end])) || sql[end] == '_')) return 0;
  return end;
}

struct Cte {
  std::string id;
  MappedCode sql;
};

/// Renders a node's own text; names of ephemeral parents are gathered in the context.
Result<MappedCode> RenderOwn(const Workspace& workspace, const ManifestNode& node, RenderContext& context) {
  jinja::ScopePtr scope = workspace.ScopeOf(node.package);
  if (node.test) {
    // the macro with its rendered arguments, as the raw code says
    Value kwargs = QUERN_TRY(RenderTestKwargs(workspace, node.test->arguments, node.pos, node.package, context));
    context.locals["_dbt_generic_test_kwargs"] = kwargs;
  }
  jinja::TemplatePtr compiled = QUERN_TRY(workspace.jinja().Compile(node.raw_code, node.code_pos.file, node.code_pos));
  jinja::RenderOptions options = context.Options();
  options.map_output = true;
  jinja::RenderResult result = QUERN_TRY(compiled->Render(scope, options));
  return MappedCode{std::move(result.text), std::move(result.map)};
}

/// CTEs of the ephemeral models that were named, each after those that it needs itself.
Result<void> GatherCtes(const Workspace& workspace, const std::vector<std::string>& ids, const RenderContext& outer,
                        std::vector<Cte>& ctes, int depth) {
  for (const std::string& id : ids) {
    if (std::any_of(ctes.begin(), ctes.end(), [&](const Cte& cte) { return cte.id == id; })) continue;
    const ManifestNode* node = workspace.manifest().Find(id);
    if (!node || depth > 100) continue;  // cycles are reported when the project is read
    const Package* package = workspace.FindPackage(node->package);
    RenderContext context(workspace, *package, node, RenderContext::Mode::kCompile);
    context.session = outer.session;
    context.run = outer.run;
    context.log = outer.log;
    context.shared = outer.shared;
    context.selected = outer.selected;
    if (auto it = outer.locals.find("__before_run"); it != outer.locals.end())
      context.locals["__before_run"] = it->second;
    MappedCode own = QUERN_TRY(RenderOwn(workspace, *node, context));
    QUERN_TRY(GatherCtes(workspace, context.ephemeral, outer, ctes, depth + 1));
    MappedCode sql;
    Append(sql, " __dbt__cte__" + node->alias + " as (\n");
    Append(sql, own);
    Append(sql, "\n)");
    ctes.push_back({id, std::move(sql)});
  }
  return {};
}

}  // namespace

MappedCode InjectCtes(const MappedCode& sql, const std::vector<MappedCode>& ctes) {
  if (ctes.empty()) return sql;
  size_t begin = SkipBlank(sql.text, 0);
  size_t after = AfterWord(sql.text, begin, "with");
  bool has_with = after != 0;
  if (has_with) {
    size_t next = SkipBlank(sql.text, after);
    if (size_t recursive = AfterWord(sql.text, next, "recursive")) after = recursive;
  } else {
    after = begin;
  }
  MappedCode out = Cut(sql, 0, after);
  Append(out, has_with ? " " : "with ");
  for (size_t i = 0; i < ctes.size(); ++i) {
    if (i) Append(out, ", ");
    Append(out, ctes[i]);
  }
  Append(out, has_with ? "," : " ");
  Append(out, Cut(sql, after, sql.text.size()));
  return out;
}

Result<Compiled> CompileNode(const Workspace& workspace, const ManifestNode& node, RenderContext& context) {
  context.ephemeral.clear();
  context.check_refs = true;
  MappedCode own = QUERN_TRY(RenderOwn(workspace, node, context));
  std::vector<Cte> ctes;
  QUERN_TRY(GatherCtes(workspace, context.ephemeral, context, ctes, 0));
  std::vector<MappedCode> texts;
  Compiled out;
  for (Cte& cte : ctes) {
    out.record.extra_ctes.push_back({cte.id, cte.sql.text});
    texts.push_back(std::move(cte.sql));
  }
  MappedCode whole = InjectCtes(own, texts);
  out.record.code = whole.text;
  jinja::Ref<jinja::StringRep> rep = jinja::MakeRef<jinja::StringRep>(std::move(whole.text));
  if (!whole.map.marks.empty()) rep->map = std::make_unique<jinja::OutputMap>(std::move(whole.map));
  out.code = jinja::StringValue(std::move(rep));
  return out;
}

}  // namespace quern::dbt
