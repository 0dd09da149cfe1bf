"""Makes the golden numbers of NNTests with PyTorch: outputs, gradients and states of every layer.

    python Tests/Scripts/make_nn_golden.py Tests/NNTests/Golden

Made with PyTorch 2.13 on a CPU, in float64 from weights and inputs that are exact in float32. The gradients are those
of the sum of `weights(n) · output`. Modules have the same names for their parts as the Swift ones, so that the keys of
their states are the same.
"""

import pathlib
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

from golden import Archive, numbers, weights

normal, integers = numbers(20240608)
archive = Archive()


def fill(module):
    """Gives every parameter and running moment its own values."""
    for name, value in list(module.named_parameters()) + list(module.named_buffers()):
        if name.endswith("num_batches_tracked"):
            continue
        with torch.no_grad():
            fresh = normal(*value.shape, scale=0.5, shift=0.25 if value.dim() == 1 else 0)
            value.copy_(fresh.abs() + 0.5 if name.endswith("running_var") else fresh)
    return module


def put_state(name, module):
    """The state; a tied weight is in it under each of its names, and in gradients under its first."""
    for key, value in module.state_dict().items():
        archive.put(f"{name}/state/{key}", value, "f4" if value.is_floating_point() else "i8")


def record(name, module, *inputs, call=None, training=True):
    """State, inputs, output (what `call` makes of module and inputs), gradients of inputs and of all parameters."""
    module = fill(module.to(torch.float64)).train(training)
    put_state(name, module)
    arguments = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    for i, x in enumerate(inputs):
        archive.put(f"{name}/input{i}", x, "f4" if x.is_floating_point() else "i8")
    output = call(module, *arguments) if call else module(*arguments)
    archive.put(f"{name}/output", output, "f8")
    if output.requires_grad:
        (output.reshape(-1) * weights(output.numel())).sum().backward()
    for i, x in enumerate(arguments):
        if x.is_floating_point():
            archive.put(f"{name}/inputGradient{i}", x.grad, "f8")
    for key, parameter in module.named_parameters():
        archive.put(f"{name}/gradient/{key}", parameter.grad, "f8")


class SelfAttention(nn.Module):
    def __init__(self, size, heads, causal, bias):
        super().__init__()
        self.projection = nn.Linear(size, 3 * size, bias=bias)
        self.output = nn.Linear(size, size, bias=bias)
        self.heads, self.causal = heads, causal

    def forward(self, x):
        batch, length, size = x.shape
        q, k, v = (t.reshape(batch, length, self.heads, -1).transpose(1, 2) for t in self.projection(x).split(size, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.output(y.transpose(1, 2).reshape(batch, length, size))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.firstNorm = nn.LayerNorm(width, bias=False)
        self.attention = SelfAttention(width, heads, True, False)
        self.secondNorm = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        x = x + self.attention(self.firstNorm(x))
        return x + self.down(F.gelu(self.up(self.secondNorm(x))))


class Transformer(nn.Module):
    """The character transformer of ExampleModules, with the mean cross-entropy as its output."""

    def __init__(self, vocabulary, context, width, heads, layers):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=False)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens, labels):
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), labels.flatten())


class Classifier(nn.Module):
    """The image classifier of ExampleModules without dropout, with the mean cross-entropy as its output."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Identity(), nn.Linear(8, 5))

    def forward(self, images, labels):
        return F.cross_entropy(self.head(self.features(images)), labels)


class Pooled(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def layers():
    x = normal(4, 3, 5)
    record("linear", nn.Linear(5, 7), x)
    record("linear.plain", nn.Linear(5, 7, bias=False), x)
    record("linear.vector", nn.Linear(5, 2), normal(5))
    record("embedding", nn.Embedding(6, 4), integers(6, 3, 5))
    for name, module in {
        "relu": nn.ReLU(), "gelu": nn.GELU(), "silu": nn.SiLU(), "tanh": nn.Tanh(), "sigmoid": nn.Sigmoid(),
        "identity": nn.Identity(), "flatten": nn.Flatten(),
    }.items():
        record(name, module, normal(3, 4, 2, scale=2))
    record("layerNorm", nn.LayerNorm(5), normal(4, 3, 5, scale=2, shift=1))
    record("layerNorm.plain", nn.LayerNorm(5, bias=False, eps=1e-3), normal(4, 3, 5, scale=2, shift=1))
    record("batchNorm.evaluation", nn.BatchNorm2d(3), normal(4, 3, 2, 5, scale=2, shift=1), training=False)
    images = normal(2, 4, 7, 6)
    record("conv", nn.Conv2d(4, 6, 3), images)
    record("conv.plain", nn.Conv2d(4, 6, 3, bias=False), images)
    record("conv.strided", nn.Conv2d(4, 6, 3, stride=2, padding=1), images)
    record("conv.grouped", nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2), images)
    record("conv.window", nn.Conv2d(4, 6, (3, 2), (1, 2), (0, 1)), images)
    record("maxPool", nn.MaxPool2d(2), images)
    record("maxPool.overlapping", nn.MaxPool2d(3, 2, 1), images)
    record("averagePool", nn.AvgPool2d(2), images)
    record("averagePool.overlapping", nn.AvgPool2d(3, 2, 1), images)
    record("globalAveragePool", Pooled(), images)
    record("sequential", nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Sequential(nn.Linear(8, 4), nn.Tanh()),
                                       nn.Linear(4, 3)), x)
    sequences = normal(2, 5, 8)
    record("attention", SelfAttention(8, 2, False, True), sequences)
    record("attention.causal", SelfAttention(8, 4, True, True), sequences)
    record("attention.plain", SelfAttention(8, 1, True, False), sequences)
    record("block", Block(8, 2), sequences)
    record("transformer", Transformer(11, 7, 8, 2, 2), integers(11, 3, 6), integers(11, 3, 6))
    record("classifier", Classifier(), normal(6, 1, 8, 8), integers(5, 6))


def moments(name, module, batches):
    """Several batches in training: each output, the gradients over all, the state after each; then evaluation."""
    module = fill(module.to(torch.float64)).train()
    put_state(name, module)
    for i, x in enumerate(batches):
        archive.put(f"{name}/batch{i}", x, "f4")
        x = x.clone().requires_grad_()
        y = module(x)
        archive.put(f"{name}/output{i}", y, "f8")
        (y.reshape(-1) * weights(y.numel())).sum().backward()
        archive.put(f"{name}/inputGradient{i}", x.grad, "f8")
        archive.put(f"{name}/mean{i}", module.running_mean, "f8")
        archive.put(f"{name}/variance{i}", module.running_var, "f8")
    for key, parameter in module.named_parameters():
        archive.put(f"{name}/gradient/{key}", parameter.grad, "f8")
    archive.put(f"{name}/count", module.num_batches_tracked, "i8")
    module.eval()
    archive.put(f"{name}/evaluated", module(batches[0]), "f8")


def joined(results):
    """All tensors of nested tuples in one vector."""
    if isinstance(results, torch.Tensor):
        return results.reshape(-1)
    return torch.cat([joined(result) for result in results])


def recurrent():
    """Output and states after the last step, one after the other."""
    plain = lambda module, x: joined(module(x))
    given = lambda module, x, *state: joined(module(x, state if len(state) > 1 else state[0]))

    def packed(*lengths):
        def call(module, x):
            steps = nn.utils.rnn.pack_padded_sequence(
                x, torch.tensor(lengths), batch_first=module.batch_first, enforce_sorted=False)
            output, state = module(steps)
            length = x.shape[1 if module.batch_first else 0]
            output, _ = nn.utils.rnn.pad_packed_sequence(
                output, batch_first=module.batch_first, total_length=length)
            return joined((output, state))
        return call

    for name, kind in {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}.items():
        record(name, kind(4, 3), normal(5, 2, 4), call=plain)
        record(f"{name}.single", kind(2, 5, bias=False), normal(1, 3, 2), call=plain)
        record(f"{name}.deep", kind(4, 3, num_layers=2, bidirectional=True, batch_first=True), normal(2, 5, 4),
               call=plain)
        states = [normal(4, 2, 3) for _ in range(2 if kind is nn.LSTM else 1)]
        record(f"{name}.given", kind(4, 3, num_layers=2, bidirectional=True), normal(5, 2, 4), *states, call=given)
        record(f"{name}.lengths", kind(3, 4, num_layers=2, bidirectional=True, batch_first=True), normal(3, 4, 3),
               call=packed(2, 4, 1))
    record("rnn.relu", nn.RNN(4, 3, nonlinearity="relu", num_layers=2), normal(5, 2, 4), call=plain)


def more_layers():
    x = normal(3, 4, 6, scale=2)
    for name, module in {
        "leakyReLU": nn.LeakyReLU(0.2), "prelu": nn.PReLU(), "prelu.channels": nn.PReLU(4), "elu": nn.ELU(1.5),
        "softplus": nn.Softplus(), "softplus.sharp": nn.Softplus(3), "hardtanh": nn.Hardtanh(-0.5, 1.5),
        "relu6": nn.ReLU6(), "softmax": nn.Softmax(1), "logSoftmax": nn.LogSoftmax(-1), "logSigmoid": nn.LogSigmoid(),
        "mish": nn.Mish(), "hardsigmoid": nn.Hardsigmoid(), "hardswish": nn.Hardswish(),
        "flatten.middle": nn.Flatten(1, 2), "unflatten": nn.Unflatten(1, (2, -1)),
    }.items():
        record(name, module, x * 3 if name in ["relu6", "hardsigmoid", "hardswish"] else x)
    images = normal(2, 4, 7, 6, shift=0.5)
    record("groupNorm", nn.GroupNorm(2, 4), images)
    record("groupNorm.plain", nn.GroupNorm(4, 4, eps=1e-3, affine=False), images)
    record("groupNorm.rows", nn.GroupNorm(1, 4), normal(5, 4))
    record("conv1d", nn.Conv1d(4, 6, 3), x)
    record("conv1d.grouped", nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=False), x)
    record("convTranspose", nn.ConvTranspose2d(4, 6, 3), images)
    record("convTranspose.few", nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1), images)
    record("convTranspose.padded", nn.ConvTranspose2d(4, 5, 3, stride=2, padding=1, output_padding=1), images)
    record("convTranspose.grouped", nn.ConvTranspose2d(4, 6, (3, 2), (3, 2), (2, 0), (2, 0), 2, False, (2, 1)), images)
    record("maxPool1d", nn.MaxPool1d(3, 2, 1), x)
    record("averagePool1d", nn.AvgPool1d(2), x)
    record("adaptiveAveragePool", nn.AdaptiveAvgPool2d((3, 4)), images)
    record("adaptiveAveragePool.larger", nn.AdaptiveAvgPool2d((9, 6)), images)
    record("adaptiveAveragePool.one", nn.AdaptiveAvgPool2d(1), images)
    record("upsample.nearest", nn.Upsample(scale_factor=2), images)
    record("upsample.nearest.size", nn.Upsample((10, 4)), images)
    record("upsample.bilinear", nn.Upsample(scale_factor=2, mode="bilinear"), images)
    record("upsample.bilinear.size", nn.Upsample((5, 11), mode="bilinear"), images)
    record("upsample.bilinear.corners", nn.Upsample((5, 11), mode="bilinear", align_corners=True), images)


def transformers():
    x, y = normal(2, 5, 8), normal(2, 3, 8)
    hidden = torch.zeros(3, 5, dtype=torch.bool)
    hidden[0, 2] = hidden[1, 2] = hidden[1, 4] = True
    padding = torch.zeros(2, 5, dtype=torch.bool)
    padding[0, 3:] = padding[1, 4] = True
    shifts = (torch.arange(25) % 7).to(torch.float64).reshape(5, 5) / 4 - 0.5
    causal = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
    short = torch.triu(torch.ones(3, 3, dtype=torch.bool), 1)

    def attention(name, *inputs, bias=True, **arguments):
        record(name, nn.MultiheadAttention(8, 2, bias=bias, batch_first=True), *inputs,
               call=lambda module, *t: module(*(t if len(t) == 3 else t * 3), need_weights=False, **arguments)[0])

    attention("multihead", x)
    attention("multihead.causal", x, attn_mask=causal)
    attention("multihead.plain", x, bias=False)
    attention("multihead.padded", x, key_padding_mask=padding)
    attention("multihead.padded.causal", x, key_padding_mask=padding, attn_mask=causal)
    attention("multihead.added", x, attn_mask=shifts)
    attention("multihead.cross", y, x, x * 0.5)
    attention("multihead.cross.hidden", y, x, x * 0.5, attn_mask=hidden)
    attention("multihead.cross.padded", y, x, x * 0.5, key_padding_mask=padding)

    plain = dict(d_model=8, nhead=2, dim_feedforward=12, dropout=0.0, batch_first=True)
    first = dict(plain, activation="gelu", norm_first=True, layer_norm_eps=1e-3, bias=False)
    record("encoderLayer", nn.TransformerEncoderLayer(**plain), x, call=lambda m, x: m(x, src_mask=causal))
    record("encoderLayer.normFirst", nn.TransformerEncoderLayer(**first), x,
           call=lambda m, x: m(x, src_key_padding_mask=padding))
    record("decoderLayer", nn.TransformerDecoderLayer(**plain), y, x, call=lambda m, y, x: m(y, x, tgt_mask=short))
    record("decoderLayer.normFirst", nn.TransformerDecoderLayer(**first), y, x,
           call=lambda m, y, x: m(y, x, memory_mask=hidden, memory_key_padding_mask=padding))
    record("transformerEncoder", nn.TransformerEncoder(nn.TransformerEncoderLayer(**plain), 2), x)
    record("fullTransformer", nn.Transformer(num_encoder_layers=2, num_decoder_layers=1, **plain), x, y,
           call=lambda m, x, y: m(x, y, tgt_mask=short, src_key_padding_mask=padding, memory_key_padding_mask=padding))


def main(folder):
    torch.use_deterministic_algorithms(True)
    layers()
    images = [normal(n, 3, 4, 2, scale=2, shift=0.5 * n) for n in (4, 4, 1, 3)]
    moments("batchNorm.images", nn.BatchNorm2d(3), images)
    moments("batchNorm.settings", nn.BatchNorm2d(3, eps=1e-2, momentum=0.4), images)
    moments("batchNorm.cumulative", nn.BatchNorm2d(3, momentum=None), images)
    moments("batchNorm.rows", nn.BatchNorm1d(3), [normal(n, 3, shift=1) for n in (5, 2)])
    recurrent()
    more_layers()
    transformers()
    archive.write(folder, "layers")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
