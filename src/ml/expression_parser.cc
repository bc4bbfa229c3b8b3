#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "ml/expression_tree.h"

namespace quern::ml {
namespace {

using Node = Expression::Node;
using Kind = Node::Kind;
using NodePtr = std::shared_ptr<const Node>;

constexpr size_t kMaxTokens = 2'000;
constexpr int kMaxDepth = 100;

bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

struct Token {
  enum class Kind { kEnd, kNumber, kWord, kQuoted, kSign };
  Kind kind = Kind::kEnd;
  std::string text;  // of kQuoted: without quotes
  size_t at = 0;
};

class Parser {
 public:
  Parser(std::string_view text, const SourcePos& pos) : text_(text), pos_(pos) {}

  Result<NodePtr> Parse() {
    QUERN_TRY(Lex());
    if (Here().kind == Token::Kind::kEnd)
      return Fail(ErrorAt(0, "the expression is empty").Hint("write a question such as 'auc < 0.7'"));
    auto root = QUERN_TRY(Or());
    if (Here().kind != Token::Kind::kEnd) return Fail(Unexpected());
    return root;
  }

 private:
  SourcePos PosAt(size_t offset) const {
    const LineColumn place = LineColumnAt(text_, offset);
    SourcePos pos = pos_;
    pos.column = place.line == 1 && pos_.column > 0 ? pos_.column + place.column - 1 : place.column;
    pos.line += place.line - 1;
    return pos;
  }
  Error ErrorAt(size_t offset, std::string message) const {
    return Error(ErrorCode::kExpression, std::move(message)).At(PosAt(offset));
  }

  // ---- words and signs

  Result<void> Lex() {
    size_t i = 0;
    while (i < text_.size()) {
      const char c = text_[i];
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++i;
        continue;
      }
      if (tokens_.size() >= kMaxTokens) return Fail(ErrorAt(i, "the expression is too long"));
      const size_t begin = i;
      if (IsDigit(c) || (c == '.' && i + 1 < text_.size() && IsDigit(text_[i + 1]))) {
        QUERN_TRY(Number(i));
      } else if (IsLetter(c)) {
        while (i < text_.size() && (IsLetter(text_[i]) || IsDigit(text_[i]))) ++i;
        tokens_.push_back({Token::Kind::kWord, std::string(text_.substr(begin, i - begin)), begin});
      } else if (c == '"') {
        QUERN_TRY(Quoted(i));
      } else {
        QUERN_TRY(Sign(i));
      }
    }
    tokens_.push_back({Token::Kind::kEnd, "", text_.size()});
    return {};
  }

  Result<void> Number(size_t& i) {
    const size_t begin = i;
    auto digits = [&] {
      while (i < text_.size() && IsDigit(text_[i])) ++i;
    };
    digits();
    if (i + 1 < text_.size() && text_[i] == '.' && IsDigit(text_[i + 1])) {
      ++i;
      digits();
    }
    if (i < text_.size() && (text_[i] == 'e' || text_[i] == 'E')) {
      size_t after = i + 1;
      if (after < text_.size() && (text_[after] == '-' || text_[after] == '+')) ++after;
      if (after < text_.size() && IsDigit(text_[after])) {
        i = after;
        digits();
      }
    }
    if (i < text_.size() && text_[i] == '.')
      return Fail(ErrorAt(begin, fmt::format("'{}' is no number", text_.substr(begin, i + 1 - begin))));
    tokens_.push_back({Token::Kind::kNumber, std::string(text_.substr(begin, i - begin)), begin});
    return {};
  }

  Result<void> Quoted(size_t& i) {
    const size_t begin = i++;
    std::string name;
    for (;; ++i) {
      if (i >= text_.size()) return Fail(ErrorAt(begin, "a name in quotes does not end").Hint("close it with \""));
      if (text_[i] == '"') {
        if (i + 1 >= text_.size() || text_[i + 1] != '"') break;
        ++i;
      }
      name += text_[i];
    }
    ++i;
    if (name.empty()) return Fail(ErrorAt(begin, "a name in quotes is empty"));
    tokens_.push_back({Token::Kind::kQuoted, std::move(name), begin});
    return {};
  }

  Result<void> Sign(size_t& i) {
    const size_t begin = i;
    for (std::string_view sign : {"<=", ">=", "==", "!=", "<>", "&&", "||"}) {
      if (text_.substr(i, 2) != sign) continue;
      i += 2;
      if (sign == "&&" || sign == "||")
        return Fail(
            ErrorAt(begin, fmt::format("'{}' is not known", sign)).Hint(sign == "&&" ? "write 'and'" : "write 'or'"));
      tokens_.push_back({Token::Kind::kSign, sign == "<>" ? "!=" : std::string(sign), begin});
      return {};
    }
    const char c = text_[i];
    if (c == '=') return Fail(ErrorAt(begin, "a single '='").Hint("write '==' to compare"));
    if (c == '!') return Fail(ErrorAt(begin, "a single '!'").Hint("write 'not', or '!=' to compare"));
    if (std::string_view("<>+-*/().%").find(c) == std::string_view::npos) {
      size_t length = 1;
      while (i + length < text_.size() && (static_cast<unsigned char>(text_[i + length]) & 0xC0) == 0x80) ++length;
      return Fail(ErrorAt(begin, fmt::format("'{}' cannot stand here", text_.substr(i, length)))
                      .Hint(c == '\'' ? "names with other signs than letters, digits and _ go in double quotes" : ""));
    }
    tokens_.push_back({Token::Kind::kSign, std::string(1, c), begin});
    ++i;
    return {};
  }

  // ---- grammar

  const Token& Here() const { return tokens_[at_]; }
  bool IsSign(std::string_view sign) const { return Here().kind == Token::Kind::kSign && Here().text == sign; }
  bool IsWord(std::string_view word) const {
    return Here().kind == Token::Kind::kWord && EqualsIgnoreCase(Here().text, word);
  }
  Error Unexpected() const {
    const Token& token = Here();
    if (token.kind == Token::Kind::kEnd)
      return ErrorAt(token.at, "the expression ends where a value is missing")
          .Hint("a value is a number, a name, a duration or an expression in parentheses");
    Error error = ErrorAt(token.at, fmt::format("'{}' cannot stand here", token.text));
    if (IsSign("<") || IsSign(">") || IsSign("<=") || IsSign(">=") || IsSign("==") || IsSign("!="))
      return std::move(error).Hint("comparisons are joined by 'and': a < b and b < c");
    if (at_ > 0 && tokens_[at_ - 1].kind == Token::Kind::kNumber && token.kind == Token::Kind::kWord)
      return std::move(error).Hint(fmt::format("the units of durations are {}", SpanUnits()));
    if (token.kind == Token::Kind::kWord || token.kind == Token::Kind::kNumber || token.kind == Token::Kind::kQuoted)
      return std::move(error).Hint("an operator is missing before it: and, or, <, <=, >, >=, ==, !=, +, -, *, /");
    return error;
  }

  std::shared_ptr<Node> Make(Kind kind, size_t at) const {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->pos = PosAt(at);
    return node;
  }

  Result<NodePtr> Or() { return Chain(Kind::kOr, "or", &Parser::And); }
  Result<NodePtr> And() { return Chain(Kind::kAnd, "and", &Parser::Not); }
  Result<NodePtr> Chain(Kind kind, std::string_view word, Result<NodePtr> (Parser::*part)()) {
    const size_t at = Here().at;
    auto first = QUERN_TRY((this->*part)());
    if (!IsWord(word)) return first;
    auto node = Make(kind, at);
    node->children.push_back(std::move(first));
    while (IsWord(word)) {
      ++at_;
      node->children.push_back(QUERN_TRY((this->*part)()));
    }
    return NodePtr(std::move(node));
  }

  Result<NodePtr> Not() {
    if (!IsWord("not")) return Comparison();
    auto node = Make(Kind::kNot, Here().at);
    QUERN_TRY(Deeper());
    ++at_;
    node->children.push_back(QUERN_TRY(Not()));
    --depth_;
    return NodePtr(std::move(node));
  }

  Result<NodePtr> Comparison() {
    const size_t at = Here().at;
    auto left = QUERN_TRY(Sum());
    for (std::string_view op : {"<", "<=", ">", ">=", "==", "!="}) {
      if (!IsSign(op)) continue;
      auto node = Make(Kind::kCompare, at);
      node->op = op;
      ++at_;
      auto right = QUERN_TRY(Sum());
      node->children = {std::move(left), std::move(right)};
      return NodePtr(std::move(node));
    }
    return left;
  }

  Result<NodePtr> Sum() { return LeftToRight("+", "-", &Parser::Product); }
  Result<NodePtr> Product() { return LeftToRight("*", "/", &Parser::Negation); }
  Result<NodePtr> LeftToRight(std::string_view a, std::string_view b, Result<NodePtr> (Parser::*part)()) {
    const size_t at = Here().at;
    auto left = QUERN_TRY((this->*part)());
    while (IsSign(a) || IsSign(b)) {
      auto node = Make(Kind::kArithmetic, at);
      node->op = Here().text;
      ++at_;
      auto right = QUERN_TRY((this->*part)());
      node->children = {std::move(left), std::move(right)};
      left = std::move(node);
    }
    return left;
  }

  Result<NodePtr> Negation() {
    if (!IsSign("-")) return Primary();
    auto node = Make(Kind::kNegate, Here().at);
    QUERN_TRY(Deeper());
    ++at_;
    node->children.push_back(QUERN_TRY(Negation()));
    --depth_;
    return NodePtr(std::move(node));
  }

  Result<NodePtr> Primary() {
    const Token token = Here();
    if (IsSign("(")) {
      QUERN_TRY(Deeper());
      ++at_;
      auto inner = QUERN_TRY(Or());
      if (!IsSign(")")) {
        if (Here().kind == Token::Kind::kEnd) return Fail(ErrorAt(token.at, "a parenthesis is not closed"));
        return Fail(Unexpected());
      }
      ++at_;
      --depth_;
      return inner;
    }
    if (token.kind == Token::Kind::kNumber) return Constant();
    if (IsWord("true") || IsWord("false")) {
      auto node = Make(Kind::kTruth, token.at);
      node->truth = IsWord("true");
      node->written = Lower(token.text);
      ++at_;
      return NodePtr(std::move(node));
    }
    const bool keyword = IsWord("and") || IsWord("or") || IsWord("not");
    if (token.kind == Token::Kind::kQuoted || (token.kind == Token::Kind::kWord && !keyword)) return Name();
    return Fail(Unexpected());
  }

  Result<NodePtr> Constant() {
    const Token token = Here();
    auto node = Make(Kind::kNumber, token.at);
    const char* end = token.text.data() + token.text.size();
    if (std::from_chars(token.text.data(), end, node->number).ec != std::errc())
      return Fail(ErrorAt(token.at, fmt::format("the number {} is out of range", token.text)));
    node->written = token.text;
    ++at_;
    if (IsSign("%")) {
      ++at_;
      node->number /= 100;
      node->written += "%";
    } else if (Here().kind == Token::Kind::kWord && SpanOf(1, Here().text)) {
      int64_t count = 0;
      auto parsed = std::from_chars(token.text.data(), end, count);
      auto span = parsed.ec == std::errc() && parsed.ptr == end ? SpanOf(count, Here().text) : std::nullopt;
      if (!span)
        return Fail(ErrorAt(token.at, fmt::format("'{} {}' is no duration", token.text, Here().text))
                        .Hint("write a whole number before the unit"));
      node->kind = Kind::kSpan;
      node->span = *span;
      node->written += " " + Lower(Here().text);
      ++at_;
    }
    return NodePtr(std::move(node));
  }

  Result<NodePtr> Name() {
    auto node = Make(Kind::kName, Here().at);
    for (;;) {
      if (Here().kind != Token::Kind::kWord && Here().kind != Token::Kind::kQuoted) return Fail(Unexpected());
      node->parts.push_back(Here().text);
      ++at_;
      if (!IsSign(".")) break;
      ++at_;
    }
    if (IsSign("("))
      return Fail(
          ErrorAt(Here().at, "there are no functions").Hint("compare values by their names, as in 'auc < 0.7'"));
    return NodePtr(std::move(node));
  }

  Result<void> Deeper() {
    if (++depth_ > kMaxDepth) return Fail(ErrorAt(Here().at, "the expression is nested too deeply"));
    return {};
  }

  std::string_view text_;
  SourcePos pos_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

bool IsPlainName(std::string_view text) {
  if (text.empty() || !IsLetter(text[0])) return false;
  for (char c : text) {
    if (!IsLetter(c) && !IsDigit(c)) return false;
  }
  for (std::string_view keyword : {"and", "or", "not", "true", "false"}) {
    if (EqualsIgnoreCase(text, keyword)) return false;
  }
  return true;
}

Result<Expression> Expression::Parse(std::string_view text, const SourcePos& pos) {
  Expression expression;
  expression.root_ = QUERN_TRY(Parser(text, pos).Parse());
  expression.text_ = Join(SplitWords(text), " ");
  expression.pos_ = pos;
  return expression;
}

}  // namespace quern::ml
