import CKernels

/// The memory under one or more tensors.
///
/// A storage either owns a block of the ``MemoryPool``, or is memory from outside, or is a slice of another storage (a parameter inside its
/// ``ParameterArena``), which it keeps alive.
///
/// Sendable by this rule: memory is written only while exactly one tensor refers to the storage, and by the thread
/// that holds that tensor; `pointer` itself changes only in ``evict()``, on the training thread, between steps.
final class Storage: @unchecked Sendable {
    private(set) var pointer: UnsafeMutableRawPointer
    let byteCount: Int
    /// Whether the backward pass alone holds this memory, as a gradient that the pullback it calls uses up; set before
    /// each call.
    var isSpare = false
    private var block: MemoryPool.Block?
    private var owner: Storage?
    private var outside: AnyObject?

    /// Memory for `byteCount` bytes, uninitialised.
    init(byteCount: Int) {
        let block = MemoryPool.allocate(byteCount)
        pointer = block.pointer
        self.byteCount = byteCount
        self.block = block
    }

    /// Memory that somebody else allocated; `owner` keeps it while it lives.
    init(_ memory: UnsafeMutableRawBufferPointer, keptBy owner: AnyObject) {
        guard let start = memory.baseAddress else { fail("Storage", "memory without an address") }
        pointer = start
        byteCount = memory.count
        outside = owner
    }

    /// A slice of another storage.
    init(sliceOf owner: Storage, byteOffset: Int, byteCount: Int) {
        pointer = owner.pointer + byteOffset
        self.byteCount = byteCount
        self.owner = owner
    }

    /// A new holder of the place of a storage that others hold too: the same slice of an arena, or a fresh block with
    /// the same contents.
    init(exclusivePlaceOf shared: Storage) {
        byteCount = shared.byteCount
        if let owner = shared.owner {
            pointer = shared.pointer
            self.owner = owner
        } else {
            let fresh = MemoryPool.allocate(byteCount)
            fresh.pointer.copyMemory(from: shared.pointer, byteCount: byteCount)
            MemoryPool.noteStorageCopy()
            pointer = fresh.pointer
            block = fresh
        }
    }

    deinit {
        if let block { MemoryPool.release(block) }
    }

    /// Moves the contents of a slice to memory of its own, leaving the slice's place to a new holder.
    ///
    /// Copy on write the other way round: when a parameter is about to be updated in place while someone still holds
    /// its old value, the old value moves out instead of the parameter.
    func evict() {
        let fresh = MemoryPool.allocate(byteCount)
        fresh.pointer.copyMemory(from: pointer, byteCount: byteCount)
        MemoryPool.noteStorageCopy()
        if let block { MemoryPool.release(block) }
        pointer = fresh.pointer
        block = fresh
        owner = nil
    }
}
