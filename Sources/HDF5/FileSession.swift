internal import CHDF5
import Synchronization

/// An open file as HDF5 knows it.
///
/// Everything opened inside a file holds its session, so that a dataset stays
/// readable when the `HDF5File` it came from is gone; the last holder closes the file.
final class FileSession: Sendable {
    let place: Place
    private let identifier: hid_t
    private let isOpen = Mutex(true)

    /// Owns a file identifier.
    init(place: Place, identifier: hid_t) {
        self.place = place
        self.identifier = identifier
    }

    /// The file's identifier, or an error when the file has been closed.
    func opened(for routine: String, at place: Place) throws(HDF5Error) -> hid_t {
        guard isStillOpen else { throw HDF5Error(.closed, routine, at: place, "the file has been closed") }
        try place.checkWritten(routine)
        return identifier
    }

    var isStillOpen: Bool { isOpen.withLock { $0 } }

    /// Writes what HDF5 still holds in memory to the operating system.
    func flush() throws(HDF5Error) {
        try withLibrary { () throws(HDF5Error) in
            let file = try opened(for: "flush", at: place)
            try call("H5Fflush", at: place) { H5Fflush(file, H5F_SCOPE_LOCAL) }
            try place.checkWritten("H5Fflush")
        }
    }

    /// Closes the file and all that is open in it.
    ///
    /// Closing a closed file does nothing.
    func close() throws(HDF5Error) {
        try withLibrary { () throws(HDF5Error) in
            let wasOpen = isOpen.withLock { isOpen in
                defer { isOpen = false }
                return isOpen
            }
            guard wasOpen else { return }
            try call("H5Fclose", at: place) { H5Fclose(identifier) }
            try place.checkWritten("H5Fclose")
        }
    }

    deinit {
        // There is nobody left to tell; whoever must know that the file is whole calls `close()`.
        try? close()
    }
}
