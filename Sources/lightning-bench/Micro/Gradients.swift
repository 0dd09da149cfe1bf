import Lightning

/// The backward pass of one operation by itself.
enum Gradients {
    /// Seconds of a backward pass to one value, the copy of the gradient into the parameter's place included.
    static func secondsPerCall(_ value: Tensor, _ operation: (Tensor) -> Tensor) -> Double {
        let parameter = Parameter(value)
        let result = operation(parameter.value)
        let gradient = Tensor.ones(result.shape, dtype: result.dtype)
        return Stopwatch.secondsPerCall {
            parameter.clearGradient()
            result.backward(gradient: gradient, keepingGraph: true)
        }
    }
}
