#include "jinja/expression_parser.h"

#include <algorithm>

#include "base/text.h"

namespace quern::jinja {

ExprPtr ExpressionParser::ParseExpression(bool conditional) {
  Level level(*this);
  return conditional ? ParseConditional() : ParseOr();
}

ExprPtr ExpressionParser::ParseTuple(bool conditional, std::string_view end_name, bool parentheses) {
  Pos pos = Current().pos;
  auto tuple = std::make_unique<SequenceExpr>(ExprKind::kTuple, pos);
  bool is_tuple = false;
  while (true) {
    if (!tuple->items.empty()) Expect(TokenType::kComma);
    if (Is(TokenType::kVariableEnd) || Is(TokenType::kBlockEnd) || Is(TokenType::kRParen) || Is(TokenType::kEnd) ||
        (!end_name.empty() && IsName(end_name))) {
      break;
    }
    tuple->items.push_back(ParseExpression(conditional));
    if (!Is(TokenType::kComma)) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!tuple->items.empty()) return std::move(tuple->items[0]);
    if (!parentheses) Fail(Current().pos, fmt::format("expected an expression, got {}", Shown(Current())));
  }
  return DeepItems(std::move(tuple));
}

std::unique_ptr<SequenceExpr> ExpressionParser::DeepItems(std::unique_ptr<SequenceExpr> sequence) {
  uint16_t depth = 0;
  for (const auto& item : sequence->items) depth = std::max(depth, item->depth);
  sequence->depth = static_cast<uint16_t>(depth + 1);
  return Deep(std::move(sequence));
}

ExprPtr ExpressionParser::ParseConditional() {
  Pos pos = Current().pos;
  auto expr = ParseOr();
  while (SkipName("if")) {
    auto conditional = std::make_unique<ConditionalExpr>(pos);
    ++branches_;
    conditional->condition = ParseOr();
    conditional->then = std::move(expr);
    if (SkipName("else")) {
      Level level(*this);
      conditional->otherwise = ParseConditional();
    }
    --branches_;
    auto* c = conditional.get();
    expr = Deep(std::move(conditional), c->condition, c->then, c->otherwise);
  }
  return expr;
}

ExprPtr ExpressionParser::ParseOr() {
  return ParseLogical("or", ExprKind::kOr);
}

ExprPtr ExpressionParser::ParseLogical(std::string_view name, ExprKind kind) {
  Pos pos = Current().pos;
  auto next = [&] { return kind == ExprKind::kOr ? ParseLogical("and", ExprKind::kAnd) : ParseNot(); };
  auto left = next();
  while (SkipName(name)) {
    auto right = next();
    auto expr = std::make_unique<BinaryExpr>(kind, pos, std::move(left), std::move(right));
    auto* e = expr.get();
    left = Deep(std::move(expr), e->left, e->right);
  }
  return left;
}

ExprPtr ExpressionParser::ParseNot() {
  if (!IsName("not")) return ParseCompare();
  Level level(*this);
  Pos pos = Next().pos;
  auto expr = std::make_unique<UnaryExpr>(ExprKind::kNot, pos, ParseNot());
  auto* e = expr.get();
  return Deep(std::move(expr), e->operand);
}

std::optional<CompareOp> ExpressionParser::TakeCompareOp() {
  switch (Current().type) {
    case TokenType::kEq:
      Next();
      return CompareOp::kEq;
    case TokenType::kNe:
      Next();
      return CompareOp::kNe;
    case TokenType::kLt:
      Next();
      return CompareOp::kLt;
    case TokenType::kLe:
      Next();
      return CompareOp::kLe;
    case TokenType::kGt:
      Next();
      return CompareOp::kGt;
    case TokenType::kGe:
      Next();
      return CompareOp::kGe;
    default:
      break;
  }
  if (SkipName("in")) return CompareOp::kIn;
  if (IsName("not") && Look().type == TokenType::kName && Look().text == "in") {
    Next();
    Next();
    return CompareOp::kNotIn;
  }
  return std::nullopt;
}

ExprPtr ExpressionParser::ParseCompare() {
  auto first = ParseSum();
  Pos pos = Current().pos;
  auto op = TakeCompareOp();
  if (!op) return first;
  auto expr = std::make_unique<CompareExpr>(pos);
  uint16_t depth = first->depth;
  expr->first = std::move(first);
  while (op) {
    auto right = ParseSum();
    depth = std::max(depth, right->depth);
    expr->rest.emplace_back(*op, std::move(right));
    op = TakeCompareOp();
  }
  expr->depth = static_cast<uint16_t>(depth + 1);
  return Deep(std::move(expr));
}

ExprPtr ExpressionParser::MakeBinary(Pos pos, BinaryOp op, ExprPtr left, ExprPtr right) {
  auto expr = std::make_unique<BinaryExpr>(ExprKind::kBinary, pos, std::move(left), std::move(right));
  expr->op = op;
  auto* e = expr.get();
  return Deep(std::move(expr), e->left, e->right);
}

ExprPtr ExpressionParser::ParseSum() {
  auto left = ParseConcat();
  while (Is(TokenType::kAdd) || Is(TokenType::kSub)) {
    const Token& op = Next();
    auto right = ParseConcat();
    left = MakeBinary(op.pos, op.type == TokenType::kAdd ? BinaryOp::kAdd : BinaryOp::kSubtract, std::move(left),
                      std::move(right));
  }
  return left;
}

ExprPtr ExpressionParser::ParseConcat() {
  auto first = ParseProduct();
  if (!Is(TokenType::kTilde)) return first;
  auto expr = std::make_unique<SequenceExpr>(ExprKind::kConcat, Current().pos);
  expr->items.push_back(std::move(first));
  while (Skip(TokenType::kTilde)) expr->items.push_back(ParseProduct());
  return DeepItems(std::move(expr));
}

ExprPtr ExpressionParser::ParseProduct() {
  auto left = ParsePower();
  while (true) {
    BinaryOp op;
    switch (Current().type) {
      case TokenType::kMul:
        op = BinaryOp::kMultiply;
        break;
      case TokenType::kDiv:
        op = BinaryOp::kDivide;
        break;
      case TokenType::kFloorDiv:
        op = BinaryOp::kFloorDivide;
        break;
      case TokenType::kMod:
        op = BinaryOp::kModulo;
        break;
      default:
        return left;
    }
    Pos pos = Next().pos;
    auto right = ParsePower();
    left = MakeBinary(pos, op, std::move(left), std::move(right));
  }
}

ExprPtr ExpressionParser::ParsePower() {
  auto left = ParseUnary();
  while (Is(TokenType::kPow)) {
    Pos pos = Next().pos;
    auto right = ParseUnary();
    left = MakeBinary(pos, BinaryOp::kPower, std::move(left), std::move(right));
  }
  return left;
}

ExprPtr ExpressionParser::ParseUnary(bool with_filter) {
  ExprPtr expr;
  if (Is(TokenType::kSub) || Is(TokenType::kAdd)) {
    Level level(*this);
    const Token& op = Next();
    auto unary = std::make_unique<UnaryExpr>(op.type == TokenType::kSub ? ExprKind::kNegate : ExprKind::kPositive,
                                             op.pos, ParseUnary(false));
    auto* u = unary.get();
    expr = Deep(std::move(unary), u->operand);
  } else {
    expr = ParsePrimary();
  }
  expr = ParsePostfix(std::move(expr));
  if (with_filter) expr = ParseFilterOrTest(std::move(expr));
  return expr;
}

ExprPtr ExpressionParser::ParsePrimary() {
  const Token& token = Current();
  switch (token.type) {
    case TokenType::kName: {
      Next();
      const std::string& name = token.text;
      if (name == "true" || name == "True") return std::make_unique<ConstExpr>(token.pos, Value(true));
      if (name == "false" || name == "False") return std::make_unique<ConstExpr>(token.pos, Value(false));
      if (name == "none" || name == "None") return std::make_unique<ConstExpr>(token.pos, Value());
      static constexpr std::string_view kReserved[] = {"not", "and", "or", "in", "is", "if", "else"};
      for (auto reserved : kReserved) {
        if (name == reserved) Fail(token.pos, fmt::format("unexpected '{}'", name));
      }
      return std::make_unique<NameExpr>(token.pos, name);
    }
    case TokenType::kString: {
      std::string text = Next().text;
      while (Is(TokenType::kString)) text += Next().text;
      return std::make_unique<ConstExpr>(token.pos, Value(std::move(text)));
    }
    case TokenType::kInteger:
      Next();
      return std::make_unique<ConstExpr>(token.pos, Value(token.integer));
    case TokenType::kFloat:
      Next();
      return std::make_unique<ConstExpr>(token.pos, Value(token.number));
    case TokenType::kLParen: {
      Next();
      auto expr = ParseTuple(true, {}, true);
      Expect(TokenType::kRParen);
      return expr;
    }
    case TokenType::kLBracket: {
      Next();
      auto list = std::make_unique<SequenceExpr>(ExprKind::kList, token.pos);
      while (!Is(TokenType::kRBracket)) {
        if (!list->items.empty()) Expect(TokenType::kComma);
        if (Is(TokenType::kRBracket)) break;
        list->items.push_back(ParseExpression());
      }
      Expect(TokenType::kRBracket);
      return DeepItems(std::move(list));
    }
    case TokenType::kLBrace: {
      Next();
      auto dict = std::make_unique<DictExpr>(token.pos);
      uint16_t depth = 0;
      while (!Is(TokenType::kRBrace)) {
        if (!dict->entries.empty()) Expect(TokenType::kComma);
        if (Is(TokenType::kRBrace)) break;
        auto key = ParseExpression();
        Expect(TokenType::kColon);
        auto value = ParseExpression();
        depth = std::max({depth, key->depth, value->depth});
        dict->entries.emplace_back(std::move(key), std::move(value));
      }
      Expect(TokenType::kRBrace);
      dict->depth = static_cast<uint16_t>(depth + 1);
      return Deep(std::move(dict));
    }
    default:
      Unexpected();
  }
}

ExprPtr ExpressionParser::ParsePostfix(ExprPtr expr) {
  while (true) {
    if (Is(TokenType::kDot) || Is(TokenType::kLBracket)) {
      expr = ParseSubscript(std::move(expr));
    } else if (Is(TokenType::kLParen)) {
      expr = ParseCall(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr ExpressionParser::ParseSubscript(ExprPtr object) {
  const Token& token = Next();
  if (token.type == TokenType::kDot) {
    const Token& name = Next();
    if (name.type == TokenType::kName) {
      auto expr = std::make_unique<AttributeExpr>(name.pos, std::move(object), name.text);
      auto* e = expr.get();
      return Deep(std::move(expr), e->object);
    }
    if (name.type != TokenType::kInteger)
      Fail(name.pos, fmt::format("expected a name or number after '.', got {}", Shown(name)));
    auto expr = std::make_unique<ItemExpr>(name.pos, std::move(object),
                                           std::make_unique<ConstExpr>(name.pos, Value(name.integer)));
    auto* e = expr.get();
    return Deep(std::move(expr), e->object);
  }
  std::vector<ExprPtr> keys;
  while (!Is(TokenType::kRBracket)) {
    if (!keys.empty()) Expect(TokenType::kComma);
    keys.push_back(ParseSubscribed());
  }
  Expect(TokenType::kRBracket);
  ExprPtr key;
  if (keys.size() == 1) {
    key = std::move(keys[0]);
  } else {
    auto tuple = std::make_unique<SequenceExpr>(ExprKind::kTuple, token.pos);
    tuple->items = std::move(keys);
    for (const auto& item : tuple->items) {
      if (item->kind == ExprKind::kSlice) Fail(item->pos, "a slice cannot be part of a tuple");
    }
    key = DeepItems(std::move(tuple));
  }
  auto expr = std::make_unique<ItemExpr>(token.pos, std::move(object), std::move(key));
  auto* e = expr.get();
  return Deep(std::move(expr), e->object, e->key);
}

ExprPtr ExpressionParser::ParseSubscribed() {
  Pos pos = Current().pos;
  ExprPtr start;
  if (!Is(TokenType::kColon)) {
    start = ParseExpression();
    if (!Is(TokenType::kColon)) return start;
  }
  Next();
  auto slice = std::make_unique<SliceExpr>(pos);
  slice->start = std::move(start);
  auto ends = [&] { return Is(TokenType::kRBracket) || Is(TokenType::kComma); };
  if (!Is(TokenType::kColon) && !ends()) slice->stop = ParseExpression();
  if (Skip(TokenType::kColon) && !ends()) slice->step = ParseExpression();
  auto* s = slice.get();
  return Deep(std::move(slice), s->start, s->stop, s->step);
}

Arguments ExpressionParser::ParseArguments(uint16_t& depth) {
  Level level(*this);
  Arguments args;
  Pos pos = Expect(TokenType::kLParen).pos;
  bool comma = false;
  auto ensure = [&](bool condition) {
    if (!condition) Fail(pos, "invalid syntax for function call expression");
  };
  auto parse = [&] {
    auto expr = ParseExpression();
    depth = std::max(depth, expr->depth);
    return expr;
  };
  while (!Is(TokenType::kRParen)) {
    if (comma) {
      Expect(TokenType::kComma);
      if (Is(TokenType::kRParen)) break;
    }
    if (Skip(TokenType::kMul)) {
      ensure(!args.star && !args.star_star);
      args.star = parse();
    } else if (Skip(TokenType::kPow)) {
      ensure(!args.star_star);
      args.star_star = parse();
    } else if (Is(TokenType::kName) && Look().type == TokenType::kAssign) {
      ensure(!args.star_star);
      const Token& name = Next();
      for (const auto& [other, value] : args.keywords) {
        if (other == name.text) Fail(name.pos, fmt::format("the keyword argument '{}' is there twice", name.text));
      }
      Next();
      args.keywords.emplace_back(name.text, parse());
    } else {
      ensure(!args.star && !args.star_star && args.keywords.empty());
      args.positional.push_back(parse());
    }
    comma = true;
  }
  Expect(TokenType::kRParen);
  return args;
}

ExprPtr ExpressionParser::ParseCall(ExprPtr callee) {
  Pos pos = callee->pos;
  auto call = std::make_unique<CallExpr>(pos, std::move(callee));
  uint16_t depth = call->callee->depth;
  call->args = ParseArguments(depth);
  call->depth = static_cast<uint16_t>(depth + 1);
  return Deep(std::move(call));
}

ExprPtr ExpressionParser::ParseFilterOrTest(ExprPtr expr) {
  while (true) {
    if (Is(TokenType::kPipe)) {
      expr = ParseFilters(std::move(expr), false);
    } else if (IsName("is")) {
      expr = ParseTest(std::move(expr));
    } else if (Is(TokenType::kLParen)) {
      expr = ParseCall(std::move(expr));
    } else {
      return expr;
    }
  }
}

std::string ExpressionParser::ParseDottedName() {
  std::string name = Expect(TokenType::kName).text;
  while (Skip(TokenType::kDot)) name += "." + Expect(TokenType::kName).text;
  return name;
}

const NativeFunction* ExpressionParser::FindFunction(
    const std::map<std::string, NativeFunction, std::less<>>& functions, const std::string& name, Pos pos,
    const char* what) {
  auto found = functions.find(name);
  if (found != functions.end()) return &found->second;
  // As Jinja2: in a branch, only an error when it runs.
  if (branches_ > 0) return nullptr;
  std::vector<std::string> names;
  for (const auto& [known, function] : functions) names.push_back(known);
  Fail(pos, fmt::format("no {} named '{}'", what, name), DidYouMean(name, names));
}

ExprPtr ExpressionParser::ParseFilters(ExprPtr expr, bool inline_start) {
  while (Is(TokenType::kPipe) || inline_start) {
    if (!inline_start) Next();
    inline_start = false;
    auto filter = std::make_unique<FilterExpr>(ExprKind::kFilter, Current().pos);
    filter->name = ParseDottedName();
    filter->function = FindFunction(env_.filters, filter->name, filter->pos, "filter");
    uint16_t depth = expr ? expr->depth : 0;
    if (Is(TokenType::kLParen)) filter->args = ParseArguments(depth);
    filter->input = std::move(expr);
    filter->depth = static_cast<uint16_t>(depth + 1);
    expr = Deep(std::move(filter));
  }
  return expr;
}

ExprPtr ExpressionParser::ParseTest(ExprPtr expr) {
  Next();
  Pos not_pos = Current().pos;
  bool negated = SkipName("not");
  auto test = std::make_unique<FilterExpr>(ExprKind::kTest, Current().pos);
  test->name = ParseDottedName();
  test->function = FindFunction(env_.tests, test->name, test->pos, "test");
  uint16_t depth = expr->depth;
  if (Is(TokenType::kLParen)) {
    test->args = ParseArguments(depth);
  } else if ((Is(TokenType::kName) && !IsName("else") && !IsName("or") && !IsName("and")) || Is(TokenType::kString) ||
             Is(TokenType::kInteger) || Is(TokenType::kFloat) || Is(TokenType::kLBracket) || Is(TokenType::kLBrace)) {
    if (IsName("is")) Fail(Current().pos, "You cannot chain multiple tests with is");
    if (!IsName("if") && !IsName("in") && !IsName("not") && !IsName("recursive")) {
      auto argument = ParsePostfix(ParsePrimary());
      depth = std::max(depth, argument->depth);
      test->args.positional.push_back(std::move(argument));
    }
  }
  test->input = std::move(expr);
  test->depth = static_cast<uint16_t>(depth + 1);
  ExprPtr result = Deep(std::move(test));
  if (negated) {
    auto negation = std::make_unique<UnaryExpr>(ExprKind::kNot, not_pos, std::move(result));
    auto* n = negation.get();
    result = Deep(std::move(negation), n->operand);
  }
  return result;
}

}  // namespace quern::jinja
