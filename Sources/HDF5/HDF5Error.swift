/// A failure while working with an HDF5 file: what was tried, where, why it failed and what helps.
///
/// `description` is meant to be shown to a person: it names the file and the object in it, says the reason in plain
/// words, gives advice when there is any, and ends with HDF5's own error stack.
public struct HDF5Error: Error, Sendable {
    /// The sort of failure, for code that reacts to it.
    public enum Kind: Sendable, Equatable {
        /// The file, or the directory it should be created in, does not exist.
        case missingFile
        /// A file to be created exists already.
        case fileExists
        /// The operating system refuses access.
        case permissionDenied
        /// The file is not an HDF5 file (or is empty).
        case notHDF5
        /// The file is shorter than its own header says.
        case truncated
        /// There is no group, dataset or attribute of that name.
        case missingObject
        /// An object of that name exists already.
        case objectExists
        /// The object holds another type of value than the one asked for.
        case wrongType
        /// Shapes, offsets or buffer sizes do not fit.
        case wrongShape
        /// A stored value does not fit into the type it is converted to.
        case valueOutOfRange
        /// Stored bytes do not match their checksum.
        case checksumMismatch
        /// There is no space left on the device, or a quota is used up.
        case diskFull
        /// The file has been closed.
        case closed
        /// Any other failure; `stack` has HDF5's explanation.
        case other
    }

    /// The sort of failure.
    public let kind: Kind
    /// The routine that failed: one of HDF5's (`H5Dread`) or a method of this module.
    public let routine: String
    /// The file it happened in.
    public let path: String
    /// The object inside the file, such as `model/layers.0.weight`; empty when the file as a whole is meant.
    public let object: String
    /// What is wrong, as one sentence without the file's name.
    public let reason: String
    /// What to do about it; `nil` when nothing in particular is known to help.
    public let advice: String?
    /// HDF5's error stack, outermost call first; empty when HDF5 was not asked.
    public let stack: [String]

    init(
        _ kind: Kind, _ routine: String, at place: Place, _ reason: String, advice: String? = nil, stack: [String] = []
    ) {
        self.kind = kind
        self.routine = routine
        self.path = place.path
        self.object = place.object
        self.reason = reason
        self.advice = advice
        self.stack = stack
    }
}

extension HDF5Error: CustomStringConvertible {
    /// The failure on one line, then the advice and both ends of HDF5's stack on lines of their own.
    public var description: String {
        let place = object.isEmpty ? path : "\(path), \(object)"
        var text = "\(place): \(reason) (in \(routine))"
        if let advice { text += "\n  \(advice)" }
        // The outermost call says what was wanted, the innermost why it failed; twenty lines between say little.
        let shown = stack.count <= 4 ? stack : [stack[0], "…"] + stack.suffix(2)
        for line in shown { text += "\n  HDF5: \(line)" }
        return text
    }
}

/// Where a call works: the file and the object inside it.
///
/// It is what makes a failure's message useful.
struct Place: Sendable {
    let path: String
    var object = ""
    /// The file, when it is being written: a failure may follow from an earlier refusal to write.
    var written: WrittenFile?

    func appending(_ name: String) -> Place {
        Place(path: path, object: object.isEmpty ? name : "\(object)/\(name)", written: written)
    }

    func attribute(_ name: String) -> Place {
        let attribute = object.isEmpty ? "attribute \(name)" : "\(object), attribute \(name)"
        return Place(path: path, object: attribute, written: written)
    }

    /// Fails when the operating system refused to write a part of the file, now or earlier.
    ///
    /// Called under the library's lock; see Note [HDF5 does not survive a full disk].
    func checkWritten(_ routine: String) throws(HDF5Error) {
        if let refusal = written?.refusal, refusal != 0 {
            throw .fromErrno(refusal, routine: routine, at: self)
        }
    }
}
