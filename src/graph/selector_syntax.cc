#include "graph/selector_syntax.h"

#include <cctype>

#include "base/text.h"

namespace quern::graph {
namespace {

const std::vector<std::string> kMethods = {"fqn",       "name",   "tag",    "path",         "file",
                                           "package",   "config", "source", "exposure",     "test_name",
                                           "test_type", "group",  "access", "resource_type"};
const std::vector<std::string> kNotBuilt = {"state", "result", "source_status", "selector"};
// What these select is left out of every project (with a warning where there is such a thing): they match nothing.
const std::vector<std::string> kMatchNothing = {"metric", "version", "semantic_model", "saved_query", "unit_test"};

bool Contains(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

Error Bad(const std::string& text, std::string message) {
  return Error(ErrorCode::kSelector, fmt::format("selector '{}': {}", text, message));
}

bool IsDigit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}
bool IsMethodCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
}

/// The number of steps before or after a '+'; none means any.
Result<int> Depth(std::string_view digits, const std::string& text) {
  if (digits.empty()) return -1;
  if (digits.size() > 6) return Fail(Bad(text, fmt::format("{} steps are too many", digits)));
  return std::stoi(std::string(digits));
}

std::string DefaultMethod(const std::string& value) {
  if (value.find('/') != std::string::npos) return "path";
  const std::string lower = Lower(value);
  for (std::string_view end : {".sql", ".py", ".csv"}) {
    if (lower.ends_with(end)) return "file";
  }
  return "fqn";
}

Result<void> SetMethod(Criterion& criterion, std::string_view method, const std::string& text) {
  auto parts = Split(method, '.');
  criterion.method = parts.front();
  criterion.arguments.assign(parts.begin() + 1, parts.end());
  if (Contains(kNotBuilt, criterion.method)) {
    return Fail(Bad(text, fmt::format("the method '{}:' is not supported yet", criterion.method))
                    .Hint(fmt::format("methods that work: {}", Join(kMethods, ", "))));
  }
  if (!Contains(kMethods, criterion.method) && !Contains(kMatchNothing, criterion.method)) {
    std::string hint = DidYouMean(criterion.method, kMethods);
    if (hint.empty()) hint = fmt::format("methods that work: {}", Join(kMethods, ", "));
    return Fail(Bad(text, fmt::format("there is no method '{}:'", criterion.method)).Hint(hint));
  }
  if (criterion.method == "config" && (criterion.arguments.empty() || Contains(criterion.arguments, ""))) {
    return Fail(Bad(text, "'config' needs a key, as in config.materialized:table"));
  }
  if (criterion.method != "config" && !criterion.arguments.empty()) {
    return Fail(Bad(text, fmt::format("'{}' takes no argument after a dot", criterion.method)));
  }
  if (criterion.method == "name") criterion.method = "fqn";
  return {};
}

Result<Criterion> ParseCriterion(std::string_view text, const std::string& whole) {
  Criterion out;
  out.text = text;
  std::string_view rest = text;
  if (rest.starts_with('@')) {
    out.childrens_parents = true;
    rest.remove_prefix(1);
  }
  size_t digits = 0;
  while (digits < rest.size() && IsDigit(rest[digits])) ++digits;
  if (digits < rest.size() && rest[digits] == '+') {
    out.parents = true;
    out.parents_depth = QUERN_TRY(Depth(rest.substr(0, digits), whole));
    rest.remove_prefix(digits + 1);
  }
  size_t end = rest.size();
  while (end > 0 && IsDigit(rest[end - 1])) --end;
  if (end > 0 && rest[end - 1] == '+') {
    out.children = true;
    out.children_depth = QUERN_TRY(Depth(rest.substr(end), whole));
    rest = rest.substr(0, end - 1);
  }
  if (out.childrens_parents && out.children) {
    return Fail(Bad(whole, "'@' already takes the descendants: leave out the '+' at the end"));
  }
  size_t colon = 0;
  while (colon < rest.size() && IsMethodCharacter(rest[colon])) ++colon;
  if (colon > 0 && colon < rest.size() && rest[colon] == ':') {
    QUERN_TRY(SetMethod(out, rest.substr(0, colon), whole));
    out.value = rest.substr(colon + 1);
  } else {
    out.value = rest;
    out.method = DefaultMethod(out.value);
  }
  if (out.value.empty()) return Fail(Bad(whole, fmt::format("'{}' names nothing", text)));
  if (out.value.front() == '+' || out.value.front() == '@') {
    return Fail(Bad(whole, "operators stand before the method: +tag:daily, @tag:daily, 2+tag:daily"));
  }
  if (out.method == "test_type" && !Contains({"generic", "singular", "data", "schema", "unit"}, out.value)) {
    return Fail(Bad(whole, fmt::format("there is no test type '{}'", out.value)).Hint("use generic or singular"));
  }
  return out;
}

}  // namespace

Result<Selector> ParseSelector(const std::string& text) {
  Selector out;
  for (const std::string& word : SplitWords(text)) {
    std::vector<Criterion> all_of;
    for (const std::string& part : Split(word, ',')) {
      if (part.empty()) {
        return Fail(Bad(text, "a comma needs a criterion on both sides")
                        .Hint("a,b takes what is in both, 'a b' what is in one"));
      }
      all_of.push_back(QUERN_TRY(ParseCriterion(part, text)));
    }
    out.push_back(std::move(all_of));
  }
  if (out.empty()) return Fail(Bad(text, "it is empty"));
  return out;
}

}  // namespace quern::graph
