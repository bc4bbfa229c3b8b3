#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "delta/actions.h"
#include "delta/schema.h"

namespace quern::delta {

/// What we do with one table feature of the protocol.
struct FeatureSupport {
  const char* name;
  int min_reader_version;  ///< at which a table without feature lists has it; 0: writer-only feature
  int min_writer_version;
  bool read;
  /// kYes; kUnlessUsed: written unless the table really uses it (a constraint, a generated column ...); kNo.
  enum Write { kYes, kUnlessUsed, kNo } write;
  const char* note;
};
/// Every feature that we know, by name.
const std::vector<FeatureSupport>& KnownFeatures();

/// Whether the protocol names the feature, or implies it by its versions.
bool HasFeature(const Protocol& protocol, std::string_view feature);
/// All features of a protocol, named or implied, sorted.
std::vector<std::string> FeaturesOf(const Protocol& protocol);

/// Errors: kUnsupportedFeature, with the feature's name in the message (or the version, when that is newer than all
/// known).
Result<void> CheckReadable(const Protocol& protocol);
/// As CheckReadable, and what writing needs besides: column invariants, check constraints, generated and identity
/// columns, change data feed and so on, where the table uses them, are refused by name.
Result<void> CheckWritable(const Protocol& protocol, const Metadata& metadata, const StructType& schema);
/// delta.appendOnly: rows may not be removed or changed. Error: kUnsupportedFeature.
Result<void> CheckRemovable(const Metadata& metadata);

enum class ColumnMapping { kNone, kName, kId };
/// Of the configuration's delta.columnMapping.mode. Errors: kCorruptLog for another word.
Result<ColumnMapping> ColumnMappingOf(const Metadata& metadata);

/// The smallest protocol for a new table with this schema and configuration: (1,2), or (3,7) with the features that it
/// needs (timestampNtz, deletionVectors, ...). Errors: kUnsupportedFeature for properties that need what we do not
/// write.
Result<Protocol> ProtocolFor(const StructType& schema, const StringMap& configuration);
/// `current`, raised as far as the schema and configuration need it; never lowered.
Result<Protocol> UpgradeProtocol(const Protocol& current, const StructType& schema, const StringMap& configuration);

}  // namespace quern::delta
