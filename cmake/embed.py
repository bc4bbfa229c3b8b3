#!/usr/bin/env python3
"""Writes a C++ source that holds files as text: embed.py OUT NAMESPACE NAME=FILE...  (symbols NAME and NAMESize)."""
import pathlib
import sys

out, namespace, *items = sys.argv[1:]
lines = ["// Made by cmake/embed.py.", "#include <cstddef>", f"namespace {namespace} {{"]
for item in items:
    name, _, file = item.partition("=")
    data = pathlib.Path(file).read_bytes()
    lines.append(f"extern const char {name}[];")
    lines.append(f"extern const size_t {name}Size;")
    lines.append(f"const char {name}[] =")
    for at in range(0, max(len(data), 1), 64):
        chunk = data[at : at + 64]
        text = "".join(
            chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in chunk
        )
        lines.append(f'    "{text}"')
    lines[-1] += ";"
    lines.append(f"const size_t {name}Size = {len(data)};")
lines.append("}")
target = pathlib.Path(out)
text = "\n".join(lines) + "\n"
if not target.exists() or target.read_text() != text:
    target.write_text(text)
