import Tensors

/// The sum of several buffers in one fixed binary tree.
///
/// Note [Tree order]: with sources numbered 0..<n, adjacent partial sums combine at distances 1, 2, 4, …: at distance
/// d, source i takes source i + d for every i that is a multiple of 2d with i + d < n. For five sources that is
/// `((s0 + s1) + (s2 + s3)) + s4`. The order depends on n alone: not on the length, the pieces a buffer travels in,
/// which rank adds, or how many threads there are. Each element is its own tree, so splitting a buffer anywhere
/// changes no bit.
///
/// A run of sources that starts at a multiple of a power of two and is as long is a subtree. So V shards may be summed
/// in two stages, V / W shards inside each of W ranks and then the ranks, with the same bits as in one, exactly when
/// V / W is a power of two (or W is 1). With V / W = 3 no order serves both W and V ranks.
///
/// It belongs to one thread at a time and keeps its scratch memory, so a sum allocates nothing.
public final class TreeSum {
    private let partials: UnsafeMutableRawBufferPointer
    private let blockBytes: Int

    /// The number of buffers a sum takes.
    public let sources: Int

    /// Makes the room for sums of `sources` buffers, at least one.
    public init(sources: Int) {
        self.sources = sources
        let pairs = max(1, (sources + 1) / 2)
        // All partial sums of a block should stay in the first-level cache together.
        blockBytes = max(1024, (16384 / pairs) & ~63)
        partials = .allocate(byteCount: pairs * blockBytes, alignment: 64)
    }

    deinit { partials.deallocate() }

    /// Sums `count` elements of every source into `result`, which may itself be one of the sources.
    ///
    /// - Parameter addresses: one for each source.
    public func sum(
        _ addresses: UnsafeMutablePointer<UnsafePointer<Float>>, count: Int, into result: UnsafeMutablePointer<Float>
    ) { sumTree(addresses, count: count, into: result) }

    /// Sums `count` elements of every source into `result`, which may itself be one of the sources.
    ///
    /// - Parameter addresses: one for each source.
    public func sum(
        _ addresses: UnsafeMutablePointer<UnsafePointer<Double>>, count: Int, into result: UnsafeMutablePointer<Double>
    ) { sumTree(addresses, count: count, into: result) }

    /// Sums `count` elements of every source into `result`, which may itself be one of the sources.
    func sumTree<Element: TreeSummable>(
        _ addresses: UnsafeMutablePointer<UnsafePointer<Element>>, count: Int,
        into result: UnsafeMutablePointer<Element>
    ) {
        guard sources > 1 else {
            if UnsafePointer(result) != addresses[0] { result.update(from: addresses[0], count: count) }
            return
        }
        // In place, as on the ranks of one node: by the widest vectors of this CPU. Sums of two have no order.
        if sources == 2, let index = (0..<2).first(where: { addresses[$0] == UnsafePointer(result) }) {
            return ParameterArena.add(addresses[1 - index], to: result, count: count, Element.dtype)
        }
        if sources == 2 { return Element.add(addresses[0], addresses[1], into: result, count: count) }
        let width = blockBytes / MemoryLayout<Element>.stride
        let pairs = (sources + 1) / 2
        guard let room = partials.baseAddress else { return }
        func partial(_ index: Int) -> UnsafeMutablePointer<Element> {
            (room + index * blockBytes).assumingMemoryBound(to: Element.self)
        }
        for start in stride(from: 0, to: count, by: width) {
            let length = min(width, count - start)
            for pair in 0..<pairs {
                let left = addresses[2 * pair] + start
                if 2 * pair + 1 < sources {
                    Element.add(left, addresses[2 * pair + 1] + start, into: partial(pair), count: length)
                } else {
                    partial(pair).update(from: left, count: length)
                }
            }
            var distance = 1
            while distance < pairs {
                for left in stride(from: 0, to: pairs - distance, by: 2 * distance) {
                    // The last sum goes straight to its place.
                    let target = 2 * distance >= pairs ? result + start : partial(left)
                    Element.add(partial(left), partial(left + distance), into: target, count: length)
                }
                distance *= 2
            }
        }
    }
}

/// A number the tree can sum: `Float` or `Double`.
protocol TreeSummable: BitwiseCopyable {
    static var dtype: DType { get }

    /// `result = left + right`; `result` may be either operand.
    static func add(
        _ left: UnsafePointer<Self>, _ right: UnsafePointer<Self>, into result: UnsafeMutablePointer<Self>, count: Int)
}

extension UnsafeMutableBufferPointer where Element: TreeSummable {
    /// Multiplies all elements by a factor, with the bits of every other way to scale a gradient.
    func scale(by factor: Double) {
        guard factor != 1, let baseAddress else { return }
        ParameterArena.scale(baseAddress, count: count, Element.dtype, by: factor)
    }
}

// Explicit vectors, because a plain loop falls back to single elements when the result is an operand; concrete types,
// because a generic vector is not specialised reliably.

extension Float: TreeSummable {
    static var dtype: DType { .float32 }

    static func add(
        _ left: UnsafePointer<Float>, _ right: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>,
        count: Int
    ) {
        var index = 0
        while index + 16 <= count {
            let sum =
                UnsafeRawPointer(left + index).loadUnaligned(as: SIMD16<Float>.self)
                + UnsafeRawPointer(right + index).loadUnaligned(as: SIMD16<Float>.self)
            UnsafeMutableRawPointer(result + index).storeBytes(of: sum, as: SIMD16<Float>.self)
            index += 16
        }
        while index < count {
            result[index] = left[index] + right[index]
            index += 1
        }
    }
}

extension Double: TreeSummable {
    static var dtype: DType { .float64 }

    static func add(
        _ left: UnsafePointer<Double>, _ right: UnsafePointer<Double>, into result: UnsafeMutablePointer<Double>,
        count: Int
    ) {
        var index = 0
        while index + 8 <= count {
            let sum =
                UnsafeRawPointer(left + index).loadUnaligned(as: SIMD8<Double>.self)
                + UnsafeRawPointer(right + index).loadUnaligned(as: SIMD8<Double>.self)
            UnsafeMutableRawPointer(result + index).storeBytes(of: sum, as: SIMD8<Double>.self)
            index += 8
        }
        while index < count {
            result[index] = left[index] + right[index]
            index += 1
        }
    }
}
