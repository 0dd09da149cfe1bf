import Lightning

/// Every operation with a kernel of its own, through the public interface.
enum KernelCases {
    static func all(elements: Int) -> [KernelCase] {
        let rows = elements / 512
        var stream = RandomStream(seed: 1, purpose: .user)
        let x = stream.normals([rows, 512]), y = stream.normals([rows, 512])
        return elementwise(x, y) + reductions(x) + overRows(x) + overImages(x) + tables(x) + updates(elements)
            + random(elements)
    }

    /// A case that reads and writes so many times the bytes of `x`.
    private static func forward(_ name: String, _ passes: Double, _ x: Tensor, _ body: @escaping () -> Tensor)
        -> KernelCase
    {
        KernelCase(name: name, bytes: passes * Double(x.elementCount * 4)) {
            Stopwatch.secondsPerCall { _ = body() }
        }
    }

    /// A case of a backward pass, with the two passes of the copy into the parameter's place.
    private static func backward(_ name: String, _ passes: Double, _ x: Tensor, _ body: @escaping (Tensor) -> Tensor)
        -> KernelCase
    {
        KernelCase(name: name + ", gradient", bytes: (passes + 2) * Double(x.elementCount * 4)) {
            Gradients.secondsPerCall(x, body)
        }
    }

    private static func elementwise(_ x: Tensor, _ y: Tensor) -> [KernelCase] {
        let unary: [(String, (Tensor) -> Tensor)] = [
            ("exp", { $0.exp() }), ("log", { $0.squared().log() }), ("squareRoot", { $0.squared().squareRoot() }),
            ("tanh", { $0.tanh() }), ("sigmoid", { $0.sigmoid() }), ("relu", { $0.relu() }), ("gelu", { $0.gelu() }),
            ("silu", { $0.silu() }), ("softplus", { $0.softplus() }), ("absolute", { $0.absolute() }),
            ("reciprocal", { $0.reciprocal() }), ("sin", { $0.sin() }), ("cos", { $0.cos() }),
        ]
        let bias = y.select(0)
        let mask = x .< y
        return unary.flatMap { name, function in
            // Where the argument must be positive a square comes first: two passes more.
            let extra = name == "log" || name == "squareRoot" ? 2.0 : 0
            return [
                forward(name, 2 + extra, x) { function(x) },
                backward(name, 3 + 1.5 * extra, x) { function($0) },
            ]
        } + [
            forward("sum of two", 3, x) { x + y }, forward("product of two", 3, x) { x * y },
            forward("quotient of two", 3, x) { x / y }, forward("maximum of two", 3, x) { Tensor.maximum(x, y) },
            forward("power 3", 2, x) { x.power(3) }, forward("scaled and shifted", 2, x) { x * 2 },
            forward("bias added to rows", 2, x) { x + bias }, forward("clamped", 2, x) { x.clamped(to: -1...1) },
            forward("compared", 2.25, x) { x .< y }, forward("selected", 3.25, x) { Tensor.select(where: mask, x, y) },
            forward("converted to float64", 3, x) { x.converted(to: .float64) },
            forward("transposed copy", 2, x) { x.transposed().contiguous() },
        ]
    }

    private static func reductions(_ x: Tensor) -> [KernelCase] {
        [
            forward("sum of rows", 1, x) { x.sum(along: 1) }, forward("sum of columns", 1, x) { x.sum(along: 0) },
            forward("sum of all", 1, x) { x.sum() }, forward("maximum of rows", 1, x) { x.max(along: 1) },
            forward("argmax of rows", 1, x) { x.argmax() },
        ]
    }

    private static func overRows(_ x: Tensor) -> [KernelCase] {
        let width = x.shape[1]
        let weight = Tensor.ones([width]), bias = Tensor.zeros([width])
        let labels = Tensor((0..<x.shape[0]).map { Int64($0 % width) })
        return [
            forward("softmax", 2, x) { x.softmax() }, backward("softmax", 3, x) { $0.softmax() },
            forward("logarithm of softmax", 2, x) { x.logSoftmax() },
            backward("logarithm of softmax", 3, x) { $0.logSoftmax() },
            forward("cross entropy", 1, x) { crossEntropy(x, labels) },
            backward("cross entropy", 2, x) { crossEntropy($0, labels) },
            forward("layer norm", 2, x) { x.layerNorm(weight: weight, bias: bias) },
            backward("layer norm", 3, x) { $0.layerNorm(weight: weight, bias: bias) },
        ]
    }

    private static func overImages(_ x: Tensor) -> [KernelCase] {
        let images = x.reshaped(to: [x.elementCount / (16 * 1024), 16, 32, 32])
        let weight = Tensor.ones([16]), bias = Tensor.zeros([16])
        let window = Window(kernel: 2, stride: 2)
        return [
            forward("batch norm", 3, x) { images.batchNorm(weight: weight, bias: bias).result },
            backward("batch norm", 5, images) { $0.batchNorm(weight: weight, bias: bias).result },
            forward("maximum pooled", 1.5, x) { images.maxPooled(window) },
            backward("maximum pooled", 1.5, images) { $0.maxPooled(window) },
            forward("average pooled", 1.25, x) { images.averagePooled(window) },
            backward("average pooled", 1.25, images) { $0.averagePooled(window) },
        ]
    }

    private static func tables(_ x: Tensor) -> [KernelCase] {
        let count = x.shape[0]
        // An order without neighbours: the step is prime to the count, a power of two as a rule.
        let indices = Tensor((0..<count).map { Int64($0 * 7919 % count) })
        return [
            forward("rows of a table", 2, x) { x.rows(at: indices) },
            backward("rows of a table", 3, x) { $0.rows(at: indices) },
        ]
    }

    private static func updates(_ count: Int) -> [KernelCase] {
        func update(_ name: String, _ passes: Double, _ make: @escaping ([Parameter]) -> Optimizer) -> KernelCase {
            KernelCase(name: name, bytes: passes * Double(count * 4)) {
                let parameter = Parameter(.ones([count]))
                parameter.setGradient(.ones([count]))
                let optimizer = make([parameter])
                return Stopwatch.secondsPerCall { optimizer.step() }
            }
        }
        return [
            update("SGD", 3) { SGD($0, learningRate: 1e-6) },
            update("SGD with momentum", 5) { SGD($0, learningRate: 1e-6, momentum: 0.9) },
            update("AdamW", 7) { AdamW($0, learningRate: 1e-6) },
        ]
    }

    private static func random(_ count: Int) -> [KernelCase] {
        var stream = RandomStream(seed: 2, purpose: .user)
        let x = Tensor.ones([count])
        return [
            forward("normal numbers", 1, x) { stream.normals([count]) },
            forward("uniform numbers", 1, x) { stream.uniforms([count], bound: 1) },
            forward("dropped out", 2.25, x) { x.droppedOut(0.5) },
            backward("dropped out", 2.25, x) { $0.droppedOut(0.5) },
        ]
    }
}
