"""Makes the golden numbers of the example networks with torchvision, PyTorch and PyTorch Lightning's demos.

    PYTHONPATH=FOLDER_OF_TORCHVISION python Tests/Scripts/make_network_golden.py Tests/LightningTests/Golden

Made with PyTorch 2.13, torchvision 0.29 and PyTorch Lightning 2.6 on a CPU, in float64. Of torchvision only the networks
are needed, which are Python: `pip install --no-deps --target FOLDER torchvision` will do.

Weights and inputs are not kept, but made by a formula of their key and index (`values`) that the Swift tests know too. Of
each gradient and running moment a digest is kept: its sum, its norm and four of its elements.
"""

import json
import pathlib
import sys
import types

# torchvision's compiled part belongs to one version of PyTorch, and its networks do without.
sys.modules["torchvision._meta_registrations"] = types.ModuleType("absent")

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision.models as models
from lightning.pytorch.demos.transformer import Transformer


def words(key, count):
    """`count` numbers of 53 bits: SplitMix64 from a seed that is the FNV-1a hash of the key."""
    seed = 0xCBF29CE484222325
    for byte in key.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(11)


def values(key, shape):
    """Numbers in -1 ..< 1."""
    count = int(np.prod(shape))
    return torch.tensor(words(key, count).astype(np.float64) * 2.0**-52 - 1).reshape(shape)


def fill(network):
    """Matrices by their inputs, so that activations keep their size; vectors near 1 (weights) or 0 (biases)."""
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            u = values(key, parameter.shape)
            if parameter.dim() > 1:
                inputs = parameter.numel() // parameter.shape[0]
                parameter.copy_(u * (6 / inputs) ** 0.5)
            else:
                parameter.copy_(1 + u / 4 if key.endswith("weight") else u / 8)
    return network


def digest(tensor):
    x = tensor.detach().to(torch.float64).reshape(-1)
    last = x.numel() - 1
    return [x.sum().item(), x.norm().item()] + [x[last * i // 3].item() for i in range(4)]


RECORDS = {}


def record(name, network, inputs, labels, apply=None, loss=F.cross_entropy, rate=None):
    """Logits, loss and gradients of one batch; with a rate, the losses of three steps of gradient descent on it."""
    network = fill(network.to(torch.float64)).train()
    output = apply(network) if apply else network(inputs)
    value = loss(output, labels)
    value.backward()
    RECORDS[name] = {
        "logits": output.detach().reshape(-1)[:40].tolist(),
        "loss": value.item(),
        "gradients": {key: digest(parameter.grad) for key, parameter in network.named_parameters()},
        "buffers": {key: digest(buffer) for key, buffer in network.named_buffers()},
    }
    optimizer = torch.optim.SGD(network.parameters(), lr=rate or 0, momentum=0.9)
    losses = []
    for _ in range(3 if rate else 0):
        optimizer.zero_grad()
        value = loss(network(inputs), labels)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    RECORDS[name]["losses"] = losses
    print(name, losses or value.item(), len(RECORDS[name]["gradients"]))


class BidirectionalClassifier(nn.Module):
    def __init__(self, kind, layers):
        super().__init__()
        self.embedding = nn.Embedding(50, 12)
        self.recurrent = kind(12, 16, num_layers=layers, bidirectional=True, batch_first=True)
        self.head = nn.Linear(32, 7)

    def forward(self, tokens, lengths=None):
        x = self.embedding(tokens)
        if lengths is not None:
            x = nn.utils.rnn.pack_padded_sequence(
                x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        _, state = self.recurrent(x)
        state = state[0] if isinstance(state, tuple) else state
        return self.head(torch.cat([state[-2], state[-1]], 1))


def main(folder):
    torch.use_deterministic_algorithms(True)
    images, labels = values("images", (4, 3, 48, 48)), torch.tensor([3, 1, 4, 1])
    for name in ["resnet18", "resnet34", "resnet50"]:
        record(name, getattr(models, name)(num_classes=10), images, labels, rate=5e-4 if name == "resnet50" else None)
    small, few = values("small", (2, 3, 32, 48)), torch.tensor([5, 9])
    for name in ["vgg11", "vgg11_bn", "vgg16", "vgg16_bn"]:
        network = getattr(models, name)(num_classes=10, dropout=0.0, init_weights=False)
        # Three times four thousand columns would be all that the test does.
        network.classifier[0] = nn.Linear(512 * 7 * 7, 24)
        network.classifier[3] = nn.Linear(24, 24)
        network.classifier[6] = nn.Linear(24, 10)
        record(name, network, small, few, rate=2e-5 if name == "vgg16" else None)
    tokens = torch.tensor((words("tokens", 5 * 9) % 50).astype(np.int64)).reshape(5, 9)
    classes = torch.tensor([0, 6, 2, 2, 5])
    record("bidirectional.lstm", BidirectionalClassifier(nn.LSTM, 2), tokens, classes, rate=0.02)
    record("bidirectional.gru", BidirectionalClassifier(nn.GRU, 1), tokens, classes)
    record("bidirectional.lengths", BidirectionalClassifier(nn.LSTM, 1), tokens, classes,
           apply=lambda m: m(tokens, [9, 2, 5, 1, 7]))
    target = tokens.roll(1, 1)
    record("wordTransformer", Transformer(50, 16, 2, 24, 2, 0.0), tokens, target.reshape(-1),
           apply=lambda m: m(tokens, target), loss=F.nll_loss)
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in RECORDS.items())
    (folder / "networks.json").write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
