#include "ml/metrics/drift.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "ml/metrics/bins.h"
#include "ml/metrics/column_source.h"
#include "ml/metrics/drift_statistics.h"
#include "ml/metrics/feature_profile.h"
#include "ml/metrics/kolmogorov.h"
#include "ml/metrics/numeric_summary.h"

namespace quern::ml {
namespace {

using MethodValues = std::map<std::string, std::optional<double>, std::less<>>;

/// A feature's figures, before thresholds.
struct FeatureFigures {
  std::string default_method;
  MethodValues values;
  int64_t reference_rows = 0;
  int64_t current_rows = 0;
  std::string note;  // why there are no values
};

// Taken for the number of distinct values of a column that cannot be compared.
constexpr int64_t kMany = 1000;

// Evidently's choice, by the reference's size and the number of distinct values over both.
std::string DefaultMethod(ColumnKind kind, int64_t reference_rows, int64_t distinct) {
  const bool numbers = kind == ColumnKind::kNumeric && distinct > 5;
  if (reference_rows > 1000) return numbers ? "wasserstein" : "jensenshannon";
  if (numbers) return "ks";
  return distinct > 2 ? "chisquare" : "z";
}

void FillFromPairs(const std::vector<PairCount>& pairs, int64_t n1, int64_t n2, MethodValues& out) {
  out["psi"] = Psi(pairs, n1, n2);
  out["jensenshannon"] = JensenShannon(pairs, n1, n2);
  out["kl_div"] = KlDivergence(pairs, n1, n2);
}

Result<FeatureFigures> NumericFigures(const ValueStream& stream, FeatureProfile* profile) {
  FeatureFigures out;
  const int64_t n1 = out.reference_rows = stream.reference.values();
  const int64_t n2 = out.current_rows = stream.current.values();
  const auto summary = QUERN_TRY(Summarise(stream, profile != nullptr ? ProfileQuantiles() : std::vector<double>{}));
  const bool both = n1 > 0 && n2 > 0;
  const bool by_bins = both && summary.reference_distinct > kFewValues;
  const std::vector<double> none;
  const auto edges = by_bins ? SturgesEdges(summary.min, summary.max, n1 + n2, stream.integers).value_or(none) : none;
  const auto hellinger_edges =
      both ? SturgesEdges(summary.min, summary.max, summary.distinct, stream.integers).value_or(none) : none;
  auto profile_edges = profile != nullptr ? ProfileEdges(stream, summary) : none;
  const auto bins = QUERN_TRY(CountInBins(stream, {edges, hellinger_edges, profile_edges}));
  if (profile != nullptr) {
    FillNumericProfile(stream, summary, std::move(profile_edges), bins[2].current, *profile);
  }
  out.default_method = DefaultMethod(ColumnKind::kNumeric, n1, both ? summary.distinct : kMany);
  if (!both) return out;
  if (!by_bins) {
    FillFromPairs(summary.pairs, n1, n2, out.values);
    out.values["chisquare"] = ChiSquareP(summary.pairs, n1, n2);
  } else if (!edges.empty()) {
    FillFromPairs(PairsOf(bins[0]), n1, n2, out.values);
  }
  if (!hellinger_edges.empty()) out.values["hellinger"] = HellingerOfBins(hellinger_edges, bins[1]);
  out.values["ks"] = KolmogorovSmirnovP(n1, n2, summary.ks_distance);
  const double norm = std::max(std::sqrt(summary.reference.squares / summary.reference.count), 0.001);
  const double distance = summary.wasserstein / norm;
  if (std::isfinite(distance) && std::isfinite(norm)) out.values["wasserstein"] = distance;
  out.values["z"] = ZTestP(summary.first, summary.distinct == 1, n1, n2);
  return out;
}

FeatureFigures CategoryFigures(const CategoryCounts& counts) {
  FeatureFigures out;
  const int64_t n1 = out.reference_rows = counts.reference.values();
  const int64_t n2 = out.current_rows = counts.current.values();
  const bool both = n1 > 0 && n2 > 0;
  out.default_method = DefaultMethod(ColumnKind::kCategory, n1, both ? counts.values : kMany);
  if (!both) return out;
  FillFromPairs(counts.pairs, n1, n2, out.values);
  out.values["chisquare"] = ChiSquareP(counts.pairs, n1, n2);
  out.values["hellinger"] = HellingerOfCategories(counts.pairs, n1, n2);
  out.values["z"] = ZTestP(counts.first, counts.values == 1, n1, n2);
  return out;
}

std::string MissingNote(const engine::Column* reference, const engine::Column* current) {
  if (reference == nullptr && current == nullptr) return "there is no such column";
  if (reference == nullptr) return "the reference has no such column";
  return current == nullptr ? "the current data have no such column" : "";
}

std::string EmptyNote(const FeatureFigures& figures) {
  if (figures.reference_rows == 0 && figures.current_rows == 0) return "there are no values";
  if (figures.reference_rows == 0) return "the reference has no values";
  return figures.current_rows == 0 ? "the current data have no values" : "";
}

bool Applies(const DriftMethod& method, ColumnKind kind) {
  return kind == ColumnKind::kNumeric ? method.numeric : method.category;
}

void AddResults(const FeatureColumn& feature, const FeatureFigures& figures, const DriftOptions& options,
                std::vector<DriftResult>& out) {
  for (const auto& method : DriftMethods()) {
    const bool is_default = method.name == figures.default_method;
    const bool asked = std::find(options.methods.begin(), options.methods.end(), method.name) != options.methods.end();
    if (!is_default && !(asked && Applies(method, feature.kind))) continue;
    auto& result = out.emplace_back();
    result.feature = feature.name;
    result.method = method.name;
    result.is_default = is_default;
    result.reference_rows = figures.reference_rows;
    result.current_rows = figures.current_rows;
    const auto threshold = options.thresholds.find(method.name);
    result.threshold = threshold != options.thresholds.end() ? threshold->second : method.threshold;
    const auto value = figures.values.find(method.name);
    if (value != figures.values.end()) result.value = value->second;
    result.note = figures.note.empty() ? EmptyNote(figures) : figures.note;
    if (!result.value) {
      if (result.note.empty()) result.note = "not defined for these values";
      continue;
    }
    if (!method.p_value) {
      result.drifted = *result.value >= result.threshold;
    } else if (method.name == "ks") {
      result.drifted = *result.value <= result.threshold;
    } else {
      result.drifted = *result.value < result.threshold;
    }
  }
}

}  // namespace

const std::vector<DriftMethod>& DriftMethods() {
  static const std::vector<DriftMethod> kMethods = {
      {.name = "psi", .threshold = 0.1, .p_value = false, .numeric = true, .category = true},
      {.name = "jensenshannon", .threshold = 0.1, .p_value = false, .numeric = true, .category = true},
      {.name = "wasserstein", .threshold = 0.1, .p_value = false, .numeric = true, .category = false},
      {.name = "ks", .threshold = 0.05, .p_value = true, .numeric = true, .category = false},
      {.name = "chisquare", .threshold = 0.05, .p_value = true, .numeric = false, .category = true},
      {.name = "hellinger", .threshold = 0.1, .p_value = false, .numeric = true, .category = true},
      {.name = "kl_div", .threshold = 0.1, .p_value = false, .numeric = true, .category = true},
      {.name = "z", .threshold = 0.05, .p_value = true, .numeric = false, .category = true},
  };
  return kMethods;
}

const DriftMethod* FindDriftMethod(std::string_view name) {
  for (const auto& method : DriftMethods()) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

Result<DriftReport> ComputeDrift(engine::Connection& connection, std::string_view reference, std::string_view current,
                                 const std::vector<FeatureColumn>& features, const DriftOptions& options) {
  std::vector<std::string> known;
  for (const auto& method : DriftMethods()) known.push_back(method.name);
  std::vector<std::string> named = options.methods;
  for (const auto& [method, threshold] : options.thresholds) named.push_back(method);
  for (const auto& name : named) {
    if (FindDriftMethod(name) != nullptr) continue;
    return Fail(Error(ErrorCode::kInvalidArgument, fmt::format("there is no drift method '{}'", name))
                    .Hint(fmt::format("methods are {}", Join(known, ", "))));
  }
  const auto first = QUERN_TRY(DescribeRelation(connection, reference));
  const auto second = QUERN_TRY(DescribeRelation(connection, current));
  DriftReport out;
  if (options.profile) out.current.resize(features.size());
  std::vector<FeatureFigures> figures(features.size());
  for (size_t i = 0; i < features.size(); i++) {
    const auto& [name, kind] = features[i];
    const auto* before = first.Find(name);
    const auto* now = second.Find(name);
    if (options.profile) {
      out.current[i].name = name;
      out.current[i].kind = kind;
      if (now != nullptr) out.current[i].type = now->type;
    }
    figures[i].note = MissingNote(before, now);
    figures[i].default_method = DefaultMethod(kind, 0, kMany);
    const bool number = (before == nullptr || IsNumber(before->type)) && (now == nullptr || IsNumber(now->type));
    if ((kind == ColumnKind::kNumeric && number) || (before == nullptr && now == nullptr)) continue;
    const auto counts = QUERN_TRY(CountCategories(connection, first, second, name));
    auto note = std::move(figures[i].note);
    figures[i] = CategoryFigures(counts);
    figures[i].note = std::move(note);
    if (kind == ColumnKind::kNumeric) {
      figures[i].values.clear();
      figures[i].default_method = DefaultMethod(kind, figures[i].reference_rows, kMany);
      if (figures[i].note.empty()) figures[i].note = "the column is not numeric";
    }
    if (!options.profile || now == nullptr) continue;
    std::vector<std::pair<std::string, int64_t>> top;
    if (kind == ColumnKind::kCategory) top = QUERN_TRY(TopCategories(connection, second, name, options.columns.top));
    FillCategoryProfile(counts, std::move(top), out.current[i]);
  }
  QUERN_TRY(ForEachNumericColumn(connection, first, second, features, options.columns,
                                 [&](size_t place, const ValueStream& stream) -> Result<void> {
                                   auto* profile = options.profile && !out.current[place].type.empty()
                                                       ? &out.current[place]
                                                       : nullptr;
                                   auto note = std::move(figures[place].note);
                                   figures[place] = QUERN_TRY(NumericFigures(stream, profile));
                                   figures[place].note = std::move(note);
                                   return {};
                                 }));
  for (size_t i = 0; i < features.size(); i++) AddResults(features[i], figures[i], options, out.results);
  return out;
}

std::optional<double> DriftShare(const std::vector<DriftResult>& results, std::string_view without) {
  int64_t features = 0;
  int64_t drifted = 0;
  for (const auto& result : results) {
    if (!result.is_default || result.feature == without) continue;
    features++;
    drifted += result.drifted ? 1 : 0;
  }
  if (features == 0) return std::nullopt;
  return static_cast<double>(drifted) / static_cast<double>(features);
}

}  // namespace quern::ml
