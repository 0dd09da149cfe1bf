import MPI

/// Messages longer than MPI's 32-bit counts, in earnest.
///
/// The other cases see the same code with a lowered limit.
let largeCases: [Case] = [
    Case("broadcast beyond 32 bits") { harness in
        let count = Int(Int32.max) + 1_000_003
        try withBytes(count, filledWith: harness.rank == 0 ? 7 : 0) { bytes in
            if harness.rank == 0 { bytes[count - 1] = 9 }
            try harness.world.broadcast(bytes, from: 0)
            let firstAfter = bytes[Int(Int32.max)]
            harness.expect(bytes[0] == 7 && firstAfter == 7 && bytes[count - 1] == 9, "bytes of the root")
        }
    },
    Case("allGather beyond 32 bits") { harness in
        // Together more than 2^31 - 1 bytes; each rank's part is smaller and of its own length.
        let layout = RankLayout(
            counts: (0..<harness.size).map { (Int(Int32.max) + 5_000_000) / harness.size + $0 * 1001 })
        try withBytes(layout.counts[harness.rank], filledWith: UInt8(harness.rank + 1)) { own in
            try withBytes(layout.extent, filledWith: 0) { all in
                try harness.world.allGatherVariable(UnsafeRawBufferPointer(own), into: all, layout: layout)
                for rank in 0..<harness.size {
                    let (first, last) = (layout.offsets[rank], layout.offsets[rank] + layout.counts[rank] - 1)
                    harness.expect(
                        all[first] == UInt8(rank + 1) && all[last] == UInt8(rank + 1), "part of rank \(rank)")
                }
            }
        }
    },
]

private func withBytes(
    _ count: Int, filledWith value: UInt8, _ body: (UnsafeMutableRawBufferPointer) throws -> Void
) throws {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
    defer { bytes.deallocate() }
    bytes.initializeMemory(as: UInt8.self, repeating: value)
    try body(bytes)
}
