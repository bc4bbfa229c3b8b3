#pragma once
#include <memory>

#include "engine/duckdb/database.h"
#include "warehouse/warehouse.h"

// The engine (DuckDB, and the warehouse on it) lies in a library of its own, libquern_engine.so, which is loaded when
// the first database is opened: docs/decisions/0005-the-engine-is-loaded-late.md.
namespace quern::cli {

/// What the library offers; it fills the table when the program asks.
struct EngineFunctions {
  Result<std::unique_ptr<warehouse::Warehouse>> (*open_warehouse)(const warehouse::Options&) = nullptr;
  Result<std::unique_ptr<engine::DuckDatabase>> (*open_duckdb)(const engine::DuckDbOptions&) = nullptr;
};

extern "C" void quern_engine_functions(EngineFunctions* out);

}  // namespace quern::cli
