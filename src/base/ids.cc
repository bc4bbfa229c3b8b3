#include "base/ids.h"

#include <openssl/rand.h>

#include <array>
#include <chrono>

#include "base/result.h"
#include "base/text.h"

namespace quern {
namespace {
std::string Format(std::array<unsigned char, 16>& b, unsigned char version) {
  b[6] = static_cast<unsigned char>((b[6] & 0x0F) | version << 4);
  b[8] = static_cast<unsigned char>((b[8] & 0x3F) | 0x80);
  std::string hex = HexEncode({reinterpret_cast<const char*>(b.data()), b.size()});
  for (size_t at : {20, 16, 12, 8}) hex.insert(at, 1, '-');
  return hex;
}
}  // namespace

std::string RandomUuid() {
  std::array<unsigned char, 16> b;
  QUERN_CHECK(RAND_bytes(b.data(), b.size()) == 1);
  return Format(b, 4);
}

std::string TimeUuid() {
  std::array<unsigned char, 16> b;
  QUERN_CHECK(RAND_bytes(b.data(), b.size()) == 1);
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
                .count();
  for (int i = 0; i < 6; ++i) b[static_cast<size_t>(i)] = static_cast<unsigned char>(ms >> (8 * (5 - i)));
  return Format(b, 7);
}

}  // namespace quern
