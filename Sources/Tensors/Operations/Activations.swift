// Activations made of other operations.

extension Tensor {
    /// x where it is positive, slope · x elsewhere.
    public func leakyReLU(slope: Double = 0.01) -> Tensor {
        Tensor.select(where: self .> Tensor(scalar: 0, dtype: dtype), self, self * slope)
    }

    /// x where it is positive, alpha · (eˣ − 1) elsewhere (Clevert et al., 2016).
    public func elu(alpha: Double = 1) -> Tensor {
        if dtype == .bfloat16 { return inFloat32 { $0.elu(alpha: alpha) } }
        // Held below 0 first: where the exponential overflows, its gradient would not be a number.
        let below = clamped(to: -.infinity...0).exp() - 1
        return Tensor.select(where: self .> Tensor(scalar: 0, dtype: dtype), self, below * alpha)
    }

    /// log(sigmoid(x)), without overflow.
    public func logSigmoid() -> Tensor { -(-self).softplus() }

    /// x · tanh(softplus(x)) (Misra, 2019).
    public func mish() -> Tensor {
        dtype == .bfloat16 ? inFloat32 { $0.mish() } : self * softplus().tanh()
    }

    /// (x + 3) / 6, held between 0 and 1 (Howard et al., 2019).
    public func hardSigmoid() -> Tensor { (self + 3).clamped(to: 0...6) / 6 }

    /// x · ``hardSigmoid()``.
    public func hardSwish() -> Tensor { self * hardSigmoid() }
}
