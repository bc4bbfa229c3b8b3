#pragma once
#include <memory>
#include <string>
#include <vector>

#include "jinja/environment.h"
#include "jinja/value.h"

namespace quern::jinja {

/// A place in the template's source, line and column as the user counts them.
struct Pos {
  uint32_t offset = 0;
  uint32_t line = 1;
  uint32_t column = 1;
};

// --- names ---------------------------------------------------------------------------------------------------------
/// A local variable: `depth` functions outwards, slot number in that function's frame.
struct SlotRef {
  uint16_t depth = 0;
  uint16_t slot = 0;
};

// --- expressions ---------------------------------------------------------------------------------------------------
enum class ExprKind : uint8_t {
  kConst,
  kName,
  kList,
  kTuple,
  kDict,
  kAttribute,
  kItem,
  kSlice,
  kCall,
  kFilter,
  kTest,
  kNegate,
  kPositive,
  kNot,
  kBinary,
  kConcat,
  kAnd,
  kOr,
  kCompare,
  kConditional,
};
enum class CompareOp : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

struct Expr {
  Expr(ExprKind k, Pos p) : kind(k), pos(p) {}
  virtual ~Expr() = default;
  ExprKind kind;
  uint16_t depth = 1;  ///< levels of expressions below, itself included
  Pos pos;
};
using ExprPtr = std::unique_ptr<Expr>;

struct ConstExpr : Expr {
  ConstExpr(Pos p, Value v) : Expr(ExprKind::kConst, p), value(std::move(v)) {}
  Value value;
};
struct NameExpr : Expr {
  NameExpr(Pos p, std::string n) : Expr(ExprKind::kName, p), name(std::move(n)) {}
  std::string name;
  std::vector<SlotRef> slots;  ///< tried in order
  bool falls_through = true;   ///< then the scope; else the name is undefined
};
struct SequenceExpr : Expr {  ///< list, tuple, concat
  using Expr::Expr;
  std::vector<ExprPtr> items;
};
struct DictExpr : Expr {
  explicit DictExpr(Pos p) : Expr(ExprKind::kDict, p) {}
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};
struct AttributeExpr : Expr {
  AttributeExpr(Pos p, ExprPtr o, std::string n)
      : Expr(ExprKind::kAttribute, p), object(std::move(o)), name(std::move(n)) {}
  ExprPtr object;
  std::string name;
};
struct ItemExpr : Expr {
  ItemExpr(Pos p, ExprPtr o, ExprPtr k) : Expr(ExprKind::kItem, p), object(std::move(o)), key(std::move(k)) {}
  ExprPtr object;
  ExprPtr key;
};
struct SliceExpr : Expr {
  explicit SliceExpr(Pos p) : Expr(ExprKind::kSlice, p) {}
  ExprPtr start, stop, step;  ///< each may be null
};
struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keywords;
  ExprPtr star;
  ExprPtr star_star;
};
struct CallExpr : Expr {
  CallExpr(Pos p, ExprPtr c) : Expr(ExprKind::kCall, p), callee(std::move(c)) {}
  ExprPtr callee;
  Arguments args;
};
struct FilterExpr : Expr {  ///< and test
  using Expr::Expr;
  std::string name;
  const NativeFunction* function = nullptr;  ///< null: unknown, in a branch that may never run
  ExprPtr input;                             ///< null: the captured text of a filter block or block set
  Arguments args;
};
struct UnaryExpr : Expr {
  UnaryExpr(ExprKind k, Pos p, ExprPtr o) : Expr(k, p), operand(std::move(o)) {}
  ExprPtr operand;
};
struct BinaryExpr : Expr {  ///< arithmetic, and, or
  BinaryExpr(ExprKind k, Pos p, ExprPtr l, ExprPtr r) : Expr(k, p), left(std::move(l)), right(std::move(r)) {}
  BinaryOp op = BinaryOp::kAdd;
  ExprPtr left, right;
};
struct CompareExpr : Expr {
  explicit CompareExpr(Pos p) : Expr(ExprKind::kCompare, p) {}
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};
struct ConditionalExpr : Expr {
  explicit ConditionalExpr(Pos p) : Expr(ExprKind::kConditional, p) {}
  ExprPtr condition, then, otherwise;  ///< otherwise may be null
};

/// Calls `visit` for each expression directly inside, in Jinja2's order.
template <class Visit>
void ForEachChild(const Expr& expr, Visit&& visit) {
  auto one = [&](const ExprPtr& child) {
    if (child) visit(*child);
  };
  auto arguments = [&](const Arguments& args) {
    for (const auto& arg : args.positional) one(arg);
    for (const auto& [name, arg] : args.keywords) one(arg);
    one(args.star);
    one(args.star_star);
  };
  switch (expr.kind) {
    case ExprKind::kConst:
    case ExprKind::kName:
      return;
    case ExprKind::kList:
    case ExprKind::kTuple:
    case ExprKind::kConcat:
      for (const auto& item : static_cast<const SequenceExpr&>(expr).items) one(item);
      return;
    case ExprKind::kDict:
      for (const auto& [key, value] : static_cast<const DictExpr&>(expr).entries) {
        one(key);
        one(value);
      }
      return;
    case ExprKind::kAttribute:
      return one(static_cast<const AttributeExpr&>(expr).object);
    case ExprKind::kItem:
      one(static_cast<const ItemExpr&>(expr).object);
      return one(static_cast<const ItemExpr&>(expr).key);
    case ExprKind::kSlice:
      one(static_cast<const SliceExpr&>(expr).start);
      one(static_cast<const SliceExpr&>(expr).stop);
      return one(static_cast<const SliceExpr&>(expr).step);
    case ExprKind::kCall:
      one(static_cast<const CallExpr&>(expr).callee);
      return arguments(static_cast<const CallExpr&>(expr).args);
    case ExprKind::kFilter:
    case ExprKind::kTest:
      one(static_cast<const FilterExpr&>(expr).input);
      return arguments(static_cast<const FilterExpr&>(expr).args);
    case ExprKind::kNegate:
    case ExprKind::kPositive:
    case ExprKind::kNot:
      return one(static_cast<const UnaryExpr&>(expr).operand);
    case ExprKind::kBinary:
    case ExprKind::kAnd:
    case ExprKind::kOr:
      one(static_cast<const BinaryExpr&>(expr).left);
      return one(static_cast<const BinaryExpr&>(expr).right);
    case ExprKind::kCompare:
      one(static_cast<const CompareExpr&>(expr).first);
      for (const auto& [op, right] : static_cast<const CompareExpr&>(expr).rest) one(right);
      return;
    case ExprKind::kConditional:
      one(static_cast<const ConditionalExpr&>(expr).condition);
      one(static_cast<const ConditionalExpr&>(expr).then);
      return one(static_cast<const ConditionalExpr&>(expr).otherwise);
  }
}

// --- statements ----------------------------------------------------------------------------------------------------
enum class StmtKind : uint8_t {
  kText,
  kOutput,
  kIf,
  kFor,
  kSet,
  kSetBlock,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kWith,
  kDo,
  kInclude,
  kImport,
  kFromImport,
  kBreak,
  kContinue,
  kScope,
};

struct Stmt {
  Stmt(StmtKind k, Pos p) : kind(k), pos(p) {}
  virtual ~Stmt() = default;
  StmtKind kind;
  Pos pos;
};
using StmtPtr = std::unique_ptr<Stmt>;
using Body = std::vector<StmtPtr>;

/// Where a value is stored: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
  Pos pos;
  std::string name;
  std::string attribute;         ///< not empty: name.attribute
  std::vector<Target> elements;  ///< not empty or is_tuple: unpacking
  bool is_tuple = false;
  uint16_t slot = 0;                           ///< of a plain name, in the current frame
  std::unique_ptr<NameExpr> namespace_object;  ///< of name.attribute
};

struct TextStmt : Stmt {
  TextStmt(Pos p, std::string t) : Stmt(StmtKind::kText, p), text(std::move(t)) {}
  std::string text;
};
struct ExprStmt : Stmt {  ///< output, do
  ExprStmt(StmtKind k, Pos p, ExprPtr e) : Stmt(k, p), expr(std::move(e)) {}
  ExprPtr expr;
};
struct IfStmt : Stmt {
  explicit IfStmt(Pos p) : Stmt(StmtKind::kIf, p) {}
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct FunctionInfo {
  uint16_t slots = 0;
  bool captured = false;  ///< something inside may keep the frame: a macro, a caller, a recursive loop
};
struct ForStmt : Stmt {
  explicit ForStmt(Pos p) : Stmt(StmtKind::kFor, p) {}
  Target target;
  ExprPtr iterable;
  ExprPtr filter;  ///< may be null
  bool recursive = false;
  Body body, otherwise;
  int loop_slot = -1;           ///< of `loop`, when it is used
  std::vector<uint16_t> slots;  ///< to forget before each element
  std::vector<uint16_t> otherwise_slots;
  FunctionInfo function;  ///< of a recursive loop: its body is a function
};
struct SetStmt : Stmt {
  explicit SetStmt(Pos p) : Stmt(StmtKind::kSet, p) {}
  Target target;
  ExprPtr value;
};
struct ScopedStmt : Stmt {  ///< block set, filter block, with, scope
  using Stmt::Stmt;
  Target target;                                        ///< block set
  ExprPtr filter;                                       ///< chain of filters whose innermost input is null; may be null
  std::vector<std::pair<Target, ExprPtr>> assignments;  ///< with
  Body body;
  std::vector<uint16_t> slots;
};
struct MacroParameter {
  Pos pos;
  std::string name;
  ExprPtr default_value;  ///< may be null
  std::string default_text;
  uint16_t slot = 0;
};
/// A macro, a block of an added tag, or the body of a call block (its caller).
struct MacroNode {
  Pos pos;
  Pos name_pos;
  std::string name;
  std::vector<MacroParameter> parameters;
  Body body;
  bool is_caller = false;
  int caller_slot = -1, varargs_slot = -1, kwargs_slot = -1;  ///< when the body uses them
  FunctionInfo function;
};
struct MacroStmt : Stmt {
  explicit MacroStmt(Pos p) : Stmt(StmtKind::kMacro, p) {}
  MacroNode macro;
  uint16_t slot = 0;
};
struct CallBlockStmt : Stmt {
  explicit CallBlockStmt(Pos p) : Stmt(StmtKind::kCallBlock, p) {}
  ExprPtr call;  ///< a CallExpr
  MacroNode caller;
};
struct ImportStmt : Stmt {  ///< include, import, from
  using Stmt::Stmt;
  ExprPtr name;
  bool ignore_missing = false;
  bool with_context = false;
  Target target;                                      ///< import x as target
  std::vector<std::pair<std::string, Target>> names;  ///< from x import name as target
};

/// A block of an added tag that is a macro, kept beside the tree (it prints nothing).
struct ParsedBlock {
  Block block;
  std::unique_ptr<MacroNode> macro;  ///< null: raw
  const MacroNode* node = nullptr;   ///< macro, or the macro statement's
};

struct ParsedTemplate {
  std::string source;
  const std::string* file = nullptr;
  Body body;
  std::vector<ParsedBlock> blocks;
  FunctionInfo function;
  std::vector<std::pair<std::string, uint16_t>> exports;  ///< names set at the top level, for import
  bool is_expression = false;
};

}  // namespace quern::jinja
