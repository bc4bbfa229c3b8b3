#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "report/model_data.h"

namespace quern::report {

/// A node as the report draws it; `parents` are indexes into ReportData::nodes.
struct ReportNode {
  std::string id;
  std::string kind;
  std::string name;
  std::string materialized;
  std::string description;
  std::vector<std::string> tags;
  std::vector<int> parents;
};

struct ReportTask {
  int node = 0;       ///< index into ReportData::nodes
  std::string state;  ///< success, warned, no_op, failed, skipped, cancelled
  std::optional<double> seconds;
  std::optional<int64_t> rows;
  std::optional<int64_t> discarded;
  std::string message;
  std::string error;  ///< for people, several lines; "" when there is none
};

struct ReportRun {
  std::string dag_run;  ///< "monthly/2013-05-01"
  std::string label;    ///< short, for axes: "2013-05" or "05-01"
  std::string state;    ///< success, failed, cancelled, running
  double seconds = 0;
  std::vector<ReportTask> tasks;
};

struct ReportData {
  std::string project;
  std::string target;
  std::string git_commit;
  std::string version;
  Timestamp generated;
  std::vector<ReportNode> nodes;
  std::vector<ReportRun> runs;    ///< oldest first
  std::vector<ModelData> models;  ///< those without anything to show are left out of the page
};

/// The style that the page and the pages of `quern up` share (theme.css).
std::string_view ThemeCss();

/// One self-contained HTML page (no outside resource; readable without a network, on a phone, in the dark). Secrets are
/// masked. Never fails on odd text: everything is escaped.
std::string RenderHtml(const ReportData& data);

/// Short names for an axis: what of the dag runs' dates tells them apart ("2013-05" for months, "05-01" within a year).
std::vector<std::string> AxisLabels(const std::vector<std::string>& dag_runs);

}  // namespace quern::report
