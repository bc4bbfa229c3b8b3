#include "delta/actions.h"

#include <gtest/gtest.h>

#include "delta/path_encoding.h"
#include "delta/schema.h"

namespace quern::delta {
namespace {

template <class T>
T Only(std::string_view line) {
  const Result<std::vector<Action>> actions = ParseActions(line, "f");
  if (!actions) {
    ADD_FAILURE() << actions.error().ToString();
    return T();
  }
  EXPECT_EQ(actions->size(), 1U);
  return std::get<T>(actions->at(0));
}

template <class T>
void ExpectRoundTrip(const T& action) {
  const std::string text = PrintAction(action);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(Only<T>(text), action) << text;
  EXPECT_EQ(PrintAction(Only<T>(text)), text);
}

DeletionVectorDescriptor Vector() {
  DeletionVectorDescriptor vector;
  vector.path_or_inline = "ab^-aqEH.-t@S}K{vb[*k^";
  vector.offset = 4;
  vector.size_in_bytes = 40;
  vector.cardinality = 6;
  return vector;
}

TEST(ActionsTest, EveryActionReadsBackAsPrinted) {
  Add add;
  add.path = "day=2020-01-01/a b%20\"\\\n\x01é😀.parquet";
  add.partition_values = {{"day", "2020-01-01"}, {"x", std::nullopt}, {"e", ""}};
  add.size = 1'234'567'890'123;
  add.modification_time = 1'700'000'000'000;
  add.stats = R"({"numRecords":3,"minValues":{"s":"\"x\\"}})";
  add.tags = {{"k", "v"}};
  add.deletion_vector = Vector();
  add.base_row_id = 7;
  add.default_row_commit_version = 8;
  add.clustering_provider = "liquid";
  ExpectRoundTrip(add);
  Remove remove;
  remove.path = "x";
  remove.deletion_timestamp = 5;
  remove.extended_file_metadata = true;
  remove.partition_values = {{"day", std::nullopt}};
  remove.size = 4;
  remove.deletion_vector = Vector();
  ExpectRoundTrip(remove);
  Metadata metadata;
  metadata.id = "id";
  metadata.name = "n";
  metadata.schema_string = R"({"type":"struct","fields":[]})";
  metadata.partition_columns = {"a", "b"};
  metadata.configuration = {{"k", "v"}};
  metadata.created_time = 3;
  ExpectRoundTrip(metadata);
  ExpectRoundTrip(Protocol{3, 7, {{"deletionVectors"}}, {{"appendOnly", "deletionVectors"}}});
  ExpectRoundTrip(Protocol{1, 2, {}, {}});
  ExpectRoundTrip(SetTransaction{"app", 9, 5});
  ExpectRoundTrip(DomainMetadata{"d", "{\"a\":1}", true});
  ExpectRoundTrip(
      CommitInfo{Json::parse(R"({"operation":"WRITE","operationParameters":{"mode":"Append"},"timestamp":1})")});
  ExpectRoundTrip(Cdc{"c", {{"p", "1"}}, 4, {}});
  ExpectRoundTrip(CheckpointMetadata{4, {}});
  ExpectRoundTrip(Sidecar{"s.parquet", 4, 5, {}});
}

TEST(ActionsTest, WritersQuirksAreAccepted) {
  EXPECT_EQ(
      Only<Add>(
          R"({"add":{"path":"a","size":12.0,"partitionValues":{"n":5,"t":true,"z":null},"modificationTime":1e3,"tags":null,"stats":null}})")
          .size,
      12);
  const Add add = Only<Add>(R"( {"add" : {"path":"a","partitionValues":{"n":5 ,"t":true}} } )");
  EXPECT_EQ(**add.partition_values.Find("n"), "5");
  EXPECT_EQ(**add.partition_values.Find("t"), "true");
  EXPECT_EQ(add.partition_values.Find("none"), nullptr);
  EXPECT_EQ(ParseActions("{\"add\":null,\"remove\":{\"path\":\"x\"}}\r\n\n  \n{\"unknown\":{\"a\":[1,{}]}}\n", "f")
                .value()
                .size(),
            1U);
  EXPECT_TRUE(ParseActions("", "f").value().empty());
  EXPECT_EQ(
      Only<Protocol>(
          R"({"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["b","a"],"writerFeatures":[]}})")
          .reader_features,
      (std::vector<std::string>{"a", "b"}));
}

TEST(ActionsTest, BrokenLinesHaveTheirPlace) {
  for (const char* bad :
       {"{", "{\"add\":", "{\"add\":{}}", "{\"add\":{\"path\":\"x\",\"size\":\"y\"}}", "[]", "1", "nonsense",
        "{\"add\":{\"path\":\"x\"}} trailing", "{\"add\":{\"path\":\"x\"", "{\"add\":{\"path\":\"x}}",
        "{\"remove\":{\"size\":1}}", "{\"add\":[1]}", "{\"protocol\":{\"minReaderVersion\":1}}",
        "{\"add\":{\"path\":\"x\",\"deletionVector\":{\"storageType\":\"q\",\"pathOrInlineDv\":\"a\"}}}", "\xFF\xFE"}) {
    const auto parsed = ParseActions(std::string("{\"commitInfo\":{}}\n") + bad + "\n", "log/0.json");
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kCorruptLog);
    EXPECT_EQ(parsed.error().pos().ToString(), "log/0.json:2") << bad;
  }
}

TEST(ActionsTest, UnwantedActionsAreSkipped) {
  EXPECT_EQ(ParseActions("{\"add\":{}}\n{\"txn\":{\"appId\":\"a\",\"version\":1}}", "f", kTxnAction).value().size(),
            1U);
}

TEST(ActionsTest, BadBytesDoNotBreakTheLine) {
  Add add;
  add.path = "a\xFF\xC3z";
  const Add read = Only<Add>(PrintAction(add));
  EXPECT_EQ(read.path, "a\xEF\xBF\xBD\xEF\xBF\xBDz");
}

TEST(SchemaTest, PrintsAsSparkAndReadsBack) {
  const std::string text =
      R"j({"type":"struct","fields":[{"name":"a","type":"integer","nullable":false,"metadata":{"comment":"x"}},)j"
      R"j({"name":"s","type":{"type":"struct","fields":[{"name":"d","type":"decimal(10,2)","nullable":true,"metadata":{}}]},"nullable":true,"metadata":{}},)j"
      R"j({"name":"l","type":{"type":"array","elementType":{"type":"map","keyType":"string","valueType":"timestamp_ntz","valueContainsNull":false},"containsNull":true},"nullable":true,"metadata":{}}]})j";
  const StructType schema = ParseSchema(text).value();
  EXPECT_EQ(PrintSchema(schema), text);
  EXPECT_EQ(schema.Find("A")->name, "a");
  EXPECT_EQ(schema.FindPath({"s", "d"})->type.scale, 2);
  EXPECT_EQ(schema.FindPath({"a", "d"}), nullptr);
  EXPECT_TRUE(UsesType(schema, TypeId::kTimestampNtz));
  EXPECT_FALSE(UsesType(schema, TypeId::kVariant));
  EXPECT_EQ(schema.fields[2].type.ToString(), "array<map<string,timestamp_ntz>>");
  EXPECT_EQ(DataTypeToJson(schema.fields[1].type)["type"], "struct");
  std::vector<std::string> paths;
  VisitFields(schema, [&](const std::string& path, const StructField&) { paths.push_back(path); });
  EXPECT_EQ(paths, (std::vector<std::string>{"a", "s", "s.d", "l"}));
}

TEST(SchemaTest, UnknownPrimitiveIsKeptAndBrokenIsRefused) {
  const std::string text =
      R"j({"type":"struct","fields":[{"name":"g","type":"geography","nullable":true,"metadata":{}}]})j";
  EXPECT_EQ(PrintSchema(ParseSchema(text).value()), text);
  std::string deep = "\"long\"";
  for (int i = 0; i < 200; ++i) deep = R"j({"type":"array","elementType":)j" + deep + R"j(,"containsNull":true})j";
  for (const std::string& bad : {std::string("{"), std::string("[]"), std::string(R"j({"type":"struct"})j"),
                                 std::string(R"j({"fields":[{"name":"a"}]})j"),
                                 std::string(R"j({"fields":[{"name":"a","type":"decimal(40,2)"}]})j"),
                                 std::string(R"j({"fields":[{"name":"a","type":{"type":"array"}}]})j"),
                                 R"j({"fields":[{"name":"a","type":)j" + deep + "}]}"}) {
    const auto parsed = ParseSchema(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kCorruptLog);
  }
}

TEST(PathEncodingTest, EncodesAndDecodes) {
  EXPECT_EQ(EncodePath("a b/c%d#e?.parquet"), "a%20b/c%25d%23e%3F.parquet");
  EXPECT_EQ(EncodePath("day=2020-01-01/é+&.parquet"), "day=2020-01-01/é+&.parquet");
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(DecodePath(EncodePath(all)), all);
  EXPECT_EQ(DecodePath("100%"), "100%");
  EXPECT_EQ(DecodePath("%zz%4"), "%zz%4");
}

TEST(PathEncodingTest, ObjectKeys) {
  EXPECT_EQ(ObjectKey("wh/t", "a%20b/c.parquet").value(), "wh/t/a b/c.parquet");
  EXPECT_EQ(ObjectKey("wh/t", "file:///x/y%20z").value(), "/x/y z");
  EXPECT_EQ(ObjectKey("wh/t", "file:/x").value(), "/x");
  EXPECT_EQ(ObjectKey("wh/t", "/abs").value(), "/abs");
  EXPECT_EQ(ObjectKey("wh/t", "s3://b/k").error().code(), ErrorCode::kUnsupportedFeature);
  EXPECT_EQ(ObjectKey("wh/t", "../up").error().code(), ErrorCode::kCorruptLog);
  EXPECT_EQ(ObjectKey("wh/t", "a/%2E%2E/up").error().code(), ErrorCode::kCorruptLog);
  EXPECT_EQ(ObjectKey("wh/t", "t=10:30/x").value(), "wh/t/t=10:30/x");
  EXPECT_EQ(CanonicalPath("file:/a%20b"), "/a b");
  EXPECT_EQ(CanonicalPath("file:///a b"), "/a b");
  EXPECT_EQ(CanonicalPath("a%20b"), std::nullopt);
}

TEST(PathEncodingTest, PartitionFolders) {
  EXPECT_EQ(PartitionFolder({{"a", "1"}, {"b=", std::nullopt}, {"c", ""}}),
            "a=1/b%3D=__HIVE_DEFAULT_PARTITION__/c=__HIVE_DEFAULT_PARTITION__");
  EXPECT_EQ(UnescapePartition(EscapePartition("x/y:z%")), "x/y:z%");
}

}  // namespace
}  // namespace quern::delta
