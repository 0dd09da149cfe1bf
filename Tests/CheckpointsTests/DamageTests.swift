import Checkpoints
import Foundation
import HDF5
import Tensors
import TestSupport
import Testing

/// Files that are not whole checkpoints are refused, with the reason.
struct DamageTests {
    private func message(_ path: String) throws -> String {
        let error = try #require(throws: (any Error).self) { try Checkpoint.read(from: path) }
        #expect(error is CheckpointError || error is HDF5Error, "\(type(of: error))")
        return "\(error)"
    }

    private func checkpoint() throws -> Checkpoint {
        var checkpoint = Checkpoint()
        checkpoint.model["body.weight"] = Tensor((0..<600).map { Float($0) / 3 + 1 }, shape: [20, 30])
        checkpoint.model["body.bias"] = Tensor((0..<20).map { Double($0) / 7 + 3 })
        checkpoint.model["count"] = Tensor(scalar: 123_456_789, dtype: .int64)
        var optimizer = StateDictionary()
        optimizer["body.weight/mean"] = Tensor((0..<600).map { Float($0) / 11 + 1000 }, shape: [20, 30])
        optimizer["body.weight/step"] = Tensor([Int64(987_654_321)])
        checkpoint.optimizers = [optimizer]
        try checkpoint.set("progress", ["epoch": 31, "step": 4159])
        return checkpoint
    }

    @Test func otherFiles() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.ckpt"
            #expect(try message(path).contains(path))
            #expect(#expect(throws: HDF5Error.self) { try Checkpoint.read(from: path) }?.kind == .missingFile)
            for (bytes, kind) in [(Data(), HDF5Error.Kind.notHDF5), (Data("weights".utf8), .notHDF5)] {
                try bytes.write(to: URL(fileURLWithPath: path))
                #expect(#expect(throws: HDF5Error.self) { try Checkpoint.read(from: path) }?.kind == kind)
            }
            #expect(#expect(throws: HDF5Error.self) { try Checkpoint.read(from: directory) } != nil)
            try AtomicHDF5Writer.write(to: path) { try $0.writeDataset("model/weight", [1.0]) }
            #expect(try message(path) == "\(path) is an HDF5 file, but not a checkpoint of this program")
            try AtomicHDF5Writer.write(to: path) { try $0.setAttribute("format", "another") }
            #expect(try message(path) == "\(path) is an HDF5 file, but not a checkpoint of this program")
        }
    }

    @Test func laterFormats() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.ckpt"
            for version in [Checkpoint.formatVersion + 1, 1000] {
                try AtomicHDF5Writer.write(to: path) { file in
                    try file.setAttribute("format", "swift-lightning checkpoint")
                    try file.setAttribute("formatVersion", version)
                }
                #expect(
                    try message(path)
                        == "\(path) has checkpoint format \(version), and this program reads up to \(Checkpoint.formatVersion): use a newer program"
                )
            }
        }
    }

    /// A tensor whose list entry is there and whose values are not.
    @Test func missingParts() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.ckpt"
            func file(_ body: (HDF5File) throws -> Void) throws -> String {
                try AtomicHDF5Writer.write(to: path) { file in
                    try file.setAttribute("format", "swift-lightning checkpoint")
                    try file.setAttribute("formatVersion", 1)
                    try body(file)
                }
                return try message(path)
            }
            #expect(try file { _ in }.contains("keys: there is no object of this name"))
            let missing = try file { file in
                try file.createGroup("model")
                try file.writeText("keys/model", "[\"body.weight\"]")
            }
            #expect(missing.contains("model/body.weight: there is no object of this name"), "\(missing)")
            let text = try file { file in
                try file.writeText("model/w", "text")
                try file.writeText("keys/model", "[\"w\"]")
            }
            #expect(text == "'w' is not of a type that tensors can have")
        }
    }

    /// Whole or refused, at every length.
    @Test func truncated() throws {
        try CheckpointTests.write(checkpoint()) { path in
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            let cut = path + ".cut"
            var lengths = Array(stride(from: 0, to: whole.count, by: max(1, whole.count / 150)))
            lengths += [1, 7, 8, 9, 95, 96, 97, whole.count - 1, whole.count - 8]
            // Without just its seal a file is whole, as old ones are.
            for length in lengths where length != whole.count - 32 {
                try whole.prefix(length).write(to: URL(fileURLWithPath: cut))
                let error = #expect(throws: HDF5Error.self, "cut to \(length) of \(whole.count) bytes") {
                    try Checkpoint.read(from: cut)
                }
                #expect(error?.path == cut)
            }
            try whole.write(to: URL(fileURLWithPath: cut))
            CheckpointTests.expectSame(try Checkpoint.read(from: cut).model, try checkpoint().model)
        }
    }

    /// A file as this program wrote it before files were sealed.
    private func withoutSeal(_ file: Data) -> Data { file.prefix(file.count - 32) }

    /// What files have that were written before they were sealed is read, and h5dump reads those that are.
    @Test func filesWithAndWithoutSealAreRead() throws {
        try CheckpointTests.write(checkpoint()) { path in
            #expect(try HDF5File.verifySeal(of: path))
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            let process = Process(), output = Pipe()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["h5dump", "-d", "/optimizers/0/body.weight/step", "-y", path]
            process.standardOutput = output
            try process.run()
            let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 0 && said.contains("987654321"), "\(said)")
            try withoutSeal(whole).write(to: URL(fileURLWithPath: path))
            #expect(try HDF5File.verifySeal(of: path) == false)
            CheckpointTests.expectSame(try Checkpoint.read(from: path).model, try checkpoint().model)
        }
    }

    /// Every single bit of a small file, before HDF5 has a chance to stumble.
    @Test func everyFlippedBitOfASealedFileIsFound() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.h5"
            try AtomicHDF5Writer.write(to: path) { try $0.writeDataset("x", [1.0, 2.0]) }
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            for bit in 0..<(8 * whole.count) {
                var copy = whole
                copy[bit / 8] ^= 1 << UInt8(bit % 8)
                try copy.write(to: URL(fileURLWithPath: path))
                let error = #expect(throws: HDF5Error.self, "bit \(bit) of \(8 * whole.count)") {
                    try HDF5File.verifySeal(of: path)
                }
                #expect(error?.kind == .checksumMismatch || bit >= 8 * (whole.count - 32))
            }
        }
    }

    /// A flipped bit anywhere in a tensor's values names the tensor, in a file without a seal.
    @Test func flippedBitsInTensors() throws {
        let checkpoint = try checkpoint()
        let states = [("model", checkpoint.model), ("optimizers/0", checkpoint.optimizers[0])]
        try CheckpointTests.write(checkpoint) { path in
            let whole = withoutSeal(try Data(contentsOf: URL(fileURLWithPath: path)))
            let damaged = path + ".damaged"
            for (place, state) in states {
                for (key, tensor) in state {
                    let bytes = tensor.withUnsafeBytes { Data($0) }
                    let start = try #require(whole.firstRange(of: bytes)?.lowerBound, "\(key) is not in the file")
                    for position in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 40)) {
                        var copy = whole
                        copy[start + position] ^= UInt8(1 << (position % 8))
                        try copy.write(to: URL(fileURLWithPath: damaged))
                        let error = #expect(throws: HDF5Error.self, "byte \(position) of \(key)") {
                            try Checkpoint.read(from: damaged)
                        }
                        #expect(error?.object == "\(place)/\(key)", "byte \(position): \(String(describing: error))")
                    }
                }
            }
        }
    }

    /// A flipped bit anywhere in the file is found.
    @Test func flippedBitsAnywhere() throws {
        try CheckpointTests.write(checkpoint()) { path in
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            let damaged = path + ".damaged"
            for position in stride(from: 0, to: whole.count, by: max(1, whole.count / 700)) {
                var copy = whole
                copy[position] ^= UInt8(1 << (position % 8))
                try copy.write(to: URL(fileURLWithPath: damaged))
                #expect(throws: HDF5Error.self, "byte \(position)") { try Checkpoint.read(from: damaged) }
            }
        }
    }

    /// Two processes write one name over and over, and whoever reads sees the whole of one of them.
    @Test(.timeLimit(.minutes(10))) func twoProcessesAtOnce() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("rivals-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let path = directory.path + "/last.ckpt"
        func rival(_ number: Int) async {
            await #expect(processExitsWith: .success) { [path = path as String, number = number as Int] in
                var checkpoint = Checkpoint()
                checkpoint.model["a"] = Tensor(filling: Double(number), shape: [40_000])
                checkpoint.model["b"] = Tensor(filling: Double(number), shape: [40_000])
                try checkpoint.set("number", number)
                for _ in 0..<12 { try checkpoint.write(to: path) }
            }
        }
        async let first: Void = rival(1)
        async let second: Void = rival(2)
        var seen: Set<Double> = []
        for _ in 0..<100 {
            try await Task.sleep(for: .milliseconds(5))
            guard FileManager.default.fileExists(atPath: path) else { continue }
            let read = try Checkpoint.read(from: path)
            let values = Set((read.model["a"]?.doubles ?? []) + (read.model["b"]?.doubles ?? []))
            #expect(values.count == 1)
            #expect(try read.get("number") == values.first.map(Int.init))
            seen.formUnion(values)
        }
        _ = await (first, second)
        #expect(!seen.isEmpty && seen.isSubset(of: [1, 2]))
        #expect(try names(in: directory.path) == ["last.ckpt"])
    }
}
