import HDF5

/// Text as one HDF5 file of character numbers: `tokens`, `uint8` of shape `[N]`.
///
/// The attribute `vocabulary` of `tokens` is a string with every character that occurs, in the order of Unicode
/// scalars; a token is the index of its character in it.
public enum TextArchive {
    /// Converts a text to an HDF5 file.
    ///
    /// The file appears under its name when it is complete, replacing one that was there. It says what it was made of:
    /// see ``ArchiveSource``.
    ///
    /// - Parameters:
    ///   - text: The text; at most 256 different Unicode scalars.
    ///   - path: The HDF5 file to make; its directory must exist.
    ///   - source: What messages and the archive call the text.
    /// - Throws: `ArchiveError` when there are too many different characters; `HDF5Error` when the file cannot be
    ///   written.
    public static func convert(_ text: String, to path: String, source: String = "text") throws {
        try convert(text, to: path, source: ArchiveSource(named: source))
    }

    private static func convert(_ text: String, to path: String, source: ArchiveSource) throws {
        let vocabulary = Set(text.unicodeScalars).sorted()
        guard vocabulary.count <= 256 else {
            throw ArchiveError(
                source.names[0], "the text has \(vocabulary.count) different characters, more than the 256 of a byte",
                advice: "Replace rare characters first.")
        }
        var number: [Unicode.Scalar: UInt8] = [:]
        for (index, character) in vocabulary.enumerated() { number[character] = UInt8(index) }
        let tokens = text.unicodeScalars.compactMap { number[$0] }
        try replaceFile(at: path) { temporary in
            let file = try HDF5File.create(at: temporary, replacing: true)
            let dataset = try file.writeDataset("tokens", tokens)
            try dataset.setAttribute("vocabulary", String(String.UnicodeScalarView(vocabulary)))
            try source.write(to: file)
            try file.close()
        }
    }

    /// Converts a text file in UTF-8, compressed by gzip or not, to an HDF5 file.
    ///
    /// - Parameters:
    ///   - textFile: The text file.
    ///   - path: The HDF5 file to make; its directory must exist.
    /// - Throws: `ArchiveError` when the file is missing, is not UTF-8, or has too many different characters;
    ///   `HDF5Error` when the HDF5 file cannot be written.
    public static func convert(textFile: String, to path: String) throws {
        // Before it is read: a file that changes meanwhile must look changed the next time.
        let source = ArchiveSource(files: [textFile])
        var bytes = try readFile(textFile)
        if GZip.isCompressed(bytes) { bytes = try GZip.decompress(bytes, name: textFile) }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ArchiveError(textFile, "the text is not encoded in UTF-8", advice: "Convert it first, with iconv.")
        }
        try convert(text, to: path, source: source)
    }
}
