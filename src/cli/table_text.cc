#include "cli/table_text.h"

#include <numeric>

#include "base/text.h"

namespace quern::cli {
namespace {

constexpr size_t kLeast = 4;  // a column is not cut below this

// A cell on one line: control characters would break the table.
std::string OneLine(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

struct Layout {
  std::vector<size_t> shown;   // columns, in order
  std::vector<size_t> widths;  // of the shown ones
  std::vector<size_t> hidden;
};

// Cuts the widest columns first, down to kLeast each; then leaves out columns from the middle.
Layout Plan(const TextTable& table, const std::vector<std::vector<std::string>>& cells, int width, size_t between,
            size_t around) {
  Layout out;
  std::vector<size_t> natural;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    size_t w = std::max<size_t>(1, DisplayWidth(OneLine(table.columns[c].name)));
    for (const auto& row : cells) w = std::max(w, DisplayWidth(row[c]));
    natural.push_back(w);
    out.shown.push_back(c);
  }
  out.widths = natural;
  if (width <= 0) return out;
  auto room = static_cast<size_t>(width);
  auto total = [&] {
    return std::accumulate(out.widths.begin(), out.widths.end(), size_t{0}) +
           between * (out.widths.empty() ? 0 : out.widths.size() - 1) + around;
  };
  auto least_total = [&] {
    size_t sum = around + between * (out.shown.size() - 1);
    for (size_t c : out.shown)
      sum += std::min(natural[c], std::max(kLeast, std::min<size_t>(DisplayWidth(table.columns[c].name), 10)));
    return sum;
  };
  while (out.shown.size() > 2 && least_total() > room) {
    size_t middle = out.shown.size() / 2;
    out.hidden.push_back(out.shown[middle]);
    out.shown.erase(out.shown.begin() + static_cast<ptrdiff_t>(middle));
    out.widths.erase(out.widths.begin() + static_cast<ptrdiff_t>(middle));
  }
  std::sort(out.hidden.begin(), out.hidden.end());
  while (total() > room) {
    auto widest = std::max_element(out.widths.begin(), out.widths.end());
    if (*widest <= kLeast) break;
    --*widest;
  }
  return out;
}

std::vector<std::vector<std::string>> Cells(const TextTable& table) {
  std::vector<std::vector<std::string>> out;
  out.reserve(table.rows.size());
  for (const auto& row : table.rows) {
    auto& cells = out.emplace_back();
    for (const auto& cell : row) cells.push_back(cell ? OneLine(*cell) : "NULL");
  }
  return out;
}

std::string HiddenNote(const TextTable& table, const Layout& layout, const Terminal& terminal) {
  if (layout.hidden.empty()) return "";
  std::vector<std::string> names;
  for (size_t c : layout.hidden) names.push_back(table.columns[c].name);
  return terminal.Paint(fmt::format("not shown, the terminal is too narrow: {}", Join(names, ", ")), Colour::kGrey) +
         "\n";
}

}  // namespace

std::string Draw(const TextTable& table, int width, const Terminal& terminal) {
  auto cells = Cells(table);
  auto layout = Plan(table, cells, width, 3, 4);
  auto line = [&](std::string_view left, std::string_view middle, std::string_view right) {
    std::string out(left);
    for (size_t i = 0; i < layout.shown.size(); ++i) {
      if (i > 0) out += middle;
      for (size_t k = 0; k < layout.widths[i] + 2; ++k) out += "─";
    }
    return out + std::string(right) + "\n";
  };
  std::string out = line("┌", "┬", "┐");
  out += "│";
  for (size_t i = 0; i < layout.shown.size(); ++i) {
    const auto& column = table.columns[layout.shown[i]];
    out += " " + terminal.Paint(Fit(OneLine(column.name), layout.widths[i], column.right), Colour::kBold) + " │";
  }
  out += "\n" + line("├", "┼", "┤");
  for (size_t r = 0; r < cells.size(); ++r) {
    out += "│";
    for (size_t i = 0; i < layout.shown.size(); ++i) {
      size_t c = layout.shown[i];
      auto text = Fit(cells[r][c], layout.widths[i], table.columns[c].right);
      out += " " + (table.rows[r][c] ? text : terminal.Paint(text, Colour::kGrey)) + " │";
    }
    out += "\n";
  }
  out += line("└", "┴", "┘");
  return out + HiddenNote(table, layout, terminal);
}

std::string DrawPlain(const TextTable& table, int width, const Terminal& terminal) {
  auto cells = Cells(table);
  for (size_t r = 0; r < cells.size(); ++r) {
    for (size_t c = 0; c < cells[r].size(); ++c) {
      if (!table.rows[r][c]) cells[r][c] = "-";
    }
  }
  auto layout = Plan(table, cells, width, 2, 0);
  std::string out;
  auto add = [&](auto text_of, Colour colour) {
    std::string line;
    for (size_t i = 0; i < layout.shown.size(); ++i) {
      const auto& column = table.columns[layout.shown[i]];
      std::string text = Fit(text_of(layout.shown[i]), layout.widths[i], column.right);
      if (i + 1 == layout.shown.size() && !column.right) {
        while (!text.empty() && text.back() == ' ') text.pop_back();
      }
      line += (i > 0 ? "  " : "") + (colour == Colour::kNone ? text : terminal.Paint(text, colour));
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out += line + "\n";
  };
  add([&](size_t c) { return OneLine(table.columns[c].name); }, Colour::kGrey);
  for (const auto& row : cells) add([&](size_t c) { return row[c]; }, Colour::kNone);
  return out + HiddenNote(table, layout, terminal);
}

}  // namespace quern::cli
