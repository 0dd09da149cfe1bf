import DataParallel
import Glibc
import MPI

/// Times of the tree all-reduce beside MPI's own, and of the lane, in microseconds: the least of several rounds.
func measure(_ harness: Harness) throws {
    let world = try harness.world.duplicate()
    report(harness, "ranks \(harness.size), \(MPIEnvironment.library)")
    let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: largest / MemoryLayout<Float>.stride)
    buffer.initialize(repeating: 0)
    try measurePieces(harness, world, buffer)
    try measureSums(harness, world, buffer)
    buffer.deallocate()
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

/// Bytes of the largest sum measured.
private let largest = 256 << 20

/// Large sums by messages in pieces of several sizes.
private func measurePieces(
    _ harness: Harness, _ world: Communicator, _ buffer: UnsafeMutableBufferPointer<Float>
) throws {
    for piece in [256, 512, 1024, 2048, 4096].map({ $0 << 10 }) {
        let reducer = TreeAllReduce(communicator: world, smallLimit: 0, pieceBytes: piece)
        let times = try [4, 64, 256].map { mebibytes in
            let part = UnsafeMutableBufferPointer(rebasing: buffer[..<(mebibytes << 18)])
            return round(try microseconds(world, 512 / mebibytes) { try reducer.sum(part) })
        }
        report(harness, "pieces of \(piece >> 10) KiB: 4 MiB \(times[0]), 64 MiB \(times[1]), 256 MiB \(times[2]) µs")
    }
}

/// Sums of growing buffers: in shared memory, by messages as between nodes (gathered whole, and in slices), and MPI's
/// own.
private func measureSums(
    _ harness: Harness, _ world: Communicator, _ buffer: UnsafeMutableBufferPointer<Float>
) throws {
    let shared = try NodeAllReduce(world: world, node: try world.splitShared(), bytes: largest)
    let pieces = TreeAllReduce(communicator: world, smallLimit: 0)
    for bytes in [1, 4, 8, 16, 32, 64, 256, 1024, 4096, 16384, 65536, 262144].map({ $0 << 10 }) {
        let part = UnsafeMutableBufferPointer(rebasing: buffer[..<(bytes / MemoryLayout<Float>.stride)])
        let whole = bytes <= 1 << 20 ? TreeAllReduce(communicator: world, smallLimit: bytes) : pieces
        var times = [Double](repeating: .infinity, count: 4)
        let repeats = max(2, min(500, (32 << 20) / bytes))
        // In turn, so that all see the machine alike.
        for _ in 0..<5 {
            if let shared {
                times[0] = min(times[0], try microseconds(world, repeats) { try shared.sumFloats(part.indices) })
            }
            times[1] = min(times[1], try microseconds(world, repeats) { try whole.sum(part) })
            times[2] = min(times[2], try microseconds(world, repeats) { try pieces.sum(part) })
            times[3] = min(times[3], try microseconds(world, repeats) { try world.allReduce(part, .sum) })
        }
        let rounded = times.map(round)
        report(
            harness,
            "\(bytes >> 10) KiB: shared \(rounded[0]), gathered whole \(rounded[1]), in slices \(rounded[2]), "
                + "MPI_Allreduce \(rounded[3]) µs; MPI_Allreduce / shared \(round(times[3] / times[0]))")
    }
    try shared?.free()
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
