#include "server/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace quern::server {
namespace {

const std::vector<std::pair<std::string, std::string>> kNavigation = {
    {"/", "Overview"}, {"/runs", "Runs"}, {"/graph", "Graph"}, {"/tables", "Tables"}, {"/models", "Models"}};

}  // namespace

HttpResponse Render(const StatusSources& sources, const Page& page) {
  std::string navigation;
  for (const auto& [path, name] : kNavigation)
    navigation +=
        fmt::format("<a href=\"{}\"{}>{}</a>", path, path == page.active ? " aria-current=\"page\"" : "", name);
  const std::string refresh = page.refresh_seconds > 0
                                  ? fmt::format("<meta http-equiv=\"refresh\" content=\"{}\">\n", page.refresh_seconds)
                                  : "";
  const std::string project = Escape(sources.project.empty() ? "quern" : sources.project);
  HttpResponse out;
  out.status = page.status;
  out.content_type = "text/html; charset=utf-8";
  out.body = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n{}<title>{} · {}</title>\n"
      "<link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n"
      "<nav><b>{}</b>{}</nav>\n<main>\n<header><h1>{}</h1></header>\n{}\n"
      "<footer>quern {} · target {} · {}</footer>\n</main>\n</body>\n</html>\n",
      refresh, Escape(page.title), project, project, navigation, Escape(page.title), page.body, Escape(sources.version),
      Escape(sources.target), When(sources.clock->Now()));
  out.headers = {{"Content-Security-Policy",
                  "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
                  "frame-ancestors 'none'"},
                 {"X-Frame-Options", "DENY"},
                 {"Referrer-Policy", "no-referrer"},
                 {"Cross-Origin-Opener-Policy", "same-origin"},
                 {"Cross-Origin-Resource-Policy", "same-origin"},
                 {"Cache-Control", "no-store"}};
  return out;
}

HttpResponse NotFound(const StatusSources& sources, const std::string& what, const std::string& hint) {
  std::string body = "<section><p>" + Escape(what) + "</p>" + (hint.empty() ? "" : "<p>" + hint + "</p>") + "<p>";
  for (const auto& [path, name] : kNavigation) body += Link(path, name) + " ";
  return Render(sources, {.title = "Not found", .active = "", .body = body + "</p></section>", .status = 404});
}

HttpResponse CannotRead(const StatusSources& sources, const Error& error) {
  return Render(sources,
                {.title = "This cannot be read",
                 .active = "",
                 .body = Section("What went wrong", "", "<pre class=\"error\">" + Escape(error.ToString()) + "</pre>"),
                 .status = 500});
}

std::string Section(const std::string& title, const std::string& remark, const std::string& content) {
  return fmt::format("<section>{}{}{}</section>\n", title.empty() ? "" : "<h2>" + Escape(title) + "</h2>",
                     remark.empty() ? "" : "<p>" + Escape(remark) + "</p>", content);
}

std::string Link(const std::string& href, const std::string& text) {
  return fmt::format("<a href=\"{}\">{}</a>", Escape(href), Escape(text));
}

std::string StateWords(const std::string& state) {
  return state == "no_op" ? "nothing to do" : ReplaceAll(state, "_", " ");
}

std::string StateMark(const std::string& state) {
  static const std::map<std::string, std::string> kClasses = {
      {"success", "ok"},          {"failed", "failed"},  {"running", "running"},    {"warned", "warned"},
      {"up_for_retry", "warned"}, {"blocked", "failed"}, {"interrupted", "warned"}, {"waiting", "quiet"},
      {"no_op", "quiet"},         {"skipped", "quiet"},  {"cancelled", "quiet"},    {"queued", "quiet"}};
  auto it = kClasses.find(state);
  return fmt::format("<span class=\"state s-{}\">{}</span>", it == kClasses.end() ? "quiet" : it->second,
                     Escape(StateWords(state)));
}

std::string When(const std::optional<Timestamp>& at) {
  if (!at) return "";
  std::string text = FormatUtc(std::chrono::floor<std::chrono::seconds>(*at));
  text = ReplaceAll(std::move(text), "T", " ");
  if (text.ends_with('Z')) text.pop_back();
  return text + " UTC";
}

std::string IntervalText(const StatusSources& sources, const std::string& schedule, const Interval& interval) {
  auto found = sources.models.zones.find(schedule);
  const TimeZone zone = found == sources.models.zones.end() ? TimeZone::Utc() : found->second;
  auto text = [&](Timestamp at) { return ReplaceAll(FormatShort(zone.ToLocal(at)), "T", " "); };
  return Escape(fmt::format("[{}, {}){}", text(interval.start), text(interval.end),
                            zone.name() == "UTC" ? "" : " " + zone.name()));
}

std::string Ago(const std::optional<Timestamp>& at, Timestamp now) {
  if (!at) return "";
  const double seconds = std::chrono::duration<double>(now - *at).count();
  if (seconds < 0) return When(at);
  if (seconds < 90) return fmt::format("{:.0f} s ago", seconds);
  if (seconds < 90 * 60) return fmt::format("{:.0f} min ago", seconds / 60);
  if (seconds < 36 * 3600) return fmt::format("{:.0f} h ago", seconds / 3600);
  return fmt::format("{:.0f} days ago", seconds / 86400);
}

HtmlTable::HtmlTable(const std::vector<std::string>& columns) {
  for (const auto& column : columns) {
    numbers_.push_back(column.starts_with('#'));
    out_ += fmt::format("<th{}>{}</th>", numbers_.back() ? " class=\"num\"" : "",
                        Escape(numbers_.back() ? column.substr(1) : column));
  }
}

void HtmlTable::Row(const std::vector<std::string>& cells) {
  out_ += "<tr>";
  for (size_t i = 0; i < cells.size(); ++i)
    out_ += fmt::format("<td{}>{}</td>", i < numbers_.size() && numbers_[i] ? " class=\"num\"" : "", cells[i]);
  out_ += "</tr>\n";
  ++rows_;
}

std::string HtmlTable::Markup() const {
  const size_t head = out_.find("<tr>");
  return "<div class=\"scroll\"><table><thead><tr>" + out_.substr(0, head) + "</tr></thead><tbody>" +
         (head == std::string::npos ? "" : out_.substr(head)) + "</tbody></table></div>";
}

int PageNumber(const HttpRequest& request, int most) {
  auto it = request.query.find("page");
  if (it == request.query.end()) return 1;
  int page = 1;
  std::from_chars(it->second.data(), it->second.data() + it->second.size(), page);
  return std::clamp(page, 1, most);
}

std::string Pager(const std::string& path, int page, bool more) {
  if (page <= 1 && !more) return "";
  const std::string join = path.find('?') == std::string::npos ? "?" : "&";
  std::string out = "<p class=\"pager\">";
  if (page > 1) out += Link(fmt::format("{}{}page={}", path, join, page - 1), "← newer");
  out += fmt::format("<span>page {}</span>", page);
  if (more) out += Link(fmt::format("{}{}page={}", path, join, page + 1), "older →");
  return out + "</p>";
}

std::string RunPath(const std::string& dag_run) {
  const size_t slash = dag_run.find('/');
  if (slash == std::string::npos) return "/runs/" + UrlEncode(dag_run);
  return "/runs/" + UrlEncode(dag_run.substr(0, slash)) + "/" + UrlEncode(dag_run.substr(slash + 1));
}

std::string LogPath(const std::string& dag_run, const std::string& node) {
  return RunPath(dag_run) + "/logs/" + UrlEncode(node);
}

std::string TablePath(const std::string& schema, const std::string& table) {
  return "/tables/" + UrlEncode(schema) + "." + UrlEncode(table);
}

std::string ModelPath(const std::string& model) {
  return "/models/" + UrlEncode(model);
}

std::string NodePath(const std::string& node) {
  return "/graph?node=" + UrlEncode(node);
}

}  // namespace quern::server
