#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "delta/actions.h"

namespace quern::delta {

/// Percent-encodes a relative path for add.path (RFC 2396: letters, digits and -_.!~*'();/?:@&=+$, without '#', '?',
/// '%' and blanks; UTF-8 stays as it is, as Java's URI does).
std::string EncodePath(std::string_view path);
/// Undoes percent-encoding; '%' without two hexadecimal digits stays.
std::string DecodePath(std::string_view path);
/// A URI scheme, or a leading '/'.
bool IsAbsolute(std::string_view path);
/// The object's key of a log path: `root`/decoded for relative ones; for an absolute one its path when the scheme is
/// "file" (or there is none). Other schemes: kUnsupportedFeature, naming the path. A relative path that leaves the root
/// by "..": kCorruptLog.
Result<std::string> ObjectKey(std::string_view root, std::string_view log_path);

/// The one spelling of a log path: absolute ones ("file:/a%20b", "file:///a b", "/a b") become the plain path; nothing
/// when the path is its own (every relative one).
std::optional<std::string> CanonicalPath(std::string_view log_path);

/// "a=1/b=__HIVE_DEFAULT_PARTITION__": the folder of a partition, names and values escaped as Hive does.
std::string PartitionFolder(const PartitionValues& values);
/// One Hive-escaped component undone: "%3D" -> "=".
std::string UnescapePartition(std::string_view text);
std::string EscapePartition(std::string_view text);

}  // namespace quern::delta
