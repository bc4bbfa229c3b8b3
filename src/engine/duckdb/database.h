#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "engine/connection.h"

namespace duckdb {
class DuckDB;
}

namespace quern::engine {

struct DuckDbOptions {
  std::filesystem::path file{};  ///< a .duckdb file; empty: in memory
  int threads = 0;               ///< 0: as many as cores
  std::string memory_limit{};    ///< "800MB"; "": the engine's default (80 % of the machine)
  std::filesystem::path
      temp_directory{};  ///< where it spills; empty: beside the file, or the system's temporary folder
  bool read_only = false;
};

/// One embedded DuckDB instance. Files are in a storage version that Python duckdb 1.5.5 opens; they are
/// closed when the object and all its connections are gone. No extension is fetched or loaded by itself,
/// unsigned ones are refused, the home directory is left alone, and the session time zone is UTC whatever the
/// machine's is. Thread-safe. Errors of Open: kInvalidArgument (an option), kIo, kPermissionDenied, kCorrupt.
class DuckDatabase {
 public:
  static Result<std::unique_ptr<DuckDatabase>> Open(const DuckDbOptions& options);
  virtual ~DuckDatabase() = default;

  virtual Result<std::unique_ptr<Connection>> Connect() = 0;
  /// For parts that extend the engine in its own terms (src/warehouse); see engine/duckdb/native.h.
  virtual duckdb::DuckDB& native() = 0;
};

}  // namespace quern::engine
