import Tensors
import Testing

/// Blocks of a megabyte and more (Note [Large blocks]), and scratch (Note [Scratch]).
///
/// See Note [Own process]: the counters belong to the process.
struct LargeBlockTests {
    private static let mebibyte = 1 << 20

    private static func block(_ mebibytes: Int) -> Tensor { .zeros([mebibytes * mebibyte / 4]) }

    @Test func neighboursAreJoinedAndCut() async {
        await #expect(processExitsWith: .success) {
            MemoryPool.trim()
            let start = MemoryPool.counts
            do {
                let parts = [3, 1, 4].map(Self.block)
                #expect(MemoryPool.counts.bytesInUse == start.bytesInUse + 8 * Self.mebibyte)
                #expect(parts.allSatisfy { $0.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } % 64 == 0 })
            }
            let filled = MemoryPool.counts
            #expect(filled.systemAllocations == start.systemAllocations + 3)
            #expect(filled.systemBytes == start.systemBytes + 8 * Self.mebibyte)
            // The same memory as one block, and as others.
            for sizes in [[8], [2, 6], [5, 1, 1, 1], [1, 7]] {
                #expect(sizes.map(Self.block).count == sizes.count)
                #expect(MemoryPool.counts == filled)
            }
            // A hole in the middle serves what fits into it; what does not is taken after the rest.
            var held = [2, 3, 3].map(Self.block)
            held.remove(at: 1)
            held += [Self.block(1), Self.block(2)]
            #expect(MemoryPool.counts.systemBytes == filled.systemBytes)
            held.append(Self.block(1))
            #expect(MemoryPool.counts.systemAllocations == filled.systemAllocations + 1)
            #expect(MemoryPool.counts.systemBytes == filled.systemBytes + Self.mebibyte)
        }
    }

    @Test func whatIsGivenBackComesFromTheSystemAgain() async {
        await #expect(processExitsWith: .success) {
            MemoryPool.trim()
            let start = MemoryPool.counts
            let kept = Self.block(2)
            do { #expect(Self.block(6).elementCount > 0) }
            MemoryPool.trim()
            #expect(MemoryPool.counts.systemBytes == start.systemBytes + 2 * Self.mebibyte)
            #expect(MemoryPool.counts.systemBytes == MemoryPool.counts.bytesInUse)
            // Half of it new, half of it used before.
            do { #expect(Self.block(3).elementCount > 0) }
            #expect(MemoryPool.counts.systemBytes == start.systemBytes + 5 * Self.mebibyte)
            do { #expect(Self.block(6).elementCount > 0) }
            #expect(MemoryPool.counts.systemBytes == start.systemBytes + 8 * Self.mebibyte)
            #expect(MemoryPool.counts.systemAllocations == start.systemAllocations + 4)
            #expect(kept.sum().item == 0)
        }
    }

    @Test func blocksNeverOverlap() async {
        await #expect(processExitsWith: .success) {
            MemoryPool.trim()
            let start = MemoryPool.counts
            var stream = RandomStream(seed: 3, purpose: .user)
            var held: [(tensor: Tensor, mark: Double)] = []
            for turn in 0..<400 {
                let words = stream.words(2)
                if held.count > 12 || (turn % 2 == 1 && !held.isEmpty) {
                    let (tensor, mark) = held.remove(at: Int(words[0]) % held.count)
                    #expect(tensor.min().item == mark && tensor.max().item == mark)
                } else {
                    // From half a megabyte, which is not a large block, to 3.5.
                    let count = Self.mebibyte / 8 + Int(words[1]) % (Self.mebibyte * 3 / 4)
                    held.append((Tensor(filling: Double(turn), shape: [count]), Double(turn)))
                }
                if turn % 100 == 99 {
                    MemoryPool.trim()
                    #expect(MemoryPool.counts.systemBytes == MemoryPool.counts.bytesInUse)
                }
            }
            for (tensor, mark) in held { #expect(tensor.min().item == mark && tensor.max().item == mark) }
            held.removeAll()
            #expect(MemoryPool.counts.bytesInUse == start.bytesInUse)
        }
    }

    @Test func stepsThatAskForTheSameAreGivenTheSame() async {
        await #expect(processExitsWith: .success) {
            func step() -> [UInt] {
                let kept = [5, 5, 2, 1].map(Self.block)
                let hole = [Self.block(3), Self.block(2)]
                let last = [Self.block(1)]
                return (kept + hole + last).map { $0.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } }
            }
            let first = step(), counts = MemoryPool.counts
            for _ in 0..<5 { #expect(step() == first) }
            #expect(MemoryPool.counts == counts)
        }
    }

    @Test func scratchIsThereForEveryThreadFromTheFirstRequestOn() async {
        await #expect(processExitsWith: .success) {
            Parallel.threadCount = 3
            let start = MemoryPool.counts
            #expect(placesHeldAtOnce([3_000]).count == 1)
            let warm = MemoryPool.counts
            #expect(warm.systemAllocations == start.systemAllocations + 3)
            #expect(warm.bytesInUse == start.bytesInUse)
            // All threads at once, with less than the largest request.
            #expect(placesHeldAtOnce([100, 3_000, 1_000]).count == 3)
            #expect(MemoryPool.counts == warm)
            // And somebody who is not of the compute threads.
            #expect(placesHeldAtOnce([100, 3_000, 1_000, 64]).count == 4)
            #expect(MemoryPool.counts.systemAllocations == warm.systemAllocations + 1)
            // A larger request while a smaller block is in use, which is not kept afterwards.
            #expect(placesHeldAtOnce([3_000, 2 << 20]).count == 2)
            #expect(MemoryPool.counts.systemAllocations == warm.systemAllocations + 4)
            let large = MemoryPool.counts
            #expect(large.bytesInUse == start.bytesInUse)
            #expect(placesHeldAtOnce([2 << 20, 3_000, 1]).count == 3)
            #expect(MemoryPool.counts == large)
            MemoryPool.trim()
            #expect(MemoryPool.counts.systemBytes == MemoryPool.counts.bytesInUse)
        }
    }

    @Test func productsTakeNothingFromTheSystemWhicheverThreadTheirPiecesFallTo() async {
        await #expect(processExitsWith: .success) {
            Parallel.threadCount = 4
            // Pieces of several sizes: their scratch has several sizes too.
            let x = sampleInputs([96, 784]), w = sampleInputs([520, 784])
            let images = sampleInputs([32, 32, 16, 16]), kernels = sampleInputs([64, 32, 3, 3])
            func step() -> Double {
                let product = x.linear(weight: w, bias: nil).sum().item
                return product
                    + images.convolved(weight: kernels, bias: nil, window: Window(kernel: 3, padding: 1)).sum().item
            }
            let first = step(), counts = MemoryPool.counts
            for _ in 0..<200 { #expect(step() == first) }
            #expect(MemoryPool.counts.systemAllocations == counts.systemAllocations)
            #expect(MemoryPool.counts.systemBytes == counts.systemBytes)
        }
    }
}

private func sampleInputs(_ shape: Shape) -> Tensor {
    var stream = RandomStream(seed: 5, purpose: .user)
    return stream.normals(shape)
}

/// Takes scratch of several sizes, all before the first is given back, writes to all of it, and says where it was.
private func placesHeldAtOnce(_ byteCounts: ArraySlice<Int>) -> Set<UInt> {
    guard let byteCount = byteCounts.first else { return [] }
    let scratch = Scratch(byteCount: byteCount)
    scratch.pointer.initializeMemory(as: UInt8.self, repeating: UInt8(byteCounts.count), count: byteCount)
    let places = placesHeldAtOnce(byteCounts.dropFirst())
    let bytes = UnsafeRawBufferPointer(start: scratch.pointer, count: byteCount)
    #expect(bytes.allSatisfy { $0 == byteCounts.count })
    return places.union([UInt(bitPattern: scratch.pointer)])
}
