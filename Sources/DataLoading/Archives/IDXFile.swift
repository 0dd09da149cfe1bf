/// An array of bytes in the IDX format, in which MNIST and its relatives are published.
///
/// The format: two zero bytes, the type of the elements (8 for unsigned bytes, the only one read here), the number of
/// dimensions, the length of each dimension as 32 bits with the most significant byte first, then the elements in
/// row-major order. See [MNIST's page](http://yann.lecun.com/exdb/mnist/).
public struct IDXFile: Sendable, Equatable {
    /// The length of each dimension: `[N, height, width]` for images, `[N]` for labels.
    public let shape: [Int]
    /// The elements in row-major order.
    public let values: [UInt8]

    /// Reads a file, decompressing it when it is compressed by gzip.
    ///
    /// - Parameter path: The file.
    /// - Throws: `ArchiveError` when the file is missing or damaged, is not an IDX file of bytes, or is shorter or
    ///   longer than its header says.
    public init(contentsOf path: String) throws(ArchiveError) {
        var bytes = try readFile(path)
        if GZip.isCompressed(bytes) { bytes = try GZip.decompress(bytes, name: path) }
        try self.init(bytes, name: path)
    }

    /// Reads a file that is in memory.
    ///
    /// - Parameters:
    ///   - bytes: The uncompressed file.
    ///   - name: What messages call it.
    /// - Throws: `ArchiveError`, as for a file.
    public init(_ bytes: [UInt8], name: String = "IDX data") throws(ArchiveError) {
        guard bytes.count >= 4, bytes[0] == 0, bytes[1] == 0 else {
            throw ArchiveError(name, "this is not an IDX file", advice: "An IDX file begins with two zero bytes.")
        }
        guard bytes[2] == 8 else {
            throw ArchiveError(
                name, "the elements are of IDX type \(bytes[2]); only type 8, unsigned bytes, is read")
        }
        let dimensions = Int(bytes[3])
        let headerSize = 4 + 4 * dimensions
        guard dimensions > 0, bytes.count >= headerSize else {
            throw ArchiveError(name, "the header, of \(dimensions) dimensions, is not complete")
        }
        shape = (0..<dimensions).map { dimension in
            bytes[(4 + 4 * dimension)..<(8 + 4 * dimension)].reduce(0) { $0 << 8 | Int($1) }
        }
        var expected = 1
        for length in shape {
            let (product, overflow) = expected.multipliedReportingOverflow(by: length)
            guard !overflow else { throw ArchiveError(name, "the shape \(shape) in the header is absurd") }
            expected = product
        }
        let actual = bytes.count - headerSize
        guard actual == expected else {
            throw ArchiveError(
                name, "the header says \(expected) elements, of shape \(shape), but \(actual) bytes follow",
                advice: "The file is damaged or was not copied to its end. Use another copy of it.")
        }
        values = Array(bytes[headerSize...])
    }
}
