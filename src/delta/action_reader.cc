// The log's JSON, read with simdjson's on-demand parser: one pass over a line, strings copied only where they are kept.
#include <fmt/format.h>
#include <simdjson.h>

#include <cmath>

#include "delta/actions.h"

namespace quern::delta {

namespace od = simdjson::ondemand;

namespace {

/// Unwinds a line's parse; caught in ReadInto.
struct BadLine {
  std::string why;
};

[[noreturn]] void Bad(std::string why) {
  throw BadLine{std::move(why)};
}

template <class T>
T Need(simdjson::simdjson_result<T> result, std::string_view what) {
  T value;
  if (const auto error = std::move(result).get(value)) Bad(fmt::format("{}: {}", what, simdjson::error_message(error)));
  return value;
}

bool IsNull(od::value& value) {
  bool null = false;
  return !value.is_null().get(null) && null;
}

std::string String(od::value value, std::string_view what) {
  return std::string(Need(value.get_string(), what));
}

int64_t Int(od::value value, std::string_view what) {
  int64_t n = 0;
  if (!value.get_int64().get(n)) return n;
  // Some writers print whole numbers as 1.0 or 1e3.
  double d = 0;
  if (!value.get_double().get(d) && std::floor(d) == d && std::abs(d) < 9e15) return static_cast<int64_t>(d);
  Bad(fmt::format("{} is not a whole number", what));
}

bool Bool(od::value value, std::string_view what) {
  return Need(value.get_bool(), what);
}

/// Calls `each(key, value)` for the fields that are not null.
template <class Each>
void Fields(od::object object, std::string_view what, const Each& each) {
  for (auto result : object) {
    od::field field = Need(std::move(result), what);
    const std::string_view key = Need(field.unescaped_key(), what);
    od::value value = field.value();
    if (!IsNull(value)) each(key, value);
  }
}

od::object Object(od::value value, std::string_view what) {
  return Need(value.get_object(), what);
}

StringMap Strings(od::value value, std::string_view what) {
  StringMap map;
  Fields(Object(value, what), what, [&](std::string_view key, od::value v) {
    // A key is a view into a buffer that the value's string would follow: copied first.
    std::string name(key);
    map[std::move(name)] = String(v, what);
  });
  return map;
}

PartitionValues Partitions(od::value value) {
  constexpr std::string_view kWhat = "partitionValues";
  PartitionValues values;
  for (auto result : Object(value, kWhat)) {
    od::field field = Need(std::move(result), kWhat);
    std::string column(Need(field.unescaped_key(), kWhat));
    od::value v = field.value();
    if (IsNull(v)) {
      values.Set(std::move(column), std::nullopt);
    } else if (Need(v.type(), kWhat) == od::json_type::string) {
      values.Set(std::move(column), String(v, kWhat));
    } else {
      // A number or a truth value, as some writers leave them.
      std::string_view token = v.raw_json_token();
      while (!token.empty() && (token.back() == ' ' || token.back() == '\t')) token.remove_suffix(1);
      values.Set(std::move(column), std::string(token));
    }
  }
  return values;
}

std::vector<std::string> List(od::value value, std::string_view what) {
  std::vector<std::string> list;
  for (auto result : Need(value.get_array(), what)) list.push_back(String(Need(std::move(result), what), what));
  return list;
}

Json Tree(od::value value, std::string_view what) {
  const std::string_view raw = Need(Object(value, what).raw_json(), what);
  Json json = Json::parse(raw, nullptr, false);
  if (json.is_discarded()) Bad(fmt::format("{} is no JSON", what));
  return json;
}

DeletionVectorDescriptor Vector(od::value value) {
  constexpr std::string_view kWhat = "deletionVector";
  DeletionVectorDescriptor vector;
  bool storage = false;
  Fields(Object(value, kWhat), kWhat, [&](std::string_view key, od::value v) {
    if (key == "storageType") {
      const std::string type = String(v, "storageType");
      if (type != "u" && type != "i" && type != "p")
        Bad(fmt::format("deletionVector.storageType '{}' is not known", type));
      vector.storage = static_cast<DeletionVectorDescriptor::Storage>(type[0]);
      storage = true;
    } else if (key == "pathOrInlineDv") {
      vector.path_or_inline = String(v, "pathOrInlineDv");
    } else if (key == "offset") {
      vector.offset = static_cast<int32_t>(Int(v, "offset"));
    } else if (key == "sizeInBytes") {
      vector.size_in_bytes = static_cast<int32_t>(Int(v, "sizeInBytes"));
    } else if (key == "cardinality") {
      vector.cardinality = Int(v, "cardinality");
    }
  });
  if (!storage || vector.path_or_inline.empty()) Bad("deletionVector lacks storageType or pathOrInlineDv");
  return vector;
}

Add ReadAdd(od::object object) {
  Add add;
  Fields(object, "add", [&](std::string_view key, od::value v) {
    if (key == "path")
      add.path = String(v, "add.path");
    else if (key == "partitionValues")
      add.partition_values = Partitions(v);
    else if (key == "size")
      add.size = Int(v, "add.size");
    else if (key == "modificationTime")
      add.modification_time = Int(v, "add.modificationTime");
    else if (key == "dataChange")
      add.data_change = Bool(v, "add.dataChange");
    else if (key == "stats")
      add.stats = String(v, "add.stats");
    else if (key == "tags")
      add.tags = Strings(v, "add.tags");
    else if (key == "deletionVector")
      add.deletion_vector = Vector(v);
    else if (key == "baseRowId")
      add.base_row_id = Int(v, "add.baseRowId");
    else if (key == "defaultRowCommitVersion")
      add.default_row_commit_version = Int(v, "add.defaultRowCommitVersion");
    else if (key == "clusteringProvider")
      add.clustering_provider = String(v, "add.clusteringProvider");
  });
  if (add.path.empty()) Bad("add has no path");
  return add;
}

Remove ReadRemove(od::object object) {
  Remove remove;
  Fields(object, "remove", [&](std::string_view key, od::value v) {
    if (key == "path")
      remove.path = String(v, "remove.path");
    else if (key == "deletionTimestamp")
      remove.deletion_timestamp = Int(v, "remove.deletionTimestamp");
    else if (key == "dataChange")
      remove.data_change = Bool(v, "remove.dataChange");
    else if (key == "extendedFileMetadata")
      remove.extended_file_metadata = Bool(v, "remove.extendedFileMetadata");
    else if (key == "partitionValues")
      remove.partition_values = Partitions(v);
    else if (key == "size")
      remove.size = Int(v, "remove.size");
    else if (key == "stats")
      remove.stats = String(v, "remove.stats");
    else if (key == "tags")
      remove.tags = Strings(v, "remove.tags");
    else if (key == "deletionVector")
      remove.deletion_vector = Vector(v);
    else if (key == "baseRowId")
      remove.base_row_id = Int(v, "remove.baseRowId");
    else if (key == "defaultRowCommitVersion")
      remove.default_row_commit_version = Int(v, "remove.defaultRowCommitVersion");
  });
  if (remove.path.empty()) Bad("remove has no path");
  return remove;
}

Metadata ReadMetadata(od::object object) {
  Metadata metadata;
  Fields(object, "metaData", [&](std::string_view key, od::value v) {
    if (key == "id")
      metadata.id = String(v, "metaData.id");
    else if (key == "name")
      metadata.name = String(v, "metaData.name");
    else if (key == "description")
      metadata.description = String(v, "metaData.description");
    else if (key == "schemaString")
      metadata.schema_string = String(v, "metaData.schemaString");
    else if (key == "partitionColumns")
      metadata.partition_columns = List(v, "metaData.partitionColumns");
    else if (key == "configuration")
      metadata.configuration = Strings(v, "metaData.configuration");
    else if (key == "createdTime")
      metadata.created_time = Int(v, "metaData.createdTime");
    else if (key == "format") {
      Fields(Object(v, "metaData.format"), "metaData.format", [&](std::string_view k, od::value f) {
        if (k == "provider")
          metadata.format_provider = String(f, "metaData.format.provider");
        else if (k == "options")
          metadata.format_options = Strings(f, "metaData.format.options");
      });
    }
  });
  return metadata;
}

Protocol ReadProtocol(od::object object) {
  Protocol protocol;
  bool reader = false;
  bool writer = false;
  const auto version = [](od::value v, std::string_view what) {
    const int64_t n = Int(v, what);
    if (n < 0 || n > 1'000'000) Bad(fmt::format("{} {} is out of range", what, n));
    return static_cast<int>(n);
  };
  Fields(object, "protocol", [&](std::string_view key, od::value v) {
    if (key == "minReaderVersion") {
      protocol.min_reader_version = version(v, "protocol.minReaderVersion");
      reader = true;
    } else if (key == "minWriterVersion") {
      protocol.min_writer_version = version(v, "protocol.minWriterVersion");
      writer = true;
    } else if (key == "readerFeatures") {
      protocol.reader_features = List(v, "protocol.readerFeatures");
    } else if (key == "writerFeatures") {
      protocol.writer_features = List(v, "protocol.writerFeatures");
    }
  });
  if (!reader || !writer) Bad("protocol lacks minReaderVersion or minWriterVersion");
  if (protocol.reader_features) std::sort(protocol.reader_features->begin(), protocol.reader_features->end());
  if (protocol.writer_features) std::sort(protocol.writer_features->begin(), protocol.writer_features->end());
  return protocol;
}

SetTransaction ReadTxn(od::object object) {
  SetTransaction txn;
  Fields(object, "txn", [&](std::string_view key, od::value v) {
    if (key == "appId")
      txn.app_id = String(v, "txn.appId");
    else if (key == "version")
      txn.version = Int(v, "txn.version");
    else if (key == "lastUpdated")
      txn.last_updated = Int(v, "txn.lastUpdated");
  });
  return txn;
}

DomainMetadata ReadDomain(od::object object) {
  DomainMetadata domain;
  Fields(object, "domainMetadata", [&](std::string_view key, od::value v) {
    if (key == "domain")
      domain.domain = String(v, "domainMetadata.domain");
    else if (key == "configuration")
      domain.configuration = String(v, "domainMetadata.configuration");
    else if (key == "removed")
      domain.removed = Bool(v, "domainMetadata.removed");
  });
  return domain;
}

Cdc ReadCdc(od::object object) {
  Cdc cdc;
  Fields(object, "cdc", [&](std::string_view key, od::value v) {
    if (key == "path")
      cdc.path = String(v, "cdc.path");
    else if (key == "partitionValues")
      cdc.partition_values = Partitions(v);
    else if (key == "size")
      cdc.size = Int(v, "cdc.size");
    else if (key == "tags")
      cdc.tags = Strings(v, "cdc.tags");
  });
  return cdc;
}

CheckpointMetadata ReadCheckpointMetadata(od::object object) {
  CheckpointMetadata checkpoint;
  Fields(object, "checkpointMetadata", [&](std::string_view key, od::value v) {
    if (key == "version")
      checkpoint.version = Int(v, "checkpointMetadata.version");
    else if (key == "tags")
      checkpoint.tags = Strings(v, "checkpointMetadata.tags");
  });
  return checkpoint;
}

Sidecar ReadSidecar(od::object object) {
  Sidecar sidecar;
  Fields(object, "sidecar", [&](std::string_view key, od::value v) {
    if (key == "path")
      sidecar.path = String(v, "sidecar.path");
    else if (key == "sizeInBytes")
      sidecar.size_in_bytes = Int(v, "sidecar.sizeInBytes");
    else if (key == "modificationTime")
      sidecar.modification_time = Int(v, "sidecar.modificationTime");
    else if (key == "tags")
      sidecar.tags = Strings(v, "sidecar.tags");
  });
  if (sidecar.path.empty()) Bad("sidecar has no path");
  return sidecar;
}

}  // namespace

struct ActionReader::Parser {
  od::parser parser;
  std::string buffer;
};

ActionReader::ActionReader() : parser_(std::make_unique<Parser>()) {}
ActionReader::~ActionReader() = default;

Result<void> ActionReader::ReadInto(std::string_view text, std::string_view file, unsigned wanted,
                                    void (*sink)(void*, Action&&), void* context) {
  std::string& buffer = parser_->buffer;
  buffer.resize(text.size() + simdjson::SIMDJSON_PADDING);
  std::copy(text.begin(), text.end(), buffer.begin());
  std::fill(buffer.begin() + static_cast<ptrdiff_t>(text.size()), buffer.end(), ' ');

  size_t begin = 0;
  for (int line = 1; begin < text.size(); ++line) {
    size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) end = text.size();
    const size_t next = end + 1;
    size_t first = begin;
    while (first < end && (text[first] == ' ' || text[first] == '\t' || text[first] == '\r')) ++first;
    while (end > first && (text[end - 1] == ' ' || text[end - 1] == '\t' || text[end - 1] == '\r')) --end;
    begin = next;
    if (first == end) continue;
    try {
      const simdjson::padded_string_view padded(buffer.data() + first, end - first, buffer.size() - first);
      od::document document = Need(parser_->parser.iterate(padded), "the line");
      od::object object = Need(document.get_object(), "the line");
      Fields(object, "the line", [&](std::string_view key, od::value value) {
        const auto emit = [&](unsigned kind, auto read) {
          if (!(wanted & kind)) return;
          od::object inner = Object(value, "the action");
          sink(context, Action(read(inner)));
        };
        if (key == "add")
          emit(kAddAction, ReadAdd);
        else if (key == "remove")
          emit(kRemoveAction, ReadRemove);
        else if (key == "metaData")
          emit(kMetadataAction, ReadMetadata);
        else if (key == "protocol")
          emit(kProtocolAction, ReadProtocol);
        else if (key == "txn")
          emit(kTxnAction, ReadTxn);
        else if (key == "domainMetadata")
          emit(kDomainAction, ReadDomain);
        else if (key == "cdc")
          emit(kCdcAction, ReadCdc);
        else if (key == "checkpointMetadata")
          emit(kCheckpointActions, ReadCheckpointMetadata);
        else if (key == "sidecar")
          emit(kCheckpointActions, ReadSidecar);
        else if (key == "commitInfo" && (wanted & kCommitInfoAction))
          sink(context, Action(CommitInfo{Tree(value, "commitInfo")}));
      });
      if (!document.current_location().error()) Bad("there is something after the action");
    } catch (const BadLine& bad) {
      return Fail(Error(ErrorCode::kCorruptLog, fmt::format("a broken action in the Delta log: {}", bad.why))
                      .At({std::string(file), line, 0}));
    } catch (const simdjson::simdjson_error& error) {
      return Fail(Error(ErrorCode::kCorruptLog, fmt::format("a broken action in the Delta log: {}", error.what()))
                      .At({std::string(file), line, 0}));
    }
  }
  return {};
}

Result<std::vector<Action>> ParseActions(std::string_view text, std::string_view file, unsigned wanted) {
  std::vector<Action> actions;
  ActionReader reader;
  QUERN_TRY(reader.Read(text, file, wanted, [&](Action&& action) { actions.push_back(std::move(action)); }));
  return actions;
}

}  // namespace quern::delta
