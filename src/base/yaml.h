#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace quern {

/// A YAML document as a tree that knows where each value stands. Plain scalars are resolved as PyYAML's safe loader
/// does (YAML 1.1: yes/no/on/off are booleans), since dbt and Airflow users' files are written for it; dates stay text.
/// Anchors, aliases and merge keys (<<) are resolved. Cheap to copy (shared, immutable); safe to read from many
/// threads.
class Yaml {
 public:
  enum class Kind { kNull, kBool, kInt, kFloat, kString, kSequence, kMapping };
  using Entry = std::pair<Yaml, Yaml>;

  /// Parses the first document. Errors: kParse with place; also duplicate keys, an alias bomb, depth past 200.
  static Result<Yaml> Parse(std::string_view text, const std::string& file);
  static Yaml Null(SourcePos pos);

  Kind kind() const;
  bool is_null() const { return kind() == Kind::kNull; }
  bool is_string() const { return kind() == Kind::kString; }
  bool is_sequence() const { return kind() == Kind::kSequence; }
  bool is_mapping() const { return kind() == Kind::kMapping; }
  bool is_scalar() const { return !is_sequence() && !is_mapping(); }
  const SourcePos& pos() const;
  /// A scalar's text as written (unquoted); "" for others.
  const std::string& text() const;
  /// A scalar's text was quoted or a block: Jinja inside keeps its place line by line.
  bool quoted() const;

  bool AsBool() const;     ///< kBool only
  int64_t AsInt() const;   ///< kInt only
  double AsFloat() const;  ///< kInt or kFloat

  const std::vector<Yaml>& items() const;        ///< a sequence's; empty otherwise
  const std::vector<Entry>& entries() const;     ///< a mapping's, in the order of the file; empty otherwise
  const Yaml* Find(std::string_view key) const;  ///< null when absent or when this is not a mapping

  Json ToJson() const;
  /// "a mapping", "text", "a number", ... for messages.
  std::string KindName() const;

 private:
  struct Node;
  friend class YamlBuilder;
  explicit Yaml(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  std::shared_ptr<const Node> node_;
};

/// Reads a mapping key by key and reports into Diagnostics, each with its place: missing keys, wrong types, and (in
/// Finish) unknown keys with "did you mean". One per mapping; not thread-safe.
class YamlMap {
 public:
  /// `what` names the mapping in messages: "schedule 'monthly'".
  YamlMap(const Yaml& node, std::string what, Diagnostics& diagnostics);

  bool Has(std::string_view key);
  const Yaml* Get(std::string_view key);                    ///< marks it as known; null when absent or null
  std::optional<std::string> String(std::string_view key);  ///< scalars of any kind, as written
  std::optional<bool> Bool(std::string_view key);
  std::optional<int64_t> Int(std::string_view key);
  std::optional<double> Float(std::string_view key);
  std::optional<std::vector<std::string>> Strings(std::string_view key);  ///< a list, or one scalar as a list of one
  std::string RequiredString(std::string_view key);                       ///< "" after reporting that it is missing
  /// One of `allowed`; reports another value.
  std::optional<std::string> Choice(std::string_view key, const std::vector<std::string>& allowed);
  /// Keys that are allowed without being read.
  void Allow(std::string_view key);
  /// Reports every key not asked for. Call once, last.
  void Finish();

  const SourcePos& pos() const { return node_.pos(); }
  SourcePos PosOf(std::string_view key) const;  ///< of the key's value; the mapping's own when absent

 private:
  void WrongType(const Yaml& value, std::string_view key, std::string_view wanted);
  Yaml node_;
  std::string what_;
  Diagnostics& diagnostics_;
  std::vector<std::string> known_;
};

}  // namespace quern
