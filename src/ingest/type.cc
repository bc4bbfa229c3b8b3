#include "ingest/type.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"

namespace quern::ingest {
namespace {

using Kind = Type::Kind;

const std::map<std::string, Kind, std::less<>>& Names() {
  static const std::map<std::string, Kind, std::less<>> names = {
      {"BOOLEAN", Kind::kBoolean},
      {"BOOL", Kind::kBoolean},
      {"LOGICAL", Kind::kBoolean},
      {"TINYINT", Kind::kTinyInt},
      {"INT1", Kind::kTinyInt},
      {"BYTE", Kind::kTinyInt},
      {"SMALLINT", Kind::kSmallInt},
      {"INT2", Kind::kSmallInt},
      {"SHORT", Kind::kSmallInt},
      {"UTINYINT", Kind::kSmallInt},
      {"INTEGER", Kind::kInteger},
      {"INT", Kind::kInteger},
      {"INT4", Kind::kInteger},
      {"USMALLINT", Kind::kInteger},
      {"BIGINT", Kind::kBigInt},
      {"INT8", Kind::kBigInt},
      {"LONG", Kind::kBigInt},
      {"UINTEGER", Kind::kBigInt},
      {"FLOAT", Kind::kFloat},
      {"REAL", Kind::kFloat},
      {"FLOAT4", Kind::kFloat},
      {"DOUBLE", Kind::kDouble},
      {"FLOAT8", Kind::kDouble},
      {"DOUBLE PRECISION", Kind::kDouble},
      {"DATE", Kind::kDate},
      {"VARCHAR", Kind::kVarchar},
      {"TEXT", Kind::kVarchar},
      {"STRING", Kind::kVarchar},
      {"CHAR", Kind::kVarchar},
      {"BPCHAR", Kind::kVarchar},
      {"JSON", Kind::kVarchar},
      {"UUID", Kind::kVarchar},
      {"BLOB", Kind::kBlob},
      {"BINARY", Kind::kBlob},
      {"VARBINARY", Kind::kBlob},
      {"BYTEA", Kind::kBlob},
      {"TIMESTAMPTZ", Kind::kTimestamp},
      {"TIMESTAMP WITH TIME ZONE", Kind::kTimestamp},
      {"TIMESTAMP_NTZ", Kind::kTimestampNtz},
      {"TIMESTAMP WITHOUT TIME ZONE", Kind::kTimestampNtz},
      {"DATETIME", Kind::kTimestampNtz},
  };
  return names;
}

class Parser {
 public:
  Parser(std::string_view text, Type::From from) : text_(text), from_(from) {}

  Result<Type> Whole() {
    Type type = QUERN_TRY(One(0));
    Blank();
    if (at_ != text_.size()) return Wrong();
    return type;
  }

 private:
  tl::unexpected<Error> Wrong() const {
    std::vector<std::string> known;
    for (const auto& [name, kind] : Names()) known.push_back(Lower(name));
    known.insert(known.end(), {"timestamp", "decimal"});
    std::string hint = DidYouMean(Lower(text_), known);
    if (hint.empty()) {
      hint =
          "types are boolean, tinyint, smallint, integer, bigint, float, double, decimal(p,s), date, timestamp, "
          "timestamp_ntz, varchar, blob, struct(name type, ...), type[] and map(key, value)";
    }
    return Fail(Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no type", text_)).Hint(hint));
  }
  void Blank() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool Eat(char c) {
    Blank();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string Word() {
    Blank();
    const size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
    return Upper(text_.substr(start, at_ - start));
  }
  std::string Name() {
    Blank();
    if (at_ < text_.size() && text_[at_] == '"') {
      std::string name;
      for (++at_; at_ < text_.size(); ++at_) {
        if (text_[at_] == '"') {
          if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') break;
          ++at_;
        }
        name += text_[at_];
      }
      at_ = std::min(at_ + 1, text_.size());
      return name;
    }
    const size_t start = at_;
    while (at_ < text_.size() && std::string_view(" \t\n(),").find(text_[at_]) == std::string_view::npos) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }
  int Number() {
    Blank();
    int n = -1;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && n < 1000) {
      n = std::max(n, 0) * 10 + (text_[at_++] - '0');
    }
    return n;
  }

  Result<Type> One(int depth) {
    if (depth > 100) return Wrong();
    Type type = QUERN_TRY(Base(depth));
    while (Eat('[')) {
      Number();
      if (!Eat(']')) return Wrong();
      type = Type::List(std::move(type));
    }
    return type;
  }

  Result<Type> Base(int depth) {
    const std::string word = Word();
    if (word == "STRUCT" || word == "ROW") {
      Type type(Kind::kStruct);
      if (!Eat('(')) return Wrong();
      do {
        std::string name = Name();
        if (name.empty()) return Wrong();
        Type inner =
            QUERN_TRY(One(depth + 1));  // not inside the braces: g++ 12 leaks what stands before a return there
        type.fields.push_back({std::move(name), std::move(inner)});
      } while (Eat(','));
      if (!Eat(')')) return Wrong();
      return type;
    }
    if (word == "MAP") {
      Type type(Kind::kMap);
      if (!Eat('(')) return Wrong();
      Type key = QUERN_TRY(One(depth + 1));
      type.fields.push_back({"key", std::move(key)});
      if (!Eat(',')) return Wrong();
      Type value = QUERN_TRY(One(depth + 1));
      type.fields.push_back({"value", std::move(value)});
      if (!Eat(')')) return Wrong();
      return type;
    }
    if (word == "DECIMAL" || word == "NUMERIC" || word == "DEC") {
      int precision = 18;
      int scale = 3;
      if (Eat('(')) {
        precision = Number();
        scale = 0;
        if (Eat(',')) scale = Number();
        if (!Eat(')')) return Wrong();
      }
      if (precision < 1 || precision > 38 || scale < 0 || scale > precision) {
        return Fail(Error(ErrorCode::kInvalidArgument,
                          fmt::format("'{}' is no decimal type: precision 1 to 38, scale 0 to the precision", text_)));
      }
      return Type::Decimal(precision, scale);
    }
    if (word == "UBIGINT") return Type::Decimal(20, 0);
    if (word == "HUGEINT" || word == "UHUGEINT" || word == "BIGNUM") {
      return word == "HUGEINT" ? Type::Decimal(38, 0) : Type(Kind::kVarchar);
    }
    if (word == "TIMESTAMP" || word == "TIMESTAMP_NS" || word == "TIMESTAMP_MS" || word == "TIMESTAMP_S" ||
        word == "TIME" || word == "DOUBLE") {
      const size_t back = at_;
      const std::string next = Word();
      if (word == "DOUBLE") {
        if (next != "PRECISION") at_ = back;
        return Type(Kind::kDouble);
      }
      if (next == "WITH" || next == "WITHOUT") {
        if (Word() != "TIME" || Word() != "ZONE") return Wrong();
        if (word == "TIME") return Type(Kind::kVarchar);
        return Type(next == "WITH" ? Kind::kTimestamp : Kind::kTimestampNtz);
      }
      at_ = back;
      if (word == "TIME") return Type(Kind::kVarchar);
      return Type(from_ == Type::From::kUser ? Kind::kTimestamp : Kind::kTimestampNtz);
    }
    if (word == "ENUM" && from_ == Type::From::kEngine) {
      int open = 0;
      bool quoted = false;
      Blank();
      for (; at_ < text_.size(); ++at_) {
        if (text_[at_] == '\'') quoted = !quoted;
        if (quoted) continue;
        if (text_[at_] == '(') ++open;
        if (text_[at_] == ')' && --open == 0) {
          ++at_;
          break;
        }
      }
      return Type(Kind::kVarchar);
    }
    if (from_ == Type::From::kEngine && (word == "INTERVAL" || word == "BIT" || word == "TIMETZ" || word == "TIME_NS" ||
                                         word == "NULL" || word == "VARINT")) {
      if (word == "NULL" && Eat('"')) Eat('"');
      return word == "NULL" ? Type(Kind::kUnknown) : Type(Kind::kVarchar);
    }
    if (word.empty() && from_ == Type::From::kEngine && Name() == "NULL") return Type(Kind::kUnknown);
    const auto found = Names().find(word);
    if (found == Names().end()) return Wrong();
    if (found->second == Kind::kVarchar && Eat('(')) {
      Number();
      if (!Eat(')')) return Wrong();
    }
    return Type(found->second);
  }

  std::string_view text_;
  Type::From from_;
  size_t at_ = 0;
};

int IntegerDigits(const Type& type) {
  switch (type.kind) {
    case Kind::kTinyInt:
      return 3;
    case Kind::kSmallInt:
      return 5;
    case Kind::kInteger:
      return 10;
    case Kind::kBigInt:
      return 19;
    case Kind::kDecimal:
      return type.precision - type.scale;
    default:
      return 0;
  }
}

const Type::Field* FindField(const Type& type, std::string_view name) {
  for (const Type::Field& field : type.fields) {
    if (EqualsIgnoreCase(field.name, name)) return &field;
  }
  return nullptr;
}

}  // namespace

Type Type::Decimal(int precision, int scale) {
  Type type(Kind::kDecimal);
  type.precision = precision;
  type.scale = scale;
  return type;
}

Type Type::List(Type element) {
  Type type(Kind::kList);
  type.fields.push_back({"element", std::move(element)});
  return type;
}

Result<Type> Type::Parse(std::string_view text, From from) {
  return Parser(text, from).Whole();
}

Type Type::OfJsonStructure(const nlohmann::ordered_json& structure) {
  if (structure.is_object()) {
    Type type(Kind::kStruct);
    for (const auto& [name, inner] : structure.items()) {
      if (FindField(type, name) != nullptr || name.empty()) return Type(Kind::kVarchar);  // no struct can hold it
      type.fields.push_back({name, OfJsonStructure(inner)});
    }
    return type.fields.empty() ? Type(Kind::kVarchar) : type;
  }
  if (structure.is_array()) return List(structure.empty() ? Type() : OfJsonStructure(structure[0]));
  const std::string name = structure.is_string() ? structure.get<std::string>() : "";
  if (name == "NULL") return Type();
  if (name == "UBIGINT" || name == "BIGINT") return Type(Kind::kBigInt);
  if (name == "DOUBLE") return Type(Kind::kDouble);
  if (name == "BOOLEAN") return Type(Kind::kBoolean);
  return Type(Kind::kVarchar);
}

std::string Type::ToSql() const {
  switch (kind) {
    case Kind::kUnknown:
    case Kind::kVarchar:
      return "VARCHAR";
    case Kind::kBoolean:
      return "BOOLEAN";
    case Kind::kTinyInt:
      return "TINYINT";
    case Kind::kSmallInt:
      return "SMALLINT";
    case Kind::kInteger:
      return "INTEGER";
    case Kind::kBigInt:
      return "BIGINT";
    case Kind::kFloat:
      return "FLOAT";
    case Kind::kDouble:
      return "DOUBLE";
    case Kind::kDecimal:
      return fmt::format("DECIMAL({},{})", precision, scale);
    case Kind::kDate:
      return "DATE";
    case Kind::kTimestamp:
      return "TIMESTAMP WITH TIME ZONE";
    case Kind::kTimestampNtz:
      return "TIMESTAMP";
    case Kind::kBlob:
      return "BLOB";
    case Kind::kList:
      return fields[0].type.ToSql() + "[]";
    case Kind::kMap:
      return fmt::format("MAP({}, {})", fields[0].type.ToSql(), fields[1].type.ToSql());
    case Kind::kStruct: {
      std::string out = "STRUCT(";
      for (size_t i = 0; i < fields.size(); ++i) {
        out += (i > 0 ? ", " : "") + QuoteIdentifier(fields[i].name) + " " + fields[i].type.ToSql();
      }
      return out + ")";
    }
  }
  return "VARCHAR";
}

bool Type::operator==(const Type& other) const {
  if (kind != other.kind || precision != other.precision || scale != other.scale ||
      fields.size() != other.fields.size()) {
    return false;
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    if (kind == Kind::kStruct && !EqualsIgnoreCase(fields[i].name, other.fields[i].name)) return false;
    if (!(fields[i].type == other.fields[i].type)) return false;
  }
  return true;
}

Type Widen(const Type& a, const Type& b) {
  if (a == b || b.kind == Kind::kUnknown) return a;
  if (a.kind == Kind::kUnknown) return b;
  if (a.integer() && b.integer()) return a.kind > b.kind ? a : b;
  if (a.number() && b.number()) {
    const bool decimals = (a.kind == Kind::kDecimal || a.integer()) && (b.kind == Kind::kDecimal || b.integer());
    if (!decimals) return Type(Kind::kDouble);
    const int scale = std::max(a.scale, b.scale);
    const int digits = std::max(IntegerDigits(a), IntegerDigits(b));
    return digits + scale <= 38 ? Type::Decimal(digits + scale, scale) : Type(Kind::kDouble);
  }
  const auto time = [](const Type& t) {
    return t.kind == Kind::kDate || t.kind == Kind::kTimestampNtz || t.kind == Kind::kTimestamp;
  };
  if (time(a) && time(b))
    return a.kind == Kind::kTimestamp || b.kind == Kind::kTimestamp ? Kind::kTimestamp : Kind::kTimestampNtz;
  if (a.kind == Kind::kList && b.kind == Kind::kList) return Type::List(Widen(a.fields[0].type, b.fields[0].type));
  if (a.kind == Kind::kMap && b.kind == Kind::kMap) {
    Type type = a;
    for (size_t i = 0; i < 2; ++i) type.fields[i].type = Widen(a.fields[i].type, b.fields[i].type);
    return type;
  }
  if (a.kind == Kind::kStruct && b.kind == Kind::kStruct) {
    Type type = a;
    for (Type::Field& field : type.fields) {
      if (const auto* other = FindField(b, field.name)) field.type = Widen(field.type, other->type);
    }
    for (const Type::Field& field : b.fields) {
      if (FindField(a, field.name) == nullptr) type.fields.push_back(field);
    }
    return type;
  }
  return Type(Kind::kVarchar);
}

bool Fits(const Type& from, const Type& to) {
  if (from.kind == Kind::kUnknown || from == to) return true;
  if (to.kind == Kind::kVarchar) return true;
  if (to.kind == Kind::kUnknown) return false;
  if (from.nested() || to.nested()) {
    if (from.kind != to.kind) return false;
    if (from.kind != Kind::kStruct) {
      for (size_t i = 0; i < from.fields.size(); ++i) {
        if (!Fits(from.fields[i].type, to.fields[i].type)) return false;
      }
      return true;
    }
    return std::all_of(from.fields.begin(), from.fields.end(), [&to](const Type::Field& field) {
      const auto* other = FindField(to, field.name);
      return other != nullptr && Fits(field.type, other->type);
    });
  }
  if (to.kind == Kind::kDecimal) {
    return (from.integer() || from.kind == Kind::kDecimal) && IntegerDigits(from) <= IntegerDigits(to) &&
           from.scale <= to.scale;
  }
  return Widen(from, to) == to;
}

std::vector<std::string> NewFields(const Type& from, const Type& to) {
  std::vector<std::string> names;
  if (from.kind != to.kind) return names;
  if (from.kind == Kind::kList) return NewFields(from.fields[0].type, to.fields[0].type);
  if (from.kind != Kind::kStruct) return names;
  for (const Type::Field& field : from.fields) {
    const auto* other = FindField(to, field.name);
    if (other == nullptr) {
      names.push_back(field.name);
      continue;
    }
    for (const std::string& inner : NewFields(field.type, other->type)) names.push_back(field.name + "." + inner);
  }
  return names;
}

}  // namespace quern::ingest
