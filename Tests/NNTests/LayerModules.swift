import NN
import Tensors

/// The cases of layers beyond the basic ones.
let layerModules: [String: GoldenModule] = [
    "leakyReLU": .init { LeakyReLU(slope: 0.2) },
    "prelu": .init { PReLU() },
    "prelu.channels": .init { PReLU(4) },
    "elu": .init { ELU(alpha: 1.5) },
    "softplus": .init { Softplus() },
    "softplus.sharp": .init { Softplus(beta: 3) },
    "hardtanh": .init { Hardtanh(-0.5...1.5) },
    "relu6": .init { ReLU6() },
    "softmax": .init { Softmax(along: 1) },
    "logSoftmax": .init { LogSoftmax() },
    "logSigmoid": .init { LogSigmoid() },
    "mish": .init { Mish() },
    "hardsigmoid": .init { Hardsigmoid() },
    "hardswish": .init { Hardswish() },
    "flatten.middle": .init { Flatten(from: 1, through: 2) },
    "unflatten": .init { Unflatten(1, into: [2, -1]) },
    "groupNorm": .init { GroupNorm(2, 4) },
    "groupNorm.plain": .init { GroupNorm(4, 4, epsilon: 1e-3, affine: false) },
    "groupNorm.rows": .init { GroupNorm(1, 4) },
    "conv1d": .init { Conv1d(4, 6, kernel: 3) },
    "conv1d.grouped": .init { Conv1d(4, 6, kernel: 3, stride: 2, padding: 2, dilation: 2, groups: 2, bias: false) },
    "convTranspose": .init { ConvTranspose2d(4, 6, kernel: 3) },
    "convTranspose.few": .init { ConvTranspose2d(4, 3, kernel: 4, stride: 2, padding: 1) },
    "convTranspose.padded": .init { ConvTranspose2d(4, 5, kernel: 3, stride: 2, padding: 1, outputPadding: 1) },
    "convTranspose.grouped": .init {
        ConvTranspose2d(
            4, 6,
            window: Window(kernel: (3, 2), stride: (3, 2), padding: (2, 0), dilation: (2, 1)), outputPadding: (2, 0),
            groups: 2, bias: false)
    },
    "maxPool1d": .init { MaxPool1d(3, stride: 2, padding: 1) },
    "averagePool1d": .init { AveragePool1d(2) },
    "adaptiveAveragePool": .init { AdaptiveAveragePool2d(3, 4) },
    "adaptiveAveragePool.larger": .init { AdaptiveAveragePool2d(9, 6) },
    "adaptiveAveragePool.one": .init { AdaptiveAveragePool2d(1) },
    "upsample.nearest": .init { Upsample(scale: 2) },
    "upsample.nearest.size": .init { Upsample(size: (10, 4)) },
    "upsample.bilinear": .init { Upsample(scale: 2, mode: .bilinear()) },
    "upsample.bilinear.size": .init { Upsample(size: (5, 11), mode: .bilinear()) },
    "upsample.bilinear.corners": .init { Upsample(size: (5, 11), mode: .bilinear(alignsCorners: true)) },
]
