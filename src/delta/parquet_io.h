#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace quern::delta {

/// How checkpoints reach Parquet: flat columns by path, in batches. Implemented above (the warehouse does it with its
/// SQL engine); `delta/` itself knows no Parquet.
///
/// A path names a field inside structs by dots: "add.deletionVector.offset". Every struct is a column of its own
/// (kStruct) that carries only which rows are not null, so that a null struct and a struct of nulls stay apart.
enum class ColumnType {
  kStruct,      ///< only `valid`
  kBoolean,     ///< longs 0/1
  kInteger,     ///< longs; INT32 in the file
  kLong,        ///< longs; INT64
  kString,      ///< strings
  kStringMap,   ///< maps; MAP<string, string>, values may be null
  kStringList,  ///< lists; LIST<string>
  kJson,  ///< strings; reading only: a value of any type as JSON text, in a struct null fields left out, dates and
          ///< timestamps as ISO text ("2020-01-01", "2020-01-01T00:00:00.000000Z"), binary left out
};

struct ColumnSpec {
  std::string path;
  ColumnType type = ColumnType::kString;
};

struct ColumnData {
  using Map = std::vector<std::pair<std::string, std::optional<std::string>>>;
  std::vector<uint8_t> valid;  ///< one per row, 1 = not null; the others are as long where they are used
  std::vector<int64_t> longs;
  std::vector<std::string> strings;
  std::vector<Map> maps;
  std::vector<std::vector<std::string>> lists;
};

/// Columns in the order of the specs; every column has `rows` rows.
struct Batch {
  size_t rows = 0;
  std::vector<ColumnData> columns;
};

class ParquetIo {
 public:
  virtual ~ParquetIo() = default;

  /// Reads the columns; one that the file does not have is all null. Types that differ in width are converted. `sink`
  /// gets batches in the file's order (any size); its error ends the reading. `location` is ObjectStore::Location's.
  /// Errors: kNotFound, kCorrupt, kIo, each naming the file.
  virtual Result<void> Read(const std::string& location, const std::vector<ColumnSpec>& columns,
                            const std::function<Result<void>(Batch&&)>& sink) = 0;

  /// Writes one Parquet file whose nested schema is that of the specs (structs come before their fields), all columns
  /// nullable. `next` gives batches until one has no rows. The file appears whole and durable, or not at all; an old
  /// one is replaced. Gives its size in bytes.
  virtual Result<int64_t> Write(const std::string& location, const std::vector<ColumnSpec>& columns,
                                const std::function<Result<Batch>()>& next) = 0;
};

}  // namespace quern::delta
