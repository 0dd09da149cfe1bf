import Tensors
import TestSupport
import Testing

/// Misuse stops the program and says which operation, and with which shapes.
struct MisuseTests {
    private static func zeros(_ shape: Shape, _ dtype: DType = .float32) -> Tensor { Tensor.zeros(shape, dtype: dtype) }

    /// What is done, and what the message must hold.
    static let mistakes: [String: (parts: [String], act: @Sendable () -> Void)] = [
        "broadcast": (["+: ", "[2, 3]", "[4, 3]"], { _ = zeros([2, 3]) + zeros([4, 3]) }),
        "types": (["*: ", "float32 [2]", "float64 [2]"], { _ = zeros([2]) * zeros([2], .float64) }),
        "comparison": ([".<: ", "[2]", "[3]"], { _ = zeros([2]) .< zeros([3]) }),
        "select": (
            ["select: ", "mask [5]", "[2, 3]"],
            {
                _ = Tensor.select(where: zeros([5], .uint8), zeros([2, 3]), zeros([3]))
            }
        ),
        "mask type": (
            ["select: ", "float32", "uint8"], { _ = Tensor.select(where: zeros([2]), zeros([2]), zeros([2])) }
        ),
        "matmul": (["matmul: ", "[2, 3]", "[4, 5]", "3 and 4"], { _ = zeros([2, 3]).matmul(zeros([4, 5])) }),
        "matmul batch": (["matmul: ", "[2, 3, 3]", "[4, 3, 3]"], { _ = zeros([2, 3, 3]).matmul(zeros([4, 3, 3])) }),
        "matmul integers": (
            ["matmul: ", "int64 [2, 2]"], { _ = zeros([2, 2], .int64).matmul(zeros([2, 2], .int64)) }
        ),
        "linear": (["linear: ", "[2, 3]", "[5, 4]"], { _ = zeros([2, 3]).linear(weight: zeros([5, 4]), bias: nil) }),
        "linear types": (
            ["linear: float64 [2, 3] with weight float32 [4, 3]; convert the input: converted(to: .float32)"],
            {
                _ = zeros([2, 3], .float64).linear(weight: zeros([4, 3]), bias: nil)
            }
        ),
        "backward of a plain tensor": (
            ["backward: ", "a plain Tensor where a Parameter was meant"], { zeros([2]).sum().backward() }
        ),
        "linear integers": (
            ["linear: ", "int64 [2, 3]"],
            {
                _ = zeros([2, 3], .int64).linear(weight: zeros([4, 3], .int64), bias: nil)
            }
        ),
        "linear bias": (
            ["linear: ", "[4]", "[5, 3]"],
            {
                _ = zeros([2, 3]).linear(weight: zeros([5, 3]), bias: zeros([4]))
            }
        ),
        "reshaped": (["reshaped: ", "[2, 3]", "[4, 2]"], { _ = zeros([2, 3]).reshaped(to: [4, 2]) }),
        "reshaped unknown": (["reshaped: ", "[2, 3]", "[-1, 4]"], { _ = zeros([2, 3]).reshaped(to: [-1, 4]) }),
        "expanded": (["expanded: ", "[2, 3]", "[4, 3]"], { _ = zeros([2, 3]).expanded(to: [4, 3]) }),
        "slice": (["slice: ", "1..<5", "[2, 3]"], { _ = zeros([2, 3]).slice(1..<5, along: 1) }),
        "dimension": (["transposed: ", "dimension 2", "[2, 3]"], { _ = zeros([2, 3]).transposed(0, 2) }),
        "permuted": (["permuted: ", "[0, 0]", "[2, 3]"], { _ = zeros([2, 3]).permuted([0, 0]) }),
        "squeezed": (["squeezed: ", "[2, 3]"], { _ = zeros([2, 3]).squeezed(0) }),
        "split": (["split: ", "[1, 1]", "[3]"], { _ = zeros([3]).split([1, 1]) }),
        "concatenate": (
            ["concatenate: ", "[2, 3]", "[2, 4]"], { _ = Tensor.concatenate([zeros([2, 3]), zeros([2, 4])]) }
        ),
        "concatenate nothing": (["concatenate: ", "no tensors"], { _ = Tensor.concatenate([]) }),
        "sum twice": (["sum: ", "[0, -2]", "[2, 3]"], { _ = zeros([2, 3]).mean(along: [0, -2]) }),
        "sum bytes": (["sum: ", "bytes"], { _ = zeros([2], .uint8).sum() }),
        "max of nothing": (["max: ", "[0]"], { _ = zeros([0]).max() }),
        "exp of integers": (["exp: ", "int64"], { _ = zeros([2], .int64).exp() }),
        "half integers": (["affine: ", "2.5", "int64 [2]"], { _ = zeros([2], .int64) * 2.5 }),
        "labels": (["crossEntropy: ", "label 7", "0 ..< 3"], { _ = crossEntropy(zeros([1, 3]), Tensor([Int64(7)])) }),
        "label shape": (["crossEntropy: ", "[4, 3]", "[2]"], { _ = crossEntropy(zeros([4, 3]), zeros([2], .int64)) }),
        "likelihood labels": (
            ["negativeLogLikelihood: ", "[4, 3]", "[1]"],
            {
                _ = negativeLogLikelihood(zeros([4, 3]), zeros([1], .int64))
            }
        ),
        "accuracy labels": (["accuracy: ", "[4, 3]", "[1]"], { _ = accuracy(zeros([4, 3]), zeros([1], .int64)) }),
        "squared error": (
            ["meanSquaredError: ", "[2]", "[2, 1]"], { _ = meanSquaredError(zeros([2]), zeros([2, 1])) }
        ),
        "smooth error": (
            ["smoothAbsoluteError: ", "-1.0"], { _ = smoothAbsoluteError(zeros([2]), zeros([2]), beta: -1) }
        ),
        "divergence": (["klDivergence: ", "[2]", "[3]"], { _ = klDivergence(zeros([2]), zeros([3])) }),
        "class weights": (
            ["crossEntropy: ", "[2]", "3 classes"],
            {
                _ = crossEntropy(zeros([1, 3]), zeros([1], .int64), classWeights: zeros([2]))
            }
        ),
        "class probabilities": (
            ["crossEntropy: ", "[1, 3]", "[3]"], { _ = crossEntropy(zeros([1, 3]), probabilities: zeros([3])) }
        ),
        "transposed convolution": (
            ["convTranspose2d: ", "[1, 3, 4, 4]", "[2, 5, 3, 3]", "channels differ"],
            {
                _ = zeros([1, 3, 4, 4]).convolvedTransposed(
                    weight: zeros([2, 5, 3, 3]), bias: nil, window: Window(kernel: 3))
            }
        ),
        "output padding": (
            ["convTranspose2d: ", "output padding (height: 1, width: 0)", "must be smaller"],
            {
                _ = zeros([1, 2, 4, 4]).convolvedTransposed(
                    weight: zeros([2, 5, 3, 3]), bias: nil, window: Window(kernel: 3), outputPadding: (1, 0))
            }
        ),
        "recurrence": (
            ["recurrence: ", "[4, 2, 12]", "[9, 3]", "[2, 3]"],
            {
                _ = zeros([4, 2, 12]).recurrence(.gru, weight: zeros([9, 3]), bias: nil, state: zeros([2, 3]))
            }
        ),
        "rows": (["rows(at:): ", "index 5", "0 ..< 5"], { _ = zeros([5, 2]).rows(at: Tensor([Int64(5)])) }),
        "oneHot": (["oneHot: ", "index -1", "0 ..< 3"], { _ = Tensor.oneHot(Tensor([Int64(-1)]), classes: 3) }),
        "layerNorm": (
            ["layerNorm: ", "[4]", "[2, 3]"], { _ = zeros([2, 3]).layerNorm(weight: zeros([4]), bias: nil) }
        ),
        "batchNorm": (
            ["batchNorm: ", "[4]", "[2, 3]"], { _ = zeros([2, 3]).batchNorm(weight: zeros([4]), bias: nil) }
        ),
        "batchNorm type": (
            ["batchNorm: ", "float64 [3]", "float32 [2, 3]"],
            {
                _ = zeros([2, 3]).batchNorm(weight: zeros([3], .float64), bias: nil)
            }
        ),
        "batchNorm moments": (
            ["batchNorm: ", "variance", "[2]", "[2, 3]"],
            {
                _ = zeros([2, 3]).batchNorm(weight: nil, bias: nil, moments: (zeros([3]), zeros([2])))
            }
        ),
        "batchNorm of one": (["batchNorm: ", "[1, 3]"], { _ = zeros([1, 3]).batchNorm(weight: nil, bias: nil) }),
        "convolution": (
            ["conv2d: ", "[1, 3, 5, 5]", "[4, 2, 3, 3]"],
            {
                _ = zeros([1, 3, 5, 5]).convolved(weight: zeros([4, 2, 3, 3]), bias: nil, window: Window(kernel: 3))
            }
        ),
        "large kernel": (
            ["conv2d: ", "height: 7, width: 7", "5×5"],
            {
                _ = zeros([1, 1, 5, 5]).convolved(weight: zeros([1, 1, 7, 7]), bias: nil, window: Window(kernel: 7))
            }
        ),
        "no stride": (
            ["maxPool2d: ", "stride (height: 0, width: 0)"],
            {
                _ = zeros([1, 1, 5, 5]).maxPooled(Window(kernel: 2, stride: 0))
            }
        ),
        "pool padding": (
            ["maxPool2d: ", "padding"], { _ = zeros([1, 1, 5, 5]).maxPooled(Window(kernel: 2, padding: 2)) }
        ),
        "attention": (
            ["attention: ", "[1, 1, 2, 3]", "[1, 1, 2, 4]"],
            {
                _ = scaledDotProductAttention(
                    query: zeros([1, 1, 2, 3]), key: zeros([1, 1, 2, 4]), value: zeros([1, 1, 2, 4]))
            }
        ),
        "causal attention": (
            ["attention: ", "3 queries", "2 keys"],
            {
                _ = scaledDotProductAttention(
                    query: zeros([1, 1, 3, 3]), key: zeros([1, 1, 2, 3]), value: zeros([1, 1, 2, 3]), isCausal: true)
            }
        ),
        "dropout": (["dropout: ", "1.0"], { _ = zeros([2]).droppedOut(1) }),
        "creation": (["Tensor: ", "[2, 2]", "3"], { _ = Tensor([1, 2, 3] as [Float], shape: [2, 2]) }),
        "array type": (["array(of:): ", "float32", "int64"], { _ = zeros([2]).array(of: Int64.self) }),
        "too large": (["MemoryPool: ", "bytes"], { _ = Tensor(uninitialized: [1 << 55]) }),
        "item": (["item: ", "[2]"], { _ = zeros([2]).item }),
        "rank": (["Shape: ", "9 dimensions", "8"], { _ = Shape(repeating: 1, count: 9) }),
        "assign": (["Parameter.assign: ", "[3]", "[2]"], { Parameter(zeros([2])).assign(zeros([3])) }),
        "integer parameter": (["Parameter: ", "int64"], { _ = Parameter(zeros([2], .int64)) }),
        "buffer": (["Buffer.value: ", "[3]", "[2]"], { Buffer(zeros([2])).value = zeros([3]) }),
        "backward of many": (["backward: ", "[2]"], { Parameter(zeros([2])).value.squared().backward() }),
        "backward of none": (["backward: ", "does not depend"], { zeros([]).backward() }),
        "backward twice": (
            ["backward: ", "keepingGraph"],
            {
                let p = Parameter(zeros([2]))
                let y = p.value.exp().sum()
                y.backward()
                y.backward()
            }
        ),
        "writing a recorded tensor": (
            ["withUnsafeMutableBytes: ", "gradient"],
            {
                var x = Parameter(zeros([2])).value
                x.withUnsafeMutableBytes { _ in }
            }
        ),
        "mixed arena": (
            ["ParameterArena: ", "float64", "float32"],
            {
                _ = ParameterArena([Parameter(zeros([2], .float64))], dtype: .float32)
            }
        ),
    ]

    @Test(arguments: mistakes.keys.sorted()) func stopsWithAMessage(name: String) async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { [name] in
            MisuseTests.mistakes[name]?.act()
        }
        let message = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        for part in try #require(Self.mistakes[name]).parts {
            #expect(message.contains(part), "'\(part)' is not in: \(message.prefix(300))")
        }
    }
}
