import DataParallel
import Glibc
import MPI
import Synchronization

/// The tree all-reduce, the agreement and the lane.
let parallelCases: [Case] = [
    Case("tree all-reduce") { harness in
        let world = try harness.world.duplicate()
        // The limits make a few kilobytes go every way: whole, one piece, many pieces, a last piece smaller than a slice.
        for (small, piece) in [(0, 64), (256, 1024), (4096, 4096), (16 << 10, 1 << 20)] {
            let reducer = TreeAllReduce(communicator: world, smallLimit: small, pieceBytes: piece)
            var counts = [0, 1, 2, 3, 7, 15, 16, 17, 63, 64, 65, 251, 1021, 4093, 4099]
            if piece > 4096 { counts += [16383 / 4, 4096, 4097, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 700_001] }
            for count in counts {
                try compare(harness, count, make: { Float($0) }) { try reducer.sum($0, times: $1) }
                try compare(harness, count, make: { $0 }) { try reducer.sum($0, times: $1) }
            }
        }
    },
    Case("shared memory") { harness in
        let node = try harness.world.splitShared()
        for bytes in [1, 4096, 5000] {
            let memory = try SharedMemory(node: node, bytesPerRank: bytes)
            harness.expectEqual(memory.count, node.size, "parts")
            let own = memory.part(of: node.rank)
            harness.expect(own.allSatisfy { $0 == 0 }, "memory that is not zeroed")
            own[bytes - 1] = UInt8(node.rank + 1)
            try node.barrier()
            for peer in 0..<node.size {
                let part = memory.part(of: peer)
                harness.expectEqual(part.count, bytes, "bytes of rank \(peer)")
                harness.expectEqual(part[bytes - 1], UInt8(peer + 1), "what rank \(peer) wrote")
                // The promise that gradients of the window are aligned rests on it.
                harness.expectEqual(UInt(bitPattern: part.baseAddress) % 4096, 0, "place in its page")
            }
            try node.barrier()
            try memory.free()
        }
    },
    Case("node all-reduce") { harness in
        let shared = try harness.world.splitShared()
        guard shared.size == harness.size else { return }
        // The true node, then pretended nodes of one and of two ranks, which communicate as distant ones do.
        for perNode in [harness.size, 1, 2] {
            guard let node = try shared.split(color: harness.rank / perNode) else { continue }
            let made = try NodeAllReduce(world: harness.world, node: node, bytes: 8 * 200_000)
            harness.expectEqual(
                made != nil, perNode >= harness.size || harness.size % perNode == 0, "nodes of \(perNode)")
            guard let reducer = made else { continue }
            for first in [0, 1, 16, 333] {
                for count in [0, 1, 2, 15, 16, 17, 63, 1021, 4096, 4099, 100_003] {
                    try compare(harness, count, make: { Float($0) }) { values, factor in
                        try sumShared(values, first, reducer.buffer) { try reducer.sumFloats($0, times: factor) }
                    }
                    try compare(harness, count, make: { $0 }) { values, factor in
                        try sumShared(values, first, reducer.buffer) { try reducer.sumDoubles($0, times: factor) }
                    }
                }
            }
            try reducer.free()
        }
    },
    Case("agreement") { harness in
        // On the board of the node, and by messages as between nodes.
        for sharesMemory in [true, false] {
            let agreement = Agreement(
                communicator: try harness.world.duplicate(), hostname: harness.topology.hostname,
                sharesMemory: sharesMemory)
            let request = CollectiveRequest(.optimizerStep, "gradients", count: 10, of: .float32)
            for step in 0..<1000 {
                var payload = ControlPayload.zero
                payload[0] = Double(step)
                payload[7] = Double(harness.rank)
                let all = try agreement.agree(on: request, payload: payload)
                harness.expectEqual(all.count, harness.size, "payloads")
                for (rank, payload) in all.enumerated() {
                    harness.expect(payload[0] == Double(step) && payload[7] == Double(rank), "payload \(payload)")
                }
            }
        }
    },
    Case("mismatch") { harness in
        guard harness.size > 1 else { return }
        let odd = harness.size - 1
        let requests: [(CollectiveRequest, CollectiveRequest)] = [
            (.init(.barrier, "x"), .init(.allGather, "my tag", count: 3, of: .float32)),
            (.init(.barrier, "x"), .init(.barrier, "y")),
            (.init(.allReduce, "loss", count: 3, of: .float32), .init(.allReduce, "loss", count: 4, of: .float32)),
            (.init(.allReduce, "loss", count: 3, of: .float32), .init(.allReduce, "loss", count: 3, of: .float64)),
        ]
        for (sharesMemory, (usual, other)) in [true, false].flatMap({ way in requests.map { (way, $0) } }) {
            let agreement = Agreement(
                communicator: try harness.world.duplicate(), hostname: harness.topology.hostname,
                sharesMemory: sharesMemory)
            var said = "nothing"
            do { _ = try agreement.agree(on: harness.rank == odd ? other : usual) } catch let error
                as CollectiveMismatch
            {
                said = error.description
            }
            harness.expect(
                said.contains(other.description) && said.contains(usual.description), "message: \(said)")
            if harness.size > 2 {
                harness.expect(
                    said.contains("rank \(odd) (host \(harness.topology.hostname)) asked for \(other)"), said)
            }
            harness.expectEqual(Set(try harness.world.allGather(said)).count, 1, "the same words on every rank")
        }
    },
    Case("lane") { harness in
        let lane = CommunicationLane(communicator: try harness.world.duplicate(), hostname: harness.topology.hostname)
        defer { lane.shutdown() }
        let buffers = (1...50).map { UnsafeMutableBufferPointer<Float>.allocate(capacity: $0 * 111) }
        defer { buffers.forEach { $0.deallocate() } }
        for buffer in buffers { buffer.initialize(repeating: Float(harness.rank + 1)) }
        let tickets = buffers.map { lane.submitSum(of: $0, tag: "bucket") }
        for ticket in tickets { try ticket.wait() }
        let wanted = Float(harness.size * (harness.size + 1) / 2)
        harness.expect(buffers.allSatisfy { $0.allSatisfy { $0 == wanted } }, "sums through the lane")
        let sum = try lane.performAgreed(CollectiveRequest(.allReduce, "count"), payload: .init(repeating: 1)) {
            lane, all in
            all.reduce(0) { $0 + $1[3] } + (try lane.communicator.allReduce(1.0, .sum))
        }
        harness.expectEqual(sum, Double(2 * harness.size), "value through the lane")
    },
    Case("watchdog") { harness in
        let heard = Mutex<[String]>([])
        let watchdog = Watchdog(
            topology: harness.topology, warning: .milliseconds(40),
            report: { line in heard.withLock { $0.append(line) } })
        let lane = CommunicationLane(
            communicator: try harness.world.duplicate(), hostname: harness.topology.hostname, watchdog: watchdog)
        let slow = CollectiveRequest(.broadcast, "slow")
        for (phase, messages) in [
            (TrainingPhase("prepareData", isWatched: false), 0), (TrainingPhase("training", epoch: 3, batch: 17), 1),
        ] {
            Watchdog.phase = phase
            try lane.perform(slow) { _ in _ = usleep(300_000) }
            let lines = heard.withLock { $0 }
            harness.expectEqual(lines.count, messages, "messages in \(phase): \(lines)")
            harness.expect(
                lines.allSatisfy { $0.contains("in broadcast 'slow' (phase: training epoch 3 batch 17)") }, "\(lines)")
        }
        lane.shutdown()
        watchdog.stop()
    },
    Case("lane errors") { harness in
        struct Wrong: Error, Equatable { let number: Int }
        let lane = CommunicationLane(communicator: try harness.world.duplicate(), hostname: harness.topology.hostname)
        let request = CollectiveRequest(.barrier, "error")
        let before = lane.submit(request) { try $0.communicator.barrier() }
        let failing = lane.submit(request) { _ in throw Wrong(number: 1) }
        let after = lane.submit(request, atOnce: false) { _ in throw Wrong(number: 2) }
        try before.wait()
        for ticket in [failing, after, failing] {
            do {
                try ticket.wait()
                harness.expect(false, "no error")
            } catch {
                harness.expectEqual(error as? Wrong, Wrong(number: 1), "first error")
            }
        }
        do {
            _ = try lane.perform(request) { _ in 5 }
            harness.expect(false, "work after an error")
        } catch {
            harness.expectEqual(error as? Wrong, Wrong(number: 1), "first error in perform")
        }
        lane.shutdown()
        do {
            try lane.submit(request) { _ in }.wait()
            harness.expect(false, "work after shutdown")
        } catch {
            harness.expectEqual((error as? LaneStopped)?.request, request, "stopped")
        }
    },
]

/// Sums by the tree of Note [Tree order], written out as plainly as possible.
private func reference<Element: FloatingPoint>(_ sources: [Element]) -> Element {
    var partial = sources
    var distance = 1
    while distance < partial.count {
        for left in stride(from: 0, to: partial.count - distance, by: 2 * distance) {
            partial[left] += partial[left + distance]
        }
        distance *= 2
    }
    return partial[0]
}

/// Sums through the shared buffer and checks that the elements beside the range stay.
private func sumShared<Element: BinaryFloatingPoint>(
    _ values: UnsafeMutableBufferPointer<Element>, _ first: Int, _ room: UnsafeMutableRawBufferPointer,
    _ sum: (Range<Int>) throws -> Void
) throws {
    let shared = room.assumingMemoryBound(to: Element.self)
    let range = first..<(first + values.count)
    if first > 0 { shared[first - 1] = 41 }
    shared[range.upperBound] = 42
    for index in values.indices { shared[first + index] = values[index] }
    try sum(range)
    for index in values.indices { values[index] = shared[first + index] }
    if shared[range.upperBound] != 42 || (first > 0 && shared[first - 1] != 41), let start = values.baseAddress {
        start.pointee = .nan
    }
}

private func compare<Element: BinaryFloatingPoint>(
    _ harness: Harness, _ count: Int, make: (Double) -> Element,
    sum: (UnsafeMutableBufferPointer<Element>, _ factor: Double) throws -> Void
) throws {
    // Numbers of very different size, so that any other order of addition shows in the bits.
    func value(_ rank: Int, _ index: Int) -> Element {
        var state = UInt64(rank &* 7_919 &+ index) &* 0x9e37_79b9_7f4a_7c15
        state ^= state >> 29
        state &*= 0xbf58_476d_1ce4_e5b9
        let fraction = Double(state >> 11) / Double(1 << 53) - 0.5
        return make(fraction * Double(1 << (state & 15)))
    }
    // Every other count with a factor.
    let factor = count % 2 == 0 ? 1 : 1.0 / 3
    var own = (0..<count).map { value(harness.rank, $0) }
    try own.withUnsafeMutableBufferPointer { try sum($0, factor) }
    for index in 0..<count {
        let wanted = reference((0..<harness.size).map { value($0, index) }) * Element(factor)
        guard own[index] == wanted else {
            return harness.expect(
                false, "element \(index) of \(count) \(Element.self): found \(own[index]), wanted \(wanted)")
        }
    }
}
