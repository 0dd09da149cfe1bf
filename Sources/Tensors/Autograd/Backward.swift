extension Tensor {
    /// Computes the gradient of this scalar with respect to every parameter it was made from.
    ///
    /// Nodes are taken by descending creation order, which is a reverse topological order. Each parameter's gradient
    /// is handed over exactly once, when it is complete (``Parameter/onGradientReady``), and is added to the gradient
    /// the parameter already has. The graph is freed on the way, so that memory falls as the pass goes.
    ///
    /// - Parameters:
    ///   - seed: The gradient of the result itself, a number: 1 for a plain derivative.
    ///   - keepingGraph: Keeps the graph for another backward pass.
    /// - Precondition: the tensor has one element and requires a gradient.
    public func backward(seed: Double = 1, keepingGraph: Bool = false) {
        require(
            elementCount == 1, "backward",
            "only a scalar has a gradient, and this tensor has shape \(shape); reduce it first, e.g. with mean()")
        backward(gradient: Tensor(filling: seed, shape: shape, dtype: dtype), keepingGraph: keepingGraph)
    }

    /// Computes the gradient of the inner product of this tensor with `gradient`.
    ///
    /// - Precondition: `gradient` has this tensor's shape and type, and this tensor requires a gradient.
    public func backward(gradient: Tensor, keepingGraph: Bool = false) {
        guard let root = node else {
            fail(
                "backward",
                "this tensor does not depend on any parameter that requires a gradient (all frozen, made inside withoutGradient, detached, or a plain Tensor where a Parameter was meant)"
            )
        }
        require(
            gradient.shape == shape && gradient.dtype == dtype, "backward",
            "gradient \(gradient.dtype) \(gradient.shape) for a tensor \(dtype) \(shape)")
        withoutGradient { BackwardPass(root: root).run(gradient.detached, keepingGraph: keepingGraph) }
    }
}

/// One walk from a result back to the parameters.
private struct BackwardPass {
    /// The graph's operations, by descending id.
    private var nodes: [GradientNode] = []
    private let root: GradientNode
    private static let passes = Counter()

    init(root: GradientNode) {
        self.root = root
        let pass = Self.passes.increment()
        root.pass = pass
        root.pendingUses = 0
        var stack = [root]
        stack.reserveCapacity(32)
        nodes.reserveCapacity(32)
        while let node = stack.popLast() {
            nodes.append(node)
            require(
                node.isLeaf || node.pullback != nil, "backward",
                "the graph of '\(node.operation)' was already used and freed; pass keepingGraph: true to the first call"
            )
            for edge in node.edges {
                guard let edge else { continue }
                let input = edge.node
                if input.pass != pass {
                    input.pass = pass
                    input.pendingUses = 0
                    input.gradient = nil
                    input.isReached = false
                    if !input.isLeaf { stack.append(input) }
                }
                input.pendingUses += 1
            }
        }
        // A chain, the usual case, is in order already.
        for i in nodes.indices.dropFirst() where nodes[i - 1].id < nodes[i].id {
            nodes.sort { $0.id > $1.id }
            break
        }
    }

    func run(_ seed: Tensor, keepingGraph: Bool) {
        if root.isLeaf {
            root.parameter?.receive(seed)
            root.parameter?.finishGradient()
            return
        }
        root.gradient = seed
        let precision = ProductPrecision.current
        for node in nodes {
            node.gradient?.noteWhetherSpare()
            // Gradients are moved, not copied, from hand to hand: a copy is two atomic counts, and two more when it dies.
            if let pullback = node.pullback, let gradient = node.gradient.take() {
                var gradients =
                    node.precision == precision
                    ? pullback(gradient) : withProductPrecision(node.precision) { pullback(gradient) }
                require(
                    gradients.count == node.edges.count, "backward",
                    "'\(node.operation)' returned \(gradients.count) gradients for \(node.edges.count) inputs")
                for index in gradients.indices {
                    if let edge = node.edges[index] { deliver(gradients[index].take(), along: edge, from: node) }
                }
            } else {
                // Nothing came to this node, so nothing goes on; but its inputs wait for its word.
                for edge in node.edges {
                    if let edge { deliver(nil, along: edge, from: node) }
                }
            }
            if !keepingGraph { node.release() }
        }
    }

    /// Adds a gradient to what an input has received, and says when a parameter has its last one.
    ///
    /// What comes to a parameter goes to its memory at once.
    private func deliver(_ gradient: consuming Tensor?, along edge: GradientNode.Edge, from node: GradientNode) {
        let input = edge.node
        if let gradient {
            let fitting = gradient.shape == edge.shape ? gradient : gradient.summed(to: edge.shape)
            require(
                fitting.shape == edge.shape && fitting.dtype == edge.dtype, "backward",
                "'\(node.operation)' gave a gradient \(fitting.dtype) \(fitting.shape) for an input \(edge.dtype) "
                    + "\(edge.shape)")
            input.isReached = true
            if input.isLeaf {
                input.parameter?.receive(fitting)
            } else if input.gradient == nil {
                input.gradient = fitting
            } else {
                input.gradient?.add(fitting)
            }
        }
        input.pendingUses -= 1
        if input.pendingUses == 0, input.isLeaf, input.isReached { input.parameter?.finishGradient() }
    }
}

extension Tensor {
    /// Undoes broadcasting: sums over the dimensions along which a smaller shape was expanded to this one.
    func summed(to target: Shape) -> Tensor {
        if shape == target { return self }
        let extra = shape.count - target.count
        guard extra >= 0 else { return self }
        var dimensions: [Int] = []
        for i in 0..<shape.count where i < extra || (target[i - extra] == 1 && shape[i] != 1) { dimensions.append(i) }
        let reduced = dimensions.isEmpty ? self : sum(along: dimensions, keepingDimensions: true)
        return reduced.elementCount == target.elementCount ? reduced.reshaped(to: target) : reduced
    }
}
