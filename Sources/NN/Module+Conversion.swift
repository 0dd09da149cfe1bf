import Tensors

extension Module {
    /// Gives all floating-point parameters and buffers another type.
    ///
    /// Gradients are forgotten. Do it before optimizers are made: they would keep state of the former type. A
    /// ``Trainer`` with a `precision` does it by itself.
    ///
    /// - Parameter type: A floating-point type.
    public final func convert(to type: DType) {
        require(type.isFloatingPoint, "Module.convert", "\(type) is not a floating-point type")
        walk { _, part in
            switch part {
            case .parameter(let parameter): parameter.convert(to: type)
            case .buffer(let buffer): if buffer.value.dtype.isFloatingPoint { buffer.convert(to: type) }
            case .module: break
            }
        }
    }
}
