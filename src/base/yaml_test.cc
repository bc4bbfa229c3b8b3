#include "base/yaml.h"

#include <gtest/gtest.h>

namespace quern {
namespace {

Yaml Parse(std::string_view text) {
  auto r = Yaml::Parse(text, "t.yml");
  EXPECT_TRUE(r) << r.error().ToString();
  return *r;
}

TEST(YamlTest, ScalarsAsPyYamlReadsThem) {
  auto json =
      Parse(
          "a: yes\nb: 'yes'\nc: 010\nd: 1_000\ne: 1e3\nf: 1.5\ng: ~\nh: 0x1F\ni: 2013-05-01\nj: .5\nk: No\nl: -3\nm:\n")
          .ToJson();
  EXPECT_EQ(json, Json::parse(R"({"a":true,"b":"yes","c":8,"d":1000,"e":"1e3","f":1.5,"g":null,"h":31,"i":"2013-05-01",
                                  "j":0.5,"k":false,"l":-3,"m":null})"));
}

TEST(YamlTest, KnowsPlaces) {
  auto y = Parse("a:\n  - b: 1\n    c: {d: e}\n");
  const Yaml* d = y.Find("a")->items()[0].Find("c")->Find("d");
  EXPECT_EQ(d->pos().ToString(), "t.yml:3:12");
}

TEST(YamlTest, AnchorsAndMergeKeys) {
  auto json = Parse("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: *x\n").ToJson();
  EXPECT_EQ(json["y"], Json::parse(R"({"a":1,"b":3})"));
  EXPECT_EQ(json["z"], json["x"]);
}

TEST(YamlTest, ErrorsHaveTheirPlace) {
  auto place = [](std::string_view text) { return Yaml::Parse(text, "t.yml").error().pos().ToString(); };
  EXPECT_EQ(place("a: 1\na: 2\n"), "t.yml:2:1");
  EXPECT_EQ(place("a: [1, 2\nb: 3\n"), "t.yml:2:2");
  EXPECT_EQ(place("a: \xff\n"), "t.yml");
  EXPECT_FALSE(Yaml::Parse(std::string(300, '['), "t.yml"));
}

TEST(YamlTest, AliasBombIsRefused) {
  std::string text = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n";
  for (int i = 1; i < 12; ++i) {
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) text += "*a" + std::to_string(i - 1) + (k < 9 ? "," : "");
    text += "]\n";
  }
  EXPECT_FALSE(Yaml::Parse(text, "t.yml"));
}

TEST(YamlMapTest, ReportsUnknownMissingAndWrong) {
  Diagnostics d;
  YamlMap map(Parse("name: x\nmdoe: append\nthreads: many\nmode: apend\n"), "table 'x'", d);
  EXPECT_EQ(map.RequiredString("name"), "x");
  EXPECT_FALSE(map.Int("threads"));
  EXPECT_FALSE(map.Choice("mode", {"append", "merge"}));
  map.RequiredString("path");
  map.Finish();
  d.Sort();
  ASSERT_EQ(d.errors().size(), 4U);
  EXPECT_EQ(d.errors()[0].message(), "table 'x' needs 'path'");
  EXPECT_EQ(d.errors()[1].hint(), "did you mean 'mode'?");
  EXPECT_EQ(d.errors()[1].pos().ToString(), "t.yml:2:1");
  EXPECT_EQ(d.errors()[2].pos().ToString(), "t.yml:3:10");
  EXPECT_EQ(d.errors()[3].hint(), "did you mean 'append'?");
}

}  // namespace
}  // namespace quern
