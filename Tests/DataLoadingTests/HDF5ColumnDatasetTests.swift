import DataLoading
import Foundation
import HDF5
import Tensors
import Testing

/// A file of h5py, whose columns are formulas of the row; see `Tests/Scripts/make_columns.py`.
struct HDF5ColumnDatasetTests {
    private let rows = 53

    private func file() throws -> String {
        try #require(Bundle.module.resourceURL).appendingPathComponent("Golden/columns.h5").path
    }

    private func image(_ row: Int) -> [Double] { (0..<12).map { Double((row * 7 + $0) % 251) } }

    /// Every row of every layout, in file order, backwards, with repeats and in a random order.
    @Test(arguments: [0, 1000, 64 << 20]) func valuesOfEveryLayout(cacheBytes: Int) throws {
        let data = try HDF5ColumnDataset(
            file(), columns: ["images", "deep/labels", "weights", "half", "bytes"], types: ["deep/labels": .float64],
            cacheBytes: cacheBytes)
        #expect(data.count == rows && !data.isInMemory)
        var stream = RandomStream(seed: 4, purpose: .user)
        let orders = [
            Array(0..<rows), Array((0..<rows).reversed()), [3, 3, 52, 0, 3], stream.permutation(rows), [],
        ]
        for order in orders {
            let batch = try data.batch(at: order)
            #expect(batch.sampleCount == order.count)
            #expect(batch["images"].dtype == .int64 && batch["images"].shape == [order.count, 3, 4])
            #expect(batch["images"].doubles == order.flatMap(image))
            #expect(batch["deep/labels"].dtype == .float64)
            #expect(batch["deep/labels"].doubles == order.map { Double($0 * 3 % 10) })
            #expect(batch["weights"].dtype == .float32 && batch["weights"].doubles == order.map { Double($0) / 4 })
            #expect(batch["half"].dtype == .float32)
            let half: [Double] = order.flatMap { row -> [Double] in [Double(row) / 8, Double(row) / 8 + 1] }
            #expect(batch["half"].doubles == half)
            #expect(batch["bytes"].dtype == .uint8 && batch["bytes"].doubles == order.map { Double($0 % 256) })
        }
    }

    /// Blocks are whole chunks: 7 blocks of 8 rows for the images, however the rows are asked for.
    @Test func blocksAreReadOnce() throws {
        let data = try HDF5ColumnDataset(file(), columns: ["images"])
        #expect(data.rowsPerBlock == 8)
        var stream = RandomStream(seed: 4, purpose: .user)
        let order = stream.permutation(rows)
        for start in stride(from: 0, to: rows, by: 5) {
            _ = try data.batch(at: Array(order[start..<min(start + 5, rows)]))
        }
        #expect(data.blockReads == 7)
        #expect(data.mostCachedBytes == rows * 12 * 8)
        // Without a cache each batch reads the blocks it touches, and each of them once.
        let bare = try HDF5ColumnDataset(file(), columns: ["images"], cacheBytes: 0)
        var touched = 0
        for start in stride(from: 0, to: rows, by: 5) {
            let batch = Array(order[start..<min(start + 5, rows)])
            _ = try bare.batch(at: batch)
            touched += Set(batch.map { $0 / 8 }).count
        }
        // The last block of a batch may be the first of the next.
        #expect(bare.blockReads <= touched && bare.blockReads > touched / 2)
        #expect(bare.mostCachedBytes == 8 * 12 * 8)
    }

    /// Larger than its cache: memory stays bounded.
    @Test func memoryIsBounded() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/large.h5"
            let count = 5000, width = 40
            let writer = try HDF5File.create(at: path)
            try writer.writeDataset(
                "x", (0..<(count * width)).map { Float($0) }, shape: [count, width], layout: .chunks([100, width]),
                deflate: 1)
            try writer.writeDataset("y", (0..<count).map { Int64($0) }, shape: [count], layout: .chunks([250]))
            try writer.close()
            let limit = 5 * 100 * width * 4
            let data = try HDF5ColumnDataset(path, columns: ["x", "y"], cacheBytes: limit)
            let labeled = data.labeled(inputs: "x", labels: "y")
            var stream = RandomStream(seed: 1, purpose: .user)
            let order = stream.permutation(count)
            for start in stride(from: 0, to: count, by: 50) {
                let indices = Array(order[start..<(start + 50)])
                let batch = try labeled.batch(at: indices)
                #expect(batch.labels.doubles == indices.map(Double.init))
                #expect(batch.inputs.select(0, along: 1).doubles == indices.map { Double($0 * width) })
            }
            #expect(data.mostCachedBytes <= limit)
            // In the order of the file each of 50 + 20 blocks is read once.
            let before = data.blockReads
            let ordered = try HDF5ColumnDataset(path, columns: ["x", "y"], cacheBytes: limit)
            for start in stride(from: 0, to: count, by: 60) {
                _ = try ordered.batch(at: Array(start..<min(start + 60, count)))
            }
            #expect(ordered.blockReads == 70)
            #expect(before > 1000)
        }
    }

    @Test func errorsNameFileDatasetAndShape() throws {
        let path = try file()
        func message(_ columns: [String]) -> String {
            do {
                _ = try HDF5ColumnDataset(path, columns: columns)
                return "nothing"
            } catch { return "\(error)" }
        }
        #expect(message(["images", "labels"]).hasPrefix("\(path), labels: there is no object of this name"))
        #expect(
            message(["names"]).contains("\(path), names: the dataset holds elements of type sequence")
                || message(["names"]).contains("\(path), names: the dataset holds elements of type string"))
        #expect(
            message(["single"])
                == "\(path): 'single' is a single value; a column has a row for each sample")
        #expect(
            message(["images", "short"])
                == "\(path): 'images' of shape [53, 3, 4] and 'short' of shape [20] have different numbers of rows; every column needs a row for each sample"
        )
        #expect(message([]) == "\(path): no columns are asked for")
        #expect(throws: HDF5Error.self) { try HDF5ColumnDataset("/nowhere.h5", columns: ["x"]) }
    }
}
