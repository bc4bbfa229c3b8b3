#include "delta/deletion_vector.h"

#include <fmt/format.h>
#include <roaring/roaring.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/ids.h"
#include "base/text.h"
#include "delta/path_encoding.h"

namespace quern::delta {

namespace {

constexpr uint32_t kPortableMagic = 1681511377;
constexpr uint32_t kNativeMagic = 1681511376;
constexpr char kFileFormatVersion = 1;
constexpr size_t kEncodedUuidLength = 20;
constexpr std::string_view kZ85 =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

template <class T>
void AppendLittle(std::string& out, T value) {
  for (size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(value >> (8 * i));
}
void AppendBig(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}
template <class T>
T Little(const char* bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof value; ++i) value |= static_cast<T>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return value;
}
uint32_t Big(const char* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

uint32_t Checksum(std::string_view bytes) {
  return static_cast<uint32_t>(
      ::crc32(::crc32(0, nullptr, 0), reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

struct BitmapFreer {
  void operator()(roaring_bitmap_t* bitmap) const { ::roaring_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<roaring_bitmap_t, BitmapFreer>;

Error Corrupt(std::string why) {
  return Error(ErrorCode::kCorrupt, "a broken deletion vector: " + std::move(why));
}

std::string UuidText(std::string_view bytes) {
  const std::string hex = HexEncode(bytes);
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

std::string UuidBytes(std::string_view text) {
  std::string bytes;
  const std::string hex = ReplaceAll(std::string(text), "-", "");
  for (size_t i = 0; i + 1 < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string FileName(std::string_view uuid) {
  return fmt::format("deletion_vector_{}.bin", uuid);
}

}  // namespace

struct RowSet::Impl {
  std::map<uint32_t, Bitmap> parts;  // by the high 32 bits

  roaring_bitmap_t* At(uint32_t high) {
    Bitmap& bitmap = parts[high];
    if (!bitmap) bitmap.reset(::roaring_bitmap_create());
    return bitmap.get();
  }
};

RowSet::RowSet() : impl_(std::make_unique<Impl>()) {}
RowSet::RowSet(const RowSet& other) : RowSet() {
  Union(other);
}
RowSet& RowSet::operator=(const RowSet& other) {
  if (this != &other) *this = RowSet(other);
  return *this;
}
RowSet::RowSet(RowSet&& other) noexcept : impl_(std::exchange(other.impl_, std::make_unique<Impl>())) {}
RowSet& RowSet::operator=(RowSet&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
RowSet::~RowSet() = default;

void RowSet::Add(uint64_t row) {
  ::roaring_bitmap_add(impl_->At(static_cast<uint32_t>(row >> 32)), static_cast<uint32_t>(row));
}

void RowSet::AddMany(const uint64_t* rows, size_t count) {
  std::vector<uint32_t> low;
  for (size_t i = 0; i < count;) {
    const auto high = static_cast<uint32_t>(rows[i] >> 32);
    low.clear();
    for (; i < count && static_cast<uint32_t>(rows[i] >> 32) == high; ++i)
      low.push_back(static_cast<uint32_t>(rows[i]));
    ::roaring_bitmap_add_many(impl_->At(high), low.size(), low.data());
  }
}

void RowSet::AddRange(uint64_t begin, uint64_t end) {
  while (begin < end) {
    const auto high = static_cast<uint32_t>(begin >> 32);
    const uint64_t base = static_cast<uint64_t>(high) << 32;
    const uint64_t stop = std::min(end - base, uint64_t{1} << 32);
    ::roaring_bitmap_add_range(impl_->At(high), begin - base, stop);
    begin = base + stop;
  }
}

void RowSet::Union(const RowSet& other) {
  for (const auto& [high, bitmap] : other.impl_->parts) ::roaring_bitmap_or_inplace(impl_->At(high), bitmap.get());
}

bool RowSet::Contains(uint64_t row) const {
  const auto it = impl_->parts.find(static_cast<uint32_t>(row >> 32));
  return it != impl_->parts.end() && ::roaring_bitmap_contains(it->second.get(), static_cast<uint32_t>(row));
}

uint64_t RowSet::cardinality() const {
  uint64_t n = 0;
  for (const auto& [high, bitmap] : impl_->parts) n += ::roaring_bitmap_get_cardinality(bitmap.get());
  return n;
}

void RowSet::Deleted(uint64_t begin, uint64_t end, std::vector<uint32_t>& offsets) const {
  offsets.clear();
  for (auto it = impl_->parts.lower_bound(static_cast<uint32_t>(begin >> 32)); it != impl_->parts.end(); ++it) {
    const uint64_t base = static_cast<uint64_t>(it->first) << 32;
    if (base >= end) break;
    roaring_uint32_iterator_t iterator;
    ::roaring_init_iterator(it->second.get(), &iterator);
    if (begin > base && !::roaring_move_uint32_iterator_equalorlarger(&iterator, static_cast<uint32_t>(begin - base)))
      continue;
    for (; iterator.has_value && base + iterator.current_value < end; ::roaring_advance_uint32_iterator(&iterator)) {
      offsets.push_back(static_cast<uint32_t>(base + iterator.current_value - begin));
    }
  }
}

std::vector<uint64_t> RowSet::ToVector() const {
  std::vector<uint64_t> rows;
  for (const auto& [high, bitmap] : impl_->parts) {
    roaring_uint32_iterator_t iterator;
    for (::roaring_init_iterator(bitmap.get(), &iterator); iterator.has_value;
         ::roaring_advance_uint32_iterator(&iterator)) {
      rows.push_back(static_cast<uint64_t>(high) << 32 | iterator.current_value);
    }
  }
  return rows;
}

bool operator==(const RowSet& a, const RowSet& b) {
  return a.ToVector() == b.ToVector();
}

std::string RowSet::Serialize() const {
  std::string out;
  AppendLittle(out, kPortableMagic);
  uint64_t count = 0;
  for (const auto& [high, bitmap] : impl_->parts) count += ::roaring_bitmap_is_empty(bitmap.get()) ? 0 : 1;
  AppendLittle(out, count);
  for (const auto& [high, bitmap] : impl_->parts) {
    if (::roaring_bitmap_is_empty(bitmap.get())) continue;
    ::roaring_bitmap_run_optimize(bitmap.get());
    AppendLittle(out, high);
    const size_t at = out.size();
    out.resize(at + ::roaring_bitmap_portable_size_in_bytes(bitmap.get()));
    ::roaring_bitmap_portable_serialize(bitmap.get(), out.data() + at);
  }
  return out;
}

Result<RowSet> RowSet::Deserialize(std::string_view bytes) {
  if (bytes.size() < 4) return Fail(Corrupt("too short"));
  const auto magic = Little<uint32_t>(bytes.data());
  bytes.remove_prefix(4);
  RowSet rows;
  const auto take = [&](uint32_t high, size_t limit) -> Result<size_t> {
    Bitmap bitmap(::roaring_bitmap_portable_deserialize_safe(bytes.data(), std::min(limit, bytes.size())));
    if (!bitmap) return Fail(Corrupt("a bitmap that does not parse"));
    const size_t used = ::roaring_bitmap_portable_size_in_bytes(bitmap.get());
    if (!rows.impl_->parts.emplace(high, std::move(bitmap)).second) return Fail(Corrupt("a key twice"));
    return used;
  };
  if (magic == kPortableMagic) {
    if (bytes.size() < 8) return Fail(Corrupt("too short"));
    const auto count = Little<uint64_t>(bytes.data());
    bytes.remove_prefix(8);
    for (uint64_t i = 0; i < count; ++i) {
      if (bytes.size() < 4) return Fail(Corrupt("too short"));
      const auto high = Little<uint32_t>(bytes.data());
      bytes.remove_prefix(4);
      const size_t used = QUERN_TRY(take(high, bytes.size()));
      if (used > bytes.size()) return Fail(Corrupt("a bitmap longer than its bytes"));
      bytes.remove_prefix(used);
    }
  } else if (magic == kNativeMagic) {
    if (bytes.size() < 4) return Fail(Corrupt("too short"));
    const auto count = Little<uint32_t>(bytes.data());
    bytes.remove_prefix(4);
    for (uint32_t i = 0; i < count; ++i) {
      if (bytes.size() < 4) return Fail(Corrupt("too short"));
      const auto size = Little<uint32_t>(bytes.data());
      bytes.remove_prefix(4);
      if (size > bytes.size()) return Fail(Corrupt("too short"));
      QUERN_TRY(take(i, size));
      bytes.remove_prefix(size);
    }
  } else {
    return Fail(Corrupt(fmt::format("magic number {} is not known", magic)));
  }
  return rows;
}

std::string Z85Encode(std::string_view bytes) {
  QUERN_CHECK(bytes.size() % 4 == 0);
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 4) {
    uint32_t value = Big(bytes.data() + i);
    char five[5];
    for (int k = 4; k >= 0; --k) {
      five[k] = kZ85[value % 85];
      value /= 85;
    }
    out.append(five, 5);
  }
  return out;
}

Result<std::string> Z85Decode(std::string_view text) {
  if (text.size() % 5 != 0) return Fail(Corrupt("text that is no Z85"));
  std::string out;
  for (size_t i = 0; i < text.size(); i += 5) {
    // Rust's writers end a text that is no multiple of four with a group that begins with as many '#' as bytes are
    // missing; a whole group never does, as it would be past 32 bits.
    size_t missing = 0;
    if (i + 5 == text.size()) {
      while (missing < 3 && text[i + missing] == '#') ++missing;
    }
    uint64_t value = 0;
    for (size_t k = missing; k < 5; ++k) {
      const size_t digit = kZ85.find(text[i + k]);
      if (digit == std::string_view::npos) return Fail(Corrupt("text that is no Z85"));
      value = value * 85 + digit;
    }
    if (value >> (8 * (4 - missing)) != 0) return Fail(Corrupt("text that is no Z85"));
    std::string group;
    AppendBig(group, static_cast<uint32_t>(value));
    out += group.substr(missing);
  }
  return out;
}

Result<RowSet> ReadDeletionVector(io::ObjectStore& store, std::string_view root,
                                  const DeletionVectorDescriptor& descriptor) {
  if (descriptor.size_in_bytes < 0 || descriptor.offset.value_or(0) < 0) return Fail(Corrupt("a negative size"));
  const auto size = static_cast<size_t>(descriptor.size_in_bytes);
  std::string bytes;
  std::string where = "inline";
  if (descriptor.storage == DeletionVectorDescriptor::Storage::kInline) {
    bytes = QUERN_TRY(Z85Decode(descriptor.path_or_inline));
    if (bytes.size() < size) return Fail(Corrupt("shorter than it says"));
    bytes.resize(size);
  } else {
    std::string key;
    if (descriptor.storage == DeletionVectorDescriptor::Storage::kPath) {
      key = QUERN_TRY(ObjectKey(root, descriptor.path_or_inline));
    } else {
      const std::string& text = descriptor.path_or_inline;
      if (text.size() < kEncodedUuidLength) return Fail(Corrupt(fmt::format("'{}' is no encoded name", text)));
      const std::string folder = text.substr(0, text.size() - kEncodedUuidLength);
      const std::string uuid = QUERN_TRY(Z85Decode(std::string_view(text).substr(folder.size())));
      key = io::JoinKey(io::JoinKey(root, folder), FileName(UuidText(uuid)));
    }
    where = store.Location(key);
    const int64_t offset = descriptor.offset.value_or(1);
    const auto read = QUERN_TRY(store.GetRange(key, offset, static_cast<int64_t>(size) + 8));
    if (!read) return Fail(ErrorCode::kNotFound, fmt::format("the deletion vector {} is missing", where));
    if (read->size() != size + 8) return Fail(Corrupt(fmt::format("{} ends too early", where)));
    if (Big(read->data()) != size) return Fail(Corrupt(fmt::format("{} says another size than the log", where)));
    bytes = read->substr(4, size);
    if (Big(read->data() + 4 + size) != Checksum(bytes))
      return Fail(Corrupt(fmt::format("the checksum of {} is wrong", where)));
  }
  Result<RowSet> rows = RowSet::Deserialize(bytes);
  if (!rows) return Fail(std::move(rows).error().Context(where));
  if (rows->cardinality() != static_cast<uint64_t>(descriptor.cardinality)) {
    return Fail(
        Corrupt(fmt::format("{} holds {} rows, the log says {}", where, rows->cardinality(), descriptor.cardinality)));
  }
  return rows;
}

DeletionVectorWriter::DeletionVectorWriter(io::ObjectStore& store, std::string root)
    : store_(store), root_(std::move(root)), uuid_(RandomUuid()) {}

DeletionVectorDescriptor DeletionVectorWriter::Append(const RowSet& rows) {
  if (bytes_.empty()) bytes_ += kFileFormatVersion;
  const std::string serialized = rows.Serialize();
  DeletionVectorDescriptor descriptor;
  descriptor.storage = DeletionVectorDescriptor::Storage::kUuid;
  descriptor.path_or_inline = Z85Encode(UuidBytes(uuid_));
  descriptor.offset = static_cast<int32_t>(bytes_.size());
  descriptor.size_in_bytes = static_cast<int32_t>(serialized.size());
  descriptor.cardinality = static_cast<int64_t>(rows.cardinality());
  AppendBig(bytes_, static_cast<uint32_t>(serialized.size()));
  bytes_ += serialized;
  AppendBig(bytes_, Checksum(serialized));
  return descriptor;
}

Result<std::string> DeletionVectorWriter::Finish() {
  if (bytes_.empty()) return std::string();
  std::string key = io::JoinKey(root_, FileName(uuid_));
  QUERN_TRY(store_.Put(key, bytes_));
  bytes_.clear();
  return key;
}

}  // namespace quern::delta
