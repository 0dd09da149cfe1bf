internal import CHDF5

// Note [Strings of fixed length]
// A string of variable length lives in a global heap of the file, which has no checksum. A string of fixed length lies
// with its attribute, in an object header that has one. So texts are stored with fixed length, as UTF-8 padded with
// zeros (HDF5 has no strings of length zero; the empty text is one zero).

/// Writes an attribute, replacing one of the same name, under the library's lock.
func store(_ value: HDF5Attribute, as name: String, on owner: hid_t, at place: Place) throws(HDF5Error) {
    switch value {
    case .text(let text):
        try storeTexts([text], isList: false, as: name, on: owner, at: place)
    case .texts(let texts):
        try storeTexts(texts, isList: true, as: name, on: owner, at: place)
    case .integer(let number):
        try storeNumbers([number], isList: false, as: name, on: owner, at: place)
    case .integers(let numbers):
        try storeNumbers(numbers, isList: true, as: name, on: owner, at: place)
    case .number(let number):
        try storeNumbers([number], isList: false, as: name, on: owner, at: place)
    case .numbers(let numbers):
        try storeNumbers(numbers, isList: true, as: name, on: owner, at: place)
    }
}

private func storeNumbers<Element: HDF5Element>(
    _ numbers: [Element], isList: Bool, as name: String, on owner: hid_t, at place: Place
) throws(HDF5Error) {
    let space = try dataspace(isList ? [numbers.count] : [], at: place)
    let type = Element.hdf5ElementType
    let attribute = try create(name, type.stored, space, on: owner, at: place)
    try numbers.withRawBytes { bytes throws(HDF5Error) in
        try writeAttribute(attribute, type.native, bytes, at: place)
    }
}

private func storeTexts(
    _ texts: [String], isList: Bool, as name: String, on owner: hid_t, at place: Place
) throws(HDF5Error) {
    let space = try dataspace(isList ? [texts.count] : [], at: place)
    let length = max(1, texts.map(\.utf8.count).max() ?? 1)
    let type = try textType(length: length, at: place)
    let attribute = try create(name, type.value, space, on: owner, at: place)
    let bytes = padded(texts, to: length)
    try bytes.withRawBytes { bytes throws(HDF5Error) in
        try writeAttribute(attribute, type.value, bytes, at: place)
    }
}

private func create(
    _ name: String, _ type: hid_t, _ space: borrowing Identifier, on owner: hid_t, at place: Place
) throws(HDF5Error) -> Identifier {
    if try call("H5Aexists", at: place, { H5Aexists(owner, name) }) > 0 {
        try call("H5Adelete", at: place) { H5Adelete(owner, name) }
    }
    let space = space.value
    return try Identifier("H5Acreate2", at: place) {
        H5Acreate2(owner, name, type, space, chdf5_default_properties(), chdf5_default_properties())
    }
}

private func writeAttribute(
    _ attribute: borrowing Identifier, _ type: hid_t, _ bytes: UnsafeRawBufferPointer, at place: Place
) throws(HDF5Error) {
    // An empty list has nothing to write, and no address to write it from.
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    let attribute = attribute.value
    try call("H5Awrite", at: place) { H5Awrite(attribute, type, start) }
}

/// Reads an attribute of any kind that `HDF5Attribute` has, under the library's lock.
func load(_ name: String, from owner: hid_t, at place: Place) throws(HDF5Error) -> HDF5Attribute {
    let attribute = try Identifier("H5Aopen", at: place) { H5Aopen(owner, name, chdf5_default_properties()) }
    let identifier = attribute.value
    let space = try Identifier("H5Aget_space", at: place) { H5Aget_space(identifier) }
    let type = try Identifier("H5Aget_type", at: place) { H5Aget_type(identifier) }
    let count = Int(try call("H5Sget_simple_extent_npoints", at: place) { H5Sget_simple_extent_npoints(space.value) })
    let isList = try call("H5Sget_simple_extent_ndims", at: place) { H5Sget_simple_extent_ndims(space.value) } > 0
    switch H5Tget_class(type.value) {
    case H5T_INTEGER:
        let numbers: [Int64] = try loadNumbers(identifier, count: count, at: place)
        return isList ? .integers(numbers) : try .integer(single(numbers, at: place))
    case H5T_FLOAT:
        let numbers: [Double] = try loadNumbers(identifier, count: count, at: place)
        return isList ? .numbers(numbers) : try .number(single(numbers, at: place))
    case H5T_STRING:
        let isVariable = try call("H5Tis_variable_str", at: place) { H5Tis_variable_str(type.value) } > 0
        let texts =
            try isVariable
            ? loadVariableTexts(identifier, type: type.value, space: space.value, count: count, at: place)
            : loadFixedTexts(identifier, type: type.value, count: count, at: place)
        return isList ? .texts(texts) : try .text(single(texts, at: place))
    default:
        throw HDF5Error(
            .wrongType, "H5Aread", at: place,
            "the attribute is of type \(typeDescription(type.value)), neither text nor number")
    }
}

private func single<Value>(_ values: [Value], at place: Place) throws(HDF5Error) -> Value {
    guard let value = values.first else {
        throw HDF5Error(.wrongShape, "H5Aread", at: place, "the attribute is empty")
    }
    return value
}

private func loadNumbers<Element: HDF5Element & Numeric>(
    _ attribute: hid_t, count: Int, at place: Place
) throws(HDF5Error) -> [Element] {
    var numbers = [Element](repeating: 0, count: count)
    try numbers.withMutableRawBytes { bytes throws(HDF5Error) in
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        try call("H5Aread", at: place) { H5Aread(attribute, Element.hdf5ElementType.native, start) }
    }
    return numbers
}

// The type in memory is the one in the file: HDF5 does not convert between ASCII and UTF-8, and both read the same.
private func loadFixedTexts(
    _ attribute: hid_t, type: hid_t, count: Int, at place: Place
) throws(HDF5Error) -> [String] {
    let length = H5Tget_size(type)
    var bytes = [UInt8](repeating: 0, count: length * count)
    try bytes.withMutableRawBytes { bytes throws(HDF5Error) in
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        try call("H5Aread", at: place) { H5Aread(attribute, type, start) }
    }
    return unpadded(bytes, length: length, padding: H5Tget_strpad(type))
}

private func loadVariableTexts(
    _ attribute: hid_t, type: hid_t, space: hid_t, count: Int, at place: Place
) throws(HDF5Error) -> [String] {
    var pointers = [UnsafeMutablePointer<CChar>?](repeating: nil, count: count)
    return try pointers.withMutableRawBytes { bytes throws(HDF5Error) in
        guard let start = bytes.baseAddress, bytes.count > 0 else { return [] }
        try call("H5Aread", at: place) { H5Aread(attribute, type, start) }
        let texts = bytes.bindMemory(to: UnsafeMutablePointer<CChar>?.self).map { pointer in
            pointer.map { String(cString: $0) } ?? ""
        }
        try call("H5Dvlen_reclaim", at: place) { H5Dvlen_reclaim(type, space, chdf5_default_properties(), start) }
        return texts
    }
}
