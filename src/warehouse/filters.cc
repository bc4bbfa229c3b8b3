#include "warehouse/filters.h"

#include <duckdb/planner/expression/bound_between_expression.hpp>
#include <duckdb/planner/expression/bound_cast_expression.hpp>
#include <duckdb/planner/expression/bound_columnref_expression.hpp>
#include <duckdb/planner/expression/bound_comparison_expression.hpp>
#include <duckdb/planner/expression/bound_conjunction_expression.hpp>
#include <duckdb/planner/expression/bound_constant_expression.hpp>
#include <duckdb/planner/expression/bound_function_expression.hpp>
#include <duckdb/planner/expression/bound_operator_expression.hpp>
#include <duckdb/planner/filter/conjunction_filter.hpp>
#include <duckdb/planner/filter/constant_filter.hpp>
#include <duckdb/planner/filter/dynamic_filter.hpp>
#include <duckdb/planner/filter/in_filter.hpp>
#include <duckdb/planner/filter/optional_filter.hpp>
#include <duckdb/planner/filter/struct_filter.hpp>

namespace quern::warehouse {

using delta::ColumnPath;
using delta::CompareOp;
using delta::Predicate;
using duck::Expression;
using duck::ExpressionClass;
using duck::ExpressionType;

namespace {

std::optional<CompareOp> OpOf(ExpressionType type) {
  switch (type) {
    case ExpressionType::COMPARE_EQUAL:
      return CompareOp::kEqual;
    case ExpressionType::COMPARE_NOTEQUAL:
      return CompareOp::kNotEqual;
    case ExpressionType::COMPARE_LESSTHAN:
      return CompareOp::kLess;
    case ExpressionType::COMPARE_LESSTHANOREQUALTO:
      return CompareOp::kLessOrEqual;
    case ExpressionType::COMPARE_GREATERTHAN:
      return CompareOp::kGreater;
    case ExpressionType::COMPARE_GREATERTHANOREQUALTO:
      return CompareOp::kGreaterOrEqual;
    default:
      return std::nullopt;
  }
}

CompareOp Mirrored(CompareOp op) {
  switch (op) {
    case CompareOp::kLess:
      return CompareOp::kGreater;
    case CompareOp::kLessOrEqual:
      return CompareOp::kGreaterOrEqual;
    case CompareOp::kGreater:
      return CompareOp::kLess;
    case CompareOp::kGreaterOrEqual:
      return CompareOp::kLessOrEqual;
    default:
      return op;
  }
}

// A column or a field of a struct column, also behind a cast from one integer type to a wider one.
std::optional<ColumnPath> PathOf(const Expression& expression, const ScanColumns& columns) {
  switch (expression.GetExpressionClass()) {
    case ExpressionClass::BOUND_COLUMN_REF: {
      const auto& binding = expression.Cast<duck::BoundColumnRefExpression>().binding;
      if (binding.table_index != columns.table_index || binding.column_index >= columns.ids.size()) return std::nullopt;
      const auto column = columns.ids[binding.column_index];
      if (column >= columns.schema->fields.size()) return std::nullopt;  // virtual columns too
      return ColumnPath{columns.schema->fields[column].name};
    }
    case ExpressionClass::BOUND_CAST: {
      const auto& cast = expression.Cast<duck::BoundCastExpression>();
      const auto& from = cast.child->return_type;
      if (!from.IsIntegral() || !cast.return_type.IsIntegral()) return std::nullopt;
      if (duck::GetTypeIdSize(from.InternalType()) > duck::GetTypeIdSize(cast.return_type.InternalType()))
        return std::nullopt;
      if (cast.return_type.IsUnsigned()) return std::nullopt;
      return PathOf(*cast.child, columns);
    }
    case ExpressionClass::BOUND_FUNCTION: {
      const auto& function = expression.Cast<duck::BoundFunctionExpression>();
      if (function.function.name != "struct_extract" || function.children.size() != 2) return std::nullopt;
      if (function.children[1]->GetExpressionClass() != ExpressionClass::BOUND_CONSTANT) return std::nullopt;
      const auto& field = function.children[1]->Cast<duck::BoundConstantExpression>().value;
      if (field.IsNull() || field.type().id() != duck::LogicalTypeId::VARCHAR) return std::nullopt;
      auto path = PathOf(*function.children[0], columns);
      if (path) path->push_back(duck::StringValue::Get(field));
      return path;
    }
    default:
      return std::nullopt;
  }
}

std::optional<delta::Literal> ConstantOf(const Expression& expression) {
  if (expression.GetExpressionClass() != ExpressionClass::BOUND_CONSTANT) return std::nullopt;
  return LiteralOf(expression.Cast<duck::BoundConstantExpression>().value);
}

Predicate Compare(const Expression& left, CompareOp op, const Expression& right, const ScanColumns& columns) {
  if (auto path = PathOf(left, columns)) {
    if (auto value = ConstantOf(right)) return Predicate::Compare(*path, op, *value);
  }
  if (auto path = PathOf(right, columns)) {
    if (auto value = ConstantOf(left)) return Predicate::Compare(*path, Mirrored(op), *value);
  }
  return Predicate::Unknown();
}

Predicate Translate(const Expression& expression, const ScanColumns& columns) {
  switch (expression.GetExpressionClass()) {
    case ExpressionClass::BOUND_CONSTANT: {
      const auto& value = expression.Cast<duck::BoundConstantExpression>().value;
      if (value.IsNull() || value.type().id() != duck::LogicalTypeId::BOOLEAN) return Predicate::Unknown();
      return value.GetValueUnsafe<bool>() ? Predicate::True() : Predicate::False();
    }
    case ExpressionClass::BOUND_COMPARISON: {
      const auto& comparison = expression.Cast<duck::BoundComparisonExpression>();
      auto op = OpOf(comparison.GetExpressionType());
      return op ? Compare(*comparison.left, *op, *comparison.right, columns) : Predicate::Unknown();
    }
    case ExpressionClass::BOUND_BETWEEN: {
      const auto& between = expression.Cast<duck::BoundBetweenExpression>();
      const auto lower = between.lower_inclusive ? CompareOp::kGreaterOrEqual : CompareOp::kGreater;
      const auto upper = between.upper_inclusive ? CompareOp::kLessOrEqual : CompareOp::kLess;
      return Predicate::And({Compare(*between.input, lower, *between.lower, columns),
                             Compare(*between.input, upper, *between.upper, columns)});
    }
    case ExpressionClass::BOUND_CONJUNCTION: {
      const auto& conjunction = expression.Cast<duck::BoundConjunctionExpression>();
      std::vector<Predicate> parts;
      for (const auto& child : conjunction.children) parts.push_back(Translate(*child, columns));
      return conjunction.GetExpressionType() == ExpressionType::CONJUNCTION_AND ? Predicate::And(std::move(parts))
                                                                                : Predicate::Or(std::move(parts));
    }
    case ExpressionClass::BOUND_OPERATOR: {
      const auto& op = expression.Cast<duck::BoundOperatorExpression>();
      switch (op.GetExpressionType()) {
        case ExpressionType::OPERATOR_NOT:
          return Predicate::Not(Translate(*op.children[0], columns));
        case ExpressionType::OPERATOR_IS_NULL:
        case ExpressionType::OPERATOR_IS_NOT_NULL: {
          auto path = PathOf(*op.children[0], columns);
          if (!path) return Predicate::Unknown();
          return op.GetExpressionType() == ExpressionType::OPERATOR_IS_NULL ? Predicate::IsNull(*path)
                                                                            : Predicate::IsNotNull(*path);
        }
        case ExpressionType::COMPARE_IN:
        case ExpressionType::COMPARE_NOT_IN: {
          auto path = PathOf(*op.children[0], columns);
          if (!path) return Predicate::Unknown();
          std::vector<delta::Literal> values;
          for (size_t i = 1; i < op.children.size(); i++) {
            auto value = ConstantOf(*op.children[i]);
            if (!value) return Predicate::Unknown();
            values.push_back(*std::move(value));
          }
          auto in = Predicate::In(*path, std::move(values));
          return op.GetExpressionType() == ExpressionType::COMPARE_IN ? in : Predicate::Not(in);
        }
        default:
          return Predicate::Unknown();
      }
    }
    case ExpressionClass::BOUND_COLUMN_REF: {  // a truth value by itself
      auto path = PathOf(expression, columns);
      if (!path || expression.return_type.id() != duck::LogicalTypeId::BOOLEAN) return Predicate::Unknown();
      return Predicate::Compare(*path, CompareOp::kEqual, true);
    }
    default:
      return Predicate::Unknown();
  }
}

Predicate Translate(const duck::TableFilter& filter, const ColumnPath& path) {
  auto compare = [&](const duck::ConstantFilter& constant) {
    auto op = OpOf(constant.comparison_type);
    auto value = LiteralOf(constant.constant);
    return op && value ? Predicate::Compare(path, *op, *value) : Predicate::Unknown();
  };
  switch (filter.filter_type) {
    case duck::TableFilterType::CONSTANT_COMPARISON:
      return compare(filter.Cast<duck::ConstantFilter>());
    case duck::TableFilterType::IS_NULL:
      return Predicate::IsNull(path);
    case duck::TableFilterType::IS_NOT_NULL:
      return Predicate::IsNotNull(path);
    case duck::TableFilterType::CONJUNCTION_AND:
    case duck::TableFilterType::CONJUNCTION_OR: {
      const bool all = filter.filter_type == duck::TableFilterType::CONJUNCTION_AND;
      const auto& children = all ? filter.Cast<duck::ConjunctionAndFilter>().child_filters
                                 : filter.Cast<duck::ConjunctionOrFilter>().child_filters;
      std::vector<Predicate> parts;
      for (const auto& child : children) parts.push_back(Translate(*child, path));
      return all ? Predicate::And(std::move(parts)) : Predicate::Or(std::move(parts));
    }
    case duck::TableFilterType::OPTIONAL_FILTER: {  // it may be passed over, but holds
      const auto* optional = dynamic_cast<const duck::OptionalFilter*>(&filter);
      return optional && optional->child_filter ? Translate(*optional->child_filter, path) : Predicate::Unknown();
    }
    case duck::TableFilterType::IN_FILTER: {
      std::vector<delta::Literal> values;
      for (const auto& each : filter.Cast<duck::InFilter>().values) {
        auto value = LiteralOf(each);
        if (!value) return Predicate::Unknown();
        values.push_back(*std::move(value));
      }
      return Predicate::In(path, std::move(values));
    }
    case duck::TableFilterType::STRUCT_EXTRACT: {
      const auto& nested = filter.Cast<duck::StructFilter>();
      ColumnPath inner = path;
      inner.push_back(nested.child_name);
      return Translate(*nested.child_filter, inner);
    }
    case duck::TableFilterType::DYNAMIC_FILTER: {
      const auto& dynamic = filter.Cast<duck::DynamicFilter>();
      if (!dynamic.filter_data) return Predicate::Unknown();
      std::lock_guard lock(dynamic.filter_data->lock);
      if (!dynamic.filter_data->initialized || !dynamic.filter_data->filter) return Predicate::Unknown();
      return compare(*dynamic.filter_data->filter);
    }
    default:
      return Predicate::Unknown();
  }
}

}  // namespace

Predicate PredicateOf(const duck::vector<duck::unique_ptr<Expression>>& filters, const ScanColumns& columns) {
  std::vector<Predicate> parts;
  for (const auto& filter : filters) parts.push_back(Translate(*filter, columns));
  return Predicate::And(std::move(parts));
}

Predicate PredicateOf(const duck::TableFilterSet& filters, const ScanColumns& columns) {
  std::vector<Predicate> parts;
  for (const auto& [position, filter] : filters.filters) {
    if (position >= columns.ids.size() || columns.ids[position] >= columns.schema->fields.size()) continue;
    parts.push_back(Translate(*filter, {columns.schema->fields[columns.ids[position]].name}));
  }
  return Predicate::And(std::move(parts));
}

}  // namespace quern::warehouse
