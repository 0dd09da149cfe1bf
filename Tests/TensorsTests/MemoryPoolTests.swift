import Tensors
import Testing

struct MemoryPoolTests {
    @Test func sizeClasses() {
        var previous = MemoryPool.sizeClass(of: 1)
        #expect(previous.size == 64)
        for byteCount in 1...200_000 {
            let (index, size) = MemoryPool.sizeClass(of: byteCount)
            #expect(size >= byteCount)
            // At most a ninth of a block is unused; of small ones, whose classes are 16 bytes apart, a fifth.
            if byteCount > 64 { #expect(Double(size - byteCount) < (byteCount > 128 ? 1 / 9.0 : 0.2) * Double(size)) }
            // One class is one size, and larger sizes have larger classes.
            #expect((index == previous.index) == (size == previous.size))
            #expect(index >= previous.index && size >= previous.size)
            previous = (index, size)
        }
        // A block's own size is in its own class, up to sizes no machine has.
        var size = 64
        while size < 1 << 60 {
            let own = MemoryPool.sizeClass(of: size), next = MemoryPool.sizeClass(of: size + 1)
            #expect(own.size == size && next.size > size && next.index > own.index && next.index < 512)
            size = next.size
        }
    }

    // See Note [Own process]: the counters belong to the process.

    @Test func blocksAreUsedAgain() async {
        await #expect(processExitsWith: .success) {
            MemoryPool.trim()
            let start = MemoryPool.counts
            do {
                let a = Tensor.zeros([1_000])
                #expect(MemoryPool.counts.bytesInUse == start.bytesInUse + 4_096)
                #expect(MemoryPool.counts.systemAllocations == start.systemAllocations + 1)
                #expect(a.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } % 64 == 0)
            }
            #expect(MemoryPool.counts.bytesInUse == start.bytesInUse)
            for count in [1_000, 1_024, 970] { #expect(Tensor.ones([count]).elementCount == count) }
            #expect(MemoryPool.counts.systemAllocations == start.systemAllocations + 1)
            #expect(MemoryPool.counts.systemBytes == start.systemBytes + 4_096)
            MemoryPool.trim()
            #expect(MemoryPool.counts.systemBytes == MemoryPool.counts.bytesInUse)
            #expect(Tensor.ones([1_000]).sum().item == 1_000)
        }
    }

    @Test func storageCopiesAreCounted() async {
        await #expect(processExitsWith: .success) {
            let a = Tensor.zeros([8])
            var b = a
            let before = MemoryPool.counts.storageCopies
            b.withUnsafeMutableBytes { $0.storeBytes(of: 1, as: Float.self) }
            #expect(MemoryPool.counts.storageCopies == before + 1)
            b.withUnsafeMutableBytes { $0.storeBytes(of: 2, as: Float.self) }
            #expect(MemoryPool.counts.storageCopies == before + 1)
            #expect(a.doubles[0] == 0 && b.doubles[0] == 2)
        }
    }
}
