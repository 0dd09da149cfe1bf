"""Makes the golden numbers of OptimizersTests with PyTorch: parameters after steps, learning rates, clipped gradients.

    python Tests/Scripts/make_optimizer_golden.py Tests/OptimizersTests/Golden

Made with PyTorch 2.13 on a CPU, in both precisions, from values and gradients that are exact in float32.
"""

import pathlib
import sys

import torch

from golden import Archive, numbers

normal, _ = numbers(20240609)
archive = Archive()
SHAPES = {"matrix": (3, 4), "vector": (5,), "number": ()}
STEPS = 24
KEPT = [1, 2, 3, 10, 24]
BEGIN = {name: normal(*shape) for name, shape in SHAPES.items()}
# Gradients of very different sizes, and none at all now and then.
GRADIENTS = [
    {name: normal(*shape, scale=10.0 ** (step % 4 - 2)) * (step % 7 != 5) for name, shape in SHAPES.items()}
    for step in range(STEPS)
]


def optimizers():
    one = {"matrix": {}, "vector": {}, "number": {}}
    two = {"matrix": {"lr": 0.05, "weight_decay": 0.2}, "vector": {"weight_decay": 0.0}, "number": {}}
    return {
        "sgd": (torch.optim.SGD, {"lr": 0.1}, one),
        "sgd.decay": (torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.05}, one),
        "sgd.momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}, one),
        "sgd.dampening": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.01}, one),
        "sgd.nesterov": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, one),
        "sgd.groups": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}, two),
        "adam": (torch.optim.Adam, {}, one),
        "adam.settings": (torch.optim.Adam, {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}, one),
        "adam.amsgrad": (torch.optim.Adam, {"lr": 0.02, "amsgrad": True}, one),
        "adamw": (torch.optim.AdamW, {}, one),
        "adamw.settings": (torch.optim.AdamW, {"lr": 0.03, "betas": (0.8, 0.95), "weight_decay": 0.3}, one),
        "adamw.amsgrad": (torch.optim.AdamW, {"lr": 0.02, "amsgrad": True, "weight_decay": 0.1}, one),
        "adamw.groups": (torch.optim.AdamW, {"lr": 0.02}, two),
    }


def steps(name, kind, settings, groups):
    for dtype, suffix in [(torch.float64, "f8"), (torch.float32, "f4")]:
        parameters = {key: torch.nn.Parameter(value.to(dtype, copy=True)) for key, value in BEGIN.items()}
        optimizer = kind([{"params": [parameters[key]], **own} for key, own in groups.items()], **settings)
        for step, gradients in enumerate(GRADIENTS):
            for key, parameter in parameters.items():
                parameter.grad = gradients[key].to(dtype, copy=True)
            optimizer.step()
            if step + 1 in KEPT:
                for key, parameter in parameters.items():
                    archive.put(f"{name}/{suffix}/{step + 1}/{key}", parameter, suffix)


def rates(name, build, count=40, base=0.3, values=None):
    """The learning rate before each step of an epoch, and after the last."""
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([parameter], lr=base)
    schedule = build(optimizer)
    rates = [optimizer.param_groups[0]["lr"]]
    for i in range(count):
        optimizer.step()
        schedule.step(*([values[i]] if values is not None else []))
        rates.append(optimizer.param_groups[0]["lr"])
    archive.put(f"schedule/{name}", torch.tensor(rates, dtype=torch.float64), "f8")


def schedules():
    s = torch.optim.lr_scheduler
    rates("step", lambda o: s.StepLR(o, 7, gamma=0.3))
    rates("step.default", lambda o: s.StepLR(o, 1))
    rates("multiStep", lambda o: s.MultiStepLR(o, [3, 11, 11, 25], gamma=0.5))
    rates("exponential", lambda o: s.ExponentialLR(o, 0.93))
    rates("cosine", lambda o: s.CosineAnnealingLR(o, 40))
    rates("cosine.floor", lambda o: s.CosineAnnealingLR(o, 40, eta_min=0.03))
    # Five steps of a linear rise that ends at the full rate, then half a cosine over the other 35.
    rates("cosine.warmUp", lambda o: s.SequentialLR(o, [
        s.LinearLR(o, start_factor=0.2, end_factor=1.0, total_iters=4), s.CosineAnnealingLR(o, 35, eta_min=0.03),
    ], milestones=[5]))
    rates("lambda", lambda o: s.LambdaLR(o, lambda n: 1 / (1 + n)))
    wave = [2 - 0.05 * i if i < 12 else 1.4 + 0.3 * ((i * 7) % 5) / 5 for i in range(40)]
    archive.put("schedule/plateau.values", torch.tensor(wave, dtype=torch.float64), "f8")
    rates("plateau.min", lambda o: s.ReduceLROnPlateau(o, factor=0.5, patience=2, eps=0), values=wave)
    rates("plateau.max", lambda o: s.ReduceLROnPlateau(
        o, mode="max", factor=0.7, patience=4, threshold=0.2, min_lr=0.03, eps=0), values=wave)


def clipping():
    for kind in ["f4", "f8"]:
        dtype = {"f4": torch.float32, "f8": torch.float64}[kind]
        for name, limit, clip in [
            ("norm.small", 0.5, torch.nn.utils.clip_grad_norm_), ("norm.large", 100.0, torch.nn.utils.clip_grad_norm_),
            ("value", 0.75, torch.nn.utils.clip_grad_value_),
        ]:
            parameters = {key: torch.nn.Parameter(value.to(dtype, copy=True)) for key, value in BEGIN.items()}
            for key, parameter in parameters.items():
                parameter.grad = GRADIENTS[2][key].to(dtype).clone()
            norm = clip(list(parameters.values()), limit)
            if norm is not None:
                archive.put(f"clipping/{name}/{kind}/total", norm, kind)
            for key, parameter in parameters.items():
                archive.put(f"clipping/{name}/{kind}/{key}", parameter.grad, kind)


def main(folder):
    for key, value in BEGIN.items():
        archive.put(f"begin/{key}", value, "f4")
    for step, gradients in enumerate(GRADIENTS):
        for key, value in gradients.items():
            archive.put(f"gradients/{step}/{key}", value, "f4")
    for name, (kind, settings, groups) in optimizers().items():
        steps(name, kind, settings, groups)
    schedules()
    clipping()
    archive.write(folder, "optimizers")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
