#include "ml/config.h"

#include <charconv>
#include <set>

#include "base/text.h"
#include "ml/config_reader.h"

namespace quern::ml {
namespace {

const std::vector<std::string> kDriftMethods = {"psi",       "jensenshannon", "wasserstein", "ks",
                                                "chisquare", "hellinger",     "kl_div",      "z"};
// What predictions tables call their own columns.
const char* const kPredictionColumns[] = {"prediction", "score",        "probabilities", "model_name", "model_version",
                                          "run_id",     "period_start", "period_end",    "dag_run",    "logical_date"};

PromoteConfig ReadPromote(const Yaml* node, const std::string& model, const ConfigReader& reader) {
  PromoteConfig out;
  if (!node) return out;
  out.pos = node->pos();
  YamlMap map(*node, fmt::format("'promote' of {}", model), reader.diagnostics);
  out.metric = map.String("metric").value_or("");
  out.metric_pos = map.PosOf("metric");
  if (auto least = reader.Share(map, "least_improvement", 0, 1e300)) out.least_improvement = *least;
  if (const Yaml* require = map.Get("require")) {
    const std::vector<Yaml> one{*require};
    if (require->is_mapping()) {
      reader.Report(require->pos(), fmt::format("'require' of {} must be a list of expressions", model),
                    "write - \"auc > 0.6\"", ErrorCode::kWrongType);
    }
    for (const auto& item : require->is_sequence() ? require->items() : one) {
      if (require->is_mapping()) break;
      if (auto rule = reader.Rule(item, "require")) out.require.push_back(*std::move(rule));
    }
  }
  out.slices = reader.Names(map, "slices", "'promote' of " + model);
  out.refit = map.Bool("refit").value_or(false);
  if (auto path = map.String("save_to")) {
    out.save_to = *path;
    if (path->empty()) reader.Report(map.PosOf("save_to"), "'save_to' is empty", "name a folder, or leave it out");
  }
  map.Finish();
  return out;
}

PredictConfig ReadPredict(const Yaml* node, const std::string& model, const ConfigReader& reader) {
  PredictConfig out;
  if (!node) return out;
  out.pos = node->pos();
  YamlMap map(*node, fmt::format("'predict' of {}", model), reader.diagnostics);
  if (map.Choice("period", {"next", "this"}) == "this") out.period = PredictConfig::Period::kThis;
  if (const Yaml* table = map.Get("table")) {
    if (auto name = reader.Table(*table)) out.table = *name;
  }
  if (const Yaml* threshold = map.Get("threshold")) {
    out.threshold_pos = threshold->pos();
    auto number = NumberOf(*threshold);
    if (!number || !(*number > 0 && *number < 1)) {
      reader.Report(threshold->pos(), fmt::format("'threshold' of {} cannot be '{}'", model, threshold->text()),
                    "it is a probability between 0 and 1, such as 0.5");
    } else {
      out.threshold = *number;
    }
  }
  map.Finish();
  return out;
}

void ReadDrift(const Yaml& node, const std::string& model, const ConfigReader& reader, MonitorConfig::Drift& out) {
  const std::string what = fmt::format("'drift' of {}", model);
  YamlMap map(node, what, reader.diagnostics);
  auto check_method = [&](const std::string& method, const SourcePos& pos) {
    if (std::find(kDriftMethods.begin(), kDriftMethods.end(), method) != kDriftMethods.end()) return true;
    std::string hint = DidYouMean(method, kDriftMethods);
    reader.Report(pos, fmt::format("{} has no method '{}'", what, method),
                  hint.empty() ? "methods are " + Join(kDriftMethods, ", ") : hint);
    return false;
  };
  if (const Yaml* methods = map.Get("methods")) {
    if (methods->is_scalar() && methods->text() == "default") {
      out.all_methods = false;
      out.default_only = true;
    } else if (methods->is_scalar() && methods->text() == "all") {
      out.all_methods = true;
    } else {
      out.all_methods = false;
      for (const auto& method : reader.Names(map, "methods", what)) {
        if (check_method(method.name, method.pos)) out.methods.push_back(method.name);
      }
      if (methods->is_sequence() && methods->items().empty())
        reader.Report(methods->pos(), fmt::format("'methods' of {} is empty", what), "leave it out for all of them");
    }
  }
  if (const Yaml* thresholds = map.Get("thresholds")) {
    YamlMap inner(*thresholds, "'thresholds' of " + what, reader.diagnostics);
    for (const auto& [key, value] : thresholds->entries()) {
      inner.Allow(key.text());
      if (!check_method(key.text(), key.pos())) continue;
      auto number = NumberOf(value);
      if (!number || !(*number >= 0)) {
        reader.Report(value.pos(), fmt::format("the threshold of {} must be a number from 0 on", key.text()), "",
                      ErrorCode::kWrongType);
      } else {
        out.thresholds[key.text()] = *number;
      }
    }
  }
  if (auto share = reader.Share(map, "share", 0, 1)) out.share = *share;
  map.Finish();
}

MonitorConfig ReadMonitor(const Yaml* node, const std::string& model, const ConfigReader& reader) {
  MonitorConfig out;
  if (!node) return out;
  out.pos = node->pos();
  YamlMap map(*node, fmt::format("'monitor' of {}", model), reader.diagnostics);
  out.slices = reader.Names(map, "slices", "'monitor' of " + model);
  if (const Yaml* drift = map.Get("drift")) ReadDrift(*drift, model, reader, out.drift);
  if (const Yaml* within = map.Get("labels_within")) {
    if (auto span = reader.PositiveSpan(*within, "labels_within")) out.labels_within = *span;
  }
  map.Finish();
  return out;
}

std::optional<ModelConfig> ReadModel(const Yaml& node, const std::string& file, const ConfigReader& reader) {
  ModelConfig out;
  out.file = file;
  out.pos = node.pos();
  const Yaml* named = node.Find("name");
  const std::string what = named && named->is_scalar() ? fmt::format("model '{}'", named->text()) : "a model";
  YamlMap map(node, what, reader.diagnostics);
  out.name = map.RequiredString("name");
  if (!out.name.empty() && !IsPlainWord(out.name)) {
    reader.Report(map.PosOf("name"), fmt::format("'{}' cannot be a model's name", out.name),
                  "letters, digits and _ make a name, which is a table's name too; it does not begin with a digit");
  }
  out.description = map.String("description").value_or("");
  out.tags = map.Strings("tags").value_or(std::vector<std::string>());
  out.predict.table = {"predictions", out.name};
  const Yaml* dataset = map.Get("dataset");
  if (dataset) {
    out.dataset = ReadDataset(*dataset, what, reader);
  } else if (node.is_mapping()) {
    reader.Report(node.pos(), fmt::format("{} needs 'dataset'", what), "it says what the model learns from",
                  ErrorCode::kMissingKey);
  }
  out.train = ReadTrain(map.Get("train"), what, reader);
  out.promote = ReadPromote(map.Get("promote"), what, reader);
  auto predict = ReadPredict(map.Get("predict"), what, reader);
  if (predict.table.table.empty()) predict.table = out.predict.table;
  out.predict = std::move(predict);
  out.monitor = ReadMonitor(map.Get("monitor"), what, reader);
  if (const Yaml* rule = map.Get("retrain_when")) out.retrain_when = reader.Rule(*rule, "retrain_when");
  map.Finish();
  for (const auto& key : out.dataset.key) {
    for (const char* taken : kPredictionColumns) {
      if (EqualsIgnoreCase(key.name, taken))
        reader.Report(key.pos, fmt::format("the key column '{}' has the name of a column of predictions", key.name),
                      "give it another name in the dataset's source");
    }
  }
  for (const char* taken : kPredictionColumns) {
    if (EqualsIgnoreCase(out.dataset.time.name, taken))
      reader.Report(out.dataset.time.pos,
                    fmt::format("the time column '{}' has the name of a column of predictions", out.dataset.time.name),
                    "give it another name in the dataset's source");
  }
  out.candidates = MakeCandidates(out.train, reader);
  CheckTask(out, out.train.task, nullptr, reader.diagnostics);
  if (out.name.empty()) return std::nullopt;
  return out;
}

}  // namespace

// ---- what readers share

bool IsPlainWord(std::string_view text) {
  return !text.empty() && !(text[0] >= '0' && text[0] <= '9') &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
             std::string_view::npos;
}

std::optional<double> NumberOf(const Yaml& node) {
  if (!node.is_scalar()) return std::nullopt;
  std::string_view text = Trim(node.text());
  const bool percent = !text.empty() && text.back() == '%';
  if (percent) text = Trim(text.substr(0, text.size() - 1));
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return percent ? number / 100 : number;
}

std::vector<Named> ConfigReader::Names(YamlMap& map, std::string_view key, const std::string& what) const {
  std::vector<Named> names;
  const Yaml* value = map.Get(key);
  if (!value) return names;
  auto add = [&](const Yaml& item) {
    if (!item.is_scalar() || item.text().empty()) {
      Report(item.pos(), fmt::format("'{}' of {} must be a list of names, in it is {}", key, what, item.KindName()), "",
             ErrorCode::kWrongType);
      return;
    }
    for (const auto& other : names) {
      if (EqualsIgnoreCase(other.name, item.text())) {
        Report(item.pos(), fmt::format("'{}' of {} names '{}' twice", key, what, item.text()));
        return;
      }
    }
    names.push_back({item.text(), item.pos()});
  };
  if (value->is_sequence()) {
    for (const auto& item : value->items()) add(item);
  } else {
    add(*value);
  }
  return names;
}

std::optional<schedule::TableRef> ConfigReader::Table(const Yaml& node) const {
  const auto parts = Split(node.text(), '.');
  if (node.is_scalar() && parts.size() == 2 && IsPlainWord(parts[0]) && IsPlainWord(parts[1]))
    return schedule::TableRef{parts[0], parts[1]};
  Report(node.pos(), fmt::format("'{}' is no table", node.is_scalar() ? node.text() : node.KindName()),
         "write schema.table, such as features.orders", ErrorCode::kInvalidArgument);
  return std::nullopt;
}

std::optional<double> ConfigReader::Share(YamlMap& map, std::string_view key, double least, double most) const {
  const Yaml* value = map.Get(key);
  if (!value) return std::nullopt;
  auto number = NumberOf(*value);
  if (!number) {
    Report(
        value->pos(),
        fmt::format("'{}' must be a number, it is '{}'", key, value->is_scalar() ? value->text() : value->KindName()),
        "write 0.2 or 20%", ErrorCode::kWrongType);
    return std::nullopt;
  }
  if (*number < least || *number > most) {
    Report(value->pos(), most < 1e300
                             ? fmt::format("'{}' must be from {} to {}, it is {}", key, least, most, value->text())
                             : fmt::format("'{}' must not be below {}, it is {}", key, least, value->text()));
    return std::nullopt;
  }
  return number;
}

std::optional<int64_t> ConfigReader::Whole(YamlMap& map, std::string_view key, int64_t least, int64_t most) const {
  auto number = map.Int(key);
  if (number && (*number < least || *number > most)) {
    Report(map.PosOf(key), fmt::format("'{}' must be from {} to {}, it is {}", key, least, most, *number));
    return std::nullopt;
  }
  return number;
}

std::optional<Span> ConfigReader::PositiveSpan(const Yaml& node, std::string_view key) const {
  auto span = node.is_scalar() ? ParseSpan(node.text()) : std::nullopt;
  if (!span || !span->positive()) {
    Report(node.pos(), fmt::format("'{}' cannot be '{}'", key, node.is_scalar() ? node.text() : node.KindName()),
           fmt::format("write a number from 1 on and a unit, such as 3 months; the units are {}", SpanUnits()));
    return std::nullopt;
  }
  return span;
}

std::optional<Expression> ConfigReader::Rule(const Yaml& node, std::string_view key) const {
  if (!node.is_scalar()) {
    Report(node.pos(), fmt::format("'{}' must be an expression, it is {}", key, node.KindName()),
           "write a text such as \"auc < 0.7\"", ErrorCode::kWrongType);
    return std::nullopt;
  }
  const ScalarSource source = SourceOf(node, file_text);
  auto expression = Expression::Parse(source.text, source.pos);
  if (!diagnostics.Check(expression)) return std::nullopt;
  return *std::move(expression);
}

// ---- whole files

std::vector<schedule::TableRef> ModelConfig::source_tables() const {
  std::vector<schedule::TableRef> tables =
      dataset.from ? std::vector<schedule::TableRef>{*dataset.from} : TablesNamedIn(dataset.query);
  for (const auto& join : dataset.joins) tables.push_back(join.table);
  std::set<std::string> seen;
  std::erase_if(tables, [&](const auto& table) { return table.table.empty() || !seen.insert(table.Key()).second; });
  return tables;
}

std::vector<ModelConfig> ParseModels(std::string_view text, const std::string& file, Diagnostics& diagnostics) {
  auto root = Yaml::Parse(text, file);
  if (!diagnostics.Check(root)) return {};
  const ConfigReader reader{text, diagnostics};
  YamlMap map(*root, "the file", diagnostics);
  std::vector<ModelConfig> models;
  if (const Yaml* list = map.Get("models")) {
    if (!list->is_sequence()) {
      reader.Report(list->pos(), fmt::format("'models' must be a list, it is {}", list->KindName()), "",
                    ErrorCode::kWrongType);
    }
    for (const auto& item : list->items()) {
      if (auto model = ReadModel(item, file, reader)) models.push_back(*std::move(model));
    }
  }
  map.Finish();
  return models;
}

void CheckModels(const std::vector<ModelConfig>& models, Diagnostics& diagnostics) {
  std::map<std::string, const ModelConfig*> names, tables;
  for (const auto& model : models) {
    auto [name, fresh] = names.try_emplace(Lower(model.name), &model);
    if (!fresh) {
      diagnostics.Add(Error(ErrorCode::kDuplicateNode, fmt::format("there are two models called '{}'", model.name))
                          .At(model.pos)
                          .Hint("the other one is at " + name->second->pos.ToString()));
      continue;
    }
    auto [table, free] = tables.try_emplace(model.predict.table.Key(), &model);
    if (!free) {
      diagnostics.Add(
          Error(ErrorCode::kModelConfig, fmt::format("the models '{}' and '{}' both write {}.{}", table->second->name,
                                                     model.name, model.predict.table.schema, model.predict.table.table))
              .At(model.predict.pos.known() ? model.predict.pos : model.pos)
              .Hint("give each its own 'table'"));
    }
  }
}

}  // namespace quern::ml
