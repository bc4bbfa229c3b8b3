#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/connection.h"
#include "ml/metrics/profile.h"

// How far a current relation's columns have moved from a reference's: the methods, defaults, bins and thresholds of
// Evidently 0.7.21 (ValueDrift), equal to its numbers.
namespace quern::ml {

struct DriftMethod {
  std::string name;
  double threshold = 0;  ///< by default
  bool p_value = false;  ///< drift is a value below (ks: not above) the threshold; else a value not below it
  bool numeric = false;  ///< of which features it can be asked
  bool category = false;
};
/// psi, jensenshannon, wasserstein (over the reference's standard deviation), ks, chisquare, hellinger, kl_div, z.
const std::vector<DriftMethod>& DriftMethods();
const DriftMethod* FindDriftMethod(std::string_view name);

struct DriftOptions {
  /// Those asked for, each where it fits the feature's kind; the default method of each feature comes in any case.
  /// Empty: only that. Errors: kInvalidArgument for a name that is not known.
  std::vector<std::string> methods{};
  std::map<std::string, double> thresholds{};  ///< by method
  bool profile = false;                        ///< fill DriftReport::current, without a further pass
  ColumnOptions columns{};
};

struct DriftResult {
  std::string feature{};
  std::string method{};
  std::optional<double> value{};  ///< a distance or a p-value; empty when it is not defined: `note` says why
  double threshold = 0;
  bool drifted = false;        ///< false without a value
  bool is_default = false;     ///< the method that Evidently chooses for this column
  int64_t reference_rows = 0;  ///< with a value: nulls, NaN and infinities are left out
  int64_t current_rows = 0;
  std::string note{};
};

struct DriftReport {
  std::vector<DriftResult> results;     ///< by feature in the order given; each feature has one with is_default
  std::vector<FeatureProfile> current;  ///< when asked for
};

/// Compares current with reference. A feature that one of them does not have, that has no value in one of them, or that
/// is numeric by its kind but not by its type has results without values. Both relations are counted, then read in as
/// few passes as the columns fit in memory: give a table rather than a costly query when there are many columns.
Result<DriftReport> ComputeDrift(engine::Connection& connection, std::string_view reference, std::string_view current,
                                 const std::vector<FeatureColumn>& features, const DriftOptions& options = {});

/// The share of features whose default method says drifted (one without a value does not), without those of
/// the feature named `without`. Empty when there is none.
std::optional<double> DriftShare(const std::vector<DriftResult>& results, std::string_view without = "prediction");

}  // namespace quern::ml
