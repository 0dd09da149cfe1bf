import Foundation

/// Ranges of memory for blocks of a megabyte and more, which are cut and joined as blocks come and go.
///
/// Note [Large blocks]: kept by size class, as smaller ones are, freed blocks serve no other size, and a program holds as
/// much of each class as it ever needed at once, though the classes have their peaks at different times: the gradients of
/// a network's first layers are made when the last layers' activations are gone. So large blocks are cut from few regions
/// of address space, the tightest free range first, and a block that comes back is joined with what is free around it. At
/// the end of a step all of a step's blocks have come back, so the next step, asking for the same, is given the same.
struct LargeBlocks {
    /// The size from which blocks are large.
    static let least = 1 << 20
    /// What sizes are rounded up to.
    private static let grain = 1 << 16
    /// A huge page: with them most page faults and TLB misses are saved.
    private static let page = 1 << 21

    private struct FreeRange {
        var start: UInt
        var end: UInt
        /// Whether the system has yet to put memory under these addresses.
        var isFresh: Bool

        var size: Int { Int(end - start) }
    }

    /// By address; ranges that touch each other differ in freshness.
    private var free: [FreeRange] = []
    /// Bytes of address space asked for.
    private var reserved = 0

    static func size(of byteCount: Int) -> Int { (byteCount + grain - 1) / grain * grain }

    /// A block of a rounded size, and how much of it is memory the system had not given before; nil when it has no more.
    mutating func take(_ size: Int) -> (address: UInt, freshBytes: Int)? {
        if let index = tightest(size) { return cut(size, from: index) }
        guard reserve(size), let index = tightest(size) else { return nil }
        return cut(size, from: index)
    }

    /// Takes a block back.
    mutating func put(_ address: UInt, _ size: Int) {
        var low = 0, high = free.count
        while low < high {
            let middle = (low + high) / 2
            if free[middle].start < address { low = middle + 1 } else { high = middle }
        }
        free.insert(FreeRange(start: address, end: address + UInt(size), isFresh: false), at: low)
        join(at: low)
        if low > 0 { join(at: low - 1) }
    }

    /// Gives the memory under all free ranges back to the system, and says how many bytes that were.
    mutating func trim() -> Int {
        var bytes = 0
        for index in free.indices where !free[index].isFresh {
            madvise(UnsafeMutableRawPointer(bitPattern: free[index].start), free[index].size, MADV_DONTNEED)
            free[index].isFresh = true
            bytes += free[index].size
        }
        for index in free.indices.reversed() { join(at: index) }
        return bytes
    }

    /// Makes one range of two that touch and are alike.
    private mutating func join(at index: Int) {
        guard index + 1 < free.count, free[index].end == free[index + 1].start,
            free[index].isFresh == free[index + 1].isFresh
        else { return }
        free[index].end = free[index + 1].end
        free.remove(at: index + 1)
    }

    /// Where the shortest run of free addresses begins that a block fits into; of equal ones the first.
    private func tightest(_ size: Int) -> Int? {
        var best: (index: Int, size: Int)?
        var first = 0
        for index in free.indices {
            if index + 1 < free.count, free[index + 1].start == free[index].end { continue }
            let run = Int(free[index].end - free[first].start)
            if run >= size, run < best?.size ?? .max { best = (first, run) }
            first = index + 1
        }
        return best?.index
    }

    private mutating func cut(_ size: Int, from index: Int) -> (address: UInt, freshBytes: Int) {
        let address = free[index].start
        var wanted = size, freshBytes = 0
        while wanted > 0 {
            let part = Swift.min(wanted, free[index].size)
            if free[index].isFresh { freshBytes += part }
            wanted -= part
            free[index].start += UInt(part)
            if free[index].size == 0 { free.remove(at: index) }
        }
        return (address, freshBytes)
    }

    /// Asks for address space, under which memory comes when it is touched.
    ///
    /// Ever larger regions, so that there are few.
    private mutating func reserve(_ size: Int) -> Bool {
        for wanted in [Swift.max(size, 1 << 28, reserved), size] {
            let length = (wanted + Self.page - 1) / Self.page * Self.page
            let memory = mmap(
                nil, length + Self.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
            guard let memory, memory != MAP_FAILED else { continue }
            let start = (UInt(bitPattern: memory) + UInt(Self.page) - 1) & ~UInt(Self.page - 1)
            #if os(Linux)
                // Refusal does no harm.
                madvise(UnsafeMutableRawPointer(bitPattern: start), length, MADV_HUGEPAGE)
            #endif
            reserved += length
            let index = free.firstIndex { $0.start > start } ?? free.count
            free.insert(FreeRange(start: start, end: start + UInt(length), isFresh: true), at: index)
            return true
        }
        return false
    }
}
