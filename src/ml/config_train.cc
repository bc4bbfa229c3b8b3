// The section `train` of a model, but for its parameters.
#include <charconv>

#include "base/text.h"
#include "ml/config_reader.h"
#include "ml/xgboost/parameters.h"

namespace quern::ml {
namespace {

constexpr size_t kMostCandidates = 1'000;

std::optional<std::chrono::milliseconds> ParseTimeout(std::string_view text) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number <= 0 || number > 1'000'000'000) return std::nullopt;
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (unit == "ms") return std::chrono::milliseconds(number);
  if (unit.empty() || unit == "s") return std::chrono::seconds(number);
  if (unit == "m") return std::chrono::minutes(number);
  if (unit == "h") return std::chrono::hours(number);
  return std::nullopt;
}

ScriptTrainerConfig ReadScript(const Yaml& node, const std::string& model, const ConfigReader& reader) {
  ScriptTrainerConfig out;
  const std::string what = fmt::format("'trainer' of {}", model);
  YamlMap map(node, what, reader.diagnostics);
  if (const Yaml* command = map.Get("command")) {
    if (command->is_sequence()) {
      out.argv = map.Strings("command").value_or(std::vector<std::string>());
    } else {
      out.argv = {"sh", "-c", map.String("command").value_or("")};
    }
    if (out.argv.empty() || out.argv.back().empty())
      reader.Report(command->pos(), fmt::format("'command' of {} is empty", what));
  } else if (node.is_mapping()) {
    reader.Report(node.pos(), fmt::format("{} needs 'command'", what), "a list of words, or a text for the shell",
                  ErrorCode::kMissingKey);
  }
  if (auto file = map.String("requirements")) {
    out.requirements = *file;
    out.requirements_pos = map.PosOf("requirements");
  }
  if (auto text = map.String("timeout")) {
    out.timeout = ParseTimeout(*text);
    if (!out.timeout)
      reader.Report(map.PosOf("timeout"), fmt::format("'timeout' of {} cannot be '{}'", what, *text),
                    "write 90s, 10m or 2h");
  }
  map.Finish();
  return out;
}

std::string FrameName(const FrameConfig& frame) {
  switch (frame.kind) {
    case FrameConfig::Kind::kAll:
      return "all";
    case FrameConfig::Kind::kLast:
      return "last_" + ReplaceAll(frame.last.ToString(), " ", "_");
    case FrameConfig::Kind::kBetween:
      break;
  }
  std::string name = frame.from.empty() ? "until_" + frame.to
                     : frame.to.empty() ? "from_" + frame.from
                                        : frame.from + "_to_" + frame.to;
  for (char& c : name) {
    if (c == ' ' || c == '/' || c == ':' || c == '+') c = '-';
  }
  return name;
}

FrameConfig AllFrame(const SourcePos& pos) {
  FrameConfig frame;
  frame.name = "all";
  frame.pos = pos;
  return frame;
}

std::optional<FrameConfig> ReadFrame(const Yaml& node, const std::string& model, const ConfigReader& reader) {
  FrameConfig out = AllFrame(node.pos());
  if (node.is_scalar()) {
    if (node.text() == "all") return out;
    const bool span = ParseSpan(node.text()).has_value();
    reader.Report(node.pos(), fmt::format("'{}' is no time frame", node.text()),
                  span ? fmt::format("did you mean {{last: {}}}?", node.text())
                       : "write {last: 3 months}, {from: 2013-01-01, to: 2013-06-01} or all");
    return std::nullopt;
  }
  YamlMap map(node, fmt::format("a frame of {}", model), reader.diagnostics);
  const Yaml* last = map.Get("last");
  bool good = true;
  auto moment = [&](const char* key, std::string& text) {
    const Yaml* value = map.Get(key);
    if (!value) return Timestamp();
    text = value->text();
    auto parsed = ParseTimestamp(text, TimeZone::Utc());
    if (parsed) return *parsed;
    good = false;
    reader.diagnostics.Add(std::move(parsed).error().At(value->pos()).Context(fmt::format("'{}' of a frame", key)));
    return Timestamp();
  };
  const Timestamp from = moment("from", out.from);
  const Timestamp to = moment("to", out.to);
  if (last) {
    out.kind = FrameConfig::Kind::kLast;
    auto span = reader.PositiveSpan(*last, "last");
    good = good && span;
    if (span) out.last = *span;
    if (!out.from.empty() || !out.to.empty()) {
      good = false;
      reader.Report(node.pos(), "a frame has both 'last' and 'from' or 'to'",
                    "'last' counts back from the interval's start; keep one of them");
    }
  } else if (!out.from.empty() || !out.to.empty()) {
    out.kind = FrameConfig::Kind::kBetween;
    if (good && !out.from.empty() && !out.to.empty() && from >= to) {
      good = false;
      reader.Report(map.PosOf("to"), fmt::format("a frame from {} to {} holds nothing", out.from, out.to),
                    "'from' must be before 'to'; 'to' itself is not in the frame");
    }
  } else if (node.is_mapping()) {
    good = false;
    reader.Report(node.pos(), "a frame says neither 'last' nor 'from' and 'to'",
                  "write {last: 3 months}, {from: 2013-01-01, to: 2013-06-01} or all", ErrorCode::kMissingKey);
  } else {
    good = false;
  }
  map.Finish();
  if (!good) return std::nullopt;
  out.name = FrameName(out);
  return out;
}

ClassWeightConfig ReadClassWeight(const Yaml& node, const std::string& model, const ConfigReader& reader) {
  ClassWeightConfig out;
  out.pos = node.pos();
  if (node.is_mapping()) {
    out.kind = ClassWeightConfig::Kind::kGiven;
    for (const auto& [label, value] : node.entries()) {
      auto weight = NumberOf(value);
      if (!weight || !(*weight > 0)) {
        reader.Report(value.pos(), fmt::format("the weight of class '{}' must be a number above 0", label.text()), "",
                      ErrorCode::kWrongType);
      } else {
        out.weights[label.text()] = *weight;
      }
    }
    return out;
  }
  if (node.is_scalar() && node.text() == "balanced") {
    out.kind = ClassWeightConfig::Kind::kBalanced;
  } else if (!node.is_scalar() || node.text() != "none") {
    std::string hint = DidYouMean(node.text(), {"balanced", "none"});
    reader.Report(
        node.pos(),
        fmt::format("'class_weight' of {} cannot be '{}'", model, node.is_scalar() ? node.text() : node.KindName()),
        hint.empty() ? "write balanced, none, or a weight by class: {true: 3}" : hint);
  }
  return out;
}

void ReadFrames(const Yaml* list, const std::string& model, const ConfigReader& reader, TrainConfig& out) {
  auto add = [&](const Yaml& item) {
    auto frame = ReadFrame(item, model, reader);
    if (!frame) return;
    for (const auto& other : out.frames) {
      if (other.name != frame->name) continue;
      reader.Report(item.pos(), fmt::format("'frames' of {} has '{}' twice", model, frame->name));
      return;
    }
    out.frames.push_back(*std::move(frame));
  };
  if (list && list->is_sequence()) {
    for (const auto& item : list->items()) add(item);
    if (list->items().empty())
      reader.Report(list->pos(), fmt::format("'frames' of {} is empty", model), "leave it out for all data");
  } else if (list) {
    add(*list);
  }
  if (out.frames.empty()) out.frames.push_back(AllFrame(out.pos));
}

}  // namespace

TrainConfig ReadTrain(const Yaml* node, const std::string& model, const ConfigReader& reader) {
  TrainConfig out;
  if (!node) {
    out.frames.push_back(AllFrame({}));
    out.parameters.push_back(Json::object());
    return out;
  }
  out.pos = node->pos();
  const std::string what = fmt::format("'train' of {}", model);
  YamlMap map(*node, what, reader.diagnostics);
  if (auto task = map.Choice("task", {"classification", "multiclass", "regression"})) out.task = ParseTaskType(*task);
  if (const Yaml* trainer = map.Get("trainer")) {
    if (trainer->is_mapping()) {
      out.script = ReadScript(*trainer, model, reader);
    } else if (!trainer->is_scalar() || trainer->text() != "xgboost") {
      std::string hint = DidYouMean(trainer->text(), {"xgboost"});
      reader.Report(trainer->pos(),
                    fmt::format("'trainer' of {} cannot be '{}'", model,
                                trainer->is_scalar() ? trainer->text() : trainer->KindName()),
                    hint.empty() ? "write xgboost, or {command: [...]} for a script" : hint);
    }
  }
  ReadFrames(map.Get("frames"), model, reader, out);
  if (auto share = reader.Share(map, "validation", 0, 0.9)) out.validation = *share;
  const bool xgboost = !out.script;
  out.parameters = ReadParameters(map.Get("parameters"), "'parameters' of " + model, xgboost, reader);
  if (const Yaml* fixed = map.Get("fixed"))
    out.fixed = ReadParameterSet(*fixed, "'fixed' of " + model, xgboost, reader);
  if (auto rounds = reader.Whole(map, "rounds", 1, 1'000'000)) out.rounds = *rounds;
  const bool stops = map.Has("early_stopping");
  if (auto rounds = reader.Whole(map, "early_stopping", 0, 1'000'000)) out.early_stopping = *rounds;
  if (stops && out.early_stopping > 0 && out.validation == 0)
    reader.Report(map.PosOf("early_stopping"), fmt::format("{} stops early without validation data", what),
                  "give 'validation' a share, or set early_stopping: 0");
  if (const Yaml* weight = map.Get("class_weight")) out.class_weight = ReadClassWeight(*weight, model, reader);
  if (auto seed = reader.Whole(map, "seed", 0, 2'147'483'647)) out.seed = *seed;
  if (auto threads = reader.Whole(map, "threads", 1, 1'024)) out.threads = *threads;
  map.Finish();
  return out;
}

std::vector<CandidateConfig> MakeCandidates(const TrainConfig& train, const ConfigReader& reader) {
  std::vector<CandidateConfig> candidates;
  if (train.parameters.size() * train.frames.size() > kMostCandidates) {
    reader.Report(train.pos,
                  fmt::format("{} parameter sets x {} frames are more than {} candidates", train.parameters.size(),
                              train.frames.size(), kMostCandidates),
                  "draw some: parameters: {random: {count: 20, space: {...}}}");
    return candidates;
  }
  for (size_t p = 0; p < train.parameters.size(); ++p) {
    if (!train.script) {
      // One by one they have been checked; together they may say one thing twice.
      Json together = train.fixed;
      together.update(train.parameters[p]);
      if (auto checked = CheckXgboostParameters(together); !checked) {
        reader.Report(train.pos, checked.error().message(), checked.error().hint(), checked.error().code());
        return candidates;
      }
    }
    for (size_t f = 0; f < train.frames.size(); ++f) {
      CandidateConfig candidate{fmt::format("p{}_{}", p + 1, train.frames[f].name), p, f, train.fixed};
      candidate.parameters.update(train.parameters[p]);
      candidates.push_back(std::move(candidate));
    }
  }
  return candidates;
}

}  // namespace quern::ml
