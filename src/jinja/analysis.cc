#include "jinja/literal.h"
#include "jinja/parser.h"

namespace quern::jinja {

std::optional<Value> LiteralOf(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kConst:
      return static_cast<const ConstExpr&>(expr).value;
    case ExprKind::kList:
    case ExprKind::kTuple: {
      std::vector<Value> items;
      for (const auto& item : static_cast<const SequenceExpr&>(expr).items) {
        auto value = LiteralOf(*item);
        if (!value) return std::nullopt;
        items.push_back(*std::move(value));
      }
      return expr.kind == ExprKind::kList ? Value::NewList(std::move(items)) : Value::NewTuple(std::move(items));
    }
    case ExprKind::kDict: {
      auto dict = MakeRef<Dict>();
      for (const auto& [key_expr, value_expr] : static_cast<const DictExpr&>(expr).entries) {
        auto key = LiteralOf(*key_expr);
        auto value = LiteralOf(*value_expr);
        if (!key || !value || !dict->Set(*key, *std::move(value))) return std::nullopt;
      }
      return Value(dict);
    }
    case ExprKind::kNegate:
    case ExprKind::kPositive: {
      auto value = LiteralOf(*static_cast<const UnaryExpr&>(expr).operand);
      if (!value || !(value->is_int() || value->is_float())) return std::nullopt;
      if (expr.kind == ExprKind::kPositive) return value;
      if (value->is_float()) return Value(-value->AsDouble());
      return Value(-value->AsInt());  // literals are never the least integer
    }
    default:
      return std::nullopt;
  }
}

namespace {

class Analyzer {
 public:
  explicit Analyzer(const ParsedTemplate& parsed) : parsed_(parsed) {}

  Analysis Run() {
    Walk(parsed_.body);
    for (const auto& block : parsed_.blocks) {
      result_.only_printed_calls = false;
      if (block.macro) Macro(*block.macro);
    }
    return std::move(result_);
  }

 private:
  SourcePos Place(Pos pos) const { return {*parsed_.file, static_cast<int>(pos.line), static_cast<int>(pos.column)}; }

  /// "a.b.c" of a free name and its attributes.
  static std::string DottedName(const Expr& expr) {
    if (expr.kind == ExprKind::kName) {
      const auto& name = static_cast<const NameExpr&>(expr);
      return name.slots.empty() ? name.name : "";
    }
    if (expr.kind == ExprKind::kAttribute) {
      const auto& attribute = static_cast<const AttributeExpr&>(expr);
      std::string object = DottedName(*attribute.object);
      return object.empty() ? "" : object + "." + attribute.name;
    }
    return "";
  }

  void Call(const CallExpr& call, bool printed_alone) {
    std::string name = DottedName(*call.callee);
    if (!name.empty()) {
      CallSite site;
      site.name = std::move(name);
      site.pos = Place(call.pos);
      site.conditional = conditional_ > 0;
      site.printed_alone = printed_alone;
      site.macro = macro_;
      for (const auto& arg : call.args.positional) {
        site.args.push_back(LiteralOf(*arg));
        site.all_literal &= site.args.back().has_value();
      }
      for (const auto& [keyword, arg] : call.args.keywords) {
        site.kwargs.emplace_back(keyword, LiteralOf(*arg));
        site.all_literal &= site.kwargs.back().second.has_value();
      }
      site.star_args = call.args.star || call.args.star_star;
      site.all_literal &= !site.star_args;
      if (!site.all_literal || !printed_alone) result_.only_printed_calls = false;
      result_.calls.push_back(std::move(site));
    } else {
      result_.only_printed_calls = false;
    }
    Walk(*call.callee);
    Walk(call.args);
  }

  void Walk(const ExprPtr& expr) {
    if (expr) Walk(*expr);
  }
  void Walk(const Arguments& args) {
    for (const auto& arg : args.positional) Walk(arg);
    for (const auto& [name, arg] : args.keywords) Walk(arg);
    Walk(args.star);
    Walk(args.star_star);
  }
  void Walk(const Expr& expr) {
    switch (expr.kind) {
      case ExprKind::kConst:
        return;
      case ExprKind::kName: {
        const auto& name = static_cast<const NameExpr&>(expr);
        if (name.slots.empty()) result_.names.emplace_back(name.name, Place(name.pos));
        return;
      }
      case ExprKind::kList:
      case ExprKind::kTuple:
      case ExprKind::kConcat:
        for (const auto& item : static_cast<const SequenceExpr&>(expr).items) Walk(item);
        return;
      case ExprKind::kDict:
        for (const auto& [key, value] : static_cast<const DictExpr&>(expr).entries) {
          Walk(key);
          Walk(value);
        }
        return;
      case ExprKind::kAttribute:
        return Walk(static_cast<const AttributeExpr&>(expr).object);
      case ExprKind::kItem:
        Walk(static_cast<const ItemExpr&>(expr).object);
        return Walk(static_cast<const ItemExpr&>(expr).key);
      case ExprKind::kSlice: {
        const auto& slice = static_cast<const SliceExpr&>(expr);
        Walk(slice.start);
        Walk(slice.stop);
        return Walk(slice.step);
      }
      case ExprKind::kCall:
        return Call(static_cast<const CallExpr&>(expr), false);
      case ExprKind::kFilter:
      case ExprKind::kTest:
        Walk(static_cast<const FilterExpr&>(expr).input);
        return Walk(static_cast<const FilterExpr&>(expr).args);
      case ExprKind::kNegate:
      case ExprKind::kPositive:
      case ExprKind::kNot:
        return Walk(static_cast<const UnaryExpr&>(expr).operand);
      case ExprKind::kBinary:
        Walk(static_cast<const BinaryExpr&>(expr).left);
        return Walk(static_cast<const BinaryExpr&>(expr).right);
      case ExprKind::kAnd:
      case ExprKind::kOr:
        Walk(static_cast<const BinaryExpr&>(expr).left);
        ++conditional_;
        Walk(static_cast<const BinaryExpr&>(expr).right);
        --conditional_;
        return;
      case ExprKind::kCompare:
        Walk(static_cast<const CompareExpr&>(expr).first);
        for (const auto& [op, right] : static_cast<const CompareExpr&>(expr).rest) Walk(right);
        return;
      case ExprKind::kConditional: {
        const auto& conditional = static_cast<const ConditionalExpr&>(expr);
        Walk(conditional.condition);
        ++conditional_;
        Walk(conditional.then);
        Walk(conditional.otherwise);
        --conditional_;
        return;
      }
    }
  }

  void Macro(const MacroNode& macro) {
    std::string outer = macro_;
    if (!macro.is_caller) macro_ = macro.name;
    ++conditional_;
    for (const auto& parameter : macro.parameters) Walk(parameter.default_value);
    Walk(macro.body);
    --conditional_;
    macro_ = outer;
  }
  void Walk(const Target& target) {
    if (target.namespace_object) Walk(*target.namespace_object);
    for (const auto& element : target.elements) Walk(element);
  }
  void Walk(const Body& body) {
    for (const auto& stmt : body) Walk(*stmt);
  }
  void Walk(const Stmt& stmt) {
    if (stmt.kind != StmtKind::kText && stmt.kind != StmtKind::kOutput) result_.only_printed_calls = false;
    switch (stmt.kind) {
      case StmtKind::kText:
      case StmtKind::kBreak:
      case StmtKind::kContinue:
      case StmtKind::kScope:
        return;
      case StmtKind::kOutput: {
        const Expr& expr = *static_cast<const ExprStmt&>(stmt).expr;
        if (expr.kind == ExprKind::kCall) return Call(static_cast<const CallExpr&>(expr), true);
        result_.only_printed_calls = false;
        return Walk(expr);
      }
      case StmtKind::kDo:
        return Walk(static_cast<const ExprStmt&>(stmt).expr);
      case StmtKind::kIf: {
        const auto& branch = static_cast<const IfStmt&>(stmt);
        Walk(branch.branches[0].first);
        ++conditional_;
        for (size_t i = 0; i < branch.branches.size(); ++i) {
          if (i > 0) Walk(branch.branches[i].first);
          Walk(branch.branches[i].second);
        }
        Walk(branch.otherwise);
        --conditional_;
        return;
      }
      case StmtKind::kFor: {
        const auto& loop = static_cast<const ForStmt&>(stmt);
        Walk(loop.iterable);
        ++conditional_;
        Walk(loop.filter);
        Walk(loop.body);
        Walk(loop.otherwise);
        --conditional_;
        return;
      }
      case StmtKind::kSet:
        Walk(static_cast<const SetStmt&>(stmt).value);
        return Walk(static_cast<const SetStmt&>(stmt).target);
      case StmtKind::kSetBlock:
      case StmtKind::kFilterBlock:
      case StmtKind::kWith: {
        const auto& block = static_cast<const ScopedStmt&>(stmt);
        Walk(block.filter);
        for (const auto& [target, value] : block.assignments) Walk(value);
        Walk(block.body);
        return Walk(block.target);
      }
      case StmtKind::kMacro:
        return Macro(static_cast<const MacroStmt&>(stmt).macro);
      case StmtKind::kCallBlock:
        Walk(static_cast<const CallBlockStmt&>(stmt).call);
        return Macro(static_cast<const CallBlockStmt&>(stmt).caller);
      case StmtKind::kInclude:
      case StmtKind::kImport:
      case StmtKind::kFromImport:
        return Walk(static_cast<const ImportStmt&>(stmt).name);
    }
  }

  const ParsedTemplate& parsed_;
  Analysis result_;
  int conditional_ = 0;
  std::string macro_;
};

}  // namespace

Analysis AnalyzeTemplate(const ParsedTemplate& parsed) {
  return Analyzer(parsed).Run();
}

}  // namespace quern::jinja
