import DataParallel
import Lightning
import TrainerFixtures

/// Compares the bucketed reducer with the naive one: a blocking all-reduce for each parameter, in tree order.
func compareReducers() throws {
    let world = try World.current()
    guard let lane = world.lane else { throw OnPurpose("the reducers are compared under mpirun") }
    let (rank, ranks) = (world.topology.globalRank, world.topology.worldSize)
    var (compared, travelled) = (0, 0)
    var left: [Parameter] = []
    for (type, isShared) in [(DType.float32, true), (.float64, true), (.float32, false), (.float64, false)] {
        for limit in [1, 200, 700, 1 << 20] {
            let parameters = makeParameters(type), twins = makeParameters(type)
            let bytes = ParameterArena.gradientBytes(for: parameters)
            let shared = isShared ? try SharedGradients.allocate(bytes: bytes, on: lane) : nil
            guard (shared != nil) == isShared else { throw OnPurpose("no shared memory") }
            let reducer = GradientReducer(
                arenas: ParameterArena.arenas(for: parameters, gradients: shared.map { ($0.buffer, $0) }), lane: lane,
                shared: shared, firstBucketBytes: limit, bucketBytes: limit)
            let collectivesBefore = lane.counts.collectives
            var naive = 0
            for step in 0..<3 {
                for copy in [parameters, twins] {
                    copy[3].requiresGradient = step != 1
                    for parameter in copy { parameter.clearGradient() }
                }
                // Two micro-batches: only the last one's backward pass may send. Parameter 4 is never used, parameter 5
                // only in the first micro-batch, and the order of use differs between the ranks.
                for micro in 0..<2 {
                    if micro == 1 {
                        reducer.begin(payload: [Double(rank + 1), 0, 0, 0, 0, 0, 0, 0], dividing: step == 2)
                    }
                    for copy in [parameters, twins] { backward(copy, micro, seed: 100 * step + 10 * rank + micro) }
                }
                let payloads = try reducer.finish()
                let factor = step == 2 ? 1 / Double(ranks * (ranks + 1) / 2) : 1
                let sums = try twins.map { $0.requiresGradient ? try sumNaively($0, lane) * factor : nil }
                naive += sums.count { $0 != nil }
                guard payloads.map({ $0[0] }) == (1...ranks).map(Double.init) else { throw OnPurpose("payloads") }
                for (index, parameter) in parameters.enumerated() {
                    let found = parameter.gradient?.doubles
                    guard found?.map(\.bitPattern) == sums[index]?.doubles.map(\.bitPattern) else {
                        throw OnPurpose("\(type), limit \(limit), step \(step): parameter \(index) differs")
                    }
                    compared += found?.count ?? 0
                }
            }
            // The exchange of a step is a collective of its own where it does not go with the first bucket.
            let own = shared == nil && ranks > 1 ? 3 : 0
            let collectives = lane.counts.collectives - collectivesBefore - naive
            guard collectives == reducer.counts.buckets + own else { throw OnPurpose("\(collectives) collectives") }
            guard reducer.counts.steps == 3 else { throw OnPurpose("\(reducer.counts.steps) steps") }
            travelled += reducer.counts.bytes
            left += parameters
        }
    }
    let windows = try SharedGradients.count(on: lane)
    for _ in 0..<5 { _ = try SharedGradients.allocate(bytes: 1 << 20, on: lane) }
    if rank == 0 { print("windows left: \(try SharedGradients.count(on: lane) - windows)") }
    // No reducer is left, and nobody told the parameters.
    backward(left, 0, seed: 1)
    if rank == 0 { print("compared: \(compared)\nbytes: \(travelled)") }
}

private func makeParameters(_ type: DType) -> [Parameter] {
    let parameters = (0..<7).map { Parameter(Tensor(filling: 1, shape: [5 + 13 * $0, 3], dtype: type)) }
    parameters[2].requiresGradient = false
    return parameters
}

/// A backward pass whose gradients are ready in an order that depends on the seed.
private func backward(_ parameters: [Parameter], _ micro: Int, seed: Int) {
    var stream = RandomStream(seed: UInt64(seed), purpose: .sampling)
    let used = parameters.indices.filter { $0 != 4 && ($0 != 5 || micro == 0) }
    let order = stream.permutation(used.count).map { used[$0] }
    let losses = order.map { index in
        let parameter = parameters[index]
        let factors = Tensor(stream.normals(parameter.elementCount), shape: parameter.shape)
        return (parameter.value * factors.converted(to: parameter.dtype)).sum()
    }
    for type in [DType.float32, .float64] {
        let same = losses.filter { $0.dtype == type }
        if let first = same.first { same.dropFirst().reduce(first, +).backward() }
    }
}

/// One blocking all-reduce of one parameter.
private func sumNaively(_ parameter: Parameter, _ lane: CommunicationLane) throws -> Tensor {
    let own = parameter.gradient ?? .zeros(parameter.shape, dtype: parameter.dtype)
    if parameter.dtype == .float64 {
        var values = own.array(of: Double.self)
        try values.withUnsafeMutableBufferPointer { try lane.submitSum(of: $0, tag: "naive").wait() }
        return Tensor(values, shape: parameter.shape)
    }
    var values = own.array(of: Float.self)
    try values.withUnsafeMutableBufferPointer { try lane.submitSum(of: $0, tag: "naive").wait() }
    return Tensor(values, shape: parameter.shape)
}
