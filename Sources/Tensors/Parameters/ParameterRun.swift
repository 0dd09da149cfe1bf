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

    /// `float32` values that an update writes to instead of the parameters' own, see ``updating(_:_:)``.
    private var master: UnsafeMutableRawPointer?

    private let pieceOrder: [Int]

    private init(parameters: [Parameter], offsets: [Int], elementCount: Int) {
        self.parameters = parameters
        self.offsets = offsets
        self.elementCount = elementCount
        pieceOrder = Self.pieceOrder(parameters, offsets, elementCount: elementCount)
    }

    /// The element type in which the parameters are updated, and of the optimizer's state: `float32` for bfloat16.
    public var stateDType: DType { dtype.accumulator }

    /// Updates bfloat16 parameters through their values in `float32`.
    ///
    /// An update is often less than half of the last place of a bfloat16 number, and would be lost each time. So the
    /// optimizer keeps values with full precision, the update is made there, and the parameters get them rounded. A
    /// parameter that somebody has written to since, or that is new, starts from its own value.
    /// - Parameters:
    ///   - master: The values, ``elementCount`` elements of `float32`.
    ///   - update: Is given the run to update.
    package func updating(_ master: inout Tensor, _ update: (ParameterRun) -> Void) {
        require(dtype == .bfloat16 && master.dtype == .float32, "ParameterRun", "\(dtype) through \(master.dtype)")
        master.makeWritable("ParameterRun")
        var wide = self
        let pointer = master.freshPointer
        wide.master = pointer
        let values = valuePointer
        wide.inPieces { count, start in ck_adopt_bf16(count, values + start / 2, pointer + start) }
        update(wide)
        wide.inPieces { count, start in
            ck_convert(CK_F32, CK_BF16, count, pointer + start, values + start / 2)
        }
    }

    private var valuePointer: UnsafeMutableRawPointer { master ?? parameters[0].valuePointer }
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
                    stateDType.kernelType, count, s, valuePointer + start, gradientPointer + start,
                    slot.map { $0 + start })
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
                    stateDType.kernelType, count, s, valuePointer + start, gradientPointer + start, m + start,
                    v + start,
                    l.map { $0 + start })
            }
        }
    }

    /// Calls `body(count, startInBytes)` for pieces of the run, on all threads.
    private func inPieces(_ body: (Int64, Int) -> Void) {
        Parallel.forEach(pieceOrder.count) { index in
            let start = pieceOrder[index] * elementwiseGrain
            body(Int64(Swift.min(elementwiseGrain, elementCount - start)), start * stateDType.byteCount)
        }
    }

    /// The pieces of the run, those from the first half of each parameter first.
    ///
    /// So the thread that has made the first rows of a gradient, and will read the first rows of the weight, is the one
    /// that updates them (Note [Own pieces first]).
    private static func pieceOrder(_ parameters: [Parameter], _ offsets: [Int], elementCount: Int) -> [Int] {
        let count = (elementCount + elementwiseGrain - 1) / elementwiseGrain
        var index = 0
        let places = (0..<count).map { piece in
            let center = piece * elementwiseGrain + elementwiseGrain / 2
            while index + 1 < offsets.count, offsets[index + 1] <= center { index += 1 }
            return Double(center - offsets[index]) / Double(Swift.max(1, parameters[index].elementCount))
        }
        return (0..<count).sorted { (places[$0], $0) < (places[$1], $1) }
    }
}
