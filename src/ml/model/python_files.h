#pragma once
#include <string_view>

// The Python programs of python/, as they are shipped.
namespace quern::ml {

/// quern_model_v1.py: the loader module in each model's code folder. Its name holds the format's number, since Python
/// keeps one module of a name for all models of a process.
std::string_view LoaderModule();
/// score_parquet.py: scores rows with any MLflow model.
std::string_view ScorerProgram();

}  // namespace quern::ml
