#include <fmt/format.h>

#include "base/text.h"
#include "server/page.h"
#include "server/status_pages.h"

namespace quern::server {
namespace {

using warehouse::TableName;
using warehouse::Warehouse;

constexpr size_t kTablesAPage = 100;
constexpr int kVersionsAPage = 50;

// Null when there is none to look at: nothing was ever written, and no engine is to be started for that.
Result<Warehouse*> Open(const StatusSources& sources) {
  std::error_code error;
  if (!sources.warehouse || !std::filesystem::is_directory(sources.warehouse_root, error)) return nullptr;
  return sources.warehouse();
}

std::string NodesOf(const StatusSources& sources, const TableName& name, bool writers) {
  if (sources.graph == nullptr) return "";
  const std::string key = schedule::TableRef{name.schema, name.table}.Key();
  std::vector<std::string> links;
  for (graph::NodeIndex i = 0; i < sources.graph->size(); ++i) {
    const auto& node = sources.graph->node(i);
    bool found = false;
    if (writers) {
      for (const auto& table : node.writes) found = found || table.Key() == key;
    } else {
      for (const auto& read : node.reads) found = found || read.table.Key() == key;
    }
    if (found && links.size() < 40) links.push_back(Link(NodePath(node.id), node.id));
  }
  return Join(links, ", ");
}

std::string Short(const Json& value) {
  std::string text =
      value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 120) text.replace(120, std::string::npos, "…");
  return text;
}

std::string Metrics(const Json& metrics) {
  std::vector<std::string> parts;
  if (metrics.is_object()) {
    for (const char* key : {"numOutputRows", "numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted",
                            "numDeletedRows", "numUpdatedRows", "numFiles", "numAddedFiles", "numRemovedFiles"}) {
      if (metrics.contains(key) && Short(metrics[key]) != "0")
        parts.push_back(fmt::format("{} {}", key + 3, Short(metrics[key])));
    }
  }
  return Escape(Join(parts, ", "));
}

std::string RunCell(const Json& info) {
  const std::string run = info.is_object() && info.contains("quernDagRun") ? Short(info["quernDagRun"]) : "";
  return run.empty() ? "" : Link(RunPath(run), run);
}

// What has no history to show.
HttpResponse ShowKnown(const StatusSources& sources, const TableName& name, const std::string& what) {
  std::string facts = "<p>" + Escape(what) + "</p><dl>";
  for (bool writers : {true, false}) {
    const std::string nodes = NodesOf(sources, name, writers);
    if (!nodes.empty()) facts += fmt::format("<dt>{} by</dt><dd>{}</dd>", writers ? "written" : "read", nodes);
  }
  return Render(sources, {.title = name.ToString(), .active = "/tables", .body = Section("", "", facts + "</dl>")});
}

HttpResponse ShowTable(const StatusSources& sources, Warehouse& warehouse, const TableName& name,
                       const HttpRequest& request) {
  auto info = warehouse.Describe(name);
  if (!info) return CannotRead(sources, info.error());
  const int page = PageNumber(request, 200);
  std::string facts = "<dl>";
  auto fact = [&](const std::string& title, const std::string& markup) {
    if (!markup.empty()) facts += "<dt>" + title + "</dt><dd>" + markup + "</dd>";
  };
  fact("version", std::to_string(info->version));
  fact("rows", info->rows ? FormatCount(*info->rows) : "");
  fact("size", fmt::format("{} in {} files", FormatBytes(info->bytes), FormatCount(info->files)));
  fact("changed", info->modified ? When(info->modified) + ", " + Ago(info->modified, sources.clock->Now()) : "");
  fact("made", When(info->created));
  fact("partitioned by", Escape(Join(info->partition_columns, ", ")));
  fact("written by", NodesOf(sources, name, true));
  fact("read by", NodesOf(sources, name, false));
  fact("lies in", "<code>" + Escape(info->location) + "</code>");
  fact("protocol", Escape(fmt::format("reader {}, writer {}{}", info->min_reader_version, info->min_writer_version,
                                      info->features.empty() ? "" : ": " + Join(info->features, ", "))));
  for (const auto& [key, value] : info->properties) fact(Escape(key), Escape(value));
  std::string body = Section("", "", facts + "</dl>");

  HtmlTable columns({"column", "type", ""});
  for (size_t i = 0; i < info->columns.size(); ++i)
    columns.Row({Escape(info->columns[i].name), "<code>" + Escape(info->columns[i].type) + "</code>",
                 i < info->nullable.size() && !info->nullable[i] ? "<span class=\"soft\">not null</span>" : ""});
  std::string history;
  const int64_t limit = static_cast<int64_t>(page) * kVersionsAPage + 1;
  auto entries = warehouse.History(name, limit);
  if (!entries) return CannotRead(sources, entries.error());
  const bool more = static_cast<int64_t>(entries->size()) == limit;
  if (more) entries->pop_back();
  HtmlTable versions({"#version", "when", "operation", "run", "what"});
  for (size_t i = static_cast<size_t>(page - 1) * kVersionsAPage; i < entries->size(); ++i) {
    const auto& entry = (*entries)[i];
    versions.Row({std::to_string(entry.version), When(entry.timestamp), Escape(Lower(entry.operation)),
                  RunCell(entry.commit_info), "<span class=\"soft\">" + Metrics(entry.operation_metrics) + "</span>"});
  }
  body += Section("History", "newest first; SELECT … AT (VERSION => n) reads an earlier version",
                  versions.Markup() + Pager(TablePath(name.schema, name.table), page, more));
  body += Section("Columns", "", columns.Markup());
  return Render(sources, {.title = name.ToString(), .active = "/tables", .body = body});
}

}  // namespace

HttpResponse TablesPage(const StatusSources& sources, const HttpRequest& request) {
  auto warehouse = Open(sources);
  if (!warehouse) return CannotRead(sources, warehouse.error());
  std::vector<Warehouse::Listed> tables;
  if (*warehouse != nullptr) {
    auto listed = (*warehouse)->List();
    if (!listed) return CannotRead(sources, listed.error());
    tables = *std::move(listed);
  }
  const int page = PageNumber(request);
  const size_t from = std::min(tables.size(), static_cast<size_t>(page - 1) * kTablesAPage);
  const size_t to = std::min(tables.size(), from + kTablesAPage);
  HtmlTable table({"table", "", "#version", "#rows", "#size", "changed", "written by"});
  const auto now = sources.clock->Now();
  for (size_t i = from; i < to; ++i) {
    const auto& name = tables[i].name;
    if (tables[i].kind == Warehouse::Kind::kView) {
      table.Row(
          {Escape(name.ToString()), "<span class=\"soft\">view</span>", "", "", "", "", NodesOf(sources, name, true)});
      continue;
    }
    auto info = (*warehouse)->Describe(name);
    if (!info) {
      table.Row({Link(TablePath(name.schema, name.table), name.ToString()),
                 "<span class=\"bad\">" + Escape(info.error().message()) + "</span>", "", "", "", "", ""});
      continue;
    }
    table.Row({Link(TablePath(name.schema, name.table), name.ToString()), "", std::to_string(info->version),
               info->rows ? FormatCount(*info->rows) : "", FormatBytes(info->bytes), Ago(info->modified, now),
               NodesOf(sources, name, true)});
  }
  std::string content = tables.empty() ? "<p class=\"note\">the warehouse has no tables yet</p>" : table.Markup();
  // In name order: the words of a history do not fit here.
  content += ReplaceAll(ReplaceAll(Pager("/tables", page, to < tables.size()), "newer", "before"), "older", "after");
  return Render(sources, {.title = "Tables",
                          .active = "/tables",
                          .body = Section("", fmt::format("{} tables and views", tables.size()), content)});
}

HttpResponse TablePage(const StatusSources& sources, const HttpRequest& request) {
  auto warehouse = Open(sources);
  if (!warehouse) return CannotRead(sources, warehouse.error());
  const std::string asked = request.segments.size() == 2 ? request.segments[1] : "";
  // Only what the warehouse lists is looked at.
  std::vector<std::string> names;
  if (*warehouse != nullptr) {
    auto listed = (*warehouse)->List();
    if (!listed) return CannotRead(sources, listed.error());
    for (const auto& one : *listed) {
      names.push_back(one.name.ToString());
      if (!EqualsIgnoreCase(names.back(), asked)) continue;
      if (one.kind == Warehouse::Kind::kView)
        return ShowKnown(sources, one.name, "A view: a query under a name, without rows or a history of its own.");
      return ShowTable(sources, **warehouse, one.name, request);
    }
  }
  // A table of the graph that no run has written yet.
  const size_t at = asked.find('.');
  if (at != std::string::npos) {
    const TableName name{asked.substr(0, at), asked.substr(at + 1)};
    if (!NodesOf(sources, name, true).empty() || !NodesOf(sources, name, false).empty())
      return ShowKnown(sources, name, "Nothing was written into this table yet.");
  }
  const auto near = Nearest(asked, names);
  const size_t dot = near ? near->find('.') : std::string::npos;
  return NotFound(sources, "There is no table '" + (asked.empty() ? request.path : asked) + "'.",
                  dot != std::string::npos
                      ? "Did you mean " + Link(TablePath(near->substr(0, dot), near->substr(dot + 1)), *near) + "?"
                      : Link("/tables", "All tables"));
}

}  // namespace quern::server
