import Tensors

/// Parameters that are updated with the same settings.
public final class ParameterGroup {
    /// The parameters, in order.
    public let parameters: [Parameter]
    /// The learning rate of the next step; schedules set it.
    public var learningRate: Double
    /// The learning rate the group began with, which schedules multiply.
    public internal(set) var initialLearningRate: Double
    /// The weight decay of this group; nil for the optimizer's own.
    public var weightDecay: Double?
    /// A name for logs.
    public let name: String?

    /// Puts both learning rates back to those of a checkpoint.
    package func restore(initialLearningRate: Double, learningRate: Double) {
        self.initialLearningRate = initialLearningRate
        self.learningRate = learningRate
    }

    /// A group of parameters.
    public init(_ parameters: [Parameter], learningRate: Double, weightDecay: Double? = nil, name: String? = nil) {
        require(
            learningRate >= 0 && weightDecay ?? 0 >= 0, "ParameterGroup",
            "learning rate \(learningRate) and weight decay \(weightDecay ?? 0); at least 0")
        self.parameters = parameters
        self.learningRate = learningRate
        initialLearningRate = learningRate
        self.weightDecay = weightDecay
        self.name = name
    }
}
