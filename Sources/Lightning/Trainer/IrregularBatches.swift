import DataParallel

/// Batches of a training epoch that were not like the others; on many ranks each rank's part of a batch counts.
public struct IrregularBatches: Sendable, Equatable, Codable {
    /// Those that the training step left out, with ``SkipBatch``.
    public var skipped = 0
    /// Losses that were not finite, which training goes on with when it `allowsNonFiniteLoss`.
    public var nonFiniteLosses = 0

    /// None.
    public init() {}

    static func + (a: IrregularBatches, b: IrregularBatches) -> IrregularBatches {
        var sum = a
        sum.skipped += b.skipped
        sum.nonFiniteLosses += b.nonFiniteLosses
        return sum
    }

    /// Such as `2 batches were skipped, 1 loss was not finite`; nil when there were none.
    var text: String? {
        guard self != IrregularBatches() else { return nil }
        let parts = [
            skipped == 0 ? nil : skipped == 1 ? "1 batch was skipped" : "\(skipped) batches were skipped",
            nonFiniteLosses == 0
                ? nil : nonFiniteLosses == 1 ? "1 loss was not finite" : "\(nonFiniteLosses) losses were not finite",
        ].compactMap { $0 }
        return parts.joined(separator: ", ")
    }
}

extension Trainer {
    /// Exchanges stops and signals at the end of an epoch, and tells what was out of the ordinary in it.
    ///
    /// - Parameters:
    ///   - epoch: The epoch that has ended.
    ///   - own: What this rank had in it.
    func agree(onTheEndOf epoch: Int, _ own: IrregularBatches) throws -> StepControl {
        let (control, counted) = try agree(on: "the end of an epoch", counting: own)
        irregularBatches = counted
        if let text = irregularBatches.text {
            print("note: in epoch \(epoch) \(text)" + (worldSize > 1 ? " (counted on each rank)" : ""))
        }
        return control
    }
}
