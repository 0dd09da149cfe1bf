/// One operation in the gradient graph: what it read, and how a gradient of its result becomes gradients of its inputs.
///
/// Nodes are immutable after creation but for the backward pass, which uses the fields marked so and then empties the
/// node. They belong to the training thread.
final class GradientNode {
    /// An input that a gradient flows to: the node that made it, and the shape and type its gradient must have.
    struct Edge {
        let node: GradientNode
        let shape: Shape
        let dtype: DType
    }

    /// Turns the gradient of the result into one gradient per input; nil where there is none to give.
    typealias Pullback = (Tensor) -> [Tensor?]

    /// Creation order: an operation has a larger id than everything it read, so descending ids are a backward order.
    let id: Int
    let operation: StaticString
    /// One entry per input of the pullback; nil for inputs without gradient.
    fileprivate(set) var edges: [Edge?]
    fileprivate(set) var pullback: Pullback?
    /// The precision of the products that made the value, which those of its gradient have too.
    let precision: ProductPrecision
    /// Makes the operation's result again from what its pullback keeps; nil where that costs more than keeping it.
    ///
    /// Note [Results made again]: a linear layer needs its input for the gradient of its weight. Where the input came
    /// from a cheap operation that keeps its own input anyway (GELU, layer norm), the layer keeps this closure instead,
    /// and half of the memory for activations of a transformer is saved for one more elementwise pass. So does a
    /// convolution after batch norm, with a ReLU between them or without.
    var rebuild: (() -> Tensor)?
    /// Whether this is a parameter's leaf, also when the parameter is gone.
    let isLeaf: Bool
    /// The parameter whose value this leaf stands for; nil in operations, and in leaves that outlive their parameter
    /// (a loss kept after its model), whose gradient nobody can ask for.
    ///
    /// A weak reference without its price: the parameter takes it back when it goes. A true one would make every
    /// retain and release of the parameter take a detour.
    private(set) unowned(unsafe) var parameter: Parameter?

    // Used by one backward pass.
    var pass = 0
    var pendingUses = 0
    var gradient: Tensor?
    /// Whether a gradient has come.
    var isReached = false

    init(id: Int, operation: StaticString, edges: [Edge?], pullback: @escaping Pullback) {
        self.id = id
        self.operation = operation
        self.edges = edges
        self.pullback = pullback
        precision = .current
        isLeaf = false
    }

    /// A leaf: gradients that arrive here belong to a parameter.
    init(leafOf parameter: Parameter) {
        id = 0
        operation = "parameter"
        edges = []
        pullback = nil
        precision = .float32
        isLeaf = true
        self.parameter = parameter
    }

    /// The parameter of this leaf goes.
    func loseParameter() { parameter = nil }

    /// Drops the saved tensors and the way back: what a backward pass does with a node it has finished.
    func release() {
        pullback = nil
        rebuild = nil
        edges = []
    }

    // Note [Iterative release]: a chain of nodes freed by ARC recurses once per node, and overflows the stack at about
    // 30,000. So a node that dies takes its sole descendants apart in a loop.
    deinit {
        guard !edges.isEmpty else { return }
        var doomed: [GradientNode] = []
        Self.collect(&edges, into: &doomed)
        pullback = nil
        while var node = doomed.popLast() {
            if isKnownUniquelyReferenced(&node), !node.edges.isEmpty {
                node.pullback = nil
                Self.collect(&node.edges, into: &doomed)
            }
        }
    }

    private static func collect(_ edges: inout [Edge?], into nodes: inout [GradientNode]) {
        for edge in edges {
            if let edge, !edge.node.isLeaf { nodes.append(edge.node) }
        }
        edges = []
    }
}

/// Hands out node ids: one counter per thread of control would do, but an atomic is as cheap.
enum NodeCounter {
    private static let next = Counter()
    static func take() -> Int { next.increment() }
}
