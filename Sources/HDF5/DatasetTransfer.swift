internal import CHDF5

/// A block of a dataset: where it begins and how long it is in each dimension.
struct Block {
    let offset: [Int]
    let count: [Int]
    var elements: Int { count.reduce(1, *) }
}

/// What HDF5's reading and writing routines are called with, but for the memory.
struct TransferCall {
    let dataset: hid_t
    let type: hid_t
    let memorySpace: hid_t
    let fileSpace: hid_t
    let properties: hid_t
    /// Where in the caller's memory the elements begin, in bytes.
    let start: Int
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
        try read(nil, into: buffer, as: elementType)
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
        try read([Block(offset: offset, count: count)], into: buffer, as: elementType)
    }

    /// Writes all elements from memory.
    ///
    /// - Parameters:
    ///   - buffer: Exactly `count` elements in row-major order.
    ///   - elementType: The type of the elements in memory.
    /// - Throws: `HDF5Error`, as reading does, and of kind `diskFull`.
    public func write(from buffer: UnsafeRawBufferPointer, as elementType: HDF5ElementType) throws(HDF5Error) {
        try write(nil, from: buffer, as: elementType)
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
        try write([Block(offset: offset, count: count)], from: buffer, as: elementType)
    }

    /// Reads blocks one after the other into memory; everything without blocks.
    func read(
        _ blocks: [Block]?, into buffer: UnsafeMutableRawBufferPointer, as elementType: HDF5ElementType
    ) throws(HDF5Error) {
        try transfer(blocks, buffer.count, elementType, "H5Dread") { call in
            guard let memory = buffer.baseAddress else { return 0 }
            return H5Dread(
                call.dataset, call.type, call.memorySpace, call.fileSpace, call.properties, memory + call.start)
        }
    }

    private func write(
        _ blocks: [Block]?, from buffer: UnsafeRawBufferPointer, as elementType: HDF5ElementType
    ) throws(HDF5Error) {
        try transfer(blocks, buffer.count, elementType, "H5Dwrite") { call in
            guard let memory = buffer.baseAddress else { return 0 }
            return H5Dwrite(
                call.dataset, call.type, call.memorySpace, call.fileSpace, call.properties, memory + call.start)
        }
    }

    /// The block of whole rows with these indices.
    func rows(_ rows: Range<Int>, _ routine: String) throws(HDF5Error) -> Block {
        guard !shape.isEmpty else {
            throw HDF5Error(.wrongShape, routine, at: object.place, "a single value has no rows")
        }
        let rest = shape.dropFirst()
        return Block(offset: [rows.lowerBound] + rest.map { _ in 0 }, count: [rows.count] + Array(rest))
    }

    /// Checks a transfer, prepares HDF5's description of it, and makes it.
    private func transfer(
        _ blocks: [Block]?, _ byteCount: Int, _ elementType: HDF5ElementType, _ routine: String,
        _ body: (TransferCall) -> herr_t
    ) throws(HDF5Error) {
        let place = object.place
        guard isNumeric else {
            throw HDF5Error(
                .wrongType, routine, at: place,
                "the dataset holds elements of type \(storedType), which cannot be \(elementType.rawValue)")
        }
        for block in blocks ?? [] { try validate(block, routine) }
        let elements = blocks?.reduce(0) { $0 + $1.elements } ?? count
        guard byteCount == elements * elementType.size else {
            throw HDF5Error(
                .wrongShape, routine, at: place,
                "\(elements) elements of \(elementType.rawValue) take \(elements * elementType.size) bytes, "
                    + "the buffer in memory has \(byteCount)")
        }
        try withLibrary { () throws(HDF5Error) in
            let dataset = try object.opened(for: routine)
            // HDF5 refuses a null address even when there is nothing to transfer.
            guard elements > 0 else { return }
            let properties = try Conversion.properties(from: self.elementType, to: elementType, at: place)
            guard let blocks, !shape.isEmpty else {
                let all = chdf5_whole_dataspace()
                try call(routine, at: place) {
                    body(
                        TransferCall(
                            dataset: dataset, type: elementType.native, memorySpace: all, fileSpace: all,
                            properties: properties.value, start: 0))
                }
                try place.checkWritten(routine)
                return
            }
            let fileSpace = try Identifier("H5Dget_space", at: place) { H5Dget_space(dataset) }
            var start = 0
            for block in blocks where block.elements > 0 {
                let offset = block.offset.map { hsize_t($0) }
                let count = block.count.map { hsize_t($0) }
                try call("H5Sselect_hyperslab", at: place) {
                    H5Sselect_hyperslab(fileSpace.value, H5S_SELECT_SET, offset, nil, count, nil)
                }
                let memorySpace = try dataspace(block.count, at: place)
                try call(routine, at: place) {
                    body(
                        TransferCall(
                            dataset: dataset, type: elementType.native, memorySpace: memorySpace.value,
                            fileSpace: fileSpace.value, properties: properties.value, start: start))
                }
                start += block.elements * elementType.size
            }
            try place.checkWritten(routine)
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
