"""Says what TensorBoard's own reader finds in an event file, as JSON.

    python Tests/Scripts/read_events.py Tests/LightningTests/Golden/events.tfevents > Tests/LightningTests/Golden/events.json

Made with tensorboard 2.21 and pillow 13. A test writes the event file again and compares the bytes, and what is said here with what it
wrote.
"""

import io
import json
import pathlib
import shutil
import sys
import tempfile

from PIL import Image
from google.protobuf import json_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

with tempfile.TemporaryDirectory() as folder:
    shutil.copy(sys.argv[1], pathlib.Path(folder) / "events.out.tfevents.0000000000.host")
    events = EventAccumulator(folder, size_guidance={"tensors": 0, "scalars": 0, "images": 0, "histograms": 0})
    events.Reload()

tags = events.Tags()
found = {"scalars": {}, "images": {}, "histograms": {}, "texts": {}, "hparams": {}}
for tag in tags["scalars"]:
    found["scalars"][tag] = [[e.wall_time, e.step, e.value] for e in events.Scalars(tag)]
for tag in tags["images"]:
    found["images"][tag] = [
        [e.step, e.width, e.height, picture.mode, list(picture.tobytes())]
        for e in events.Images(tag) for picture in [Image.open(io.BytesIO(e.encoded_image_string))]
    ]
for tag in tags["histograms"]:
    found["histograms"][tag] = [
        [e.step, [h.min, h.max, h.num, h.sum, h.sum_squares], list(h.bucket_limit), list(h.bucket)]
        for e in events.Histograms(tag) for h in [e.histogram_value]
    ]
for tag in tags["tensors"]:
    if events.SummaryMetadata(tag).plugin_data.plugin_name == "text":
        found["texts"][tag] = [[e.step, e.tensor_proto.string_val[0].decode()] for e in events.Tensors(tag)]
for tag, content in events.PluginTagToContent("hparams").items():
    parsed = {
        metadata.EXPERIMENT_TAG: metadata.parse_experiment_plugin_data,
        metadata.SESSION_START_INFO_TAG: metadata.parse_session_start_info_plugin_data,
        metadata.SESSION_END_INFO_TAG: metadata.parse_session_end_info_plugin_data,
    }[tag](content)
    found["hparams"][tag] = json_format.MessageToDict(parsed, preserving_proto_field_name=True)
print(json.dumps(found, separators=(",", ":"), sort_keys=True).replace('],"', '],\n"'))
