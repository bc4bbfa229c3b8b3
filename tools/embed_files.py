#!/usr/bin/env python3
"""Writes a C++ file that holds the files of some folders, for `quern init`.

usage: embed_files.py OUT NAME=FOLDER...
What a project makes when it runs (warehouse, history, build output) is left out.
"""
import pathlib
import sys

LEFT_OUT = {"warehouse", ".quern", "target", "logs", "dbt_packages", "__pycache__", "report.html", ".venv", ".user.yml"}


def literal(data: bytes) -> str:
    lines, line = [], ""
    for byte in data:
        if byte == 0x0A:
            lines.append(line + "\\n")
            line = ""
            continue
        char = chr(byte)
        if char in '"\\':
            line += "\\" + char
        elif 0x20 <= byte < 0x7F and char != "?":  # '?': trigraphs
            line += char
        else:
            line += f"\\{byte:03o}"
    lines.append(line)
    return "\n".join(f'      "{part}"' for part in lines)


def main() -> None:
    out = pathlib.Path(sys.argv[1])
    text = ['#include "cli/templates.h"', "", "namespace quern::cli {", "", "const std::vector<Template>& Templates() {",
            "  static const std::vector<Template> templates = {"]
    for argument in sys.argv[2:]:
        name, folder = argument.split("=", 1)
        root = pathlib.Path(folder)
        text.append(f'      {{"{name}", {{')
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            relative = path.relative_to(root)
            if LEFT_OUT.intersection(relative.parts) or path.suffix in (".duckdb", ".pyc"):
                continue
            data = path.read_bytes()
            text.append(f'      {{"{relative.as_posix()}", std::string_view(\n{literal(data)}, {len(data)})}},')
        text.append("      }},")
    text += ["  };", "  return templates;", "}", "", "}  // namespace quern::cli", ""]
    new = "\n".join(text)
    if not out.exists() or out.read_text() != new:
        out.write_text(new)


main()
