extension Tensor {
    /// Gives the result of an operation its place in the gradient graph, if any input has one.
    ///
    /// Rules for pullbacks: capture detached tensors only (a captured node would make a cycle or a recursive release);
    /// return one gradient per input, nil where none is wanted; a gradient may have the broadcast shape, the engine
    /// sums it to the input's.
    @inline(__always)
    package func recorded(
        _ operation: StaticString, _ input: Tensor, pullback: @escaping (Tensor) -> [Tensor?]
    ) -> Tensor {
        guard input.node != nil, GradientMode.isEnabled else { return self }
        return attached(operation, [input.edge], pullback)
    }

    /// As above, with two inputs.
    @inline(__always)
    func recorded(
        _ operation: StaticString, _ a: Tensor, _ b: Tensor, pullback: @escaping GradientNode.Pullback
    ) -> Tensor {
        guard a.node != nil || b.node != nil, GradientMode.isEnabled else { return self }
        return attached(operation, [a.edge, b.edge], pullback)
    }

    /// As above, with three inputs.
    @inline(__always)
    func recorded(
        _ operation: StaticString, _ a: Tensor, _ b: Tensor, _ c: Tensor, pullback: @escaping GradientNode.Pullback
    ) -> Tensor {
        guard a.node != nil || b.node != nil || c.node != nil, GradientMode.isEnabled else { return self }
        return attached(operation, [a.edge, b.edge, c.edge], pullback)
    }

    /// As above, with any number of inputs.
    @inline(__always)
    func recorded(
        _ operation: StaticString, _ inputs: [Tensor], pullback: @escaping GradientNode.Pullback
    ) -> Tensor {
        guard inputs.contains(where: { $0.node != nil }), GradientMode.isEnabled else { return self }
        return attached(operation, inputs.map(\.edge), pullback)
    }

    /// The tensor for a pullback to keep: a way to its value, which may be made again (Note [Results made again]).
    func kept() -> () -> Tensor {
        if let rebuild = node?.rebuild { return rebuild }
        let value = detached
        return { value }
    }

    /// Remembers whether this tensor is the only holder of its memory.
    mutating func noteWhetherSpare() {
        // In two steps: as one assignment it makes the compiler of Swift 6.3 fail.
        let isSpare = isKnownUniquelyReferenced(&storage)
        storage.isSpare = isSpare
    }

    /// Where the pullback that this dense gradient came to may write a result that lies like it: over the gradient, when
    /// nobody else holds it.
    func spareOrFresh() -> Tensor { storage.isSpare ? detached : Tensor(uninitializedLike: self) }

    private var edge: GradientNode.Edge? { node.map { GradientNode.Edge(node: $0, shape: shape, dtype: dtype) } }

    private func attached(
        _ operation: StaticString, _ edges: [GradientNode.Edge?], _ pullback: @escaping GradientNode.Pullback
    ) -> Tensor {
        AnomalyWatch.look(at: self, of: operation)
        var result = self
        result.node = GradientNode(id: NodeCounter.take(), operation: operation, edges: edges, pullback: pullback)
        return result
    }
}
