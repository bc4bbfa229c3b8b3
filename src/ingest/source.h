#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "engine/connection.h"
#include "ingest/schema.h"

namespace quern::ingest {

/// A row that could not be cut into columns.
struct Reject {
  std::string file;
  int64_t line = 0;
  int column = 0;
  std::string reason;
};

/// A list inside JSON rows that becomes a table of its own.
struct ChildList {
  std::string name;               ///< field names joined by "__"
  std::vector<std::string> path;  ///< keys from the row's top
  Type element;
};

/// The arriving files of one load as a relation in SQL.
///
/// Columns of the relation: quern_c0, quern_c1, ... (one per source column, in the form its Raw says; null markers are
/// NULL already), `quern_f` (the file's path), `quern_l` (its line, or row in Parquet; NULL in the fast form). The
/// *fast* form lets the engine read the files themselves, in parallel. Where that fails, the *exact* form reads a copy
/// in which every row carries its file and line; broken rows are not in it, they are in `rejects`.
class Source {
 public:
  /// Looks at every file's header, structure or schema. JSON that cannot be read as a whole makes the exact form at
  /// once. `temp` is a folder for the copies; it is removed with the object. Errors: kBadRow, kContract (headers),
  /// kCorrupt, kIo, kPermissionDenied with the file.
  static Result<std::unique_ptr<Source>> Open(const TableConfig& config, std::vector<SourceFile> files,
                                              const std::filesystem::path& project, const std::filesystem::path& temp,
                                              engine::Connection& connection, const Cancellation& cancellation);
  ~Source();

  const std::vector<SourceColumn>& columns() const { return columns_; }
  const std::vector<SourceFile>& files() const { return files_; }
  bool exact() const { return exact_; }
  /// With `nested: child_tables`; the relation has their JSON as quern_n0, quern_n1, ...
  const std::vector<ChildList>& children() const { return children_; }
  std::string ChildColumns() const;  ///< "quern_n0, quern_n1"
  /// Whether the relation gives the rows file by file, in the order of files().
  bool in_file_order() const { return groups_.size() < 2; }
  /// The relation, without a row for what is empty; a SELECT.
  std::string Sql() const;

  /// Goes over to the exact form. Idempotent.
  Result<void> MakeExact();
  int64_t rejected() const { return rejected_; }
  const Reject& first_reject() const { return first_reject_; }
  /// SELECT of file, line, col, reason, value (the raw text) of all rejects; "" when there are none.
  std::string RejectsSql() const;
  /// 1-based place in its line of a field of a CSV record that begins at `line`; 0 when it cannot be told.
  int ColumnOf(const std::string& file, int64_t line, int source) const;

 private:
  struct Group {  // files that are read by one call
    std::vector<std::string> header;
    Compression compression = Compression::kNone;
    std::vector<size_t> files;
  };
  struct ExactCopy {  // the good rows of a group's files, each with its file and line
    std::string path;
    size_t longest_record = 0;  ///< in bytes; known of JSON lines
  };
  Source(const TableConfig& config, std::vector<SourceFile> files, std::filesystem::path project,
         std::filesystem::path temp, engine::Connection& connection, const Cancellation& cancellation);

  Result<void> OpenCsv();
  Result<void> OpenJson();
  Result<void> OpenParquet();
  Result<void> ReadStructure();
  Result<void> ExactCsv();
  Result<void> ExactJson();
  std::string CsvSql(const Group& group, const ExactCopy* exact_copy) const;
  std::string FileList(const std::vector<size_t>& files) const;
  std::string PathOfFilename() const;
  std::string WithNulls(const SourceColumn& column, const std::string& raw) const;
  std::string EmptySql() const;
  std::string JsonSql(const std::vector<std::string>& path) const;
  void Unfold(const Type& type, std::vector<std::string> path);
  Error Place(Error error) const;

  const TableConfig& config_;
  std::vector<SourceFile> files_;
  std::filesystem::path project_;
  std::filesystem::path temp_;
  engine::Connection& connection_;
  Cancellation cancellation_;
  std::vector<SourceColumn> columns_;
  std::vector<ChildList> children_;
  std::vector<Group> groups_;
  std::vector<ExactCopy> copies_;  ///< one per group
  bool exact_ = false;
  int64_t rejected_ = 0;
  Reject first_reject_;
};

}  // namespace quern::ingest
