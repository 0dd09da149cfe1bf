"""Makes Sources/ExampleModules/Data/digits.h5 from scikit-learn's copy of the UCI handwritten digits.

    python3 -m venv venv && venv/bin/pip install scikit-learn h5py
    venv/bin/python Tests/Scripts/make_digits.py

The 1,797 images are the test part of "Optical Recognition of Handwritten Digits". The file is the same, byte for
byte, every time it is made with the same versions of h5py and zlib.
"""

import pathlib

import h5py
import numpy
from sklearn.datasets import load_digits

digits = load_digits()
images = digits.images
labels = digits.target
assert images.shape == (1797, 8, 8) and images.min() == 0 and images.max() == 16
assert (images == numpy.round(images)).all()
assert labels.shape == (1797,) and sorted(set(labels.tolist())) == list(range(10))

path = pathlib.Path(__file__).parents[2] / "Sources/ExampleModules/Data/digits.h5"


def text(value):
    return numpy.bytes_(value.encode("utf-8"))


with h5py.File(path, "w", libver=("v108", "v108")) as file:
    file.attrs["title"] = text("Optical Recognition of Handwritten Digits, test set")
    file.attrs["source"] = text("UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, through scikit-learn")
    file.attrs["citation"] = text(
        "E. Alpaydin and C. Kaynak (1998). Optical Recognition of Handwritten Digits. "
        "UCI Machine Learning Repository. https://doi.org/10.24432/C50P49"
    )
    file.attrs["licence"] = text("CC BY 4.0, https://creativecommons.org/licenses/by/4.0/")
    options = dict(compression="gzip", compression_opts=9, fletcher32=True, track_times=False)
    # One chunk compresses best, and the whole set is wanted at once.
    dataset = file.create_dataset("images", data=images.astype("u1"), chunks=(1797, 8, 8), **options)
    dataset.attrs["meaning"] = text("sample, row, column; ink from 0 (none) to 16")
    dataset = file.create_dataset("labels", data=labels.astype("u1"), chunks=(1797,), **options)
    dataset.attrs["meaning"] = text("the digit, 0 to 9")

print(path, path.stat().st_size, "bytes")
