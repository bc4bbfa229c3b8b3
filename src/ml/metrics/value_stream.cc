#include "ml/metrics/value_stream.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "ml/metrics/slices.h"

namespace quern::ml {
namespace {

constexpr uint64_t kSign = 1ULL << 63;

// Unsigned numbers in the order of the values they stand for.
uint64_t KeyOf(int64_t value) {
  return static_cast<uint64_t>(value) ^ kSign;
}
uint64_t KeyOf(double value) {
  const auto bits = std::bit_cast<uint64_t>(value + 0.0);  // -0 is 0
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}
double DoubleOf(uint64_t key, bool integers) {
  if (integers) return static_cast<double>(static_cast<int64_t>(key ^ kSign));
  return std::bit_cast<double>((key & kSign) != 0 ? key ^ kSign : ~key);
}

// Radix sort from the lowest byte up; bytes that all keys share cost nothing.
void RadixSort(std::vector<uint64_t>& keys, std::vector<uint64_t>& scratch) {
  if (keys.size() < 512) {
    std::sort(keys.begin(), keys.end());
    return;
  }
  scratch.resize(std::max(scratch.size(), keys.size()));
  std::array<std::array<size_t, 256>, 8> counts{};
  for (const uint64_t key : keys) {
    for (size_t byte = 0; byte < 8; byte++) counts[byte][(key >> (8 * byte)) & 0xff]++;
  }
  uint64_t* from = keys.data();
  uint64_t* to = scratch.data();
  for (size_t byte = 0; byte < 8; byte++) {
    auto& count = counts[byte];
    if (count[(from[0] >> (8 * byte)) & 0xff] == keys.size()) continue;
    size_t place = 0;
    for (size_t& here : count) place += std::exchange(here, place);
    for (size_t i = 0; i < keys.size(); i++) to[count[(from[i] >> (8 * byte)) & 0xff]++] = from[i];
    std::swap(from, to);
  }
  if (from != keys.data()) std::copy(from, from + keys.size(), keys.data());
}

class InMemory : public ValueStream {
 public:
  InMemory(ColumnValues first, ColumnValues second, bool as_integers)
      : first_(std::move(first)), second_(std::move(second)), keys_are_integers_(as_integers) {
    reference = first_.counts();
    current = second_.counts();
    integers = as_integers && reference.nulls == 0 && current.nulls == 0;
  }

  Result<void> ForEach(const std::function<void(std::span<const ValueCount>)>& visit) const override {
    std::array<ValueCount, 1024> piece;
    size_t size = 0;
    const auto& a = first_.keys();
    const auto& b = second_.keys();
    size_t i = 0;
    size_t j = 0;
    while (i < a.size() || j < b.size()) {
      const uint64_t key = i == a.size() ? b[j] : j == b.size() ? a[i] : std::min(a[i], b[j]);
      const size_t i0 = i;
      const size_t j0 = j;
      while (i < a.size() && a[i] == key) i++;
      while (j < b.size() && b[j] == key) j++;
      piece[size++] = {.value = DoubleOf(key, keys_are_integers_),
                       .reference = static_cast<int64_t>(i - i0),
                       .current = static_cast<int64_t>(j - j0)};
      if (size < piece.size()) continue;
      visit(piece);
      size = 0;
    }
    if (size > 0) visit(std::span(piece).first(size));
    return {};
  }

  Result<std::vector<std::pair<int64_t, int64_t>>> CountBelow(const std::vector<double>& edges) const override {
    const auto below = [&](const std::vector<uint64_t>& keys, double edge) {
      const auto at = std::partition_point(keys.begin(), keys.end(),
                                           [&](uint64_t key) { return DoubleOf(key, keys_are_integers_) < edge; });
      return static_cast<int64_t>(at - keys.begin());
    };
    std::vector<std::pair<int64_t, int64_t>> out;
    for (const double edge : edges) out.emplace_back(below(first_.keys(), edge), below(second_.keys(), edge));
    return out;
  }

 private:
  ColumnValues first_;
  ColumnValues second_;
  bool keys_are_integers_;
};

class InEngine : public ValueStream {
 public:
  InEngine(engine::Connection& connection, std::string sql) : connection_(connection), sql_(std::move(sql)) {}

  Result<void> ForEach(const std::function<void(std::span<const ValueCount>)>& visit) const override {
    std::vector<ValueCount> piece;
    return ForEachBatch(connection_, sql_, [&](const engine::Batch& batch) -> Result<void> {
      piece.clear();
      const auto& value = batch.columns[0];
      for (size_t row = 0; row < batch.rows; row++) {
        piece.push_back(
            {.value = value.doubles != nullptr ? value.doubles[row] : static_cast<double>(value.integers[row]),
             .reference = batch.columns[1].integers[row],
             .current = batch.columns[2].integers[row]});
      }
      visit(piece);
      return {};
    });
  }

  Result<std::vector<std::pair<int64_t, int64_t>>> CountBelow(const std::vector<double>& edges) const override {
    std::vector<std::pair<int64_t, int64_t>> out;
    std::pair<int64_t, int64_t> before;
    QUERN_TRY(ForEach([&](std::span<const ValueCount> values) {
      for (const auto& value : values) {
        while (out.size() < edges.size() && edges[out.size()] <= value.value) out.push_back(before);
        before.first += value.reference;
        before.second += value.current;
      }
    }));
    out.resize(edges.size(), before);
    return out;
  }

 private:
  engine::Connection& connection_;
  std::string sql_;
};

Result<ColumnCounts> CountIn(engine::Connection& connection, const std::string& query) {
  auto result = QUERN_TRY(connection.Execute(fmt::format(
      "SELECT count(*), count(*) FILTER (v IS NULL OR isnan(CAST(v AS DOUBLE))), count(*) FILTER (isinf(CAST(v AS "
      "DOUBLE))) FROM ({})",
      query)));
  const auto& row = result.rows[0];
  return ColumnCounts{
      .rows = std::get<int64_t>(row[0]), .nulls = std::get<int64_t>(row[1]), .infinities = std::get<int64_t>(row[2])};
}

}  // namespace

void ColumnValues::Append(const engine::BatchColumn& column, size_t rows, bool as_integers) {
  counts_.rows += static_cast<int64_t>(rows);
  for (size_t row = 0; row < rows; row++) {
    if (!column.IsValid(row)) {
      counts_.nulls++;
    } else if (column.integers != nullptr) {
      const int64_t value = column.integers[row];
      keys_.push_back(as_integers ? KeyOf(value) : KeyOf(static_cast<double>(value)));
    } else {
      const double value = column.doubles[row];
      if (std::isfinite(value)) {
        keys_.push_back(KeyOf(value));
      } else if (std::isnan(value)) {
        counts_.nulls++;
      } else {
        counts_.infinities++;
      }
    }
  }
}

void ColumnValues::Sort(std::vector<uint64_t>& scratch) {
  RadixSort(keys_, scratch);
}

std::unique_ptr<ValueStream> MemoryStream(ColumnValues reference, ColumnValues current, bool integers) {
  return std::make_unique<InMemory>(std::move(reference), std::move(current), integers);
}

Result<std::unique_ptr<ValueStream>> EngineStream(engine::Connection& connection, std::string reference,
                                                  std::string current, bool integers) {
  std::string both;
  if (!reference.empty()) both = fmt::format("SELECT v, 0 AS side FROM ({})", reference);
  if (!current.empty()) {
    both += fmt::format("{}SELECT v, 1 AS side FROM ({})", both.empty() ? "" : " UNION ALL ", current);
  }
  const auto value = integers ? "v" : "CAST(v AS DOUBLE) + 0";
  auto out = std::make_unique<InEngine>(
      connection, fmt::format("SELECT value, count(*) FILTER (side = 0), count(*) FILTER (side = 1) FROM (SELECT {} AS "
                              "value, side FROM ({}) WHERE isfinite(CAST(v AS DOUBLE))) GROUP BY value ORDER BY value",
                              value, both));
  if (!reference.empty()) out->reference = QUERN_TRY(CountIn(connection, reference));
  if (!current.empty()) out->current = QUERN_TRY(CountIn(connection, current));
  out->integers = integers && out->reference.nulls == 0 && out->current.nulls == 0;
  return out;
}

}  // namespace quern::ml
