import DataParallel
import MPI
import NN
import Tensors

/// What a rank tells the others with each optimizer step.
public struct StepControl: Sendable, Equatable {
    /// Samples behind the gradients of this step.
    public var samples = 0
    /// Whether training should stop after this step.
    public var stops = false
    /// The signal that asked for an end, or 0.
    public var signal: Int32 = 0
    /// Whether the rest of the epoch should be left out.
    public var skipsEpoch = false
    /// Whether it is time for a validation.
    public var validates = false

    /// What a rank has to say.
    public init(
        samples: Int = 0, stops: Bool = false, signal: Int32 = 0, skipsEpoch: Bool = false, validates: Bool = false
    ) {
        self.samples = samples
        self.stops = stops
        self.signal = signal
        self.skipsEpoch = skipsEpoch
        self.validates = validates
    }
}

/// How the ranks of a job work together.
///
/// The loops are written once against it.
public protocol Strategy: AnyObject {
    /// Where this rank stands.
    var topology: Topology { get }

    /// Makes a model ready for training: one flat memory, the same parameters on all ranks with rank 0's values.
    func prepare(_ module: Module) throws

    /// Makes a model ready for evaluation: the same parameters and buffers on all ranks with rank 0's values, without
    /// memory for gradients.
    func prepareForInference(_ module: Module) throws

    /// Announces that the coming backward pass completes the gradients of a step.
    ///
    /// - Parameters:
    ///   - control: What this rank tells the others.
    ///   - averages: Whether gradients are sums over samples, and become means over the samples of all ranks.
    func beginStep(_ control: StepControl, averages: Bool)

    /// Ends the step: afterwards gradients are sums over all ranks, or means.
    ///
    /// - Returns: What all ranks said: samples added up, stops and signals of any rank.
    func finishStep() throws -> StepControl

    /// Makes gradients be summed optimizer by optimizer, when asked, instead of in each backward pass.
    ///
    /// - Parameter optimizers: The parameters of each.
    func prepareManualSteps(_ optimizers: [[Parameter]])

    /// Sums the gradients of one of these optimizers over all ranks.
    ///
    /// - Returns: What all ranks said.
    func sumGradients(ofOptimizer index: Int, _ control: StepControl) throws -> StepControl

    /// How often gradients were reduced: once for each optimizer step, however many batches it gathers.
    var reductionCount: Int { get }

    /// What the ranks have done together so far; nothing in a single process.
    var communication: CommunicationCounts { get }

    /// Sums numbers over all ranks, in rank order.
    func sum(_ values: [Double], tag: String) throws -> [Double]

    /// The texts of all ranks, by rank.
    func gather(_ text: String, tag: String) throws -> [String]

    /// Tensors of all ranks, by rank; their shapes may differ.
    func gather(_ tensor: Tensor, tag: String) throws -> [Tensor]

    /// Rank 0's text.
    func broadcast(_ text: String, tag: String) throws -> String

    /// Overwrites the buffers of a model with rank 0's.
    func synchronizeBuffers(_ module: Module) throws

    /// Waits for all ranks.
    func barrier(_ tag: String) throws
}

extension Strategy {
    /// Whether this is the rank that prints, logs and writes checkpoints.
    public var isGlobalZero: Bool { topology.globalRank == 0 }
    /// The number of ranks.
    public var worldSize: Int { topology.worldSize }
}

/// One process: every collective is the identity.
final class SingleProcessStrategy: Strategy {
    let topology = Topology.single
    private var arenas: [ParameterArena] = []
    private var control = StepControl()
    private var averages = false

    func prepare(_ module: Module) { arenas = ParameterArena.arenas(for: module.parameters) }
    func prepareForInference(_ module: Module) {}
    func beginStep(_ control: StepControl, averages: Bool) { (self.control, self.averages) = (control, averages) }
    private(set) var reductionCount = 0
    func finishStep() -> StepControl {
        reductionCount += 1
        if averages, control.samples > 0 {
            for arena in arenas { arena.scaleGradients(by: 1 / Double(control.samples)) }
        }
        return control
    }
    func prepareManualSteps(_ optimizers: [[Parameter]]) {}
    func sumGradients(ofOptimizer index: Int, _ control: StepControl) -> StepControl {
        reductionCount += 1
        return control
    }
    var communication: CommunicationCounts { CommunicationCounts() }
    func sum(_ values: [Double], tag: String) -> [Double] { values }
    func gather(_ text: String, tag: String) -> [String] { [text] }
    func gather(_ tensor: Tensor, tag: String) -> [Tensor] { [tensor.detached] }
    func broadcast(_ text: String, tag: String) -> String { text }
    func synchronizeBuffers(_ module: Module) {}
    func barrier(_ tag: String) {}
}
