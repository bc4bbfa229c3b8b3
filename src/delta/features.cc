#include "delta/features.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace quern::delta {

namespace {

using S = FeatureSupport;

bool Contains(const std::optional<std::vector<std::string>>& list, std::string_view name) {
  return list && std::find(list->begin(), list->end(), name) != list->end();
}

bool IsTrue(const StringMap& configuration, std::string_view key) {
  const auto it = configuration.find(key);
  return it != configuration.end() && EqualsIgnoreCase(it->second, "true");
}

std::string Setting(const StringMap& configuration, std::string_view key) {
  const auto it = configuration.find(key);
  return it == configuration.end() ? "" : it->second;
}

/// The path of the first field whose metadata has the key (and says something).
std::optional<std::string> FieldWith(const StructType& schema, const char* key) {
  std::optional<std::string> found;
  VisitFields(schema, [&](const std::string& path, const StructField& field) {
    if (!found && field.metadata.contains(key) && !field.metadata[key].is_null()) found = path;
  });
  return found;
}

Error Refused(std::string_view feature, std::string_view doing, std::string_view detail) {
  return Error(ErrorCode::kUnsupportedFeature, fmt::format("cannot {} this table: it uses the Delta feature '{}'{}{}",
                                                           doing, feature, detail.empty() ? "" : ", ", detail))
      .Hint("docs/reference/compatibility-delta.md lists the features that are built.");
}

const FeatureSupport* FindFeature(std::string_view name) {
  for (const FeatureSupport& feature : KnownFeatures()) {
    if (feature.name == name) return &feature;
  }
  return nullptr;
}

/// How the table really uses a feature that is written only unless used; nothing when it does not.
std::optional<std::string> Use(std::string_view feature, const Metadata& metadata, const StructType& schema) {
  const auto field = [&](const char* key) -> std::optional<std::string> {
    const auto path = FieldWith(schema, key);
    return path ? std::optional(fmt::format("in column '{}'", *path)) : std::nullopt;
  };
  if (feature == "invariants") return field("delta.invariants");
  if (feature == "generatedColumns") return field("delta.generationExpression");
  if (feature == "identityColumns") {
    // Nested metadata keys delta.identity.start, .step, ...
    return field("delta.identity.start");
  }
  if (feature == "allowColumnDefaults") return field("CURRENT_DEFAULT");
  if (feature == "checkConstraints") {
    for (const auto& [key, value] : metadata.configuration) {
      if (key.starts_with("delta.constraints.")) return fmt::format("constraint '{}'", key.substr(18));
    }
    return std::nullopt;
  }
  if (feature == "changeDataFeed" && IsTrue(metadata.configuration, "delta.enableChangeDataFeed"))
    return "delta.enableChangeDataFeed is true";
  if (feature == "columnMapping") {
    const std::string mode = Setting(metadata.configuration, "delta.columnMapping.mode");
    if (!mode.empty() && mode != "none") return fmt::format("mode '{}'", mode);
  }
  return std::nullopt;
}

}  // namespace

const std::vector<FeatureSupport>& KnownFeatures() {
  static const std::vector<FeatureSupport> features = {
      {"allowColumnDefaults", 0, 7, true, S::kUnlessUsed, "written unless a column has a default"},
      {"appendOnly", 0, 2, true, S::kYes, "removing rows is refused where delta.appendOnly is true"},
      {"catalogManaged", 3, 7, false, S::kNo, "commits of such tables belong to a catalog service"},
      {"catalogOwned-preview", 3, 7, false, S::kNo, "earlier name of catalogManaged"},
      {"changeDataFeed", 0, 4, true, S::kUnlessUsed, "written unless delta.enableChangeDataFeed is true"},
      {"checkConstraints", 0, 3, true, S::kUnlessUsed, "written unless the table has a constraint"},
      {"checkpointProtection", 0, 7, true, S::kYes, "old commits and checkpoints are never cleaned up"},
      {"clustering", 0, 7, true, S::kNo, ""},
      {"columnMapping", 2, 5, true, S::kUnlessUsed, "name and id mode are read; written unless the mode is set"},
      {"coordinatedCommits-preview", 0, 7, false, S::kNo, "commits of such tables belong to a coordinator service"},
      {"deletionVectors", 3, 7, true, S::kYes, ""},
      {"domainMetadata", 0, 7, true, S::kYes, ""},
      {"generatedColumns", 0, 4, true, S::kUnlessUsed, "written unless a column is generated"},
      {"icebergCompatV1", 0, 7, true, S::kNo, ""},
      {"icebergCompatV2", 0, 7, true, S::kNo, ""},
      {"icebergCompatV3", 0, 7, true, S::kNo, ""},
      {"identityColumns", 0, 6, true, S::kUnlessUsed, "written unless a column is an identity"},
      {"inCommitTimestamp", 0, 7, true, S::kYes, ""},
      {"invariants", 0, 2, true, S::kUnlessUsed, "written unless a column has an invariant"},
      {"materializePartitionColumns", 0, 7, true, S::kNo, ""},
      {"rowTracking", 0, 7, true, S::kNo, ""},
      {"timestampNtz", 3, 7, true, S::kYes, ""},
      {"typeWidening", 3, 7, false, S::kNo, ""},
      {"typeWidening-preview", 3, 7, false, S::kNo, ""},
      {"v2Checkpoint", 3, 7, true, S::kYes, "V2 checkpoints are read; checkpoints are written in the classic form"},
      {"vacuumProtocolCheck", 3, 7, true, S::kYes, ""},
      {"variantShredding", 3, 7, false, S::kNo, ""},
      {"variantShredding-preview", 3, 7, false, S::kNo, ""},
      {"variantType", 3, 7, false, S::kNo, ""},
      {"variantType-preview", 3, 7, false, S::kNo, ""},
  };
  return features;
}

bool HasFeature(const Protocol& protocol, std::string_view feature) {
  if (Contains(protocol.reader_features, feature) || Contains(protocol.writer_features, feature)) return true;
  const FeatureSupport* known = FindFeature(feature);
  if (!known || known->min_writer_version >= 7) return false;
  const bool by_reader = known->min_reader_version > 0 && protocol.min_reader_version < 3 &&
                         protocol.min_reader_version >= known->min_reader_version;
  const bool by_writer = protocol.min_writer_version < 7 && protocol.min_writer_version >= known->min_writer_version &&
                         protocol.min_reader_version >= known->min_reader_version;
  return by_reader || by_writer;
}

std::vector<std::string> FeaturesOf(const Protocol& protocol) {
  std::set<std::string> names;
  for (const FeatureSupport& feature : KnownFeatures()) {
    if (HasFeature(protocol, feature.name)) names.insert(feature.name);
  }
  for (const auto& list : {protocol.reader_features, protocol.writer_features}) {
    if (list) names.insert(list->begin(), list->end());
  }
  return {names.begin(), names.end()};
}

Result<void> CheckReadable(const Protocol& protocol) {
  if (protocol.min_reader_version > 3) {
    return Fail(
        ErrorCode::kUnsupportedFeature,
        fmt::format("cannot read this table: it needs reader version {} of the Delta protocol, known are those up to 3",
                    protocol.min_reader_version));
  }
  if (protocol.reader_features) {
    for (const std::string& name : *protocol.reader_features) {
      const FeatureSupport* known = FindFeature(name);
      if (!known || !known->read) return Fail(Refused(name, "read", known ? known->note : "which is not known"));
    }
  }
  // A writer feature that takes the commits out of the folder makes what lies there stale.
  if (Contains(protocol.writer_features, "coordinatedCommits-preview")) {
    return Fail(Refused("coordinatedCommits-preview", "read", FindFeature("coordinatedCommits-preview")->note));
  }
  return {};
}

Result<void> CheckWritable(const Protocol& protocol, const Metadata& metadata, const StructType& schema) {
  QUERN_TRY(CheckReadable(protocol));
  if (protocol.min_writer_version > 7) {
    return Fail(
        ErrorCode::kUnsupportedFeature,
        fmt::format(
            "cannot write this table: it needs writer version {} of the Delta protocol, known are those up to 7",
            protocol.min_writer_version));
  }
  const std::vector<std::string> features = FeaturesOf(protocol);
  for (const std::string& name : features) {
    const FeatureSupport* known = FindFeature(name);
    if (!known) return Fail(Refused(name, "write", "which is not known"));
    if (known->write == S::kNo) return Fail(Refused(name, "write", known->note));
  }
  // Used although the protocol does not name it (older writers did so): refused all the same.
  for (const FeatureSupport& feature : KnownFeatures()) {
    if (feature.write != S::kUnlessUsed) continue;
    if (const auto use = Use(feature.name, metadata, schema)) return Fail(Refused(feature.name, "write", *use));
  }
  if (metadata.format_provider != "parquet") {
    return Fail(ErrorCode::kUnsupportedFeature,
                fmt::format("cannot write this table: its files are '{}', not Parquet", metadata.format_provider));
  }
  if (UsesType(schema, TypeId::kTimestampNtz) && !HasFeature(protocol, "timestampNtz")) {
    return Fail(ErrorCode::kCorruptLog,
                "the table has a timestamp_ntz column, but its protocol lacks the feature 'timestampNtz'");
  }
  return {};
}

Result<void> CheckRemovable(const Metadata& metadata) {
  if (!IsTrue(metadata.configuration, "delta.appendOnly")) return {};
  return Fail(Error(ErrorCode::kUnsupportedFeature, "cannot change or remove rows of this table: it is append-only")
                  .Hint("Its property delta.appendOnly is true."));
}

Result<ColumnMapping> ColumnMappingOf(const Metadata& metadata) {
  const std::string mode = Lower(Setting(metadata.configuration, "delta.columnMapping.mode"));
  if (mode.empty() || mode == "none") return ColumnMapping::kNone;
  if (mode == "name") return ColumnMapping::kName;
  if (mode == "id") return ColumnMapping::kId;
  return Fail(ErrorCode::kCorruptLog, fmt::format("delta.columnMapping.mode is '{}', not none, name or id", mode));
}

Result<Protocol> ProtocolFor(const StructType& schema, const StringMap& configuration) {
  return UpgradeProtocol(Protocol{1, 2, {}, {}}, schema, configuration);
}

Result<Protocol> UpgradeProtocol(const Protocol& current, const StructType& schema, const StringMap& configuration) {
  std::set<std::string> needed;
  if (UsesType(schema, TypeId::kTimestampNtz)) needed.insert("timestampNtz");
  if (UsesType(schema, TypeId::kVariant)) needed.insert("variantType");
  if (IsTrue(configuration, "delta.enableDeletionVectors")) needed.insert("deletionVectors");
  if (IsTrue(configuration, "delta.enableInCommitTimestamps")) needed.insert("inCommitTimestamp");
  if (IsTrue(configuration, "delta.enableRowTracking")) needed.insert("rowTracking");
  if (IsTrue(configuration, "delta.enableTypeWidening")) needed.insert("typeWidening");
  if (IsTrue(configuration, "delta.enableIcebergCompatV1")) needed.insert("icebergCompatV1");
  if (IsTrue(configuration, "delta.enableIcebergCompatV2")) needed.insert("icebergCompatV2");
  if (Lower(Setting(configuration, "delta.checkpointPolicy")) == "v2") needed.insert("v2Checkpoint");
  // delta.feature.<name> = supported asks for a feature by name.
  for (const auto& [key, value] : configuration) {
    if (key.starts_with("delta.feature.") && (value == "supported" || value == "enabled"))
      needed.insert(key.substr(14));
  }
  for (const std::string& name : needed) {
    const FeatureSupport* known = FindFeature(name);
    if (!known || known->write == S::kNo)
      return Fail(Refused(name, "write", known ? known->note : "which is not known"));
  }
  std::erase_if(needed, [&](const std::string& name) { return HasFeature(current, name); });
  if (needed.empty()) return current;

  Protocol raised = current;
  std::set<std::string> writer;
  std::set<std::string> reader;
  bool needs_reader_3 = current.min_reader_version >= 3;
  for (const std::string& name : needed) needs_reader_3 = needs_reader_3 || FindFeature(name)->min_reader_version >= 3;
  // From a legacy protocol the features that it implied are named from now on.
  for (const std::string& name : FeaturesOf(current)) {
    writer.insert(name);
    const FeatureSupport* known = FindFeature(name);
    if (known && known->min_reader_version > 0) reader.insert(name);
  }
  if (current.reader_features) reader.insert(current.reader_features->begin(), current.reader_features->end());
  for (const std::string& name : needed) {
    writer.insert(name);
    if (FindFeature(name)->min_reader_version > 0) reader.insert(name);
  }
  raised.min_writer_version = 7;
  raised.writer_features.emplace(writer.begin(), writer.end());
  if (needs_reader_3) {
    raised.min_reader_version = 3;
    raised.reader_features.emplace(reader.begin(), reader.end());
  }
  return raised;
}

}  // namespace quern::delta
