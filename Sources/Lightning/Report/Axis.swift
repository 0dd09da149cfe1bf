import Foundation

/// A range of numbers drawn along a length, with ticks at round numbers.
struct Axis {
    let lower: Double
    let upper: Double
    /// Round numbers within the range.
    let ticks: [Double]

    /// An axis over the finite ones of some numbers.
    init(_ values: [Double], ticks count: Int) {
        let finite = values.filter(\.isFinite)
        var least = finite.min() ?? 0, largest = finite.max() ?? 1
        if least == largest {
            let margin = least == 0 ? 1 : abs(least) * 0.1
            (least, largest) = (least - margin, largest + margin)
        }
        (lower, upper) = (least, largest)
        // The next of 1, 2 and 5 times a power of ten.
        let raw = (largest - least) / Double(count)
        let power = pow(10, floor(log10(raw)))
        let step = power * ([1, 2, 5].first { $0 * power >= raw } ?? 10)
        var found: [Double] = []
        var number = (least / step).rounded(.up)
        while number * step <= largest, found.count < 4 * count {
            found.append(number * step)
            number += 1
        }
        ticks = found
    }

    /// Where a number lies, from 0 to 1.
    func share(_ value: Double) -> Double { (value - lower) / (upper - lower) }

    /// A number with as many digits as are worth reading.
    static func label(_ value: Double) -> String {
        guard value.isFinite else { return "\(value)" }
        if let whole = Int(exactly: value), abs(whole) < 1_000_000 { return "\(whole)" }
        return String(format: "%.4g", value)
    }
}
