#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "ml/dataset/binding.h"
#include "ml/dataset/digest.h"
#include "ml/dataset/frame.h"
#include "ml/dataset/leakage.h"
#include "ml/dataset/query.h"
#include "warehouse/warehouse.h"

namespace quern::ml {

/// What a training (or evaluation) set was made of: enough to read it again, to check it and to build it again.
struct TrainingSet {
  std::string table;  ///< "training.late_arrival"
  int64_t version = -1;
  std::string table_id;      ///< Delta's id of the table
  std::string location;      ///< absolute path or URL
  std::string training_set;  ///< "monthly/2013-05-01/last_3_months"
  TimeFrame frame;
  int64_t rows = 0;
  std::vector<BoundColumn> key;
  BoundColumn time;
  BoundColumn label;
  std::vector<BoundFeature> features;
  TaskType task = TaskType::kClassification;
  std::string digest;                        ///< Digest::Hex()
  std::string query;                         ///< compiled
  std::map<std::string, int64_t> sources;    ///< versions of all tables that the query read, through views too
  std::map<std::string, std::string> views;  ///< SHA-256 of the definitions of all views that it read
  std::string git_commit;
  bool git_dirty = false;
  std::vector<std::string> warnings;  ///< leaks, features without a value: for the log and the report

  Json ToJson() const;
  static Result<TrainingSet> FromJson(const Json& json);
  /// SQL that reads the rows again: key, time, features, label, ordered by key and time.
  std::string ReadSql() const;
};

struct SaveOptions {
  std::string training_set;  ///< its name
  TimeFrame frame;
  QueryOptions query;
  std::string effect_app;  ///< schedule::EffectAppId; the set's name is appended
  int64_t effect_version = 0;
  warehouse::CommitContext commit;  ///< run, node, git commit ("-dirty" appended when it is); txns are added
  /// False for evaluation sets: one class, or a feature without any value, is nothing to speak of there, and leaks are
  /// not looked for.
  bool for_training = true;
};

/// Appends one training set to training.<model> in one commit (which makes the table, or adds columns to it, when it
/// must), and answers its record, which the commit's info holds too (key quernTrainingSet). Rows are checked before the
/// commit, so nothing bad is kept. When the effect is recorded already, the record of then is answered and nothing is
/// written, unless a rerun finds other rows than then: those are appended as "<name>#2", "#3", ...: what was trained on
/// before stays. Ends with no context set in the session.
/// Errors: kTrainingData (no rows, a key that is there twice or null, infinite values, one class, a leak with
/// `leakage: fail`), kModelConfig (a column whose type the table's column cannot hold), those of the engine.
Result<TrainingSet> SaveTrainingSet(const ModelConfig& model, const BoundDataset& bound, const SaveOptions& options,
                                    warehouse::Warehouse& warehouse, warehouse::Session& session);

/// Whether a saved set is still what its record says, by reading it all. Errors: kNotReproducible when table, version
/// or files are gone.
struct Verification {
  bool equal = false;
  int64_t rows = 0;
  std::string digest;
};
Result<Verification> VerifyTrainingSet(const TrainingSet& set, warehouse::Warehouse& warehouse,
                                       warehouse::Session& session);

/// What a query gives, and what it read for that.
struct Rebuilt {
  Digest digest;
  std::map<std::string, int64_t> sources;
  std::map<std::string, std::string> views;  ///< SHA-256 of their definitions
};
/// Runs a query with its sources as they stood at the given versions (empty: as they stand now) and digests what it
/// gives. Views are as they are now. Errors: kNotReproducible when a source's table or version is gone.
Result<Rebuilt> RebuildTrainingSet(const std::string& query, const std::map<std::string, int64_t>& sources,
                                   warehouse::Session& session);

}  // namespace quern::ml
