#pragma once
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace quern::cli {

enum class Colour { kNone, kRed, kGreen, kYellow, kBlue, kCyan, kGrey, kBold };

/// Where the program prints. Everything that goes out passes MaskSecrets. Thread-safe line by line.
class Terminal {
 public:
  struct Options {
    bool colour_allowed = true;
    bool quiet = false;
  };
  explicit Terminal(Options options);

  bool out_is_terminal() const { return out_tty_; }
  bool err_is_terminal() const { return err_tty_; }
  bool shows_colours() const { return colour_out_; }
  bool quiet() const { return options_.quiet; }
  /// Places in errors are relative to this folder (the project's); they are shown relative to the working directory.
  void SetBase(std::filesystem::path folder);
  /// The reader of standard output went away: what is written is lost.
  bool nobody_reads() const { return std::ferror(stdout) != 0; }
  int width() const;  ///< columns of the terminal; 0 when the output is none

  /// `text` in a colour where the stream shows colours; as it is otherwise.
  std::string Paint(std::string_view text, Colour colour) const;
  std::string PaintErr(std::string_view text, Colour colour) const;

  /// Results: standard output. A line end is added.
  void Out(std::string_view text) const;
  /// As Out, as it is.
  void OutRaw(std::string_view text) const;
  /// Progress and remarks: standard output too (they are the result of a run for people), nothing under --quiet.
  void Say(std::string_view text) const;
  /// Standard error.
  void Err(std::string_view text) const;

  /// The one way errors are shown: place, code, message, the line of the file with a caret, hint, causes.
  void PrintError(const Error& error) const;
  void PrintWarning(const Error& warning) const;
  /// As PrintError, as text.
  std::string DescribeError(const Error& error, bool warning = false) const;
  /// The error inside `source` (a text that is no file: a query typed in), with a caret under the place.
  void PrintError(const Error& error, std::string_view source) const;

 private:
  std::string Excerpt(const SourcePos& pos, std::string_view source) const;
  SourcePos Shown(SourcePos pos) const;
  std::string Describe(const Error& error, bool warning, std::string_view source) const;
  Options options_;
  std::filesystem::path base_;
  bool out_tty_, err_tty_, colour_out_, colour_err_;
};

/// Number of columns that a text takes on a terminal (code points; wide East Asian characters count two).
size_t DisplayWidth(std::string_view text);
/// `text` cut to `width` columns, the last one an ellipsis, or filled with blanks on the right (left when `right`).
std::string Fit(std::string_view text, size_t width, bool right = false);

}  // namespace quern::cli
