import Foundation

/// Text for people, unbuffered: lines keep their order with those of other programs, also in a file.
enum StandardOutput {
    /// Writes a text as it is.
    static func write(_ text: String) { try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8)) }
}
