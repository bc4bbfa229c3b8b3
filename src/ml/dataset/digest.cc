#include "ml/dataset/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>

#include "base/text.h"
#include "base/thread_pool.h"

namespace quern::ml {
namespace {

using engine::Batch;
using engine::BatchColumn;
using engine::BatchType;

constexpr size_t kHashBytes = 32;

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

/// SHA-256 of many short texts.
class Hasher {
 public:
  Hasher() : context_(EVP_MD_CTX_new()) {
    QUERN_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void Hash(const char* bytes, size_t size, unsigned char* out) {
    // Without naming the algorithm again its implementation is not looked up again.
    QUERN_CHECK(EVP_DigestInit_ex(context_.get(), nullptr, nullptr) == 1 &&
                EVP_DigestUpdate(context_.get(), bytes, size) == 1 &&
                EVP_DigestFinal_ex(context_.get(), out, nullptr) == 1);
  }

 private:
  std::unique_ptr<EVP_MD_CTX, FreeContext> context_;
};

template <class T>
void AppendLittle(std::string& out, T value) {
  static_assert(std::endian::native == std::endian::little);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void AddTo(std::array<uint64_t, 4>& sum, const std::array<uint64_t, 4>& value) {
  unsigned __int128 carry = 0;
  for (size_t i = 0; i < 4; ++i) {
    carry += static_cast<unsigned __int128>(sum[i]) + value[i];
    sum[i] = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
}

std::array<uint64_t, 4> FromBigEndian(const unsigned char* bytes) {
  std::array<uint64_t, 4> value{};
  for (size_t i = 0; i < 4; ++i) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + 8 * (3 - i), 8);
    value[i] = __builtin_bswap64(word);
  }
  return value;
}

/// Type classes: what two types share when their values are encoded alike.
char ClassOf(std::string_view type) {
  if (type == "BOOLEAN") return 'b';
  for (std::string_view whole : {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}) {
    if (type == whole) return 'i';
  }
  if (type == "FLOAT" || type == "DOUBLE") return 'f';
  if (type == "DATE") return 'd';
  if (type == "TIMESTAMP WITH TIME ZONE") return 'z';
  if (type.starts_with("TIMESTAMP")) return 'n';
  return 't';
}

/// Encoded rows, one after the other.
struct Rows {
  std::string bytes;
  std::vector<size_t> ends;
};

class DigestSink : public engine::BatchSink {
 public:
  DigestSink(std::vector<char> classes, int threads)
      : classes_(std::move(classes)), most_pending_(2 * static_cast<size_t>(threads) + 2), pool_(threads) {}

  Result<void> Begin(const std::vector<engine::Column>& columns, const std::vector<BatchType>&) override {
    order_.resize(columns.size());
    for (size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    std::sort(order_.begin(), order_.end(), [&](size_t a, size_t b) { return columns[a].name < columns[b].name; });
    std::string description;
    for (size_t i : order_) {
      AppendLittle(description, static_cast<uint32_t>(columns[i].name.size()));
      description += columns[i].name;
      description += classes_[i];
    }
    header_.resize(kHashBytes);
    Hasher().Hash(description.data(), description.size(), reinterpret_cast<unsigned char*>(header_.data()));
    return {};
  }

  Result<void> Add(const Batch& batch) override {
    auto rows = std::make_shared<Rows>();
    rows->ends.reserve(batch.rows);
    rows->bytes.reserve(batch.rows * (kHashBytes + 16 * order_.size()));
    for (size_t row = 0; row < batch.rows; ++row) {
      rows->bytes += header_;
      for (size_t i : order_) Encode(batch.columns[i], row, rows->bytes);
      rows->ends.push_back(rows->bytes.size());
    }
    digest_.rows += static_cast<int64_t>(batch.rows);
    {
      std::unique_lock lock(mutex_);
      done_.wait(lock, [&] { return pending_ < most_pending_; });
      ++pending_;
    }
    pool_.Submit([this, rows] { Sum(*rows); });
    return {};
  }

  Digest Finish() {
    pool_.Wait();
    std::lock_guard lock(mutex_);
    return digest_;
  }

 private:
  static void Encode(const BatchColumn& column, size_t row, std::string& out) {
    if (!column.IsValid(row)) {
      out += '\0';
      return;
    }
    out += '\1';
    switch (column.type) {
      case BatchType::kBool:
        out += column.bools[row] ? '\1' : '\0';
        break;
      case BatchType::kInteger:
        AppendLittle(out, column.integers[row]);
        break;
      case BatchType::kDouble: {
        double value = column.doubles[row];
        if (value == 0) value = 0;  // of both zeros the positive one
        const uint64_t bits = std::isnan(value) ? 0x7FF8'0000'0000'0000 : std::bit_cast<uint64_t>(value);
        AppendLittle(out, bits);
        break;
      }
      case BatchType::kText:
        AppendLittle(out, static_cast<uint32_t>(column.texts[row].size()));
        out += column.texts[row];
        break;
    }
  }

  void Sum(const Rows& rows) {
    thread_local Hasher hasher;
    std::array<uint64_t, 4> sum{};
    unsigned char hash[kHashBytes];
    size_t begin = 0;
    for (size_t end : rows.ends) {
      hasher.Hash(rows.bytes.data() + begin, end - begin, hash);
      AddTo(sum, FromBigEndian(hash));
      begin = end;
    }
    std::lock_guard lock(mutex_);
    AddTo(digest_.sum, sum);
    --pending_;
    done_.notify_one();
  }

  const std::vector<char> classes_;
  const size_t most_pending_;
  std::vector<size_t> order_;
  std::string header_;
  std::mutex mutex_;
  std::condition_variable done_;
  size_t pending_ = 0;
  Digest digest_;
  ThreadPool pool_;  // last: its threads end before what they use goes
};

}  // namespace

std::string Digest::Hex() const {
  return fmt::format("{:016x}{:016x}{:016x}{:016x}", sum[3], sum[2], sum[1], sum[0]);
}

Result<Digest> DigestOf(engine::Connection& connection, std::string_view query, int threads) {
  const auto columns = QUERN_TRY(connection.Describe(query));
  std::vector<char> classes;
  std::vector<std::string> selected;
  for (const auto& column : columns) {
    const std::string name = QuoteIdentifier(column.name);
    classes.push_back(ClassOf(column.type));
    // Times as text that no setting of the session changes.
    switch (classes.back()) {
      case 'z':
        selected.push_back(fmt::format("strftime(timezone('UTC', {0}), '%Y-%m-%d %H:%M:%S.%f') AS {0}", name));
        break;
      case 'n':
        selected.push_back(fmt::format("strftime({0}, '%Y-%m-%d %H:%M:%S.%f') AS {0}", name));
        break;
      case 'd':
        selected.push_back(fmt::format("strftime({0}, '%Y-%m-%d') AS {0}", name));
        break;
      default:
        selected.push_back(name);
    }
  }
  if (threads <= 0) threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  DigestSink sink(std::move(classes), threads);
  QUERN_TRY(connection.StreamBatches(fmt::format("SELECT {} FROM ({}\n)", Join(selected, ", "), query), sink));
  return sink.Finish();
}

}  // namespace quern::ml
