import ArgumentParser
import Lightning

/// Convolutions of well-known networks.
struct ConvolutionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convolutions",
        abstract: "Times convolutions of LeNet, ResNet and VGG: forward and both gradients, GFLOP/s.")

    @OptionGroup var options: MicroOptions

    /// One layer: batch, channels, outputs, kernel, stride and extent of the image.
    private struct Layer {
        let name: String
        let batch, channels, outputs, kernel, stride, extent: Int

        init(_ name: String, _ batch: Int, _ channels: Int, _ outputs: Int, _ kernel: Int, _ stride: Int, _ extent: Int)
        {
            self.name = name
            (self.batch, self.channels, self.outputs) = (batch, channels, outputs)
            (self.kernel, self.stride, self.extent) = (kernel, stride, extent)
        }

        var window: Window { Window(kernel: kernel, stride: stride, padding: kernel / 2) }
        var outputExtent: Int { (extent + 2 * (kernel / 2) - kernel) / stride + 1 }
        var operations: Double {
            2 * Double(batch * outputs * outputExtent * outputExtent) * Double(channels * kernel * kernel)
        }
    }

    private static let layers = [
        Layer("cnn 1-32", 64, 1, 32, 3, 1, 28), Layer("cnn 32-64", 64, 32, 64, 3, 1, 14),
        Layer("lenet 1-6", 64, 1, 6, 5, 1, 28), Layer("lenet 6-16", 64, 6, 16, 5, 1, 14),
        Layer("resnet18 3-64", 32, 3, 64, 3, 1, 32), Layer("resnet18 64-64", 32, 64, 64, 3, 1, 32),
        Layer("resnet18 64-128 stride 2", 32, 64, 128, 3, 2, 32), Layer("resnet18 128-128", 32, 128, 128, 3, 1, 16),
        Layer("resnet18 128-256 shortcut", 32, 128, 256, 1, 2, 16), Layer("resnet18 256-256", 32, 256, 256, 3, 1, 8),
        Layer("resnet18 512-512", 32, 512, 512, 3, 1, 4), Layer("resnet50 3-64 7x7", 4, 3, 64, 7, 2, 224),
        Layer("resnet50 256-64 1x1", 4, 256, 64, 1, 1, 56), Layer("resnet50 64-64", 4, 64, 64, 3, 1, 56),
        Layer("resnet50 64-256 1x1", 4, 64, 256, 1, 1, 56), Layer("resnet50 1024-256 1x1", 4, 1024, 256, 1, 1, 14),
        Layer("resnet50 256-256", 4, 256, 256, 3, 1, 14), Layer("vgg 64-64", 1, 64, 64, 3, 1, 224),
        Layer("vgg 128-128", 1, 128, 128, 3, 1, 112), Layer("vgg 512-512", 1, 512, 512, 3, 1, 28),
    ]

    func run() throws {
        for threads in try options.threadCounts() {
            Parallel.threadCount = threads
            let limit = MachineLimits.multiplyAdds(threads: threads)
            for layer in Self.layers where options.includes(layer.name) { try time(layer, threads, limit) }
        }
    }

    private func time(_ layer: Layer, _ threads: Int, _ limit: Double) throws {
        var stream = RandomStream(seed: 1, purpose: .user)
        let x = stream.normals([layer.batch, layer.channels, layer.extent, layer.extent])
        let w = stream.normals([layer.outputs, layer.channels, layer.kernel, layer.kernel])
        let passes: [(String, Double)] = [
            ("forward", Stopwatch.secondsPerCall { _ = x.convolved(weight: w, bias: nil, window: layer.window) }),
            (
                "input gradient",
                Gradients.secondsPerCall(x) { $0.convolved(weight: w, bias: nil, window: layer.window) }
            ),
            (
                "weight gradient",
                Gradients.secondsPerCall(w) { x.convolved(weight: $0, bias: nil, window: layer.window) }
            ),
        ]
        for (pass, seconds) in passes {
            let rate = layer.operations / seconds / 1e9
            try JSONLine.print([
                "convolution": layer.name, "pass": pass, "batch": layer.batch, "threads": threads, "us": seconds * 1e6,
                "gflops": rate, "share_of_limit": rate / limit,
            ])
        }
    }
}
