#pragma once
#include <string>
#include <vector>

#include "report/model_data.h"

namespace quern::report {

struct ModelSectionOptions {
  bool links = false;    ///< to the pages of `quern up`
  bool profile = false;  ///< the features' figures of the last period too
};

/// A model's part of a page: several <section> elements in theme.css's classes. Escaped, no script, no outside
/// resource.
std::string RenderModel(const ModelData& model, const ModelSectionOptions& options = {});

}  // namespace quern::report
