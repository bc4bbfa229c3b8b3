#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/status_server.h"

namespace quern::server {

/// What is known of the models, read again only when one of their tables got a commit or the registry changed: a look
/// at some folders decides. One read at a time, in a session of its own; who asks meanwhile waits for it. Thread-safe.
class ModelCache {
 public:
  explicit ModelCache(const StatusSources& sources) : sources_(sources) {}

  struct Models {
    std::vector<report::ModelData> models;
    std::string problem;  ///< why they cannot be read; "" when they can
  };
  std::shared_ptr<const Models> Get();

 private:
  std::string State() const;
  Models Read() const;

  const StatusSources& sources_;
  std::mutex mutex_;
  std::string state_;
  std::shared_ptr<const Models> models_;
};

}  // namespace quern::server
