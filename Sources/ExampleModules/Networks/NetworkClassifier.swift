import Lightning

/// The task of classification over any network that makes logits, such as ``ResNet``, ``VGG`` or ``BidirectionalClassifier``.
///
/// The network is a property and knows nothing of the task, so that it can be used without it.
public final class NetworkClassifier: LightningModule, LogitsModule, PredictionModule {
    /// What makes logits of inputs, `[samples, …]` to `[samples, classes]`; its keys begin with `network.`.
    public let network: any Layer
    private let learningRate, momentum, weightDecay: Double

    /// A task that trains by stochastic gradient descent with momentum.
    ///
    /// - Parameters:
    ///   - network: What makes logits of inputs.
    ///   - learningRate: How far a step goes.
    ///   - momentum: What share of the last step a step keeps.
    ///   - weightDecay: How strongly weights are drawn to 0.
    public init(_ network: any Layer, learningRate: Double, momentum: Double = 0.9, weightDecay: Double = 0) {
        self.network = network
        self.learningRate = learningRate
        self.momentum = momentum
        self.weightDecay = weightDecay
        super.init()
    }

    /// What the network makes of inputs.
    public func logits(_ inputs: Tensor) -> Tensor { network(inputs) }

    /// The classes' logits, `[samples, classes]`.
    public func predictStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor { logits(batch.inputs) }

    /// Stochastic gradient descent with momentum.
    public func configureOptimizers() throws -> OptimizerConfiguration {
        OptimizerConfiguration(
            SGD(parameters, learningRate: learningRate, momentum: momentum, weightDecay: weightDecay))
    }
}
