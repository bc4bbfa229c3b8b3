#pragma once
#include <string>
#include <vector>

#include "schedule/runner.h"

namespace quern::project {

/// What a run did, for people: the terminal and the report print it.
struct RunSummary {
  std::string state;  ///< success, failed, cancelled
  double seconds = 0;
  int64_t rows_in = 0;         ///< by loads; what a seed holds came with the code
  int64_t rows_discarded = 0;  ///< to quarantine tables
  int loads = 0;
  int models_built = 0;  ///< models and snapshots
  int scripts_run = 0;
  int tests_passed = 0;
  int tests_warned = 0;
  int tests_failed = 0;
  int unchanged = 0;    ///< nothing to do
  int done_before = 0;  ///< by an earlier attempt
  int cancelled = 0;
  struct Note {
    std::string node;
    std::string why;
  };
  std::vector<Note> failed;  ///< tests too
  std::vector<Note> skipped;

  /// Adds another run's counts (a backfill's total); the state is the worse of both.
  void Add(const RunSummary& other);
  /// "336,776 rows in, 12 discarded, 14 models built, 30 tests passed, 1 skipped".
  std::string Line() const;
  Json ToJson() const;
};

RunSummary Summarise(const schedule::RunReport& report);

}  // namespace quern::project
