"""Makes the golden numbers of TensorsTests with PyTorch: values and gradients of every operation, in both precisions.

    python Tests/Scripts/make_golden.py Tests/TensorsTests/Golden

Made with PyTorch 2.13 on a CPU. Writes `operations.json`, an index, and `operations.bin`, the numbers (little-endian
float32 and int64 inputs; float64 and float32 results). The gradient is that of the sum, over all results, of
`weights(n) · result`; the Swift tests use the same weights. The Swift side of each case has the same name.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

DIGITS = np.random.RandomState(20240607)


def weights(count, dtype):
    """Fixed weights of the results, exact in float32."""
    i = torch.arange(count, dtype=torch.int64)
    return (((i * 37 + 11) % 61 - 30).to(dtype)) / 32


def normal(*shape, scale=1.0, shift=0.0):
    return torch.tensor(DIGITS.normal(shift, scale, shape).astype(np.float32))


def uniform(low, high, *shape):
    return torch.tensor(DIGITS.uniform(low, high, shape).astype(np.float32))


def integers(high, *shape):
    return torch.tensor(DIGITS.randint(0, high, shape), dtype=torch.int64)


CASES = []


def case(name, inputs, function):
    """One operation: `function` takes the inputs and returns a tensor or a tuple of them."""
    CASES.append((name, inputs, function))


def elementwise():
    x = torch.cat([normal(30, scale=2), torch.tensor([0.0, 1.0, -1.0, 8.0, -8.0, 20.0, -20.0, 0.625, -0.625, 3.0])])
    positive = torch.cat([uniform(0.01, 4, 34), torch.tensor([1e-3, 0.5, 1.0, 2.0, 100.0, 1e4])])
    x, positive = x.reshape(5, 8), positive.reshape(5, 8)
    nonzero = torch.where(x.abs() < 1e-3, torch.ones_like(x), x)
    for name, function in {
        "exp": torch.exp, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": torch.relu, "gelu": F.gelu,
        "silu": F.silu, "softplus": lambda a: F.softplus(a, threshold=1000), "absolute": torch.abs,
        "squared": torch.square, "sin": torch.sin, "cos": torch.cos, "negative": torch.neg,
        "clamped": lambda a: a.clamp(-1, 2), "plusNumber": lambda a: a + 1.25, "numberPlus": lambda a: 1.25 + a,
        "minusNumber": lambda a: a - 0.75, "numberMinus": lambda a: 0.75 - a, "timesNumber": lambda a: a * -1.7,
        "numberTimes": lambda a: -1.7 * a, "overNumber": lambda a: a / 3,
    }.items():
        case(name, [x], function)
    for name, function in {
        "log": torch.log, "squareRoot": torch.sqrt, "reciprocalSquareRoot": torch.rsqrt,
        "power2.5": lambda a: a ** 2.5, "power-1.5": lambda a: a ** -1.5,
    }.items():
        case(name, [positive], function)
    for name, function in {
        "reciprocal": torch.reciprocal, "numberOver": lambda a: 2.5 / a, "power2": lambda a: a ** 2,
        "power3": lambda a: a ** 3,
    }.items():
        case(name, [nonzero], function)
    case("converted", [x], lambda a: a.to(torch.float64 if a.dtype == torch.float32 else torch.float32))


def pairs():
    ties = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1)
    operands = {
        "same": (normal(3, 4), normal(3, 4)),
        "row": (normal(3, 4), normal(4)),
        "column": (normal(3, 4), normal(3, 1)),
        "outer": (normal(4, 1), normal(3)),
        "deep": (normal(2, 1, 3, 1), normal(4, 1, 5)),
        "scalar": (normal(), normal(2, 3)),
        "ties": (ties, torch.tensor([[1.0, 5.0, 3.0, 2.0]])),
    }
    functions = {
        "add": torch.add, "subtract": torch.subtract, "multiply": torch.multiply, "maximum": torch.maximum,
        "minimum": torch.minimum, "equal": torch.eq, "notEqual": torch.ne, "less": torch.lt, "lessEqual": torch.le,
        "greater": torch.gt, "greaterEqual": torch.ge,
    }
    for kind, (a, b) in operands.items():
        for name, function in functions.items():
            case(f"{name}.{kind}", [a, b], function)
        case(f"divide.{kind}", [a, torch.where(b.abs() < 0.3, b + 1, b)], torch.divide)
        case(f"select.{kind}", [a, b], lambda a, b: torch.where(a.detach() * 2 < b.detach(), a, b))


def views():
    x = normal(2, 3, 4)
    for name, function in {
        "reshaped": lambda a: a.reshape(4, 6), "reshaped.unknown": lambda a: a.reshape(3, -1),
        "reshaped.transposed": lambda a: a.transpose(0, 2).reshape(6, 4), "flattened": lambda a: a.flatten(1),
        "flattened.all": lambda a: a.flatten(), "transposed": lambda a: a.transpose(-2, -1),
        "transposed.outer": lambda a: a.transpose(0, 2), "permuted": lambda a: a.permute(2, 0, 1),
        "expandingDimension": lambda a: a.unsqueeze(1), "expandingDimension.last": lambda a: a.unsqueeze(-1),
        "squeezed": lambda a: a[:, 1:2].transpose(0, 2).squeeze(1), "slice": lambda a: a[:, 1:3],
        "slice.last": lambda a: a[:, :, 1:3], "slice.first": lambda a: a[1:2], "selectIndex": lambda a: a[:, :, -1],
        "subscript": lambda a: a[1], "contiguous": lambda a: a.transpose(0, 1).contiguous(),
    }.items():
        case(name, [x], function)
    case("expanded", [normal(2, 1, 3)], lambda a: a.expand(2, 4, 3))
    case("expanded.rank", [normal(3)], lambda a: a.expand(2, 4, 3))
    case("split", [x], lambda a: a.split([1, 3], dim=-1))
    case("split.first", [normal(5, 2)], lambda a: a.split([2, 1, 2]))
    case("concatenate", [normal(2, 3), normal(4, 3)], lambda *t: torch.cat(t))
    case("concatenate.last", [normal(2, 3), normal(2, 1), normal(2, 2)], lambda *t: torch.cat(t, -1))
    case("stack", [normal(2, 3), normal(2, 3)], lambda *t: torch.stack(t))
    case("stack.last", [normal(2, 3), normal(2, 3)], lambda *t: torch.stack(t, -1))


def reductions():
    x = normal(3, 4, 5)
    for name, function in {
        "sum": lambda a: a.sum(), "sum.first": lambda a: a.sum(0), "sum.middle": lambda a: a.sum(1),
        "sum.last": lambda a: a.sum(-1), "sum.ends": lambda a: a.sum((0, 2)),
        "sum.leading": lambda a: a.sum((0, 1)), "sum.trailing": lambda a: a.sum((1, 2), keepdim=True),
        "mean": lambda a: a.mean(), "mean.middle": lambda a: a.mean(1, keepdim=True),
        "mean.ends": lambda a: a.mean((0, -1)), "variance": lambda a: a.var((0, 1, 2)),
        "variance.last": lambda a: a.var(-1, correction=0, keepdim=True),
        "variance.ends": lambda a: a.var((0, 2), correction=1),
        "max": lambda a: a.max(), "min": lambda a: a.min(), "max.first": lambda a: a.max(0).values,
        "max.last": lambda a: a.max(-1).values, "min.middle": lambda a: a.min(1, keepdim=True).values,
        "argmax": lambda a: a.argmax(-1), "argmin": lambda a: a.argmin(1), "argmax.first": lambda a: a.argmax(0),
        "softmax": lambda a: a.softmax(-1), "softmax.middle": lambda a: a.softmax(1),
        "softmax.first": lambda a: a.softmax(0), "logSoftmax": lambda a: a.log_softmax(-1),
        "logSoftmax.first": lambda a: a.log_softmax(0),
    }.items():
        case(name, [x], function)
    wide = normal(3, 45, scale=4)
    case("softmax.wide", [wide], lambda a: a.softmax(-1))
    case("logSoftmax.wide", [wide], lambda a: a.log_softmax(-1))


def losses():
    logits, labels = normal(6, 7, scale=2), integers(7, 6)
    some = labels.clone()
    some[1] = -100
    some[4] = -100
    for reduction in ["mean", "sum", "none"]:
        case(f"crossEntropy.{reduction}", [logits, labels],
             lambda x, y, r=reduction: F.cross_entropy(x, y, reduction=r))
        case(f"crossEntropy.ignored.{reduction}", [logits, some],
             lambda x, y, r=reduction: F.cross_entropy(x, y, reduction=r))
        case(f"crossEntropy.smoothed.{reduction}", [logits, some],
             lambda x, y, r=reduction: F.cross_entropy(x, y, label_smoothing=0.1, reduction=r))
    case("crossEntropy.sequence", [normal(2, 3, 5), integers(5, 2, 3)],
         lambda x, y: F.cross_entropy(x.transpose(1, 2), y))
    case("crossEntropy.wide", [normal(2, 50, scale=4), integers(50, 2)], F.cross_entropy)
    case("negativeLogLikelihood", [logits, labels], lambda x, y: F.nll_loss(x.log_softmax(-1), y))
    a, b = normal(3, 5), normal(3, 5)
    case("meanSquaredError", [a, b], F.mse_loss)
    case("meanAbsoluteError", [a, b], F.l1_loss)
    case("binaryCrossEntropy", [normal(3, 5, scale=4), uniform(0, 1, 3, 5)], F.binary_cross_entropy_with_logits)
    case("accuracy", [logits, labels], lambda x, y: (x.argmax(-1) == y).to(x.dtype).mean())


def tables():
    case("rows", [normal(5, 3), torch.tensor([[4, 0, 4], [2, 4, 1]])], lambda t, i: t[i])
    case("rows.vector", [normal(6), torch.tensor([5, 5, 0])], lambda t, i: t[i])
    case("rows.deep", [normal(3, 2, 2), torch.tensor([1, 1, 2, 0])], lambda t, i: t[i])
    case("oneHot", [normal(2, 3, 4), torch.tensor([[3, 0, 1], [2, 2, 3]])], lambda x, i: x * F.one_hot(i, 4))


def normalization():
    x, w, b = normal(4, 3, 19, scale=2, shift=0.5), normal(19), normal(19)
    case("layerNorm.plain", [x], lambda x: F.layer_norm(x, (19,)))
    case("layerNorm.weight", [x, w], lambda x, w: F.layer_norm(x, (19,), w, eps=1e-3))
    case("layerNorm", [x, w, b], lambda x, w, b: F.layer_norm(x, (19,), w, b))
    x, w, b = normal(4, 3, 5, 4, scale=2, shift=0.5), normal(3), normal(3)

    def batch_norm(x, w=None, b=None):
        dims = [d for d in range(x.dim()) if d != 1]
        y = F.batch_norm(x, None, None, w, b, training=True)
        return y, x.detach().mean(dims), x.detach().var(dims, correction=0)

    case("batchNorm", [x, w, b], batch_norm)
    case("batchNorm.plain", [x], batch_norm)
    case("batchNorm.matrix", [normal(9, 3), w, b], batch_norm)
    case("batchNorm.given", [x, w, b], lambda x, w, b: F.batch_norm(
        x, torch.tensor([0.25, -0.5, 1.0], dtype=x.dtype), torch.tensor([1.5, 0.5, 2.0], dtype=x.dtype), w, b))


def windows():
    x = normal(2, 4, 7, 6)
    plain, grouped, depthwise = normal(6, 4, 3, 3, scale=0.4), normal(6, 2, 3, 2, scale=0.4), normal(8, 1, 3, 3)
    six, eight = normal(6), normal(8)
    case("convolved", [x, plain, six], F.conv2d)
    case("convolved.plain", [x, plain], F.conv2d)
    case("convolved.strided", [x, plain, six], lambda *t: F.conv2d(*t, stride=(2, 3), padding=(1, 2)))
    case("convolved.dilated", [x, plain, six], lambda *t: F.conv2d(*t, dilation=(2, 1), padding=(2, 1)))
    case("convolved.grouped", [x, grouped, six], lambda *t: F.conv2d(*t, groups=2, padding=1))
    case("convolved.depthwise", [x, depthwise, eight], lambda *t: F.conv2d(*t, groups=4, stride=2))
    case("convolved.pointwise", [x, normal(6, 4, 1, 1), six], F.conv2d)
    case("convolved.pointwise.grouped", [x, normal(6, 2, 1, 1)], lambda *t: F.conv2d(*t, groups=2))
    case("convolved.pointwise.strided", [x, normal(6, 4, 1, 1), six], lambda *t: F.conv2d(*t, stride=2))
    case("maxPooled", [x], lambda x: F.max_pool2d(x, 2))
    case("maxPooled.overlapping", [x], lambda x: F.max_pool2d(x, (3, 2), (2, 1), (1, 1)))
    case("maxPooled.dilated", [x], lambda x: F.max_pool2d(x, 2, 1, 0, dilation=(3, 2)))
    case("averagePooled", [x], lambda x: F.avg_pool2d(x, 2))
    case("averagePooled.overlapping", [x], lambda x: F.avg_pool2d(x, (3, 2), (2, 1), (1, 1)))


def attention():
    def shape(batch, heads, length, size):
        return normal(batch, heads, length, size)

    for name, queries, keys in [("square", 5, 5), ("short", 3, 6), ("one", 1, 4)]:
        q, k, v = shape(2, 3, queries, 4), shape(2, 3, keys, 4), shape(2, 3, keys, 4)
        case(f"attention.{name}", [q, k, v], F.scaled_dot_product_attention)
        mask = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
        case(f"attention.causal.{name}", [q, k, v],
             lambda q, k, v, m=mask: F.scaled_dot_product_attention(q, k, v, attn_mask=m))
    # The heads cut out of one projection [batch, length, 3 · heads · size].
    def projected(x):
        q, k, v = [t.reshape(2, 5, 2, 3).transpose(1, 2) for t in x.split(6, -1)]
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(2, 5, 6)
    case("attention.projected", [normal(2, 5, 18)], projected)


def products():
    m, n, k = 5, 4, 3
    case("matmul", [normal(m, k), normal(k, n)], torch.matmul)
    case("matmul.tn", [normal(k, m), normal(k, n)], lambda a, b: a.T @ b)
    case("matmul.nt", [normal(m, k), normal(n, k)], lambda a, b: a @ b.T)
    case("matmul.tt", [normal(k, m), normal(n, k)], lambda a, b: a.T @ b.T)
    case("matmul.batch", [normal(2, m, k), normal(2, k, n)], torch.matmul)
    case("matmul.batch.tt", [normal(2, k, m), normal(2, n, k)], lambda a, b: a.mT @ b.mT)
    case("matmul.batch.matrix", [normal(2, 3, m, k), normal(k, n)], torch.matmul)
    case("matmul.batch.matrix.t", [normal(2, k, m), normal(n, k)], lambda a, b: a.mT @ b.T)
    case("matmul.matrix.batch", [normal(m, k), normal(2, k, n)], torch.matmul)
    case("matmul.broadcast", [normal(2, 1, m, k), normal(3, k, n)], torch.matmul)
    case("matmul.broadcast.deep", [normal(1, 3, m, k), normal(2, 1, k, n)], torch.matmul)
    case("matmul.vectors", [normal(k), normal(k)], torch.matmul)
    case("matmul.vector.matrix", [normal(k), normal(k, n)], torch.matmul)
    case("matmul.matrix.vector", [normal(m, k), normal(k)], torch.matmul)
    case("matmul.batch.vector", [normal(2, m, k), normal(k)], torch.matmul)
    case("matmul.vector.batch", [normal(k), normal(2, k, n)], torch.matmul)
    case("matmul.row.column", [normal(1, k), normal(k, 1)], torch.matmul)
    case("matmul.column.row", [normal(m, 1), normal(1, n)], torch.matmul)
    case("matmul.tall", [normal(2, 200, scale=0.5), normal(200, 3, scale=0.5)], torch.matmul)
    case("linear", [normal(m, k), normal(n, k), normal(n)], F.linear)
    case("linear.plain", [normal(m, k), normal(n, k)], F.linear)
    case("linear.batch", [normal(2, m, k), normal(n, k), normal(n)], F.linear)
    case("linear.vector", [normal(k), normal(n, k), normal(n)], F.linear)
    case("linear.transposed", [normal(k, m), normal(k, n), normal(n)], lambda x, w, b: F.linear(x.T, w.T, b))


def more_losses():
    logits, labels = normal(6, 5, scale=2), integers(5, 6)
    labels[2] = -100
    classes = torch.tensor([0.5, 2.0, 1.0, 0.25, 3.0])
    a, b = normal(4, 5, scale=2), normal(4, 5)
    chance, target = uniform(0.05, 0.95, 4, 5), uniform(0.05, 0.95, 4, 5)
    some, positive = torch.tensor([1.0, 0.5, 2.0, 0.75, 1.25]), torch.tensor([1.0, 2.0, 0.5, 3.0, 1.5])
    for reduction in ["mean", "sum", "none"]:
        case(f"crossEntropy.weighted.{reduction}", [logits, labels], lambda x, y, r=reduction: F.cross_entropy(
            x, y, weight=classes.to(x.dtype), reduction=r))
        case(f"crossEntropy.weighted.smoothed.{reduction}", [logits, labels], lambda x, y, r=reduction: F.cross_entropy(
            x, y, weight=classes.to(x.dtype), label_smoothing=0.2, reduction=r))
        case(f"crossEntropy.probabilities.{reduction}", [a, target], lambda x, y, r=reduction: F.cross_entropy(
            x, y, reduction=r))
        case(f"negativeLogLikelihood.weighted.{reduction}", [logits, labels], lambda x, y, r=reduction: F.nll_loss(
            x.log_softmax(-1), y, weight=classes.to(x.dtype), reduction=r))
        case(f"meanSquaredError.{reduction}", [a, b], lambda x, y, r=reduction: F.mse_loss(x, y, reduction=r))
        case(f"meanAbsoluteError.{reduction}", [a, b], lambda x, y, r=reduction: F.l1_loss(x, y, reduction=r))
        case(f"smoothAbsoluteError.{reduction}", [a, b], lambda x, y, r=reduction: F.smooth_l1_loss(
            x, y, beta=1.5, reduction=r))
        case(f"huberError.{reduction}", [a, b], lambda x, y, r=reduction: F.huber_loss(x, y, delta=1.5, reduction=r))
        case(f"binaryCrossEntropy.weighted.{reduction}", [a, target], lambda x, y, r=reduction:
             F.binary_cross_entropy_with_logits(
                 x, y, weight=some.to(x.dtype), pos_weight=positive.to(x.dtype), reduction=r))
        case(f"binaryCrossEntropy.probabilities.{reduction}", [chance, target], lambda x, y, r=reduction:
             F.binary_cross_entropy(x, y, weight=some.to(x.dtype), reduction=r))
        case(f"klDivergence.{reduction}", [a, target], lambda x, y, r=reduction: F.kl_div(
            x.log_softmax(-1), y, reduction=r))
        case(f"klDivergence.logarithm.{reduction}", [a, b], lambda x, y, r=reduction: F.kl_div(
            x.log_softmax(-1), y, log_target=True, reduction=r))
    case("negativeLogLikelihood.ignored", [logits, labels], lambda x, y: F.nll_loss(x.log_softmax(-1), y))


def more_activations():
    x = normal(5, 8, scale=2)
    case("leakyReLU", [x], lambda a: F.leaky_relu(a, 0.2))
    case("elu", [x], lambda a: F.elu(a, 1.5))
    case("logSigmoid", [x], F.logsigmoid)
    case("mish", [x], F.mish)
    case("hardSwish", [x * 2], F.hardswish)
    # F.hardsigmoid's gradient has 1/6 in single precision.
    case("hardSigmoid", [x * 2], lambda a: F.relu6(a + 3) / 6)


def main(folder):
    for group in [
        elementwise, pairs, views, reductions, losses, tables, normalization, windows, attention, products, more_losses,
        more_activations,
    ]:
        group()
    torch.use_deterministic_algorithms(True)
    data = bytearray()
    places = {}
    index = []

    def put(tensor, kind):
        array = tensor.detach().contiguous().numpy().astype({"f4": "<f4", "f8": "<f8", "i8": "<i8"}[kind])
        numbers = array.tobytes()
        if numbers not in places:
            places[numbers] = len(data)
            data.extend(numbers)
        return {"type": kind, "shape": list(array.shape), "offset": places[numbers]}

    for name, inputs, function in CASES:
        entry = {"name": name, "inputs": [put(t, "f4" if t.is_floating_point() else "i8") for t in inputs]}
        for dtype, kind in [(torch.float64, "f8"), (torch.float32, "f4")]:
            arguments = [t.to(dtype, copy=True).requires_grad_() if t.is_floating_point() else t for t in inputs]
            results = function(*arguments)
            results = list(results) if isinstance(results, tuple) else [results]
            entry[kind] = {"values": [put(r, kind) for r in results], "gradients": []}
            scored = [(r.reshape(-1) * weights(r.numel(), r.dtype)).sum() for r in results if r.requires_grad]
            if scored:
                sum(s.to(torch.float64) for s in scored).backward()
                entry[kind]["gradients"] = [
                    put(torch.zeros_like(t) if t.grad is None else t.grad, kind)
                    for t in arguments if t.is_floating_point()
                ]
        index.append(entry)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "operations.bin").write_bytes(data)
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in index)
    (folder / "operations.json").write_text("[\n" + lines + "\n]\n")
    print(f"{len(index)} cases, {len(data)} bytes of numbers, {len(lines)} bytes of index")
    assert len({entry["name"] for entry in index}) == len(index), "two cases share a name"


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
