#pragma once
#include <string>
#include <string_view>

// Text for pages. Whatever is not written by us goes through Escape: it hides secrets and can end neither an element
// nor an attribute.
namespace quern::report {

/// `text` as the content of an element or of an attribute in double quotes; secrets masked, bytes that are not UTF-8
/// and control characters shown as U+FFFD.
std::string Escape(std::string_view text);

/// `text` as one segment of a path or as a value in a query: letters, digits and -._~ stay, all else is %XX; secrets
/// masked.
std::string UrlEncode(std::string_view text);

/// A number in few characters: four significant digits, no exponent below a billion ("0.7012", "12.35", "1,234").
std::string ShortNumber(double value);
/// "12 %" of a share; "0.4 %" below one percent.
std::string Percent(double share);

}  // namespace quern::report
