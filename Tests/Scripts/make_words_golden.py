"""Says how the demo WikiText2 of PyTorch Lightning numbers and cuts a text, as JSON.

    python Tests/Scripts/make_words_golden.py Tests/LightningTests/Golden/words.txt > Tests/LightningTests/Golden/words.json

Made with lightning 2.6.
"""

import json
import pathlib
import sys
import tempfile

from lightning.pytorch.demos.transformer import WikiText2

text = pathlib.Path(sys.argv[1]).read_bytes()
with tempfile.TemporaryDirectory() as directory:
    folder = pathlib.Path(directory)
    (folder / "wikitext-2.txt").write_bytes(text)
    data = WikiText2(data_dir=folder, block_size=7, download=False)
windows = [[part.tolist() for part in data[index]] for index in range(len(data))]
print(json.dumps({"words": data.dictionary.idx2word, "numbers": data.data.tolist(), "windows": windows}, indent=None))
