import DataParallel
import MPI
import NN
import Tensors

/// Many processes with a copy of the model each: gradients are summed, everything else is agreed on.
final class DataParallelStrategy: Strategy {
    let topology: Topology
    private let lane: CommunicationLane
    private var arenas: [ParameterArena] = []
    private var shared: SharedGradients?
    private var reducer: GradientReducer?
    /// One for each optimizer, when gradients are summed by hand.
    private var manualReducers: [GradientReducer] = []
    private var control = StepControl()

    init(topology: Topology, lane: CommunicationLane) {
        self.topology = topology
        self.lane = lane
    }

    func prepare(_ module: Module) throws {
        reducer?.detach()
        let named = module.namedParameters
        try ParameterAgreement.check(named, on: lane)
        let parameters = named.map(\.parameter)
        let bytes = ParameterArena.gradientBytes(for: parameters)
        manualReducers = []
        shared = worldSize > 1 && bytes > 0 ? try SharedGradients.allocate(bytes: bytes, on: lane) : nil
        arenas = ParameterArena.arenas(for: parameters, gradients: shared.map { ($0.buffer, $0) })
        try ParameterAgreement.broadcast(arenas, on: lane)
        try synchronizeBuffers(module)
        reducer = GradientReducer(arenas: arenas, lane: lane, shared: shared)
    }

    func prepareForInference(_ module: Module) throws {
        let named = module.namedParameters
        try ParameterAgreement.check(named, on: lane)
        try ParameterAgreement.broadcast(named.map(\.parameter), on: lane)
        try synchronizeBuffers(module)
    }

    func prepareManualSteps(_ optimizers: [[Parameter]]) {
        reducer?.detach()
        reducer = nil
        manualReducers = optimizers.enumerated().map { index, parameters in
            GradientReducer(
                of: parameters, in: arenas, lane: lane, shared: shared, subject: "gradients of optimizer \(index)")
        }
    }

    func sumGradients(ofOptimizer index: Int, _ control: StepControl) throws -> StepControl {
        let reducer = manualReducers[index]
        reducer.begin(payload: control.payload)
        reductionCount += 1
        return try StepControl(reducer.finish())
    }

    func beginStep(_ control: StepControl, averages: Bool) {
        self.control = control
        reducer?.begin(payload: control.payload, dividing: averages)
    }

    private(set) var reductionCount = 0

    func finishStep() throws -> StepControl {
        guard let reducer else { return control }
        reductionCount += 1
        return try StepControl(reducer.finish())
    }

    var communication: CommunicationCounts { lane.counts }

    func sum(_ values: [Double], tag: String) throws -> [Double] {
        let request = CollectiveRequest(.allReduce, tag, count: values.count, of: .float64)
        return try lane.performAgreed(request) { lane, _ in
            let all = try lane.communicator.allGather(values)
            return values.indices.map { index in all.reduce(0) { $0 + $1[index] } }
        }
    }

    func gather(_ text: String, tag: String) throws -> [String] {
        try lane.performAgreed(CollectiveRequest(.allGather, tag)) { lane, _ in try lane.communicator.allGather(text) }
    }

    func gather(_ tensor: Tensor, tag: String) throws -> [Tensor] {
        let dense = tensor.detached.contiguous()
        let bytes = dense.withUnsafeBytes { Array($0) }
        let layout = [Int64](dense.shape.map(Int64.init))
        let types = DType.allCases
        return try lane.performAgreed(CollectiveRequest(.allGather, tag)) { lane, _ in
            let shapes = try lane.communicator.allGather(layout)
            let parts = try lane.communicator.allGather(bytes)
            let kinds = try lane.communicator.allGather([Int64(types.firstIndex(of: dense.dtype) ?? 0)])
            return parts.indices.map { rank in
                parts[rank].withUnsafeBytes {
                    Tensor(bytes: $0, shape: Shape(shapes[rank].map { Int($0) }), dtype: types[Int(kinds[rank][0])])
                }
            }
        }
    }

    func broadcast(_ text: String, tag: String) throws -> String {
        try lane.performAgreed(CollectiveRequest(.broadcast, tag)) { lane, _ in
            try lane.communicator.broadcast(text, from: 0)
        }
    }

    func synchronizeBuffers(_ module: Module) throws {
        try ParameterAgreement.broadcast(module.namedBuffers.map(\.buffer), on: lane)
    }

    func barrier(_ tag: String) throws {
        try lane.performAgreed(CollectiveRequest(.barrier, tag)) { _, _ in }
    }
}

extension StepControl {
    /// The numbers that travel with the gradients.
    fileprivate var payload: ControlPayload {
        [Double(samples), stops ? 1 : 0, Double(signal), skipsEpoch ? 1 : 0, validates ? 1 : 0, 0, 0, 0]
    }

    /// What all ranks said together: samples added up, and what any of them wants.
    fileprivate init(_ payloads: [ControlPayload]) {
        self.init()
        for payload in payloads {
            samples += Int(payload[0])
            stops = stops || payload[1] != 0
            signal = max(signal, Int32(payload[2]))
            skipsEpoch = skipsEpoch || payload[3] != 0
            validates = validates || payload[4] != 0
        }
    }
}
