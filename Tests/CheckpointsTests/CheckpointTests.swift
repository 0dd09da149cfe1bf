import Checkpoints
import Foundation
import HDF5
import Tensors
import TestSupport
import Testing

/// A checkpoint is read as it was written.
struct CheckpointTests {
    /// A state of every type and many shapes, under keys in no alphabetical order.
    static func state() -> StateDictionary {
        var state = StateDictionary()
        let shapes: [Shape] = [[], [0], [1], [3, 0, 2], [2, 3], [1, 1, 1, 1, 1, 1, 1, 1], [70, 40], [20_000]]
        for (number, shape) in shapes.reversed().enumerated() {
            for dtype in DType.allCases.reversed() {
                let values = (0..<shape.elementCount).map {
                    Double(($0 * 31 + number) % 251) / (dtype.isFloatingPoint ? 7 : 1)
                }
                state["layer.\(number).\(dtype)"] = Tensor(values, shape: shape).converted(to: dtype)
            }
        }
        state["zeta"] = Tensor([
            Float.nan, .infinity, -.infinity, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude,
        ])
        state["alpha"] = Tensor([Int64.min, .max, 0])
        state["bytes"] = Tensor((0..<256).map { UInt8($0) })
        return state
    }

    static func write(_ checkpoint: Checkpoint, _ body: (String) throws -> Void) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/deep/er/a.ckpt"
            try checkpoint.write(to: path)
            try body(path)
        }
    }

    static func expectSame(
        _ actual: StateDictionary, _ expected: StateDictionary, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(actual.keys == expected.keys, sourceLocation: sourceLocation)
        for (key, tensor) in expected {
            guard let found = actual[key] else { continue }
            expectSameBits(found, tensor, key, sourceLocation: sourceLocation)
        }
    }

    @Test func typesAndShapes() throws {
        var checkpoint = Checkpoint()
        checkpoint.model = Self.state()
        try Self.write(checkpoint) { path in
            let read = try Checkpoint.read(from: path)
            Self.expectSame(read.model, checkpoint.model)
            #expect(read.optimizers.isEmpty && read.values.isEmpty)
        }
        try Self.write(Checkpoint()) { path in
            let read = try Checkpoint.read(from: path)
            #expect(read.model.isEmpty && read.optimizers.isEmpty && read.values.isEmpty)
        }
    }

    @Test func viewsAreWrittenAsTheyLook() throws {
        let matrix = Tensor((0..<12).map(Float.init), shape: [3, 4])
        var checkpoint = Checkpoint()
        checkpoint.model["transposed"] = matrix.transposed()
        checkpoint.model["slice"] = matrix.slice(1..<3, along: 1)
        checkpoint.model["expanded"] = Tensor([Float(1), 2]).expanded(to: [3, 2])
        try Self.write(checkpoint) { path in
            let read = try Checkpoint.read(from: path)
            #expect(read.model["transposed"]?.doubles == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
            #expect(read.model["slice"]?.doubles == [1, 2, 5, 6, 9, 10])
            #expect(read.model["expanded"]?.doubles == [1, 2, 1, 2, 1, 2])
        }
    }

    @Test func namesOfAllKinds() throws {
        var checkpoint = Checkpoint()
        let keys = [
            "z.weight", "keys", "a.weight", "model", "a b", "größe.0", "heads.x/y.weight", "line\nbreak", "\"quoted\"",
            "..", "0", "-", "%2F",
        ]
        for (index, key) in keys.enumerated() { checkpoint.model[key] = Tensor([Float(index)]) }
        var optimizer = StateDictionary()
        for key in ["z.weight/mean", "z.weight/step", "keys/mean", "a.weight/mean", "a.weight/step"] {
            optimizer[key] = Tensor([Double(optimizer.count)])
        }
        checkpoint.optimizers = [optimizer, StateDictionary(), Self.state()]
        checkpoint.values = ["b/c": "1", "b/d/e": "2", "a": "3", "keys": "4", "callback Early": "5", "empty": ""]
        try Self.write(checkpoint) { path in
            let read = try Checkpoint.read(from: path)
            Self.expectSame(read.model, checkpoint.model)
            #expect(read.optimizers.count == 3)
            for (a, b) in zip(read.optimizers, checkpoint.optimizers) { Self.expectSame(a, b) }
            #expect(read.values == checkpoint.values)
            let weights = try Checkpoint.read(from: path, weightsOnly: true)
            #expect(weights.optimizers.isEmpty)
            Self.expectSame(weights.model, checkpoint.model)
            #expect(weights.values == checkpoint.values)
        }
    }

    @Test(arguments: ["", "/a", "a/", "a//b", ".", "a/./b", "a\0b"]) func namesThatHDF5WouldChange(name: String) throws
    {
        for isValue in [false, true] {
            var checkpoint = Checkpoint()
            if isValue { checkpoint.values[name] = "1" } else { checkpoint.model[name] = Tensor([Float(1)]) }
            try withTemporaryDirectory { directory in
                let error = try #require(throws: AtomicWriteError.self) {
                    try checkpoint.write(to: directory + "/a.ckpt")
                }
                #expect(
                    "\(error.cause)"
                        == "'\(name)' cannot be a name in a checkpoint: no part between slashes may be empty or a dot")
                #expect(try names(in: directory) == [])
            }
        }
    }

    /// More than eleven optimizers: their order is that of numbers, not of names.
    @Test func manyOptimizers() throws {
        var checkpoint = Checkpoint()
        for index in 0..<12 {
            var state = StateDictionary()
            state["w/step"] = Tensor([Int64(index)])
            checkpoint.optimizers.append(state)
        }
        try Self.write(checkpoint) { path in
            let steps = try Checkpoint.read(from: path).optimizers.map { $0["w/step"]?.doubles }
            #expect(steps == (0..<12).map { [Double($0)] })
        }
    }

    private struct Progress: Codable, Equatable {
        var rate: Double
        var small: Float
        var losses: [Double]
        var count: Int
        var seed: UInt64
        var name: String
        var best: Double?
        var table: [String: [Int]]
    }

    @Test func valuesOfAllKinds() throws {
        var checkpoint = Checkpoint()
        let progress = Progress(
            rate: 0.1, small: .infinity, losses: [.infinity, -.infinity, 1e-300, 0.1 + 0.2, .leastNonzeroMagnitude],
            count: .max,
            seed: .max, name: "größe \"/\\\n\u{1F600}\0 nan", best: nil, table: ["b": [1], "a": []])
        try checkpoint.set("progress", progress)
        try checkpoint.set("number", 1.5)
        try checkpoint.set("nothing", Double?.none)
        try checkpoint.set("not a number", Double.nan)
        try checkpoint.set("nan", "nan")
        // A million numbers and a megabyte of text.
        let long = (0..<200_000).map { Double($0) / 3 }
        try checkpoint.set("long", long)
        let text = String(repeating: "0123456789abcdé\n", count: 1 << 16)
        try checkpoint.set("text", text)
        #expect(
            checkpoint.values["progress"]?.hasPrefix("{\"count\":9223372036854775807,\"losses\":[\"inf\",\"-inf\",")
                == true)
        try Self.write(checkpoint) { path in
            let read = try Checkpoint.read(from: path)
            #expect(read.values == checkpoint.values)
            #expect(try read.get("progress") == progress)
            #expect(try read.get("number") == 1.5)
            #expect(try read.get("nothing", as: Double?.self) == .some(nil))
            #expect(try read.get("not a number", as: Double.self)?.isNaN == true)
            #expect(try read.get("nan") == "nan")
            #expect(try read.get("long") == long)
            #expect(try read.get("text") == text)
            #expect(try read.get("absent", as: Int.self) == nil)
            let error = try #require(throws: CheckpointError.self) { try read.get("number", as: [Int].self) }
            #expect(error.description.hasPrefix("the checkpoint's 'number' cannot be read as Array<Int>: "))
        }
    }

    @Test func tensorsAlone() throws {
        var checkpoint = Checkpoint()
        checkpoint.model["predictions"] = Tensor([Float(1), 2], shape: [2, 1])
        checkpoint.values["x"] = "1"
        try withTemporaryDirectory { directory in
            let path = directory + "/new/predictions.h5"
            try checkpoint.writeTensors(to: path)
            let file = try HDF5File.open(at: path)
            #expect(try file.names == ["predictions"])
            #expect(try file.dataset("predictions").read() == [Float(1), 2])
            try file.close()
            let error = try #require(throws: CheckpointError.self) { try Checkpoint.read(from: path) }
            #expect(error.description == "\(path) is an HDF5 file, but not a checkpoint of this program")
        }
    }

    /// The tools that HDF5 comes with see tensors where they are expected.
    @Test func otherProgramsReadIt() throws {
        var checkpoint = Checkpoint()
        checkpoint.model["layers.0.weight"] = Tensor([Float(0.25), 0.5, 1, 2, 4, 8], shape: [2, 3])
        checkpoint.model["long"] = .ones([9000])
        checkpoint.model["scale"] = Tensor(scalar: 1.5, dtype: .float64)
        var optimizer = StateDictionary()
        optimizer["layers.0.weight/momentum"] = .ones([2, 3])
        optimizer["layers.0.weight/step"] = Tensor([Int64(7)])
        checkpoint.optimizers = [optimizer]
        try checkpoint.set("progress", ["epoch": 3])
        try Self.write(checkpoint) { path in
            let list = try output(of: "h5ls", ["-r", path])
            for line in [
                "/model/layers.0.weight   Dataset {2, 3}", "/model/scale             Dataset {SCALAR}",
                "/optimizers/0/layers.0.weight/momentum Dataset {2, 3}",
                "/optimizers/0/layers.0.weight/step Dataset {1}", "/values/progress         Dataset {1}",
            ] { #expect(list.contains(line), "\(list)") }
            let weight = try output(of: "h5dump", ["-p", "-y", "-d", "/model/layers.0.weight", path])
            for text in ["H5T_IEEE_F32LE", "( 2, 3 ) / ( 2, 3 )", "0.25, 0.5, 1,", "2, 4, 8"] {
                #expect(weight.contains(text), "\(weight)")
            }
            // Small ones lie in the header and share its checksum, long ones have their own.
            #expect(try output(of: "h5dump", ["-p", "-H", "-d", "/model/long", path]).contains("CHECKSUM FLETCHER32"))
            #expect(try output(of: "h5dump", ["-y", "-d", "/model/scale", path]).contains("1.5"))
            let values = try output(of: "h5dump", ["-y", "-d", "/values/progress", path])
            #expect(values.contains(#"{"epoch":3}"#), "\(values)")
            let keys = try output(of: "h5dump", ["-y", "-d", "/keys/model", path])
            #expect(keys.contains(#"["layers.0.weight","long","scale"]"#), "\(keys)")
            let format = try output(of: "h5dump", ["-y", "-a", "/format", path])
            #expect(format.contains("swift-lightning checkpoint"))
        }
    }

    private func output(of program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(program) \(arguments) failed; it is in hdf5-tools")
        return String(decoding: bytes, as: UTF8.self)
    }
}
