// The library's side of the door; linked into libquern_engine.so only.
#include "cli/engine_door.h"

namespace quern::cli {

extern "C" __attribute__((visibility("default"))) void quern_engine_functions(EngineFunctions* out) {
  out->open_warehouse = &warehouse::Warehouse::Open;
  out->open_duckdb = &engine::DuckDatabase::Open;
}

}  // namespace quern::cli
