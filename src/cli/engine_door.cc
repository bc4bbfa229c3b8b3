// The program's side of the door; linked into `quern` only, in place of the engine's and the warehouse's own functions.
#include "cli/engine_door.h"

#include <dlfcn.h>

#include <filesystem>

namespace quern {
namespace cli {
namespace {

Result<EngineFunctions> Load() {
  std::error_code error;
  auto library = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "libquern_engine.so";
  void* handle = dlopen(library.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (!handle) {
    return Fail(Error(ErrorCode::kNotFound, fmt::format("the engine cannot be loaded: {}", dlerror()))
                    .Hint("libquern_engine.so and libduckdb.so must lie beside the quern program"));
  }
  auto fill = reinterpret_cast<decltype(&quern_engine_functions)>(dlsym(handle, "quern_engine_functions"));
  if (!fill) return Fail(Error(ErrorCode::kCorrupt, fmt::format("{} is no engine of this program", library.string())));
  EngineFunctions out;
  fill(&out);
  return out;
}

// Loaded once, never unloaded. Thread-safe.
const Result<EngineFunctions>& Engine() {
  static const Result<EngineFunctions> engine = Load();
  return engine;
}

}  // namespace
}  // namespace cli

Result<std::unique_ptr<warehouse::Warehouse>> warehouse::Warehouse::Open(const Options& options) {
  const auto& engine = cli::Engine();
  if (!engine) return Fail(engine.error());
  return engine->open_warehouse(options);
}

Result<std::unique_ptr<engine::DuckDatabase>> engine::DuckDatabase::Open(const DuckDbOptions& options) {
  const auto& engine = cli::Engine();
  if (!engine) return Fail(engine.error());
  return engine->open_duckdb(options);
}

}  // namespace quern
