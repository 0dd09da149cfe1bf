import CKernels

/// Parameters that lie one after another in memory, updated by an optimizer in one pass.
///
/// Parameters of one arena make one run, parameters without an arena one run each.
public struct ParameterRun {
    /// The parameters, in memory order.
    public let parameters: [Parameter]
    /// Where each starts, in elements from the start of the run.
    public let offsets: [Int]
    /// The length of the run in elements, gaps included.
    public let elementCount: Int
    /// The element type.
    public var dtype: DType { parameters[0].dtype }

    /// Cuts a list of parameters into runs.
    ///
    /// A run ends where the next parameter is not the neighbour in memory.
    ///
    /// - Parameters:
    ///   - parameters: In the order to be updated.
    ///   - belongTogether: Whether two neighbours may share a run, such as: they have taken equally many steps.
    public static func runs(
        of parameters: [Parameter], where belongTogether: (Parameter, Parameter) -> Bool = { _, _ in true }
    ) -> [ParameterRun] {
        var runs: [ParameterRun] = []
        var current: [Parameter] = []
        var offsets: [Int] = []
        func close() {
            if let last = current.last, let start = offsets.last {
                runs.append(
                    ParameterRun(
                        parameters: current, offsets: offsets, elementCount: start + last.elementCount))
            }
            current = []
            offsets = []
        }
        for parameter in parameters {
            if let last = current.last, let start = offsets.last {
                if let gap = distance(from: last, to: parameter), belongTogether(last, parameter) {
                    current.append(parameter)
                    offsets.append(start + gap)
                    continue
                }
                close()
            }
            current = [parameter]
            offsets = [0]
        }
        close()
        return runs
    }

    /// How far apart two parameters start, when the second is the first's neighbour in an arena.
    private static func distance(from a: Parameter, to b: Parameter) -> Int? {
        guard let from = a.place, let to = b.place, from.arena == to.arena else { return nil }
        let distance = to.offset - from.offset
        let alignment = 64 / a.dtype.byteCount
        return distance >= a.elementCount && distance < a.elementCount + alignment ? distance : nil
    }

    /// Whether the parameters still lie one after another as they did.
    ///
    /// Asked in each step, so it makes no lists.
    package var isCurrent: Bool {
        var index = 1
        while index < parameters.count {
            guard let gap = Self.distance(from: parameters[index - 1], to: parameters[index]),
                offsets[index] == offsets[index - 1] + gap
            else { return false }
            index += 1
        }
        return true
    }

    /// Makes values writable and gradients what they mean; called before an update.
    package func prepare() {
        for parameter in parameters {
            parameter.makeExclusive()
            parameter.materializeGradient()
        }
    }

    private var valuePointer: UnsafeMutableRawPointer { parameters[0].valuePointer }
    private var gradientPointer: UnsafeMutableRawPointer { parameters[0].gradientPointer }

    /// What one step of stochastic gradient descent is told.
    package struct SGDSettings {
        package var learningRate, momentum, dampening, weightDecay: Double
        package var isNesterov, isFirstStep: Bool

        package init(
            learningRate: Double, momentum: Double, dampening: Double, weightDecay: Double, isNesterov: Bool,
            isFirstStep: Bool
        ) {
            self.learningRate = learningRate
            self.momentum = momentum
            self.dampening = dampening
            self.weightDecay = weightDecay
            self.isNesterov = isNesterov
            self.isFirstStep = isFirstStep
        }
    }

    /// One step of stochastic gradient descent.
    ///
    /// `momentum` is a slot of ``elementCount`` elements, or nil.
    package func applySGD(_ settings: SGDSettings, momentum: inout Tensor?) {
        var s = ck_sgd_settings(
            learning_rate: settings.learningRate, momentum: settings.momentum, dampening: settings.dampening,
            weight_decay: settings.weightDecay, nesterov: settings.isNesterov ? 1 : 0, maximize: 0,
            first_step: settings.isFirstStep ? 1 : 0)
        momentum?.makeWritable("SGD")
        let slot = momentum?.freshPointer
        withUnsafePointer(to: &s) { s in
            inPieces { count, start in
                ck_sgd(
                    dtype.kernelType, count, s, valuePointer + start, gradientPointer + start, slot.map { $0 + start })
            }
        }
    }

    /// What one step of Adam is told.
    package struct AdamSettings {
        package var learningRate, beta1, beta2, epsilon, weightDecay: Double
        package var step: Int
        package var isDecayDecoupled: Bool

        package init(
            learningRate: Double, beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, step: Int,
            isDecayDecoupled: Bool
        ) {
            self.learningRate = learningRate
            self.beta1 = beta1
            self.beta2 = beta2
            self.epsilon = epsilon
            self.weightDecay = weightDecay
            self.step = step
            self.isDecayDecoupled = isDecayDecoupled
        }
    }

    /// One step of Adam or AdamW; the slots have ``elementCount`` elements each.
    package func applyAdam(
        _ settings: AdamSettings, mean: inout Tensor, variance: inout Tensor, largest: inout Tensor?
    ) {
        var s = ck_adam_settings(
            learning_rate: settings.learningRate, beta1: settings.beta1, beta2: settings.beta2,
            epsilon: settings.epsilon, weight_decay: settings.weightDecay,
            bias_correction1: 1 - Mathematics.power(settings.beta1, settings.step),
            bias_correction2: 1 - Mathematics.power(settings.beta2, settings.step),
            decoupled_decay: settings.isDecayDecoupled ? 1 : 0, maximize: 0)
        mean.makeWritable("Adam")
        variance.makeWritable("Adam")
        largest?.makeWritable("Adam")
        let (m, v, l) = (mean.freshPointer, variance.freshPointer, largest?.freshPointer)
        withUnsafePointer(to: &s) { s in
            inPieces { count, start in
                ck_adam(
                    dtype.kernelType, count, s, valuePointer + start, gradientPointer + start, m + start, v + start,
                    l.map { $0 + start })
            }
        }
    }

    /// Calls `body(count, startInBytes)` for pieces of the run, on all threads.
    private func inPieces(_ body: (Int64, Int) -> Void) {
        Parallel.forRanges(elementCount, grain: elementwiseGrain) { range in
            body(Int64(range.count), range.lowerBound * dtype.byteCount)
        }
    }
}
