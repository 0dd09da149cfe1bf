import Tensors
import Testing

/// Records an issue unless two lists of numbers agree: |a − e| ≤ absolute + relative · |e| for each pair.
///
/// NaN agrees with NaN, and infinities with themselves. One issue tells the worst element.
/// - Returns: The largest share of the tolerance that was used: 1 is the limit.
@discardableResult
public func expectClose(
    _ actual: [Double], _ expected: [Double], relative: Double, absolute: Double = 0,
    _ comment: @autoclosure () -> String = "", sourceLocation: SourceLocation = #_sourceLocation
) -> Double {
    guard actual.count == expected.count else {
        record("\(actual.count) numbers instead of \(expected.count)", comment(), sourceLocation)
        return .infinity
    }
    var worst = (share: 0.0, index: 0)
    for (i, (a, e)) in zip(actual, expected).enumerated() {
        if a == e || (a.isNaN && e.isNaN) { continue }
        let share = abs(a - e) / (absolute + relative * abs(e))
        // A NaN or an infinite difference is as far off as can be.
        let finite = share.isFinite ? share : .infinity
        if finite > worst.share { worst = (finite, i) }
    }
    if worst.share > 1 {
        let (a, e) = (actual[worst.index], expected[worst.index])
        record(
            "element \(worst.index) is \(a), not \(e): off by \(abs(a - e)), \(worst.share) times the tolerance",
            comment(), sourceLocation)
    }
    return worst.share
}

/// Records an issue unless two tensors have one shape and their elements agree.
///
/// The types may differ: what is compared are the numbers.
@discardableResult
public func expectClose(
    _ actual: Tensor, _ expected: Tensor, relative: Double, absolute: Double = 0,
    _ comment: @autoclosure () -> String = "", sourceLocation: SourceLocation = #_sourceLocation
) -> Double {
    guard actual.shape == expected.shape else {
        record("shape \(actual.shape) instead of \(expected.shape)", comment(), sourceLocation)
        return .infinity
    }
    return expectClose(
        actual.doubles, expected.doubles, relative: relative, absolute: absolute, comment(),
        sourceLocation: sourceLocation)
}

/// Records an issue unless two tensors have one type, one shape and the same bits.
public func expectSameBits(
    _ actual: Tensor, _ expected: Tensor, _ comment: @autoclosure () -> String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) {
    guard actual.shape == expected.shape, actual.dtype == expected.dtype else {
        return record(
            "\(actual.dtype) \(actual.shape) instead of \(expected.dtype) \(expected.shape)", comment(), sourceLocation)
    }
    let different = actual.withUnsafeBytes { a in
        expected.withUnsafeBytes { e in zip(a, e).enumerated().first { $0.element.0 != $0.element.1 }?.offset }
    }
    guard let different else { return }
    let element = different / actual.dtype.byteCount
    record(
        "element \(element) is \(actual.doubles[element]), not \(expected.doubles[element])", comment(), sourceLocation)
}

private func record(_ message: String, _ comment: String, _ location: SourceLocation) {
    let text = comment.isEmpty ? message : "\(comment): \(message)"
    Issue.record(Comment(rawValue: text), sourceLocation: location)
}
