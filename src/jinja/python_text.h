#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "jinja/value.h"

namespace quern::jinja {

// Text as Python prints and reads it. All text is UTF-8; a byte that is not counts as one character.

std::string FloatRepr(double d);
void AppendStringRepr(std::string& out, std::string_view text);

size_t CharacterBytes(std::string_view text, size_t at);  ///< bytes of the character that begins at `at`
size_t CharacterCount(std::string_view text);
bool IsAscii(std::string_view text);
/// Byte offset of the n-th character (or the end).
size_t CharacterOffset(std::string_view text, size_t n);
void AppendUtf8(std::string& out, uint32_t code_point);
uint32_t DecodeCharacter(std::string_view text, size_t at);

bool IsSpace(char c);  ///< ASCII white space, as str.strip and str.split see it
std::string_view Strip(std::string_view text, bool left = true, bool right = true);
std::string UpperText(std::string_view text);  ///< Latin, Greek and Cyrillic letters
std::string LowerText(std::string_view text);
bool IsLetter(uint32_t c);
bool IsUpperLetter(uint32_t c);
bool IsLowerLetter(uint32_t c);

/// int("..."), float("..."); nothing when it is not a number.
std::optional<int64_t> ParseInt(std::string_view text, int base = 10);
std::optional<double> ParseFloat(std::string_view text);

/// "%s rows" % value; throws Thrown.
std::string PercentFormat(const std::string& format, const Value& arguments);
/// "{} {name!r:>5}".format(...): `field` finds the value of a field's name ("0", "name", "a.b[0]" is resolved by it).
std::string BraceFormat(const std::string& format, const std::function<Value(std::string_view field)>& field);
/// format(value, spec); throws Thrown.
std::string FormatWithSpec(const Value& value, std::string_view spec);

}  // namespace quern::jinja
