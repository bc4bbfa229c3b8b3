#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/connection.h"

namespace quern::ml {

/// A digest of a multiset of rows: the sum modulo 2^256 of every row's SHA-256, and the number of rows. It does not
/// depend on the order of rows or columns; a row that is there twice counts twice. The encoding: docs/reference/ml.md.
struct Digest {
  std::array<uint64_t, 4> sum{};  ///< least significant first
  int64_t rows = 0;

  std::string Hex() const;  ///< 64 hexadecimal digits, most significant first
  friend bool operator==(const Digest&, const Digest&) = default;
};

/// Digests a query's result. `threads` bounds the threads that hash (0: as many as cores). Errors: those of the engine.
Result<Digest> DigestOf(engine::Connection& connection, std::string_view query, int threads = 0);

}  // namespace quern::ml
