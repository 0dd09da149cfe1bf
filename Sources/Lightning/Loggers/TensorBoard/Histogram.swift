import Tensors

/// Values counted in buckets of equal width between the least and the largest.
struct Histogram: Equatable {
    var least = 0.0
    var largest = 0.0
    var count = 0.0
    var sum = 0.0
    var sumOfSquares = 0.0
    /// The upper bounds of the buckets.
    var limits: [Double] = []
    /// How many values are in each.
    var counts: [Double] = []

    /// The histogram of the finite values of a tensor.
    init(_ tensor: Tensor, buckets: Int) {
        let values = tensor.doubles.filter(\.isFinite)
        guard let least = values.min(), let largest = values.max() else { return }
        (self.least, self.largest, count) = (least, largest, Double(values.count))
        sum = values.reduce(0, +)
        sumOfSquares = values.reduce(0) { $0 + $1 * $1 }
        let width = (largest - least) / Double(buckets)
        guard width > 0, width.isFinite else {  // one value, or values too far apart for a difference
            (limits, counts) = ([largest], [count])
            return
        }
        limits = (1...buckets).map { $0 == buckets ? largest : least + Double($0) * width }
        counts = Array(repeating: 0, count: buckets)
        for value in values { counts[min(Int((value - least) / width), buckets - 1)] += 1 }
    }
}
