#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>

namespace quern::delta {

/// A hash map in shards. Copies share them, and a copy makes a shard its own before it changes it: so that a snapshot
/// that follows another by few actions costs few shards, not a whole copy. Changing one copy while others are read is
/// fine.
template <class Key, class Value>
class SharedMap {
 public:
  SharedMap() = default;
  SharedMap(const SharedMap& other) : shards_(other.shards_), size_(other.size_) {}
  SharedMap& operator=(const SharedMap&) = delete;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  /// Null when there is none. Valid until the map changes.
  template <class K>
  const Value* Find(const K& key) const {
    const auto& shard = shards_[IndexOf(key)];
    if (!shard) return nullptr;
    const auto it = shard->find(key);
    return it == shard->end() ? nullptr : &it->second;
  }
  /// The key given stays, also over an equal one that was there.
  void Set(Key key, Value value) {
    Map& shard = Own(IndexOf(key));
    size_ -= shard.erase(key);
    shard.emplace(std::move(key), std::move(value));
    ++size_;
  }
  void Erase(const Key& key) {
    if (Find(key)) size_ -= Own(IndexOf(key)).erase(key);
  }
  template <class Visit>
  void ForEach(const Visit& visit) const {
    for (const auto& shard : shards_) {
      if (!shard) continue;
      for (const auto& [key, value] : *shard) visit(key, value);
    }
  }

 private:
  static constexpr size_t kShards = 64;
  using Map = std::unordered_map<Key, Value>;

  template <class K>
  static size_t IndexOf(const K& key) {
    // The low bits choose the bucket inside the shard.
    return (std::hash<K>()(key) >> 48) % kShards;
  }
  Map& Own(size_t index) {
    auto& shard = shards_[index];
    if (!(owned_ >> index & 1)) {
      shard = shard ? std::make_shared<Map>(*shard) : std::make_shared<Map>();
      owned_ |= uint64_t{1} << index;
    }
    return *shard;
  }

  std::array<std::shared_ptr<Map>, kShards> shards_;
  uint64_t owned_ = 0;  ///< shards that nobody else holds; a copy begins with none
  size_t size_ = 0;
};

}  // namespace quern::delta
