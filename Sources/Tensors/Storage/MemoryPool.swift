import Foundation
import Synchronization

/// The memory of all tensors: freed blocks are kept, by size class or as ranges (Note [Large blocks]), and given out again.
///
/// Training asks for the same sizes at every step, so after the first step nothing comes from the system any more:
/// no allocation, no page fault. Blocks are aligned to 64 bytes (a cache line, an AVX-512 register). Safe to use from
/// any thread.
public enum MemoryPool {
    /// What the pool has done since the program started.
    public struct Counts: Sendable, Equatable {
        /// Blocks taken from the operating system.
        public var systemAllocations = 0
        /// Bytes taken from the operating system and not given back.
        public var systemBytes = 0
        /// Bytes in use by tensors now.
        public var bytesInUse = 0
        /// Copies made because a tensor was written to while another one shared its storage.
        public var storageCopies = 0
        /// Gradients copied to their parameter's memory, or added to it, because the operation that made them could
        /// not write there.
        public var gradientCopies = 0
    }

    /// Memory of the pool that somebody has.
    struct Block: @unchecked Sendable {
        let pointer: UnsafeMutableRawPointer
        let capacity: Int
        /// Of a block that is not large.
        let sizeClass: Int
    }

    /// For each size class a list of free blocks, each of which begins with the address of the next; 0 ends a list.
    ///
    /// Addresses, not pointers: a pointer is not Sendable, and the state crosses threads under the mutex.
    private struct State {
        var free = ContiguousArray<UInt>(repeating: 0, count: 512)
        /// Bytes of the blocks in these lists.
        var freeBytes = 0
        var large = LargeBlocks()
        var counts = Counts()

        mutating func take(_ sizeClass: Int) -> UInt? {
            let address = free[sizeClass]
            guard let block = UnsafePointer<UInt>(bitPattern: address) else { return nil }
            free[sizeClass] = block.pointee
            return address
        }

        mutating func put(_ address: UInt, _ sizeClass: Int) {
            UnsafeMutablePointer<UInt>(bitPattern: address)?.pointee = free[sizeClass]
            free[sizeClass] = address
        }
    }

    private static let state = Mutex(State())

    /// The pool's counters at this moment.
    public static var counts: Counts { state.withLock { $0.counts } }

    static func noteGradientCopy() { state.withLock { $0.counts.gradientCopies += 1 } }

    static func noteStorageCopy() { state.withLock { $0.counts.storageCopies += 1 } }

    /// Eight classes between powers of two, so at most a ninth of a large block is unused.
    package static func sizeClass(of byteCount: Int) -> (index: Int, size: Int) {
        let wanted = Swift.max(byteCount, 64)
        let power = Int.bitWidth - 1 - (wanted - 1).leadingZeroBitCount  // floor(log2(wanted − 1))
        let eighth = Swift.max((1 << power) >> 3, 16)
        let base = 1 << power
        let steps = (wanted - base + eighth - 1) / eighth
        return (power * 8 + Swift.min(steps, 8), base + steps * eighth)
    }

    /// A block of at least so many bytes, uninitialised; one that is not for a tensor does not count as in use by tensors.
    static func allocate(_ byteCount: Int, isForTensor: Bool = true) -> Block {
        if let block = take(byteCount, isForTensor) { return block }
        // Blocks of other sizes may lie unused.
        trim()
        guard let block = take(byteCount, isForTensor) else {
            fail("MemoryPool", "the system has no \(byteCount) bytes left; \(counts.systemBytes) are in use by tensors")
        }
        return block
    }

    static func release(_ block: Block, isOfTensor: Bool = true) {
        let address = UInt(bitPattern: block.pointer)
        state.withLock { state in
            if isOfTensor { state.counts.bytesInUse -= block.capacity }
            if block.capacity >= LargeBlocks.least {
                state.large.put(address, block.capacity)
            } else {
                state.put(address, block.sizeClass)
                state.freeBytes += block.capacity
            }
        }
    }

    /// Gives all unused blocks back to the operating system.
    public static func trim() {
        Scratch.trim()
        let freed = state.withLock { state in
            var addresses: [UInt] = []
            for index in state.free.indices {
                while let address = state.take(index) { addresses.append(address) }
            }
            state.counts.systemBytes -= state.freeBytes + state.large.trim()
            state.freeBytes = 0
            return addresses
        }
        for address in freed { free(UnsafeMutableRawPointer(bitPattern: address)) }
    }

    private static func take(_ byteCount: Int, _ isForTensor: Bool) -> Block? {
        let (index, size) = sizeClass(of: byteCount)
        if size >= LargeBlocks.least { return takeLarge(Swift.max(byteCount, LargeBlocks.least), isForTensor) }
        let recycled: UInt? = state.withLock { state in
            if isForTensor { state.counts.bytesInUse += size }
            if let address = state.take(index) {
                state.freeBytes -= size
                return address
            }
            state.counts.systemAllocations += 1
            state.counts.systemBytes += size
            return nil
        }
        if let recycled, let pointer = UnsafeMutableRawPointer(bitPattern: recycled) {
            return Block(pointer: pointer, capacity: size, sizeClass: index)
        }
        var pointer: UnsafeMutableRawPointer?
        if posix_memalign(&pointer, 64, (size + 63) & ~63) == 0, let pointer {
            return Block(pointer: pointer, capacity: size, sizeClass: index)
        }
        state.withLock { state in
            if isForTensor { state.counts.bytesInUse -= size }
            state.counts.systemBytes -= size
        }
        return nil
    }

    private static func takeLarge(_ byteCount: Int, _ isForTensor: Bool) -> Block? {
        let size = LargeBlocks.size(of: byteCount)
        let address: UInt? = state.withLock { state in
            guard let (address, freshBytes) = state.large.take(size) else { return nil }
            if isForTensor { state.counts.bytesInUse += size }
            if freshBytes > 0 { state.counts.systemAllocations += 1 }
            state.counts.systemBytes += freshBytes
            return address
        }
        return address.flatMap { UnsafeMutableRawPointer(bitPattern: $0) }.map {
            Block(pointer: $0, capacity: size, sizeClass: 0)
        }
    }
}
