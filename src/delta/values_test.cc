#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "base/text.h"
#include "delta/deletion_vector.h"
#include "delta/literal.h"
#include "delta/predicate.h"
#include "delta/snapshot.h"
#include "io/object_store.h"

namespace quern::delta {
namespace {

DataType Type(TypeId id) {
  return DataType::Of(id);
}

TEST(LiteralTest, PartitionValuesReadBack) {
  const auto round = [](const DataType& type, const std::string& text) {
    return FormatPartitionValue(type, ParsePartitionValue(type, text).value());
  };
  EXPECT_EQ(round(Type(TypeId::kLong), "-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(round(Type(TypeId::kDate), "2020-02-29"), "2020-02-29");
  EXPECT_EQ(round(Type(TypeId::kDate), "0001-01-01"), "0001-01-01");
  EXPECT_EQ(round(Type(TypeId::kDate), "9999-12-31"), "9999-12-31");
  EXPECT_EQ(round(Type(TypeId::kDate), "123456-01-02"), "123456-01-02");
  EXPECT_EQ(round(Type(TypeId::kTimestampNtz), "2021-11-18 02:30:00.123456"), "2021-11-18 02:30:00.123456");
  EXPECT_EQ(round(Type(TypeId::kTimestamp), "1969-12-31 23:59:59.999999"), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(round(Type(TypeId::kTimestamp), "2020-01-01T00:00:00+02:00"), "2019-12-31T22:00:00Z");
  EXPECT_EQ(round(Type(TypeId::kBoolean), "true"), "true");
  EXPECT_EQ(round(Type(TypeId::kDouble), "-1.5E10"), "-15000000000");
  EXPECT_EQ(round(Type(TypeId::kDouble), "NaN"), "NaN");
  EXPECT_EQ(round(Type(TypeId::kFloat), "0.1"), "0.1");
  EXPECT_EQ(round(DataType::Decimal(38, 10), "-12345678901234567890123456.0123456789"),
            "-12345678901234567890123456.0123456789");
  EXPECT_EQ(round(DataType::Decimal(10, 5), "0.00004"), "0.00004");
  EXPECT_EQ(round(Type(TypeId::kString), "__HIVE_DEFAULT_PARTITION__"), "__HIVE_DEFAULT_PARTITION__");
  EXPECT_TRUE(IsNull(ParsePartitionValue(Type(TypeId::kString), "").value()));
  EXPECT_TRUE(IsNull(ParsePartitionValue(Type(TypeId::kLong), std::nullopt).value()));
  for (const auto& [type, text] :
       std::vector<std::pair<DataType, std::string>>{{Type(TypeId::kLong), "1.5"},
                                                     {Type(TypeId::kDate), "2021-02-29"},
                                                     {Type(TypeId::kDate), "x"},
                                                     {Type(TypeId::kTimestamp), "2020-01-01 25:00:00"},
                                                     {Type(TypeId::kBoolean), "yes"},
                                                     {DataType::Decimal(5, 2), "1e999"}}) {
    EXPECT_EQ(ParsePartitionValue(type, text).error().code(), ErrorCode::kCorruptLog) << text;
  }
}

TEST(LiteralTest, Order) {
  const auto less = [](const Literal& a, const Literal& b) { return Compare(a, b) == std::partial_ordering::less; };
  EXPECT_TRUE(less(int64_t{1}, int64_t{2}));
  EXPECT_TRUE(less(int64_t{9'007'199'254'740'992}, 9'007'199'254'740'994.0));
  EXPECT_TRUE(less(DecimalValue{15, 1}, int64_t{2}));
  EXPECT_TRUE(less(DecimalValue{150, 2}, DecimalValue{16, 1}));
  EXPECT_TRUE(less(std::string("Z"), std::string("a")));
  EXPECT_TRUE(less(std::string("z"), std::string("é")));
  EXPECT_FALSE(Compare(Literal(), int64_t{1}));
  EXPECT_FALSE(Compare(std::numeric_limits<double>::quiet_NaN(), 1.0));
  EXPECT_FALSE(Compare(std::string("1"), int64_t{1}));
  EXPECT_FALSE(Compare(DecimalValue{1, 1}, 0.1));
}

TEST(StatsTest, BuilderAndReaderAgree) {
  StatsBuilder builder;
  builder.SetNumRecords(10);
  builder.SetMin({"a"}, Type(TypeId::kLong), int64_t{-5});
  builder.SetMin({"s", "x", "y"}, Type(TypeId::kDate), int64_t{18262});
  builder.SetMax({"s", "x", "y"}, Type(TypeId::kDate), int64_t{18263});
  builder.SetMin({"s", "b"}, Type(TypeId::kString), std::string(50, 'b'));
  builder.SetMax({"s", "b"}, Type(TypeId::kString), std::string(50, 'b'));
  builder.SetMin({"t"}, Type(TypeId::kTimestamp), int64_t{1'600'000'000'123'456});
  builder.SetMax({"t"}, Type(TypeId::kTimestamp), int64_t{1'600'000'000'123'456});
  builder.SetMin({"f"}, Type(TypeId::kDouble), std::numeric_limits<double>::quiet_NaN());
  builder.SetNullCount({"s", "x", "y"}, 3);
  builder.SetTightBounds(true);
  const std::string json = builder.ToJson();
  ASSERT_TRUE(Json::accept(json)) << json;
  const FileStats stats = FileStats::Parse(json);
  EXPECT_EQ(stats.num_records(), 10);
  EXPECT_EQ(stats.Find({"a"})->min, "-5");
  EXPECT_EQ(stats.Find({"s", "x", "y"})->min, "\"2020-01-01\"");
  EXPECT_EQ(stats.Find({"s", "x", "y"})->null_count, 3);
  EXPECT_EQ(stats.Find({"t"})->min, "\"2020-09-13T12:26:40.123Z\"");
  EXPECT_EQ(stats.Find({"t"})->max, "\"2020-09-13T12:26:40.124Z\"");
  EXPECT_EQ(stats.Find({"f"}), nullptr);
  EXPECT_EQ(stats.Find({"s", "b"})->min.size(), 34U);
  EXPECT_GT(std::get<std::string>(*ParseStatistic(Type(TypeId::kString), stats.Find({"s", "b"})->max)),
            std::string(50, 'b'));
}

TEST(StatsTest, BrokenTextGivesNone) {
  for (const char* bad :
       {"", "{", "[]", "nonsense", R"({"numRecords":"x","minValues":[],"nullCount":{"a":"b","c":[1]}})",
        R"({"minValues":{"a":{"b":)"}) {
    const FileStats stats = FileStats::Parse(bad);
    EXPECT_EQ(stats.num_records(), std::nullopt) << bad;
    EXPECT_TRUE(stats.Find({"a", "b"}) == nullptr || stats.Find({"a", "b"})->min.empty());
  }
  EXPECT_EQ(FileStats::Parse(R"({"numRecords":4,"maxValues":{"we\"ird":3,"b":4}})").Find({"b"})->max, "4");
}

TEST(StatsTest, ColumnsFollowTheTablesProperties) {
  const StructType schema =
      ParseSchema(
          R"({"fields":[{"name":"p","type":"long"},{"name":"a","type":"long"},{"name":"s","type":{"type":"struct","fields":[{"name":"x","type":"long"},{"name":"y","type":"string"}]}},{"name":"l","type":{"type":"array","elementType":"long","containsNull":true}},{"name":"z","type":"long"}]})")
          .value();
  Metadata metadata;
  metadata.partition_columns = {"p"};
  const auto names = [&] {
    std::string all;
    const std::vector<StatsColumn> columns = StatsColumns(schema, metadata);
    for (const StatsColumn& column : columns) all += Join(column.logical, ".") + " ";
    return all;
  };
  EXPECT_EQ(names(), "a s.x s.y z ");
  metadata.configuration["delta.dataSkippingNumIndexedCols"] = "2";
  EXPECT_EQ(names(), "a s.x ");
  metadata.configuration["delta.dataSkippingStatsColumns"] = "s, `z`";
  EXPECT_EQ(names(), "s.x s.y z ");
}

// ---- predicates

/// Rows of one file for the property test: three values a row, some null.
struct Row {
  Literal n;  // long
  Literal s;  // string
  Literal d;  // double
};

std::optional<bool> Truth(const Predicate& predicate, const Row& row) {
  const Predicate::Node& node = predicate.node();
  const auto value = [&]() -> const Literal& {
    return node.column[0] == "n" ? row.n : node.column[0] == "s" ? row.s : row.d;
  };
  const auto compare = [&](const Literal& a, CompareOp op, const Literal& b) -> std::optional<bool> {
    if (IsNull(a) || IsNull(b)) return std::nullopt;
    // NaN is above every number, and equal to itself: as Spark and DuckDB have it.
    std::partial_ordering order = std::partial_ordering::equivalent;
    const double* x = std::get_if<double>(&a);
    const double* y = std::get_if<double>(&b);
    if (x && std::isnan(*x)) {
      order = y && std::isnan(*y) ? std::partial_ordering::equivalent : std::partial_ordering::greater;
    } else {
      order = *Compare(a, b);
    }
    switch (op) {
      case CompareOp::kEqual:
        return order == 0;
      case CompareOp::kNotEqual:
        return order != 0;
      case CompareOp::kLess:
        return order < 0;
      case CompareOp::kLessOrEqual:
        return order <= 0;
      case CompareOp::kGreater:
        return order > 0;
      case CompareOp::kGreaterOrEqual:
        return order >= 0;
    }
    return std::nullopt;
  };
  switch (node.kind) {
    case Predicate::Kind::kTrue:
      return true;
    case Predicate::Kind::kFalse:
      return false;
    case Predicate::Kind::kUnknown:
      return std::nullopt;
    case Predicate::Kind::kCompare:
      return compare(value(), node.op, node.values[0]);
    case Predicate::Kind::kIsNull:
      return IsNull(value());
    case Predicate::Kind::kIn: {
      std::optional<bool> any = false;
      for (const Literal& v : node.values) {
        const auto one = compare(value(), CompareOp::kEqual, v);
        if (one == true) return true;
        if (!one) any = std::nullopt;
      }
      return any;
    }
    case Predicate::Kind::kNot: {
      const auto inner = Truth(node.children[0], row);
      return inner ? std::optional(!*inner) : std::nullopt;
    }
    case Predicate::Kind::kAnd:
    case Predicate::Kind::kOr: {
      const bool decisive = node.kind == Predicate::Kind::kOr;
      std::optional<bool> all = !decisive;
      for (const Predicate& child : node.children) {
        const auto one = Truth(child, row);
        if (one == decisive) return decisive;
        if (!one) all = std::nullopt;
      }
      return all;
    }
  }
  return std::nullopt;
}

class PredicateTest : public ::testing::Test {
 protected:
  std::mt19937 random_{42};
  StructType schema_ =
      ParseSchema(
          R"({"fields":[{"name":"n","type":"long"},{"name":"s","type":"string"},{"name":"d","type":"double"}]})")
          .value();

  int Pick(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  Literal Number() { return Pick(5) == 0 ? Literal() : Literal(int64_t{Pick(6)}); }
  Literal Text() {
    return Pick(5) == 0 ? Literal()
                        : Literal(std::string(static_cast<size_t>(Pick(2) ? 1 : 40), static_cast<char>('a' + Pick(3))));
  }
  Literal Real() {
    return Pick(5) == 0   ? Literal()
           : Pick(6) == 0 ? Literal(std::numeric_limits<double>::quiet_NaN())
                          : Literal(Pick(4) + 0.5);
  }
  Literal Of(const std::string& column) { return column == "n" ? Number() : column == "s" ? Text() : Real(); }
  Predicate Make(int depth) {
    const std::string column = std::string(1, "nsd"[Pick(3)]);
    switch (Pick(depth > 0 ? 7 : 4)) {
      case 0:
        return Predicate::IsNull({column});
      case 1:
        return Predicate::In({column}, {Of(column), Of(column)});
      case 2:
      case 3:
        return Predicate::Compare({column}, static_cast<CompareOp>(Pick(6)), Of(column));
      case 4:
        return Predicate::Not(Make(depth - 1));
      case 5:
        return Predicate::And({Make(depth - 1), Make(depth - 1)});
      default:
        return Predicate::Or({Make(depth - 1), Make(depth - 1)});
    }
  }
};

TEST_F(PredicateTest, NeverSkipsAFileThatHoldsAMatch) {
  int skipped = 0;
  for (int round = 0; round < 4000; ++round) {
    std::vector<Row> rows;
    StatsBuilder stats;
    stats.SetNumRecords(0);
    const int count = 1 + Pick(4);
    std::map<std::string, std::pair<Literal, Literal>> bounds;
    std::map<std::string, int> nulls{{"n", 0}, {"s", 0}, {"d", 0}};
    for (int i = 0; i < count; ++i) {
      rows.push_back({Number(), Text(), Real()});
      for (const auto& [name, value] :
           {std::pair<std::string, Literal>{"n", rows.back().n}, {"s", rows.back().s}, {"d", rows.back().d}}) {
        if (IsNull(value)) {
          ++nulls[name];
          continue;
        }
        const double* real = std::get_if<double>(&value);
        if (real && std::isnan(*real)) continue;  // as Parquet's statistics leave it out
        auto& [min, max] = bounds[name];
        if (IsNull(min) || *Compare(value, min) < 0) min = value;
        if (IsNull(max) || *Compare(value, max) > 0) max = value;
      }
    }
    stats.SetNumRecords(count);
    for (const StructField& field : schema_.fields) {
      stats.SetNullCount({field.name}, nulls[field.name]);
      if (bounds.count(field.name)) {
        stats.SetMin({field.name}, field.type, bounds[field.name].first);
        stats.SetMax({field.name}, field.type, bounds[field.name].second);
      }
    }
    Add add;
    add.path = "f";
    add.stats = stats.ToJson();
    const DataFile file(add);
    for (int k = 0; k < 5; ++k) {
      const Predicate predicate = Make(3);
      const Outcomes outcomes = FilePredicate(predicate, schema_, {}).Evaluate(file);
      skipped += !outcomes.may_be_true;
      for (const Row& row : rows) {
        const auto truth = Truth(predicate, row);
        EXPECT_TRUE(truth == true    ? outcomes.may_be_true
                    : truth == false ? outcomes.may_be_false
                                     : outcomes.may_be_null)
            << predicate.ToString() << " over " << add.stats << " row " << ToString(row.n) << ToString(row.s)
            << ToString(row.d);
      }
    }
  }
  EXPECT_GT(skipped, 3000);
}

TEST_F(PredicateTest, SkipsByPartitionAndStatistics) {
  Add add;
  add.path = "f";
  add.partition_values = {{"n", "5"}};
  add.stats = R"({"numRecords":2,"minValues":{"s":"b"},"maxValues":{"s":"d"},"nullCount":{"s":0,"d":2}})";
  const DataFile file(add);
  const auto may = [&](const Predicate& p) { return FilePredicate(p, schema_, {"n"}).MayMatch(file); };
  const auto n = [](CompareOp op, int64_t v) { return Predicate::Compare({"n"}, op, Literal(v)); };
  EXPECT_TRUE(may(n(CompareOp::kEqual, 5)));
  EXPECT_FALSE(may(n(CompareOp::kEqual, 6)));
  EXPECT_FALSE(may(n(CompareOp::kNotEqual, 5)));
  EXPECT_FALSE(may(Predicate::Not(n(CompareOp::kEqual, 5))));
  EXPECT_FALSE(may(Predicate::Compare({"s"}, CompareOp::kLess, Literal(std::string("b")))));
  EXPECT_TRUE(may(Predicate::Compare({"s"}, CompareOp::kLess, Literal(std::string("c")))));
  EXPECT_FALSE(may(Predicate::IsNull({"s"})));
  EXPECT_FALSE(may(Predicate::IsNotNull({"d"})));
  EXPECT_FALSE(may(Predicate::Compare({"d"}, CompareOp::kGreater, Literal(1.0))));
  EXPECT_FALSE(may(Predicate::Or(
      {n(CompareOp::kEqual, 4), Predicate::Compare({"S"}, CompareOp::kGreater, Literal(std::string("x")))})));
  EXPECT_TRUE(may(Predicate::Compare({"nope"}, CompareOp::kEqual, Literal(int64_t{1}))));
  EXPECT_TRUE(may(Predicate::Compare({"n"}, CompareOp::kEqual, Literal(std::string("x")))));
  EXPECT_TRUE(FilePredicate(n(CompareOp::kEqual, 5), schema_, {"n"}).partition_only());
  EXPECT_FALSE(FilePredicate(Predicate::IsNull({"s"}), schema_, {"n"}).partition_only());
}

TEST_F(PredicateTest, TimestampMaximumIsCutToTheMillisecond) {
  const StructType schema = ParseSchema(R"({"fields":[{"name":"t","type":"timestamp"}]})").value();
  Add add;
  add.path = "f";
  add.stats =
      R"({"numRecords":1,"minValues":{"t":"2020-01-01T00:00:00.123Z"},"maxValues":{"t":"2020-01-01T00:00:00.123Z"},"nullCount":{"t":0}})";
  const DataFile file(add);
  const int64_t at = 1'577'836'800'123'000;
  const auto may = [&](CompareOp op, int64_t v) {
    return FilePredicate(Predicate::Compare({"t"}, op, Literal(v)), schema, {}).MayMatch(file);
  };
  EXPECT_TRUE(may(CompareOp::kGreater, at + 500));
  EXPECT_TRUE(may(CompareOp::kEqual, at + 999));
  EXPECT_TRUE(may(CompareOp::kNotEqual, at));
  EXPECT_FALSE(may(CompareOp::kGreater, at + 999));
  EXPECT_FALSE(may(CompareOp::kLess, at));
}

// ---- deletion vectors

TEST(RowSetTest, SetsAndRanges) {
  RowSet rows;
  EXPECT_TRUE(rows.empty());
  const uint64_t many[] = {1, 2, (uint64_t{1} << 32) + 5, 3};
  rows.AddMany(many, 4);
  rows.AddRange((uint64_t{1} << 32) - 2, (uint64_t{1} << 32) + 2);
  EXPECT_EQ(rows.cardinality(), 8U);
  EXPECT_TRUE(rows.Contains((uint64_t{1} << 32) + 1));
  EXPECT_FALSE(rows.Contains((uint64_t{1} << 32) + 2));
  std::vector<uint32_t> offsets;
  rows.Deleted(2, 10, offsets);
  EXPECT_EQ(offsets, (std::vector<uint32_t>{0, 1}));
  rows.Deleted((uint64_t{1} << 32) - 1, (uint64_t{1} << 32) + 6, offsets);
  EXPECT_EQ(offsets, (std::vector<uint32_t>{0, 1, 2, 6}));
  RowSet copy = rows;
  copy.Add(77);
  EXPECT_FALSE(rows.Contains(77));
  rows.Union(copy);
  EXPECT_EQ(rows, copy);
}

TEST(RowSetTest, SerializedFormReadsBackAndBrokenOnesAreRefused) {
  RowSet rows;
  rows.AddRange(100, 5000);
  rows.Add(uint64_t{7} << 32);
  const std::string bytes = rows.Serialize();
  EXPECT_EQ(RowSet::Deserialize(bytes).value(), rows);
  EXPECT_EQ(RowSet::Deserialize(RowSet().Serialize()).value().cardinality(), 0U);
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(RowSet::Deserialize(bytes.substr(0, n))) << n;
  std::string wrong = bytes;
  wrong[0] = 'x';
  EXPECT_EQ(RowSet::Deserialize(wrong).error().code(), ErrorCode::kCorrupt);
}

TEST(DeletionVectorTest, InlineVectors) {
  io::InMemoryObjectStore store;
  RowSet rows;
  for (const uint64_t row : {3, 4, 7, 11, 18, 29}) rows.Add(row);
  std::string bytes = rows.Serialize();
  DeletionVectorDescriptor vector;
  vector.storage = DeletionVectorDescriptor::Storage::kInline;
  vector.size_in_bytes = static_cast<int32_t>(bytes.size());
  vector.cardinality = 6;
  bytes.resize((bytes.size() + 3) / 4 * 4);
  vector.path_or_inline = Z85Encode(bytes);
  EXPECT_EQ(ReadDeletionVector(store, "t", vector).value(), rows);
  vector.cardinality = 5;
  EXPECT_EQ(ReadDeletionVector(store, "t", vector).error().code(), ErrorCode::kCorrupt);
  // The protocol document's own example is in the older layout and the wrong byte order; Spark refuses it too.
  vector.path_or_inline = "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L";
  vector.size_in_bytes = 40;
  vector.cardinality = 6;
  EXPECT_EQ(ReadDeletionVector(store, "t", vector).error().code(), ErrorCode::kCorrupt);
}

TEST(DeletionVectorTest, SeveralVectorsShareAFile) {
  io::InMemoryObjectStore store;
  DeletionVectorWriter writer(store, "wh/t");
  EXPECT_EQ(writer.Finish().value(), "");
  std::vector<RowSet> sets(3);
  std::vector<DeletionVectorDescriptor> vectors;
  for (size_t i = 0; i < sets.size(); ++i) {
    sets[i].AddRange(i * 10, i * 10 + 1 + i * 1000);
    vectors.push_back(writer.Append(sets[i]));
  }
  const std::string key = writer.Finish().value();
  for (size_t i = 0; i < sets.size(); ++i) EXPECT_EQ(ReadDeletionVector(store, "wh/t", vectors[i]).value(), sets[i]);
  std::string bytes = store.Get(key).value().value();
  EXPECT_EQ(bytes[0], 1);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] + 1);
  ASSERT_TRUE(store.Put(key, bytes));
  int broken = 0;
  for (const DeletionVectorDescriptor& vector : vectors) broken += !ReadDeletionVector(store, "wh/t", vector);
  EXPECT_EQ(broken, 1);
  ASSERT_TRUE(store.Delete(key));
  EXPECT_EQ(ReadDeletionVector(store, "wh/t", vectors[0]).error().code(), ErrorCode::kNotFound);
  DeletionVectorDescriptor absolute = vectors[0];
  absolute.storage = DeletionVectorDescriptor::Storage::kPath;
  absolute.path_or_inline = "file:///abs/dv%20x.bin";
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] - 1);
  ASSERT_TRUE(store.Put("/abs/dv x.bin", bytes));
  EXPECT_EQ(ReadDeletionVector(store, "wh/t", absolute).value(), sets[0]);
}

TEST(Z85Test, KnownText) {
  EXPECT_EQ(Z85Encode("\x86\x4F\xD2\x6F\xB5\x59\xF7\x5B"), "HelloWorld");
  EXPECT_EQ(Z85Decode("HelloWorld").value(), "\x86\x4F\xD2\x6F\xB5\x59\xF7\x5B");
  EXPECT_FALSE(Z85Decode("Hell"));
  EXPECT_FALSE(Z85Decode("\"ello"));
  EXPECT_FALSE(Z85Decode("#####"));
  // A tail of two bytes, as Rust's writers pad it.
  EXPECT_EQ(Z85Decode("Hello##093").value(), std::string("\x86\x4F\xD2\x6F\x03\x00", 6));
  EXPECT_FALSE(Z85Decode("##093Hello"));
}

}  // namespace
}  // namespace quern::delta
