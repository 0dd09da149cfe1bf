import Tensors

/// Adam (Kingma & Ba, 2015): steps scaled by running moments of the gradient.
///
/// Weight decay is added to the gradient.
public class Adam: Optimizer {
    /// The decay rates of the running mean and of the running square.
    public let betas: (Double, Double)
    /// Keeps the divisor away from 0.
    public let epsilon: Double
    /// The default weight decay.
    public let weightDecay: Double
    /// Whether the largest running square so far is used (Reddi et al., 2018).
    public let isAMSGrad: Bool

    /// An optimizer over groups.
    public init(
        groups: [ParameterGroup], betas: (Double, Double) = (0.9, 0.999), epsilon: Double = 1e-8,
        weightDecay: Double = 0, isAMSGrad: Bool = false
    ) {
        require(
            [betas.0, betas.1].allSatisfy { $0 >= 0 && $0 < 1 } && epsilon >= 0 && weightDecay >= 0, "Adam",
            "betas \(betas) are in 0 ..< 1, epsilon \(epsilon) and weight decay \(weightDecay) at least 0")
        self.betas = betas
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.isAMSGrad = isAMSGrad
        super.init(groups: groups)
    }

    /// An optimizer over one list of parameters.
    public convenience init(
        _ parameters: [Parameter], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8, weightDecay: Double = 0, isAMSGrad: Bool = false
    ) {
        self.init(
            groups: [ParameterGroup(parameters, learningRate: learningRate)], betas: betas, epsilon: epsilon,
            weightDecay: weightDecay, isAMSGrad: isAMSGrad)
    }

    /// The running mean and square, and with AMSGrad the largest square.
    public override var slotNames: [String] { isAMSGrad ? ["mean", "variance", "largest"] : ["mean", "variance"] }

    /// Whether weight decay shrinks the weights directly instead of entering the gradient.
    var isDecayDecoupled: Bool { false }

    /// One step over a run.
    public override func update(_ run: ParameterRun, group: ParameterGroup, slots: inout [Tensor], step: Int) {
        var largest = isAMSGrad ? slots.popLast() : nil
        guard var variance = slots.popLast(), var mean = slots.popLast() else {
            fail("Adam: state of \(slotNames.count) slots expected")
        }
        run.applyAdam(
            .init(
                learningRate: group.learningRate, beta1: betas.0, beta2: betas.1, epsilon: epsilon,
                weightDecay: group.weightDecay ?? weightDecay, step: step, isDecayDecoupled: isDecayDecoupled),
            mean: &mean, variance: &variance, largest: &largest)
        slots = [mean, variance]
        if let largest { slots.append(largest) }
    }
}

/// Adam with decoupled weight decay (Loshchilov & Hutter, 2019): weights shrink by rate · decay before each step.
public final class AdamW: Adam {
    override var isDecayDecoupled: Bool { true }

    /// An optimizer over groups.
    public override init(
        groups: [ParameterGroup], betas: (Double, Double) = (0.9, 0.999), epsilon: Double = 1e-8,
        weightDecay: Double = 0.01, isAMSGrad: Bool = false
    ) {
        super.init(groups: groups, betas: betas, epsilon: epsilon, weightDecay: weightDecay, isAMSGrad: isAMSGrad)
    }

    /// An optimizer over one list of parameters.
    public convenience init(
        _ parameters: [Parameter], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8, weightDecay: Double = 0.01, isAMSGrad: Bool = false
    ) {
        self.init(
            groups: [ParameterGroup(parameters, learningRate: learningRate)], betas: betas, epsilon: epsilon,
            weightDecay: weightDecay, isAMSGrad: isAMSGrad)
    }
}
