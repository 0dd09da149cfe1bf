import Foundation
import Synchronization

/// Memory that a thread works in while it has a piece of an operation: uninitialised, aligned to 64 bytes.
///
/// Note [Scratch]: which thread takes which piece is left to chance, and so is how many threads need scratch of one size
/// at the same moment. Taken from the ``MemoryPool`` by size, it would be asked from the system whenever chance has a new
/// idea, long after the first step. So all blocks are of one size, that of the largest request so far, and from that
/// request on there is one for every thread, its pages touched: what comes from the system depends on the requests alone.
/// A thread is given the block it had before, which its core may still have in a cache.
package struct Scratch: ~Copyable {
    /// The first byte.
    package let pointer: UnsafeMutableRawPointer
    private let block: MemoryPool.Block

    private struct State {
        /// Bytes of each block.
        var size = 0
        /// How many blocks of that size there are, those in use included.
        var count = 0
        /// Those that nobody uses, each with the thread that had it last.
        var free: [(block: MemoryPool.Block, thread: Int)] = []
    }

    private static let state = Mutex(State())

    /// Memory for `byteCount` bytes.
    package init(byteCount: Int) {
        let thread = Self.currentThread
        block = Self.state.withLock { state in
            if byteCount > state.size {
                for (block, _) in state.free { MemoryPool.release(block, isOfTensor: false) }
                state = State(size: byteCount)
            }
            if state.free.isEmpty {
                let wanted = Swift.max(1, Parallel.threadCount - state.count)
                state.count += wanted
                state.free.reserveCapacity(state.count)
                for _ in 0..<wanted { state.free.append((Self.touchedBlock(state.size), 0)) }
            }
            let index = state.free.lastIndex { $0.thread == thread } ?? state.free.count - 1
            return state.free.remove(at: index).block
        }
        pointer = block.pointer
    }

    deinit {
        let block = block, thread = Self.currentThread
        Self.state.withLock { state in
            // A larger request may have come meanwhile; then nobody wants this block any more.
            if block.capacity >= state.size {
                state.free.append((block, thread))
            } else {
                MemoryPool.release(block, isOfTensor: false)
            }
        }
    }

    private static var currentThread: Int { Int(bitPattern: pthread_self()) }

    private static func touchedBlock(_ size: Int) -> MemoryPool.Block {
        let block = MemoryPool.allocate(size, isForTensor: false)
        block.pointer.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        return block
    }

    /// Leaves the blocks that nobody uses to the pool.
    static func trim() {
        state.withLock { state in
            for (block, _) in state.free { MemoryPool.release(block, isOfTensor: false) }
            state.count -= state.free.count
            state.free.removeAll()
        }
    }
}
