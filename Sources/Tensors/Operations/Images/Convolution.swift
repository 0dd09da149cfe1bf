extension Tensor {
    /// Two-dimensional convolution (cross-correlation, as in PyTorch).
    ///
    /// The result lies in memory with its channels innermost (Note [Channels last]).
    /// - Parameters:
    ///   - weight: `[outputs, channels / groups, kernelHeight, kernelWidth]`.
    ///   - bias: `[outputs]`, or nil.
    ///   - window: Stride, padding and dilation; its kernel is that of `weight`.
    ///   - groups: Parts into which channels and outputs are cut, each convolved by itself.
    /// - Returns: `[batch, outputs, height, width]` for this tensor of shape `[batch, channels, height, width]`.
    public func convolved(weight: Tensor, bias: Tensor?, window: Window, groups: Int = 1) -> Tensor {
        require(
            rank == 4 && weight.rank == 4 && dtype == weight.dtype && dtype.isFloatingPoint, "conv2d",
            "\(dtype) \(shape) with weight \(weight.dtype) \(weight.shape): needs [batch, channels, height, width]")
        let outputs = weight.shape[0]
        require(
            groups >= 1 && shape[1] == weight.shape[1] * groups && outputs % groups == 0, "conv2d",
            "\(shape) with weight \(weight.shape) in \(groups) groups: needs [batch, weight's channels · groups, height, width]"
        )
        require(
            window.kernel.height == weight.shape[2] && window.kernel.width == weight.shape[3], "conv2d",
            "window \(window.kernel) for weight \(weight.shape)")
        if let bias {
            require(bias.shape == [outputs] && bias.dtype == dtype, "conv2d", "bias \(bias.shape) for \(weight.shape)")
        }
        if dtype == .bfloat16 {
            return inFloat32 {
                $0.convolved(weight: weight.widened(), bias: bias?.widened(), window: window, groups: groups)
            }
        }
        let plan = ConvolutionPlan(
            dtype: dtype, batch: shape[0], groups: groups, outputs: outputs,
            window: window.geometry("conv2d", channels: shape[1], height: shape[2], width: shape[3]))
        let x = plan.operand(detached), w = weight.detached.asProductOperand().contiguous()
        // Kept as it is read, unless it can be made again (Note [Results made again]).
        let input = node?.rebuild.map { again in { plan.operand(again()) } } ?? { x }
        let y = plan.forward(x, w, bias?.detached.contiguous())
        OperationCount.add(2 * y.elementCount * w.elementCount / outputs)
        let (needsX, needsW, needsB) = (requiresGradient, weight.requiresGradient, bias?.requiresGradient ?? false)
        let (weightPlace, biasPlace) = (GradientPlace(of: weight), bias.map { GradientPlace(of: $0) })
        return y.recorded("conv2d", [self, weight, bias].compactMap { $0 }) { gradient in
            let plain = gradient.channelsLast(), gy = plain.asProductOperand()
            // In this order an input that is made again is gone before the memory for its gradient is asked for.
            let gw =
                needsW
                ? weightPlace.make(w.shape, w.dtype, canAdd: false) { target, _ in
                    plan.weightGradient(gy, input(), into: target)
                } : nil
            let gx = needsX ? plan.inputGradient(gy, w) : nil
            guard let biasPlace else { return [gx, gw] }
            let pixels = plain.permuted([0, 2, 3, 1]).reshaped(to: [gy.elementCount / outputs, outputs])
            return [gx, gw, needsB ? biasPlace.columnSums(pixels) : nil]
        }
    }
}

extension ConvolutionPlan {
    /// An input as the products read it.
    fileprivate func operand(_ input: Tensor) -> Tensor {
        let operand = input.asProductOperand()
        return readsPlanes ? operand.contiguous() : operand.channelsLast()
    }
}
