#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <cstdlib>
#include <fstream>

#include "base/secrets.h"
#include "base/text.h"

namespace quern::cli {
namespace {

const char* Code(Colour colour) {
  switch (colour) {
    case Colour::kNone:
      return "";
    case Colour::kRed:
      return "\x1b[31m";
    case Colour::kGreen:
      return "\x1b[32m";
    case Colour::kYellow:
      return "\x1b[33m";
    case Colour::kBlue:
      return "\x1b[34m";
    case Colour::kCyan:
      return "\x1b[36m";
    case Colour::kGrey:
      return "\x1b[90m";
    case Colour::kBold:
      return "\x1b[1m";
  }
  return "";
}

void Write(FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

// The code point that begins at text[i], moving i past it; invalid bytes count as one each.
char32_t NextCodePoint(std::string_view text, size_t& i) {
  auto c = static_cast<unsigned char>(text[i]);
  size_t n = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 1;
  if (i + n > text.size()) n = 1;
  char32_t point = n == 1 ? c : n == 2 ? c & 0x1F : n == 3 ? c & 0x0F : c & 0x07;
  for (size_t k = 1; k < n; ++k) point = (point << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3F);
  i += n;
  return point;
}

size_t CodePointWidth(char32_t c) {
  bool combining = (c >= 0x300 && c <= 0x36F) || c == 0x200B || (c >= 0xFE00 && c <= 0xFE0F);
  if (combining) return 0;
  bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
              (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
              (c >= 0x1F300 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD);
  return wide ? 2 : 1;
}

}  // namespace

Terminal::Terminal(Options options) : options_(options) {
  out_tty_ = isatty(STDOUT_FILENO) == 1;
  err_tty_ = isatty(STDERR_FILENO) == 1;
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  bool allowed = options.colour_allowed && !(no_color && *no_color) && !(term && std::string_view(term) == "dumb");
  colour_out_ = allowed && out_tty_;
  colour_err_ = allowed && err_tty_;
}

void Terminal::SetBase(std::filesystem::path folder) {
  std::error_code error;
  auto shown = std::filesystem::relative(folder, std::filesystem::current_path(error), error);
  base_ = error || shown.empty() ? std::move(folder) : shown;
}

SourcePos Terminal::Shown(SourcePos pos) const {
  if (pos.file.empty() || base_.empty() || base_ == "." || pos.file.front() == '/') return pos;
  std::error_code error;
  if (std::filesystem::exists(base_ / pos.file, error)) pos.file = (base_ / pos.file).string();
  return pos;
}

int Terminal::width() const {
  if (!out_tty_) return 0;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string Terminal::Paint(std::string_view text, Colour colour) const {
  if (!colour_out_ || colour == Colour::kNone) return std::string(text);
  return fmt::format("{}{}\x1b[0m", Code(colour), text);
}

std::string Terminal::PaintErr(std::string_view text, Colour colour) const {
  if (!colour_err_ || colour == Colour::kNone) return std::string(text);
  return fmt::format("{}{}\x1b[0m", Code(colour), text);
}

void Terminal::Out(std::string_view text) const {
  Write(stdout, MaskSecrets(std::string(text) + "\n"));
}
void Terminal::OutRaw(std::string_view text) const {
  Write(stdout, MaskSecrets(std::string(text)));
}
void Terminal::Say(std::string_view text) const {
  if (options_.quiet) return;
  Out(text);
  std::fflush(stdout);
}
void Terminal::Err(std::string_view text) const {
  std::fflush(stdout);  // keeps the order when both go to one place
  Write(stderr, MaskSecrets(std::string(text) + "\n"));
}

std::string Terminal::Excerpt(const SourcePos& pos, std::string_view source) const {
  if (pos.line <= 0) return "";
  std::string line;
  if (!source.empty()) {
    auto lines = Split(source, '\n');
    if (static_cast<size_t>(pos.line) > lines.size()) return "";
    line = lines[static_cast<size_t>(pos.line) - 1];
  } else {
    std::ifstream in(pos.file);
    if (!in) return "";
    for (int n = 0; n < pos.line; ++n) {
      if (!std::getline(in, line)) return "";
    }
  }
  line = line.substr(0, line.find('\r'));
  if (line.empty() || !IsValidUtf8(line)) return "";
  size_t column = pos.column > 0 ? std::min(static_cast<size_t>(pos.column) - 1, line.size()) : 0;
  // A long line is shown around the place.
  size_t from = 0;
  if (line.size() > 160) {
    from = column > 60 ? column - 60 : 0;
    while (from > 0 && (static_cast<unsigned char>(line[from]) & 0xC0) == 0x80) --from;
    line = line.substr(from, 160);
    while (!IsValidUtf8(line)) line.pop_back();
  }
  std::string shown, blanks;
  for (char c : line) shown += c == '\t' ? ' ' : c;
  auto number = std::to_string(pos.line);
  std::string out = fmt::format("  {} | {}\n", PaintErr(number, Colour::kGrey), shown);
  if (pos.column > 0) {
    size_t before = DisplayWidth(std::string_view(shown).substr(0, std::min(column - from, shown.size())));
    out += fmt::format("  {} | {}{}\n", std::string(number.size(), ' '), std::string(before, ' '),
                       PaintErr("^", Colour::kRed));
  }
  return out;
}

std::string Terminal::Describe(const Error& error, bool warning, std::string_view source) const {
  std::string out;
  auto pos = Shown(error.pos());
  if (pos.known() && !(pos.file.empty() && !source.empty())) out += PaintErr(pos.ToString(), Colour::kBold) + ": ";
  out += PaintErr(fmt::format("{} {}", warning ? "warning" : "error", ErrorCodeName(error.code())),
                  warning ? Colour::kYellow : Colour::kRed);
  out += ": " + error.message() + "\n";
  out += Excerpt(pos, pos.file.empty() ? source : std::string_view{});
  for (const auto& frame : error.trace()) {
    auto what = frame.what.starts_with("in ") ? frame.what : "in " + frame.what;
    out += fmt::format("  {}{}\n", what, frame.pos.known() ? " (" + Shown(frame.pos).ToString() + ")" : "");
  }
  if (!error.hint().empty()) out += PaintErr("hint: ", Colour::kCyan) + error.hint() + "\n";
  for (const Error* cause = error.cause(); cause; cause = cause->cause()) {
    out += fmt::format("  because: {}{} {}\n", cause->pos().known() ? Shown(cause->pos()).ToString() + ": " : "",
                       ErrorCodeName(cause->code()), cause->message());
    if (!cause->hint().empty()) out += PaintErr("  hint: ", Colour::kCyan) + cause->hint() + "\n";
  }
  if (!out.empty()) out.pop_back();
  return out;
}

void Terminal::PrintError(const Error& error) const {
  Err(Describe(error, false, {}));
}
void Terminal::PrintWarning(const Error& warning) const {
  Err(Describe(warning, true, {}));
}
void Terminal::PrintError(const Error& error, std::string_view source) const {
  Err(Describe(error, false, source));
}
std::string Terminal::DescribeError(const Error& error, bool warning) const {
  return Describe(error, warning, {});
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size();) width += CodePointWidth(NextCodePoint(text, i));
  return width;
}

std::string Fit(std::string_view text, size_t width, bool right) {
  size_t have = DisplayWidth(text);
  if (have <= width) {
    std::string blanks(width - have, ' ');
    return right ? blanks + std::string(text) : std::string(text) + blanks;
  }
  if (width == 0) return "";
  std::string out;
  size_t used = 0;
  for (size_t i = 0; i < text.size();) {
    size_t from = i;
    size_t w = CodePointWidth(NextCodePoint(text, i));
    if (used + w > width - 1) break;
    out.append(text.substr(from, i - from));
    used += w;
  }
  out += "…";
  return out + std::string(width - 1 - used, ' ');
}

}  // namespace quern::cli
