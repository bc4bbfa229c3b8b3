#include "delta/predicate.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "delta/snapshot.h"

namespace quern::delta {

// ---- the tree

Predicate Predicate::True() {
  return Predicate(Node{Kind::kTrue, {}, {}, {}, {}});
}
Predicate Predicate::False() {
  return Predicate(Node{Kind::kFalse, {}, {}, {}, {}});
}
Predicate Predicate::Unknown() {
  return Predicate(Node{Kind::kUnknown, {}, {}, {}, {}});
}
Predicate Predicate::Compare(ColumnPath column, CompareOp op, Literal value) {
  return Predicate(Node{Kind::kCompare, std::move(column), op, {std::move(value)}, {}});
}
Predicate Predicate::In(ColumnPath column, std::vector<Literal> values) {
  if (values.empty()) return False();
  return Predicate(Node{Kind::kIn, std::move(column), CompareOp::kEqual, std::move(values), {}});
}
Predicate Predicate::IsNull(ColumnPath column) {
  return Predicate(Node{Kind::kIsNull, std::move(column), {}, {}, {}});
}
Predicate Predicate::IsNotNull(ColumnPath column) {
  return Not(IsNull(std::move(column)));
}
Predicate Predicate::And(std::vector<Predicate> all) {
  return all.empty() ? True() : Predicate(Node{Kind::kAnd, {}, {}, {}, std::move(all)});
}
Predicate Predicate::Or(std::vector<Predicate> any) {
  return any.empty() ? False() : Predicate(Node{Kind::kOr, {}, {}, {}, std::move(any)});
}
Predicate Predicate::Not(Predicate inner) {
  return Predicate(Node{Kind::kNot, {}, {}, {}, {std::move(inner)}});
}

std::string Predicate::ToString() const {
  const auto joined = [](const std::vector<Predicate>& parts, std::string_view word) {
    std::string out = "(";
    for (size_t i = 0; i < parts.size(); ++i) out += (i ? std::string(word) : "") + parts[i].ToString();
    return out + ")";
  };
  const std::string column = Join(node_->column, ".");
  switch (node_->kind) {
    case Kind::kTrue:
      return "true";
    case Kind::kFalse:
      return "false";
    case Kind::kUnknown:
      return "unknown";
    case Kind::kCompare: {
      constexpr const char* kOps[] = {"=", "<>", "<", "<=", ">", ">="};
      return fmt::format("{} {} {}", column, kOps[static_cast<int>(node_->op)], delta::ToString(node_->values[0]));
    }
    case Kind::kIn: {
      std::vector<std::string> texts;
      for (const Literal& value : node_->values) texts.push_back(delta::ToString(value));
      return fmt::format("{} in ({})", column, quern::Join(texts, ", "));
    }
    case Kind::kIsNull:
      return column + " is null";
    case Kind::kAnd:
      return joined(node_->children, " and ");
    case Kind::kOr:
      return joined(node_->children, " or ");
    case Kind::kNot:
      return "not " + node_->children[0].ToString();
  }
  return "";
}

// ---- bound to a schema

namespace {

Outcomes Always(bool value) {
  return {value, !value, false};
}
constexpr Outcomes kNull{false, false, true};
constexpr Outcomes kAnything{};

/// Values that a column may take in a file. Bounds that are not known are null literals.
struct Range {
  Literal min;
  Literal max;
  bool exact = false;  ///< min and max are values that occur, not only bounds
  bool may_be_null = true;
  bool may_be_value = true;
};

bool Less(const std::optional<std::partial_ordering>& order) {
  return order && *order < 0;
}
bool LessOrEqual(const std::optional<std::partial_ordering>& order) {
  return order && *order <= 0;
}
bool Equal(const std::optional<std::partial_ordering>& order) {
  return order && *order == 0;
}

/// Of `column op value` over the column's values that are not null.
Outcomes CompareRange(const Range& range, CompareOp op, const Literal& value) {
  Outcomes out{true, true, false};
  const auto min = Compare(range.min, value);  // nothing when not known
  const auto max = Compare(range.max, value);
  const bool all_below = Less(max);
  const bool all_above = min && *min > 0;
  const bool all_equal = range.exact && Equal(min) && Equal(max);
  switch (op) {
    case CompareOp::kEqual:
      out.may_be_true = !all_below && !all_above;
      out.may_be_false = !all_equal;
      break;
    case CompareOp::kNotEqual:
      out.may_be_true = !all_equal;
      out.may_be_false = !all_below && !all_above;
      break;
    case CompareOp::kLess:
      out.may_be_true = !(min && *min >= 0);
      out.may_be_false = !all_below;
      break;
    case CompareOp::kLessOrEqual:
      out.may_be_true = !all_above;
      out.may_be_false = !LessOrEqual(max);
      break;
    case CompareOp::kGreater:
      out.may_be_true = !LessOrEqual(max);
      out.may_be_false = !all_above;
      break;
    case CompareOp::kGreaterOrEqual:
      out.may_be_true = !all_below;
      out.may_be_false = !(min && *min >= 0);
      break;
  }
  return out;
}

bool IsTimestamp(TypeId id) {
  return id == TypeId::kTimestamp || id == TypeId::kTimestampNtz;
}

/// Whether a literal is of the kind that the type's values have; others cannot be judged.
bool Fits(const DataType& type, const Literal& value) {
  if (IsNull(value)) return true;
  switch (type.id) {
    case TypeId::kLong:
    case TypeId::kInteger:
    case TypeId::kShort:
    case TypeId::kByte:
      return !std::holds_alternative<bool>(value) && !std::holds_alternative<std::string>(value);
    case TypeId::kDate:
    case TypeId::kTimestamp:
    case TypeId::kTimestampNtz:
      return std::holds_alternative<int64_t>(value);
    case TypeId::kDecimal:
      return std::holds_alternative<int64_t>(value) || std::holds_alternative<DecimalValue>(value);
    case TypeId::kFloat:
    case TypeId::kDouble:
      return std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value);
    case TypeId::kBoolean:
      return std::holds_alternative<bool>(value);
    case TypeId::kString:
    case TypeId::kBinary:
      return std::holds_alternative<std::string>(value);
    default:
      return false;
  }
}

}  // namespace

struct FilePredicate::Bound {
  Predicate::Kind kind = Predicate::Kind::kUnknown;
  CompareOp op = CompareOp::kEqual;
  std::vector<Literal> values;
  bool partition = false;
  ColumnPath physical;
  DataType type;
  std::vector<Bound> children;

  static Bound Bind(const Predicate& predicate, const StructType& schema,
                    const std::vector<std::string>& partition_columns) {
    const Predicate::Node& node = predicate.node();
    Bound bound;
    bound.kind = node.kind;
    bound.op = node.op;
    bound.values = node.values;
    for (const Predicate& child : node.children) bound.children.push_back(Bind(child, schema, partition_columns));
    if (node.column.empty()) return bound;
    const StructType* here = &schema;
    const StructField* field = nullptr;
    for (const std::string& name : node.column) {
      field = here ? here->Find(name) : nullptr;
      if (!field) break;
      bound.physical.push_back(field->physical_name());
      here = field->type.fields.get();
    }
    const auto fits = [&](const Literal& value) { return Fits(field->type, value); };
    if (!field || field->type.nested() || !std::all_of(bound.values.begin(), bound.values.end(), fits)) {
      bound.kind = Predicate::Kind::kUnknown;
      return bound;
    }
    bound.type = field->type;
    bound.partition = node.column.size() == 1 && std::find(partition_columns.begin(), partition_columns.end(),
                                                           field->name) != partition_columns.end();
    return bound;
  }

  /// Nothing when the file's log entry cannot be understood.
  std::optional<Range> RangeIn(const DataFile& file) const {
    Range range;
    if (partition) {
      const std::optional<std::string>* text = file.add().partition_values.Find(physical[0]);
      if (!text) return std::nullopt;
      const Result<Literal> value = ParsePartitionValue(type, *text);
      if (!value) return std::nullopt;
      range.min = range.max = *value;
      range.may_be_null = IsNull(*value);
      range.may_be_value = !range.may_be_null;
      range.exact = true;
      return range;
    }
    const FileStats& stats = file.stats();
    const FileStats::Column* column = stats.Find(physical);
    if (!column) return std::nullopt;
    if (column->null_count) {
      range.may_be_null = *column->null_count > 0;
      range.may_be_value = !(stats.num_records() && *stats.num_records() == *column->null_count);
    }
    if (auto min = ParseStatistic(type, column->min)) range.min = *std::move(min);
    if (auto max = ParseStatistic(type, column->max)) range.max = *std::move(max);
    // Timestamps are cut to the millisecond: the greatest value may lie up to 999 us later.
    if (int64_t* max = std::get_if<int64_t>(&range.max); max && IsTimestamp(type.id)) {
      if (__builtin_add_overflow(*max, 999, max)) range.max = Literal();
    }
    // NaN sorts above every number, and writers that take statistics from Parquet leave it out.
    if (type.id == TypeId::kFloat || type.id == TypeId::kDouble) range.max = Literal();
    // Strings may be cut, floats rounded; timestamps have been widened.
    range.exact = type.id != TypeId::kString && !IsTimestamp(type.id);
    return range;
  }

  Outcomes Evaluate(const DataFile& file) const {
    switch (kind) {
      case Predicate::Kind::kTrue:
        return Always(true);
      case Predicate::Kind::kFalse:
        return Always(false);
      case Predicate::Kind::kUnknown:
        return kAnything;
      case Predicate::Kind::kNot: {
        const Outcomes inner = children[0].Evaluate(file);
        return {inner.may_be_false, inner.may_be_true, inner.may_be_null};
      }
      case Predicate::Kind::kAnd: {
        Outcomes all{true, false, false};
        for (const Bound& child : children) {
          const Outcomes one = child.Evaluate(file);
          all.may_be_true = all.may_be_true && one.may_be_true;
          all.may_be_false = all.may_be_false || one.may_be_false;
          all.may_be_null = all.may_be_null || one.may_be_null;
        }
        return all;
      }
      case Predicate::Kind::kOr: {
        Outcomes any{false, true, false};
        for (const Bound& child : children) {
          const Outcomes one = child.Evaluate(file);
          any.may_be_true = any.may_be_true || one.may_be_true;
          any.may_be_false = any.may_be_false && one.may_be_false;
          any.may_be_null = any.may_be_null || one.may_be_null;
        }
        return any;
      }
      case Predicate::Kind::kIsNull: {
        const auto range = RangeIn(file);
        if (!range) return {true, true, false};
        return {range->may_be_null, range->may_be_value, false};
      }
      case Predicate::Kind::kCompare:
      case Predicate::Kind::kIn: {
        const auto range = RangeIn(file);
        if (!range) return kAnything;
        if (!range->may_be_value) return kNull;
        Outcomes any{false, true, range->may_be_null};
        for (const Literal& value : values) {
          if (IsNull(value)) {
            // x = null is null, never true; among several it turns every "false" into null.
            any.may_be_false = false;
            any.may_be_null = true;
            continue;
          }
          const Outcomes one = CompareRange(*range, op, value);
          any.may_be_true = any.may_be_true || one.may_be_true;
          any.may_be_false = any.may_be_false && one.may_be_false;
        }
        return any;
      }
    }
    return kAnything;
  }

  bool PartitionOnly() const {
    switch (kind) {
      case Predicate::Kind::kUnknown:
        return false;
      case Predicate::Kind::kTrue:
      case Predicate::Kind::kFalse:
        return true;
      case Predicate::Kind::kCompare:
      case Predicate::Kind::kIn:
      case Predicate::Kind::kIsNull:
        return partition;
      default:
        return std::all_of(children.begin(), children.end(), [](const Bound& child) { return child.PartitionOnly(); });
    }
  }
};

FilePredicate::FilePredicate(const Predicate& predicate, const StructType& schema,
                             const std::vector<std::string>& partition_columns)
    : root_(std::make_unique<const Bound>(Bound::Bind(predicate, schema, partition_columns))) {}
FilePredicate::~FilePredicate() = default;
FilePredicate::FilePredicate(FilePredicate&&) noexcept = default;
Outcomes FilePredicate::Evaluate(const DataFile& file) const {
  return root_->Evaluate(file);
}
bool FilePredicate::partition_only() const {
  return root_->PartitionOnly();
}

}  // namespace quern::delta
