"""The digest of a training set, computed as docs/reference/ml.md describes it and by nothing of Quern's."""
import datetime
import hashlib
import math
import struct

UTC = datetime.timezone.utc


def encode(value, kind):
    if value is None:
        return b"\0"
    if kind == "b":
        body = b"\1" if value else b"\0"
    elif kind == "i":
        body = struct.pack("<q", value)
    elif kind == "f":
        body = bytes.fromhex("000000000000f87f") if math.isnan(value) else struct.pack("<d", value + 0.0)
    else:
        if kind == "z":
            value = value.astimezone(UTC)
        text = {"d": "%Y-%m-%d", "n": "%Y-%m-%d %H:%M:%S.%f", "z": "%Y-%m-%d %H:%M:%S.%f"}
        raw = (value.strftime(text[kind]) if kind in text else value).encode()
        body = struct.pack("<I", len(raw)) + raw
    return b"\1" + body


def digest(columns, rows):
    """`columns`: name -> class (b i f d n z t); `rows`: dicts."""
    names = sorted(columns, key=str.encode)
    header = b"".join(struct.pack("<I", len(n.encode())) + n.encode() + columns[n].encode() for n in names)
    header = hashlib.sha256(header).digest()
    total = 0
    for row in rows:
        encoded = header + b"".join(encode(row[n], columns[n]) for n in names)
        total += int.from_bytes(hashlib.sha256(encoded).digest(), "big")
    return f"{total % 2**256:064x}"
