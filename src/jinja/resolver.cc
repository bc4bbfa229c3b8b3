#include <map>
#include <set>

#include "jinja/parser.h"
#include "jinja/thrown.h"

namespace quern::jinja {
namespace {

/// Gives each name that is stored a slot in the frame of its function (template, macro, caller, recursive loop), and
/// each use of a name the slots it may be in, inner scopes first. A slot that is empty at run time falls through to the
/// next, and at last to the template's scope: what Jinja2's symbol analysis comes to.
class Resolver {
 public:
  explicit Resolver(ParsedTemplate& parsed) : parsed_(parsed) {}

  void Run() {
    Scope scope;
    scope.function = &parsed_.function;
    Collect(parsed_.body, scope);
    Resolve(parsed_.body, scope);
    for (const auto& [name, variable] : scope.names) {
      if (!name.starts_with("_")) parsed_.exports.emplace_back(name, variable.slot);
    }
    for (auto& block : parsed_.blocks) {
      if (block.macro) ResolveMacro(*block.macro, nullptr);
    }
  }

 private:
  struct Variable {
    uint16_t slot = 0;
    bool always_set = false;
    bool own = false;  // stored before any use of the scope's own statements: undefined until then, whatever is outside
  };
  struct Scope {
    Scope* parent = nullptr;
    FunctionInfo* function = nullptr;
    int level = 0;
    std::vector<uint16_t>* slots = nullptr;  // to clear on entry
    MacroNode* macro = nullptr;
    ForStmt* loop = nullptr;
    std::map<std::string, Variable, std::less<>> names;
  };

  uint16_t NewSlot(Scope& scope, Pos pos) {
    if (scope.function->slots >= 60000) {
      Throw(Error(ErrorCode::kTemplateLimit, "the template has too many variables")
                .At({*parsed_.file, static_cast<int>(pos.line), static_cast<int>(pos.column)}));
    }
    uint16_t slot = scope.function->slots++;
    if (scope.slots) scope.slots->push_back(slot);
    return slot;
  }
  uint16_t Declare(Scope& scope, const std::string& name, Pos pos, bool always_set = false) {
    auto [at, added] = scope.names.try_emplace(name);
    if (added) at->second.slot = NewSlot(scope, pos);
    at->second.always_set |= always_set;
    return at->second.slot;
  }
  void DeclareTarget(Target& target, Scope& scope, bool always_set = false) {
    if (target.is_tuple) {
      for (auto& element : target.elements) DeclareTarget(element, scope, always_set);
    } else if (target.attribute.empty()) {
      target.slot = Declare(scope, target.name, target.pos, always_set);
    }
  }
  void ResolveTarget(Target& target, Scope& scope) {
    for (auto& element : target.elements) ResolveTarget(element, scope);
    if (!target.attribute.empty()) {
      target.namespace_object = std::make_unique<NameExpr>(target.pos, target.name);
      Name(*target.namespace_object, scope);
    }
  }

  // Which stored names are a scope's own, in Jinja2's order of seeing them: uses in inner scopes do not count.
  struct Seen {
    std::map<std::string, bool, std::less<>> names;  // true: a use came first, or only some branches store it
    std::set<std::string, std::less<>> stores;
  };
  static void Load(const ExprPtr& expr, Seen& seen) {
    if (expr) Load(*expr, seen);
  }
  static void Load(const Expr& expr, Seen& seen) {
    ForEachChild(expr, [&](const Expr& child) { Load(child, seen); });
    if (expr.kind == ExprKind::kName) seen.names.try_emplace(static_cast<const NameExpr&>(expr).name, true);
  }
  static void StoreName(const std::string& name, Seen& seen) {
    seen.stores.insert(name);
    seen.names.try_emplace(name, false);
  }
  static void StoreTarget(const Target& target, Seen& seen) {
    for (const auto& element : target.elements) StoreTarget(element, seen);
    if (target.is_tuple) return;
    if (target.attribute.empty()) {
      StoreName(target.name, seen);
    } else {
      seen.names.try_emplace(target.name, true);
    }
  }
  static void See(const Body& body, Seen& seen) {
    for (const auto& stmt : body) See(*stmt, seen);
  }
  static void SeeIf(const IfStmt& stmt, size_t branch, Seen& seen) {
    Load(stmt.branches[branch].first, seen);
    Seen branches[3] = {seen, seen, seen};
    See(stmt.branches[branch].second, branches[0]);
    // All the elifs are one branch.
    if (branch == 0) {
      for (size_t i = 1; i < stmt.branches.size(); ++i) SeeElif(stmt.branches[i], branches[1]);
    }
    See(stmt.otherwise, branches[2]);
    Merge(branches, seen);
  }
  static void SeeElif(const std::pair<ExprPtr, Body>& elif, Seen& seen) {
    Load(elif.first, seen);
    Seen branches[3] = {seen, seen, seen};
    See(elif.second, branches[0]);
    Merge(branches, seen);
  }
  static void Merge(Seen (&branches)[3], Seen& seen) {
    std::map<std::string, int> counts;
    for (const auto& branch : branches) {
      for (const auto& name : branch.stores) {
        if (!seen.stores.contains(name)) ++counts[name];
      }
    }
    for (auto& branch : branches) {
      for (const auto& [name, used_first] : branch.names) seen.names.insert_or_assign(name, used_first);
    }
    for (const auto& [name, count] : counts) {
      seen.stores.insert(name);
      if (count < 3) seen.names[name] = true;
    }
  }
  static void See(const Stmt& stmt, Seen& seen) {
    switch (stmt.kind) {
      case StmtKind::kOutput:
      case StmtKind::kDo:
        return Load(static_cast<const ExprStmt&>(stmt).expr, seen);
      case StmtKind::kIf:
        return SeeIf(static_cast<const IfStmt&>(stmt), 0, seen);
      case StmtKind::kFor:
        return Load(static_cast<const ForStmt&>(stmt).iterable, seen);
      case StmtKind::kSet:
        Load(static_cast<const SetStmt&>(stmt).value, seen);
        return StoreTarget(static_cast<const SetStmt&>(stmt).target, seen);
      case StmtKind::kSetBlock:
        return StoreTarget(static_cast<const ScopedStmt&>(stmt).target, seen);
      case StmtKind::kFilterBlock:
        return Load(static_cast<const ScopedStmt&>(stmt).filter, seen);
      case StmtKind::kWith:
        for (const auto& [target, value] : static_cast<const ScopedStmt&>(stmt).assignments) Load(value, seen);
        return;
      case StmtKind::kMacro:
        return StoreName(static_cast<const MacroStmt&>(stmt).macro.name, seen);
      case StmtKind::kCallBlock:
        return Load(static_cast<const CallBlockStmt&>(stmt).call, seen);
      case StmtKind::kInclude:
        return Load(static_cast<const ImportStmt&>(stmt).name, seen);
      case StmtKind::kImport:
        Load(static_cast<const ImportStmt&>(stmt).name, seen);
        return StoreTarget(static_cast<const ImportStmt&>(stmt).target, seen);
      case StmtKind::kFromImport:
        Load(static_cast<const ImportStmt&>(stmt).name, seen);
        for (const auto& [name, target] : static_cast<const ImportStmt&>(stmt).names) StoreTarget(target, seen);
        return;
      default:
        return;
    }
  }

  /// Declares what the statements of a scope store, before any use is resolved.
  void Collect(Body& body, Scope& scope) {
    Declare(body, scope);
    if (scope.names.empty()) return;
    Seen seen;
    See(body, seen);
    for (auto& [name, variable] : scope.names) {
      auto at = seen.names.find(name);
      if (at != seen.names.end() && !at->second) variable.own = true;
    }
  }
  void Declare(Body& body, Scope& scope) {
    for (auto& stmt : body) {
      switch (stmt->kind) {
        case StmtKind::kSet:
          DeclareTarget(static_cast<SetStmt&>(*stmt).target, scope);
          break;
        case StmtKind::kSetBlock:
          DeclareTarget(static_cast<ScopedStmt&>(*stmt).target, scope);
          break;
        case StmtKind::kMacro: {
          auto& macro = static_cast<MacroStmt&>(*stmt);
          macro.slot = Declare(scope, macro.macro.name, macro.macro.name_pos);
          break;
        }
        case StmtKind::kImport:
          DeclareTarget(static_cast<ImportStmt&>(*stmt).target, scope);
          break;
        case StmtKind::kFromImport:
          for (auto& [name, target] : static_cast<ImportStmt&>(*stmt).names) DeclareTarget(target, scope);
          break;
        case StmtKind::kIf: {
          auto& branch = static_cast<IfStmt&>(*stmt);
          for (auto& [condition, inner] : branch.branches) Declare(inner, scope);
          Declare(branch.otherwise, scope);
          break;
        }
        default:
          break;
      }
    }
  }

  void Name(NameExpr& expr, Scope& at) {
    for (Scope* scope = &at; scope; scope = scope->parent) {
      auto depth = static_cast<uint16_t>(at.level - scope->level);
      auto found = scope->names.find(expr.name);
      if (found == scope->names.end() && scope->loop && expr.name == "loop") {
        scope->loop->loop_slot = Declare(*scope, "loop", expr.pos, true);
        found = scope->names.find("loop");
      }
      if (found == scope->names.end() && scope->macro) {
        int* slot = expr.name == "caller"    ? &scope->macro->caller_slot
                    : expr.name == "varargs" ? &scope->macro->varargs_slot
                    : expr.name == "kwargs"  ? &scope->macro->kwargs_slot
                                             : nullptr;
        // A caller's own `caller` is that of the macro around it.
        if (slot && !(scope->macro->is_caller && expr.name == "caller")) {
          *slot = Declare(*scope, expr.name, expr.pos, true);
          found = scope->names.find(expr.name);
        }
      }
      if (found == scope->names.end()) continue;
      expr.slots.push_back({depth, found->second.slot});
      if (found->second.always_set || found->second.own) {
        expr.falls_through = false;
        return;
      }
    }
  }

  void Resolve(ExprPtr& expr, Scope& scope) {
    if (expr) Resolve(*expr, scope);
  }
  void Resolve(Expr& expr, Scope& scope) {
    if (expr.kind == ExprKind::kName) Name(static_cast<NameExpr&>(expr), scope);
    ForEachChild(expr, [&](const Expr& child) { Resolve(const_cast<Expr&>(child), scope); });
  }

  void ResolveMacro(MacroNode& macro, Scope* outer) {
    if (outer) outer->function->captured = true;
    Scope scope;
    scope.parent = outer;
    scope.function = &macro.function;
    scope.level = outer ? outer->level + 1 : 0;
    scope.macro = &macro;
    for (auto& parameter : macro.parameters) parameter.slot = Declare(scope, parameter.name, parameter.pos, true);
    Collect(macro.body, scope);
    for (auto& parameter : macro.parameters) {
      if (parameter.name == "caller") macro.caller_slot = parameter.slot;
      Resolve(parameter.default_value, scope);
    }
    Resolve(macro.body, scope);
  }

  Scope Inner(Scope& scope, std::vector<uint16_t>* slots) {
    Scope inner;
    inner.parent = &scope;
    inner.function = scope.function;
    inner.level = scope.level;
    inner.slots = slots;
    return inner;
  }

  void ResolveFor(ForStmt& stmt, Scope& scope) {
    Resolve(stmt.iterable, scope);
    Scope inner = Inner(scope, &stmt.slots);
    Scope otherwise = Inner(scope, &stmt.otherwise_slots);
    if (stmt.recursive) {
      scope.function->captured = true;
      for (Scope* s : {&inner, &otherwise}) {
        s->function = &stmt.function;
        s->level = scope.level + 1;
      }
    }
    inner.loop = &stmt;
    DeclareTarget(stmt.target, inner, true);
    Collect(stmt.body, inner);
    Resolve(stmt.filter, inner);
    Resolve(stmt.body, inner);
    Collect(stmt.otherwise, otherwise);
    Resolve(stmt.otherwise, otherwise);
  }

  void Resolve(Body& body, Scope& scope) {
    for (auto& stmt : body) Resolve(*stmt, scope);
  }
  void Resolve(Stmt& stmt, Scope& scope) {
    switch (stmt.kind) {
      case StmtKind::kText:
      case StmtKind::kBreak:
      case StmtKind::kContinue:
      case StmtKind::kScope:
        return;
      case StmtKind::kOutput:
      case StmtKind::kDo:
        return Resolve(static_cast<ExprStmt&>(stmt).expr, scope);
      case StmtKind::kIf: {
        auto& branch = static_cast<IfStmt&>(stmt);
        for (auto& [condition, inner] : branch.branches) {
          Resolve(condition, scope);
          Resolve(inner, scope);
        }
        return Resolve(branch.otherwise, scope);
      }
      case StmtKind::kFor:
        return ResolveFor(static_cast<ForStmt&>(stmt), scope);
      case StmtKind::kSet:
        Resolve(static_cast<SetStmt&>(stmt).value, scope);
        return ResolveTarget(static_cast<SetStmt&>(stmt).target, scope);
      case StmtKind::kSetBlock:
      case StmtKind::kFilterBlock:
      case StmtKind::kWith: {
        auto& block = static_cast<ScopedStmt&>(stmt);
        if (stmt.kind == StmtKind::kSetBlock) ResolveTarget(block.target, scope);
        Resolve(block.filter, scope);
        for (auto& [target, value] : block.assignments) Resolve(value, scope);
        Scope inner = Inner(scope, &block.slots);
        for (auto& [target, value] : block.assignments) DeclareTarget(target, inner, true);
        Collect(block.body, inner);
        return Resolve(block.body, inner);
      }
      case StmtKind::kMacro:
        return ResolveMacro(static_cast<MacroStmt&>(stmt).macro, &scope);
      case StmtKind::kCallBlock:
        Resolve(static_cast<CallBlockStmt&>(stmt).call, scope);
        return ResolveMacro(static_cast<CallBlockStmt&>(stmt).caller, &scope);
      case StmtKind::kInclude:
      case StmtKind::kImport:
      case StmtKind::kFromImport: {
        auto& import = static_cast<ImportStmt&>(stmt);
        return Resolve(import.name, scope);
      }
    }
  }

  ParsedTemplate& parsed_;
};

}  // namespace

void ResolveNames(ParsedTemplate& parsed) {
  Resolver(parsed).Run();
}

}  // namespace quern::jinja
