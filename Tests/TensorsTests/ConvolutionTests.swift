import Tensors
import TestSupport
import Testing

/// Convolutions against their definition, summed term by term.
struct ConvolutionTests {
    struct Case: CustomTestStringConvertible {
        var batch = 2
        var channels: Int
        var outputs: Int
        var size: (height: Int, width: Int)
        var window: Window
        var groups = 1
        var testDescription: String {
            "\(batch)×\(channels)×\(size) → \(outputs), \(window.kernel) / \(window.stride) + \(window.padding) "
                + "· \(window.dilation), \(groups) groups"
        }
    }

    /// All small windows on images of odd sizes, and channel counts on both sides of a block of outputs.
    static let small: [Case] = {
        var cases: [Case] = []
        for kernel in 1...4 {
            for stride in 1...3 {
                for padding in 0...2 {
                    for dilation in 1...3 where dilation * (kernel - 1) < 7 + 2 * padding {
                        let channels = (kernel + stride) % 3 + 1, wide = (stride + padding + dilation) % 4 == 0
                        cases.append(
                            Case(
                                channels: 2 * channels, outputs: wide ? 34 : 4, size: (7, 9),
                                window: Window(
                                    kernel: kernel, stride: stride, padding: padding, dilation: dilation),
                                groups: (kernel + padding) % 2 + 1))
                    }
                }
            }
        }
        return cases
    }()

    /// Sizes that are cut: many points, windows deeper than a panel, more outputs than a share has.
    static let large = [
        Case(batch: 40, channels: 1, outputs: 5, size: (13, 11), window: Window(kernel: 3, padding: 1)),
        Case(batch: 3, channels: 60, outputs: 150, size: (5, 4), window: Window(kernel: 3, padding: 1)),
        Case(
            batch: 2, channels: 33, outputs: 31, size: (12, 10),
            window: Window(kernel: (5, 3), stride: (2, 1), padding: (2, 0), dilation: (1, 2))),
        Case(batch: 9, channels: 16, outputs: 32, size: (17, 15), window: Window(kernel: 1), groups: 16),
    ]

    @Test(arguments: small + large) func equalsItsDefinition(_ example: Case) {
        let window = example.window, groups = example.groups
        let weightShape: Shape = [
            example.outputs, example.channels / groups, window.kernel.height, window.kernel.width,
        ]
        let x = Parameter(
            sampleValues([example.batch, example.channels, example.size.height, example.size.width], seed: 1))
        let w = Parameter(sampleValues(weightShape, seed: 2))
        let b = Parameter(sampleValues([example.outputs], seed: 3))
        let y = x.value.convolved(weight: w.value, bias: b.value, window: window, groups: groups)
        let gy = sampleValues(y.shape, seed: 4)
        y.backward(gradient: gy)

        let naive = NaiveConvolution(example, x.value, w.value, b.value, gy)
        expectClose(y.doubles, naive.y, relative: 1e-12, absolute: 1e-12, "result")
        expectClose(x.gradient?.doubles ?? [], naive.gx, relative: 1e-11, absolute: 1e-11, "input's gradient")
        expectClose(w.gradient?.doubles ?? [], naive.gw, relative: 1e-11, absolute: 1e-11, "weight's gradient")
        expectClose(b.gradient?.doubles ?? [], naive.gb, relative: 1e-11, absolute: 1e-11, "bias's gradient")
    }

    @Test(arguments: large) func singlePrecisionIsClose(_ example: Case) {
        let window = example.window, groups = example.groups
        let x = sampleValues([example.batch, example.channels, example.size.height, example.size.width], seed: 1)
        let w = sampleValues(
            [example.outputs, example.channels / groups, window.kernel.height, window.kernel.width], seed: 2)
        let wide = x.convolved(weight: w, bias: nil, window: window, groups: groups)
        let narrow = x.converted(to: .float32).convolved(
            weight: w.converted(to: .float32), bias: nil, window: window, groups: groups)
        expectClose(narrow, wide, relative: 1e-4, absolute: 1e-4)
    }

    /// Convolutions that go by Winograd's filtering, against double precision, which does not: patches that hang over the
    /// edges, all paddings, outputs that half fill a block, channels in one share and in several.
    static let filtered = [
        Case(batch: 4, channels: 32, outputs: 48, size: (15, 17), window: Window(kernel: 3, padding: 1)),
        Case(batch: 3, channels: 80, outputs: 32, size: (18, 18), window: Window(kernel: 3)),
        Case(batch: 5, channels: 48, outputs: 144, size: (12, 14), window: Window(kernel: (3, 3), padding: (2, 0))),
        Case(batch: 40, channels: 64, outputs: 64, size: (8, 8), window: Window(kernel: 3, padding: 1)),
    ]

    @Test(arguments: filtered) func filteringEqualsTheDefinition(_ example: Case) {
        let shape: Shape = [example.batch, example.channels, example.size.height, example.size.width]
        let weightShape: Shape = [example.outputs, example.channels, 3, 3]
        func run(_ type: DType) -> [Tensor] {
            let x = Parameter(sampleValues(shape, seed: 1).converted(to: type))
            let w = Parameter(sampleValues(weightShape, seed: 2).converted(to: type))
            let b = Parameter(sampleValues([example.outputs], seed: 3).converted(to: type))
            let y = x.value.convolved(weight: w.value, bias: b.value, window: example.window)
            y.backward(gradient: sampleValues(y.shape, seed: 4).converted(to: type))
            return [y.detached] + [x, w, b].compactMap(\.gradient)
        }
        let single = run(.float32), double = run(.float64)
        #expect(single.count == 4 && double.count == 4)
        for (name, (a, e)) in zip(["result", "input", "weight", "bias"], zip(single, double)) {
            // Relative to the size of a sum of that many terms.
            let size = e.squared().mean().item.squareRoot()
            expectClose(a, e, relative: 0, absolute: 1e-4 * size, name)
        }
    }

    @Test(arguments: filtered) func filteringHasTheSameBitsOnAnyNumberOfThreads(_ example: Case) {
        let x = sampleValues(
            [example.batch, example.channels, example.size.height, example.size.width], seed: 1
        ).converted(to: .float32)
        func run(_ threads: Int) -> [Tensor] {
            let before = Parallel.threadCount
            defer { Parallel.threadCount = before }
            Parallel.threadCount = threads
            let w = Parameter(
                sampleValues([example.outputs, example.channels, 3, 3], seed: 2).converted(to: .float32))
            let input = Parameter(x)
            let y = input.value.convolved(weight: w.value, bias: nil, window: example.window)
            y.squared().sum().backward()
            return [y.detached.contiguous()] + [input, w].compactMap { $0.gradient?.contiguous() }
        }
        for (one, three) in zip(run(1), run(3)) { expectSameBits(one, three) }
    }

    @Test func aChainKeepsItsLayoutAndCopiesNothing() {
        let x = sampleValues([2, 3, 8, 8], seed: 1).converted(to: .float32)
        let w = sampleValues([5, 3, 3, 3], seed: 2).converted(to: .float32)
        let y = x.convolved(weight: w, bias: nil, window: Window(kernel: 3, padding: 1))
        let chained = (y.relu() + y * 2).maxPooled(Window(kernel: 2, stride: 2))
        // The same from a row-major copy of every step.
        let rowMajor = y.copied()
        let expected = (rowMajor.relu().copied() + rowMajor * 2).copied().maxPooled(Window(kernel: 2, stride: 2))
        expectSameBits(chained.contiguous(), expected.contiguous())
        #expect(!y.isContiguous && !chained.isContiguous)
    }
}

/// The sums of the definition, over every output, channel and tap.
private struct NaiveConvolution {
    var y: [Double], gx: [Double], gw: [Double], gb: [Double]

    init(_ example: ConvolutionTests.Case, _ x: Tensor, _ w: Tensor, _ b: Tensor, _ gradient: Tensor) {
        let (xs, ws, bs, gs) = (x.doubles, w.doubles, b.doubles, gradient.doubles)
        let window = example.window, height = example.size.height, width = example.size.width
        let outHeight = gradient.shape[2], outWidth = gradient.shape[3]
        let groupChannels = example.channels / example.groups, groupOutputs = example.outputs / example.groups
        y = Array(repeating: 0, count: gs.count)
        gx = Array(repeating: 0, count: xs.count)
        gw = Array(repeating: 0, count: ws.count)
        gb = Array(repeating: 0, count: bs.count)
        for n in 0..<example.batch {
            for o in 0..<example.outputs {
                for i in 0..<outHeight {
                    for j in 0..<outWidth {
                        let out = ((n * example.outputs + o) * outHeight + i) * outWidth + j
                        y[out] += bs[o]
                        gb[o] += gs[out]
                        for c in 0..<groupChannels {
                            for r in 0..<window.kernel.height {
                                for s in 0..<window.kernel.width {
                                    let row =
                                        i * window.stride.height - window.padding.height + r * window.dilation.height
                                    let column =
                                        j * window.stride.width - window.padding.width + s * window.dilation.width
                                    guard row >= 0, row < height, column >= 0, column < width else { continue }
                                    let channel = o / groupOutputs * groupChannels + c
                                    let pixel = ((n * example.channels + channel) * height + row) * width + column
                                    let tap =
                                        ((o * groupChannels + c) * window.kernel.height + r) * window.kernel.width + s
                                    y[out] += xs[pixel] * ws[tap]
                                    gx[pixel] += gs[out] * ws[tap]
                                    gw[tap] += gs[out] * xs[pixel]
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
