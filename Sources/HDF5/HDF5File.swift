internal import CHDF5
import Synchronization

/// An open HDF5 file: its root group, and the moment it is closed.
///
/// Files are written so that the same calls give the same bytes on every machine: little-endian, without time stamps,
/// in the format of HDF5 1.8, in which the structure of the file carries checksums.
///
/// Files, groups and datasets may be used from several threads. The library underneath works on one call at a time,
/// so such uses wait for one another.
public final class HDF5File: HDF5Container, Sendable {
    /// The root group.
    public let object: HDF5Object

    private init(_ session: FileSession) throws(HDF5Error) {
        let place = session.place
        let file = try session.opened(for: "open", at: place)
        let root = try call("H5Gopen2", at: place) { H5Gopen2(file, "/", chdf5_default_properties()) }
        object = HDF5Object(session: session, place: place, identifier: root)
    }

    /// Creates an empty file for writing, without locking it.
    ///
    /// Reading it by another name or path, in this process too, is only defined after it is closed.
    ///
    /// - Parameters:
    ///   - path: Where; its directory must exist.
    ///   - replacing: Whether an existing file is emptied. Otherwise it is an error.
    /// - Throws: `HDF5Error` when the file cannot be created.
    public static func create(at path: String, replacing: Bool = false) throws(HDF5Error) -> HDF5File {
        let place = Place(path: path)
        return try withLibrary { () throws(HDF5Error) in
            let access = try fileAccess(at: place)
            try WritingDriver.select(for: access.value, at: place)
            let creation = try Identifier("H5Pcreate", at: place) { H5Pcreate(chdf5_file_creation()) }
            try call("H5Pset_obj_track_times", at: place) { H5Pset_obj_track_times(creation.value, false) }
            let mode = replacing ? chdf5_create_or_replace() : chdf5_create_new()
            let file: hid_t
            do throws(HDF5Error) {
                file = try call("H5Fcreate", at: place) { H5Fcreate(path, mode, creation.value, access.value) }
            } catch {
                // HDF5 only knows that its driver could not open the file.
                guard WritingDriver.lastErrno != 0 else { throw error }
                throw .fromErrno(WritingDriver.lastErrno, routine: "H5Fcreate", at: place)
            }
            let written = Place(path: path, written: WritingDriver.takeLastOpened())
            return try HDF5File(FileSession(place: written, identifier: file))
        }
    }

    /// Opens a file for reading.
    ///
    /// It is not locked, so file systems without locks and other readers do not matter.
    ///
    /// - Throws: `HDF5Error` when the file is missing, is not an HDF5 file, or is truncated.
    public static func open(at path: String) throws(HDF5Error) -> HDF5File {
        let place = Place(path: path)
        return try withLibrary { () throws(HDF5Error) in
            let access = try fileAccess(at: place)
            let file = try call("H5Fopen", at: place) { H5Fopen(path, chdf5_read_only(), access.value) }
            return try HDF5File(FileSession(place: place, identifier: file))
        }
    }

    /// Opens, for reading, a file that is in memory, such as one embedded in the program.
    ///
    /// The bytes are copied.
    ///
    /// - Parameters:
    ///   - image: The bytes of an HDF5 file.
    ///   - name: What messages call the file.
    /// - Throws: `HDF5Error` when the bytes are not a whole HDF5 file.
    public static func open(
        image: UnsafeRawBufferPointer, name: String = "HDF5 file in memory"
    ) throws(HDF5Error) -> HDF5File {
        let place = Place(path: name)
        guard let start = image.baseAddress, image.count > 0 else {
            throw HDF5Error(.notHDF5, "open(image:)", at: place, "there are no bytes")
        }
        // HDF5 takes two files in memory of one name for one file.
        let uniqueName = "\(name) #\(imagesOpened.add(1, ordering: .relaxed).newValue)"
        return try withLibrary { () throws(HDF5Error) in
            let access = try fileAccess(at: place)
            try call("H5Pset_fapl_core", at: place) { H5Pset_fapl_core(access.value, 1 << 16, false) }
            try call("H5Pset_file_image", at: place) {
                H5Pset_file_image(access.value, UnsafeMutableRawPointer(mutating: start), image.count)
            }
            let file = try call("H5Fopen", at: place) { H5Fopen(uniqueName, chdf5_read_only(), access.value) }
            return try HDF5File(FileSession(place: place, identifier: file))
        }
    }

    /// Opens, for reading, a file that is in memory.
    ///
    /// The bytes are copied.
    ///
    /// - Parameters:
    ///   - image: The bytes of an HDF5 file.
    ///   - name: What messages call the file.
    /// - Throws: `HDF5Error` when the bytes are not a whole HDF5 file.
    public static func open(image: [UInt8], name: String = "HDF5 file in memory") throws(HDF5Error) -> HDF5File {
        try image.withUnsafeBufferPointer { (bytes) throws(HDF5Error) in
            try open(image: UnsafeRawBufferPointer(bytes), name: name)
        }
    }

    /// The path the file was opened with, or the name given to an image.
    public var path: String { object.place.path }

    /// Hands everything written so far to the operating system.
    ///
    /// It is not yet on the disk: that takes `fsync`.
    ///
    /// - Throws: `HDF5Error`, in particular when the disk is full.
    public func flush() throws(HDF5Error) {
        try object.session.flush()
    }

    /// Flushes and closes the file and everything opened in it; using them afterwards is an error of kind `closed`.
    ///
    /// A file that is merely dropped is closed too, but then a failure, such as a full disk, goes unnoticed.
    ///
    /// - Throws: `HDF5Error`, in particular when the disk is full. The file is closed in any case.
    public func close() throws(HDF5Error) {
        try object.session.close()
    }
}

private let imagesOpened = Atomic<Int>(0)

/// How a file is opened: in the format of 1.8, closing everything in it when it is closed, without locks.
private func fileAccess(at place: Place) throws(HDF5Error) -> Identifier {
    let access = try Identifier("H5Pcreate", at: place) { H5Pcreate(chdf5_file_access()) }
    try call("H5Pset_libver_bounds", at: place) {
        H5Pset_libver_bounds(access.value, H5F_LIBVER_V18, H5F_LIBVER_V18)
    }
    try call("H5Pset_fclose_degree", at: place) { H5Pset_fclose_degree(access.value, H5F_CLOSE_STRONG) }
    try call("H5Pset_file_locking", at: place) { H5Pset_file_locking(access.value, false, true) }
    return access
}
