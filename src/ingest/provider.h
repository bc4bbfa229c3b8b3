#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ingest/config.h"
#include "schedule/node_provider.h"
#include "warehouse/warehouse.h"

namespace quern::ingest {

struct ProviderOptions {
  std::filesystem::path project{};         ///< the project's folder
  std::string package{};                   ///< the project's name
  std::filesystem::path warehouse_root{};  ///< where tables lie: child tables that exist are among a node's writes
  std::filesystem::path temp{};            ///< for copies of broken files; empty: <warehouse_root>/.tmp
  int threads = 2;                         ///< that read files
  std::function<Result<warehouse::Warehouse*>()>
      warehouse{};  ///< opened when first needed; called from several threads
};

/// ingest/*.yml as nodes `ingest.<name>`, and loads as their tasks.
class IngestProvider : public schedule::NodeProvider {
 public:
  explicit IngestProvider(ProviderOptions options);

  std::string_view name() const override { return "ingest"; }
  std::vector<schedule::Node> Load(Diagnostics& diagnostics) override;
  /// Looks at expressions, and at the tables that exist: keys, partitions and declared types that do not go with them.
  void Check(Diagnostics& diagnostics) override;
  Result<void> BeginRun(const schedule::RunContext& run, const std::vector<const schedule::Node*>& selected) override;
  Result<std::unique_ptr<schedule::Task>> MakeTask(const schedule::Node& node,
                                                   const schedule::RunContext& run) override;
  Result<void> EndRun(const schedule::RunContext& run, const std::vector<schedule::FinishedTask>& tasks) override;

  const std::vector<TableConfig>& tables() const { return tables_; }

 private:
  void CheckTable(const TableConfig& table, warehouse::Warehouse& warehouse, Diagnostics& diagnostics);

  ProviderOptions options_;
  std::vector<TableConfig> tables_;
};

}  // namespace quern::ingest
