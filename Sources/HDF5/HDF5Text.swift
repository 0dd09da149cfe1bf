internal import CHDF5

/// Long text as a dataset.
extension HDF5Container {
    /// Writes text of any length as a dataset of one string, with a checksum.
    ///
    /// An attribute takes text too, but only up to 64 KiB of it are covered by a checksum.
    ///
    /// - Parameters:
    ///   - name: The dataset's name; no object of this name may exist.
    ///   - text: The text; a zero byte at its end is not kept.
    /// - Throws: `HDF5Error` of kind `objectExists` or `diskFull`.
    public func writeText(_ name: String, _ text: String) throws(HDF5Error) {
        try withLibrary { () throws(HDF5Error) in
            let parent = try object.opened(for: "writeText")
            let place = object.place.appending(name)
            guard try !contains(name) else {
                throw HDF5Error(.objectExists, "writeText", at: place, "an object of this name exists already")
            }
            let length = max(1, text.utf8.count)
            let bytes = padded([text], to: length)
            let type = try textType(length: length, at: place)
            let space = try dataspace([1], at: place)
            let links = try linkCreation(at: place)
            try createParents(of: name)
            let creation = try Identifier("H5Pcreate", at: place) { H5Pcreate(chdf5_dataset_creation()) }
            try call("H5Pset_obj_track_times", at: place) { H5Pset_obj_track_times(creation.value, false) }
            try call("H5Pset_chunk", at: place) { H5Pset_chunk(creation.value, 1, [1]) }
            try call("H5Pset_fletcher32", at: place) { H5Pset_fletcher32(creation.value) }
            let dataset = try Identifier("H5Dcreate2", at: place) {
                H5Dcreate2(
                    parent, name, type.value, space.value, links.value, creation.value, chdf5_default_properties())
            }
            try call("H5Dwrite", at: place) {
                H5Dwrite(
                    dataset.value, type.value, chdf5_whole_dataspace(), chdf5_whole_dataspace(),
                    chdf5_default_properties(), bytes)
            }
            try place.checkWritten("H5Dwrite")
        }
    }

    /// Reads text that `writeText(_:_:)` wrote, or any dataset of one string of fixed length.
    ///
    /// - Throws: `HDF5Error` of kind `missingObject`, `wrongType` or `checksumMismatch`.
    public func readText(_ name: String) throws(HDF5Error) -> String {
        try withLibrary { () throws(HDF5Error) in
            let dataset = try dataset(name)
            let place = dataset.object.place
            let identifier = try dataset.object.opened(for: "readText")
            let type = try Identifier("H5Dget_type", at: place) { H5Dget_type(identifier) }
            let isFixedText = H5Tget_class(type.value) == H5T_STRING && H5Tis_variable_str(type.value) == 0
            guard isFixedText, dataset.count == 1 else {
                throw HDF5Error(
                    .wrongType, "readText", at: place,
                    "the dataset is not one string of fixed length but \(dataset.shape) of type \(dataset.storedType)")
            }
            let length = H5Tget_size(type.value)
            var bytes = [UInt8](repeating: 0, count: length)
            try call("H5Dread", at: place) {
                H5Dread(
                    identifier, type.value, chdf5_whole_dataspace(), chdf5_whole_dataspace(),
                    chdf5_default_properties(), &bytes)
            }
            return unpadded(bytes, length: length, padding: H5Tget_strpad(type.value))[0]
        }
    }
}
