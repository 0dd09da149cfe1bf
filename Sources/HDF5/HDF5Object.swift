internal import CHDF5

/// An open group or dataset as HDF5 knows it.
///
/// Groups, datasets and files have one; it offers nothing by itself.
public final class HDF5Object: Sendable {
    let session: FileSession
    let place: Place
    private let identifier: hid_t

    /// Owns an identifier inside an open file.
    init(session: FileSession, place: Place, identifier: hid_t) {
        self.session = session
        self.place = place
        self.identifier = identifier
    }

    /// The object's identifier, or an error when its file has been closed.
    ///
    /// Called inside `withLibrary`, so that no other thread closes the file before the identifier is used.
    func opened(for routine: String) throws(HDF5Error) -> hid_t {
        _ = try session.opened(for: routine, at: place)
        return identifier
    }

    deinit {
        // A closed file has closed its objects already, and their identifiers mean nothing any more.
        try? withLibrary { () throws(HDF5Error) in
            if session.isStillOpen { H5Idec_ref(identifier) }
        }
    }
}
