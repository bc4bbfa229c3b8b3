// Which tables a query names, without an engine: enough for the graph, which must be known before one is started.
#include <set>

#include "base/text.h"
#include "ml/config.h"

namespace quern::ml {
namespace {

struct Word {
  std::string text;
  bool quoted = false;
};

bool IsWordChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Names and signs, without strings and comments.
std::vector<Word> WordsOf(std::string_view sql) {
  std::vector<Word> words;
  size_t i = 0;
  while (i < sql.size()) {
    const char c = sql[i];
    if (sql.substr(i, 2) == "--") {
      i = std::min(sql.find('\n', i), sql.size());
    } else if (sql.substr(i, 2) == "/*") {
      const size_t end = sql.find("*/", i + 2);
      i = end == std::string_view::npos ? sql.size() : end + 2;
    } else if (c == '\'' || c == '"') {
      std::string text;
      for (++i; i < sql.size(); ++i) {
        if (sql[i] == c) {
          if (i + 1 >= sql.size() || sql[i + 1] != c) break;
          ++i;
        }
        text += sql[i];
      }
      ++i;
      if (c == '"') words.push_back({std::move(text), true});
      if (c == '\'') words.push_back({"'", false});
    } else if (IsWordChar(c)) {
      const size_t begin = i;
      while (i < sql.size() && IsWordChar(sql[i])) ++i;
      words.push_back({std::string(sql.substr(begin, i - begin)), false});
    } else {
      if (c != ' ' && c != '\n' && c != '\t' && c != '\r') words.push_back({std::string(1, c), false});
      ++i;
    }
  }
  return words;
}

bool IsName(const Word& word) {
  return word.quoted || IsWordChar(word.text[0]);
}

}  // namespace

std::vector<schedule::TableRef> TablesNamedIn(std::string_view sql) {
  const auto words = WordsOf(sql);
  auto is = [&](size_t i, std::string_view text) {
    return i < words.size() && !words[i].quoted && EqualsIgnoreCase(words[i].text, text);
  };
  // Where a FROM clause goes on, by depth of parentheses: a comma there is followed by another table.
  std::vector<bool> in_from{false};
  std::vector<schedule::TableRef> tables;
  std::set<std::string> seen;
  for (size_t i = 0; i < words.size(); ++i) {
    bool table_next = false;
    if (is(i, "(")) {
      // A parenthesis right after FROM, JOIN or a comma may hold tables itself: FROM (s.a JOIN s.b ...).
      const bool of_tables = i > 0 && (is(i - 1, "from") || is(i - 1, "join") || (is(i - 1, ",") && in_from.back()));
      in_from.push_back(of_tables);
      table_next = of_tables;
    } else if (is(i, ")")) {
      if (in_from.size() > 1) in_from.pop_back();
    } else if (is(i, "from")) {
      // Not a FROM of extract(year FROM t) or IS DISTINCT FROM x: those are followed by no schema.table, or the name
      // of a column that is dotted; the latter is seen by the word before.
      if (i > 0 && is(i - 1, "distinct")) continue;
      in_from.back() = true;
      table_next = true;
    } else if (is(i, "join")) {
      table_next = true;
    } else if (is(i, ",")) {
      table_next = in_from.back();
    } else if (is(i, "select") || is(i, "where") || is(i, "group") || is(i, "order") || is(i, "having") ||
               is(i, "window") || is(i, "qualify") || is(i, "limit") || is(i, "union")) {
      in_from.back() = false;
    }
    if (!table_next || i + 1 >= words.size()) continue;
    size_t at = i + 1;
    if (is(at, "lateral")) ++at;
    std::vector<std::string> parts;
    while (at < words.size() && IsName(words[at])) {
      parts.push_back(words[at].text);
      if (!is(at + 1, ".")) break;
      at += 2;
    }
    if (parts.size() < 2 || is(at + 1, "(")) continue;
    schedule::TableRef table{parts[parts.size() - 2], parts.back()};
    if (seen.insert(table.Key()).second) tables.push_back(std::move(table));
  }
  return tables;
}

}  // namespace quern::ml
