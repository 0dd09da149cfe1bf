import Checkpoints
import Foundation
import Lightning
import TestSupport
import Testing

/// The repository, as this file's path tells.
let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path

/// The program that the README shows.
struct ReadmeTests {
    @Test func theProgramIsTheOneThatIsCompiled() throws {
        let readme = try String(contentsOfFile: repository + "/README.md", encoding: .utf8)
        let program = try String(contentsOfFile: repository + "/Sources/classifier-example/main.swift", encoding: .utf8)
        let blocks = readme.components(separatedBy: "```swift\n").dropFirst().map {
            $0.components(separatedBy: "```")[0]
        }
        try #require(blocks.count == 2)
        #expect(blocks[0] == program)
    }

    /// The manifest that the README shows is one, and asks for a product that there is.
    @Test func theManifestIsRead() throws {
        let scratch = try ScratchDirectory()
        let readme = try String(contentsOfFile: repository + "/README.md", encoding: .utf8)
        let block = try #require(readme.components(separatedBy: "```swift\n").last)
        let manifest = block.components(separatedBy: "```")[0]
        try manifest.write(toFile: scratch.file("Package.swift"), atomically: true, encoding: .utf8)
        let process = Process(), output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["swift", "package", "--package-path", scratch.path, "dump-package"]
        process.standardOutput = output
        try process.run()
        let read = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        let package = try #require(try JSONSerialization.jsonObject(with: read) as? [String: Any])
        let target = try #require((package["targets"] as? [[String: Any]])?.first)
        #expect("\(target["dependencies"] ?? "")".contains("swift-lightning"))
        let ours = try String(contentsOfFile: repository + "/Package.swift", encoding: .utf8)
        #expect(ours.contains(#".library(name: "Lightning""#) && manifest.contains(#".product(name: "Lightning""#))
    }

    @Test(arguments: [0, 2]) func theProgramTrains(ranks: Int) throws {
        let scratch = try ScratchDirectory()
        let run = try MPIRun("classifier-example", ranks: ranks, limit: 120, directory: scratch.path)
        try #require(run.status == 0 && !run.timedOut, "\(run.output)")
        let lines = run.output.split(separator: "\n").filter { $0.hasPrefix("epoch ") && $0.hasSuffix(" ranks") }
        #expect(lines.count == 10, "what a module prints is not printed once: \(run.output)")
        #expect(lines.allSatisfy { $0.hasSuffix(", on \(max(ranks, 1)) ranks") })
        let last = try Checkpoint.read(from: scratch.file("lightning_logs/version_0/checkpoints/last.h5"))
        #expect(last.model["body.0.weight"]?.shape == [128, 64])
    }
}
