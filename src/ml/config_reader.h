#pragma once
#include <fmt/format.h>

#include <functional>

#include "ml/config.h"
#include "ml/yaml_source.h"

// How the sections of ml/*.yml are read: each reports into Diagnostics and gives what could be read.
namespace quern::ml {

/// What all readers of a file share.
struct ConfigReader {
  std::string_view file_text;
  Diagnostics& diagnostics;

  void Report(const SourcePos& pos, std::string message, std::string hint = "",
              ErrorCode code = ErrorCode::kModelConfig) const {
    Error error = Error(code, std::move(message)).At(pos);
    diagnostics.Add(hint.empty() ? std::move(error) : std::move(error).Hint(std::move(hint)));
  }

  /// A list of texts (or one text), each with its place; none may be there twice.
  std::vector<Named> Names(YamlMap& map, std::string_view key, const std::string& what) const;
  std::optional<schedule::TableRef> Table(const Yaml& node) const;
  /// `0.2` or `20%`; outside of [least, most] it is reported.
  std::optional<double> Share(YamlMap& map, std::string_view key, double least, double most) const;
  std::optional<int64_t> Whole(YamlMap& map, std::string_view key, int64_t least, int64_t most) const;
  std::optional<Span> PositiveSpan(const Yaml& node, std::string_view key) const;
  std::optional<Expression> Rule(const Yaml& node, std::string_view key) const;
};

/// Numbers with or without a point, `1e-3`, `20%`.
std::optional<double> NumberOf(const Yaml& node);
bool IsPlainWord(std::string_view text);

DatasetConfig ReadDataset(const Yaml& node, const std::string& model, const ConfigReader& reader);
TrainConfig ReadTrain(const Yaml* node, const std::string& model, const ConfigReader& reader);
/// Every parameter set with every frame; reports when there are too many.
std::vector<CandidateConfig> MakeCandidates(const TrainConfig& train, const ConfigReader& reader);
/// The list that a `parameters` mapping stands for.
std::vector<Json> ReadParameters(const Yaml* node, const std::string& what, bool xgboost, const ConfigReader& reader);
/// A mapping of names to values: single ones, but for the parameters of XGBoost that take more.
Json ReadParameterSet(const Yaml& node, const std::string& what, bool xgboost, const ConfigReader& reader);

}  // namespace quern::ml
