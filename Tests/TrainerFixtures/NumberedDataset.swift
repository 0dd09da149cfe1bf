import Foundation
import Lightning

/// Samples that know their numbers.
public struct NumberedBatch: DataBatch {
    /// The places of the samples in the data set.
    public var indices: [Int]
    /// `[samples, 3]`, float64.
    public var inputs: Tensor
    /// `[samples, 2]`, float64.
    public var targets: Tensor
    /// The number of samples.
    public var sampleCount: Int { indices.count }

    /// With inputs and targets of another type.
    public func converted(toFloating type: DType) -> NumberedBatch {
        NumberedBatch(
            indices: indices, inputs: inputs.converted(to: type), targets: targets.converted(to: type))
    }
}

/// A data set whose samples are functions of their numbers.
public struct NumberedDataset: Dataset {
    /// The number of samples.
    public let count: Int
    /// Whether it is read on the training thread.
    public let isInMemory: Bool
    private let failing: Int?

    /// A data set of `count` samples; reading sample `failing` throws.
    public init(count: Int, isInMemory: Bool = true, failing: Int? = nil) {
        self.count = count
        self.isInMemory = isInMemory
        self.failing = failing
    }

    /// The samples as one batch.
    public func batch(at indices: [Int]) throws -> NumberedBatch {
        if let failing, indices.contains(failing) { throw OnPurpose("sample \(failing) cannot be read") }
        let inputs = indices.flatMap { index in (0..<3).map { sin(Double(7 * index + 3 * $0 + 1)) } }
        let targets = indices.flatMap { index in (0..<2).map { cos(Double(5 * index + 2 * $0)) } }
        return NumberedBatch(
            indices: indices, inputs: Tensor(inputs, shape: [indices.count, 3]),
            targets: Tensor(targets, shape: [indices.count, 2]))
    }
}

/// An error thrown on purpose.
public struct OnPurpose: Error, CustomStringConvertible {
    /// Its message.
    public let description: String
    /// An error with a message.
    public init(_ description: String) { self.description = description }
}
