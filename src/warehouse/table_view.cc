#include "warehouse/table_view.h"

#include "base/text.h"
#include "delta/path_encoding.h"

namespace quern::warehouse {

namespace {
std::atomic<uint64_t> next_id{1};
// Deleted rows kept in memory over all tables; past it the cache starts anew.
constexpr uint64_t kMaxKeptRows = 50'000'000;
}  // namespace

std::shared_ptr<TableView> TableView::FromSnapshot(delta::SnapshotPtr snapshot) {
  auto view = std::make_shared<TableView>();
  view->id = next_id++;
  view->table = snapshot->table();
  view->metadata = snapshot->metadata();
  view->schema = std::make_shared<const delta::StructType>(snapshot->schema());
  if (auto mapping = delta::ColumnMappingOf(snapshot->metadata())) view->mapping = *mapping;
  view->files.reserve(snapshot->files().size());
  for (const auto& file : snapshot->files()) view->files.push_back({file, nullptr, nullptr});
  view->base = std::move(snapshot);
  return view;
}

std::shared_ptr<TableView> TableView::Derive() const {
  auto copy = std::make_shared<TableView>(*this);
  copy->id = next_id++;
  return copy;
}

bool TableView::uses_deletion_vectors() const {
  auto it = metadata.configuration.find("delta.enableDeletionVectors");
  return it != metadata.configuration.end() && EqualsIgnoreCase(it->second, "true");
}

bool TableView::IsPartitionColumn(std::string_view name) const {
  for (const auto& column : metadata.partition_columns) {
    if (column == name) return true;
  }
  return false;
}

std::optional<int64_t> TableView::LiveRows(const File& file) {
  auto rows = file.data->live_records();
  if (rows && file.overlay) *rows -= static_cast<int64_t>(file.overlay->cardinality());
  return rows;
}

std::optional<int64_t> TableView::rows() const {
  int64_t total = 0;
  for (const auto& file : files) {
    auto rows = LiveRows(file);
    if (!rows) return std::nullopt;
    total += *rows;
  }
  return total;
}

Result<std::string> TableView::Location(const delta::Add& add) const {
  return table.store->Location(QUERN_TRY(delta::ObjectKey(table.root, add.path)));
}

Result<RowSetPtr> DeletionVectorCache::RowsOf(const TableView& view, const TableView::File& file) {
  RowSetPtr rows = file.vector;
  const auto& descriptor = file.data->add().deletion_vector;
  if (!rows && descriptor) {
    const std::string key = view.table.Location() + "|" + descriptor->UniqueId();
    {
      std::lock_guard lock(mutex_);
      if (auto it = rows_.find(key); it != rows_.end()) rows = it->second;
    }
    if (!rows) {
      rows = std::make_shared<const delta::RowSet>(
          QUERN_TRY(delta::ReadDeletionVector(*view.table.store, view.table.root, *descriptor)));
      std::lock_guard lock(mutex_);
      kept_ += rows->cardinality();
      if (kept_ > kMaxKeptRows) {
        rows_.clear();
        kept_ = rows->cardinality();
      }
      rows_[key] = rows;
    }
  }
  if (!file.overlay) return rows;
  if (!rows) return file.overlay;
  auto both = std::make_shared<delta::RowSet>(*rows);
  both->Union(*file.overlay);
  return RowSetPtr(std::move(both));
}

}  // namespace quern::warehouse
