#include "server/model_cache.h"

#include <fmt/format.h>

namespace quern::server {
namespace {

namespace fs = std::filesystem;

int64_t Changed(const fs::path& file) {
  std::error_code error;
  auto at = fs::last_write_time(file, error);
  return error ? 0 : static_cast<int64_t>(at.time_since_epoch().count());
}

}  // namespace

std::string ModelCache::State() const {
  if (sources_.warehouse_root.empty()) return "";
  std::string out = report::MonitoringState(sources_.warehouse_root);
  for (const char* suffix : {"", "-wal"}) {
    if (!sources_.registry_path.empty()) out += fmt::format("{};", Changed(sources_.registry_path.string() + suffix));
  }
  return out;
}

ModelCache::Models ModelCache::Read() const {
  Models out;
  if (sources_.warehouse && report::HasMonitoring(sources_.warehouse_root)) {
    auto warehouse = sources_.warehouse();
    auto models = warehouse ? report::ReadModels(**warehouse, sources_.models)
                            : Result<std::vector<report::ModelData>>(Fail(warehouse.error()));
    if (models)
      out.models = *std::move(models);
    else
      out.problem = models.error().message();
  }
  if (sources_.registry) {
    if (auto registry = sources_.registry())
      report::AddRegistry(out.models, *registry);
    else if (out.problem.empty())
      out.problem = registry.error().message();
  }
  return out;
}

std::shared_ptr<const ModelCache::Models> ModelCache::Get() {
  std::lock_guard lock(mutex_);
  // Taken before the read: what changes meanwhile is read by the next one.
  std::string state = State();
  if (!models_ || state != state_ || !models_->problem.empty()) {
    models_ = std::make_shared<const Models>(Read());
    state_ = std::move(state);
  }
  return models_;
}

}  // namespace quern::server
