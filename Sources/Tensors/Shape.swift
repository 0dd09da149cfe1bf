/// The extents of a tensor along each of its dimensions, outermost first; `[]` is a scalar.
///
/// Kept inline, so that making a shape allocates nothing. At most ``maximumRank`` dimensions.
public struct Shape: RandomAccessCollection, MutableCollection, ExpressibleByArrayLiteral, Hashable, Sendable {
    /// The largest number of dimensions a tensor can have.
    public static let maximumRank = 8

    // A tuple, which is copied like a number: tensors are copied all the time, and a copy of an `InlineArray` asks the
    // runtime how.
    private var extents: Extents
    private typealias Extents = (Int, Int, Int, Int, Int, Int, Int, Int)
    /// The number of dimensions.
    public private(set) var count: Int

    /// Makes a shape of `count` equal extents.
    public init(repeating extent: Int, count: Int) {
        require(count <= Self.maximumRank, "Shape", "\(count) dimensions; at most \(Self.maximumRank) are possible")
        extents = (0, 0, 0, 0, 0, 0, 0, 0)
        self.count = count
        for i in 0..<count { self[unchecked: i] = extent }
    }

    /// An extent that is known to exist.
    @inline(__always)
    private subscript(unchecked index: Int) -> Int {
        get {
            withUnsafePointer(to: extents) {
                UnsafeRawPointer($0).loadUnaligned(fromByteOffset: 8 * index, as: Int.self)
            }
        }
        set {
            withUnsafeMutablePointer(to: &extents) {
                UnsafeMutableRawPointer($0).storeBytes(of: newValue, toByteOffset: 8 * index, as: Int.self)
            }
        }
    }

    /// Makes a shape from extents, outermost first.
    public init(_ elements: some Collection<Int>) {
        self.init(repeating: 0, count: elements.count)
        for (i, extent) in elements.enumerated() { self[unchecked: i] = extent }
    }

    /// Makes a shape from a list of extents.
    @inline(__always)
    public init(arrayLiteral elements: Int...) {
        // The list does not leave this function, so the compiler keeps it on the stack.
        self.init(repeating: 0, count: elements.count)
        for i in 0..<elements.count { self[unchecked: i] = elements[i] }
    }

    /// The index of the first dimension.
    public var startIndex: Int { 0 }
    /// The index after the last dimension.
    public var endIndex: Int { count }

    /// The extent of one dimension; negative indices count from the end.
    public subscript(index: Int) -> Int {
        get {
            let i = index < 0 ? index + count : index
            require(i >= 0 && i < count, "Shape", "dimension \(index) of a shape with \(count) dimensions")
            return self[unchecked: i]
        }
        set {
            let i = index < 0 ? index + count : index
            require(i >= 0 && i < count, "Shape", "dimension \(index) of a shape with \(count) dimensions")
            self[unchecked: i] = newValue
        }
    }

    /// The number of elements of a tensor of this shape: the product of its extents.
    public var elementCount: Int {
        var product = 1
        for i in 0..<count { product *= self[unchecked: i] }
        return product
    }

    /// The strides, in elements, of a tensor of this shape in row-major order.
    var contiguousStrides: Shape {
        var strides = self
        var stride = 1
        for i in (0..<count).reversed() {
            strides[unchecked: i] = stride
            stride *= self[unchecked: i]
        }
        return strides
    }

    /// A non-negative dimension index from one that may count from the end.
    func normalized(_ dimension: Int, _ operation: StaticString) -> Int {
        let d = dimension < 0 ? dimension + count : dimension
        require(d >= 0 && d < count, operation, "dimension \(dimension) of shape \(self) does not exist")
        return d
    }

    mutating func append(_ extent: Int) { insert(extent, at: count) }

    mutating func insert(_ extent: Int, at index: Int) {
        require(count < Self.maximumRank, "Shape", "at most \(Self.maximumRank) dimensions are possible")
        var i = count
        while i > index {
            self[unchecked: i] = self[unchecked: i - 1]
            i -= 1
        }
        self[unchecked: index] = extent
        count += 1
    }

    @discardableResult
    mutating func remove(at index: Int) -> Int {
        let removed = self[unchecked: index]
        for i in index..<(count - 1) { self[unchecked: i] = self[unchecked: i + 1] }
        count -= 1
        self[unchecked: count] = 0
        return removed
    }

    /// The shape both operands of an elementwise operation take, by NumPy's broadcasting rule; nil when they do not fit.
    static func broadcast(_ a: Shape, _ b: Shape) -> Shape? {
        if a == b { return a }
        let count = Swift.max(a.count, b.count)
        var result = Shape(repeating: 1, count: count)
        for i in 0..<count {
            let x = i < count - a.count ? 1 : a[unchecked: i - (count - a.count)]
            let y = i < count - b.count ? 1 : b[unchecked: i - (count - b.count)]
            guard x == y || x == 1 || y == 1 else { return nil }
            result[unchecked: i] = x == 1 ? y : x
        }
        return result
    }

    /// Whether two shapes have the same extents.
    public static func == (a: Shape, b: Shape) -> Bool {
        guard a.count == b.count else { return false }
        for i in 0..<a.count where a[unchecked: i] != b[unchecked: i] { return false }
        return true
    }

    /// Feeds the extents to a hasher.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        for i in 0..<count { hasher.combine(self[unchecked: i]) }
    }

    /// Calls a function with the extents as 64-bit integers in memory, for the kernels.
    func withPointer<R>(_ body: (UnsafePointer<Int64>) -> R) -> R {
        withUnsafePointer(to: extents) { pointer in
            UnsafeRawPointer(pointer).withMemoryRebound(to: Int64.self, capacity: 8, body)
        }
    }
}

extension Shape: CustomStringConvertible {
    /// The extents in brackets, such as `[32, 784]`.
    public var description: String { "[" + map(String.init).joined(separator: ", ") + "]" }
}

extension Shape: Codable {
    /// Decodes a shape from a list of extents.
    ///
    /// - Throws: `DecodingError` when the list is no shape: too many extents, or negative ones.
    public init(from decoder: any Decoder) throws {
        let extents = try [Int](from: decoder)
        guard extents.count <= Self.maximumRank, extents.allSatisfy({ $0 >= 0 }) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "\(extents) is not the shape of a tensor"))
        }
        self.init(extents)
    }

    /// Encodes the shape as a list of extents.
    public func encode(to encoder: any Encoder) throws { try Array(self).encode(to: encoder) }
}
