import CKernels
import Synchronization

/// What random numbers are for.
///
/// Streams of different purposes never meet, so that one use cannot shift another.
public enum RandomPurpose: UInt64, Sendable, Codable {
    /// Initial values of parameters: the same on all ranks.
    case initialization = 1
    /// The order of samples: the same on all ranks.
    case sampling = 2
    /// Dropout masks: one stream per step and shard.
    case dropout = 3
    /// Data augmentation: one stream per step and shard.
    case augmentation = 4
    /// Draws of a user's own: one stream per step and shard.
    case user = 5
}

/// A stream of random numbers that is a function of (seed, purpose, step, shard) and of the position in it.
///
/// Nothing is hidden: two streams with the same names give the same numbers on any rank, thread or day, and a resumed
/// run needs only the position. Numbers come from Philox 4×32-10.
public struct RandomStream: Sendable {
    let key: UInt64
    let stream: UInt64
    /// The next block of four words.
    public private(set) var position: UInt64

    /// The stream of the given names, at its start.
    public init(seed: UInt64, purpose: RandomPurpose, step: UInt64 = 0, shard: UInt64 = 0) {
        key = Self.mix(seed &+ purpose.rawValue &* 0x9E37_79B9_7F4A_7C15)
        stream = Self.mix(step) ^ Self.mix(shard &+ 0xD1B5_4A32_D192_ED03)
        position = 0
    }

    /// A stream by its raw key and the upper half of its counter, at a position: for known-answer tests.
    package init(key: UInt64, stream: UInt64, position: UInt64) {
        (self.key, self.stream, self.position) = (key, stream, position)
    }

    // SplitMix64's finaliser (Steele, Lea, Flood, 2014): spreads neighbouring names over all 64 bits.
    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Takes `count` words of 32 random bits.
    public mutating func words(_ count: Int) -> [UInt32] {
        let blocks = (count + 3) / 4
        var words = [UInt32](repeating: 0, count: blocks * 4)
        words.withUnsafeMutableBufferPointer {
            if let base = $0.baseAddress { ck_philox(key, stream, position, Int64(blocks), base) }
        }
        position &+= UInt64(blocks)
        words.removeLast(blocks * 4 - count)
        return words
    }

    /// Takes 64 random bits, the first word on top.
    public mutating func doubleWord() -> UInt64 {
        var block: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &block) {
            if let words = $0.bindMemory(to: UInt32.self).baseAddress { ck_philox(key, stream, position, 1, words) }
        }
        position &+= 1
        return UInt64(block.0) << 32 | UInt64(block.1)
    }

    /// Takes the blocks for `count` words without making them: a kernel will.
    mutating func reserve(_ count: Int) -> UInt64 {
        defer { position &+= UInt64((count + 3) / 4) }
        return position
    }

    /// Uniform numbers in [0, 1), with 53 random bits each.
    public mutating func uniforms(_ count: Int) -> [Double] {
        let words = words(2 * count)
        return (0..<count).map { i in
            Double((UInt64(words[2 * i]) << 21) ^ (UInt64(words[2 * i + 1]) >> 11)) * 0x1p-53
        }
    }

    /// Normal numbers of mean 0 and deviation 1, by the Box–Muller transform.
    public mutating func normals(_ count: Int) -> [Double] {
        let pairs = (count + 1) / 2
        let uniforms = uniforms(2 * pairs)
        var normals: [Double] = []
        normals.reserveCapacity(2 * pairs)
        for i in 0..<pairs {
            let radius = (-2 * Mathematics.log(1 - uniforms[2 * i])).squareRoot()
            let angle = 2 * Double.pi * uniforms[2 * i + 1]
            normals.append(radius * Mathematics.cos(angle))
            normals.append(radius * Mathematics.sin(angle))
        }
        normals.removeLast(2 * pairs - count)
        return normals
    }

    /// A tensor of normal numbers of mean 0, by the Box–Muller transform in single precision.
    ///
    /// A word of 32 bits goes into each number, whatever the element type: a model in double precision starts from the
    /// values of the same model in single precision. Nothing lies further out than 6.8 deviations. The numbers are the
    /// same on any number of threads and on any CPU.
    public mutating func normals(_ shape: Shape, deviation: Double = 1, dtype: DType = .standard) -> Tensor {
        tensor(shape, wordsPerNumber: 1, dtype) { [key, stream] count, first, pointer in
            ck_normals(count, Float(deviation), key, stream, first, pointer)
        }
    }

    /// A tensor of uniform numbers from −bound to bound: those of ``uniforms(_:)``, stretched and rounded to single
    /// precision.
    public mutating func uniforms(_ shape: Shape, bound: Double, dtype: DType = .standard) -> Tensor {
        tensor(shape, wordsPerNumber: 2, dtype) { [key, stream] count, first, pointer in
            ck_uniforms(count, bound, key, stream, first, pointer)
        }
    }

    /// Fills a tensor piece by piece, on all threads; `fill` gets the count, the first block and the place of a piece.
    private mutating func tensor(
        _ shape: Shape, wordsPerNumber: Int, _ dtype: DType,
        _ fill: (Int64, UInt64, UnsafeMutablePointer<Float>) -> Void
    ) -> Tensor {
        let result = Tensor(uninitialized: shape, dtype: .float32)
        let count = shape.elementCount
        let first = reserve(count * wordsPerNumber)
        let numbers = result.freshPointer.assumingMemoryBound(to: Float.self)
        Parallel.forRanges(count, grain: 1 << 15) { range in
            fill(
                Int64(range.count), first &+ UInt64(range.lowerBound * wordsPerNumber / 4), numbers + range.lowerBound)
        }
        return result.converted(to: dtype)
    }

    /// A random order of `0 ..< count` (Fisher–Yates).
    public mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        guard count > 1 else { return order }
        let words = words(2 * count)
        for i in stride(from: count - 1, to: 0, by: -1) {
            let word = UInt64(words[2 * i]) << 32 | UInt64(words[2 * i + 1])
            // Multiply-shift maps 64 random bits to 0 … i with a bias below 2^-30 for any real data set.
            order.swapAt(i, Int(word.multipliedFullWidth(by: UInt64(i + 1)).high))
        }
        return order
    }
}

/// The streams that the code of a model draws from, without being handed them.
///
/// The trainer sets step and shard before each batch; everything else keeps its place by itself.
public final class RandomContext: Sendable {
    private struct State {
        var seed: UInt64
        var streams: [RandomPurpose: RandomStream] = [:]
        var step: UInt64 = 0
        var shard: UInt64 = 0
    }

    private let state: Mutex<State>

    /// The context in force: the process's own, unless a task-local one is bound.
    @TaskLocal public static var current = RandomContext(seed: 42)

    /// A context whose streams start at the given seed.
    public init(seed: UInt64) { state = Mutex(State(seed: seed)) }

    /// The seed of all streams.
    ///
    /// Setting it starts every stream anew.
    public var seed: UInt64 {
        get { state.withLock { $0.seed } }
        set { state.withLock { $0 = State(seed: newValue) } }
    }

    /// Moves the per-step streams (dropout, augmentation, a user's own) to the given step and shard.
    public func begin(step: Int, shard: Int) {
        state.withLock {
            $0.step = UInt64(step)
            $0.shard = UInt64(shard)
            $0.streams[.dropout] = nil
            $0.streams[.augmentation] = nil
            $0.streams[.user] = nil
        }
    }

    /// Draws from the stream of a purpose, and keeps its new place.
    public func draw<R: Sendable>(_ purpose: RandomPurpose, _ body: (inout RandomStream) -> R) -> R {
        state.withLock { state in
            let stepwise = purpose == .dropout || purpose == .augmentation || purpose == .user
            var stream =
                state.streams[purpose]
                ?? RandomStream(
                    seed: state.seed, purpose: purpose, step: stepwise ? state.step : 0,
                    shard: stepwise ? state.shard : 0)
            let result = body(&stream)
            state.streams[purpose] = stream
            return result
        }
    }
}

/// Sets the seed of all random streams of this process: parameters, sample order, dropout, augmentation.
public func seedEverything(_ seed: UInt64) { RandomContext.current.seed = seed }
