#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "report/html.h"
#include "server/http_server.h"
#include "server/status_server.h"

// The frame that every status page has, and what they are put together from. All text goes through report::Escape.
namespace quern::server {

using report::Escape;
using report::UrlEncode;

struct Page {
  std::string title;   ///< text
  std::string active;  ///< of the navigation: "/runs"
  std::string body;    ///< markup
  int status = 200;
  int refresh_seconds = 0;  ///< loads itself again; 0: never
};
/// The page with navigation, style and the headers that keep other sites out of it.
HttpResponse Render(const StatusSources& sources, const Page& page);

/// What is asked for is not there (404), or cannot be read (500): what, and where to go on.
HttpResponse NotFound(const StatusSources& sources, const std::string& what, const std::string& hint_markup = "");
HttpResponse CannotRead(const StatusSources& sources, const Error& error);

/// <section> with a title and a remark (text) around markup.
std::string Section(const std::string& title, const std::string& remark, const std::string& content);
std::string Link(const std::string& href, const std::string& text);
std::string StateWords(const std::string& state);  ///< text: "nothing to do" for no_op
/// The same as coloured markup.
std::string StateMark(const std::string& state);
/// "2026-01-05 03:00:00 UTC"; "" for nothing.
std::string When(const std::optional<Timestamp>& at);
/// "[2026-01-05, 2026-01-06)" in the zone of a schedule, which is named when it is not UTC.
std::string IntervalText(const StatusSources& sources, const std::string& schedule, const Interval& interval);
std::string Ago(const std::optional<Timestamp>& at, Timestamp now);

/// A table of markup cells.
class HtmlTable {
 public:
  /// Column titles; one that begins with '#' holds numbers.
  explicit HtmlTable(const std::vector<std::string>& columns);
  void Row(const std::vector<std::string>& cells);
  bool empty() const { return rows_ == 0; }
  std::string Markup() const;

 private:
  std::vector<bool> numbers_;
  std::string out_;
  size_t rows_ = 0;
};

/// ?page= of a request, from 1 to `most`.
int PageNumber(const HttpRequest& request, int most = 1000);
/// "newer" and "older" below a list; `path` with the query but for the page.
std::string Pager(const std::string& path, int page, bool more);

/// Paths of pages. A run's id is "<dag>/<rest>".
std::string RunPath(const std::string& dag_run);
std::string LogPath(const std::string& dag_run, const std::string& node);
std::string TablePath(const std::string& schema, const std::string& table);
std::string ModelPath(const std::string& model);
std::string NodePath(const std::string& node);

}  // namespace quern::server
