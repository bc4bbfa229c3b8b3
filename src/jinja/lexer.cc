#include "jinja/lexer.h"

#include <charconv>
#include <cstdlib>

#include "jinja/python_text.h"
#include "jinja/thrown.h"

namespace quern::jinja {

std::string Describe(TokenType type) {
  switch (type) {
    case TokenType::kEnd:
      return "end of template";
    case TokenType::kData:
      return "template text";
    case TokenType::kVariableBegin:
      return "'{{'";
    case TokenType::kVariableEnd:
      return "end of print statement";
    case TokenType::kBlockBegin:
      return "'{%'";
    case TokenType::kBlockEnd:
      return "end of statement block";
    case TokenType::kRawBody:
      return "raw text";
    case TokenType::kName:
      return "name";
    case TokenType::kString:
      return "string";
    case TokenType::kInteger:
      return "integer";
    case TokenType::kFloat:
      return "float";
    case TokenType::kAdd:
      return "'+'";
    case TokenType::kSub:
      return "'-'";
    case TokenType::kMul:
      return "'*'";
    case TokenType::kDiv:
      return "'/'";
    case TokenType::kFloorDiv:
      return "'//'";
    case TokenType::kMod:
      return "'%'";
    case TokenType::kPow:
      return "'**'";
    case TokenType::kTilde:
      return "'~'";
    case TokenType::kPipe:
      return "'|'";
    case TokenType::kDot:
      return "'.'";
    case TokenType::kComma:
      return "','";
    case TokenType::kColon:
      return "':'";
    case TokenType::kAssign:
      return "'='";
    case TokenType::kEq:
      return "'=='";
    case TokenType::kNe:
      return "'!='";
    case TokenType::kLt:
      return "'<'";
    case TokenType::kLe:
      return "'<='";
    case TokenType::kGt:
      return "'>'";
    case TokenType::kGe:
      return "'>='";
    case TokenType::kLParen:
      return "'('";
    case TokenType::kRParen:
      return "')'";
    case TokenType::kLBracket:
      return "'['";
    case TokenType::kRBracket:
      return "']'";
    case TokenType::kLBrace:
      return "'{'";
    case TokenType::kRBrace:
      return "'}'";
    case TokenType::kSemicolon:
      return "';'";
  }
  return "?";
}

namespace {

bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}
bool IsNameChar(char c) {
  return IsNameStart(c) || IsDigit(c);
}

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& file, SourcePos first, const LexerOptions& options)
      : source_(source), file_(file), options_(options) {
    if (first.line > 0) place_.line = static_cast<uint32_t>(first.line);
    if (first.column > 0) place_.column = static_cast<uint32_t>(first.column);
    end_ = source.size();
    if (!options.keep_trailing_newline && !options.expression && end_ > 0 && source[end_ - 1] == '\n') --end_;
  }

  std::vector<Token> Run() {
    if (options_.expression) {
      while (SkipSpace(), at_ < end_) Expression();
      if (!open_.empty())
        Fail(at_, fmt::format("unexpected end of the expression, expected '{}'", Closing(open_.back())));
    } else {
      while (at_ < end_) Root();
    }
    Add(TokenType::kEnd, end_, end_);
    return std::move(tokens_);
  }

 private:
  /// Places are asked for in nearly rising order; going back restarts.
  Pos PosAt(size_t offset) {
    if (offset < place_.offset) Fail(0, "internal: places out of order");
    while (place_.offset < offset) {
      if (source_[place_.offset] == '\n') {
        ++place_.line;
        place_.column = 1;
      } else {
        ++place_.column;
      }
      ++place_.offset;
    }
    return place_;
  }
  [[noreturn]] void Fail(size_t offset, std::string message) {
    Pos pos = offset >= place_.offset ? PosAt(offset) : place_;
    Throw(Error(ErrorCode::kTemplateSyntax, std::move(message))
              .At({file_, static_cast<int>(pos.line), static_cast<int>(pos.column)}));
  }
  Token& Add(TokenType type, size_t from, size_t to) {
    Token& token = tokens_.emplace_back();
    token.type = type;
    token.pos = PosAt(from);
    token.end = static_cast<uint32_t>(to);
    return token;
  }
  bool At(std::string_view text, size_t at) const { return source_.substr(0, end_).substr(at).starts_with(text); }
  static char Closing(char open) { return open == '(' ? ')' : open == '[' ? ']' : '}'; }

  void SkipSpace() {
    while (at_ < end_ && IsSpace(source_[at_])) ++at_;
  }

  void Data(size_t from, size_t to) {
    if (to > from) Add(TokenType::kData, from, to).text = std::string(source_.substr(from, to - from));
  }

  /// Where the text before a tag ends, as '-', '+' and lstrip_blocks say.
  size_t StripBefore(size_t from, size_t tag, bool is_variable) {
    char sign = tag + 2 < end_ ? source_[tag + 2] : ' ';
    size_t to = tag;
    if (sign == '-') {
      while (to > from && IsSpace(source_[to - 1])) --to;
    } else if (sign != '+' && options_.lstrip_blocks && !is_variable) {
      size_t line = to;
      while (line > from && source_[line - 1] != '\n' && IsSpace(source_[line - 1])) --line;
      if ((line > from && source_[line - 1] == '\n') || (line == from && (from == 0 || source_[from - 1] == '\n')))
        to = line;
    }
    return to;
  }
  /// Behind the end of a block or comment whose end tag ("%}") is at `at`.
  void FinishTag(size_t at, bool strip, bool keep) {
    at_ = at + 2;
    if (strip) {
      SkipSpace();
    } else if (!keep && options_.trim_blocks && at_ < end_ && source_[at_] == '\n') {
      ++at_;
    }
  }

  void Root() {
    size_t from = at_;
    size_t tag = from;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= end_) {
        Data(from, end_);
        at_ = end_;
        return;
      }
      char next = source_[tag + 1];
      if (next == '{' || next == '%' || next == '#') break;
      ++tag;
    }
    char kind = source_[tag + 1];
    Data(from, StripBefore(from, tag, kind == '{'));
    char sign = tag + 2 < end_ ? source_[tag + 2] : ' ';
    bool signed_tag = sign == '-' || sign == '+';
    if (kind == '#') {
      Comment(tag, signed_tag);
    } else if (kind == '{') {
      Add(TokenType::kVariableBegin, tag, tag + 2);
      // "{{+" and "{{-" take their sign, as in Jinja2
      at_ = tag + 2 + (signed_tag ? 1 : 0);
      Inside(tag, '}');
    } else {
      at_ = tag + 2 + (signed_tag ? 1 : 0);
      if (!RawBlock(tag)) {
        Add(TokenType::kBlockBegin, tag, at_);
        size_t header = tokens_.size();
        Inside(tag, '%');
        RawTagBody(header);
      }
    }
  }

  void Comment(size_t tag, bool signed_tag) {
    size_t search = tag + 2 + (signed_tag ? 1 : 0);
    size_t end = source_.substr(0, end_).find("#}", search);
    if (end == std::string_view::npos) {
      // "{#-#}": the sign belongs to both sides
      end = signed_tag ? source_.substr(0, end_).find("#}", tag + 2) : end;
      if (end == std::string_view::npos) Fail(tag, "missing end of comment tag '#}'");
    }
    bool strip = end > tag + 2 && source_[end - 1] == '-' && end - 1 >= search;
    bool keep = end > tag + 2 && source_[end - 1] == '+' && end - 1 >= search;
    FinishTag(end, strip, keep);
  }

  /// The offset of "{% end_tag %}" from `at`, with its signs.
  struct EndTag {
    size_t begin = 0;
    size_t close = 0;  ///< of its "%}"
    bool strip_before = false;
    bool strip_after = false;
    bool keep_after = false;
  };
  std::optional<EndTag> FindEndTag(size_t at, std::string_view name) {
    std::string_view text = source_.substr(0, end_);
    while ((at = text.find("{%", at)) != std::string_view::npos) {
      EndTag tag;
      tag.begin = at;
      size_t p = at + 2;
      if (p < end_ && (text[p] == '-' || text[p] == '+')) tag.strip_before = text[p++] == '-';
      while (p < end_ && IsSpace(text[p])) ++p;
      if (text.substr(p).starts_with(name) && (p + name.size() >= end_ || !IsNameChar(text[p + name.size()]))) {
        p += name.size();
        while (p < end_ && IsSpace(text[p])) ++p;
        if (p < end_ && (text[p] == '-' || text[p] == '+')) {
          tag.strip_after = text[p] == '-';
          tag.keep_after = text[p] == '+';
          ++p;
        }
        if (text.substr(p).starts_with("%}")) {
          tag.close = p;
          return tag;
        }
      }
      at += 2;
    }
    return std::nullopt;
  }

  /// {% raw %}: at_ is behind "{%" and its sign.
  bool RawBlock(size_t tag) {
    size_t p = at_;
    while (p < end_ && IsSpace(source_[p])) ++p;
    if (!At("raw", p)) return false;
    p += 3;
    while (p < end_ && IsSpace(source_[p])) ++p;
    bool strip = p < end_ && source_[p] == '-';
    if (strip) ++p;
    if (!At("%}", p)) return false;
    p += 2;
    if (strip) {
      while (p < end_ && IsSpace(source_[p])) ++p;
    }
    auto end = FindEndTag(p, "endraw");
    if (!end) Fail(tag, "missing end of raw directive '{% endraw %}'");
    size_t to = StripBefore(p, end->begin, false);
    Data(p, to);
    FinishTag(end->close, end->strip_after, end->keep_after);
    return true;
  }

  /// Behind the header of a tag whose body is raw: takes the body as one token, and lets the end tag be lexed as usual.
  void RawTagBody(size_t header) {
    if (header >= tokens_.size() || tokens_[header].type != TokenType::kName) return;
    for (const auto& [tag, end_tag] : options_.raw_tags) {
      if (tokens_[header].text != tag) continue;
      size_t body = tokens_.back().end;
      auto end = FindEndTag(body, end_tag);
      if (!end) Fail(tokens_.back().end, fmt::format("'{{% {} %}}' has no '{{% {} %}}'", tag, end_tag));
      Token& token = Add(TokenType::kRawBody, body, end->begin);
      token.text = std::string(source_.substr(body, end->begin - body));
      Add(TokenType::kBlockBegin, end->begin, end->begin + 2);
      size_t name = source_.find(end_tag, end->begin);
      Add(TokenType::kName, name, name + end_tag.size()).text = end_tag;
      Add(TokenType::kBlockEnd, end->close, end->close + 2);
      FinishTag(end->close, end->strip_after, end->keep_after);
      return;
    }
  }

  /// Tokens until "}}" ('}') or "%}" ('%').
  void Inside(size_t tag, char end) {
    open_.clear();
    while (true) {
      SkipSpace();
      if (at_ >= end_) {
        Fail(tag, fmt::format("'{}' is not closed by '{}'", end == '}' ? "{{" : "{%", end == '}' ? "}}" : "%}"));
      }
      if (open_.empty()) {
        char c = source_[at_];
        bool strip = c == '-' && At(end == '}' ? "}}" : "%}", at_ + 1);
        bool keep = end == '%' && c == '+' && At("%}", at_ + 1);
        size_t p = at_ + (strip || keep ? 1 : 0);
        if (At(end == '}' ? "}}" : "%}", p)) {
          Add(end == '}' ? TokenType::kVariableEnd : TokenType::kBlockEnd, at_, p + 2);
          if (end == '}') {
            at_ = p + 2;
            if (strip) SkipSpace();
          } else {
            FinishTag(p, strip, keep);
          }
          return;
        }
      }
      Expression();
    }
  }

  void Expression() {
    char c = source_[at_];
    size_t from = at_;
    if (IsDigit(c)) return Number();
    if (c == '"' || c == '\'') return String();
    if (IsNameStart(c)) {
      while (at_ < end_ && IsNameChar(source_[at_])) ++at_;
      Add(TokenType::kName, from, at_).text = std::string(source_.substr(from, at_ - from));
      return;
    }
    static constexpr std::pair<std::string_view, TokenType> kOperators[] = {
        {"//", TokenType::kFloorDiv}, {"**", TokenType::kPow},     {"==", TokenType::kEq},
        {"!=", TokenType::kNe},       {"<=", TokenType::kLe},      {">=", TokenType::kGe},
        {"+", TokenType::kAdd},       {"-", TokenType::kSub},      {"*", TokenType::kMul},
        {"/", TokenType::kDiv},       {"%", TokenType::kMod},      {"~", TokenType::kTilde},
        {"|", TokenType::kPipe},      {".", TokenType::kDot},      {",", TokenType::kComma},
        {":", TokenType::kColon},     {"=", TokenType::kAssign},   {"<", TokenType::kLt},
        {">", TokenType::kGt},        {"(", TokenType::kLParen},   {")", TokenType::kRParen},
        {"[", TokenType::kLBracket},  {"]", TokenType::kRBracket}, {"{", TokenType::kLBrace},
        {"}", TokenType::kRBrace},    {";", TokenType::kSemicolon}};
    for (const auto& [text, type] : kOperators) {
      if (!At(text, at_)) continue;
      if (c == '(' || c == '[' || c == '{') {
        open_.push_back(c);
        if (open_.size() > 200) Fail(at_, "brackets are nested more than 200 deep");
      } else if (c == ')' || c == ']' || c == '}') {
        if (open_.empty()) Fail(at_, fmt::format("unexpected '{}'", c));
        if (Closing(open_.back()) != c)
          Fail(at_, fmt::format("unexpected '{}', expected '{}'", c, Closing(open_.back())));
        open_.pop_back();
      }
      at_ += text.size();
      Add(type, from, at_);
      return;
    }
    size_t bytes = CharacterBytes(source_, at_);
    Fail(at_, fmt::format("unexpected character {}", Value(source_.substr(at_, bytes)).Repr()));
  }

  void Number() {
    size_t from = at_;
    std::string digits;
    auto take = [&](auto&& accept) {
      bool any = false;
      while (at_ < end_) {
        if (accept(source_[at_])) {
          digits += source_[at_++];
          any = true;
        } else if (source_[at_] == '_' && any && at_ + 1 < end_ && accept(source_[at_ + 1])) {
          ++at_;
        } else {
          break;
        }
      }
      return any;
    };
    char prefix = at_ + 1 < end_ && source_[at_] == '0' ? static_cast<char>(source_[at_ + 1] | 0x20) : '0';
    int base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    if (base != 10) {
      at_ += 2;
      if (at_ < end_ && source_[at_] == '_') ++at_;
      if (!take([&](char c) {
            return base == 16 ? std::isxdigit(static_cast<unsigned char>(c)) != 0 : c >= '0' && c < '0' + base;
          })) {
        Fail(from, "a number has no digits");
      }
    } else {
      take(IsDigit);
      bool is_float = false;
      bool after_dot = from > 0 && source_[from - 1] == '.';  // a.1.2: items, not a float
      if (!after_dot && at_ + 1 < end_ && source_[at_] == '.' && IsDigit(source_[at_ + 1])) {
        is_float = true;
        digits += source_[at_++];
        take(IsDigit);
      }
      if (!after_dot && at_ < end_ && (source_[at_] | 0x20) == 'e') {
        size_t p = at_ + 1;
        if (p < end_ && (source_[p] == '+' || source_[p] == '-')) ++p;
        if (p < end_ && IsDigit(source_[p])) {
          is_float = true;
          digits += 'e';
          if (p == at_ + 2) digits += source_[at_ + 1];
          at_ = p;
          take(IsDigit);
        }
      }
      if (is_float) {
        Add(TokenType::kFloat, from, at_).number = std::strtod(digits.c_str(), nullptr);
        return;
      }
      if (digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of('0') != std::string::npos) {
        Fail(from, "a decimal number may not begin with 0");
      }
    }
    int64_t value = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (error != std::errc()) Fail(from, "the integer is out of range (64 bit)");
    Add(TokenType::kInteger, from, at_).integer = value;
  }

  void String() {
    size_t from = at_;
    char quote = source_[at_++];
    std::string text;
    while (true) {
      if (at_ >= end_) Fail(from, "the string is not closed");
      char c = source_[at_];
      if (c == quote) {
        ++at_;
        break;
      }
      if (c != '\\') {
        text += c;
        ++at_;
        continue;
      }
      ++at_;
      if (at_ >= end_) Fail(from, "the string is not closed");
      Escape(text);
    }
    Add(TokenType::kString, from, at_).text = std::move(text);
  }

  /// Behind a backslash.
  void Escape(std::string& text) {
    char c = source_[at_++];
    static constexpr std::string_view kFrom = "nrtabfv\\'\"";
    static constexpr std::string_view kTo = "\n\r\t\a\b\f\v\\'\"";
    if (size_t i = kFrom.find(c); i != std::string_view::npos) {
      text += kTo[i];
      return;
    }
    if (c == '\n') return;
    if (c >= '0' && c <= '7') {
      uint32_t code = static_cast<uint32_t>(c - '0');
      for (int i = 0; i < 2 && at_ < end_ && source_[at_] >= '0' && source_[at_] <= '7'; ++i) {
        code = code * 8 + static_cast<uint32_t>(source_[at_++] - '0');
      }
      AppendUtf8(text, code);
      return;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) {
      text += '\\';
      text += c;
      return;
    }
    uint32_t code = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (at_ >= end_ || !std::isxdigit(static_cast<unsigned char>(source_[at_]))) {
        Fail(at_ - 2 - i, fmt::format("'\\{}' needs {} hexadecimal digits", c, digits));
      }
      char h = static_cast<char>(source_[at_++] | 0x20);
      code = code * 16 + static_cast<uint32_t>(h <= '9' ? h - '0' : h - 'a' + 10);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) Fail(at_ - digits - 2, "not a character's number");
    AppendUtf8(text, code);
  }

  std::string_view source_;
  const std::string& file_;
  const LexerOptions& options_;
  size_t at_ = 0;
  size_t end_ = 0;
  Pos place_;
  std::vector<char> open_;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Tokenize(std::string_view source, const std::string& file, SourcePos first,
                            const LexerOptions& options) {
  return Lexer(source, file, first, options).Run();
}

}  // namespace quern::jinja
