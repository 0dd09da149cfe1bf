import DataParallel
import MPI
import NN
import Tensors

/// Many processes with a copy of the model each: gradients are summed, everything else is agreed on.
final class DataParallelStrategy: Strategy {
    let topology: Topology
    private let lane: CommunicationLane
    private var arenas: [ParameterArena] = []
    private var reducer: GradientReducer?
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
        let shared = worldSize > 1 && bytes > 0 ? try SharedGradients.allocate(bytes: bytes, on: lane) : nil
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

    func beginStep(_ control: StepControl, averages: Bool) {
        self.control = control
        reducer?.begin(
            payload: [
                Double(control.samples), control.stops ? 1 : 0, Double(control.signal), control.skipsEpoch ? 1 : 0,
                0, 0, 0, 0,
            ],
            dividing: averages)
    }

    private(set) var reductionCount = 0

    func finishStep() throws -> StepControl {
        guard let reducer else { return control }
        reductionCount += 1
        var all = StepControl()
        for payload in try reducer.finish() {
            all.samples += Int(payload[0])
            all.stops = all.stops || payload[1] != 0
            all.signal = max(all.signal, Int32(payload[2]))
            all.skipsEpoch = all.skipsEpoch || payload[3] != 0
        }
        return all
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
