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
                        == "\(path) has checkpoint format \(version), and this program reads up to 1: use a newer program"
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
            for length in lengths {
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

    /// A flipped bit anywhere in a tensor's values names the tensor.
    @Test func flippedBitsInTensors() throws {
        let checkpoint = try checkpoint()
        let states = [("model", checkpoint.model), ("optimizers/0", checkpoint.optimizers[0])]
        try CheckpointTests.write(checkpoint) { path in
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
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

    /// A flipped bit anywhere in the file is found, or changes nothing that is read.
    @Test func flippedBitsAnywhere() throws {
        let checkpoint = try checkpoint()
        try CheckpointTests.write(checkpoint) { path in
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            let damaged = path + ".damaged"
            var found = 0
            for position in stride(from: 0, to: whole.count, by: max(1, whole.count / 700)) {
                var copy = whole
                copy[position] ^= UInt8(1 << (position % 8))
                try copy.write(to: URL(fileURLWithPath: damaged))
                do {
                    let read = try Checkpoint.read(from: damaged)
                    CheckpointTests.expectSame(read.model, checkpoint.model)
                    for (a, b) in zip(read.optimizers, checkpoint.optimizers) { CheckpointTests.expectSame(a, b) }
                    #expect(read.optimizers.count == 1, "byte \(position)")
                    #expect(read.values == checkpoint.values, "byte \(position)")
                } catch {
                    found += 1
                }
            }
            #expect(found > 50)
        }
    }

    /// Two processes write one name over and over, and whoever reads sees the whole of one of them.
    @Test(.timeLimit(.minutes(2))) func twoProcessesAtOnce() async throws {
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
                for _ in 0..<30 { try checkpoint.write(to: path) }
            }
        }
        async let first: Void = rival(1)
        async let second: Void = rival(2)
        var seen: Set<Double> = []
        for _ in 0..<400 {
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
