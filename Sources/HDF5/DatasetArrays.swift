/// Reading and writing Swift arrays and ranges of rows.
extension HDF5Dataset {
    /// Reads all elements, in row-major order.
    ///
    /// - Parameter type: What to read them as.
    /// - Throws: `HDF5Error` of kind `wrongType`, `checksumMismatch` or `valueOutOfRange`.
    public func read<Element: HDF5Element>(as type: Element.Type = Element.self) throws(HDF5Error) -> [Element] {
        try array(of: count) { bytes throws(HDF5Error) in try read(into: bytes, as: Element.hdf5ElementType) }
    }

    /// Reads the rows with indices in a range, one after the other.
    ///
    /// - Parameters:
    ///   - rows: Indices in the first dimension.
    ///   - type: What to read the elements as.
    /// - Returns: `rows.count * rowCount` elements.
    /// - Throws: `HDF5Error`, also of kind `wrongShape` when there are no such rows.
    public func read<Element: HDF5Element>(
        rows: Range<Int>, as type: Element.Type = Element.self
    ) throws(HDF5Error) -> [Element] {
        try array(of: rows.count * rowCount) { bytes throws(HDF5Error) in
            try read(rows: rows, into: bytes, as: Element.hdf5ElementType)
        }
    }

    /// Reads the rows with indices in a range into memory.
    ///
    /// - Parameters:
    ///   - rows: Indices in the first dimension.
    ///   - buffer: Memory for exactly `rows.count * rowCount` elements.
    ///   - elementType: The type of the elements in memory.
    /// - Throws: `HDF5Error`, also of kind `wrongShape` when there are no such rows.
    public func read(
        rows: Range<Int>, into buffer: UnsafeMutableRawBufferPointer, as elementType: HDF5ElementType
    ) throws(HDF5Error) {
        let block = try self.rows(rows, "read(rows:)")
        try read(into: buffer, as: elementType, offset: block.offset, count: block.count)
    }

    /// Reads any rows, in any order, into memory.
    ///
    /// Neighbours in the list that are neighbours in the file are read together. How fast single rows are depends on
    /// the chunks: each is read, checked and unpacked as a whole unless it is in the chunk cache.
    ///
    /// - Parameters:
    ///   - indices: Indices in the first dimension; may repeat.
    ///   - buffer: Memory for exactly `indices.count * rowCount` elements; rows lie in it in the order of `indices`.
    ///   - elementType: The type of the elements in memory.
    /// - Throws: `HDF5Error`, also of kind `wrongShape` when there are no such rows.
    public func read(
        rows indices: some Collection<Int>, into buffer: UnsafeMutableRawBufferPointer, as elementType: HDF5ElementType
    ) throws(HDF5Error) {
        var blocks: [Block] = []
        var run = 0..<0
        for index in indices {
            if index == run.upperBound, !run.isEmpty {
                run = run.lowerBound..<index + 1
                continue
            }
            if !run.isEmpty { blocks.append(try rows(run, "read(rows:)")) }
            run = index..<index + 1
        }
        if !run.isEmpty { blocks.append(try rows(run, "read(rows:)")) }
        try read(blocks, into: buffer, as: elementType)
    }

    /// Reads any rows, in any order.
    ///
    /// - Parameters:
    ///   - indices: Indices in the first dimension; may repeat.
    ///   - type: What to read the elements as.
    /// - Returns: `indices.count * rowCount` elements, in the order of `indices`.
    /// - Throws: `HDF5Error`, also of kind `wrongShape` when there are no such rows.
    public func read<Element: HDF5Element>(
        rows indices: [Int], as type: Element.Type = Element.self
    ) throws(HDF5Error) -> [Element] {
        try array(of: indices.count * rowCount) { bytes throws(HDF5Error) in
            try read(rows: indices, into: bytes, as: Element.hdf5ElementType)
        }
    }

    /// Reads a block of elements, in row-major order.
    ///
    /// - Parameters:
    ///   - offset: Where the block begins, in each dimension.
    ///   - count: The length of the block in each dimension.
    ///   - type: What to read the elements as.
    /// - Throws: `HDF5Error`, also of kind `wrongShape` when the block reaches beyond the dataset.
    public func read<Element: HDF5Element>(
        offset: [Int], count: [Int], as type: Element.Type = Element.self
    ) throws(HDF5Error) -> [Element] {
        try array(of: count.reduce(1, *)) { bytes throws(HDF5Error) in
            try read(into: bytes, as: Element.hdf5ElementType, offset: offset, count: count)
        }
    }

    /// Writes all elements.
    ///
    /// - Parameter values: Exactly `count` elements in row-major order.
    /// - Throws: `HDF5Error` of kind `wrongShape`, `valueOutOfRange` or `diskFull`.
    public func write<Element: HDF5Element>(_ values: [Element]) throws(HDF5Error) {
        try values.withRawBytes { bytes throws(HDF5Error) in
            try write(from: bytes, as: Element.hdf5ElementType)
        }
    }

    /// Writes the rows with indices in a range.
    ///
    /// - Parameters:
    ///   - values: Exactly `rows.count * rowCount` elements in row-major order.
    ///   - rows: Indices in the first dimension.
    /// - Throws: `HDF5Error` of kind `wrongShape`, `valueOutOfRange` or `diskFull`.
    public func write<Element: HDF5Element>(_ values: [Element], rows: Range<Int>) throws(HDF5Error) {
        let block = try self.rows(rows, "write(rows:)")
        try write(values, offset: block.offset, count: block.count)
    }

    /// Writes a block of elements.
    ///
    /// - Parameters:
    ///   - values: Exactly the elements of the block, in row-major order.
    ///   - offset: Where the block begins, in each dimension.
    ///   - count: The length of the block in each dimension.
    /// - Throws: `HDF5Error` of kind `wrongShape`, `valueOutOfRange` or `diskFull`.
    public func write<Element: HDF5Element>(
        _ values: [Element], offset: [Int], count: [Int]
    ) throws(HDF5Error) {
        try values.withRawBytes { bytes throws(HDF5Error) in
            try write(from: bytes, as: Element.hdf5ElementType, offset: offset, count: count)
        }
    }

    /// Makes an array without filling it first.
    private func array<Element: HDF5Element>(
        of count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(HDF5Error) -> Void
    ) throws(HDF5Error) -> [Element] {
        // A negative count comes from a wrong block; reading it reports that, with the block.
        let capacity = max(0, count)
        var failure: HDF5Error?
        let elements = [Element](unsafeUninitializedCapacity: capacity) { buffer, initialized in
            do throws(HDF5Error) {
                let size = capacity * Element.hdf5ElementType.size
                try fill(UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: size))
                initialized = capacity
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return elements
    }
}
