import DataParallel
import Testing

@Suite struct TreeSumTests {
    @Test(arguments: 1...17) func equalsThePlainTree(sources: Int) {
        let tree = TreeSum(sources: sources)
        for count in [0, 1, 7, 8, 15, 16, 17, 1000, 5003] {
            let values = (0..<sources).map { uneven($0, count: count) }
            let found = sum(values, count: count, by: tree)
            for index in 0..<count { #expect(found[index] == plainTree(values.map { $0[index] })) }
        }
    }

    @Test func subtreesOfPowersOfTwoMayBeSummedFirst() {
        let values = (0..<12).map { uneven($0, count: 100) }
        let whole = sum(values, count: 100, by: TreeSum(sources: 12))
        for ranks in [12, 6, 3, 1] {
            let share = 12 / ranks
            let inside = (0..<ranks).map { rank in
                sum(Array(values[(rank * share)..<((rank + 1) * share)]), count: 100, by: TreeSum(sources: share))
            }
            #expect(sum(inside, count: 100, by: TreeSum(sources: ranks)) == whole)
        }
    }

    /// Numbers of very different size, so that another order of addition shows in the bits.
    private func uneven(_ source: Int, count: Int) -> [Float] {
        let large = Float(1 << (source % 12))
        return (0..<count).map { index in
            let small = (source * 7919 + index * 104_729) % 1009
            return Float(small) * 1.1e-3 + large
        }
    }

    /// The result goes into the last source, as it does when a rank sums into its own buffer.
    private func sum(_ values: [[Float]], count: Int, by tree: TreeSum) -> [Float] {
        let buffers = values.map { values in
            let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(1, count))
            _ = buffer.initialize(from: values)
            return buffer
        }
        defer { buffers.forEach { $0.deallocate() } }
        var addresses = buffers.compactMap { UnsafeBufferPointer($0).baseAddress }
        guard let result = buffers.last?.baseAddress else { return [] }
        addresses.withUnsafeMutableBufferPointer {
            guard let start = $0.baseAddress else { return }
            tree.sum(start, count: count, into: result)
        }
        return Array(UnsafeBufferPointer(start: result, count: count))
    }

    private func plainTree(_ sources: [Float]) -> Float {
        var partial = sources
        var distance = 1
        while distance < partial.count {
            for left in stride(from: 0, to: partial.count - distance, by: 2 * distance) {
                partial[left] += partial[left + distance]
            }
            distance *= 2
        }
        return partial[0]
    }
}
