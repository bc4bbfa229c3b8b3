#include "jinja/parser.h"

#include <algorithm>

#include "base/text.h"
#include "jinja/lexer.h"
#include "jinja/thrown.h"

namespace quern::jinja {
namespace {

constexpr int kMaxDepth = 120;      // of recursion in this parser: brackets in brackets, blocks in blocks
constexpr int kMaxExprDepth = 300;  // of a finished expression (a + b + c + ... is deep to the left)
constexpr size_t kMaxSlots = 60000;

class Parser {
 public:
  Parser(const Environment::Impl& environment, ParsedTemplate& out, std::vector<Token> tokens)
      : env_(environment), out_(out), tokens_(std::move(tokens)) {}

  void ParseTemplate() {
    out_.body = ParseBody({});
    if (Current().type != TokenType::kEnd) Unexpected();
  }
  void ParseExpressionOnly() {
    Pos pos = Current().pos;
    auto expr = ParseTuple(true, {});
    if (Current().type != TokenType::kEnd) Unexpected();
    out_.is_expression = true;
    out_.body.push_back(std::make_unique<ExprStmt>(StmtKind::kOutput, pos, std::move(expr)));
  }

 private:
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
    explicit Level(Parser& p) : parser(p) {
      if (++p.depth_ > kMaxDepth) p.Fail(p.Current().pos, fmt::format("nested more than {} deep", kMaxDepth));
    }
    ~Level() { --parser.depth_; }
    Parser& parser;
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

  // --- statements --------------------------------------------------------------------------------------------------
  /// Until a tag of that name, which is not taken: the current token is its name then.
  Body ParseBody(const std::vector<std::string_view>& ends, const Token* opened = nullptr) {
    Level level(*this);
    Body body;
    while (true) {
      const Token& token = Current();
      switch (token.type) {
        case TokenType::kData:
          body.push_back(std::make_unique<TextStmt>(token.pos, token.text));
          Next();
          break;
        case TokenType::kVariableBegin: {
          Pos pos = token.pos;
          Next();
          auto expr = ParseTuple(true, {});
          Expect(TokenType::kVariableEnd);
          body.push_back(std::make_unique<ExprStmt>(StmtKind::kOutput, pos, std::move(expr)));
          break;
        }
        case TokenType::kBlockBegin: {
          Pos pos = token.pos;
          Next();
          if (Is(TokenType::kName) && std::find(ends.begin(), ends.end(), Current().text) != ends.end()) return body;
          if (auto stmt = ParseStatement(pos)) body.push_back(std::move(stmt));
          break;
        }
        default:
          if (!ends.empty()) {
            std::string expected;
            for (auto end : ends) expected += (expected.empty() ? "'" : " or '") + std::string(end) + "'";
            if (opened) Fail(opened->pos, fmt::format("'{}' is not closed: expected {}", opened->text, expected));
            Fail(Current().pos, fmt::format("unexpected {}, expected {}", Shown(Current()), expected));
          }
          return body;
      }
    }
  }
  /// A body up to one end tag, which is taken to its '%}'.
  Body ParseBodyToEnd(std::string_view end, const Token& opened) {
    Token copy = opened;
    Body body = ParseBody({end}, &copy);
    Next();
    return body;
  }

  StmtPtr ParseStatement(Pos pos) {
    if (!Is(TokenType::kName)) Fail(Current().pos, "expected the name of a tag, got " + Shown(Current()));
    const Token tag = Current();
    const std::string& name = tag.text;
    StmtPtr stmt;
    if (name == "set") {
      Next();
      stmt = ParseSet(pos, tag);
    } else if (name == "if") {
      Next();
      return ParseIf(pos, tag);
    } else if (name == "for") {
      Next();
      return ParseFor(pos, tag);
    } else if (name == "macro") {
      Next();
      stmt = ParseMacro(pos, tag);
    } else if (name == "do") {
      Next();
      stmt = std::make_unique<ExprStmt>(StmtKind::kDo, tag.pos, ParseTuple(true, {}));
    } else if (name == "call") {
      Next();
      stmt = ParseCallBlock(pos, tag);
    } else if (name == "filter") {
      Next();
      auto block = std::make_unique<ScopedStmt>(StmtKind::kFilterBlock, pos);
      block->filter = ParseFilters(nullptr, true);
      Expect(TokenType::kBlockEnd);
      block->body = ParseBodyToEnd("endfilter", tag);
      stmt = std::move(block);
    } else if (name == "with") {
      Next();
      auto block = std::make_unique<ScopedStmt>(StmtKind::kWith, pos);
      while (!Is(TokenType::kBlockEnd)) {
        if (!block->assignments.empty()) Expect(TokenType::kComma);
        Target target = ParseTarget(true, false, {});
        Expect(TokenType::kAssign);
        block->assignments.emplace_back(std::move(target), ParseExpression());
      }
      Expect(TokenType::kBlockEnd);
      block->body = ParseBodyToEnd("endwith", tag);
      stmt = std::move(block);
    } else if (name == "break" || name == "continue") {
      Next();
      if (loops_ == 0) Fail(tag.pos, fmt::format("'{}' is outside of a loop", name));
      stmt = std::make_unique<Stmt>(name == "break" ? StmtKind::kBreak : StmtKind::kContinue, pos);
    } else if (name == "include" || name == "import" || name == "from") {
      Next();
      stmt = ParseImport(pos, name);
    } else if (name == "extends" || name == "block" || name == "autoescape" || name == "trans") {
      Fail(tag.pos, fmt::format("the tag '{}' is not supported", name),
           name == "autoescape" ? "output is never escaped" : "macros and include are");
    } else if (const BlockTag* block_tag = FindBlockTag(name)) {
      Next();
      ParseBlockTag(pos, tag, *block_tag);
    } else {
      UnknownTag(tag);
    }
    Expect(TokenType::kBlockEnd);
    return stmt;
  }

  const BlockTag* FindBlockTag(std::string_view name) const {
    for (const auto& tag : env_.options.block_tags) {
      if (tag.tag == name) return &tag;
    }
    return nullptr;
  }

  [[noreturn]] void UnknownTag(const Token& tag) {
    std::vector<std::string> known = {"set",     "if",        "for",     "macro",    "do",      "call",
                                      "filter",  "with",      "break",   "continue", "include", "import",
                                      "from",    "raw",       "endset",  "endif",    "endfor",  "endmacro",
                                      "endcall", "endfilter", "endwith", "elif",     "else"};
    for (const auto& block : env_.options.block_tags) {
      known.push_back(block.tag);
      known.push_back(block.end_tag);
    }
    if (std::find(known.begin(), known.end(), tag.text) != known.end()) {
      Fail(tag.pos, fmt::format("unexpected '{}': no block of its kind is open here", tag.text));
    }
    Fail(tag.pos, fmt::format("unknown tag '{}'", tag.text), DidYouMean(tag.text, known));
  }

  StmtPtr ParseSet(Pos pos, const Token& tag) {
    Target target = ParseTarget(true, true, {});
    if (Skip(TokenType::kAssign)) {
      auto set = std::make_unique<SetStmt>(pos);
      set->target = std::move(target);
      set->value = ParseTuple(true, {});
      return set;
    }
    auto block = std::make_unique<ScopedStmt>(StmtKind::kSetBlock, pos);
    block->target = std::move(target);
    if (Is(TokenType::kPipe)) block->filter = ParseFilters(nullptr, false);
    Expect(TokenType::kBlockEnd);
    block->body = ParseBodyToEnd("endset", tag);
    return block;
  }

  /// A place to store to. `tuples`: a, b too; `attributes`: ns.name too.
  Target ParseTarget(bool tuples, bool attributes, std::string_view end_name) {
    Target first = ParseSimpleTarget(attributes);
    if (!tuples || !Is(TokenType::kComma)) return first;
    Target tuple;
    tuple.pos = first.pos;
    tuple.is_tuple = true;
    tuple.elements.push_back(std::move(first));
    while (Skip(TokenType::kComma)) {
      if (Is(TokenType::kAssign) || Is(TokenType::kBlockEnd) || (!end_name.empty() && IsName(end_name))) break;
      tuple.elements.push_back(ParseSimpleTarget(attributes));
    }
    return tuple;
  }
  Target ParseSimpleTarget(bool attributes) {
    Level level(*this);
    Target target;
    target.pos = Current().pos;
    if (Skip(TokenType::kLParen)) {
      target = ParseTarget(true, attributes, {});
      Expect(TokenType::kRParen);
      return target;
    }
    const Token& name = Expect(TokenType::kName);
    target.name = name.text;
    CheckAssignable(name);
    if (attributes && Skip(TokenType::kDot)) target.attribute = Expect(TokenType::kName).text;
    return target;
  }
  void CheckAssignable(const Token& name) {
    static constexpr std::string_view kReserved[] = {"true", "false", "none", "True", "False", "None", "not",
                                                     "and",  "or",    "in",   "is",   "if",    "else"};
    for (auto reserved : kReserved) {
      if (name.text == reserved) Fail(name.pos, fmt::format("can't assign to '{}'", name.text));
    }
  }

  StmtPtr ParseIf(Pos pos, Token tag) {
    auto stmt = std::make_unique<IfStmt>(pos);
    ++branches_;
    while (true) {
      auto condition = ParseTuple(false, {});
      Expect(TokenType::kBlockEnd);
      Body body = ParseBody({"elif", "else", "endif"}, &tag);
      stmt->branches.emplace_back(std::move(condition), std::move(body));
      const Token& end = Next();
      if (end.text == "elif") continue;
      if (end.text == "else") {
        Expect(TokenType::kBlockEnd);
        stmt->otherwise = ParseBody({"endif"}, &tag);
        Next();
      }
      break;
    }
    Expect(TokenType::kBlockEnd);
    --branches_;
    return stmt;
  }

  StmtPtr ParseFor(Pos pos, Token tag) {
    auto stmt = std::make_unique<ForStmt>(pos);
    stmt->target = ParseTarget(true, false, "in");
    ExpectName("in");
    stmt->iterable = ParseTuple(false, "recursive");
    if (SkipName("if")) stmt->filter = ParseExpression();
    stmt->recursive = SkipName("recursive");
    Expect(TokenType::kBlockEnd);
    ++loops_;
    stmt->body = ParseBody({"endfor", "else"}, &tag);
    --loops_;
    if (Next().text == "else") {
      Expect(TokenType::kBlockEnd);
      stmt->otherwise = ParseBody({"endfor"}, &tag);
      Next();
    }
    Expect(TokenType::kBlockEnd);
    return stmt;
  }

  std::vector<MacroParameter> ParseSignature() {
    std::vector<MacroParameter> parameters;
    Expect(TokenType::kLParen);
    bool defaults = false;
    while (!Is(TokenType::kRParen)) {
      if (!parameters.empty()) {
        Expect(TokenType::kComma);
        if (Is(TokenType::kRParen)) break;
      }
      MacroParameter parameter;
      parameter.pos = Current().pos;
      const Token& name = Expect(TokenType::kName);
      CheckAssignable(name);
      parameter.name = name.text;
      for (const auto& other : parameters) {
        if (other.name == parameter.name)
          Fail(parameter.pos, fmt::format("the parameter '{}' is there twice", parameter.name));
      }
      if (Skip(TokenType::kAssign)) {
        size_t from = Current().pos.offset;
        parameter.default_value = ParseExpression();
        parameter.default_text = Source(from, tokens_[at_ - 1].end);
        defaults = true;
      } else if (defaults) {
        Fail(parameter.pos, "non-default argument follows default argument");
      }
      parameters.push_back(std::move(parameter));
    }
    Expect(TokenType::kRParen);
    return parameters;
  }

  /// The body of a macro or caller: loops outside of it are not its own.
  void ParseMacroBody(MacroNode& macro, std::string_view end, const Token& tag) {
    int loops = std::exchange(loops_, 0);
    macro_depth_++;
    macro.body = ParseBodyToEnd(end, tag);
    macro_depth_--;
    loops_ = loops;
  }

  Block StartBlock(const Token& tag, Pos pos) {
    Block block;
    block.tag = tag.text;
    block.pos = Place(pos);
    return block;
  }
  SourcePos Place(Pos pos) const { return {*out_.file, static_cast<int>(pos.line), static_cast<int>(pos.column)}; }

  /// `header_end` is the index of the header's '%}'; the current token is that of the end tag's '%}'.
  void FinishBlock(ParsedBlock parsed, const std::vector<MacroParameter>& parameters, Pos pos, size_t header_end) {
    Block& block = parsed.block;
    // the end tag is: '{%' name '%}'
    size_t body_from = BodyStart(header_end);
    size_t body_to = tokens_[at_ - 2].pos.offset;
    block.body = Source(body_from, std::max(body_from, body_to));
    block.body_pos = PlaceOfOffset(body_from, tokens_[header_end]);
    block.text = Source(pos.offset, Current().end);
    for (const auto& parameter : parameters) {
      block.parameters.push_back({parameter.name, parameter.default_value != nullptr, parameter.default_text});
    }
    block.index = parsed.node ? static_cast<int>(out_.blocks.size()) : -1;
    out_.blocks.push_back(std::move(parsed));
  }
  size_t BodyStart(size_t header_end) const { return tokens_[header_end].end; }
  /// The place right behind a token of one line ("%}").
  SourcePos PlaceOfOffset(size_t offset, const Token& token) const {
    SourcePos place = Place(token.pos);
    place.column += static_cast<int>(offset - token.pos.offset);
    return place;
  }

  StmtPtr ParseMacro(Pos pos, const Token& tag) {
    auto stmt = std::make_unique<MacroStmt>(pos);
    MacroNode& macro = stmt->macro;
    macro.pos = pos;
    macro.name_pos = Current().pos;
    const Token& name = Expect(TokenType::kName);
    CheckAssignable(name);
    macro.name = name.text;
    macro.parameters = ParseSignature();
    size_t header_end = at_;
    Expect(TokenType::kBlockEnd);
    bool top_level = macro_depth_ == 0 && loops_ == 0 && branches_ == 0;
    ParseMacroBody(macro, "endmacro", tag);
    if (top_level && Is(TokenType::kBlockEnd)) {
      ParsedBlock parsed{StartBlock(tag, pos), nullptr, &macro};
      parsed.block.name = macro.name;
      parsed.block.name_pos = Place(macro.name_pos);
      FinishBlock(std::move(parsed), macro.parameters, pos, header_end);
    }
    return stmt;
  }

  void ParseBlockTag(Pos pos, const Token& tag, const BlockTag& block_tag) {
    if (macro_depth_ > 0 || loops_ > 0 || branches_ > 0) {
      Fail(tag.pos, fmt::format("the block '{}' must stand at the top level of the file", tag.text));
    }
    ParsedBlock parsed{StartBlock(tag, pos), nullptr, nullptr};
    Block& block = parsed.block;
    block.name_pos = Place(Current().pos);
    block.name = Expect(TokenType::kName).text;
    std::vector<MacroParameter> parameters;
    if (block_tag.header == BlockHeader::kSignature) {
      parameters = ParseSignature();
    } else if (block_tag.header == BlockHeader::kOptions) {
      while (Skip(TokenType::kComma)) {
        std::string option = Expect(TokenType::kName).text;
        Value value(true);
        if (Skip(TokenType::kAssign)) {
          Pos at = Current().pos;
          size_t from = at.offset;
          ParseExpression();
          auto literal = LiteralEval(Source(from, tokens_[at_ - 1].end));
          if (!literal) Fail(at, fmt::format("the option '{}' must be a literal", option));
          value = *std::move(literal);
        }
        block.options.emplace_back(std::move(option), std::move(value));
      }
    }
    size_t header_end = at_;
    Expect(TokenType::kBlockEnd);
    if (block_tag.body == BlockBody::kRaw) {
      Expect(TokenType::kRawBody);
      Expect(TokenType::kBlockBegin);
      ExpectName(block_tag.end_tag);
    } else {
      parsed.macro = std::make_unique<MacroNode>();
      parsed.macro->pos = pos;
      parsed.macro->name_pos = pos;
      parsed.macro->name = block.name;
      ParseMacroBody(*parsed.macro, block_tag.end_tag, tag);
      parsed.node = parsed.macro.get();
    }
    if (!Is(TokenType::kBlockEnd))
      Fail(Current().pos, fmt::format("expected end of '{}', got {}", block_tag.end_tag, Shown(Current())));
    FinishBlock(std::move(parsed), parameters, pos, header_end);
    if (out_.blocks.back().macro) out_.blocks.back().macro->parameters = std::move(parameters);
  }

  StmtPtr ParseCallBlock(Pos pos, const Token& tag) {
    auto stmt = std::make_unique<CallBlockStmt>(pos);
    stmt->caller.pos = pos;
    stmt->caller.name_pos = tag.pos;
    stmt->caller.name = "caller";
    stmt->caller.is_caller = true;
    if (Is(TokenType::kLParen)) stmt->caller.parameters = ParseSignature();
    Pos call_pos = Current().pos;
    stmt->call = ParseExpression();
    if (stmt->call->kind != ExprKind::kCall) Fail(call_pos, "expected a call");
    Expect(TokenType::kBlockEnd);
    ParseMacroBody(stmt->caller, "endcall", tag);
    return stmt;
  }

  StmtPtr ParseImport(Pos pos, const std::string& tag) {
    StmtKind kind = tag == "include" ? StmtKind::kInclude : tag == "import" ? StmtKind::kImport : StmtKind::kFromImport;
    if (!env_.options.loader) Fail(pos, fmt::format("'{}' is not possible here: there is no template loader", tag));
    auto stmt = std::make_unique<ImportStmt>(kind, pos);
    stmt->name = ParseExpression();
    stmt->with_context = kind == StmtKind::kInclude;
    auto context = [&] {
      if ((IsName("with") || IsName("without")) && Look().type == TokenType::kName && Look().text == "context") {
        stmt->with_context = Next().text == "with";
        Next();
        return true;
      }
      return false;
    };
    if (kind == StmtKind::kInclude) {
      if (IsName("ignore") && Look().text == "missing") {
        stmt->ignore_missing = true;
        Next();
        Next();
      }
      context();
    } else if (kind == StmtKind::kImport) {
      ExpectName("as");
      stmt->target = ParseTarget(false, false, {});
      context();
    } else {
      ExpectName("import");
      while (true) {
        if (context() || Is(TokenType::kBlockEnd)) break;
        const Token& name = Expect(TokenType::kName);
        Target target;
        target.pos = name.pos;
        target.name = name.text;
        std::string from = name.text;
        if (from.starts_with("_")) Fail(name.pos, "names that begin with '_' cannot be imported");
        if (SkipName("as")) target = ParseTarget(false, false, {});
        stmt->names.emplace_back(std::move(from), std::move(target));
        if (context() || !Skip(TokenType::kComma)) break;
      }
      if (stmt->names.empty()) Fail(Current().pos, "expected a name to import");
    }
    return stmt;
  }

  // --- expressions -------------------------------------------------------------------------------------------------
  ExprPtr ParseExpression(bool conditional = true) {
    Level level(*this);
    return conditional ? ParseConditional() : ParseOr();
  }

  ExprPtr ParseTuple(bool conditional, std::string_view end_name, bool parentheses = false) {
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
  std::unique_ptr<SequenceExpr> DeepItems(std::unique_ptr<SequenceExpr> sequence) {
    uint16_t depth = 0;
    for (const auto& item : sequence->items) depth = std::max(depth, item->depth);
    sequence->depth = static_cast<uint16_t>(depth + 1);
    return Deep(std::move(sequence));
  }

  ExprPtr ParseConditional() {
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
  ExprPtr ParseOr() { return ParseLogical("or", ExprKind::kOr); }
  ExprPtr ParseLogical(std::string_view name, ExprKind kind) {
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
  ExprPtr ParseNot() {
    if (!IsName("not")) return ParseCompare();
    Level level(*this);
    Pos pos = Next().pos;
    auto expr = std::make_unique<UnaryExpr>(ExprKind::kNot, pos, ParseNot());
    auto* e = expr.get();
    return Deep(std::move(expr), e->operand);
  }
  std::optional<CompareOp> TakeCompareOp() {
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
  ExprPtr ParseCompare() {
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
  ExprPtr MakeBinary(Pos pos, BinaryOp op, ExprPtr left, ExprPtr right) {
    auto expr = std::make_unique<BinaryExpr>(ExprKind::kBinary, pos, std::move(left), std::move(right));
    expr->op = op;
    auto* e = expr.get();
    return Deep(std::move(expr), e->left, e->right);
  }
  ExprPtr ParseSum() {
    auto left = ParseConcat();
    while (Is(TokenType::kAdd) || Is(TokenType::kSub)) {
      const Token& op = Next();
      auto right = ParseConcat();
      left = MakeBinary(op.pos, op.type == TokenType::kAdd ? BinaryOp::kAdd : BinaryOp::kSubtract, std::move(left),
                        std::move(right));
    }
    return left;
  }
  ExprPtr ParseConcat() {
    auto first = ParseProduct();
    if (!Is(TokenType::kTilde)) return first;
    auto expr = std::make_unique<SequenceExpr>(ExprKind::kConcat, Current().pos);
    expr->items.push_back(std::move(first));
    while (Skip(TokenType::kTilde)) expr->items.push_back(ParseProduct());
    return DeepItems(std::move(expr));
  }
  ExprPtr ParseProduct() {
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
  ExprPtr ParsePower() {
    auto left = ParseUnary();
    while (Is(TokenType::kPow)) {
      Pos pos = Next().pos;
      auto right = ParseUnary();
      left = MakeBinary(pos, BinaryOp::kPower, std::move(left), std::move(right));
    }
    return left;
  }
  ExprPtr ParseUnary(bool with_filter = true) {
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

  ExprPtr ParsePrimary() {
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

  ExprPtr ParsePostfix(ExprPtr expr) {
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
  ExprPtr ParseSubscript(ExprPtr object) {
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
  ExprPtr ParseSubscribed() {
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
  Arguments ParseArguments(uint16_t& depth) {
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
  ExprPtr ParseCall(ExprPtr callee) {
    Pos pos = callee->pos;
    auto call = std::make_unique<CallExpr>(pos, std::move(callee));
    uint16_t depth = call->callee->depth;
    call->args = ParseArguments(depth);
    call->depth = static_cast<uint16_t>(depth + 1);
    return Deep(std::move(call));
  }

  ExprPtr ParseFilterOrTest(ExprPtr expr) {
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
  std::string ParseDottedName() {
    std::string name = Expect(TokenType::kName).text;
    while (Skip(TokenType::kDot)) name += "." + Expect(TokenType::kName).text;
    return name;
  }
  const NativeFunction* FindFunction(const std::map<std::string, NativeFunction, std::less<>>& functions,
                                     const std::string& name, Pos pos, const char* what) {
    auto found = functions.find(name);
    if (found != functions.end()) return &found->second;
    // As Jinja2: in a branch, only an error when it runs.
    if (branches_ > 0) return nullptr;
    std::vector<std::string> names;
    for (const auto& [known, function] : functions) names.push_back(known);
    Fail(pos, fmt::format("no {} named '{}'", what, name), DidYouMean(name, names));
  }
  ExprPtr ParseFilters(ExprPtr expr, bool inline_start) {
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
  ExprPtr ParseTest(ExprPtr expr) {
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

  const Environment::Impl& env_;
  ParsedTemplate& out_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;     // loops around, inside the macro
  int branches_ = 0;  // if and conditional expressions around
  int macro_depth_ = 0;
};

}  // namespace

ParsedTemplate Parse(const Environment::Impl& environment, std::string source, const std::string* file, SourcePos first,
                     bool is_expression) {
  ParsedTemplate parsed;
  parsed.file = file;
  if (source.find('\r') != std::string::npos)
    source = ReplaceAll(ReplaceAll(std::move(source), "\r\n", "\n"), "\r", "\n");
  parsed.source = std::move(source);
  if (parsed.source.size() > (64u << 20)) {
    Throw(Error(ErrorCode::kTemplateLimit, "the template is larger than 64 MB").At({*file, 1, 1}));
  }
  LexerOptions options{.trim_blocks = environment.options.trim_blocks,
                       .lstrip_blocks = environment.options.lstrip_blocks,
                       .keep_trailing_newline = environment.options.keep_trailing_newline,
                       .raw_tags = {},
                       .expression = is_expression};
  for (const auto& tag : environment.options.block_tags) {
    if (tag.body == BlockBody::kRaw) options.raw_tags.emplace_back(tag.tag, tag.end_tag);
  }
  Parser parser(environment, parsed, Tokenize(parsed.source, *file, first, options));
  if (is_expression) {
    parser.ParseExpressionOnly();
  } else {
    parser.ParseTemplate();
  }
  return parsed;
}

}  // namespace quern::jinja
