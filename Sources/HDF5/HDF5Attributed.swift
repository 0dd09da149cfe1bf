internal import CHDF5

/// Something that carries attributes: a file, a group or a dataset.
///
/// Attributes are small named values. Those up to 64 KiB lie in the object's header and share its checksum. Longer
/// ones work, but HDF5 stores them without a checksum: long text that must not rot in silence goes into
/// `HDF5Container.writeText(_:_:)`.
public protocol HDF5Attributed {
    /// The open object that carries the attributes.
    var object: HDF5Object { get }
}

extension HDF5Attributed {
    /// The names of the attributes in alphabetical (byte) order.
    ///
    /// - Throws: `HDF5Error` when the file is closed or damaged.
    public var attributeNames: [String] {
        get throws(HDF5Error) {
            try withLibrary { () throws(HDF5Error) in
                let identifier = try object.opened(for: "attributeNames")
                var information = H5O_info_t()
                try call("H5Oget_info", at: object.place) {
                    H5Oget_info2(identifier, &information, UInt32(H5O_INFO_NUM_ATTRS))
                }
                var names: [String] = []
                for index in 0..<information.num_attrs {
                    let name = try readName("H5Aget_name_by_idx", at: object.place) { buffer, size in
                        H5Aget_name_by_idx(
                            identifier, ".", H5_INDEX_NAME, H5_ITER_INC, index, buffer, size,
                            chdf5_default_properties())
                    }
                    names.append(name)
                }
                return names
            }
        }
    }

    /// Whether there is an attribute of that name.
    ///
    /// - Throws: `HDF5Error` when the file is closed or damaged.
    public func hasAttribute(_ name: String) throws(HDF5Error) -> Bool {
        try withLibrary { () throws(HDF5Error) in
            let identifier = try object.opened(for: "hasAttribute")
            return try call("H5Aexists", at: object.place.attribute(name)) { H5Aexists(identifier, name) } > 0
        }
    }

    /// Sets an attribute, replacing one of the same name.
    ///
    /// A zero byte at the end of a text is not kept: strings of fixed length are padded with zeros.
    ///
    /// - Parameters:
    ///   - name: The attribute's name.
    ///   - value: Text, a number, or a list of them. A text may be longer than 64 KiB.
    /// - Throws: `HDF5Error`.
    public func setAttribute(_ name: String, _ value: some HDF5AttributeConvertible) throws(HDF5Error) {
        try withLibrary { () throws(HDF5Error) in
            let identifier = try object.opened(for: "setAttribute")
            try store(value.hdf5Attribute, as: name, on: identifier, at: object.place.attribute(name))
        }
    }

    /// Reads an attribute.
    ///
    /// Strings of fixed and of variable length, and integers and floating-point numbers of any size are understood.
    ///
    /// - Parameters:
    ///   - name: The attribute's name.
    ///   - type: What to read it as.
    /// - Throws: `HDF5Error` of kind `missingObject`, with the names that do exist, or `wrongType`.
    public func attribute<Value: HDF5AttributeConvertible>(
        _ name: String, as type: Value.Type = Value.self
    ) throws(HDF5Error) -> Value {
        try withLibrary { () throws(HDF5Error) in
            let place = object.place.attribute(name)
            guard try hasAttribute(name) else {
                let names = try attributeNames
                throw HDF5Error(
                    .missingObject, "H5Aopen", at: place, "there is no attribute of this name",
                    advice: names.isEmpty
                        ? "The object has no attributes." : "There are: \(names.joined(separator: ", ")).")
            }
            let stored = try load(name, from: object.opened(for: "attribute"), at: place)
            guard let value = Value(hdf5Attribute: stored) else {
                throw HDF5Error(
                    .wrongType, "attribute", at: place, "the attribute is \(stored.kind), not \(Value.self)")
            }
            return value
        }
    }
}

extension HDF5Attribute {
    fileprivate var kind: String {
        switch self {
        case .text: "a text"
        case .texts(let list): "a list of \(list.count) texts"
        case .integer: "a whole number"
        case .integers(let list): "a list of \(list.count) whole numbers"
        case .number: "a floating-point number"
        case .numbers(let list): "a list of \(list.count) floating-point numbers"
        }
    }
}
