#include "cli/sql_text.h"

#include <cctype>

#include "base/text.h"

namespace quern::cli {
namespace {

struct Scan {
  std::vector<Statement> statements;
  bool inside = false;  // a quote or a comment has no end
};

bool IsIdentifier(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

// The position after a quoted text that starts at `at`; npos when it has no end.
size_t AfterQuote(std::string_view sql, size_t at) {
  char quote = sql[at];
  for (size_t i = at + 1; i < sql.size(); ++i) {
    if (sql[i] != quote) continue;
    if (i + 1 < sql.size() && sql[i + 1] == quote) {
      ++i;
    } else {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

size_t AfterBlockComment(std::string_view sql, size_t at) {
  size_t end = sql.find("*/", at + 2);
  return end == std::string_view::npos ? end : end + 2;
}

// A dollar quote's opening tag at `at` ("$$", "$x$"), or "".
std::string_view DollarTag(std::string_view sql, size_t at) {
  if (at > 0 && IsIdentifier(sql[at - 1])) return {};
  size_t i = at + 1;
  if (i < sql.size() && std::isdigit(static_cast<unsigned char>(sql[i]))) return {};
  while (i < sql.size() && IsIdentifier(sql[i])) ++i;
  if (i >= sql.size() || sql[i] != '$') return {};
  return sql.substr(at, i - at + 1);
}

Scan ScanSql(std::string_view sql) {
  Scan out;
  bool content = false;  // the statement has something beside blanks and comments
  size_t first = 0;      // where that begins
  auto add = [&](size_t end, bool ended) {
    if (content) out.statements.push_back({std::string(Trim(sql.substr(first, end - first))), first, ended});
    content = false;
  };
  size_t i = 0;
  while (i < sql.size()) {
    char c = sql[i];
    size_t next = i + 1;
    bool counts = true;
    if (c == '-' && sql.substr(i, 2) == "--") {
      next = sql.find('\n', i);
      if (next == std::string_view::npos) next = sql.size();
      counts = false;
    } else if (c == '/' && sql.substr(i, 2) == "/*") {
      next = AfterBlockComment(sql, i);
      counts = false;
    } else if (c == '\'' || c == '"') {
      next = AfterQuote(sql, i);
    } else if (c == '$') {
      auto tag = DollarTag(sql, i);
      if (!tag.empty()) {
        size_t end = sql.find(tag, i + tag.size());
        next = end == std::string_view::npos ? end : end + tag.size();
      }
    } else if (c == ';') {
      add(i, true);
      counts = false;
    } else if (std::isspace(static_cast<unsigned char>(c))) {
      counts = false;
    }
    if (counts && !content) {
      content = true;
      first = i;
    }
    if (next == std::string_view::npos) {
      out.inside = true;
      break;
    }
    i = next;
  }
  add(sql.size(), false);
  return out;
}

}  // namespace

std::vector<Statement> SplitStatements(std::string_view sql) {
  return ScanSql(sql).statements;
}

bool WantsMore(std::string_view sql) {
  auto scan = ScanSql(sql);
  return scan.inside || (!scan.statements.empty() && !scan.statements.back().ended);
}

}  // namespace quern::cli
