#include "jinja/parser.h"

#include <algorithm>

#include "base/text.h"
#include "jinja/expression_parser.h"

namespace quern::jinja {
namespace {

constexpr size_t kMaxSlots = 60000;

class Parser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

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

  int loops_ = 0;  // loops around, inside the macro
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
