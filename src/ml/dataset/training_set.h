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
  std::string digest;                      ///< Digest::Hex()
  std::string query;                       ///< compiled
  std::map<std::string, int64_t> sources;  ///< versions of all tables that the query read, through views too
  std::string git_commit;
  bool git_dirty = false;
  std::vector<LeakageFinding> leakage;

  Json ToJson() const;
  static Result<TrainingSet> FromJson(const Json& json);
  /// SQL that reads the rows again: key, time, features, label, ordered by key and time.
  std::string ReadSql() const;
};

struct SaveOptions {
  std::string training_set;  ///< the name; it makes the effect
  TimeFrame frame;
  QueryOptions query;
  std::string effect_app;  ///< schedule::EffectAppId; the training set's name is appended
  int64_t effect_version = 0;
  warehouse::CommitContext commit;  ///< run, node, git commit ("-dirty" appended when it is); txns are added
  /// At least two classes (kClassification, kMulticlass): false for evaluation sets, where one class is no error.
  bool needs_classes = true;
  bool check_leakage = true;
};

/// Appends one training set to training.<model> in one commit (making the table, or adding columns to it, before), and
/// answers its record, which the commit's info holds too (key quernTrainingSet). When the effect is recorded already,
/// answers the record of then and writes nothing. Rows are checked before the commit, so nothing bad is kept.
/// Errors: kTrainingData (no rows, duplicate keys, infinite values, one class, a leak with `leakage: fail`), those of
/// the engine.
Result<TrainingSet> SaveTrainingSet(const ModelConfig& model, const BoundDataset& bound, const SaveOptions& options,
                                    warehouse::Warehouse& warehouse, warehouse::Session& session);

/// Whether a saved set is still what its record says. Errors: kNotReproducible when table, version or files are gone.
struct Verification {
  bool equal = false;
  int64_t rows = 0;
  std::string digest;
};
Result<Verification> VerifyTrainingSet(const TrainingSet& set, warehouse::Warehouse& warehouse,
                                       warehouse::Session& session);

/// The digest of a query's rows with the sources as they stood at the given versions (empty: as they stand now).
/// Errors: kNotReproducible when a source's version is gone.
Result<Digest> RebuildDigest(const std::string& query, const std::map<std::string, int64_t>& sources,
                             warehouse::Session& session);

}  // namespace quern::ml
