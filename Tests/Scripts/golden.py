"""What the scripts that make golden numbers share: an archive of named tensors.

`name.json` lists name, type, shape and place of each tensor, and `name.bin` holds the numbers, little-endian.
`GoldenTensors` of TestSupport reads them.
"""

import json

import numpy as np
import torch

KINDS = {"f4": "<f4", "f8": "<f8", "i8": "<i8"}


def weights(count, dtype=torch.float64):
    """Fixed weights of results, so that a gradient is that of a number; exact in float32, and the same in Swift."""
    i = torch.arange(count, dtype=torch.int64)
    return (((i * 37 + 11) % 61 - 30).to(dtype)) / 32


class Archive:
    def __init__(self):
        self.data = bytearray()
        self.places = {}
        self.index = []
        self.names = set()

    def put(self, name, tensor, kind):
        assert name not in self.names, f"two tensors are called {name}"
        self.names.add(name)
        array = torch.as_tensor(tensor).detach().contiguous().numpy().astype(KINDS[kind])
        numbers = array.tobytes()
        if numbers not in self.places:
            self.places[numbers] = len(self.data)
            self.data.extend(numbers)
        self.index.append({"name": name, "type": kind, "shape": list(array.shape), "offset": self.places[numbers]})

    def write(self, folder, name):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.bin").write_bytes(self.data)
        lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in self.index)
        (folder / f"{name}.json").write_text("[\n" + lines + "\n]\n")
        print(f"{name}: {len(self.index)} tensors, {len(self.data)} bytes of numbers, {len(lines)} bytes of index")


def numbers(seed):
    """A source of numbers that are exact in float32."""
    source = np.random.RandomState(seed)

    def normal(*shape, scale=1.0, shift=0.0):
        return torch.tensor(source.normal(shift, scale, shape).astype(np.float32)).to(torch.float64)

    def integers(high, *shape):
        return torch.tensor(source.randint(0, high, shape), dtype=torch.int64)

    return normal, integers
