import MPI
import Tensors

/// A value made of tensors: a tensor, or an array, a dictionary or an optional of such values, however deep.
///
/// A struct of one's own takes part by saying what it is with each tensor replaced.
public protocol TensorCollection {
    /// The same with each tensor replaced, in an order that is the same on all ranks.
    func mapTensors(_ transform: (Tensor) throws -> Tensor) rethrows -> Self
}

extension Tensor: TensorCollection {
    /// The transformed tensor.
    public func mapTensors(_ transform: (Tensor) throws -> Tensor) rethrows -> Tensor { try transform(self) }
}

extension Array: TensorCollection where Element: TensorCollection {
    /// Element by element.
    public func mapTensors(_ transform: (Tensor) throws -> Tensor) rethrows -> [Element] {
        try map { try $0.mapTensors(transform) }
    }
}

extension Dictionary: TensorCollection where Key: Comparable, Value: TensorCollection {
    /// In the order of the keys.
    public func mapTensors(_ transform: (Tensor) throws -> Tensor) rethrows -> [Key: Value] {
        var mapped: [Key: Value] = [:]
        for (key, value) in sorted(by: { $0.key < $1.key }) { mapped[key] = try value.mapTensors(transform) }
        return mapped
    }
}

extension Optional: TensorCollection where Wrapped: TensorCollection {
    /// What is there.
    public func mapTensors(_ transform: (Tensor) throws -> Tensor) rethrows -> Wrapped? {
        try map { try $0.mapTensors(transform) }
    }
}

extension LightningModule {
    /// The tensors of all ranks along a new first dimension, when their shapes agree.
    ///
    /// Every rank must call it, with the same kind of value. One rank alone gets the same kind of result: a first extent
    /// of 1.
    ///
    /// With `syncGradients` gradients flow back: what comes to a rank's part on any rank is added up for that rank. A loss
    /// over the gathered tensors then is differentiated as one process with all samples would, but for its weight: each
    /// rank's loss counts by its share of the samples. That backward pass is a collective too, and the sum of the
    /// parameters' gradients begins after it instead of on the way.
    /// - Returns: Each tensor as `[worldSize, …]`.
    /// - Throws: ``TrainingError`` when shapes differ; `CollectiveMismatch` on all ranks when they ask for different
    ///   things.
    public final func allGather<C: TensorCollection>(_ value: C, syncGradients: Bool = false) throws -> C {
        try value.mapTensors { try gatherEqual($0, syncGradients) }
    }

    /// The values of all ranks, by rank; the shapes of their tensors may differ.
    ///
    /// Every rank must call it, with as many tensors.
    /// - Returns: By rank, without gradient.
    public final func allGatherUnequal<C: TensorCollection>(_ value: C) throws -> [C] {
        var gathered: [[Tensor]] = []
        _ = try value.mapTensors { tensor in
            gathered.append(try gatherByRank(tensor))
            return tensor
        }
        return (0..<worldSize).map { rank in
            var parts = gathered.makeIterator()
            return value.mapTensors { parts.next()?[rank] ?? $0 }
        }
    }

    private func gatherByRank(_ tensor: Tensor) throws -> [Tensor] {
        guard let attachedTrainer else { return [tensor.detached] }
        return try attachedTrainer.strategy.gather(tensor, tag: "allGather")
    }

    private func gatherEqual(_ tensor: Tensor, _ syncGradients: Bool) throws -> Tensor {
        guard let attachedTrainer, worldSize > 1 else {
            return (syncGradients ? tensor : tensor.detached).expandingDimension(at: 0)
        }
        let all = try gatherByRank(tensor)
        for (rank, other) in all.enumerated() where other.shape != all[0].shape {
            throw TrainingError(
                "allGather: rank 0 gave shape \(all[0].shape) and rank \(rank) gave \(other.shape); use allGatherUnequal"
            )
        }
        let stacked = Tensor.stack(all)
        return syncGradients ? attachedTrainer.recordGather(of: tensor, as: stacked) : stacked
    }
}

extension Trainer {
    /// Gives a gathered tensor its place in the gradient graph.
    fileprivate func recordGather(of tensor: Tensor, as gathered: Tensor) -> Tensor {
        gathersInBackward = true
        let rank = globalRank
        return gathered.recorded("allGather", tensor) { [self] gradient in
            do {
                let all = try strategy.gather(gradient, tag: "gradients of allGather")
                var sum = all[0].select(rank)
                for other in all.dropFirst() { sum = sum + other.select(rank) }
                return [sum]
            } catch {
                if backwardError == nil { backwardError = error }
                return [nil]
            }
        }
    }

    /// The backward pass of a module; what goes wrong in its collectives is thrown when it is over.
    func runBackward(_ module: LightningModule, _ loss: Tensor) throws {
        try timed(.backward) { try module.backward(loss) }
        if let error = backwardError {
            backwardError = nil
            throw error
        }
        try checkGradients(of: module)
    }
}
