#include "graph/selection.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/text.h"

namespace quern::graph {
namespace {

Attributes Model(std::string name, std::vector<std::string> folder, std::vector<std::string> tags = {},
                 std::string materialized = "view") {
  Attributes out;
  out.id = "model.shop." + name;
  out.kind = "model";
  out.name = name;
  out.package = "shop";
  out.fqn = {"shop"};
  std::string path = "models";
  for (const auto& part : folder) {
    out.fqn.push_back(part);
    path += "/" + part;
  }
  out.fqn.push_back(name);
  out.paths = {path + "/" + name + ".sql", "dbt/" + path + "/" + name + ".sql"};
  out.tags = std::move(tags);
  out.config = {{"materialized", materialized}};
  return out;
}

Attributes TestOf(std::string name, std::string generic) {
  Attributes out;
  out.id = "test.shop." + name;
  out.kind = "test";
  out.name = name;
  out.package = "shop";
  out.fqn = {"shop", name};
  out.paths = {"models/schema.yml"};
  out.test = true;
  out.test_name = std::move(generic);
  return out;
}

/// raw (ingest) -> source -> stg_a, stg_b -> orders -> report; tests on stg_a, on orders and stg_b together, singular
/// on report.
class SelectionTest : public testing::Test {
 protected:
  SelectionTest() {
    Attributes ingest;
    ingest.id = "ingest.raw";
    ingest.kind = "ingest";
    ingest.name = "raw";
    ingest.package = "shop";
    ingest.fqn = {"shop", "ingest", "raw"};
    ingest.paths = {"ingest/raw.yml"};
    Attributes source;
    source.id = "source.shop.land.raw";
    source.kind = "source";
    source.name = "raw";
    source.package = "shop";
    source.fqn = {"shop", "staging", "land", "raw"};
    for (auto& a :
         {ingest, source, Model("stg_a", {"staging"}, {"daily"}), Model("stg_b", {"staging"}, {"daily", "monthly"}),
          Model("orders", {"marts", "core"}, {"monthly"}, "incremental"), Model("report", {"marts"}),
          TestOf("unique_stg_a", "unique"), TestOf("relationships_orders", "relationships"),
          TestOf("report_adds_up", "")}) {
      attributes_.push_back(a);
      EXPECT_TRUE(graph_.AddNode(a.id));
    }
    attributes_[4].config["meta"] = {{"owner", "ann"}, {"levels", {"gold", "core"}}};
    attributes_[4].config["enabled"] = true;
    Edge(0, 1), Edge(1, 2), Edge(1, 3), Edge(2, 4), Edge(3, 4), Edge(4, 5), Edge(2, 6), Edge(4, 7), Edge(3, 7),
        Edge(5, 8);
  }
  void Edge(NodeIndex from, NodeIndex to) { graph_.AddEdge(from, to); }

  std::string Pick(const std::vector<std::string>& select, const std::vector<std::string>& exclude = {},
                   SelectOptions options = {IndirectSelection::kEmpty, "shop"}) {
    auto found = Select(graph_, attributes_, select, exclude, options);
    if (!found) return "error: " + found.error().message();
    std::vector<std::string> names;
    for (size_t i = 0; i < attributes_.size(); ++i) {
      if (found->nodes[i]) names.push_back(attributes_[i].kind == "source" ? "source" : attributes_[i].name);
    }
    warnings_ = found->warnings;
    return Join(names, " ");
  }

  Graph graph_;
  std::vector<Attributes> attributes_;
  std::vector<Error> warnings_;
};

TEST_F(SelectionTest, ByName) {
  EXPECT_EQ(Pick({"stg_a"}), "stg_a");
  EXPECT_EQ(Pick({"stg_*"}), "stg_a stg_b");
  EXPECT_EQ(Pick({"name:orders"}), "orders");
  EXPECT_EQ(Pick({"model.shop.orders"}), "orders");
  EXPECT_EQ(Pick({"ingest.raw"}), "raw");
}

TEST_F(SelectionTest, ByFolderAsQualifiedName) {
  EXPECT_EQ(Pick({"shop.staging"}), "stg_a stg_b");
  EXPECT_EQ(Pick({"staging"}), "stg_a stg_b");
  EXPECT_EQ(Pick({"marts.*"}), "orders report");
  EXPECT_EQ(Pick({"fqn:shop.marts.core"}), "orders");
}

TEST_F(SelectionTest, ByPathAndFile) {
  EXPECT_EQ(Pick({"path:models/staging"}), "stg_a stg_b");
  EXPECT_EQ(Pick({"models/marts/"}), "orders report");
  EXPECT_EQ(Pick({"dbt/models/marts/core"}), "orders");
  EXPECT_EQ(Pick({"path:models/*/stg_a.sql"}), "stg_a");
  EXPECT_EQ(Pick({"path:models/**/orders.sql"}), "orders");
  EXPECT_EQ(Pick({"orders.sql"}), "orders");
  EXPECT_EQ(Pick({"file:orders"}), "orders");
}

TEST_F(SelectionTest, ByTagPackageTypeAndConfig) {
  EXPECT_EQ(Pick({"tag:daily"}), "stg_a stg_b");
  EXPECT_EQ(Pick({"tag:m*"}), "stg_b orders");
  EXPECT_EQ(Pick({"package:this,resource_type:model"}), "stg_a stg_b orders report");
  EXPECT_EQ(Pick({"resource_type:ingest"}), "raw");
  EXPECT_EQ(Pick({"config.materialized:incremental"}), "orders");
  EXPECT_EQ(Pick({"config.meta.owner:ann"}), "orders");
  EXPECT_EQ(Pick({"config.meta:owner"}), "");
  EXPECT_EQ(Pick({"config.meta.levels:gold"}), "orders");
  EXPECT_EQ(Pick({"config.enabled:True"}), "orders");
}

TEST_F(SelectionTest, BySourceAndTest) {
  EXPECT_EQ(Pick({"source:land"}), "source");
  EXPECT_EQ(Pick({"source:land.raw"}), "source");
  EXPECT_EQ(Pick({"source:shop.land.raw"}), "source");
  EXPECT_EQ(Pick({"source:land+1"}), "source stg_a stg_b");
  EXPECT_EQ(Pick({"test_name:unique"}), "unique_stg_a");
  EXPECT_EQ(Pick({"test_type:generic"}), "unique_stg_a relationships_orders");
  EXPECT_EQ(Pick({"test_type:singular"}), "report_adds_up");
}

TEST_F(SelectionTest, GraphOperators) {
  EXPECT_EQ(Pick({"+orders"}), "raw source stg_a stg_b orders");
  EXPECT_EQ(Pick({"1+orders+1"}), "stg_a stg_b orders report relationships_orders");
  EXPECT_EQ(Pick({"0+orders"}), "orders");
  EXPECT_EQ(Pick({"@stg_a"}), "raw source stg_a stg_b orders report unique_stg_a relationships_orders report_adds_up");
  EXPECT_EQ(Pick({"+tag:monthly"}), "raw source stg_a stg_b orders");
}

TEST_F(SelectionTest, UnionIntersectionExclusion) {
  EXPECT_EQ(Pick({"stg_a report"}), "stg_a report");
  EXPECT_EQ(Pick({"stg_a", "report"}), "stg_a report");
  EXPECT_EQ(Pick({"tag:daily,tag:monthly"}), "stg_b");
  EXPECT_EQ(Pick({"+orders,staging report"}), "stg_a stg_b report");
  EXPECT_EQ(Pick({"+orders"}, {"stg_b", "resource_type:source"}), "raw stg_a orders");
  EXPECT_EQ(Pick({}, {"+report"}), "unique_stg_a relationships_orders report_adds_up");
  EXPECT_EQ(Pick({}), "raw source stg_a stg_b orders report unique_stg_a relationships_orders report_adds_up");
}

TEST_F(SelectionTest, TestsComeAlong) {
  const auto pick = [&](const std::string& text, IndirectSelection mode) { return Pick({text}, {}, {mode, "shop"}); };
  EXPECT_EQ(pick("orders", IndirectSelection::kEager), "orders relationships_orders");
  EXPECT_EQ(pick("orders", IndirectSelection::kCautious), "orders");
  EXPECT_EQ(pick("orders", IndirectSelection::kBuildable), "orders relationships_orders");
  EXPECT_EQ(pick("stg_b", IndirectSelection::kBuildable), "stg_b");
  EXPECT_EQ(pick("orders", IndirectSelection::kEmpty), "orders");
  EXPECT_EQ(pick("orders stg_b", IndirectSelection::kCautious), "stg_b orders relationships_orders");
  EXPECT_EQ(Pick({"orders stg_a"}, {"stg_a"}, {IndirectSelection::kEager, "shop"}), "orders relationships_orders");
  EXPECT_EQ(Pick({"tag:daily"}, {"test_name:unique"}, {IndirectSelection::kEager, "shop"}),
            "stg_a stg_b relationships_orders");
}

TEST_F(SelectionTest, NothingMatchedIsAWarningWithAHint) {
  EXPECT_EQ(Pick({"ordrs"}), "");
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_NE(warnings_[0].message().find("'ordrs' matches no node"), std::string::npos);
  EXPECT_NE(warnings_[0].hint().find("orders"), std::string::npos);
  EXPECT_EQ(Pick({"stg_a", "tag:dayly"}), "stg_a");
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_NE(warnings_[0].hint().find("daily"), std::string::npos);
}

TEST_F(SelectionTest, WhatCannotBeIsRefusedByName) {
  for (std::string text : {"state:modified+", "result:error", "source_status:fresher+", "selector:nightly"}) {
    auto found = Select(graph_, attributes_, {text}, {}, {});
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), ErrorCode::kSelector);
    EXPECT_NE(found.error().message().find("'" + text.substr(0, text.find(':')) + ":' is not supported yet"),
              std::string::npos);
  }
  auto unknown = CheckSelector("tga:x");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().hint().find("tag"), std::string::npos);
  for (std::string text : {"", "  ", "a,,b", ",a", "a,", "tag:", "+", "@a+", "tag.x:y", "config:x", "config.:x",
                           "tag:+a", "99999999999+a", "a+99999999999", "test_type:other"}) {
    EXPECT_FALSE(CheckSelector(text)) << text;
  }
  EXPECT_FALSE(ParseIndirectSelection("eagr"));
  EXPECT_EQ(*ParseIndirectSelection("buildable"), IndirectSelection::kBuildable);
}

/// Selection over random graphs against sets made from reachability step by step.
TEST(SelectionProperty, OperatorsAgreeWithBruteForce) {
  for (uint32_t seed = 0; seed < 150; ++seed) {
    std::mt19937 random(seed);
    const int n = 2 + static_cast<int>(random() % 10);
    Graph graph;
    std::vector<Attributes> attributes;
    for (int i = 0; i < n; ++i) {
      attributes.push_back(Model(fmt::format("m{}", i), {}, {random() % 2 ? "even" : "odd"}));
      ASSERT_TRUE(graph.AddNode(attributes.back().id));
    }
    for (int i = 0; i < n; ++i) {
      for (int j = i + 1; j < n; ++j) {
        if (random() % 3 == 0) graph.AddEdge(i, j);
      }
    }
    using Ints = std::set<int>;
    const auto steps = [&](Ints from, int depth, bool up) {
      Ints all = from;
      for (int step = 0; depth < 0 ? step <= n : step < depth; ++step) {
        Ints next = all;
        for (int i : all) {
          for (NodeIndex j : up ? graph.parents(i) : graph.children(i)) next.insert(j);
        }
        all = next;
      }
      return all;
    };
    const auto random_criterion = [&](Ints& expected) {
      std::string text;
      const int node = static_cast<int>(random() % static_cast<uint32_t>(n));
      Ints base{node};
      std::string name = fmt::format("m{}", node);
      if (random() % 3 == 0) {
        base.clear();
        for (int i = 0; i < n; ++i) {
          if (attributes[static_cast<size_t>(i)].tags[0] == "odd") base.insert(i);
        }
        name = "tag:odd";
      }
      expected = base;
      const auto add = [&](const Ints& more) { expected.insert(more.begin(), more.end()); };
      if (random() % 5 == 0) {
        add(steps(steps(base, -1, false), -1, true));
        return "@" + name;
      }
      if (random() % 2) {
        const int depth = static_cast<int>(random() % 4) - 1;
        text += (depth < 0 ? "" : std::to_string(depth)) + "+";
        add(steps(base, depth, true));
      }
      text += name;
      if (random() % 2) {
        const int depth = static_cast<int>(random() % 4) - 1;
        text += "+" + (depth < 0 ? "" : std::to_string(depth));
        add(steps(base, depth, false));
      }
      return text;
    };
    for (int round = 0; round < 10; ++round) {
      Ints union_of;
      std::vector<std::string> words;
      for (uint32_t w = 0; w < 1 + random() % 3; ++w) {
        Ints all;
        std::vector<std::string> parts;
        for (uint32_t p = 0; p < 1 + random() % 2; ++p) {
          Ints one;
          parts.push_back(random_criterion(one));
          if (p == 0) {
            all = one;
          } else {
            std::erase_if(all, [&](int i) { return !one.contains(i); });
          }
        }
        union_of.insert(all.begin(), all.end());
        words.push_back(Join(parts, ","));
      }
      Ints excluded;
      const std::string exclude = random_criterion(excluded);
      std::erase_if(union_of, [&](int i) { return excluded.contains(i); });
      auto found = Select(graph, attributes, {Join(words, " ")}, {exclude}, {});
      ASSERT_TRUE(found);
      for (int i = 0; i < n; ++i) {
        EXPECT_EQ(found->nodes[static_cast<size_t>(i)], union_of.contains(i))
            << "seed " << seed << ": " << Join(words, " ") << " --exclude " << exclude << " node " << i;
      }
    }
  }
}

}  // namespace
}  // namespace quern::graph
