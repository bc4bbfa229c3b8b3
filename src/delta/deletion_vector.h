#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "delta/actions.h"
#include "io/object_store.h"

namespace quern::delta {

/// A set of row positions in one data file. Value type.
class RowSet {
 public:
  RowSet();
  RowSet(const RowSet&);
  RowSet& operator=(const RowSet&);
  RowSet(RowSet&&) noexcept;
  RowSet& operator=(RowSet&&) noexcept;
  ~RowSet();

  void Add(uint64_t row);
  void AddMany(const uint64_t* rows, size_t count);
  void AddRange(uint64_t begin, uint64_t end);  ///< [begin, end)
  void Union(const RowSet& other);
  bool Contains(uint64_t row) const;  ///< thread-safe among readers
  uint64_t cardinality() const;
  bool empty() const { return cardinality() == 0; }
  /// The rows in [begin, end), ascending, less `begin`; for filtering a batch of rows. Thread-safe among readers.
  void Deleted(uint64_t begin, uint64_t end, std::vector<uint32_t>& offsets) const;
  std::vector<uint64_t> ToVector() const;
  friend bool operator==(const RowSet& a, const RowSet& b);

  /// RoaringBitmapArray, portable format with its magic number (protocol, "Deletion Vector Format").
  std::string Serialize() const;
  /// Also the native format of older writers. Errors: kCorrupt.
  static Result<RowSet> Deserialize(std::string_view bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Loads a vector of a table; checks size, checksum and cardinality. Errors: kCorrupt, kNotFound, with the file.
Result<RowSet> ReadDeletionVector(io::ObjectStore& store, std::string_view root,
                                  const DeletionVectorDescriptor& descriptor);

/// Gathers the vectors of one commit in one new file `deletion_vector_<uuid>.bin` of the table's root.
class DeletionVectorWriter {
 public:
  DeletionVectorWriter(io::ObjectStore& store, std::string root);
  /// The descriptor is good once Finish() was.
  DeletionVectorDescriptor Append(const RowSet& rows);
  bool empty() const { return bytes_.empty(); }
  /// Writes the file, durably; nothing when nothing was appended. Gives its key ("" when nothing).
  Result<std::string> Finish();

 private:
  io::ObjectStore& store_;
  std::string root_;
  std::string uuid_;
  std::string bytes_;
};

/// Z85 (ZeroMQ RFC 32). Input lengths are multiples of 4 and 5; decoding errors: kCorrupt. Decoding also knows the
/// padded last group of Rust's writers.
std::string Z85Encode(std::string_view bytes);
Result<std::string> Z85Decode(std::string_view text);

}  // namespace quern::delta
