import MPI

/// Every collective of `Communicator`, with every type, whole and in pieces.
let collectiveCases: [Case] = [
    Case("topology") { harness in
        let topology = harness.topology
        harness.expectEqual(topology.worldSize, harness.size, "world size")
        harness.expectEqual(topology.globalRank, harness.rank, "global rank")
        let perNode = try harness.world.allGather([Int64(topology.nodeRank), Int64(topology.localRank)])
        harness.expectEqual(Set(perNode).count, harness.size, "distinct (node, local) pairs")
        harness.expectEqual(Set(perNode.map { $0[0] }).count, topology.nodeCount, "node count")
        let allotment = try ThreadAllotment(node: try harness.world.splitShared())
        harness.expect((1...allotment.cores).contains(allotment.threads), "threads \(allotment)")
        harness.expect(
            (1...topology.localSize).contains(allotment.sharers), "sharers \(allotment) of \(topology.localSize)")
    },
    Case("allReduce") { harness in
        for chunk in [nil, 1, 3] {
            let world = try harness.world.duplicate(chunkLimit: chunk)
            try reduceEveryWay(harness, world) { Float($0) }
            try reduceEveryWay(harness, world) { Double($0) }
            try reduceEveryWay(harness, world) { Int64($0) }
        }
    },
    Case("broadcast") { harness in
        for chunk in [nil, 1, 7] {
            let world = try harness.world.duplicate(chunkLimit: chunk)
            for root in 0..<world.size {
                let mine = world.rank == root
                harness.expectEqual(try world.broadcast(mine ? [1.5, -2] : [], from: root), [1.5, -2], "doubles")
                harness.expectEqual(
                    try world.broadcast(mine ? [Int64.min, 3] : [], from: root), [Int64.min, 3], "integers")
                harness.expectEqual(try world.broadcast(mine ? "höhe" : "x", from: root), "höhe", "text")
                harness.expectEqual(try world.broadcast(mine ? [UInt8]() : [9], from: root), [], "nothing")
                let long = (0..<1001).map { UInt8(truncatingIfNeeded: $0 * 7) }
                harness.expectEqual(try world.broadcast(mine ? long : [], from: root), long, "bytes")
            }
        }
    },
    Case("allGather") { harness in
        for chunk in [nil, 1, 5] {
            let world = try harness.world.duplicate(chunkLimit: chunk)
            harness.expectEqual(
                try world.allGather([Double(world.rank), 0.5]), (0..<world.size).map { [Double($0), 0.5] }, "equal")
            // Unequal, and rank 0 gives nothing.
            let values = (0..<world.size).map { rank in (0..<(rank * 3)).map { Int64(rank * 100 + $0) } }
            harness.expectEqual(try world.allGather(values[world.rank]), values, "unequal")
            harness.expectEqual(
                try world.allGather([UInt8]()), Array(repeating: [], count: world.size), "all empty")
            harness.expectEqual(
                try world.allGather("rank \(world.rank)é"), (0..<world.size).map { "rank \($0)é" }, "texts")
        }
    },
    Case("allGather in place") { harness in
        for chunk in [nil, 4] {
            let world = try harness.world.duplicate(chunkLimit: chunk)
            let layout = RankLayout(counts: (0..<world.size).map { $0 + 1 })
            var bytes = [UInt8](repeating: 0, count: layout.total)
            for index in 0..<layout.counts[world.rank] {
                bytes[layout.offsets[world.rank] + index] = UInt8(world.rank * 10 + index)
            }
            try bytes.withUnsafeMutableBytes { try world.allGatherVariable(nil, into: $0, layout: layout) }
            let wanted = (0..<world.size).flatMap { rank in (0...rank).map { UInt8(rank * 10 + $0) } }
            harness.expectEqual(bytes, wanted, "in place")
        }
    },
    Case("gather") { harness in
        for chunk in [nil, 1, 5] {
            let world = try harness.world.duplicate(chunkLimit: chunk)
            let values = (0..<world.size).map { rank in (0..<(rank * 2)).map { Double(rank) + Double($0) / 8 } }
            for root in 0..<world.size {
                let gathered = try world.gather(values[world.rank], to: root)
                harness.expectEqual(gathered, world.rank == root ? values : nil, "to \(root)")
            }
        }
    },
    Case("allToAll") { harness in
        for chunk in [nil, 1, 5] {
            let world = try harness.world.duplicate(chunkLimit: chunk)
            let message = { (from: Int, to: Int) in
                (0..<((from * 5 + to * 3) % 7)).map { Int64(from * 100 + to * 10 + $0) }
            }
            let received = try world.allToAll((0..<world.size).map { message(world.rank, $0) })
            harness.expectEqual(received, (0..<world.size).map { message($0, world.rank) }, "from every rank")
        }
    },
    Case("send and receive") { harness in
        for chunk in [nil, 3] {
            let world = try harness.world.duplicate(chunkLimit: chunk)
            let (next, previous) = ((world.rank + 1) % world.size, (world.rank + world.size - 1) % world.size)
            for count in [0, 1, 3, 4, 100_000] {
                let outgoing = [UInt8](repeating: UInt8(world.rank + 1), count: count)
                var incoming = [UInt8](repeating: 0, count: count)
                try outgoing.withUnsafeBytes { out in
                    try incoming.withUnsafeMutableBytes {
                        try world.sendReceive(out, to: next, $0, from: previous, tag: 4)
                    }
                }
                harness.expect(incoming.allSatisfy { $0 == UInt8(previous + 1) }, "ring of \(count) bytes")
            }
            guard world.size > 1 else { continue }
            var word = Array("hello".utf8)
            if world.rank == 0 {
                try word.withUnsafeBytes { try world.send($0, to: 1, tag: 7) }
            } else if world.rank == 1 {
                word = [0, 0, 0, 0, 0]
                try word.withUnsafeMutableBytes { try world.receive($0, from: 0, tag: 7) }
            }
            harness.expectEqual(word, Array("hello".utf8), "message")
        }
    },
    Case("short message") { harness in
        guard harness.size > 1 else { return }
        var room = [UInt8](repeating: 0, count: 8)
        if harness.rank == 0 {
            try [1, 2, 3].withUnsafeBytes { try harness.world.send(UnsafeRawBufferPointer(rebasing: $0[..<3]), to: 1) }
        }
        if harness.rank == 1 {
            do {
                try room.withUnsafeMutableBytes { try harness.world.receive($0, from: 0) }
                harness.expect(false, "a short message went unnoticed")
            } catch let error as MPIError {
                harness.expect(error.message.contains("only 3 bytes"), "\(error)")
            }
        }
    },
    Case("split") { harness in
        let (rank, size) = (harness.rank, harness.size)
        let half = try harness.world.split(color: rank % 2, key: -rank)
        // Reversed keys: the last rank of the color comes first.
        let members = Array((0..<size).filter { $0 % 2 == rank % 2 }.reversed())
        harness.expectEqual(try half?.allGather([Int64(rank)]).flatMap { $0 } ?? [], members.map { Int64($0) }, "order")
        let only = try harness.world.split(color: rank == 0 ? 5 : nil)
        harness.expectEqual(only?.size, rank == 0 ? 1 : nil, "left out")
    },
    Case("errors are thrown") { harness in
        do {
            _ = try harness.world.broadcast([1.0], from: harness.size)
            harness.expect(false, "a root outside the world went unnoticed")
        } catch let error as MPIError {
            harness.expect(error.context.contains("rank \(harness.rank)"), "\(error)")
        }
        do {
            var byte: UInt8 = 0
            try withUnsafeMutableBytes(of: &byte) { try harness.world.receive($0, from: 0, tag: 40_000) }
            harness.expect(false, "a tag out of range went unnoticed")
        } catch let error as MPIError {
            harness.expect(error.message.contains("tag 40000"), "\(error)")
        }
    },
    Case("barrier") { harness in try harness.world.barrier() },
]

private func reduceEveryWay<Element: ReductionElement & Numeric & Comparable>(
    _ harness: Harness, _ world: Communicator, _ make: (Int) -> Element
) throws {
    for count in [0, 1, 2, 17, 1000] {
        func value(_ rank: Int, _ index: Int) -> Element { make((rank * 31 + index * 7) % 13 - 6) }
        let own = (0..<count).map { value(world.rank, $0) }
        for operation in ReductionOperation.allCases {
            // Small whole numbers: exact in every type and order.
            let wanted = (0..<count).map { index in
                (1..<world.size).reduce(value(0, index)) { partial, rank in
                    switch operation {
                    case .sum: partial + value(rank, index)
                    case .minimum: min(partial, value(rank, index))
                    case .maximum: max(partial, value(rank, index))
                    }
                }
            }
            let found = try world.allReduce(own, operation)
            harness.expectEqual(found, wanted, "\(operation) of \(count) \(Element.reductionType.name)")
        }
    }
}
