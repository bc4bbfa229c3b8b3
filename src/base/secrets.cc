#include "base/secrets.h"

#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "base/text.h"

namespace quern {
namespace {
struct Store {
  std::shared_mutex mutex;
  std::vector<std::string> values;  // longest first: one secret may contain another
};
Store& TheStore() {
  static Store store;
  return store;
}
}  // namespace

void RegisterSecret(std::string_view value) {
  if (value.size() < 4) return;
  auto& store = TheStore();
  std::unique_lock lock(store.mutex);
  if (std::find(store.values.begin(), store.values.end(), value) != store.values.end()) return;
  store.values.emplace_back(value);
  std::sort(store.values.begin(), store.values.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
}

void RegisterSecretsFromEnvironment() {
  for (char** entry = environ; entry && *entry; ++entry) {
    std::string_view text = *entry;
    size_t eq = text.find('=');
    if (eq == std::string_view::npos) continue;
    std::string name = Upper(text.substr(0, eq));
    for (std::string_view mark : {"DBT_ENV_SECRET_", "PASSWORD", "TOKEN", "SECRET", "ACCOUNT_KEY"}) {
      if (name.find(mark) != std::string::npos) {
        RegisterSecret(text.substr(eq + 1));
        break;
      }
    }
  }
}

std::string MaskSecrets(std::string text) {
  auto& store = TheStore();
  std::shared_lock lock(store.mutex);
  for (const auto& value : store.values) text = ReplaceAll(std::move(text), value, "*****");
  return text;
}

}  // namespace quern
