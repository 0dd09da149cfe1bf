internal import CHDF5

/// An array of numbers in a file.
///
/// Reading and writing convert between the type in the file and the one in memory. A value that does not fit the
/// other type is an error, never clipped. Rounding `float64` to `float32` is conversion, not an error.
public final class HDF5Dataset: HDF5Attributed, Sendable {
    /// The dataset's open object.
    public let object: HDF5Object
    /// The length of each dimension; empty for a single value.
    public let shape: [Int]
    /// The type in the file; `nil` when it is none of these, which may still be a number and readable.
    public let elementType: HDF5ElementType?
    /// The shape of the chunks the values lie in; `nil` when they lie in one piece.
    public let chunk: [Int]?

    /// The dataset's name, with the groups it lies in.
    public var name: String { object.place.object }
    /// The number of elements: the product of `shape`.
    public var count: Int { shape.reduce(1, *) }
    /// The number of elements in a row, which is everything but the first dimension.
    public var rowCount: Int { shape.dropFirst().reduce(1, *) }

    /// What the file holds, for messages about types.
    let storedType: String
    /// Whether the type in the file is a number at all.
    let isNumeric: Bool
    /// Whether the type in the file is a floating-point number, of whatever size.
    public let isFloatingPoint: Bool
    /// Whether the type in the file is a floating-point number that no element type equals.
    let isForeignFloat: Bool

    /// Takes an open dataset and asks for its properties once, under the library's lock.
    init(_ object: HDF5Object) throws(HDF5Error) {
        self.object = object
        let place = object.place
        let identifier = try object.opened(for: "H5Dopen")
        let space = try Identifier("H5Dget_space", at: place) { H5Dget_space(identifier) }
        let rank = Int(
            try call("H5Sget_simple_extent_ndims", at: place) { H5Sget_simple_extent_ndims(space.value) })
        var sizes = [hsize_t](repeating: 0, count: rank)
        try call("H5Sget_simple_extent_dims", at: place) { H5Sget_simple_extent_dims(space.value, &sizes, nil) }
        shape = sizes.map(Int.init)

        let type = try Identifier("H5Dget_type", at: place) { H5Dget_type(identifier) }
        elementType = try HDF5ElementType(stored: type.value, at: place)
        let storedClass = H5Tget_class(type.value)
        isNumeric = [H5T_INTEGER, H5T_FLOAT].contains(storedClass)
        isFloatingPoint = storedClass == H5T_FLOAT
        isForeignFloat = isFloatingPoint && elementType == nil
        storedType = typeDescription(type.value)

        let creation = try Identifier("H5Dget_create_plist", at: place) { H5Dget_create_plist(identifier) }
        if H5Pget_layout(creation.value) == H5D_CHUNKED {
            try call("H5Pget_chunk", at: place) { H5Pget_chunk(creation.value, Int32(rank), &sizes) }
            chunk = sizes.map(Int.init)
        } else {
            chunk = nil
        }
    }
}

extension HDF5Container {
    /// Creates a dataset, with the groups it lies in.
    ///
    /// Its values are zero until they are written.
    ///
    /// - Parameters:
    ///   - name: Its name; no object of this name may exist.
    ///   - elementType: The type of its elements in the file.
    ///   - shape: The length of each dimension, zero or more; empty for a single value.
    ///   - layout: How the values lie in the file.
    ///   - checksum: Whether reading checks the values against a checksum (not with layout `.contiguous`).
    ///   - deflate: Compression from 0 (quick) to 9 (small); `nil` for none. Only values in chunks are compressed.
    /// - Throws: `HDF5Error` of kind `objectExists`, `wrongShape` for chunks that do not fit, or `diskFull`.
    @discardableResult
    public func createDataset(
        _ name: String, _ elementType: HDF5ElementType, shape: [Int], layout: HDF5Layout = .automatic,
        checksum: Bool = true, deflate: Int? = nil
    ) throws(HDF5Error) -> HDF5Dataset {
        try withLibrary { () throws(HDF5Error) in
            let parent = try object.opened(for: "createDataset")
            let place = object.place.appending(name)
            guard shape.allSatisfy({ $0 >= 0 }), shape.count <= 32 else {
                throw HDF5Error(
                    .wrongShape, "createDataset", at: place, "\(shape) is not a shape",
                    advice: "A shape has at most 32 dimensions, none of them negative.")
            }
            guard try !contains(name) else {
                throw HDF5Error(.objectExists, "createDataset", at: place, "an object of this name exists already")
            }
            let space = try dataspace(shape, at: place)
            let creation = try datasetCreation(
                shape: shape, elementType: elementType, layout: layout, checksum: checksum, deflate: deflate, at: place)
            let links = try linkCreation(at: place)
            try createParents(of: name)
            let identifier = try call("H5Dcreate2", at: place) {
                H5Dcreate2(
                    parent, name, elementType.stored, space.value, links.value, creation.value,
                    chdf5_default_properties())
            }
            return try HDF5Dataset(HDF5Object(session: object.session, place: place, identifier: identifier))
        }
    }

    /// Creates a dataset and writes all of it.
    ///
    /// - Parameters:
    ///   - name: Its name; no object of this name may exist.
    ///   - values: Its elements in row-major order.
    ///   - shape: The length of each dimension; a list of all elements when not given.
    ///   - layout: How the values lie in the file.
    ///   - checksum: Whether reading checks the values against a checksum.
    ///   - deflate: Compression from 0 to 9; `nil` for none.
    /// - Throws: `HDF5Error`, as creating and writing do.
    @discardableResult
    public func writeDataset<Element: HDF5Element>(
        _ name: String, _ values: [Element], shape: [Int]? = nil, layout: HDF5Layout = .automatic,
        checksum: Bool = true, deflate: Int? = nil
    ) throws(HDF5Error) -> HDF5Dataset {
        let dataset = try createDataset(
            name, Element.hdf5ElementType, shape: shape ?? [values.count], layout: layout, checksum: checksum,
            deflate: deflate)
        try dataset.write(values)
        return dataset
    }
}
