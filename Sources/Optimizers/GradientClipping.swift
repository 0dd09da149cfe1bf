import Tensors

/// A bound on gradients before a step.
public enum GradientClipping: Sendable, Equatable {
    /// Scales all gradients together so that their joint Euclidean norm is at most this.
    case norm(Double)
    /// Holds each element between −limit and limit.
    case value(Double)

    /// Clips the gradients of parameters in place.
    ///
    /// - Returns: The joint norm before clipping, for `.norm`; nil for `.value`.
    @discardableResult
    public func clip(_ parameters: [Parameter]) -> Double? {
        switch self {
        case .norm(let limit):
            require(limit >= 0, "GradientClipping", "a norm of at most \(limit)")
            let norm = gradientNorm(of: parameters)
            // PyTorch's factor; it is 1 within rounding when the norm is just at the limit.
            let factor = limit / (norm + 1e-6)
            if factor < 1 { for parameter in parameters { parameter.scaleGradient(by: factor) } }
            return norm
        case .value(let limit):
            require(limit >= 0, "GradientClipping", "values of at most \(limit)")
            for parameter in parameters { parameter.clampGradient(to: limit) }
            return nil
        }
    }
}

/// The joint Euclidean norm of the gradients of parameters, summed in double precision in the order given.
public func gradientNorm(of parameters: [Parameter]) -> Double {
    parameters.reduce(0) { $0 + $1.gradientSquareSum }.squareRoot()
}
