#include "ingest/path_pattern.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include "base/text.h"

namespace quern::ingest {
namespace {

// What each letter of a time format looks like in a path.
const char* LetterRegex(char letter) {
  switch (letter) {
    case 'Y':
      return "[0-9]{4}";
    case 'm':
    case 'd':
    case 'H':
    case 'M':
    case 'S':
    case 'y':
    case 'I':
      return "[0-9]{2}";
    case 'j':
      return "[0-9]{3}";
    case 'f':
      return "[0-9]{1,6}";
    case 'b':
    case 'B':
      return "[A-Za-z]{3,9}";
    case 'p':
      return "[AaPp][Mm]";
    case 'z':
      return "(?:Z|[+-][0-9]{2}:?[0-9]{2})";
    default:
      return nullptr;
  }
}

struct Compiled {
  std::string regex;
  std::string format;
  int groups = 0;
};

Error Wrong(std::string message) {
  return Error(ErrorCode::kInvalidArgument, std::move(message));
}

Result<void> CompileTime(std::string_view format, Compiled& out, std::string& letters) {
  if (format.empty()) return Fail(Wrong("'{}' in the path has no time format").Hint("write it as {%Y-%m-%d}"));
  if (auto ok = CheckTimeFormat(format); !ok) return Fail(std::move(ok).error());
  std::string regex;
  bool any = false;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      if (format[i] == '/') return Fail(Wrong("a time format in the path may not hold '/'").Hint("write {%Y}/{%m}"));
      regex += RE2::QuoteMeta(std::string(1, format[i]));
      continue;
    }
    const char letter = format[++i];
    if (letter == '%') {
      regex += "%";
      continue;
    }
    const char* piece = LetterRegex(letter);
    if (piece == nullptr) return Fail(Wrong(fmt::format("%{} cannot be used in a path", letter)));
    if (letters.find(letter) != std::string::npos) {
      return Fail(Wrong(fmt::format("%{} appears twice in the path", letter)));
    }
    letters += letter;
    regex += piece;
    any = true;
  }
  if (!any) {
    return Fail(Wrong(fmt::format("'{{{}}}' in the path has no time format", format)).Hint("write it as {%Y-%m-%d}"));
  }
  out.regex += "(" + regex + ")";
  if (!out.format.empty()) out.format += '\x1f';
  out.format += format;
  ++out.groups;
  return {};
}

bool IsPlain(std::string_view component) {
  return component.find_first_of("*?[{") == std::string_view::npos;
}

}  // namespace

Result<PathPattern> PathPattern::Parse(std::string_view text) {
  if (text.empty()) return Fail(Wrong("the path is empty"));
  PathPattern pattern;
  pattern.text_ = std::string(text);
  Compiled compiled;
  std::string letters;
  const std::vector<std::string> components = Split(text, '/');
  bool fixed = true;
  int depth = 0;
  bool any_depth = false;
  for (size_t c = 0; c < components.size(); ++c) {
    const std::string& component = components[c];
    const bool last = c + 1 == components.size();
    if (component == ".." || component == ".") {
      return Fail(Wrong("the path may not hold '.' or '..'").Hint("paths are relative to the project's folder"));
    }
    if (component.empty() && !(c == 0 && text.front() == '/')) {
      return Fail(Wrong(last ? "the path ends with '/': it must name files" : "the path holds '//'"));
    }
    if (component == "**") {
      if (last) return Fail(Wrong("the path ends with '**': it must name files").Hint("write **/*.csv"));
      fixed = false;
      any_depth = true;
      compiled.regex += "(?:[^/]+/)*";
      continue;
    }
    if (fixed && !last && IsPlain(component)) {
      pattern.fixed_ += c == 0 ? component : "/" + component;
    } else {
      fixed = false;
      ++depth;
    }
    for (size_t i = 0; i < component.size(); ++i) {
      const char ch = component[i];
      if (ch == '*') {
        if (component.compare(i, 2, "**") == 0) {
          return Fail(Wrong("'**' must stand alone between two '/'"));
        }
        compiled.regex += "[^/]*";
      } else if (ch == '?') {
        compiled.regex += "[^/]";
      } else if (ch == '[') {
        const size_t end = component.find(']', i + 2);
        if (end == std::string::npos) return Fail(Wrong("'[' in the path is not closed"));
        std::string inner = component.substr(i + 1, end - i - 1);
        std::string prefix;
        if (inner[0] == '!' || inner[0] == '^') {
          prefix = "^/";
          inner.erase(0, 1);
        }
        compiled.regex += "[" + prefix + ReplaceAll(ReplaceAll(inner, "\\", "\\\\"), "]", "\\]") + "]";
        i = end;
      } else if (ch == '{') {
        const size_t end = component.find('}', i);
        if (end == std::string::npos) return Fail(Wrong("'{' in the path is not closed"));
        const std::string format = component.substr(i + 1, end - i - 1);
        if (auto ok = CompileTime(format, compiled, letters); !ok) return Fail(std::move(ok).error());
        i = end;
      } else if (ch == '}') {
        return Fail(Wrong("'}' in the path has no '{'"));
      } else {
        compiled.regex += RE2::QuoteMeta(std::string(1, ch));
      }
    }
    if (!last) compiled.regex += "/";
  }
  if (compiled.groups > 0 && letters.find_first_of("Yy") == std::string::npos) {
    return Fail(Wrong("the time in the path has no year").Hint("write it as {%Y-%m-%d}"));
  }
  pattern.max_depth_ = any_depth ? -1 : depth;
  pattern.format_ = compiled.format;
  pattern.groups_ = compiled.groups;
  RE2::Options options;
  options.set_log_errors(false);
  auto regex = std::make_shared<const RE2>(compiled.regex, options);
  if (!regex->ok()) return Fail(Wrong(fmt::format("the path is no pattern: {}", regex->error())));
  pattern.regex_ = std::move(regex);
  return pattern;
}

std::optional<PathPattern::Match> PathPattern::MatchPath(std::string_view path) const {
  if (regex_ == nullptr) return {};
  std::vector<std::string> texts(static_cast<size_t>(groups_));
  std::vector<RE2::Arg> args;
  std::vector<const RE2::Arg*> pointers;
  args.reserve(texts.size());
  for (std::string& text : texts) {
    args.emplace_back(&text);
    pointers.push_back(&args.back());
  }
  if (!RE2::FullMatchN(path, *regex_, pointers.data(), groups_)) return {};
  if (groups_ == 0) return Match{};
  const std::optional<LocalTime> time = ParseTimeFormat(Join(texts, "\x1f"), format_);
  if (!time) return {};
  return Match{time};
}

}  // namespace quern::ingest
