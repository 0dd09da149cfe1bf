import Foundation
import HDF5
import Testing

/// Everything written comes back: every type, shape and layout.
struct RoundTripTests {
    static let shapes: [[Int]] = [[], [0], [1], [7], [0, 3], [3, 0, 2], [5, 4], [3, 1, 5], [2000, 3], [1, 5000]]

    @Test(arguments: HDF5ElementType.allCases, shapes)
    func allTypesAndShapes(type: HDF5ElementType, shape: [Int]) throws {
        switch type {
        case .float32: try roundTrip(shape) { Float($0) * 0.37 - 11 }
        case .float64: try roundTrip(shape) { Double($0) * 0.1 - 3e100 }
        case .int64: try roundTrip(shape) { Int64.min + Int64($0) }
        case .int32: try roundTrip(shape) { Int32.max - Int32($0) }
        case .uint8: try roundTrip(shape) { UInt8(truncatingIfNeeded: $0 &* 7) }
        case .bfloat16: try bits(shape)
        }
    }

    private func roundTrip<Element: HDF5Element & Equatable>(_ shape: [Int], _ value: (Int) -> Element) throws {
        let values = (0..<shape.reduce(1, *)).map(value)
        var layouts: [HDF5Layout] = [.automatic, .contiguous, .chunks(shape.map { max(1, $0) })]
        layouts.append(.chunks(shape.map { max(1, ($0 + 1) / 2) }))
        layouts.append(.chunks(shape.map { _ in 1 }).limited(to: values.count))
        try withTemporaryDirectory { directory in
            let path = directory + "/all.h5"
            let file = try HDF5File.create(at: path)
            for (index, layout) in layouts.enumerated() {
                for checksum in [true, false] {
                    for deflate in [nil, 1] {
                        try file.writeDataset(
                            "group/\(index)/\(checksum)/\(deflate == nil)", values, shape: shape, layout: layout,
                            checksum: checksum, deflate: deflate)
                    }
                }
            }
            try file.close()
            let back = try HDF5File.open(at: path)
            #expect(try back.allDatasetNames.count == layouts.count * 4)
            for name in try back.allDatasetNames {
                let dataset = try back.dataset(name)
                #expect(dataset.shape == shape)
                #expect(dataset.elementType == Element.hdf5ElementType)
                #expect(try dataset.read(as: Element.self) == values)
                guard let rows = shape.first else { continue }
                for range in [0..<rows, rows / 2..<rows, rows..<rows, 0..<min(1, rows)] {
                    let expected = values[range.lowerBound * dataset.rowCount..<range.upperBound * dataset.rowCount]
                    #expect(try dataset.read(rows: range, as: Element.self) == Array(expected))
                }
            }
        }
    }

    /// bfloat16 has no Swift type here: bits are written, and read as bits and as the numbers they are.
    private func bits(_ shape: [Int]) throws {
        let count = shape.reduce(1, *)
        let bits = (0..<count).map { UInt16(truncatingIfNeeded: 0x3F80 + $0) }
        let numbers = bits.map { Float(bitPattern: UInt32($0) << 16) }
        try withTemporaryDirectory { directory in
            let path = directory + "/bits.h5"
            let file = try HDF5File.create(at: path)
            let dataset = try file.createDataset("bits", .bfloat16, shape: shape)
            try bits.withUnsafeBytes { try dataset.write(from: $0, as: .bfloat16) }
            try file.close()
            let back = try HDF5File.open(at: path).dataset("bits")
            #expect(back.elementType == .bfloat16 && back.shape == shape)
            var read = [UInt16](repeating: 0, count: count)
            try read.withUnsafeMutableBytes { try back.read(into: $0, as: .bfloat16) }
            #expect(read == bits)
            #expect(try back.read(as: Float.self) == numbers)
        }
    }

    @Test func everyBlockOfASmallArray() throws {
        let shape = [3, 4, 2]
        let values = (0..<24).map { Int64($0) }
        try withTemporaryDirectory { directory in
            let file = try HDF5File.create(at: directory + "/blocks.h5")
            for (name, layout) in [("chunked", HDF5Layout.chunks([2, 3, 1])), ("whole", .automatic)] {
                let dataset = try file.writeDataset(name, values, shape: shape, layout: layout)
                for o0 in 0...3 {
                    for c0 in 0...(3 - o0) {
                        for o1 in 0...4 {
                            for c1 in 0...(4 - o1) {
                                for (o2, c2) in [(0, 2), (1, 1), (0, 0)] {
                                    var expected: [Int64] = []
                                    for i in o0..<o0 + c0 {
                                        for j in o1..<o1 + c1 {
                                            for k in o2..<o2 + c2 {
                                                expected.append(Int64((i * 4 + j) * 2 + k))
                                            }
                                        }
                                    }
                                    #expect(try dataset.read(offset: [o0, o1, o2], count: [c0, c1, c2]) == expected)
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    @Test func writingBlocksFillsTheWhole() throws {
        try withTemporaryDirectory { directory in
            let file = try HDF5File.create(at: directory + "/blocks.h5")
            let dataset = try file.createDataset("x", .float32, shape: [5, 3], layout: .chunks([2, 2]))
            #expect(try dataset.read(as: Float.self) == [Float](repeating: 0, count: 15))
            try dataset.write((0..<6).map(Float.init), rows: 3..<5)
            try dataset.write([Float](repeating: 9, count: 3), offset: [0, 2], count: [3, 1])
            #expect(try dataset.read() == [0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 1, 2, 3, 4, 5] as [Float])
        }
    }

    @Test func anyRowsInAnyOrder() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/rows.h5"
            let file = try HDF5File.create(at: path)
            let values = (0..<300).map { UInt8($0 % 251) }
            try file.writeDataset("x", values, shape: [100, 3], layout: .chunks([7, 3]))
            try file.close()
            for cache in [nil, 0, 1 << 20] {
                let dataset = try HDF5File.open(at: path).dataset("x", cache: cache)
                for indices in [[], [99], [0, 1, 2], [5, 4, 3], [10, 11, 80, 81, 10, 10, 0], Array(0..<100)] {
                    let expected = indices.flatMap { values[$0 * 3..<$0 * 3 + 3] }
                    #expect(try dataset.read(rows: indices, as: UInt8.self) == expected)
                    #expect(try dataset.read(rows: indices, as: Double.self) == expected.map(Double.init))
                }
                expectError(.wrongShape, mentioning: "[100, 0]") {
                    _ = try dataset.read(rows: [3, 100], as: UInt8.self)
                }
                expectError(.wrongShape, mentioning: "[-1, 0]") {
                    _ = try dataset.read(rows: [-1], as: UInt8.self)
                }
            }
        }
    }

    @Test func theSameCallsGiveTheSameBytes() throws {
        try withTemporaryDirectory { directory in
            let images = try ["a", "b"].map { name in
                let file = try HDF5File.create(at: "\(directory)/\(name).h5")
                try file.writeDataset("x/y", (0..<5000).map(Float.init), shape: [50, 100], deflate: 4)
                try file.writeDataset("z", [1.5], shape: [])
                try file.setAttribute("note", "text")
                try file.close()
                Thread.sleep(forTimeInterval: 1.1)
                return try Data(contentsOf: URL(fileURLWithPath: file.path))
            }
            #expect(images[0] == images[1])
        }
    }

    @Test func fileInMemory() throws {
        try withTemporaryDirectory { directory in
            var files: [HDF5File] = []
            for number in 0..<3 {
                let path = "\(directory)/\(number).h5"
                let file = try HDF5File.create(at: path)
                try file.writeDataset("x", [number, 7])
                try file.close()
                files.append(try HDF5File.open(image: [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))))
            }
            for (number, file) in files.enumerated() {
                #expect(try file.dataset("x").read(as: Int.self) == [number, 7])
            }
            #expect { try HDF5File.open(image: [1, 2, 3]) } throws: { ($0 as? HDF5Error)?.kind == .notHDF5 }
            #expect { try HDF5File.open(image: []) } throws: { ($0 as? HDF5Error)?.kind == .notHDF5 }
        }
    }

    @Test func manyThreadsReadAtOnce() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/shared.h5"
            let file = try HDF5File.create(at: path)
            try file.writeDataset("x", (0..<40_000).map(Int32.init), shape: [4000, 10], layout: .chunks([100, 10]))
            try file.close()
            let shared = try HDF5File.open(at: path).dataset("x")
            let failures = Failures()
            DispatchQueue.concurrentPerform(iterations: 64) { index in
                do {
                    let row = index * 61
                    let own = try HDF5File.open(at: path).dataset("x")
                    for dataset in [shared, own] {
                        let values = try dataset.read(rows: row..<row + 150, as: Int64.self)
                        if values != (row * 10..<(row + 150) * 10).map(Int64.init) { failures.add("wrong values") }
                    }
                    _ = try? shared.read(rows: 0..<5000, as: Int64.self)
                } catch { failures.add("\(error)") }
            }
            #expect(failures.all == [])
        }
    }
}

/// Collects what goes wrong on other threads, guarded by its lock.
private final class Failures: @unchecked Sendable {
    private let lock = NSLock()
    private var messages: [String] = []
    func add(_ message: String) { lock.withLock { messages.append(message) } }
    var all: [String] { lock.withLock { messages } }
}

extension HDF5Layout {
    /// Chunks of one element are fine for a few elements and take minutes for many.
    fileprivate func limited(to count: Int) -> HDF5Layout { count <= 100 ? self : .automatic }
}
