#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cli/terminal.h"

namespace quern::cli {

/// A table for people: lines and columns, fitted to a width.
struct TextTable {
  struct Column {
    std::string name;
    bool right = false;  ///< numbers
  };
  std::vector<Column> columns;
  /// Rows x columns; nothing stands for NULL.
  std::vector<std::vector<std::optional<std::string>>> rows;

  void Add(std::vector<std::optional<std::string>> row) { rows.push_back(std::move(row)); }
};

/// Draws the table in at most `width` columns (0: no limit). Wide columns are cut (…); when even that does not help,
/// columns in the middle are left out, and a line says which.
std::string Draw(const TextTable& table, int width, const Terminal& terminal);

/// Columns two blanks apart, no lines around: for lists.
std::string DrawPlain(const TextTable& table, int width, const Terminal& terminal);

}  // namespace quern::cli
