import Foundation
import Synchronization

/// The memory of all tensors: freed blocks are kept by size class and given out again.
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

    /// For each size class a list of free blocks, each of which begins with the address of the next; 0 ends a list.
    ///
    /// Addresses, not pointers: a pointer is not Sendable, and the state crosses threads under the mutex.
    private struct State {
        var free = ContiguousArray<UInt>(repeating: 0, count: 512)
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

    static func allocate(_ byteCount: Int) -> (pointer: UnsafeMutableRawPointer, capacity: Int, sizeClass: Int) {
        let (index, size) = sizeClass(of: byteCount)
        let recycled: UInt? = state.withLock { state in
            state.counts.bytesInUse += size
            if let address = state.take(index) { return address }
            state.counts.systemAllocations += 1
            state.counts.systemBytes += size
            return nil
        }
        if let recycled, let pointer = UnsafeMutableRawPointer(bitPattern: recycled) { return (pointer, size, index) }
        if let pointer = systemMemory(size) { return (pointer, size, index) }
        // Blocks of other sizes may lie unused.
        trim()
        guard let pointer = systemMemory(size) else {
            fail("MemoryPool", "the system has no \(size) bytes left; \(counts.systemBytes) are in use by tensors")
        }
        return (pointer, size, index)
    }

    private static func systemMemory(_ size: Int) -> UnsafeMutableRawPointer? {
        var pointer: UnsafeMutableRawPointer?
        guard posix_memalign(&pointer, size >= 1 << 21 ? 1 << 21 : 64, (size + 63) & ~63) == 0 else { return nil }
        #if os(Linux)
            // Huge pages save most page faults and TLB misses of large tensors; refusal does no harm.
            if size >= 1 << 21, let pointer { madvise(pointer, size, MADV_HUGEPAGE) }
        #endif
        return pointer
    }

    static func release(_ pointer: UnsafeMutableRawPointer, capacity: Int, sizeClass: Int) {
        let address = UInt(bitPattern: pointer)
        state.withLock { state in
            state.counts.bytesInUse -= capacity
            state.put(address, sizeClass)
        }
    }

    /// Gives all unused blocks back to the operating system.
    public static func trim() {
        let freed = state.withLock { state in
            var addresses: [UInt] = []
            for index in state.free.indices {
                while let address = state.take(index) { addresses.append(address) }
            }
            state.counts.systemBytes = state.counts.bytesInUse
            return addresses
        }
        for address in freed { free(UnsafeMutableRawPointer(bitPattern: address)) }
    }
}
