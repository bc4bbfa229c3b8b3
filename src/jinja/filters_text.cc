#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "jinja/interpreter.h"
#include "jinja/python_text.h"

namespace quern::jinja {
namespace {

using Bound = std::vector<std::optional<Value>>;

Bound Bind(CallArgs& args, const char* name, std::initializer_list<std::string_view> parameters, size_t required = 1) {
  return OrThrow(args.Bind(name, parameters, required));
}
int64_t IntArgument(const std::optional<Value>& value, int64_t otherwise, const char* what) {
  if (!value || value->is_none()) return otherwise;
  if (!value->is_int() && !value->is_bool()) ThrowType("{} must be an integer, not '{}'", what, value->TypeName());
  return value->AsInt();
}
bool BoolArgument(const std::optional<Value>& value, bool otherwise) {
  return value ? value->Truthy() : otherwise;
}

/// A filter that is a method of str, on whatever prints as text.
NativeFunction ViaMethod(std::string method, std::initializer_list<Value> more = {}) {
  std::vector<Value> extra(more);
  return Native([method, extra](Interpreter& state, CallArgs& args) {
    Value text = args.args[0].is_string() ? args.args[0] : Value(TextArgument(state, args.args[0]));
    std::vector<Value> rest(args.args.begin() + 1, args.args.end());
    if (rest.empty() && args.kwargs.empty()) rest = extra;
    CallArgs call(args.state, rest, args.kwargs);
    return *CallBuiltinMethod(state, text, method, call);
  });
}

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Value Title(Interpreter& state, CallArgs& args) {
  Bind(args, "title", {"s"});
  std::string text = TextArgument(state, args.args[0]);
  std::string out;
  std::string word;
  auto flush = [&] {
    if (word.empty()) return;
    size_t first = CharacterBytes(word, 0);
    out += UpperText(word.substr(0, first)) + LowerText(word.substr(first));
    word.clear();
  };
  for (char c : text) {
    if (IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<') {
      flush();
      out += c;
    } else {
      word += c;
    }
  }
  flush();
  return Value(out);
}

Value Indent(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "indent", {"s", "width", "first", "blank"});
  Value indention;
  if (bound[1] && bound[1]->is_string()) {
    indention = *bound[1];
  } else {
    int64_t width = IntArgument(bound[1], 4, "width");
    if (width > 10000) ThrowLimit("the indentation is too wide");
    indention = Value(std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' '));
  }
  bool first = BoolArgument(bound[2], false);
  bool blank = BoolArgument(bound[3], false);
  Value text = bound[0]->is_string() ? *bound[0] : Value(TextArgument(state, *bound[0]));
  const std::string& s = text.AsString();
  const Value newline("\n");
  const Value nothing("");
  std::vector<Value> parts;
  size_t begin = 0;
  bool first_line = true;
  // Lines as str.splitlines sees s + "\n".
  while (begin <= s.size()) {
    size_t end = begin;
    while (end < s.size() && s[end] != '\n' && s[end] != '\r' && s[end] != '\v' && s[end] != '\f') ++end;
    if (!first_line) parts.push_back(newline);
    if ((first_line && first) || (!first_line && (blank || end > begin))) parts.push_back(indention);
    if (end > begin) parts.push_back(SubText(text, begin, end));
    first_line = false;
    begin = end + (end + 1 < s.size() && s[end] == '\r' && s[end + 1] == '\n' ? 2 : 1);
  }
  return JoinTexts(state, parts);
}

Value Truncate(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "truncate", {"s", "length", "killwords", "end", "leeway"});
  int64_t length = IntArgument(bound[1], 255, "length");
  std::string end = bound[3] ? TextOf(*bound[3]) : "...";
  int64_t leeway = IntArgument(bound[4], 5, "leeway");
  auto end_length = static_cast<int64_t>(CharacterCount(end));
  if (length < end_length) ThrowType("expected length >= {}, got {}", end_length, length);
  if (leeway < 0) ThrowType("expected leeway >= 0, got {}", leeway);
  // Short lists come through as they are, as in Jinja2.
  if (bound[0]->is_undefined()) state.ThrowUndefined(*bound[0]);
  auto size = LengthOf(*bound[0]);
  if (!size) ThrowType("object of type '{}' has no len()", bound[0]->TypeName());
  if (static_cast<int64_t>(*size) - leeway <= length) return *bound[0];
  if (!bound[0]->is_string()) ThrowType("'{}' cannot be truncated", bound[0]->TypeName());
  std::string text = bound[0]->AsString();
  text.resize(CharacterOffset(text, static_cast<size_t>(length - end_length)));
  if (!BoolArgument(bound[2], false)) {
    if (size_t space = text.rfind(' '); space != std::string::npos) text.resize(space);
  }
  return Value(text + end);
}

/// Pieces that textwrap may break between: words, the spaces between them, parts of hyphenated words.
std::vector<std::string> WrapChunks(std::string_view line, bool hyphens) {
  std::vector<std::string> chunks;
  auto letter = [](char c) { return (c & 0x80) || std::isalpha(static_cast<unsigned char>(c)); };
  size_t at = 0;
  while (at < line.size()) {
    size_t end = at;
    bool space = IsSpace(line[at]);
    while (end < line.size() && IsSpace(line[end]) == space) {
      ++end;
      if (!space && hyphens && line[end - 1] == '-' && end - at >= 3 && letter(line[end - 2]) &&
          letter(line[end - 3]) && end + 1 < line.size() && letter(line[end]) && letter(line[end + 1])) {
        break;
      }
    }
    chunks.emplace_back(line.substr(at, end - at));
    at = end;
  }
  return chunks;
}

Value WordWrap(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "wordwrap", {"s", "width", "break_long_words", "wrapstring", "break_on_hyphens"});
  std::string text = TextArgument(state, *bound[0]);
  int64_t width = IntArgument(bound[1], 79, "width");
  if (width <= 0) ThrowType("invalid width {} (must be > 0)", width);
  bool break_long = BoolArgument(bound[2], true);
  std::string wrap = bound[3] && !bound[3]->is_none() ? TextOf(*bound[3]) : "\n";
  bool hyphens = BoolArgument(bound[4], true);
  auto limit = static_cast<size_t>(width);
  std::string out;
  bool first_line = true;
  CallArgs none(state, {}, {});
  const Value source_lines = *CallBuiltinMethod(state, Value(text), "splitlines", none);
  for (const auto& line : source_lines.AsList().items) {
    auto chunks = WrapChunks(line.AsString(), hyphens);
    std::vector<std::string> lines;
    size_t i = 0;
    while (i < chunks.size()) {
      if (!lines.empty() && Strip(chunks[i]).empty()) {
        ++i;
        continue;
      }
      std::string current;
      size_t length = 0;
      std::vector<std::string> taken;
      while (i < chunks.size() && length + CharacterCount(chunks[i]) <= limit) {
        length += CharacterCount(chunks[i]);
        taken.push_back(chunks[i++]);
      }
      if (i < chunks.size() && CharacterCount(chunks[i]) > limit) {
        if (break_long) {
          size_t space = limit - length;
          if (space > 0) {
            size_t cut = CharacterOffset(chunks[i], space);
            taken.push_back(chunks[i].substr(0, cut));
            chunks[i] = chunks[i].substr(cut);
          }
        } else if (taken.empty()) {
          taken.push_back(chunks[i++]);
        }
      }
      if (!taken.empty() && Strip(taken.back()).empty()) taken.pop_back();
      for (const auto& part : taken) current += part;
      if (!taken.empty()) lines.push_back(current);
    }
    std::string joined;
    for (size_t n = 0; n < lines.size(); ++n) joined += (n > 0 ? wrap : "") + lines[n];
    if (!first_line) out += wrap;
    first_line = false;
    out += joined;
    state.CheckSize(out.size());
  }
  return Value(out);
}

Value StripTags(Interpreter& state, CallArgs& args) {
  std::string text = TextArgument(state, args.args[0]);
  std::string bare;
  for (size_t at = 0; at < text.size();) {
    if (text.compare(at, 4, "<!--") == 0) {
      size_t end = text.find("-->", at);
      if (end != std::string::npos) {
        at = end + 3;
        continue;
      }
    }
    if (text[at] == '<') {
      size_t end = text.find('>', at);
      if (end != std::string::npos) {
        at = end + 1;
        continue;
      }
    }
    bare += text[at++];
  }
  std::string out = Join(quern::SplitWords(bare), " ");
  for (auto [entity, character] :
       {std::pair{"&lt;", "<"}, {"&gt;", ">"}, {"&#34;", "\""}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}}) {
    out = ReplaceAll(std::move(out), entity, character);
  }
  return Value(out);
}

// In a query string a slash is quoted too, and a blank is a plus.
std::string UrlQuote(std::string_view text, bool query) {
  std::string out;
  for (char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' || c == '~' ||
        (c == '/' && !query)) {
      out += c;
    } else if (c == ' ' && query) {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Value UrlEncode(Interpreter& state, CallArgs& args) {
  const Value& value = args.args[0];
  if (value.is_string() || !(value.is_dict() || value.is_sequence() || value.is_object())) {
    return Value(UrlQuote(TextArgument(state, value), false));
  }
  std::string out;
  auto add = [&](const Value& key, const Value& item) {
    if (!out.empty()) out += '&';
    out += UrlQuote(TextOf(key), true) + "=" + UrlQuote(TextOf(item), true);
  };
  if (value.is_dict()) {
    for (const auto& entry : value.AsDict().entries()) add(entry.key, entry.value);
  } else {
    for (const auto& pair : ItemsOf(state, value)) {
      auto both = ItemsOf(state, pair);
      if (both.size() != 2) ThrowType("urlencode needs pairs of a name and a value");
      add(both[0], both[1]);
    }
  }
  return Value(out);
}

Value XmlAttributes(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "xmlattr", {"d", "autospace"});
  if (!bound[0]->is_dict()) ThrowType("xmlattr needs a dict, not '{}'", bound[0]->TypeName());
  std::string out;
  for (const auto& entry : bound[0]->AsDict().entries()) {
    if (entry.value.is_none() || entry.value.is_undefined()) continue;
    std::string key = TextArgument(state, entry.key);
    if (key.find_first_of(" \t\n\r\f/>=") != std::string::npos)
      ThrowType("Invalid character in attribute name: {}", entry.key.Repr());
    if (!out.empty()) out += ' ';
    out += EscapeHtml(key) + "=\"" + EscapeHtml(TextArgument(state, entry.value)) + "\"";
  }
  if (BoolArgument(bound[1], true) && !out.empty()) out = " " + out;
  return Value(out);
}

Value FormatFilter(Interpreter& state, CallArgs& args) {
  if (args.args.size() > 1 && !args.kwargs.empty())
    ThrowType("can't handle positional and keyword arguments at the same time");
  std::string format = TextArgument(state, args.args[0]);
  Value values = args.kwargs.empty() ? Value::NewTuple({args.args.begin() + 1, args.args.end()}) : args.KeywordDict();
  return Value(PercentFormat(format, values));
}

Value Replace(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "replace", {"s", "old", "new", "count"}, 3);
  Value text = bound[0]->is_string() ? *bound[0] : Value(TextArgument(state, *bound[0]));
  std::vector<Value> rest = {Value(TextArgument(state, *bound[1])), Value(TextArgument(state, *bound[2]))};
  if (bound[3] && !bound[3]->is_none()) rest.push_back(*bound[3]);
  CallArgs call(args.state, rest, {});
  return *CallBuiltinMethod(state, text, "replace", call);
}

Value FileSize(Interpreter&, CallArgs& args) {
  auto bound = Bind(args, "filesizeformat", {"value", "binary"});
  double bytes = 0;
  if (bound[0]->is_number()) {
    bytes = bound[0]->AsDouble();
  } else if (auto parsed = ParseFloat(TextOf(*bound[0]))) {
    bytes = *parsed;
  } else {
    ThrowType("could not convert string to float: {}", bound[0]->Repr());
  }
  bool binary = BoolArgument(bound[1], false);
  double base = binary ? 1024 : 1000;
  if (bytes == 1) return Value("1 Byte");
  if (bytes < base) return Value(fmt::format("{} Bytes", static_cast<int64_t>(bytes)));
  std::string_view prefixes = binary ? "KiBMiBGiBTiBPiBEiBZiBYiB" : "kBMBGBTBPBEBZBYB";
  size_t length = binary ? 3 : 2;
  double unit = base;
  std::string_view prefix;
  for (size_t i = 0; i < 8; ++i) {
    unit *= base;
    prefix = prefixes.substr(i * length, length);
    if (bytes < unit) break;
  }
  return Value(fmt::format("{:.1f} {}", base * bytes / unit, prefix));
}

Value ToJson(Interpreter& state, CallArgs& args) {
  auto bound = Bind(args, "tojson", {"value", "indent"});
  if (bound[0]->is_undefined()) state.ThrowUndefined(*bound[0]);
  if (bound[1] && !bound[1]->is_none()) {
    int64_t indent = IntArgument(bound[1], 2, "indent");
    auto json = OrThrow(bound[0]->ToJson());
    return Value(json.dump(static_cast<int>(std::clamp<int64_t>(indent, 0, 100))));
  }
  // Jinja2 makes it safe inside of HTML.
  std::string text = OrThrow(DumpJson(*bound[0], true));
  for (auto [from, to] : {std::pair{"<", "\\u003c"}, {">", "\\u003e"}, {"&", "\\u0026"}, {"'", "\\u0027"}}) {
    text = ReplaceAll(std::move(text), from, to);
  }
  return Value(text);
}

Value WordCount(Interpreter& state, CallArgs& args) {
  std::string text = TextArgument(state, args.args[0]);
  int64_t n = 0;
  bool in_word = false;
  for (size_t at = 0; at < text.size(); at += CharacterBytes(text, at)) {
    uint32_t c = DecodeCharacter(text, at);
    bool word = IsLetter(c) || (c >= '0' && c <= '9') || c == '_';
    n += word && !in_word;
    in_word = word;
  }
  return Value(n);
}

}  // namespace

void AddTextFilters(Environment::Impl& environment) {
  auto& filters = environment.filters;
  filters["upper"] = ViaMethod("upper");
  filters["lower"] = ViaMethod("lower");
  filters["capitalize"] = ViaMethod("capitalize");
  filters["trim"] = ViaMethod("strip");
  filters["center"] = ViaMethod("center", {Value(80)});
  filters["title"] = Native(Title);
  filters["replace"] = Native(Replace);
  filters["indent"] = Native(Indent);
  filters["truncate"] = Native(Truncate);
  filters["wordwrap"] = Native(WordWrap);
  filters["wordcount"] = Native(WordCount);
  filters["striptags"] = Native(StripTags);
  filters["urlencode"] = Native(UrlEncode);
  filters["xmlattr"] = Native(XmlAttributes);
  filters["format"] = Native(FormatFilter);
  filters["filesizeformat"] = Native(FileSize);
  filters["tojson"] = Native(ToJson);
  auto escape =
      Native([](Interpreter& state, CallArgs& args) { return Value(EscapeHtml(TextArgument(state, args.args[0]))); });
  filters["escape"] = filters["e"] = filters["forceescape"] = escape;
  filters["string"] = filters["safe"] = Native([](Interpreter& state, CallArgs& args) {
    return args.args[0].is_string() ? args.args[0] : Value(TextArgument(state, args.args[0]));
  });
  filters["pprint"] = Native([](Interpreter&, CallArgs& args) { return Value(args.args[0].Repr()); });
}

}  // namespace quern::jinja
