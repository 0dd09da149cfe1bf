internal import CHDF5

// Note [Every number has a checksum]
// Fletcher-32 is a filter, and filters work on chunks. A chunk of its own for a bias of ten numbers costs two
// kilobytes of index. So values of up to 4 KiB lie in the header of their dataset instead (HDF5's compact layout),
// and the header has a checksum of its own; larger ones are cut into chunks with Fletcher-32.

/// How the values of a dataset lie in the file.
public enum HDF5Layout: Sendable, Equatable {
    /// In the dataset's header when they are few, otherwise in chunks of about 256 KiB made of whole rows.
    case automatic
    /// In chunks of this shape, the unit of reading, checksums and compression.
    case chunks([Int])
    /// In one piece, without checksum or compression.
    case contiguous
}

/// Values of up to this many bytes are stored in the dataset's header.
private let compactLimit = 4096
/// What automatic chunks aim at, in bytes.
///
/// Measured with 256 MiB of checked values: chunks from 64 KiB to 4 MiB are written and read at much the same speed
/// (0.8 to 1.5 GB/s), chunks of 16 MiB at half of it. Smaller chunks mean less to read for a single row.
private let chunkTarget = 256 << 10
/// HDF5's own limit for a chunk is 4 GiB.
private let chunkLimit = Int(UInt32.max)

/// The properties of a new dataset, made under the library's lock.
func datasetCreation(
    shape: [Int], elementType: HDF5ElementType, layout: HDF5Layout, checksum: Bool, deflate: Int?, at place: Place
) throws(HDF5Error) -> Identifier {
    let properties = try Identifier("H5Pcreate", at: place) { H5Pcreate(chdf5_dataset_creation()) }
    let identifier = properties.value
    try call("H5Pset_obj_track_times", at: place) { H5Pset_obj_track_times(identifier, false) }
    let bytes = shape.reduce(elementType.size, *)
    let chunk: [Int]
    switch layout {
    case .contiguous:
        return properties
    case .automatic:
        if bytes <= compactLimit {
            try call("H5Pset_layout", at: place) { H5Pset_layout(identifier, H5D_COMPACT) }
            return properties
        }
        chunk = automaticChunk(shape: shape, elementSize: elementType.size)
    case .chunks(let asked):
        try validate(chunk: asked, shape: shape, elementType: elementType, at: place)
        // HDF5 has no chunks for a single value or for none; both fit into the header.
        if shape.isEmpty || bytes == 0 {
            try call("H5Pset_layout", at: place) { H5Pset_layout(identifier, H5D_COMPACT) }
            return properties
        }
        chunk = asked
    }
    let sizes = chunk.map { hsize_t($0) }
    try call("H5Pset_chunk", at: place) { H5Pset_chunk(identifier, Int32(sizes.count), sizes) }
    if let level = deflate {
        guard (0...9).contains(level) else {
            throw HDF5Error(.wrongShape, "createDataset", at: place, "deflate level \(level) is not within 0…9")
        }
        // Bytes of equal significance beside each other compress better.
        if elementType.size > 1 { try call("H5Pset_shuffle", at: place) { H5Pset_shuffle(identifier) } }
        try call("H5Pset_deflate", at: place) { H5Pset_deflate(identifier, UInt32(level)) }
    }
    // Last, so that it covers the bytes as they lie in the file and is checked before they are unpacked.
    if checksum { try call("H5Pset_fletcher32", at: place) { H5Pset_fletcher32(identifier) } }
    return properties
}

/// Whole rows, as many as fit the target; a row larger than the target is cut along its own first dimension, and
/// so on.
func automaticChunk(shape: [Int], elementSize: Int) -> [Int] {
    var chunk = shape
    for dimension in chunk.indices {
        let slice = chunk[(dimension + 1)...].reduce(elementSize, *)
        chunk[dimension] = min(chunk[dimension], max(1, chunkTarget / slice))
        if slice <= chunkTarget { break }
    }
    return chunk
}

private func validate(
    chunk: [Int], shape: [Int], elementType: HDF5ElementType, at place: Place
) throws(HDF5Error) {
    let fits =
        chunk.count == shape.count
        && zip(chunk, shape).allSatisfy { $0 >= 1 && ($0 <= $1 || $1 == 0) }
    guard fits else {
        throw HDF5Error(
            .wrongShape, "createDataset", at: place, "chunks of shape \(chunk) do not fit a dataset of shape \(shape)",
            advice: "A chunk has as many dimensions as its dataset, each at least 1 and at most as long.")
    }
    guard chunk.reduce(elementType.size, *) <= chunkLimit else {
        throw HDF5Error(.wrongShape, "createDataset", at: place, "a chunk of shape \(chunk) is larger than 4 GiB")
    }
}
