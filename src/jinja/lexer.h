#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "jinja/ast.h"

namespace quern::jinja {

enum class TokenType : uint8_t {
  kEnd,
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kRawBody,
  kName,
  kString,
  kInteger,
  kFloat,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kFloorDiv,
  kMod,
  kPow,
  kTilde,
  kPipe,
  kDot,
  kComma,
  kColon,
  kAssign,
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kLParen,
  kRParen,
  kLBracket,
  kRBracket,
  kLBrace,
  kRBrace,
  kSemicolon,
};
/// How a token is called in messages: "end of print statement", "','".
std::string Describe(TokenType type);

struct Token {
  TokenType type = TokenType::kEnd;
  Pos pos;
  uint32_t end = 0;  ///< offset behind it
  std::string text;  ///< data, name, decoded string, raw body
  int64_t integer = 0;
  double number = 0;
};

struct LexerOptions {
  bool trim_blocks = false;
  bool lstrip_blocks = false;
  bool keep_trailing_newline = false;
  std::vector<std::pair<std::string, std::string>> raw_tags = {};  ///< tag, end tag: the text between is one kRawBody
  bool expression = false;                                         ///< the text is an expression alone
};

/// Splits a template whose line ends are "\n"; throws Thrown (kTemplateSyntax, with place) when it cannot. The last
/// token is kEnd.
std::vector<Token> Tokenize(std::string_view source, const std::string& file, SourcePos first,
                            const LexerOptions& options);

}  // namespace quern::jinja
