#pragma once
#include <memory>
#include <string>
#include <vector>

#include "delta/literal.h"
#include "delta/stats.h"

namespace quern::delta {

enum class CompareOp { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

/// A condition on one row, for skipping files and for telling which files a transaction read. SQL's three values.
/// Columns are logical paths; one that the schema does not have, or a literal of another kind than its type, makes that
/// part unknown, which keeps every file. Value type, cheap to copy.
class Predicate {
 public:
  static Predicate True();
  static Predicate False();
  /// Something that we cannot judge: no file is skipped by it.
  static Predicate Unknown();
  static Predicate Compare(ColumnPath column, CompareOp op, Literal value);
  /// Null among the values behaves as in SQL. No values at all: false.
  static Predicate In(ColumnPath column, std::vector<Literal> values);
  static Predicate IsNull(ColumnPath column);
  static Predicate IsNotNull(ColumnPath column);
  static Predicate And(std::vector<Predicate> all);  ///< none: true
  static Predicate Or(std::vector<Predicate> any);   ///< none: false
  static Predicate Not(Predicate inner);

  enum class Kind { kTrue, kFalse, kUnknown, kCompare, kIn, kIsNull, kAnd, kOr, kNot };
  Kind kind() const { return node_->kind; }
  std::string ToString() const;

  struct Node {
    Kind kind = Kind::kUnknown;
    ColumnPath column;
    CompareOp op = CompareOp::kEqual;
    std::vector<Literal> values;
    std::vector<Predicate> children;
  };
  const Node& node() const { return *node_; }

 private:
  explicit Predicate(Node node) : node_(std::make_shared<const Node>(std::move(node))) {}
  std::shared_ptr<const Node> node_;
};

/// What a predicate can be over the rows of one file.
struct Outcomes {
  bool may_be_true = true;
  bool may_be_false = true;
  bool may_be_null = true;
};

class DataFile;

/// A predicate bound to a schema: columns resolved, once for many files. Thread-safe.
class FilePredicate {
 public:
  FilePredicate(const Predicate& predicate, const StructType& schema,
                const std::vector<std::string>& partition_columns);
  ~FilePredicate();
  FilePredicate(FilePredicate&&) noexcept;

  /// false: no row of the file satisfies it.
  bool MayMatch(const DataFile& file) const { return Evaluate(file).may_be_true; }
  Outcomes Evaluate(const DataFile& file) const;
  /// Only partition columns are used, and it can be judged whole: then each file matches wholly or not at all.
  bool partition_only() const;

 private:
  struct Bound;
  std::unique_ptr<const Bound> root_;
};

}  // namespace quern::delta
