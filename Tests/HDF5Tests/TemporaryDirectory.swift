import Foundation

/// Runs a test with a directory of its own, removed afterwards.
func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("hdf5-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    return try body(directory.path)
}

/// Runs a program and returns what it prints.
func output(of program: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self)
}

/// Inverts one byte of a file where `pattern` is found; the pattern must occur once.
func damage(_ path: String, at pattern: [UInt8]) throws {
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    let places = bytes.indices.filter { bytes[$0...].starts(with: pattern) }
    guard places.count == 1 else { throw DamageError(description: "pattern found \(places.count) times in \(path)") }
    bytes[places[0]] ^= 0xFF
    try Data(bytes).write(to: URL(fileURLWithPath: path))
}

/// A test that could not damage what it wanted to.
struct DamageError: Error, CustomStringConvertible {
    let description: String
}
