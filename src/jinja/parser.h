#pragma once
#include "jinja/ast.h"
#include "jinja/environment.h"

namespace quern::jinja {

struct Environment::Impl {
  EnvironmentOptions options;
  std::map<std::string, NativeFunction, std::less<>> filters;
  std::map<std::string, NativeFunction, std::less<>> tests;
  std::map<std::string, Value, std::less<>> globals;
};

/// Text to tree; names are not resolved yet. Throws Thrown (kTemplateSyntax, with place).
ParsedTemplate Parse(const Environment::Impl& environment, std::string source, const std::string* file, SourcePos first,
                     bool is_expression);
/// Names to slots (Jinja2's scoping rules). Throws Thrown for what cannot be.
void ResolveNames(ParsedTemplate& parsed);
/// What the template calls, without running it.
Analysis AnalyzeTemplate(const ParsedTemplate& parsed);

/// A file's name that lives for ever: places in output maps point to it.
const std::string* InternFileName(std::string_view name);

}  // namespace quern::jinja
