#include <algorithm>
#include <map>

#include "jinja/dict_view.h"
#include "jinja/interpreter.h"
#include "jinja/python_text.h"

namespace quern::jinja {
namespace {

using Method = Value (*)(Interpreter&, const Value& self, CallArgs&);
using Methods = std::map<std::string_view, Method>;
using Bound = std::vector<std::optional<Value>>;

Bound Bind(CallArgs& args, std::string_view name, std::initializer_list<std::string_view> parameters,
           size_t required = 0) {
  return OrThrow(args.Bind(name, parameters, required));
}
const std::string& Text(const Value& value, std::string_view method) {
  if (value.is_undefined()) Throw(value.UndefinedError());
  if (!value.is_string()) ThrowType("{}() argument must be str, not {}", method, value.TypeName());
  return value.AsString();
}
int64_t Int(const Value& value) {
  if (!value.is_int() && !value.is_bool())
    ThrowType("'{}' object cannot be interpreted as an integer", value.TypeName());
  return value.AsInt();
}

// --- str -----------------------------------------------------------------------------------------------------------
Value StripText(const Value& self, CallArgs& args, std::string_view name, bool left, bool right) {
  auto bound = Bind(args, name, {"chars"});
  std::string_view text = self.AsString();
  std::string_view rest = text;
  if (!bound[0] || bound[0]->is_none()) {
    rest = Strip(text, left, right);
  } else {
    const std::string& chars = Text(*bound[0], name);
    auto in = [&](std::string_view c) { return chars.find(c) != std::string::npos; };
    while (left && !rest.empty()) {
      size_t bytes = CharacterBytes(rest, 0);
      if (!in(rest.substr(0, bytes))) break;
      rest.remove_prefix(bytes);
    }
    while (right && !rest.empty()) {
      size_t at = rest.size() - 1;
      while (at > 0 && (rest[at] & 0xC0) == 0x80) --at;
      if (!in(rest.substr(at))) break;
      rest.remove_suffix(rest.size() - at);
    }
  }
  auto begin = static_cast<size_t>(rest.data() - text.data());
  return SubText(self, begin, begin + rest.size());
}

std::vector<Value> SplitWords(std::string_view text, int64_t limit, bool from_right) {
  std::vector<Value> out;
  auto skip = [&](bool left) { text = Strip(text, left, !left); };
  while (true) {
    skip(!from_right);
    if (text.empty()) break;
    if (limit >= 0 && static_cast<int64_t>(out.size()) == limit) {
      out.emplace_back(Strip(text, from_right, !from_right));
      break;
    }
    size_t n = 0;
    if (!from_right) {
      while (n < text.size() && !IsSpace(text[n])) ++n;
      out.emplace_back(text.substr(0, n));
      text.remove_prefix(n);
    } else {
      while (n < text.size() && !IsSpace(text[text.size() - 1 - n])) ++n;
      out.emplace_back(text.substr(text.size() - n));
      text.remove_suffix(n);
    }
  }
  if (from_right) std::reverse(out.begin(), out.end());
  return out;
}

Value SplitText(Interpreter& state, const Value& self, CallArgs& args, std::string_view name, bool from_right) {
  auto bound = Bind(args, name, {"sep", "maxsplit"});
  std::string_view text = self.AsString();
  int64_t limit = bound[1] ? Int(*bound[1]) : -1;
  state.Use(static_cast<int64_t>(text.size() / 16));
  if (!bound[0] || bound[0]->is_none()) return Value::NewList(SplitWords(text, limit, from_right));
  const std::string& separator = Text(*bound[0], name);
  if (separator.empty()) ThrowType("empty separator");
  std::vector<Value> out;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    size_t at = from_right ? text.rfind(separator) : text.find(separator);
    if (at == std::string_view::npos) break;
    if (from_right) {
      out.emplace_back(text.substr(at + separator.size()));
      text = text.substr(0, at);
    } else {
      out.emplace_back(text.substr(0, at));
      text = text.substr(at + separator.size());
    }
  }
  out.emplace_back(text);
  if (from_right) std::reverse(out.begin(), out.end());
  return Value::NewList(std::move(out));
}

/// startswith, endswith: a text or a tuple of them, with bounds.
bool HasAffix(const Value& self, CallArgs& args, std::string_view name, bool front) {
  auto bound = Bind(args, name, {"prefix", "start", "end"}, 1);
  std::string_view text = self.AsString();
  if (bound[1] || bound[2]) {
    auto count = static_cast<int64_t>(CharacterCount(text));
    auto at = [&](const std::optional<Value>& value, int64_t otherwise) {
      int64_t n = value && !value->is_none() ? Int(*value) : otherwise;
      return std::clamp<int64_t>(n < 0 ? n + count : n, 0, count);
    };
    size_t from = CharacterOffset(text, static_cast<size_t>(at(bound[1], 0)));
    size_t to = CharacterOffset(text, static_cast<size_t>(at(bound[2], count)));
    text = from <= to ? text.substr(from, to - from) : std::string_view();
  }
  auto matches = [&](const Value& affix) {
    const std::string& part = Text(affix, name);
    return front ? text.starts_with(part) : text.ends_with(part);
  };
  if (!bound[0]->is_tuple()) return matches(*bound[0]);
  for (const auto& affix : bound[0]->AsList().items) {
    if (matches(affix)) return true;
  }
  return false;
}

Value ReplaceText(Interpreter& state, const Value& self, CallArgs& args) {
  auto bound = Bind(args, "replace", {"old", "new", "count"}, 2);
  const std::string& text = self.AsString();
  const std::string& from = Text(*bound[0], "replace");
  const std::string& to = Text(*bound[1], "replace");
  int64_t limit = bound[2] ? Int(*bound[2]) : -1;
  std::string out;
  size_t at = 0;
  int64_t done = 0;
  while (limit < 0 || done < limit) {
    if (from.empty()) {
      out += to;
      ++done;
      if (at >= text.size()) break;
      size_t bytes = CharacterBytes(text, at);
      out.append(text, at, bytes);
      at += bytes;
    } else {
      size_t next = text.find(from, at);
      if (next == std::string::npos) break;
      if (done == 0) out.reserve(text.size());
      out.append(text, at, next - at);
      out += to;
      at = next + from.size();
      ++done;
    }
    state.CheckSize(out.size());
  }
  if (done == 0) return self;
  out.append(text, std::min(at, text.size()), std::string::npos);
  return Value(std::move(out));
}

int64_t FindText(const Value& self, CallArgs& args, std::string_view name, bool from_right) {
  auto bound = Bind(args, name, {"sub", "start", "end"}, 1);
  const std::string& text = self.AsString();
  const std::string& part = Text(*bound[0], name);
  auto count = static_cast<int64_t>(CharacterCount(text));
  auto at = [&](const std::optional<Value>& value, int64_t otherwise) {
    int64_t n = value && !value->is_none() ? Int(*value) : otherwise;
    return std::max<int64_t>(n < 0 ? n + count : n, 0);
  };
  int64_t first = at(bound[1], 0);
  int64_t last = std::min(at(bound[2], count), count);
  if (first > count || first > last) return -1;
  size_t from = CharacterOffset(text, static_cast<size_t>(first));
  size_t to = CharacterOffset(text, static_cast<size_t>(last));
  std::string_view view = std::string_view(text).substr(from, to - from);
  size_t found = from_right ? view.rfind(part) : view.find(part);
  if (found == std::string_view::npos) return -1;
  return static_cast<int64_t>(CharacterCount(std::string_view(text).substr(0, from + found)));
}

Value PartitionText(const Value& self, CallArgs& args, std::string_view name, bool from_right) {
  auto bound = Bind(args, name, {"sep"}, 1);
  const std::string& text = self.AsString();
  const std::string& separator = Text(*bound[0], name);
  if (separator.empty()) ThrowType("empty separator");
  size_t at = from_right ? text.rfind(separator) : text.find(separator);
  if (at == std::string::npos) {
    return from_right ? Value::NewTuple({Value(""), Value(""), self}) : Value::NewTuple({self, Value(""), Value("")});
  }
  return Value::NewTuple({Value(text.substr(0, at)), Value(separator), Value(text.substr(at + separator.size()))});
}

Value JustifyText(const Value& self, CallArgs& args, std::string_view name, char align) {
  auto bound = Bind(args, name, {"width", "fillchar"}, 1);
  int64_t width = Int(*bound[0]);
  std::string fill = bound[1] ? Text(*bound[1], name) : " ";
  if (CharacterCount(fill) != 1) ThrowType("The fill character must be exactly one character long");
  auto length = static_cast<int64_t>(CharacterCount(self.AsString()));
  if (width <= length) return self;
  if (width > 1'000'000) ThrowLimit("the width is too large");
  int64_t missing = width - length;
  // As CPython's str.center: the odd one goes left when the width is odd.
  int64_t left = align == '<' ? 0 : align == '>' ? missing : missing / 2 + (missing & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += self.AsString();
  for (int64_t i = left; i < missing; ++i) out += fill;
  return Value(std::move(out));
}

std::string TitleText(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (size_t at = 0; at < text.size();) {
    size_t bytes = CharacterBytes(text, at);
    std::string_view c = text.substr(at, bytes);
    bool letter = IsLetter(DecodeCharacter(text, at));
    out += letter ? (in_word ? LowerText(c) : UpperText(c)) : std::string(c);
    in_word = letter;
    at += bytes;
  }
  return out;
}

template <class F>
bool AllCharacters(const Value& self, F holds) {
  const std::string& text = self.AsString();
  if (text.empty()) return false;
  for (size_t at = 0; at < text.size(); at += CharacterBytes(text, at)) {
    if (!holds(DecodeCharacter(text, at))) return false;
  }
  return true;
}
bool HasCase(const Value& self, bool upper) {
  bool any = false;
  const std::string& text = self.AsString();
  for (size_t at = 0; at < text.size(); at += CharacterBytes(text, at)) {
    uint32_t c = DecodeCharacter(text, at);
    if (upper ? IsLowerLetter(c) : IsUpperLetter(c)) return false;
    any |= upper ? IsUpperLetter(c) : IsLowerLetter(c);
  }
  return any;
}
bool IsDigitCharacter(uint32_t c) {
  return c >= '0' && c <= '9';
}

Value SplitLines(const Value& self, CallArgs& args) {
  auto bound = Bind(args, "splitlines", {"keepends"});
  bool keep = bound[0] && bound[0]->Truthy();
  const std::string& text = self.AsString();
  std::vector<Value> out;
  size_t begin = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c != '\n' && c != '\r' && c != '\v' && c != '\f' && !(c >= 0x1c && c <= 0x1e)) continue;
    size_t end = at;
    if (c == '\r' && at + 1 < text.size() && text[at + 1] == '\n') ++at;
    out.emplace_back(text.substr(begin, (keep ? at + 1 : end) - begin));
    begin = at + 1;
  }
  if (begin < text.size()) out.emplace_back(text.substr(begin));
  return Value::NewList(std::move(out));
}

Value FormatMethod(Interpreter& state, const Value& self, CallArgs& args) {
  return Value(BraceFormat(self.AsString(), [&](std::string_view name) {
    size_t end = std::min(name.find_first_of(".["), name.size());
    std::string_view first = name.substr(0, end);
    Value value;
    if (auto index = ParseInt(first)) {
      if (*index < 0 || *index >= static_cast<int64_t>(args.args.size())) {
        ThrowType("Replacement index {} out of range for positional args tuple", *index);
      }
      value = args.args[static_cast<size_t>(*index)];
    } else {
      const Value* found = args.Keyword(first);
      if (!found) ThrowType("the format's key {} is missing", Value(first).Repr());
      value = *found;
    }
    name.remove_prefix(end);
    while (!name.empty()) {
      bool item = name[0] == '[';
      size_t stop = item ? name.find(']') : std::min(name.find_first_of(".[", 1), name.size());
      if (stop == std::string_view::npos) ThrowType("Missing ']' in format string");
      std::string_view key = name.substr(1, stop - 1);
      auto index = item ? ParseInt(key) : std::nullopt;
      value = item ? state.ItemOf(value, index ? Value(*index) : Value(key)) : state.AttributeOf(value, key);
      if (value.is_undefined()) Throw(value.UndefinedError());
      name.remove_prefix(item ? stop + 1 : stop);
    }
    return value;
  }));
}

const Methods& StringMethods() {
  static const Methods methods = {
      {"strip", [](Interpreter&, const Value& s, CallArgs& a) { return StripText(s, a, "strip", true, true); }},
      {"lstrip", [](Interpreter&, const Value& s, CallArgs& a) { return StripText(s, a, "lstrip", true, false); }},
      {"rstrip", [](Interpreter&, const Value& s, CallArgs& a) { return StripText(s, a, "rstrip", false, true); }},
      {"split", [](Interpreter& i, const Value& s, CallArgs& a) { return SplitText(i, s, a, "split", false); }},
      {"rsplit", [](Interpreter& i, const Value& s, CallArgs& a) { return SplitText(i, s, a, "rsplit", true); }},
      {"splitlines", [](Interpreter&, const Value& s, CallArgs& a) { return SplitLines(s, a); }},
      {"lower",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "lower", {});
         return Value(LowerText(s.AsString()));
       }},
      {"casefold",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "casefold", {});
         return Value(LowerText(s.AsString()));
       }},
      {"upper",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "upper", {});
         return Value(UpperText(s.AsString()));
       }},
      {"title",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "title", {});
         return Value(TitleText(s.AsString()));
       }},
      {"capitalize",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "capitalize", {});
         size_t first = s.AsString().empty() ? 0 : CharacterBytes(s.AsString(), 0);
         return Value(UpperText(s.AsString().substr(0, first)) + LowerText(s.AsString().substr(first)));
       }},
      {"swapcase",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "swapcase", {});
         std::string out;
         const std::string& text = s.AsString();
         for (size_t at = 0; at < text.size();) {
           size_t bytes = CharacterBytes(text, at);
           out += IsUpperLetter(DecodeCharacter(text, at)) ? LowerText(text.substr(at, bytes))
                                                           : UpperText(text.substr(at, bytes));
           at += bytes;
         }
         return Value(out);
       }},
      {"startswith",
       [](Interpreter&, const Value& s, CallArgs& a) { return Value(HasAffix(s, a, "startswith", true)); }},
      {"endswith", [](Interpreter&, const Value& s, CallArgs& a) { return Value(HasAffix(s, a, "endswith", false)); }},
      {"removeprefix",
       [](Interpreter&, const Value& s, CallArgs& a) {
         auto b = Bind(a, "removeprefix", {"prefix"}, 1);
         const std::string& prefix = Text(*b[0], "removeprefix");
         return s.AsString().starts_with(prefix) ? SubText(s, prefix.size(), s.AsString().size()) : s;
       }},
      {"removesuffix",
       [](Interpreter&, const Value& s, CallArgs& a) {
         auto b = Bind(a, "removesuffix", {"suffix"}, 1);
         const std::string& suffix = Text(*b[0], "removesuffix");
         return s.AsString().ends_with(suffix) ? SubText(s, 0, s.AsString().size() - suffix.size()) : s;
       }},
      {"replace", [](Interpreter& i, const Value& s, CallArgs& a) { return ReplaceText(i, s, a); }},
      {"join",
       [](Interpreter& i, const Value& s, CallArgs& a) {
         auto b = Bind(a, "join", {"iterable"}, 1);
         std::vector<Value> parts;
         size_t n = 0;
         for (auto& item : ItemsOf(i, *b[0])) {
           if (!item.is_string()) ThrowType("sequence item {}: expected str instance, {} found", n, item.TypeName());
           if (n++ > 0 && !s.AsString().empty()) parts.push_back(s);
           parts.push_back(std::move(item));
         }
         return JoinTexts(i, parts);
       }},
      {"format", FormatMethod},
      {"find", [](Interpreter&, const Value& s, CallArgs& a) { return Value(FindText(s, a, "find", false)); }},
      {"rfind", [](Interpreter&, const Value& s, CallArgs& a) { return Value(FindText(s, a, "rfind", true)); }},
      {"index",
       [](Interpreter&, const Value& s, CallArgs& a) {
         int64_t at = FindText(s, a, "index", false);
         if (at < 0) ThrowType("substring not found");
         return Value(at);
       }},
      {"rindex",
       [](Interpreter&, const Value& s, CallArgs& a) {
         int64_t at = FindText(s, a, "rindex", true);
         if (at < 0) ThrowType("substring not found");
         return Value(at);
       }},
      {"count",
       [](Interpreter&, const Value& s, CallArgs& a) {
         auto b = Bind(a, "count", {"sub"}, 1);
         const std::string& part = Text(*b[0], "count");
         if (part.empty()) return Value(CharacterCount(s.AsString()) + 1);
         int64_t n = 0;
         for (size_t at = 0; (at = s.AsString().find(part, at)) != std::string::npos; at += part.size()) ++n;
         return Value(n);
       }},
      {"partition", [](Interpreter&, const Value& s, CallArgs& a) { return PartitionText(s, a, "partition", false); }},
      {"rpartition", [](Interpreter&, const Value& s, CallArgs& a) { return PartitionText(s, a, "rpartition", true); }},
      {"ljust", [](Interpreter&, const Value& s, CallArgs& a) { return JustifyText(s, a, "ljust", '<'); }},
      {"rjust", [](Interpreter&, const Value& s, CallArgs& a) { return JustifyText(s, a, "rjust", '>'); }},
      {"center", [](Interpreter&, const Value& s, CallArgs& a) { return JustifyText(s, a, "center", '^'); }},
      {"zfill",
       [](Interpreter&, const Value& s, CallArgs& a) {
         auto b = Bind(a, "zfill", {"width"}, 1);
         int64_t missing = Int(*b[0]) - static_cast<int64_t>(CharacterCount(s.AsString()));
         if (missing <= 0) return s;
         if (missing > 1'000'000) ThrowLimit("the width is too large");
         std::string text = s.AsString();
         size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
         text.insert(at, static_cast<size_t>(missing), '0');
         return Value(std::move(text));
       }},
      {"expandtabs",
       [](Interpreter& i, const Value& s, CallArgs& a) {
         auto b = Bind(a, "expandtabs", {"tabsize"});
         int64_t size = b[0] ? Int(*b[0]) : 8;
         if (size > 1000) ThrowLimit("the tab size is too large");
         std::string out;
         int64_t column = 0;
         for (char c : s.AsString()) {
           if (c == '\t') {
             int64_t n = size > 0 ? size - column % size : 0;
             out.append(static_cast<size_t>(n), ' ');
             column += n;
             i.CheckSize(out.size());
           } else {
             out += c;
             column = c == '\n' || c == '\r' ? 0 : column + ((c & 0xC0) != 0x80);
           }
         }
         return Value(std::move(out));
       }},
      {"isdigit", [](Interpreter&, const Value& s, CallArgs&) { return Value(AllCharacters(s, IsDigitCharacter)); }},
      {"isdecimal", [](Interpreter&, const Value& s, CallArgs&) { return Value(AllCharacters(s, IsDigitCharacter)); }},
      {"isnumeric", [](Interpreter&, const Value& s, CallArgs&) { return Value(AllCharacters(s, IsDigitCharacter)); }},
      {"isalpha", [](Interpreter&, const Value& s, CallArgs&) { return Value(AllCharacters(s, IsLetter)); }},
      {"isalnum",
       [](Interpreter&, const Value& s, CallArgs&) {
         return Value(AllCharacters(s, [](uint32_t c) { return IsLetter(c) || IsDigitCharacter(c); }));
       }},
      {"isspace",
       [](Interpreter&, const Value& s, CallArgs&) {
         return Value(AllCharacters(s, [](uint32_t c) {
           return c < 0x80 ? IsSpace(static_cast<char>(c)) : c == 0xA0 || c == 0x2003 || c == 0x3000;
         }));
       }},
      {"isascii", [](Interpreter&, const Value& s, CallArgs&) { return Value(IsAscii(s.AsString())); }},
      {"isidentifier",
       [](Interpreter&, const Value& s, CallArgs&) {
         const std::string& text = s.AsString();
         if (text.empty() || IsDigitCharacter(static_cast<unsigned char>(text[0]))) return Value(false);
         return Value(AllCharacters(s, [](uint32_t c) { return IsLetter(c) || IsDigitCharacter(c) || c == '_'; }));
       }},
      {"isupper", [](Interpreter&, const Value& s, CallArgs&) { return Value(HasCase(s, true)); }},
      {"islower", [](Interpreter&, const Value& s, CallArgs&) { return Value(HasCase(s, false)); }},
      {"istitle",
       [](Interpreter&, const Value& s, CallArgs&) {
         return Value(TitleText(s.AsString()) == s.AsString() &&
                      (HasCase(s, true) || HasCase(s, false) || LowerText(s.AsString()) != s.AsString()));
       }},
  };
  return methods;
}

// --- list, tuple ---------------------------------------------------------------------------------------------------
List& Changeable(const Value& self) {
  List& list = self.AsList();
  if (list.frozen) ThrowType("this list is shared and cannot be changed: make a copy with the filter 'list'");
  return list;
}
Dict& ChangeableDict(const Value& self) {
  Dict& dict = self.AsDict();
  if (dict.frozen) ThrowType("this dict is shared and cannot be changed: make a copy with copy()");
  return dict;
}

Value IndexOf(Interpreter& state, const Value& self, CallArgs& args) {
  auto bound = Bind(args, "index", {"value", "start", "stop"}, 1);
  const auto& items = self.AsList().items;
  auto size = static_cast<int64_t>(items.size());
  auto at = [&](const std::optional<Value>& value, int64_t otherwise) {
    int64_t n = value ? Int(*value) : otherwise;
    return std::clamp<int64_t>(n < 0 ? n + size : n, 0, size);
  };
  Budget budget;
  state.Use(size / 8);
  for (int64_t i = at(bound[1], 0); i < at(bound[2], size); ++i) {
    if (EqualValues(items[static_cast<size_t>(i)], *bound[0], budget)) return Value(i);
  }
  ThrowType("{} is not in list", bound[0]->Repr());
}
Value CountOf(Interpreter& state, const Value& self, CallArgs& args) {
  auto bound = Bind(args, "count", {"value"}, 1);
  Budget budget;
  state.Use(static_cast<int64_t>(self.AsList().items.size() / 8));
  int64_t n = 0;
  for (const auto& item : self.AsList().items) n += EqualValues(item, *bound[0], budget);
  return Value(n);
}

Value SortList(Interpreter& state, const Value& self, CallArgs& args) {
  if (!args.args.empty()) ThrowType("sort() takes no positional arguments");
  auto bound = Bind(args, "sort", {"key", "reverse"});
  auto& list = Changeable(self);
  std::vector<std::pair<Value, Value>> keyed;
  bool has_key = bound[0] && !bound[0]->is_none();
  for (const auto& item : list.items) {
    keyed.emplace_back(has_key ? state.CallValue(*bound[0], std::span(&item, 1), {}) : item, item);
  }
  Budget budget;
  bool reverse = bound[1] && bound[1]->Truthy();
  if (reverse) std::reverse(keyed.begin(), keyed.end());
  std::stable_sort(keyed.begin(), keyed.end(),
                   [&](const auto& a, const auto& b) { return CompareValues(a.first, b.first, "<", budget) == -1; });
  if (reverse) std::reverse(keyed.begin(), keyed.end());
  list.items.clear();
  for (auto& [key, item] : keyed) list.items.push_back(std::move(item));
  return {};
}

const Methods& TupleMethods() {
  static const Methods methods = {{"index", IndexOf}, {"count", CountOf}};
  return methods;
}

const Methods& ListMethods() {
  static const Methods methods = {
      {"index", IndexOf},
      {"count", CountOf},
      {"sort", SortList},
      {"append",
       [](Interpreter& i, const Value& s, CallArgs& a) {
         auto b = Bind(a, "append", {"object"}, 1);
         auto& list = Changeable(s);
         i.NoteChange(s, *b[0]);
         i.CheckSize(list.items.size() * sizeof(Value));
         list.items.push_back(*std::move(b[0]));
         return Value();
       }},
      {"extend",
       [](Interpreter& i, const Value& s, CallArgs& a) {
         auto b = Bind(a, "extend", {"iterable"}, 1);
         auto items = ItemsOf(i, *b[0]);
         auto& list = Changeable(s);
         i.CheckSize((list.items.size() + items.size()) * sizeof(Value));
         i.Use(static_cast<int64_t>(items.size()));
         for (auto& item : items) {
           i.NoteChange(s, item);
           list.items.push_back(std::move(item));
         }
         return Value();
       }},
      {"insert",
       [](Interpreter& i, const Value& s, CallArgs& a) {
         auto b = Bind(a, "insert", {"index", "object"}, 2);
         auto& list = Changeable(s);
         auto size = static_cast<int64_t>(list.items.size());
         i.Use(size / 8);
         int64_t at = Int(*b[0]);
         at = std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
         i.NoteChange(s, *b[1]);
         list.items.insert(list.items.begin() + at, *std::move(b[1]));
         return Value();
       }},
      {"pop",
       [](Interpreter& i, const Value& s, CallArgs& a) {
         auto b = Bind(a, "pop", {"index"});
         auto& list = Changeable(s);
         auto size = static_cast<int64_t>(list.items.size());
         if (size == 0) ThrowType("pop from empty list");
         int64_t at = b[0] ? Int(*b[0]) : -1;
         if (at < 0) at += size;
         if (at < 0 || at >= size) ThrowType("pop index out of range");
         i.Use((size - at) / 8);
         Value out = std::move(list.items[static_cast<size_t>(at)]);
         list.items.erase(list.items.begin() + at);
         return out;
       }},
      {"remove",
       [](Interpreter& i, const Value& s, CallArgs& a) {
         auto b = Bind(a, "remove", {"value"}, 1);
         auto& list = Changeable(s);
         Budget budget;
         i.Use(static_cast<int64_t>(list.items.size() / 8));
         for (size_t at = 0; at < list.items.size(); ++at) {
           if (!EqualValues(list.items[at], *b[0], budget)) continue;
           Value removed = std::move(list.items[at]);
           list.items.erase(list.items.begin() + static_cast<ptrdiff_t>(at));
           return Value();
         }
         ThrowType("list.remove(x): x not in list");
       }},
      {"clear",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "clear", {});
         std::vector<Value> gone;
         gone.swap(Changeable(s).items);
         return Value();
       }},
      {"reverse",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "reverse", {});
         std::reverse(Changeable(s).items.begin(), Changeable(s).items.end());
         return Value();
       }},
      {"copy",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "copy", {});
         return Value::NewList(s.AsList().items);
       }},
  };
  return methods;
}

// --- dict ----------------------------------------------------------------------------------------------------------
Value SetItem(Interpreter& state, const Value& self, const Value& key, const Value& value) {
  state.NoteChange(self, value);
  if (!ChangeableDict(self).Set(key, value)) ThrowType("unhashable type: '{}'", key.TypeName());
  return {};
}

void UpdateFrom(Interpreter& state, const Value& self, const Value& other) {
  if (other.is_undefined()) state.ThrowUndefined(other);
  if (other.is_dict()) {
    state.Use(static_cast<int64_t>(other.AsDict().size()));
    auto entries = other.AsDict().entries();
    for (const auto& entry : entries) SetItem(state, self, entry.key, entry.value);
    return;
  }
  if (other.is_object() && other.AsObject().is_mapping()) {
    for (const auto& key : ItemsOf(state, other)) SetItem(state, self, key, state.ItemOf(other, key));
    return;
  }
  for (const auto& pair : ItemsOf(state, other)) {
    auto both = ItemsOf(state, pair);
    if (both.size() != 2) ThrowType("dictionary update sequence element has length {}; 2 is required", both.size());
    SetItem(state, self, both[0], both[1]);
  }
}

const Methods& DictMethods() {
  static const Methods methods = {
      {"get",
       [](Interpreter&, const Value& s, CallArgs& a) {
         auto b = Bind(a, "get", {"key", "default"}, 1);
         if (!HashOf(*b[0])) ThrowType("unhashable type: '{}'", b[0]->TypeName());
         const Value* found = s.AsDict().Find(*b[0]);
         return found ? *found : b[1] ? *b[1] : Value();
       }},
      {"items",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "items", {});
         return MakeDictView(s, DictPart::kItems);
       }},
      {"keys",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "keys", {});
         return MakeDictView(s, DictPart::kKeys);
       }},
      {"values",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "values", {});
         return MakeDictView(s, DictPart::kValues);
       }},
      {"update",
       [](Interpreter& i, const Value& s, CallArgs& a) {
         if (a.args.size() > 1) ThrowType("update expected at most 1 argument, got {}", a.args.size());
         ChangeableDict(s);
         if (!a.args.empty()) UpdateFrom(i, s, a.args[0]);
         for (const auto& kwarg : a.kwargs) SetItem(i, s, Value(kwarg.name), kwarg.value);
         return Value();
       }},
      {"setdefault",
       [](Interpreter& i, const Value& s, CallArgs& a) {
         auto b = Bind(a, "setdefault", {"key", "default"}, 1);
         if (const Value* found = s.AsDict().Find(*b[0])) return *found;
         Value value = b[1] ? *b[1] : Value();
         SetItem(i, s, *b[0], value);
         return value;
       }},
      {"pop",
       [](Interpreter& i, const Value& s, CallArgs& a) {
         auto b = Bind(a, "pop", {"key", "default"}, 1);
         auto& dict = ChangeableDict(s);
         i.Use(static_cast<int64_t>(dict.size() / 8));
         if (auto removed = dict.Erase(*b[0])) return *removed;
         if (b[1]) return *b[1];
         ThrowType("the dict has no key {}", b[0]->Repr());
       }},
      {"popitem",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "popitem", {});
         auto& dict = ChangeableDict(s);
         if (dict.empty()) ThrowType("popitem(): dictionary is empty");
         Value key = dict.entries().back().key;
         Value value = *dict.Erase(key);
         return Value::NewTuple({key, value});
       }},
      {"copy",
       [](Interpreter& i, const Value& s, CallArgs& a) {
         Bind(a, "copy", {});
         Value out = Value::NewDict();
         UpdateFrom(i, out, s);
         return out;
       }},
      {"clear",
       [](Interpreter&, const Value& s, CallArgs& a) {
         Bind(a, "clear", {});
         ChangeableDict(s).Clear();
         return Value();
       }},
  };
  return methods;
}

const Methods& NumberMethods() {
  static const Methods methods = {
      {"is_integer",
       [](Interpreter&, const Value& s, CallArgs&) {
         return Value(!s.is_float() || s.AsDouble() == static_cast<double>(static_cast<int64_t>(s.AsDouble())));
       }},
  };
  return methods;
}

const Method* FindMethod(const Value& object, std::string_view name) {
  static const Methods none;
  const Methods* methods = &none;
  switch (object.kind()) {
    case Kind::kString:
      methods = &StringMethods();
      break;
    case Kind::kList:
      methods = &ListMethods();
      break;
    case Kind::kTuple:
      methods = &TupleMethods();
      break;
    case Kind::kDict:
      methods = &DictMethods();
      break;
    case Kind::kFloat:
      methods = &NumberMethods();
      break;
    default:
      break;
  }
  auto found = methods->find(name);
  return found == methods->end() ? nullptr : &found->second;
}

class BoundMethodObject : public Object {
 public:
  BoundMethodObject(Value object, std::string name) : object_(std::move(object)), name_(std::move(name)) {}
  std::string TypeName() const override { return "builtin_function_or_method"; }
  bool callable() const override { return true; }
  std::string Repr() const override {
    return fmt::format("<built-in method {} of {} object>", name_, object_.TypeName());
  }
  Result<Value> Call(CallArgs& args) override {
    try {
      return Self(args.state).CallMethodOf(object_, name_, args);
    } catch (Thrown& thrown) {
      return Fail(std::move(thrown.error));
    }
  }
  void VisitReferences(const std::function<void(const Value&)>& visit) const override { visit(object_); }

 private:
  Value object_;
  std::string name_;
};

}  // namespace

bool HasMethod(const Value& object, std::string_view name) {
  return FindMethod(object, name) != nullptr;
}

std::optional<Value> CallBuiltinMethod(Interpreter& state, const Value& object, std::string_view name, CallArgs& args) {
  const Method* method = FindMethod(object, name);
  if (!method) return std::nullopt;
  Value self = object;  // it may be the last reference
  return (*method)(state, self, args);
}

Value BoundMethod(const Value& object, std::string name) {
  return Value(MakeRef<BoundMethodObject>(object, std::move(name)));
}

}  // namespace quern::jinja
