#pragma once
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <string>
#include <vector>

#include "report/model_data.h"

namespace quern::server {

using Labels = std::vector<prometheus::ClientMetric::Label>;

/// Metrics as they are put together for one scrape.
class Families {
 public:
  /// The reference is good until the next New.
  prometheus::MetricFamily& New(const std::string& name, const std::string& help, prometheus::MetricType type) {
    families_.push_back({name, help, type, {}});
    return families_.back();
  }
  static void Add(prometheus::MetricFamily& family, double value, Labels labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    if (family.type == prometheus::MetricType::Counter)
      metric.counter.value = value;
    else
      metric.gauge.value = value;
    family.metric.push_back(std::move(metric));
  }
  std::string Serialize() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

/// What is known of models. Families without a value are left out; nothing at all without models.
void AddModels(Families& families, const std::vector<report::ModelData>& models, Timestamp now);

}  // namespace quern::server
