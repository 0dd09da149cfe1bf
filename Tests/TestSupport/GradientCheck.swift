import Tensors
import Testing

/// Fixed weights for the elements of a result, so that its gradient is that of a number.
///
/// Exact in `float32`.
public func fixedWeights(_ shape: Shape, dtype: DType) -> Tensor {
    Tensor((0..<shape.elementCount).map { Double(($0 * 37 + 11) % 61 - 30) / 32 }, shape: shape).converted(to: dtype)
}

/// The sum of all elements of all floating-point results that require a gradient, each times its fixed weight.
public func weightedSum(_ results: [Tensor]) -> Tensor? {
    let scored = results.filter(\.requiresGradient).map { result in
        (result * fixedWeights(result.shape, dtype: result.dtype)).sum().converted(to: .float64)
    }
    guard let first = scored.first else { return nil }
    return scored.dropFirst().reduce(first, +)
}

/// Compares the gradient of an operation with central finite differences, in double precision.
///
/// The operation is made a number by an inner product with fixed weights. Every element of every input is moved, in
/// every layout: the parameters hold the memory, and the operation gets the views, so views' gradients count too.
/// - Parameters:
///   - function: The operation. It must be smooth within 1e-5 of the inputs.
///   - inputs: Where.
///   - layouts: How the inputs lie in memory; all inputs in one layout at a time.
///   - tolerance: Relative to the larger of 1 and the gradient's largest element.
public func checkGradient(
    of function: ([Tensor]) -> Tensor, at inputs: [Tensor], layouts: [Layout] = Layout.allCases,
    tolerance: Double = 2e-8, _ comment: String = "", sourceLocation: SourceLocation = #_sourceLocation
) {
    for layout in layouts {
        let places = inputs.map { layout.storage(for: $0.converted(to: .float64)) }
        let parameters = places.map { Parameter($0.storage) }
        func score(_ storages: [Tensor]) -> Tensor {
            let result = function(zip(storages, places).map { $1.view($0) })
            return (result * fixedWeights(result.shape, dtype: .float64)).sum()
        }
        let name = "\(comment) \(layout)"
        let value = score(parameters.map(\.value))
        guard value.requiresGradient else {
            Issue.record("\(name): the result does not depend on the inputs", sourceLocation: sourceLocation)
            continue
        }
        value.backward()
        for (i, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else {
                Issue.record("\(name): input \(i) got no gradient", sourceLocation: sourceLocation)
                continue
            }
            let expected = withoutGradient { differences(of: score, at: places.map(\.storage), along: i) }
            let scale = expected.reduce(1) { Swift.max($0, abs($1)) }
            expectClose(
                gradient.doubles, expected, relative: 0, absolute: tolerance * scale,
                "\(name), gradient of input \(i) \(parameter.shape)", sourceLocation: sourceLocation)
        }
    }
}

/// (f(x + h) − f(x − h)) / 2h for each element of one input.
///
/// Two steps, h and 2h, are combined so that the error falls with h⁴ (Richardson), which leaves about 1e-10.
private func differences(of function: ([Tensor]) -> Tensor, at inputs: [Tensor], along index: Int) -> [Double] {
    let numbers = inputs[index].doubles
    let shape = inputs[index].shape
    func value(_ element: Int, _ shift: Double) -> Double {
        var moved = numbers
        moved[element] += shift
        var arguments = inputs
        arguments[index] = Tensor(moved, shape: shape)
        return function(arguments).item
    }
    return numbers.indices.map { element in
        let h = 1e-4 * Swift.max(1, abs(numbers[element]))
        let narrow = (value(element, h) - value(element, -h)) / (2 * h)
        let wide = (value(element, 2 * h) - value(element, -2 * h)) / (4 * h)
        return narrow + (narrow - wide) / 3
    }
}
