internal import CHDF5

/// The type of UTF-8 strings of a fixed number of bytes, padded with zeros.
func textType(length: Int, at place: Place) throws(HDF5Error) -> Identifier {
    let type = try Identifier("H5Tcopy", at: place) { H5Tcopy(chdf5_c_string()) }
    try call("H5Tset_size", at: place) { H5Tset_size(type.value, length) }
    try call("H5Tset_cset", at: place) { H5Tset_cset(type.value, H5T_CSET_UTF8) }
    try call("H5Tset_strpad", at: place) { H5Tset_strpad(type.value, H5T_STR_NULLPAD) }
    return type
}

/// A dataspace of the given shape; the empty shape is a single value.
func dataspace(_ shape: [Int], at place: Place) throws(HDF5Error) -> Identifier {
    guard !shape.isEmpty else { return try Identifier("H5Screate", at: place) { H5Screate(H5S_SCALAR) } }
    let sizes = shape.map { hsize_t($0) }
    return try Identifier("H5Screate_simple", at: place) { H5Screate_simple(Int32(sizes.count), sizes, nil) }
}

/// The texts one after the other, each filled up with zeros.
func padded(_ texts: [String], to length: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(texts.count * length)
    for text in texts {
        bytes.append(contentsOf: text.utf8)
        bytes.append(contentsOf: repeatElement(0, count: length - text.utf8.count))
    }
    return bytes
}

/// Cuts bytes into texts of equal length and removes what fills them up: zeros, or spaces in files made elsewhere.
func unpadded(_ bytes: [UInt8], length: Int, padding: H5T_str_t) -> [String] {
    stride(from: 0, to: bytes.count, by: length).map { start in
        var text = bytes[start..<start + length]
        switch padding {
        case H5T_STR_NULLTERM: text = text.prefix { $0 != 0 }
        case H5T_STR_SPACEPAD: while text.last == UInt8(ascii: " ") { text.removeLast() }
        default: while text.last == 0 { text.removeLast() }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
