#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/ast.h"
#include "jinja/lexer.h"
#include "jinja/parser.h"
#include "jinja/thrown.h"

namespace quern::jinja {

constexpr int kMaxDepth = 120;      ///< of recursion in the parser: brackets in brackets, blocks in blocks
constexpr int kMaxExprDepth = 300;  ///< of a finished expression (a + b + c + ... is deep to the left)

/// Tokens to expressions; the parser of statements builds on it. Every method throws Thrown (kTemplateSyntax, with
/// place).
class ExpressionParser {
 public:
  ExpressionParser(const Environment::Impl& environment, ParsedTemplate& out, std::vector<Token> tokens)
      : env_(environment), out_(out), tokens_(std::move(tokens)) {}

 protected:
  // --- tokens ------------------------------------------------------------------------------------------------------
  const Token& Current() const { return tokens_[at_]; }
  const Token& Look() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Token& Next() {
    const Token& token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool Is(TokenType type) const { return Current().type == type; }
  bool IsName(std::string_view name) const { return Is(TokenType::kName) && Current().text == name; }
  bool Skip(TokenType type) {
    if (!Is(type)) return false;
    Next();
    return true;
  }
  bool SkipName(std::string_view name) {
    if (!IsName(name)) return false;
    Next();
    return true;
  }
  [[noreturn]] void Fail(Pos pos, std::string message, std::string hint = {}) {
    Error error(ErrorCode::kTemplateSyntax, std::move(message));
    error = std::move(error).At({*out_.file, static_cast<int>(pos.line), static_cast<int>(pos.column)});
    if (!hint.empty()) error = std::move(error).Hint(std::move(hint));
    Throw(std::move(error));
  }
  static std::string Shown(const Token& token) {
    if (token.type == TokenType::kName) return "'" + token.text + "'";
    if (token.type == TokenType::kString) return "string " + Value(token.text).Repr();
    if (token.type == TokenType::kInteger) return fmt::format("'{}'", token.integer);
    return Describe(token.type);
  }
  [[noreturn]] void Unexpected() { Fail(Current().pos, "unexpected " + Shown(Current())); }
  const Token& Expect(TokenType type) {
    if (!Is(type)) Fail(Current().pos, fmt::format("expected {}, got {}", Describe(type), Shown(Current())));
    return Next();
  }
  void ExpectName(std::string_view name) {
    if (!IsName(name)) Fail(Current().pos, fmt::format("expected '{}', got {}", name, Shown(Current())));
    Next();
  }
  struct Level {
    explicit Level(ExpressionParser& p) : parser(p) {
      if (++p.depth_ > kMaxDepth) p.Fail(p.Current().pos, fmt::format("nested more than {} deep", kMaxDepth));
    }
    ~Level() { --parser.depth_; }
    ExpressionParser& parser;
  };
  std::string Source(size_t from, size_t to) const { return out_.source.substr(from, to - from); }

  /// Notes the depth of an expression whose parts are given.
  template <class T, class... Parts>
  std::unique_ptr<T> Deep(std::unique_ptr<T> expr, const Parts&... parts) {
    uint16_t depth = 0;
    ((depth = parts ? std::max(depth, parts->depth) : depth), ...);
    expr->depth = std::max<uint16_t>(expr->depth, static_cast<uint16_t>(depth + 1));
    if (expr->depth > kMaxExprDepth)
      Fail(expr->pos, fmt::format("the expression has more than {} levels", kMaxExprDepth));
    return expr;
  }

  // --- expressions -------------------------------------------------------------------------------------------------
  ExprPtr ParseExpression(bool conditional = true);
  ExprPtr ParseTuple(bool conditional, std::string_view end_name, bool parentheses = false);
  std::unique_ptr<SequenceExpr> DeepItems(std::unique_ptr<SequenceExpr> sequence);
  ExprPtr ParseConditional();
  ExprPtr ParseOr();
  ExprPtr ParseLogical(std::string_view name, ExprKind kind);
  ExprPtr ParseNot();
  std::optional<CompareOp> TakeCompareOp();
  ExprPtr ParseCompare();
  ExprPtr MakeBinary(Pos pos, BinaryOp op, ExprPtr left, ExprPtr right);
  ExprPtr ParseSum();
  ExprPtr ParseConcat();
  ExprPtr ParseProduct();
  ExprPtr ParsePower();
  ExprPtr ParseUnary(bool with_filter = true);
  ExprPtr ParsePrimary();
  ExprPtr ParsePostfix(ExprPtr expr);
  ExprPtr ParseSubscript(ExprPtr object);
  ExprPtr ParseSubscribed();
  Arguments ParseArguments(uint16_t& depth);
  ExprPtr ParseCall(ExprPtr callee);
  ExprPtr ParseFilterOrTest(ExprPtr expr);
  std::string ParseDottedName();
  const NativeFunction* FindFunction(const std::map<std::string, NativeFunction, std::less<>>& functions,
                                     const std::string& name, Pos pos, const char* what);
  ExprPtr ParseFilters(ExprPtr expr, bool inline_start);
  ExprPtr ParseTest(ExprPtr expr);

  const Environment::Impl& env_;
  ParsedTemplate& out_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int branches_ = 0;  // if and conditional expressions around
};

}  // namespace quern::jinja
