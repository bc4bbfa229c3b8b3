#include "io/fault_store.h"

#include <fmt/format.h>

namespace quern::io {

void FaultStore::FailCall(int nth, Fault fault) {
  std::lock_guard lock(fault_mutex_);
  by_number_[calls_ + nth] = fault;
}

void FaultStore::FailNext(std::string method, std::string part, Fault fault, ErrorCode code) {
  std::lock_guard lock(fault_mutex_);
  by_name_.push_back({std::move(method), std::move(part), fault, code});
}

int FaultStore::calls() const {
  std::lock_guard lock(fault_mutex_);
  return calls_;
}

void FaultStore::PutUnsynced(std::string_view key, std::string_view bytes) {
  Ignore(InMemoryObjectStore::Put(key, bytes), "memory does not fail, and a test's keys are good");
  std::lock_guard lock(fault_mutex_);
  unsynced_.emplace(key);
}

void FaultStore::Restart() {
  std::lock_guard lock(fault_mutex_);
  for (const std::string& key : unsynced_) Ignore(InMemoryObjectStore::Delete(key), "memory does not fail");
  unsynced_.clear();
  by_number_.clear();
  by_name_.clear();
  crashed_ = false;
}

std::optional<FaultStore::Rule> FaultStore::Enter(std::string_view method, std::string_view key) {
  std::lock_guard lock(fault_mutex_);
  ++calls_;
  if (crashed_) return Rule{"", "", Fault::kBefore, ErrorCode::kIo};
  std::optional<Rule> rule;
  if (const auto it = by_number_.find(calls_); it != by_number_.end()) {
    rule = Rule{"", "", it->second, ErrorCode::kIo};
  }
  for (auto it = by_name_.begin(); !rule && it != by_name_.end(); ++it) {
    if (it->method == method && key.find(it->part) != std::string_view::npos) {
      rule = *it;
      by_name_.erase(it);
      break;
    }
  }
  if (rule && (rule->fault == Fault::kCrash || rule->fault == Fault::kCrashAfter)) crashed_ = true;
  return rule;
}

template <class T, class Action>
Result<T> FaultStore::Run(std::string_view method, std::string_view key, Action action) {
  const std::optional<Rule> rule = Enter(method, key);
  if (!rule) return action();
  if (rule->fault == Fault::kAfter || rule->fault == Fault::kCrashAfter) {
    Ignore(Result<T>(action()), "its answer is lost on purpose");
  }
  return Fail(rule->code, fmt::format("{} {}: a fault on order", method, Location(key)));
}

Result<std::optional<std::string>> FaultStore::Get(std::string_view key) {
  return Run<std::optional<std::string>>("Get", key, [&] { return InMemoryObjectStore::Get(key); });
}
Result<std::optional<std::string>> FaultStore::GetRange(std::string_view key, int64_t offset, int64_t length) {
  return Run<std::optional<std::string>>("GetRange", key,
                                         [&] { return InMemoryObjectStore::GetRange(key, offset, length); });
}
Result<std::optional<ObjectMeta>> FaultStore::Head(std::string_view key) {
  return Run<std::optional<ObjectMeta>>("Head", key, [&] { return InMemoryObjectStore::Head(key); });
}
Result<void> FaultStore::Put(std::string_view key, std::string_view bytes) {
  return Run<void>("Put", key, [&] { return InMemoryObjectStore::Put(key, bytes); });
}
Result<PutResult> FaultStore::PutIfAbsent(std::string_view key, std::string_view bytes) {
  return Run<PutResult>("PutIfAbsent", key, [&] { return InMemoryObjectStore::PutIfAbsent(key, bytes); });
}
Result<void> FaultStore::Delete(std::string_view key) {
  return Run<void>("Delete", key, [&] { return InMemoryObjectStore::Delete(key); });
}
Result<void> FaultStore::Sync(std::string_view key) {
  return Run<void>("Sync", key, [&]() -> Result<void> {
    QUERN_TRY(InMemoryObjectStore::Sync(key));
    std::lock_guard lock(fault_mutex_);
    if (const auto it = unsynced_.find(key); it != unsynced_.end()) unsynced_.erase(it);
    return {};
  });
}
Result<std::vector<ObjectMeta>> FaultStore::List(std::string_view prefix, std::string_view start_after) {
  return Run<std::vector<ObjectMeta>>("List", prefix, [&] { return InMemoryObjectStore::List(prefix, start_after); });
}
Result<std::vector<ObjectMeta>> FaultStore::ListRecursively(std::string_view prefix) {
  return Run<std::vector<ObjectMeta>>("ListRecursively", prefix,
                                      [&] { return InMemoryObjectStore::ListRecursively(prefix); });
}
Result<std::vector<std::string>> FaultStore::ListFolders(std::string_view prefix) {
  return Run<std::vector<std::string>>("ListFolders", prefix, [&] { return InMemoryObjectStore::ListFolders(prefix); });
}

}  // namespace quern::io
