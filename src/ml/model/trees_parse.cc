#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>

#include "base/json.h"
#include "ml/model/trees.h"

namespace quern::ml {
namespace {

// A file that contradicts itself; caught in Parse.
struct Broken {
  std::string what;
};

[[noreturn]] void Refuse(std::string what) {
  throw Broken{std::move(what)};
}

template <class T>
std::vector<T> Array(const Json& tree, const char* key, size_t size) {
  auto values = tree.at(key).get<std::vector<T>>();
  if (values.size() != size)
    Refuse(fmt::format("'{}' of a tree has {} values instead of {}", key, values.size(), size));
  return values;
}

template <class T>
T NumberIn(const Json& object, const char* key) {
  const auto& text = object.at(key).get_ref<const std::string&>();
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) Refuse(fmt::format("'{}' is '{}'", key, text));
  return value;
}

}  // namespace

// Takes trees one after the other into the arrays of the forest.
struct Trees::Builder {
  Trees& out;
  const ModelSpec& spec;
  std::map<std::pair<uint32_t, int>, uint32_t> slots;

  uint32_t SlotOf(uint32_t feature, Slot::Kind kind) {
    auto [it, added] = slots.try_emplace({feature, static_cast<int>(kind)}, static_cast<uint32_t>(out.slots_.size()));
    if (added) {
      out.slots_.push_back({feature, kind, static_cast<uint32_t>(spec.features[feature].categories())});
    }
    return it->second * static_cast<uint32_t>(kLanes);
  }

  // The words of a node: a bit a category, then one for missing.
  uint32_t AddBits(const Feature& feature, const int32_t* categories, size_t count, bool missing_right) {
    auto first = static_cast<uint32_t>(out.bits_.size());
    size_t known = feature.categories();
    out.bits_.resize(out.bits_.size() + known / 32 + 1);
    auto set = [&](size_t code) { out.bits_[first + code / 32] |= 1U << (code % 32); };
    for (size_t i = 0; i < count; i++) {
      if (categories[i] < 0 || static_cast<size_t>(categories[i]) >= known)
        Refuse(fmt::format("a split of '{}' names category {}, of {}", feature.name, categories[i], known));
      set(static_cast<size_t>(categories[i]));
    }
    if (missing_right) set(known);
    return first;
  }

  void Add(const Json& json, uint32_t group) {
    auto count = NumberIn<uint32_t>(json.at("tree_param"), "num_nodes");
    auto left = Array<int32_t>(json, "left_children", count), right = Array<int32_t>(json, "right_children", count);
    auto feature = Array<int32_t>(json, "split_indices", count),
         default_left = Array<int32_t>(json, "default_left", count);
    auto type = Array<int32_t>(json, "split_type", count);
    auto condition = Array<float>(json, "split_conditions", count);
    auto gain = Array<float>(json, "loss_changes", count), cover = Array<float>(json, "sum_hessian", count);
    auto cat_nodes = json.at("categories_nodes").get<std::vector<int32_t>>();
    auto cat_begin = Array<int64_t>(json, "categories_segments", cat_nodes.size());
    auto cat_count = Array<int64_t>(json, "categories_sizes", cat_nodes.size());
    auto categories = json.at("categories").get<std::vector<int32_t>>();
    std::map<int32_t, size_t> cat_of;
    for (size_t i = 0; i < cat_nodes.size(); i++) {
      auto all = static_cast<int64_t>(categories.size());
      if (cat_begin[i] < 0 || cat_count[i] < 0 || cat_begin[i] > all || cat_count[i] > all - cat_begin[i])
        Refuse("the categories of a node lie outside of their array");
      cat_of[cat_nodes[i]] = i;
    }
    if (count == 0) Refuse("a tree has no node");

    // Breadth first, so that siblings lie side by side. A node reached twice would make more nodes than there are.
    auto root = static_cast<uint32_t>(out.nodes_.size());
    std::vector<std::pair<uint32_t, uint32_t>> order = {{0, 0}};  // node of the file, depth
    Tree tree{root, 0, group, false};
    for (size_t at = 0; at < order.size(); at++) {
      auto [from, depth] = order[at];
      auto self = root + static_cast<uint32_t>(at);
      tree.depth = std::max(tree.depth, depth);
      if (left[from] < 0) {
        if (!std::isfinite(condition[from])) Refuse("a leaf's value is not finite");
        out.nodes_.push_back({std::numeric_limits<float>::quiet_NaN(), 0, self, 0});
        out.leaves_.push_back(condition[from]);
        continue;
      }
      if (static_cast<uint32_t>(left[from]) >= count || right[from] < 0 ||
          static_cast<uint32_t>(right[from]) >= count || order.size() + 2 > count || feature[from] < 0 ||
          static_cast<size_t>(feature[from]) >= spec.features.size()) {
        Refuse("a node points outside of its tree");
      }
      auto split_feature = static_cast<uint32_t>(feature[from]);
      const Feature& known = spec.features[split_feature];
      bool missing_right = default_left[from] == 0;
      Node node{condition[from], 0, root + static_cast<uint32_t>(order.size()), 0};
      if (type[from] == 1) {
        auto it = cat_of.find(static_cast<int32_t>(from));
        if (it == cat_of.end() || !known.categorical)
          Refuse(fmt::format("a node splits '{}' by no category", known.name));
        node.threshold = std::numeric_limits<float>::quiet_NaN();
        node.slot = SlotOf(split_feature, Slot::Kind::kCode);
        node.bits = AddBits(known, categories.data() + cat_begin[it->second],
                            static_cast<size_t>(cat_count[it->second]), missing_right);
        tree.categorical = true;
      } else {
        if (std::isnan(node.threshold) || known.categories() > 0)
          Refuse(fmt::format("a node splits '{}' by no number", known.name));
        // Missing is an infinity: a threshold must lie between.
        constexpr float kMost = std::numeric_limits<float>::max();
        node.threshold = std::clamp(node.threshold, -kMost, kMost);
        node.slot = SlotOf(split_feature, missing_right ? Slot::Kind::kMissingRight : Slot::Kind::kMissingLeft);
      }
      out.nodes_.push_back(node);
      out.leaves_.push_back(0);
      auto& stats = out.stats_[split_feature];
      stats.splits++;
      stats.gain += static_cast<double>(gain[from]);
      stats.cover += static_cast<double>(cover[from]);
      order.emplace_back(static_cast<uint32_t>(left[from]), depth + 1);
      order.emplace_back(static_cast<uint32_t>(right[from]), depth + 1);
    }
    out.trees_.push_back(tree);
  }
};

Result<std::unique_ptr<Trees>> Trees::Parse(std::string_view ubjson, const ModelSpec& spec, const std::string& file) {
  auto bad = [&](std::string_view what) {
    return Fail(Error(ErrorCode::kModelFile, fmt::format("{} is no whole model of XGBoost: {}", file, what))
                    .Hint("take the file from the run's artifacts again, or train the model anew"));
  };
  auto out = std::unique_ptr<Trees>(new Trees);
  out->task_ = spec.task;
  out->features_ = spec.features.size();
  out->groups_ = spec.outputs();
  out->stats_.resize(out->features_);
  out->bits_.push_back(0);  // of the nodes without categories
  try {
    Json json = Json::from_ubjson(ubjson, /*strict=*/true, /*allow_exceptions=*/false);
    if (json.is_discarded()) return bad("it is cut short or damaged");
    const Json& learner = json.at("learner");
    const Json& booster = learner.at("gradient_booster");
    const Json& params = learner.at("learner_model_param");
    auto objective = learner.at("objective").at("name").get<std::string>();
    if (booster.at("name") != "gbtree") return bad("its booster is not gbtree");
    const char* expected = spec.task == Task::kBinary       ? "binary:logistic"
                           : spec.task == Task::kMulticlass ? "multi:softprob"
                                                            : "reg:squarederror";
    if (objective != expected) return bad(fmt::format("its objective is {} instead of {}", objective, expected));
    if (NumberIn<size_t>(params, "num_feature") != out->features_)
      return bad(
          fmt::format("it has {} features instead of {}", params.at("num_feature").get<std::string>(), out->features_));
    if (spec.task == Task::kMulticlass && NumberIn<size_t>(params, "num_class") != out->groups_)
      return bad("it has another number of classes");
    auto base_score = NumberIn<float>(params, "base_score");
    out->base_margin_ = spec.task == Task::kBinary ? -std::log(1.0F / base_score - 1.0F) : base_score;
    if (!std::isfinite(out->base_margin_)) return bad("its base score is not finite");
    const Json& model = booster.at("model");
    const Json& trees = model.at("trees");
    auto groups = model.at("tree_info").get<std::vector<uint32_t>>();
    if (groups.size() != trees.size()) return bad("its trees and their classes differ in number");
    Builder builder{*out, spec, {}};
    for (size_t i = 0; i < trees.size(); i++) {
      if (groups[i] >= out->groups_) return bad("a tree is of no class");
      builder.Add(trees[i], groups[i]);
    }
  } catch (const Broken& broken) {
    return bad(broken.what);
  } catch (const Json::exception& e) {
    return bad(e.what());
  }
  if (out->slots_.empty()) out->slots_.push_back({0, Slot::Kind::kMissingLeft, 0});  // leaves look at slot 0
  return out;
}

}  // namespace quern::ml
