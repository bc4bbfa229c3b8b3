#include "delta/actions.h"

#include <fmt/format.h>

#include "delta/json_text.h"

namespace quern::delta {

void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  size_t i = 0;
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
      size_t end = i + 1;
      while (end < text.size()) {
        const auto d = static_cast<unsigned char>(text[end]);
        if (d < 0x20 || d >= 0x80 || d == '"' || d == '\\') break;
        ++end;
      }
      out.append(text, i, end - i);
      i = end;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i++];
    } else if (c < 0x20) {
      switch (c) {
        case '\n':
          out += "\\n";
          break;
        case '\r':
          out += "\\r";
          break;
        case '\t':
          out += "\\t";
          break;
        default:
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
      }
      ++i;
    } else {
      const size_t want = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
      bool good = c >= 0xC2 && c <= 0xF4 && i + want <= text.size();
      for (size_t k = 1; good && k < want; ++k) good = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
      if (good && want > 2) {
        const auto second = static_cast<unsigned char>(text[i + 1]);
        good = !(c == 0xE0 && second < 0xA0) && !(c == 0xED && second > 0x9F) && !(c == 0xF0 && second < 0x90) &&
               !(c == 0xF4 && second > 0x8F);
      }
      if (good) {
        out.append(text, i, want);
        i += want;
      } else {
        out += "\xEF\xBF\xBD";
        ++i;
      }
    }
  }
  out += '"';
}

const std::optional<std::string>* PartitionValues::Find(std::string_view column) const {
  for (const Entry& entry : entries_) {
    if (entry.first == column) return &entry.second;
  }
  return nullptr;
}

void PartitionValues::Set(std::string column, std::optional<std::string> value) {
  for (Entry& entry : entries_) {
    if (entry.first == column) {
      entry.second = std::move(value);
      return;
    }
  }
  entries_.emplace_back(std::move(column), std::move(value));
}

std::string DeletionVectorDescriptor::UniqueId() const {
  std::string id(1, static_cast<char>(storage));
  id += path_or_inline;
  if (offset) id += fmt::format("@{}", *offset);
  return id;
}

namespace {

std::optional<int64_t> IntIn(const Json& json, const char* key) {
  const auto it = json.find(key);
  if (it == json.end() || !it->is_number_integer()) return std::nullopt;
  return it->get<int64_t>();
}

void Print(ObjectWriter& object, std::string_view key, const PartitionValues& values) {
  ObjectWriter inner(object.Key(key));
  for (const auto& [column, value] : values.entries()) {
    if (value) {
      inner.String(column, *value);
    } else {
      inner.Raw(column, "null");
    }
  }
  inner.End();
}

void Print(ObjectWriter& object, const std::optional<DeletionVectorDescriptor>& vector) {
  if (!vector) return;
  ObjectWriter inner(object.Key("deletionVector"));
  inner.String("storageType", std::string_view(reinterpret_cast<const char*>(&vector->storage), 1));
  inner.String("pathOrInlineDv", vector->path_or_inline);
  if (vector->offset) inner.Int("offset", *vector->offset);
  inner.Int("sizeInBytes", vector->size_in_bytes);
  inner.Int("cardinality", vector->cardinality);
  inner.End();
}

void PrintList(ObjectWriter& object, std::string_view key, const std::vector<std::string>& list) {
  std::string& out = object.Key(key);
  out += '[';
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += ',';
    AppendJsonString(out, list[i]);
  }
  out += ']';
}

struct Printer {
  ObjectWriter& line;

  void operator()(const Add& add) const {
    ObjectWriter o(line.Key("add"));
    o.String("path", add.path);
    Print(o, "partitionValues", add.partition_values);
    o.Int("size", add.size);
    o.Int("modificationTime", add.modification_time);
    o.Bool("dataChange", add.data_change);
    if (!add.stats.empty()) o.String("stats", add.stats);
    if (!add.tags.empty()) o.Strings("tags", add.tags);
    Print(o, add.deletion_vector);
    o.OptionalInt("baseRowId", add.base_row_id);
    o.OptionalInt("defaultRowCommitVersion", add.default_row_commit_version);
    if (add.clustering_provider) o.String("clusteringProvider", *add.clustering_provider);
    o.End();
  }
  void operator()(const Remove& remove) const {
    ObjectWriter o(line.Key("remove"));
    o.String("path", remove.path);
    o.OptionalInt("deletionTimestamp", remove.deletion_timestamp);
    o.Bool("dataChange", remove.data_change);
    o.Bool("extendedFileMetadata", remove.extended_file_metadata);
    if (remove.extended_file_metadata) Print(o, "partitionValues", remove.partition_values);
    o.OptionalInt("size", remove.size);
    if (!remove.stats.empty()) o.String("stats", remove.stats);
    if (!remove.tags.empty()) o.Strings("tags", remove.tags);
    Print(o, remove.deletion_vector);
    o.OptionalInt("baseRowId", remove.base_row_id);
    o.OptionalInt("defaultRowCommitVersion", remove.default_row_commit_version);
    o.End();
  }
  void operator()(const Metadata& metadata) const {
    ObjectWriter o(line.Key("metaData"));
    o.String("id", metadata.id);
    if (metadata.name) o.String("name", *metadata.name);
    if (metadata.description) o.String("description", *metadata.description);
    ObjectWriter format(o.Key("format"));
    format.String("provider", metadata.format_provider);
    format.Strings("options", metadata.format_options);
    format.End();
    o.String("schemaString", metadata.schema_string);
    PrintList(o, "partitionColumns", metadata.partition_columns);
    o.Strings("configuration", metadata.configuration);
    o.OptionalInt("createdTime", metadata.created_time);
    o.End();
  }
  void operator()(const Protocol& protocol) const {
    ObjectWriter o(line.Key("protocol"));
    o.Int("minReaderVersion", protocol.min_reader_version);
    o.Int("minWriterVersion", protocol.min_writer_version);
    if (protocol.reader_features) PrintList(o, "readerFeatures", *protocol.reader_features);
    if (protocol.writer_features) PrintList(o, "writerFeatures", *protocol.writer_features);
    o.End();
  }
  void operator()(const SetTransaction& txn) const {
    ObjectWriter o(line.Key("txn"));
    o.String("appId", txn.app_id);
    o.Int("version", txn.version);
    o.OptionalInt("lastUpdated", txn.last_updated);
    o.End();
  }
  void operator()(const CommitInfo& info) const {
    line.Raw("commitInfo", info.json.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  void operator()(const DomainMetadata& domain) const {
    ObjectWriter o(line.Key("domainMetadata"));
    o.String("domain", domain.domain);
    o.String("configuration", domain.configuration);
    o.Bool("removed", domain.removed);
    o.End();
  }
  void operator()(const Cdc& cdc) const {
    ObjectWriter o(line.Key("cdc"));
    o.String("path", cdc.path);
    Print(o, "partitionValues", cdc.partition_values);
    o.Int("size", cdc.size);
    o.Bool("dataChange", false);
    if (!cdc.tags.empty()) o.Strings("tags", cdc.tags);
    o.End();
  }
  void operator()(const CheckpointMetadata& checkpoint) const {
    ObjectWriter o(line.Key("checkpointMetadata"));
    o.Int("version", checkpoint.version);
    if (!checkpoint.tags.empty()) o.Strings("tags", checkpoint.tags);
    o.End();
  }
  void operator()(const Sidecar& sidecar) const {
    ObjectWriter o(line.Key("sidecar"));
    o.String("path", sidecar.path);
    o.Int("sizeInBytes", sidecar.size_in_bytes);
    o.Int("modificationTime", sidecar.modification_time);
    if (!sidecar.tags.empty()) o.Strings("tags", sidecar.tags);
    o.End();
  }
};

void PrintTo(std::string& out, const Action& action) {
  ObjectWriter line(out);
  std::visit(Printer{line}, action);
  line.End();
}

}  // namespace

std::optional<int64_t> CommitInfo::timestamp() const {
  return IntIn(json, "timestamp");
}
std::optional<int64_t> CommitInfo::in_commit_timestamp() const {
  return IntIn(json, "inCommitTimestamp");
}
std::string CommitInfo::operation() const {
  const auto it = json.find("operation");
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}
std::optional<bool> CommitInfo::is_blind_append() const {
  const auto it = json.find("isBlindAppend");
  if (it == json.end() || !it->is_boolean()) return std::nullopt;
  return it->get<bool>();
}

std::string PrintAction(const Action& action) {
  std::string out;
  PrintTo(out, action);
  return out;
}

std::string PrintActions(const std::vector<Action>& actions) {
  std::string out;
  for (const Action& action : actions) {
    PrintTo(out, action);
    out += '\n';
  }
  return out;
}

}  // namespace quern::delta
