#include "report/html.h"

#include <fmt/format.h>

#include <cmath>

#include "base/secrets.h"
#include "base/text.h"

namespace quern::report {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Length of the well-formed UTF-8 sequence at `at`, 0 when there is none.
size_t SequenceAt(std::string_view text, size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (length == 0 || at + length > text.size() || !IsValidUtf8(text.substr(at, length))) return 0;
  return length;
}

}  // namespace

std::string Escape(std::string_view given) {
  const std::string text = MaskSecrets(std::string(given));
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    const size_t length = SequenceAt(text, i);
    if (length > 1) {
      out.append(text, i, length);
      i += length;
      continue;
    }
    ++i;
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default: {
        const bool control = static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r';
        if (length == 0 || control || c == 0x7F)
          out += kReplacement;
        else
          out += c;
      }
    }
  }
  return out;
}

std::string UrlEncode(std::string_view given) {
  const std::string text = MaskSecrets(std::string(given));
  std::string out;
  for (char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  // A browser takes away segments that are nothing but dots.
  if (out == "." || out == "..") return ReplaceAll(out, ".", "%2E");
  return out;
}

std::string ShortNumber(double value) {
  if (!std::isfinite(value)) return "–";
  const double size = std::abs(value);
  if (size >= 1e9 || (size > 0 && size < 1e-4)) return fmt::format("{:.2e}", value);
  if (size >= 1000) return FormatCount(std::llround(value));
  if (value == std::round(value)) return fmt::format("{:.0f}", value);
  return size >= 100  ? fmt::format("{:.1f}", value)
         : size >= 10 ? fmt::format("{:.2f}", value)
         : size >= 1  ? fmt::format("{:.3f}", value)
                      : fmt::format("{:.4f}", value);
}

std::string Percent(double share) {
  if (!std::isfinite(share)) return "–";
  const double percent = share * 100;
  return std::abs(percent) < 1 && percent != 0 ? fmt::format("{:.1f} %", percent) : fmt::format("{:.0f} %", percent);
}

}  // namespace quern::report
