internal import CHDF5

/// Reading everything in order to find damage.
extension HDF5Container {
    /// Reads every dataset and every attribute, so that each checksum in the file is compared.
    ///
    /// Nothing is kept: it takes the memory of one chunk. Not covered, because HDF5 has no checksums there: datasets
    /// with layout `.contiguous`, attributes of more than 64 KiB, and strings of variable length made elsewhere.
    ///
    /// - Throws: `HDF5Error` that names the first damaged object, of kind `checksumMismatch` as a rule.
    public func verify() throws(HDF5Error) {
        try verifyAttributes()
        for name in try names {
            switch try child(name) {
            case .group(let group): try group.verify()
            case .dataset(let dataset): try dataset.verify()
            }
        }
    }
}

extension HDF5Dataset {
    /// Reads all elements, chunk by chunk, and all attributes, so that their checksums are compared.
    ///
    /// - Throws: `HDF5Error`, of kind `checksumMismatch` when the dataset is damaged.
    public func verify() throws(HDF5Error) {
        try verifyAttributes()
        guard count > 0 else { return }
        let place = object.place
        let type = try withLibrary { () throws(HDF5Error) in
            let identifier = try object.opened(for: "verify")
            return try Identifier("H5Dget_type", at: place) { H5Dget_type(identifier) }
        }
        let elementSize = H5Tget_size(type.value)
        let hasFixedSize = try call("H5Tdetect_class", at: place) { H5Tdetect_class(type.value, H5T_VLEN) } == 0
        guard hasFixedSize, H5Tis_variable_str(type.value) == 0 else { return }
        // The types in the file and in memory are the same, so that nothing is converted.
        let block = chunk ?? automaticChunk(shape: shape, elementSize: elementSize)
        var bytes = [UInt8](repeating: 0, count: block.reduce(elementSize, *))
        try forEachBlock(of: block) { offset, count throws(HDF5Error) in
            try readBlock(offset, count, type: type.value, into: &bytes)
        }
    }

    /// Visits the blocks of a grid in row-major order; those at the far ends are cut off.
    private func forEachBlock(
        of block: [Int], _ body: (_ offset: [Int], _ count: [Int]) throws(HDF5Error) -> Void
    ) throws(HDF5Error) {
        var offset = shape.map { _ in 0 }
        while true {
            try body(offset, shape.indices.map { min(block[$0], shape[$0] - offset[$0]) })
            var dimension = shape.count - 1
            while dimension >= 0 {
                offset[dimension] += block[dimension]
                if offset[dimension] < shape[dimension] { break }
                offset[dimension] = 0
                dimension -= 1
            }
            if dimension < 0 { return }
        }
    }

    private func readBlock(
        _ offset: [Int], _ count: [Int], type: hid_t, into bytes: inout [UInt8]
    ) throws(HDF5Error) {
        let place = object.place
        try withLibrary { () throws(HDF5Error) in
            let identifier = try object.opened(for: "verify")
            let file = try Identifier("H5Dget_space", at: place) { H5Dget_space(identifier) }
            if !shape.isEmpty {
                let start = offset.map { hsize_t($0) }
                let length = count.map { hsize_t($0) }
                try call("H5Sselect_hyperslab", at: place) {
                    H5Sselect_hyperslab(file.value, H5S_SELECT_SET, start, nil, length, nil)
                }
            }
            let memory = try dataspace(count, at: place)
            try call("H5Dread", at: place) {
                H5Dread(identifier, type, memory.value, file.value, chdf5_default_properties(), &bytes)
            }
        }
    }
}

extension HDF5Attributed {
    fileprivate func verifyAttributes() throws(HDF5Error) {
        for name in try attributeNames {
            try withLibrary { () throws(HDF5Error) in
                let place = object.place.attribute(name)
                let owner = try object.opened(for: "verify")
                let attribute = try Identifier("H5Aopen", at: place) {
                    H5Aopen(owner, name, chdf5_default_properties())
                }
                let type = try Identifier("H5Aget_type", at: place) { H5Aget_type(attribute.value) }
                // Kinds of attribute that are not made here were still opened, with the header they lie in.
                guard [H5T_INTEGER, H5T_FLOAT, H5T_STRING].contains(H5Tget_class(type.value)) else { return }
                _ = try load(name, from: owner, at: place)
            }
        }
    }
}
