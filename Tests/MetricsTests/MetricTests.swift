import Metrics
import Tensors
import Testing

struct MetricTests {
    /// Scores for so many rows of seven classes, and labels of which some are hit.
    private func rows(_ count: Int, seed: UInt64) -> (logits: Tensor, labels: Tensor, hits: Int) {
        var stream = RandomStream(seed: seed, purpose: .user)
        let scores = stream.uniforms(count * 7)
        let best = (0..<count).map { row in
            (0..<7).max { scores[row * 7 + $0] < scores[row * 7 + $1] } ?? 0
        }
        let right = stream.uniforms(count).map { $0 < 0.4 }
        let labels = zip(best, right).map { Int64($1 ? $0 : ($0 + 1) % 7) }
        return (Tensor(scores, shape: [count, 7]).converted(to: .float32), Tensor(labels), right.count { $0 })
    }

    /// However the rows are cut into batches and ranks, the counts are whole numbers and the same.
    @Test func accuracyCountsExactly() {
        let (logits, labels, hits) = rows(1000, seed: 4)
        #expect(hits > 300 && hits < 500)
        for size in [1, 3, 7, 49, 333, 1000] {
            var ranks = [Accuracy(), Accuracy(), Accuracy()]
            for (number, start) in stride(from: 0, to: 1000, by: size).enumerated() {
                let range = start..<min(start + size, 1000)
                ranks[number % 3].update(logits[range], labels[range])
            }
            var all = ranks[0]
            all.merge(ranks[1])
            all.merge(ranks[2])
            #expect(all.state == [Double(hits), 1000])
            #expect(all.compute() == Double(hits) / 1000)
        }
    }

    @Test func accuracyOfSequencesAndTypes() {
        var metric = Accuracy()
        #expect(metric.compute().isNaN)
        let logits = Tensor([0.1, 0.9, 3, -1, 0, 0.5, 2, 1], shape: [2, 2, 2])
        metric.update(logits, Tensor([Int64(1), 1, 1, 0], shape: [2, 2]))
        #expect(metric.state == [3, 4])
        metric.update(logits.converted(to: .float32), Tensor([Int64(0), 0, 0, 1], shape: [2, 2]))
        #expect(metric.state == [4, 8])
        metric.update(Tensor.zeros([0, 5]), Tensor.zeros([0], dtype: .int64))
        #expect(metric.compute() == 0.5)
        metric.reset()
        #expect(metric.state == [0, 0])
        #expect(metric.compute().isNaN)
    }

    @Test func accuracyOfAModelsOutput() {
        let parameter = Parameter(Tensor([Float(1), 2], shape: [1, 2]))
        var metric = Accuracy()
        metric.update(parameter.value * 2, Tensor([Int64(1)]))
        #expect(metric.compute() == 1)
    }

    @Test func means() {
        var a = MeanMetric()
        #expect(a.compute().isNaN)
        a.update(3)
        a.update(6, weight: 2)
        #expect(a.compute() == 5)
        // A rank without samples has a mean of nothing, which is NaN, and it does not count.
        a.update(.nan, weight: 0)
        #expect(a.state == [15, 3])
        var b = MeanMetric()
        a.merge(b)
        #expect(a.compute() == 5)
        b.update(1, weight: 7)
        b.merge(a)
        #expect(b.compute() == 2.2)
        #expect(a.compute() == 5)
        a.update(.nan)
        #expect(a.compute().isNaN)
        a.reset()
        a.update(-1)
        #expect(a.compute() == -1)
    }

    @Test func misuse() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            var metric = Accuracy()
            metric.update(.zeros([2, 3]), .zeros([3], dtype: .int64))
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains("Accuracy: logits [2, 3], labels int64 [3]; one int64 label per row"), "\(text)")
    }
}
