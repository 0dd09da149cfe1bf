/// A matrix product of a forward pass, or a convolution seen as one.
private struct Product {
    var rows: Int
    var inner: Int
    var columns: Int
    /// Whether the input of this product needs a gradient; the data itself does not.
    var hasInputGradient = true

    /// 2 · rows · inner · columns for each of forward pass, weight gradient and input gradient.
    var operations: Double { 2 * Double(rows) * Double(inner) * Double(columns) * (hasInputGradient ? 3 : 2) }
}

extension Workload {
    /// The floating-point operations of the matrix products of one step, forward and backward.
    ///
    /// What else a step does (activations, norms, the update) is counted as nothing.
    func operations(batch: Int) -> Double { products(batch).reduce(0) { $0 + $1.operations } }

    private func products(_ batch: Int) -> [Product] {
        switch self {
        case .tiny: dense(batch, [64, 64, 10])
        case .mlp: dense(batch, [784, 512, 512, 10])
        case .cnn:
            [
                convolution(batch, 1, 32, kernel: 3, extent: 28, isFirst: true),
                convolution(batch, 32, 64, kernel: 3, extent: 14),
            ] + dense(batch, [3136, 128, 10], isFirst: false)
        case .gpt: transformer(batch)
        case .resnet18: residual(batch)
        }
    }

    private func dense(_ rows: Int, _ widths: [Int], isFirst: Bool = true) -> [Product] {
        zip(widths, widths.dropFirst()).enumerated().map { index, pair in
            Product(rows: rows, inner: pair.0, columns: pair.1, hasInputGradient: index > 0 || !isFirst)
        }
    }

    private func convolution(
        _ batch: Int, _ channels: Int, _ outputs: Int, kernel: Int, extent: Int, isFirst: Bool = false
    ) -> Product {
        Product(
            rows: batch * extent * extent, inner: channels * kernel * kernel, columns: outputs,
            hasInputGradient: !isFirst)
    }

    /// Six layers of 12 · width² weights, two products of attention counted in full though half of the scores are
    /// masked (as nanoGPT counts), and the head.
    private func transformer(_ batch: Int) -> [Product] {
        let (layers, width, context, vocabulary) = (6, 384, 256, 65)
        let rows = batch * context
        let block = [
            Product(rows: rows, inner: width, columns: 12 * width),
            Product(rows: rows, inner: width, columns: 2 * context),
        ]
        return (0..<layers).flatMap { _ in block } + [Product(rows: rows, inner: width, columns: vocabulary)]
    }

    private func residual(_ batch: Int) -> [Product] {
        var products = [convolution(batch, 3, 64, kernel: 3, extent: 32, isFirst: true)]
        var channels = 64
        for (outputs, extent) in [(64, 32), (64, 32), (128, 16), (128, 16), (256, 8), (256, 8), (512, 4), (512, 4)] {
            products.append(convolution(batch, channels, outputs, kernel: 3, extent: extent))
            products.append(convolution(batch, outputs, outputs, kernel: 3, extent: extent))
            if channels != outputs {
                products.append(convolution(batch, channels, outputs, kernel: 1, extent: extent))
            }
            channels = outputs
        }
        return products + dense(batch, [512, 10], isFirst: false)
    }
}
