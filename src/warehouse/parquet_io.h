#pragma once
#include <memory>

#include "delta/parquet_io.h"
#include "engine/duckdb/database.h"

namespace quern::warehouse {

/// Checkpoints as Parquet by DuckDB. `db` must outlive the object. Thread-safe.
std::shared_ptr<delta::ParquetIo> MakeParquetIo(engine::DuckDatabase& db);

}  // namespace quern::warehouse
