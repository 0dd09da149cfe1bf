"""Makes the golden counts of ModelSummaryTests with PyTorch's FlopCounterMode.

    python Tests/Scripts/make_operations_golden.py > Tests/LightningTests/Golden/operations.json

Made with torch 2.13. The networks are those of Tests/LightningTests/Callbacks/ModelSummaryTests.swift, layer by layer.
"""

import json

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class Attention(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.projection = nn.Linear(size, 3 * size)
        self.output = nn.Linear(size, size)
        self.heads = heads

    def forward(self, x):
        batch, length, size = x.shape
        q, k, v = self.projection(x).view(batch, length, 3, self.heads, size // self.heads).permute(2, 0, 3, 1, 4)
        # Written out: the mode does not count the fused operation on a CPU.
        mixed = (q @ k.transpose(-1, -2) / (size // self.heads) ** 0.5).softmax(-1) @ v
        return self.output(mixed.transpose(1, 2).reshape(batch, length, size))


networks = {
    "mlp": (nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5)), (7, 20)),
    "convolution": (
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 12, (3, 2), stride=(2, 1), groups=4, bias=False),
            nn.Flatten(),
            nn.Linear(12 * 2 * 5, 10),
        ),
        (2, 3, 12, 12),
    ),
    "attention": (Attention(24, 4), (3, 10, 24)),
}

counts = {}
for name, (network, shape) in networks.items():
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.randn(shape))
    counts[name] = {"operations": counter.get_total_flops()}
print(json.dumps(counts, indent=1))
