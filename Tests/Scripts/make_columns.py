"""Makes Tests/DataLoadingTests/Golden/columns.h5: columns as h5py writes them, in several layouts.

    python Tests/Scripts/make_columns.py Tests/DataLoadingTests/Golden/columns.h5

Needs h5py. Row `i` of each column is a formula of `i`, which the tests repeat.
"""
import sys

import h5py
import numpy

ROWS = 53


def main(path):
    row = numpy.arange(ROWS)
    with h5py.File(path, "w", libver="earliest", track_order=False) as file:
        images = (row[:, None, None] * 7 + numpy.arange(12).reshape(3, 4)) % 251
        # Chunks cut across rows and columns, compressed, of a type that tensors do not have.
        file.create_dataset("images", data=images.astype("uint16"), chunks=(8, 2, 3), compression="gzip", shuffle=True)
        # A chunk that is longer than a fifth of the rows, with a checksum.
        file.create_dataset("deep/labels", data=(row * 3 % 10).astype("int64"), chunks=(11,), fletcher32=True)
        # In one piece, most significant byte first.
        file.create_dataset("weights", data=(row / 4).astype(">f4"))
        file.create_dataset("half", data=(row[:, None] / 8 + numpy.arange(2)).astype("float16"), chunks=(5, 2))
        file.create_dataset("bytes", data=(row % 256).astype("uint8"), chunks=(64,), maxshape=(None,))
        file.create_dataset("short", data=row[:20].astype("float32"))
        file.create_dataset("single", data=numpy.float32(3))
        file.create_dataset("names", data=[f"row {i}" for i in row])


main(sys.argv[1])
