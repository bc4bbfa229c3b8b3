#pragma once
#include <string>
#include <vector>

#include "report/model_data.h"

namespace quern::report {

/// Models on a terminal: plain words in columns. `numbers[i]` says that column i is set to the right.
struct SummaryTable {
  std::vector<std::string> columns;
  std::vector<bool> numbers;
  std::vector<std::vector<std::string>> rows;
};

/// The last `most` periods, a line each: the version that predicted it, the two metrics that matter most with the
/// dummy's beside, drift, and what was decided.
SummaryTable SummariseModel(const ModelData& model, size_t most);

/// "late_arrival: champion v3; 4 retrainings: 2 promoted, 2 rejected".
std::string SummaryLine(const ModelData& model);

}  // namespace quern::report
