#pragma once
#include <string>
#include <vector>

#include "ml/nodes/services.h"

// What people do with models by hand: `quern model …`.
namespace quern::ml {

struct OperationContext {
  const ModelConfig* model = nullptr;
  const ProviderOptions* options = nullptr;
  const schedule::RunContext* run = nullptr;  ///< a manual one
  std::string by;                             ///< who decides
  std::string why;                            ///< may be empty
};

/// Makes a run's model (or a version that is there) the champion, saves it to `save_to`, writes the decision down.
/// Gives the version. Errors: kTrackingNotFound, kInvalidArgument (a run of another model), those of the
/// tracking database and the warehouse.
Result<int64_t> PromoteByHand(const OperationContext& context, const std::string& run_id);
Result<int64_t> PromoteVersionByHand(const OperationContext& context, int64_t version, const std::string& decision);

/// One part of what a training is made of, then and now.
struct Part {
  std::string name;  ///< data, query, code, parameters, library, metrics, model
  bool same = true;
  std::string note;  ///< what differs, or by what it was found the same
};

struct Reproduction {
  std::string run_id;
  std::vector<Part> parts;
  bool equal() const;
  std::vector<std::string> different() const;
};

/// Trains a run again from the recorded version of its training set and compares: the saved data and what the query
/// gives now, the query, the configuration, the library, metrics and model bytes. Records nothing.
/// Errors: kNotReproducible when the training set is gone, kTrackingNotFound, those of the trainer.
Result<Reproduction> Reproduce(const OperationContext& context, const std::string& run_id);

/// Whether the training set of a version is still there and is what its record says.
struct VersionCheck {
  int64_t version = 0;
  bool good = false;
  bool foreign = false;  ///< not trained here: good when its files are there
  std::string note{};
};
Result<std::vector<VersionCheck>> VerifyVersions(const OperationContext& context);

}  // namespace quern::ml
