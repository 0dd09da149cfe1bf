import CKernels

extension Tensor {
    /// The largest element in each window of `[batch, channels, height, width]`; padding never wins.
    public func maxPooled(_ window: Window) -> Tensor {
        require(rank == 4 && dtype.isFloatingPoint, "maxPool2d", "\(dtype) \(shape): needs [batch, channels, h, w]")
        require(
            window.padding.height * 2 <= window.kernel.height && window.padding.width * 2 <= window.kernel.width,
            "maxPool2d", "padding \(window.padding) is more than half of the kernel \(window.kernel)")
        if dtype == .bfloat16 { return inFloat32 { $0.maxPooled(window) } }
        let g = window.geometry("maxPool2d", channels: shape[1], height: shape[2], width: shape[3])
        let x = detached.contiguous(), channels = shape[1], size = dtype.byteCount
        let y = Tensor(uninitialized: [shape[0], channels, Int(g.out_height), Int(g.out_width)], dtype: dtype)
        // 32-bit indices in a byte tensor: places within one channel's plane.
        let places = Tensor(uninitialized: [y.elementCount * 4], dtype: .uint8)
        Parallel.forEach(shape[0]) { image in
            let index = (places.freshPointer + image * channels * g.outPlane * 4).assumingMemoryBound(to: Int32.self)
            withUnsafePointer(to: g) {
                ck_max_pool(
                    dtype.kernelType, $0, x.pointer + image * channels * g.inPlane * size,
                    y.freshPointer + image * channels * g.outPlane * size, index)
            }
        }
        let (inputShape, type) = (shape, dtype)
        return y.recorded("maxPool2d", self) { gradient in
            let gy = gradient.contiguous()
            let gx = Tensor.zeros(inputShape, dtype: type)
            Parallel.forEach(inputShape[0]) { image in
                let index = (places.pointer + image * channels * g.outPlane * 4).assumingMemoryBound(to: Int32.self)
                ck_max_pool_gradient(
                    type.kernelType, Int64(channels), Int64(g.inPlane), Int64(g.outPlane),
                    gy.pointer + image * channels * g.outPlane * size, index,
                    gx.freshPointer + image * channels * g.inPlane * size)
            }
            return [gx]
        }
    }

    /// The mean of each window of `[batch, channels, height, width]`; padding counts as zeros.
    public func averagePooled(_ window: Window) -> Tensor {
        require(rank == 4 && dtype.isFloatingPoint, "averagePool2d", "\(dtype) \(shape): needs [batch, channels, h, w]")
        if dtype == .bfloat16 { return inFloat32 { $0.averagePooled(window) } }
        let g = window.geometry("averagePool2d", channels: shape[1], height: shape[2], width: shape[3])
        let x = detached.contiguous(), channels = shape[1], size = dtype.byteCount
        let y = Tensor(uninitialized: [shape[0], channels, Int(g.out_height), Int(g.out_width)], dtype: dtype)
        Parallel.forEach(shape[0]) { image in
            withUnsafePointer(to: g) {
                ck_average_pool(
                    dtype.kernelType, $0, x.pointer + image * channels * g.inPlane * size,
                    y.freshPointer + image * channels * g.outPlane * size)
            }
        }
        let (inputShape, type) = (shape, dtype)
        return y.recorded("averagePool2d", self) { gradient in
            let gy = gradient.contiguous()
            let gx = Tensor.zeros(inputShape, dtype: type)
            Parallel.forEach(inputShape[0]) { image in
                withUnsafePointer(to: g) {
                    ck_average_pool_gradient(
                        type.kernelType, $0, gy.pointer + image * channels * g.outPlane * size,
                        gx.freshPointer + image * channels * g.inPlane * size)
                }
            }
            return [gx]
        }
    }
}
