extension Tensor {
    /// The transpose of a two-dimensional convolution: the map that the gradient of its input takes.
    ///
    /// What is the gradient of the input there is the result here, and the other way round, so that the three products are
    /// those of ``ConvolutionPlan``.
    /// - Parameters:
    ///   - weight: `[channels, outputs / groups, kernelHeight, kernelWidth]`.
    ///   - bias: `[outputs]`, or nil.
    ///   - window: Stride, padding and dilation of the convolution; its kernel is that of `weight`.
    ///   - outputPadding: Lines and columns that the result has more at its end.
    ///   - groups: Parts into which channels and outputs are cut, each convolved by itself.
    /// - Returns: `[batch, outputs, height, width]` for this tensor of shape `[batch, channels, height, width]`.
    public func convolvedTransposed(
        weight: Tensor, bias: Tensor?, window: Window, outputPadding: (height: Int, width: Int) = (0, 0),
        groups: Int = 1
    ) -> Tensor {
        require(
            rank == 4 && weight.rank == 4 && dtype == weight.dtype && dtype.isFloatingPoint, "convTranspose2d",
            "\(dtype) \(shape) with weight \(weight.dtype) \(weight.shape): needs [batch, channels, height, width]")
        require(
            groups >= 1 && shape[1] == weight.shape[0] && shape[1] % groups == 0 && shape[2] > 0 && shape[3] > 0,
            "convTranspose2d", "\(shape) with weight \(weight.shape) in \(groups) groups: channels differ")
        require(
            window.kernel.height == weight.shape[2] && window.kernel.width == weight.shape[3], "convTranspose2d",
            "window \(window.kernel) for weight \(weight.shape)")
        let outputs = weight.shape[1] * groups
        if let bias {
            require(
                bias.shape == [outputs] && bias.dtype == dtype, "convTranspose2d",
                "bias \(bias.shape) for \(weight.shape) in \(groups) groups")
        }
        if dtype == .bfloat16 {
            return inFloat32 {
                $0.convolvedTransposed(
                    weight: weight.widened(), bias: bias?.widened(), window: window, outputPadding: outputPadding,
                    groups: groups)
            }
        }
        let size = window.transposedSize(height: shape[2], width: shape[3], outputPadding: outputPadding)
        let plan = ConvolutionPlan(
            dtype: dtype, batch: shape[0], groups: groups, outputs: shape[1],
            window: window.geometry("convTranspose2d", channels: outputs, height: size.height, width: size.width))
        let x = detached.asProductOperand().channelsLast(), w = weight.detached.asProductOperand().contiguous()
        let y = plan.inputGradient(x, w)
        let (needsX, needsW) = (requiresGradient, weight.requiresGradient)
        let weightPlace = GradientPlace(of: weight)
        let result = y.recorded("convTranspose2d", self, weight) { gradient in
            let operand = gradient.asProductOperand()
            let gy = plan.readsPlanes ? operand.contiguous() : operand.channelsLast()
            return [
                needsX ? plan.forward(gy, w, nil) : nil,
                needsW
                    ? weightPlace.make(w.shape, w.dtype, canAdd: false) { target, _ in
                        plan.weightGradient(x, gy, into: target)
                    } : nil,
            ]
        }
        return bias.map { result + $0.reshaped(to: [outputs, 1, 1]) } ?? result
    }
}

extension Window {
    /// The size of the images whose convolution has the given size.
    fileprivate func transposedSize(
        height: Int, width: Int, outputPadding: (height: Int, width: Int)
    ) -> (height: Int, width: Int) {
        require(
            0..<max(stride.height, 1) ~= outputPadding.height && 0..<max(stride.width, 1) ~= outputPadding.width,
            "convTranspose2d", "output padding \(outputPadding) with stride \(stride): it must be smaller")
        func size(_ extent: Int, _ kernel: Int, _ stride: Int, _ padding: Int, _ dilation: Int, _ more: Int) -> Int {
            (extent - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + more
        }
        return (
            size(height, kernel.height, stride.height, padding.height, dilation.height, outputPadding.height),
            size(width, kernel.width, stride.width, padding.width, dilation.width, outputPadding.width)
        )
    }
}
