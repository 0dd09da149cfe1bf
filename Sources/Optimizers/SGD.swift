import Tensors

/// Stochastic gradient descent with momentum, as PyTorch defines it:
/// g ← ∇ + decay·w; m ← μ·m + (1 − dampening)·g (first step: m = g); w ← w − rate·m (Nesterov: g + μ·m).
public final class SGD: Optimizer {
    /// The share of the old direction kept, μ.
    public let momentum: Double
    /// How much less of the new gradient enters the direction.
    public let dampening: Double
    /// The default weight decay.
    public let weightDecay: Double
    /// Whether to look ahead (Sutskever et al., 2013).
    public let isNesterov: Bool

    /// An optimizer over groups.
    public init(
        groups: [ParameterGroup], momentum: Double = 0, dampening: Double = 0, weightDecay: Double = 0,
        isNesterov: Bool = false
    ) {
        require(
            momentum >= 0 && weightDecay >= 0, "SGD", "momentum \(momentum) and weight decay \(weightDecay); at least 0"
        )
        require(
            !isNesterov || (momentum > 0 && dampening == 0), "SGD",
            "looking ahead takes momentum and no dampening, not momentum \(momentum) and dampening \(dampening)")
        self.momentum = momentum
        self.dampening = dampening
        self.weightDecay = weightDecay
        self.isNesterov = isNesterov
        super.init(groups: groups)
    }

    /// An optimizer over one list of parameters.
    public convenience init(
        _ parameters: [Parameter], learningRate: Double, momentum: Double = 0, dampening: Double = 0,
        weightDecay: Double = 0, isNesterov: Bool = false
    ) {
        self.init(
            groups: [ParameterGroup(parameters, learningRate: learningRate)], momentum: momentum, dampening: dampening,
            weightDecay: weightDecay, isNesterov: isNesterov)
    }

    /// Without momentum there is nothing to keep.
    public override var slotNames: [String] { momentum == 0 ? [] : ["momentum"] }

    /// One step over a run.
    public override func update(_ run: ParameterRun, group: ParameterGroup, slots: inout [Tensor], step: Int) {
        var slot = slots.popLast()
        run.applySGD(
            .init(
                learningRate: group.learningRate, momentum: momentum, dampening: dampening,
                weightDecay: group.weightDecay ?? weightDecay, isNesterov: isNesterov, isFirstStep: step == 1),
            momentum: &slot)
        if let slot { slots.append(slot) }
    }
}
