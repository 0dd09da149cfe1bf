internal import CHDF5

/// A place that holds named groups and datasets: a file or a group.
///
/// Names are paths relative to the container, such as `model/layers.0.weight`.
public protocol HDF5Container: HDF5Attributed {}

/// A group inside a file.
public final class HDF5Group: HDF5Container, Sendable {
    /// The group's open object.
    public let object: HDF5Object

    init(_ object: HDF5Object) {
        self.object = object
    }
}

/// What a name in a container stands for.
enum HDF5Child {
    case group(HDF5Group)
    case dataset(HDF5Dataset)
}

extension HDF5Container {
    /// The names of the groups and datasets directly inside, in alphabetical (byte) order.
    ///
    /// - Throws: `HDF5Error` when the file is closed or damaged.
    public var names: [String] {
        get throws(HDF5Error) {
            try withLibrary { () throws(HDF5Error) in
                try linkNames(of: object.opened(for: "names"), at: object.place)
            }
        }
    }

    /// Whether there is a group or dataset of that name.
    ///
    /// - Throws: `HDF5Error` when the file is closed or damaged.
    public func contains(_ name: String) throws(HDF5Error) -> Bool {
        try withLibrary { () throws(HDF5Error) in
            try existingPrefix(of: name, routine: "contains").isWhole
        }
    }

    /// Opens a group.
    ///
    /// - Throws: `HDF5Error` of kind `missingObject`, with the names that do exist, or `wrongType` for a dataset.
    public func group(_ name: String) throws(HDF5Error) -> HDF5Group {
        switch try child(name) {
        case .group(let group): return group
        case .dataset(let dataset):
            throw HDF5Error(.wrongType, "H5Oopen", at: dataset.object.place, "this is a dataset, not a group")
        }
    }

    /// Opens a group, creating it and the groups it lies in when they do not exist.
    ///
    /// - Throws: `HDF5Error`, of kind `wrongType` when a dataset bears the name.
    @discardableResult
    public func createGroup(_ name: String) throws(HDF5Error) -> HDF5Group {
        try withLibrary { () throws(HDF5Error) in
            if try contains(name) { return try group(name) }
            let parent = try object.opened(for: "createGroup")
            let place = object.place.appending(name)
            try createParents(of: name)
            let group = try newGroup(name, in: parent, at: place)
            return HDF5Group(HDF5Object(session: object.session, place: place, identifier: group))
        }
    }

    /// Opens a dataset.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - cache: How many bytes of checked and unpacked chunks are kept in memory while the dataset is open; HDF5's
    ///     1 MiB when not given. Rows in random order are quick when all chunks find room. A dataset that is open
    ///     elsewhere in the process keeps the cache it has.
    /// - Throws: `HDF5Error` of kind `missingObject`, with the names that do exist, or `wrongType` for a group.
    public func dataset(_ name: String, cache: Int? = nil) throws(HDF5Error) -> HDF5Dataset {
        try withLibrary { () throws(HDF5Error) in
            // With a cache this looks and closes again: the first that opens a dataset determines its cache.
            guard let cache else { return try openDataset(name) }
            _ = try openDataset(name)
            let place = object.place.appending(name)
            let access = try Identifier("H5Pcreate", at: place) { H5Pcreate(chdf5_dataset_access()) }
            // A prime number of slots, many times the chunks that find room, keeps chunks from evicting each other.
            try call("H5Pset_chunk_cache", at: place) { H5Pset_chunk_cache(access.value, 100_003, max(0, cache), 0) }
            let parent = try object.opened(for: "H5Dopen2")
            let identifier = try call("H5Dopen2", at: place) { H5Dopen2(parent, name, access.value) }
            return try HDF5Dataset(HDF5Object(session: object.session, place: place, identifier: identifier))
        }
    }

    private func openDataset(_ name: String) throws(HDF5Error) -> HDF5Dataset {
        switch try child(name) {
        case .dataset(let dataset): return dataset
        case .group(let group):
            throw HDF5Error(.wrongType, "H5Oopen", at: group.object.place, "this is a group, not a dataset")
        }
    }

    /// The full names of all datasets inside, in this container and the groups below it, in alphabetical order
    /// within each group.
    ///
    /// - Throws: `HDF5Error` when the file is closed or damaged.
    public var allDatasetNames: [String] {
        get throws(HDF5Error) {
            try withLibrary { () throws(HDF5Error) in
                var found: [String] = []
                for name in try names {
                    switch try child(name) {
                    case .group(let group):
                        for inner in try group.allDatasetNames { found.append("\(name)/\(inner)") }
                    case .dataset:
                        found.append(name)
                    }
                }
                return found
            }
        }
    }
}

extension HDF5Container {
    /// Creates the groups that a new object lies in, which HDF5 would do too, but with time stamps.
    func createParents(of name: String) throws(HDF5Error) {
        guard let end = name.lastIndex(of: "/"), name[..<end].contains(where: { $0 != "/" }) else { return }
        let parents = String(name[..<end])
        if try !contains(parents) { try createGroup(parents) }
    }

    /// Opens what bears a name; missing names are told with their neighbours.
    func child(_ name: String) throws(HDF5Error) -> HDF5Child {
        try withLibrary { () throws(HDF5Error) in
            let routine = "H5Oopen"
            let parent = try object.opened(for: routine)
            let place = object.place.appending(name)
            let prefix = try existingPrefix(of: name, routine: routine)
            guard prefix.isWhole else { throw missing(name, after: prefix.path, routine: routine) }
            let identifier = try call(routine, at: place) { H5Oopen(parent, name, chdf5_default_properties()) }
            let opened = HDF5Object(session: object.session, place: place, identifier: identifier)
            switch H5Iget_type(identifier) {
            case H5I_GROUP: return .group(HDF5Group(opened))
            case H5I_DATASET: return try .dataset(HDF5Dataset(opened))
            default: throw HDF5Error(.wrongType, routine, at: place, "this is neither a group nor a dataset")
            }
        }
    }

    /// How much of a path exists; HDF5 wants every step of a path to be asked for by itself.
    private func existingPrefix(of name: String, routine: String) throws(HDF5Error) -> (path: String, isWhole: Bool) {
        let parent = try object.opened(for: routine)
        var path = ""
        let steps = name.split(separator: "/")
        guard !steps.isEmpty else {
            throw HDF5Error(.missingObject, routine, at: object.place, "a name must not be empty")
        }
        for step in steps {
            let next = path.isEmpty ? String(step) : "\(path)/\(step)"
            // Asking below a dataset is a failure for HDF5; to us it means that there is nothing.
            guard H5Lexists(parent, next, chdf5_default_properties()) > 0 else { return (path, false) }
            path = next
        }
        return (path, true)
    }

    private func missing(_ name: String, after prefix: String, routine: String) -> HDF5Error {
        let neighbours = try? prefix.isEmpty ? names : group(prefix).names
        let place = prefix.isEmpty ? (object.place.object.isEmpty ? "the file" : object.place.object) : prefix
        let advice: String
        switch neighbours {
        case .some(let names) where names.isEmpty: advice = "There is nothing in \(place)."
        case .some(let names):
            let shown = names.prefix(40).joined(separator: ", ")
            advice = "In \(place) there is: \(shown)\(names.count > 40 ? ", … (\(names.count) in all)" : "")."
        case .none: advice = "\(place) is a dataset and holds no other objects."
        }
        return HDF5Error(
            .missingObject, routine, at: object.place.appending(name), "there is no object of this name", advice: advice
        )
    }
}

/// Creates a group without a time stamp, so that the same calls give the same bytes.
private func newGroup(_ name: String, in parent: hid_t, at place: Place) throws(HDF5Error) -> hid_t {
    let links = try linkCreation(at: place)
    let creation = try Identifier("H5Pcreate", at: place) { H5Pcreate(chdf5_group_creation()) }
    try call("H5Pset_obj_track_times", at: place) { H5Pset_obj_track_times(creation.value, false) }
    return try call("H5Gcreate2", at: place) {
        H5Gcreate2(parent, name, links.value, creation.value, chdf5_default_properties())
    }
}

/// Link properties that store the name of a new object as UTF-8.
func linkCreation(at place: Place) throws(HDF5Error) -> Identifier {
    let links = try Identifier("H5Pcreate", at: place) { H5Pcreate(chdf5_link_creation()) }
    try call("H5Pset_char_encoding", at: place) { H5Pset_char_encoding(links.value, H5T_CSET_UTF8) }
    return links
}

/// The names of a group's links in alphabetical order.
private func linkNames(of group: hid_t, at place: Place) throws(HDF5Error) -> [String] {
    var information = H5G_info_t()
    try call("H5Gget_info", at: place) { H5Gget_info(group, &information) }
    var names: [String] = []
    names.reserveCapacity(Int(information.nlinks))
    for index in 0..<information.nlinks {
        let name = try readName("H5Lget_name_by_idx", at: place) { buffer, size in
            H5Lget_name_by_idx(
                group, ".", H5_INDEX_NAME, H5_ITER_INC, index, buffer, size, chdf5_default_properties())
        }
        names.append(name)
    }
    return names
}

/// Reads a name of any length from a routine that fills a buffer and returns the length.
func readName(
    _ routine: String, at place: Place, _ body: (UnsafeMutablePointer<CChar>?, Int) -> Int
) throws(HDF5Error) -> String {
    let length = try call(routine, at: place) { body(nil, 0) }
    var bytes = [CChar](repeating: 0, count: length + 1)
    try call(routine, at: place) {
        bytes.withUnsafeMutableBufferPointer { body($0.baseAddress, $0.count) }
    }
    return String(decoding: bytes.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
