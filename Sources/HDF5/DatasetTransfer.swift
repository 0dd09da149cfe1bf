internal import CHDF5

/// A block of a dataset: where it begins and how long it is in each dimension.
struct Block {
    let offset: [Int]
    let count: [Int]
    var elements: Int { count.reduce(1, *) }
}

extension HDF5Dataset {
    /// Reads all elements into memory.
    ///
    /// - Parameters:
    ///   - buffer: Memory for exactly `count` elements, in row-major order. No alignment is needed.
    ///   - elementType: The type of the elements in memory.
    /// - Throws: `HDF5Error` of kind `wrongShape` when the buffer is of another size, `wrongType` when the dataset
    ///   does not hold numbers, `checksumMismatch`, `valueOutOfRange`.
    public func read(
        into buffer: UnsafeMutableRawBufferPointer, as elementType: HDF5ElementType
    ) throws(HDF5Error) {
        try transfer(nil, buffer.count, elementType, "H5Dread") { identifier, type, memory, file, properties in
            buffer.baseAddress.map { H5Dread(identifier, type, memory, file, properties, $0) } ?? 0
        }
    }

    /// Reads a block into memory.
    ///
    /// - Parameters:
    ///   - buffer: Memory for exactly the elements of the block, in row-major order.
    ///   - elementType: The type of the elements in memory.
    ///   - offset: Where the block begins, in each dimension.
    ///   - count: The length of the block in each dimension; may be zero.
    /// - Throws: `HDF5Error`, also of kind `wrongShape` when the block reaches beyond the dataset.
    public func read(
        into buffer: UnsafeMutableRawBufferPointer, as elementType: HDF5ElementType, offset: [Int], count: [Int]
    ) throws(HDF5Error) {
        let block = Block(offset: offset, count: count)
        try transfer(block, buffer.count, elementType, "H5Dread") { identifier, type, memory, file, properties in
            buffer.baseAddress.map { H5Dread(identifier, type, memory, file, properties, $0) } ?? 0
        }
    }

    /// Writes all elements from memory.
    ///
    /// - Parameters:
    ///   - buffer: Exactly `count` elements in row-major order.
    ///   - elementType: The type of the elements in memory.
    /// - Throws: `HDF5Error`, as reading does, and of kind `diskFull`.
    public func write(from buffer: UnsafeRawBufferPointer, as elementType: HDF5ElementType) throws(HDF5Error) {
        try transfer(nil, buffer.count, elementType, "H5Dwrite") { identifier, type, memory, file, properties in
            buffer.baseAddress.map { H5Dwrite(identifier, type, memory, file, properties, $0) } ?? 0
        }
    }

    /// Writes a block from memory.
    ///
    /// - Parameters:
    ///   - buffer: Exactly the elements of the block, in row-major order.
    ///   - elementType: The type of the elements in memory.
    ///   - offset: Where the block begins, in each dimension.
    ///   - count: The length of the block in each dimension; may be zero.
    /// - Throws: `HDF5Error`, as reading does, and of kind `diskFull`.
    public func write(
        from buffer: UnsafeRawBufferPointer, as elementType: HDF5ElementType, offset: [Int], count: [Int]
    ) throws(HDF5Error) {
        let block = Block(offset: offset, count: count)
        try transfer(block, buffer.count, elementType, "H5Dwrite") { identifier, type, memory, file, properties in
            buffer.baseAddress.map { H5Dwrite(identifier, type, memory, file, properties, $0) } ?? 0
        }
    }

    /// The block of whole rows with these indices.
    func rows(_ rows: Range<Int>, _ routine: String) throws(HDF5Error) -> Block {
        guard !shape.isEmpty else {
            throw HDF5Error(.wrongShape, routine, at: object.place, "a single value has no rows")
        }
        let rest = shape.dropFirst()
        return Block(
            offset: [rows.lowerBound] + rest.map { _ in 0 }, count: [rows.count] + Array(rest))
    }

    /// Checks a transfer, prepares HDF5's description of it, and makes it.
    private func transfer(
        _ block: Block?, _ byteCount: Int, _ elementType: HDF5ElementType, _ routine: String,
        _ body: (_ dataset: hid_t, _ type: hid_t, _ memory: hid_t, _ file: hid_t, _ properties: hid_t) -> herr_t
    ) throws(HDF5Error) {
        let place = object.place
        guard isNumeric else {
            throw HDF5Error(
                .wrongType, routine, at: place,
                "the dataset holds elements of type \(storedType), which cannot be \(elementType.rawValue)")
        }
        if let block { try validate(block, routine) }
        let elements = block?.elements ?? count
        guard byteCount == elements * elementType.size else {
            throw HDF5Error(
                .wrongShape, routine, at: place,
                "\(elements) elements of \(elementType.rawValue) take \(elements * elementType.size) bytes, "
                    + "the buffer in memory has \(byteCount)")
        }
        try withLibrary { () throws(HDF5Error) in
            let identifier = try object.opened(for: routine)
            // HDF5 refuses a null address even when there is nothing to transfer.
            guard elements > 0 else { return }
            let properties = try Conversion.properties(from: self.elementType, to: elementType, at: place)
            guard let block, !shape.isEmpty else {
                let all = chdf5_whole_dataspace()
                try call(routine, at: place) { body(identifier, elementType.native, all, all, properties.value) }
                return
            }
            let file = try Identifier("H5Dget_space", at: place) { H5Dget_space(identifier) }
            let offset = block.offset.map { hsize_t($0) }
            let count = block.count.map { hsize_t($0) }
            try call("H5Sselect_hyperslab", at: place) {
                H5Sselect_hyperslab(file.value, H5S_SELECT_SET, offset, nil, count, nil)
            }
            let memory = try dataspace(block.count, at: place)
            try call(routine, at: place) {
                body(identifier, elementType.native, memory.value, file.value, properties.value)
            }
        }
    }

    private func validate(_ block: Block, _ routine: String) throws(HDF5Error) {
        let fits =
            block.offset.count == shape.count && block.count.count == shape.count
            && shape.indices.allSatisfy { dimension in
                let (offset, count) = (block.offset[dimension], block.count[dimension])
                return offset >= 0 && count >= 0 && offset <= shape[dimension] - count
            }
        guard fits else {
            throw HDF5Error(
                .wrongShape, routine, at: object.place,
                "the block at \(block.offset) of shape \(block.count) does not lie inside the dataset's shape \(shape)")
        }
    }
}
