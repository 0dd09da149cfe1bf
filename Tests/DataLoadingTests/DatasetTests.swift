import DataLoading
import Tensors
import TestSupport
import Testing

struct DatasetTests {
    private let data = TensorDataset(
        inputs: Tensor((0..<12).map(Float.init), shape: [6, 2]), labels: Tensor((0..<6).map { Int64($0 * 10) }))

    @Test func rowsOfTensors() {
        #expect(data.count == 6)
        let batch = data.batch(at: [4, 0, 4])
        expectSameBits(batch.inputs, Tensor([Float(8), 9, 0, 1, 8, 9], shape: [3, 2]))
        #expect(batch.labels.doubles == [40, 0, 40])
        #expect(batch.sampleCount == 3)
        // Bytes stay bytes, and a transposed source has the rows it shows.
        let bytes = TensorDataset(
            inputs: Tensor([UInt8(1), 2, 3, 4], shape: [2, 2]).transposed(), labels: Tensor([UInt8(0), 1]))
        expectSameBits(bytes.batch(at: [1]).inputs, Tensor([UInt8(2), 4], shape: [1, 2]))
    }

    @Test func mapsAndSubsets() throws {
        let halved = data.map { LabeledBatch(inputs: $0.inputs / 2, labels: $0.labels) }
        #expect(halved.count == 6 && halved.isInMemory)
        #expect(try halved.batch(at: [1]).inputs.doubles == [1, 1.5])
        let part = Subset(halved, indices: [5, 3, 3])
        #expect(part.count == 3)
        #expect(try part.batch(at: [0, 2]).labels.doubles == [50, 30])
        #expect(try Subset(part, indices: [1]).batch(at: [0]).inputs.doubles == [3, 3.5])
        let inputsOnly = data.map { $0.inputs }
        #expect(try inputsOnly.batch(at: [0, 1]).sampleCount == 2)
    }

    @Test func randomSplits() throws {
        func parts(_ sizes: [Int], _ seed: UInt64) throws -> [[Double]] {
            try data.randomSplit(sizes, seed: seed).map { try $0.batch(at: Array(0..<$0.count)).labels.doubles }
        }
        let split = try parts([3, 1, 2], 5)
        #expect(split.map(\.count) == [3, 1, 2])
        #expect(Array(split.joined()).sorted() == [0, 10, 20, 30, 40, 50])
        #expect(try parts([3, 1, 2], 5) == split)
        // Where it is cut does not change the order, and the seed does.
        #expect(try Array(parts([2, 4], 5).joined()) == Array(split.joined()))
        #expect(try Set((0..<10).map { try parts([6], $0) }).count > 8)
        #expect(data.randomSplit([6, 0], seed: 1).map(\.count) == [6, 0])
    }

    @Test func windowsOfTokens() {
        for (length, context, count) in [(11, 3, 3), (10, 3, 3), (9, 3, 2), (4, 3, 1), (13, 1, 12)] {
            let windows = TokenWindowDataset(Tensor((0..<length).map { UInt8($0) }), context: context)
            #expect(windows.count == count)
            let all = windows.batch(at: Array(0..<count))
            #expect(all.inputs.shape == [count, context] && all.labels.shape == [count, context])
            #expect(all.inputs.dtype == .int64 && all.labels.dtype == .int64)
            #expect(all.inputs.doubles == (0..<(count * context)).map(Double.init))
            #expect(all.labels.doubles == (1...(count * context)).map(Double.init))
        }
        let windows = TokenWindowDataset(Tensor((0..<10).map(Int64.init)), context: 2)
        #expect(windows.batch(at: [3, 1]).inputs.doubles == [6, 7, 2, 3])
        #expect(windows.batch(at: [3, 1]).labels.doubles == [7, 8, 3, 4])
    }

    @Test func misuse() async {
        let labels = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = TensorDataset(inputs: .zeros([3, 2]), labels: .zeros([2], dtype: .int64))
        }
        expectMessage(labels, "TensorDataset: inputs [3, 2] with labels [2]; one label per input is needed")
        let split = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = TensorDataset(inputs: .zeros([3, 2]), labels: .zeros([3])).randomSplit([1, 1], seed: 0)
        }
        expectMessage(split, "randomSplit: parts of [1, 1] samples of a data set of 3")
        let subset = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = Subset(TensorDataset(inputs: .zeros([3, 2]), labels: .zeros([3])), indices: [0, 3])
        }
        expectMessage(subset, "Subset: index 3 is not in 0 ..< 3")
        let window = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = TokenWindowDataset(.zeros([3], dtype: .uint8), context: 3)
        }
        expectMessage(window, "TokenWindowDataset: tokens uint8 [3] for windows of 3")
    }

    private func expectMessage(
        _ result: ExitTest.Result?, _ message: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains(message), "\(text)", sourceLocation: sourceLocation)
    }

    @Test func namedColumns() throws {
        let columns = ColumnDataset([
            "x": Tensor((0..<8).map(Float.init), shape: [4, 2]), "y": Tensor([Int64(5), 6, 7, 8]),
        ])
        let batch = columns.batch(at: [3, 1])
        #expect(columns.count == 4 && columns.isInMemory && batch.sampleCount == 2)
        #expect(batch["x"].doubles == [6, 7, 2, 3] && batch["y"].doubles == [8, 6])
        #expect(batch.converted(toFloating: .float64)["x"].dtype == .float64)
        #expect(batch.converted(toFloating: .float64)["y"].dtype == .int64)
        #expect(try columns.labeled(inputs: "x", labels: "y").batch(at: [0]).labels.doubles == [5])
        let both = ColumnBatch.concatenated([batch, columns.batch(at: [0])])
        #expect(both["y"].doubles == [8, 6, 5] && both["x"].shape == [3, 2])
    }

    /// All pairs and triples of indices of three sources, one of them empty.
    @Test func concatenation() throws {
        let sources: [any Dataset<LabeledBatch>] = [
            Subset(data, indices: [4, 1]), Subset(data, indices: []), data.map { $0 }, Subset(data, indices: [0]),
        ]
        let all = ConcatDataset(sources)
        let labels = [40.0, 10, 0, 10, 20, 30, 40, 50, 0]
        #expect(all.count == 9 && all.isInMemory)
        for first in 0..<9 {
            for second in 0..<9 {
                for third in [0, 4, 8] {
                    let batch = try all.batch(at: [first, second, third])
                    let wanted = [labels[first], labels[second], labels[third]]
                    #expect(batch.labels.doubles == wanted)
                    #expect(batch.inputs.select(0, along: 1).doubles == wanted.map { $0 / 5 })
                }
            }
        }
    }

    @Test func shares() {
        let many = Subset(data, indices: (0..<100).map { $0 % 6 })
        #expect(many.randomSplit([0.8, 0.1, 0.1], seed: 2).map(\.count) == [80, 10, 10])
        #expect(many.randomSplit([1 / 3.0, 1 / 3.0, 1 / 3.0], seed: 2).map(\.count) == [34, 33, 33])
        #expect(data.randomSplit([0.5, 0.5], seed: 2).map(\.count) == [3, 3])
        #expect(Subset(data, indices: [1, 2, 3]).randomSplit([0.29, 0.71], seed: 0).map(\.count) == [1, 2])
    }

    @Test func linesOfText() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.txt"
            try write(Array("one\r\n\nzwölf\nlast".utf8), to: path)
            let lines = try TextLinesDataset(path)
            #expect(lines.count == 3)
            #expect(try lines.batch(at: [2, 0, 1]).lines == ["last", "one", "zwölf"])
            #expect(
                try TextLinesDataset(path, skipsEmpty: false).batch(at: [0, 1, 2, 3]).lines == [
                    "one", "", "zwölf", "last",
                ])
            let lengths = lines.map { Tensor($0.lines.map { Double($0.count) }) }
            #expect(try lengths.batch(at: [1, 2]).doubles == [5, 4])
            try write([], to: path)
            #expect(try TextLinesDataset(path).count == 0)
            try write([0x61, 0x0A, 0xFF], to: path)
            #expect(throws: DataLoadingError.self) { try TextLinesDataset(path).batch(at: [1]) }
            #expect(throws: DataLoadingError.self) { try TextLinesDataset(directory + "/none") }
        }
    }
}
