import Foundation

/// The King James Bible as plain text, from the packages `bible-kjv` and `bible-kjv-text` of Debian and Ubuntu.
public enum KingJamesBible {
    /// Prints the whole text with the program `bible` and returns it cleaned up.
    ///
    /// The text is in the public domain: about 4.2 million ASCII characters, one verse to a line without its number,
    /// a heading such as `Genesis 1` with an empty line before and after it for each chapter.
    ///
    /// - Throws: `ArchiveError` when the program is not installed, or fails.
    public static func text() throws(ArchiveError) -> String {
        let printed: [UInt8]
        do {
            printed = try run("bible", ["Gen1:1-Rev22:21"])
        } catch {
            throw ArchiveError("bible", error.reason, advice: "On Debian: apt-get install bible-kjv bible-kjv-text")
        }
        let text = cleanedUp(String(decoding: printed, as: UTF8.self))
        // The program prints usage and no verses when its text is missing, and succeeds.
        guard text.utf8.count > 4_000_000 else {
            throw ArchiveError(
                "bible", "the program printed only \(text.utf8.count) characters of text",
                advice: "On Debian: apt-get install bible-kjv-text")
        }
        return text
    }

    /// Removes what the program adds to the text: verse numbers, and line breaks inside verses.
    ///
    /// - Parameter printed: Lines as the program prints them: a verse begins with two spaces and its number, and goes
    ///   on in lines without; headings stand between empty lines.
    /// - Returns: One verse to a line; headings stay.
    package static func cleanedUp(_ printed: String) -> String {
        var lines: [String] = []
        var isInVerse = false
        for line in printed.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("  "), let verse = verse(line.dropFirst(2)) {
                lines.append(String(verse))
                isInVerse = true
            } else if isInVerse, !line.isEmpty {
                lines[lines.count - 1] += " " + line
            } else {
                isInVerse = false
                lines.append(String(line))
            }
        }
        let text = lines.joined(separator: "\n")
        return text.trimmingCharacters(in: .newlines) + "\n"
    }

    /// What follows a verse number; `nil` when there is no number.
    private static func verse(_ line: Substring) -> Substring? {
        let rest = line.drop { $0.isASCII && $0.isNumber }
        guard rest.startIndex != line.startIndex, rest.first == " " else { return nil }
        return rest.dropFirst()
    }
}

/// Runs a program found on the search path and returns what it prints.
package func run(_ program: String, _ arguments: [String]) throws(ArchiveError) -> [UInt8] {
    let directories = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
    let candidates = directories.split(separator: ":").map { "\($0)/\(program)" }
    guard let path = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
        throw ArchiveError(program, "the program is not installed")
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    let output = Pipe()
    process.standardOutput = output
    do {
        try process.run()
    } catch {
        throw ArchiveError(program, "the program cannot be started: \(error.localizedDescription)")
    }
    // Reading before waiting: a program blocks when the pipe is full.
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw ArchiveError(program, "the program failed with status \(process.terminationStatus)")
    }
    return [UInt8](data)
}
