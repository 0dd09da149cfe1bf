import HDF5
import Synchronization
import Tensors

/// Datasets of an HDF5 file, of which each sample is a row: larger than memory, in any order.
///
/// ```swift
/// let data = try HDF5ColumnDataset("images.h5", columns: ["images", "labels"])
/// let loader = DataLoader(data.labeled(inputs: "images", labels: "labels"), batchSize: 64)
/// ```
///
/// Rows are read in blocks of whole chunks of the file, so that none is unpacked twice for a batch, and blocks stay in a
/// cache of limited size. In random order over a file much larger than the cache nearly every sample costs the reading of
/// a block; ``BlockShuffle`` is a random order that reads each block once. Loaders read on a thread of their own,
/// and the file is opened without locks.
public final class HDF5ColumnDataset: Dataset {
    /// The number of samples: the first extent of all columns.
    public let count: Int
    /// The rows of a block, the largest of all columns.
    public let rowsPerBlock: Int
    private let columns: [HDF5Column]
    private let cache: Mutex<BlockCache>

    /// Opens a file.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - columns: Datasets in it, with the groups they lie in; all have the same first extent.
    ///   - types: The element types of tensors; by default that of the file, or the next larger one there is.
    ///   - cacheBytes: How much memory blocks may take; one block is always kept.
    /// - Throws: `HDF5Error` when the file or a dataset is missing or holds no numbers, ``DataLoadingError`` when shapes do
    ///   not fit together.
    public init(
        _ path: String, columns names: [String], types: [String: DType] = [:], cacheBytes: Int = 64 << 20
    ) throws {
        let file = try HDF5File.open(at: path)
        columns = try names.map { try HDF5Column(try file.dataset($0), as: types[$0], path: path, name: $0) }
        guard let first = columns.first else { throw DataLoadingError("\(path): no columns are asked for") }
        if let other = columns.first(where: { $0.count != first.count }) {
            throw DataLoadingError(
                "\(path): '\(first.name)' of shape \(first.stored.shape) and '\(other.name)' of shape \(other.stored.shape) have different numbers of rows; every column needs a row for each sample"
            )
        }
        count = first.count
        rowsPerBlock = columns.map(\.blockRows).max() ?? 1
        cache = Mutex(BlockCache(limit: cacheBytes))
    }

    /// False: loaders read ahead.
    public var isInMemory: Bool { false }

    /// How many blocks were read from the file so far.
    public var blockReads: Int { cache.withLock { $0.reads } }
    /// The largest number of bytes that blocks have taken.
    public var mostCachedBytes: Int { cache.withLock { $0.mostBytes } }

    /// The rows at the given indices; each block is looked up once.
    public func batch(at indices: [Int]) throws -> ColumnBatch {
        for index in indices {
            require(index >= 0 && index < count, "HDF5ColumnDataset", "index \(index) is not in 0 ..< \(count)")
        }
        // In the order of the file, so that a block serves all of its rows also when the cache holds only one.
        let order = indices.indices.sorted { indices[$0] < indices[$1] }
        return try cache.withLock { cache in
            var tensors: [String: Tensor] = [:]
            for (number, column) in columns.enumerated() {
                tensors[column.name] = try column.rows(indices, in: order, number, &cache)
            }
            return ColumnBatch(tensors)
        }
    }
}

/// One dataset of the file.
private struct HDF5Column: Sendable {
    let name: String
    let stored: HDF5Dataset
    let count: Int
    /// Rows of a block: those of the file's chunks.
    let blockRows: Int
    private let fileType: HDF5ElementType
    private let type: DType
    private let rowBytes: Int

    init(_ stored: HDF5Dataset, as wanted: DType?, path: String, name: String) throws {
        guard let count = stored.shape.first else {
            throw DataLoadingError("\(path): '\(name)' is a single value; a column has a row for each sample")
        }
        guard stored.shape.count <= Shape.maximumRank else {
            throw DataLoadingError(
                "\(path): '\(name)' has shape \(stored.shape); at most \(Shape.maximumRank) dimensions are possible")
        }
        self.stored = stored
        self.count = count
        self.name = name
        type = wanted ?? Self.tensorType(of: stored)
        fileType =
            switch type {
            case .float32: .float32
            case .float64: .float64
            case .bfloat16: .bfloat16
            case .int64: .int64
            case .uint8: .uint8
            }
        rowBytes = stored.rowCount * type.byteCount
        // Without chunks as many rows as make a quarter of a megabyte, which is what chunks made here have.
        blockRows = max(1, stored.chunk?[0] ?? (256 << 10) / max(1, rowBytes))
        // Says now, not in the middle of an epoch, that the file holds no numbers.
        try stored.read(rows: 0..<0, into: UnsafeMutableRawBufferPointer(start: nil, count: 0), as: fileType)
    }

    private static func tensorType(of stored: HDF5Dataset) -> DType {
        switch stored.elementType {
        case .float32: .float32
        case .float64: .float64
        case .bfloat16: .bfloat16
        case .uint8: .uint8
        case .int64, .int32: .int64
        case nil: stored.isFloatingPoint ? .float32 : .int64
        }
    }

    /// The rows at indices, visited in an order in which they rise.
    func rows(_ indices: [Int], in order: [Int], _ column: Int, _ cache: inout BlockCache) throws -> Tensor {
        var result = Tensor(uninitialized: Shape([indices.count] + stored.shape.dropFirst()), dtype: type)
        try result.withUnsafeMutableBytes { bytes in
            var next = 0
            while next < order.count {
                let block = indices[order[next]] / blockRows
                let start = block * blockRows
                let rows = start..<min(start + blockRows, count)
                let content = try cache.block(BlockCache.Key(column: column, block: block)) {
                    try read(rows)
                }
                content.withUnsafeBytes { source in
                    while next < order.count, rows.contains(indices[order[next]]) {
                        let from = (indices[order[next]] - start) * rowBytes
                        let part = UnsafeRawBufferPointer(rebasing: source[from..<(from + rowBytes)])
                        let to = order[next] * rowBytes
                        UnsafeMutableRawBufferPointer(rebasing: bytes[to..<(to + rowBytes)]).copyMemory(from: part)
                        next += 1
                    }
                }
            }
        }
        return result
    }

    private func read(_ rows: Range<Int>) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: rows.count * rowBytes)
        try bytes.withUnsafeMutableBytes { try stored.read(rows: rows, into: $0, as: fileType) }
        return bytes
    }
}

/// Blocks of rows in memory; the one not used for the longest time goes first.
struct BlockCache: Sendable {
    /// Which block.
    struct Key: Hashable, Sendable {
        let column: Int
        let block: Int
    }

    private let limit: Int
    private var blocks: [Key: (bytes: [UInt8], used: Int)] = [:]
    private var bytes = 0
    private var clock = 0
    /// Blocks read so far.
    private(set) var reads = 0
    /// The largest size so far.
    private(set) var mostBytes = 0

    init(limit: Int) { self.limit = limit }

    /// A block, read if it is not there.
    mutating func block(_ key: Key, _ read: () throws -> [UInt8]) rethrows -> [UInt8] {
        clock += 1
        if let found = blocks[key]?.bytes {
            blocks[key]?.used = clock
            return found
        }
        reads += 1
        let new = try read()
        while bytes + new.count > limit, let oldest = blocks.min(by: { $0.value.used < $1.value.used }) {
            bytes -= oldest.value.bytes.count
            blocks[oldest.key] = nil
        }
        blocks[key] = (new, clock)
        bytes += new.count
        mostBytes = max(mostBytes, bytes)
        return new
    }
}
