import DataParallel
import Glibc
import MPI

/// Times of the tree all-reduce beside MPI's own, and of the lane, in microseconds: the least of several rounds.
func measure(_ harness: Harness) throws {
    let world = try harness.world.duplicate()
    report(harness, "ranks \(harness.size), \(MPIEnvironment.library)")
    for piece in [64, 128, 256, 512, 1024, 2048, 4096].map({ $0 << 10 }) {
        let reducer = TreeAllReduce(communicator: world, smallLimit: 0, pieceBytes: piece)
        let times = try [4 << 20, 64 << 20].map { bytes in
            let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: bytes / 4)
            buffer.initialize(repeating: 0)
            defer { buffer.deallocate() }
            return round(try microseconds(world, (256 << 20) / bytes) { try reducer.sum(buffer) })
        }
        report(harness, "pieces of \(piece >> 10) KiB: 4 MiB \(times[0]) µs, 64 MiB \(times[1]) µs")
    }
    for bytes in [1, 4, 8, 16, 32, 64, 256, 1024, 4096, 65536].map({ $0 << 10 }) {
        let count = bytes / MemoryLayout<Float>.stride
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
        buffer.initialize(repeating: 0)
        defer { buffer.deallocate() }
        let whole = TreeAllReduce(communicator: world, smallLimit: min(bytes, 1 << 20))
        let pieces = TreeAllReduce(communicator: world, smallLimit: 0)
        var (tree, sliced, mpi) = (Double.infinity, Double.infinity, Double.infinity)
        let repeats = max(2, min(200, (64 << 20) / bytes))
        for _ in 0..<5 {
            tree = min(tree, try microseconds(world, repeats) { try whole.sum(buffer) })
            sliced = min(sliced, try microseconds(world, repeats) { try pieces.sum(buffer) })
            mpi = min(mpi, try microseconds(world, repeats) { try world.allReduce(buffer, .sum) })
        }
        report(
            harness, "\(bytes >> 10) KiB: whole \(round(tree)) sliced \(round(sliced)) MPI_Allreduce \(round(mpi)) µs")
    }
    guard let shared = try NodeAllReduce(world: world, node: try world.splitShared(), bytes: 64 << 20) else { return }
    for bytes in [1, 4, 16, 64, 256, 1024, 4096, 65536].map({ $0 << 10 }) {
        var best = Double.infinity
        for _ in 0..<5 {
            best = min(
                best,
                try microseconds(world, max(2, min(200, (64 << 20) / bytes))) { try shared.sumFloats(0..<(bytes / 4)) })
        }
        report(harness, "\(bytes >> 10) KiB in shared memory: \(round(best)) µs")
    }
    try shared.free()
    let agreement = Agreement(communicator: world, hostname: harness.topology.hostname)
    let request = CollectiveRequest(.optimizerStep, "gradients")
    report(harness, "agreement: \(round(try microseconds(world, 2000) { _ = try agreement.agree(on: request) })) µs")
    let lane = CommunicationLane(communicator: world, hostname: harness.topology.hostname)
    try lane.perform(request) { _ in }
    let direct = ContinuousClock.now
    for _ in 0..<2000 { try lane.perform(request) { _ in } }
    report(harness, "lane perform of nothing: \(round(spent(direct) / 2000)) µs")
    let queued = ContinuousClock.now
    let tickets = (0..<2000).map { _ in lane.submit(request) { _ in } }
    for ticket in tickets { try ticket.wait() }
    report(harness, "lane submit of nothing, 2000 in a row: \(round(spent(queued) / 2000)) µs")
    try measureWaiting(harness, lane)
    lane.shutdown()
}

/// What a lane that waits for another rank takes from the computing thread of its own rank.
private func measureWaiting(_ harness: Harness, _ lane: CommunicationLane) throws {
    let barrier = CollectiveRequest(.barrier, "late rank")
    try lane.perform(barrier) { try $0.communicator.barrier() }
    if harness.rank == 0 {
        let alone = computing()
        let ticket = lane.submit(barrier) { try $0.communicator.barrier() }
        let beside = computing()
        report(
            harness,
            "computing \(round(alone / 1000)) ms alone, \(round(beside / 1000)) ms beside a waiting lane")
        try ticket.wait()
    } else {
        // The others come late, and sleep meanwhile.
        usleep(1_500_000)
        try lane.perform(barrier) { try $0.communicator.barrier() }
    }
}

/// Microseconds of a fixed piece of arithmetic, through memory so that it is not optimised away.
private func computing() -> Double {
    let values = UnsafeMutableBufferPointer<Double>.allocate(capacity: 1024)
    values.initialize(repeating: 1)
    defer { values.deallocate() }
    let start = ContinuousClock.now
    for _ in 0..<300_000 {
        for index in values.indices { values[index] = values[index] * 0.999999 + 1e-6 }
        // Seen by the optimiser as a use of all values.
        if values[Int(values[7]) & 1023] < 0 { return 0 }
    }
    return spent(start)
}

private func report(_ harness: Harness, _ line: String) {
    if harness.rank == 0 { print(line) }
}

private func round(_ value: Double) -> Double { (value * 10).rounded() / 10 }

private func spent(_ start: ContinuousClock.Instant) -> Double { (ContinuousClock.now - start) / .microseconds(1) }

private func microseconds(_ world: Communicator, _ repeats: Int, _ body: () throws -> Void) throws -> Double {
    try body()
    try world.barrier()
    let start = ContinuousClock.now
    for _ in 0..<repeats { try body() }
    return spent(start) / Double(repeats)
}
