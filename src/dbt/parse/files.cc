#include <algorithm>

#include "base/text.h"
#include "dbt/config.h"
#include "dbt/parse/parser.h"

namespace quern::dbt {

using jinja::Value;

Parser::Parser(Workspace& workspace, Diagnostics& diagnostics)
    : w_(workspace), diagnostics_(diagnostics), m_(workspace.manifest()) {}

void Parser::Run() {
  for (const auto& package : w_.packages()) ReadDocs(*package);
  for (const auto& package : w_.packages()) ReadProperties(*package);
  for (const auto& package : w_.packages()) {
    ParseSources(*package);
    ParseSeeds(*package);
    ParseModels(*package);
    ParseSnapshots(*package);
    ParseYamlSnapshots(*package);
    ParseSingularTests(*package);
    ParseAnalyses(*package);
    ParseHooks(*package);
    ParseMacroProperties(*package);
  }
  for (const auto& package : w_.packages()) ParseGenericTests(*package);
  for (const auto& package : w_.packages()) ParseExposures(*package);
  for (const auto& entry : properties_) {
    if (entry->used || !entry->package->is_root) continue;
    std::vector<std::string> known;
    for (const auto& [id, node] : m_.nodes) known.push_back(node->name);
    if (broken_.count(entry->name)) continue;
    Error warning(ErrorCode::kDbtParse,
                  "the properties of '" + entry->name + "' (" + entry->section + ") fit nothing in the project");
    warning = std::move(warning).At(entry->yaml.Find("name") ? entry->yaml.Find("name")->pos() : entry->yaml.pos());
    if (auto hint = DidYouMean(entry->name, known); !hint.empty()) warning = std::move(warning).Hint(hint);
    diagnostics_.Warn(std::move(warning));
  }
  Resolve();
}

void Parser::ReadDocs(const Package& package) {
  for (const FoundFile& file : FindFiles(package.root, package.docs_paths, {".md"})) {
    std::string shown = w_.Shown(package, file.original_path);
    Result<std::string> text = ReadTextFile(file.absolute, shown);
    if (!diagnostics_.Check(text)) continue;
    if (text->find("{%") == std::string::npos) continue;
    Result<jinja::TemplatePtr> compiled = w_.jinja().Compile(*std::move(text), shown);
    if (!diagnostics_.Check(compiled)) continue;
    for (const jinja::Block& block : (*compiled)->blocks()) {
      if (block.tag != "docs") continue;
      DocBlock doc;
      doc.unique_id = "doc." + package.name + "." + block.name;
      doc.name = block.name;
      doc.package = package.name;
      doc.path = file.relative_path;
      doc.original_file_path = file.original_path;
      doc.text = std::string(Trim(block.body));
      std::string id = doc.unique_id;
      if (!m_.docs.try_emplace(id, std::move(doc)).second) {
        diagnostics_.Add(Error(ErrorCode::kDbtParse, "docs block '" + block.name + "' is defined twice").At(block.pos));
      }
    }
  }
}

void Parser::ReadProperties(const Package& package) {
  std::vector<std::string> paths;
  for (const auto* list : {&package.model_paths, &package.seed_paths, &package.snapshot_paths, &package.macro_paths,
                           &package.test_paths, &package.analysis_paths}) {
    for (const std::string& path : *list) {
      if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.push_back(path);
    }
  }
  for (const FoundFile& file : FindFiles(package.root, paths, {".yml", ".yaml"})) {
    std::string shown = w_.Shown(package, file.original_path);
    Result<std::string> text = ReadTextFile(file.absolute, shown);
    if (!diagnostics_.Check(text)) continue;
    if (Trim(*text).empty()) continue;
    Result<Yaml> yaml = Yaml::Parse(*text, shown);
    if (!diagnostics_.Check(yaml)) continue;
    if (yaml->is_null()) continue;
    if (!yaml->is_mapping()) {
      diagnostics_.Add(
          Error(ErrorCode::kDbtParse, "a properties file holds keys such as models:, not " + yaml->KindName())
              .At(yaml->pos()));
      continue;
    }
    AddProperties(package, file, *yaml);
  }
}

void Parser::AddProperties(const Package& package, const FoundFile& file, const Yaml& yaml) {
  static const std::vector<std::string> kSections = {"models",   "seeds",     "snapshots",  "sources", "macros",
                                                     "analyses", "exposures", "data_tests", "tests"};
  static const std::vector<std::string> kNotBuilt = {"metrics",    "semantic_models", "saved_queries",
                                                     "unit_tests", "groups",          "functions"};
  for (const auto& [key, value] : yaml.entries()) {
    const std::string& section = key.text();
    if (section == "version" || section == "anchors") continue;
    if (std::find(kNotBuilt.begin(), kNotBuilt.end(), section) != kNotBuilt.end()) {
      // groups only name owners; the rest would change what is run
      if (section != "groups" && package.is_root) {
        diagnostics_.Warn(
            Error(ErrorCode::kDbtParse, "'" + section + "' are not built; they are left out").At(key.pos()));
      }
      continue;
    }
    if (std::find(kSections.begin(), kSections.end(), section) == kSections.end()) {
      Error error(ErrorCode::kUnknownKey, "a properties file knows no section '" + section + "'");
      error = std::move(error).At(key.pos());
      std::string hint = DidYouMean(section, kSections);
      if (!hint.empty()) error = std::move(error).Hint(hint);
      if (hint.empty())
        diagnostics_.Warn(std::move(error));
      else
        diagnostics_.Add(std::move(error));
      continue;
    }
    if (value.is_null()) continue;
    if (!value.is_sequence()) {
      diagnostics_.Add(
          Error(ErrorCode::kWrongType, section + " must be a list, not " + value.KindName()).At(value.pos()));
      continue;
    }
    for (const Yaml& item : value.items()) {
      const Yaml* name = item.Find("name");
      if (!item.is_mapping() || !name || name->text().empty()) {
        diagnostics_.Add(Error(ErrorCode::kMissingKey, "an entry of " + section + " needs a name").At(item.pos()));
        continue;
      }
      auto entry =
          std::make_unique<Properties>(Properties{section == "tests" ? "data_tests" : section, name->text(), &package,
                                                  file.original_path, file.relative_path, item, false, Json::object()});
      by_name_.emplace(entry->section + "." + entry->name, entry.get());
      properties_.push_back(std::move(entry));
    }
  }
}

Properties* Parser::FindProperties(const std::string& section, const std::string& name, const Package& package) {
  Properties* found = nullptr;
  auto [begin, end] = by_name_.equal_range(section + "." + name);
  for (auto it = begin; it != end; ++it) {
    Properties* entry = it->second;
    if (entry->package != &package) continue;
    if (found) {
      diagnostics_.Add(Error(ErrorCode::kDbtParse, "'" + name + "' is described twice")
                           .At(entry->yaml.pos())
                           .Hint("the other is at " + found->yaml.pos().ToString()));
      continue;
    }
    found = entry;
  }
  if (found) found->used = true;
  return found;
}

std::string Parser::Description(const Package& package, const Yaml* yaml, std::vector<std::string>* doc_blocks) {
  if (!yaml || yaml->is_null()) return "";
  if (!HasJinja(yaml->text())) return yaml->text();
  RenderContext context(w_, package, nullptr, RenderContext::Mode::kYaml);
  ParseCapture capture;
  context.capture = &capture;
  Result<Value> value = w_.RenderYamlText(yaml->text(), yaml->pos(), context);
  if (!value) {
    diagnostics_.Add(std::move(std::move(value).error()).At(yaml->pos()));
    return yaml->text();
  }
  if (doc_blocks) *doc_blocks = capture.macros;
  return value->ToString();
}

Json Parser::Rendered(const Package& package, const Yaml& yaml) {
  RenderText render = [&](const std::string& text, const SourcePos& pos) -> Result<Json> {
    RenderContext context(w_, package, nullptr, RenderContext::Mode::kYaml);
    Value value = QUERN_TRY(w_.RenderYamlText(text, pos, context));
    return value.ToJson();
  };
  return RenderYaml(yaml, render, diagnostics_, {"pre-hook", "post-hook", "pre_hook", "post_hook"});
}

void Parser::CheckKeys(const Yaml& yaml, const std::vector<std::string>& known, const std::string& what) {
  for (const auto& [key, value] : yaml.entries()) {
    if (std::find(known.begin(), known.end(), key.text()) != known.end()) continue;
    std::string hint = DidYouMean(key.text(), known);
    Error error = Error(ErrorCode::kUnknownKey, what + " knows no key '" + key.text() + "'").At(key.pos());
    if (hint.empty()) {
      diagnostics_.Warn(std::move(error).Hint("custom keys belong under config: meta:"));
    } else {
      diagnostics_.Add(std::move(error).Hint(hint));
    }
  }
}

}  // namespace quern::dbt
