"""Makes Tests/HDF5Tests/H5PyFixture.swift: a small file as h5py writes it, with types that this package does not.

    python3 -m venv venv && venv/bin/pip install h5py
    venv/bin/python Tests/Scripts/make_h5py_fixture.py
"""

import base64
import io
import pathlib
import re

import h5py
import numpy

memory = io.BytesIO()
with h5py.File(memory, "w", libver=("v108", "v110")) as file:
    file.attrs["text"] = "Grüße 東京"
    file.attrs["texts"] = ["a", "", "ßß"]
    file.attrs["spaces"] = numpy.array(b"padded  ", dtype=h5py.string_dtype("ascii", 8))
    file.attrs["small"] = numpy.int8(-7)
    file.attrs["half"] = numpy.float16(0.5)
    file.attrs["shorts"] = numpy.array([1, 65535], dtype=">u2")
    file.attrs["truth"] = True
    file["half"] = numpy.array([[0.5, -2.0], [numpy.inf, 65504.0]], dtype="f2")
    file["large"] = numpy.array([2**63, 1], dtype="u8")
    file["big_endian"] = numpy.arange(4, dtype=">f8")
    file["words"] = ["one", "two"]
    file["fixed"] = numpy.bytes_("fixed".encode())

image = memory.getvalue()
# The file is mostly zeros: only the rest is written down.
parts = [(match.start(), match.group()) for match in re.finditer(rb"[^\0](?:.{0,15}?[^\0])*", image, re.DOTALL)]
lines = [
    "import Foundation",
    "",
    f"/// A file of h5py {h5py.version.version}, made by `Tests/Scripts/make_h5py_fixture.py`.",
    "enum H5PyFixture {",
    "    /// The file, pieced together from the parts that are not zero.",
    "    static var image: [UInt8] {",
    "        var image = [UInt8](repeating: 0, count: size)",
    "        for (offset, text) in parts {",
    "            let bytes = Data(base64Encoded: text) ?? Data()",
    "            image.replaceSubrange(offset..<offset + bytes.count, with: bytes)",
    "        }",
    "        return image",
    "    }",
    "",
    f"    private static let size = {len(image)}",
    "",
    "    private static let parts: [(Int, String)] = [",
]
for offset, part in parts:
    for start in range(0, len(part), 66):
        text = base64.b64encode(part[start : start + 66]).decode()
        lines.append(f'        ({offset + start}, "{text}"),')
lines += ["    ]", "}", ""]
path = pathlib.Path(__file__).parents[1] / "HDF5Tests/H5PyFixture.swift"
path.write_text("\n".join(lines))
print(path, len(image), "bytes,", sum(len(part) for _, part in parts), "kept")
