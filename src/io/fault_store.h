#pragma once
#include <set>

#include "io/object_store.h"

namespace quern::io {

/// For tests: an in-memory store that fails on order and forgets what was never synced. Thread-safe.
/// A *call* is every Get, GetRange, Head, Put, PutIfAbsent, Delete, Sync, List*; they are numbered from 1.
class FaultStore : public InMemoryObjectStore {
 public:
  using InMemoryObjectStore::InMemoryObjectStore;
  using ObjectStore::List;

  enum class Fault {
    kBefore,  ///< the call fails without an effect
    kAfter,   ///< the call takes effect and still fails (a lost response)
    kCrash,   ///< as kBefore, and every later call fails too, until Restart()
    kCrashAfter,
  };
  /// The nth call from now fails so.
  void FailCall(int nth, Fault fault);
  /// The next call of `method` ("PutIfAbsent") on a key that contains `part` fails so.
  void FailNext(std::string method, std::string part, Fault fault, ErrorCode code = ErrorCode::kIo);
  /// Calls made so far.
  int calls() const;
  /// What an engine without fsync writes: there until Restart(), unless Sync() came first.
  void PutUnsynced(std::string_view key, std::string_view bytes);
  /// Ends a crash: unsynced objects are gone, faults are forgotten.
  void Restart();

  Result<std::optional<std::string>> Get(std::string_view key) override;
  Result<std::optional<std::string>> GetRange(std::string_view key, int64_t offset, int64_t length) override;
  Result<std::optional<ObjectMeta>> Head(std::string_view key) override;
  Result<void> Put(std::string_view key, std::string_view bytes) override;
  Result<PutResult> PutIfAbsent(std::string_view key, std::string_view bytes) override;
  Result<void> Delete(std::string_view key) override;
  Result<void> Sync(std::string_view key) override;
  Result<std::vector<ObjectMeta>> List(std::string_view prefix, std::string_view start_after) override;
  Result<std::vector<ObjectMeta>> ListRecursively(std::string_view prefix) override;
  Result<std::vector<std::string>> ListFolders(std::string_view prefix) override;

 private:
  struct Rule {
    std::string method;
    std::string part;
    Fault fault;
    ErrorCode code;
  };
  /// What this call must do; counts it.
  std::optional<Rule> Enter(std::string_view method, std::string_view key);
  template <class T, class Action>
  Result<T> Run(std::string_view method, std::string_view key, Action action);

  mutable std::mutex fault_mutex_;
  int calls_ = 0;
  bool crashed_ = false;
  std::map<int, Fault> by_number_;
  std::vector<Rule> by_name_;
  std::set<std::string, std::less<>> unsynced_;
};

}  // namespace quern::io
