import CKernels

extension Tensor {
    /// The largest element in each window of `[batch, channels, height, width]`; padding never wins.
    public func maxPooled(_ window: Window) -> Tensor {
        require(rank == 4 && dtype.isFloatingPoint, "maxPool2d", "\(dtype) \(shape): needs [batch, channels, h, w]")
        require(
            window.padding.height * 2 <= window.kernel.height && window.padding.width * 2 <= window.kernel.width,
            "maxPool2d", "padding \(window.padding) is more than half of the kernel \(window.kernel)")
        require(
            window.kernel.height * window.kernel.width <= Int(UInt16.max), "maxPool2d",
            "a kernel of \(window.kernel) has more than 65,535 taps")
        if dtype == .bfloat16 { return inFloat32 { $0.maxPooled(window) } }
        let x = detached.channelsLast()
        let g = window.geometry("maxPool2d", channels: shape[1], height: shape[2], width: shape[3])
        let pool = ImagePooling(x, g)
        let y = pool.makeOutput()
        // A 16-bit number in a byte tensor for each result: the tap that won.
        let winners = Tensor(uninitialized: [y.elementCount * 2], dtype: .uint8)
        pool.forEachImage { type, window, input, output, first in
            ck_max_pool(
                type, window, x.pointer + input, y.freshPointer + output, winners.winners(from: first))
        }
        return y.recorded("maxPool2d", self) { gradient in
            let gy = gradient.channelsLast(), gx = pool.makeInput()
            pool.forEachImage { type, window, input, output, first in
                ck_max_pool_gradient(
                    type, window, gy.pointer + output, winners.winners(from: first), gx.freshPointer + input)
            }
            return [gx]
        }
    }

    private func winners(from first: Int) -> UnsafeMutablePointer<UInt16> {
        freshPointer.assumingMemoryBound(to: UInt16.self) + first
    }

    /// The mean of each window of `[batch, channels, height, width]`; padding counts as zeros.
    public func averagePooled(_ window: Window) -> Tensor {
        require(rank == 4 && dtype.isFloatingPoint, "averagePool2d", "\(dtype) \(shape): needs [batch, channels, h, w]")
        if dtype == .bfloat16 { return inFloat32 { $0.averagePooled(window) } }
        let x = detached.channelsLast()
        let g = window.geometry("averagePool2d", channels: shape[1], height: shape[2], width: shape[3])
        let pool = ImagePooling(x, g)
        let y = pool.makeOutput()
        pool.forEachImage { type, window, input, output, _ in
            ck_average_pool(type, window, x.pointer + input, y.freshPointer + output)
        }
        return y.recorded("averagePool2d", self) { gradient in
            let gy = gradient.channelsLast(), gx = pool.makeInput()
            pool.forEachImage { type, window, input, output, _ in
                ck_average_pool_gradient(type, window, gy.pointer + output, gx.freshPointer + input)
            }
            return [gx]
        }
    }
}

/// The walk over the images of a batch, one a thread.
private struct ImagePooling {
    private let dtype: DType
    private let shape: Shape
    private let window: ck_window

    init(_ x: Tensor, _ window: ck_window) {
        dtype = x.dtype
        shape = x.shape
        self.window = window
    }

    func makeInput() -> Tensor { Tensor(uninitializedChannelsLast: shape, dtype: dtype) }

    func makeOutput() -> Tensor {
        Tensor(
            uninitializedChannelsLast: [shape[0], shape[1], Int(window.out_height), Int(window.out_width)],
            dtype: dtype)
    }

    /// Calls `body` with each image's places in bytes, and the number of its first result.
    func forEachImage(_ body: (ck_dtype, UnsafePointer<ck_window>, _ input: Int, _ output: Int, Int) -> Void) {
        let inputs = shape[1] * Int(window.height * window.width)
        let outputs = shape[1] * Int(window.out_height * window.out_width)
        Parallel.forEach(shape[0]) { image in
            withUnsafePointer(to: window) {
                body(
                    dtype.kernelType, $0, image * inputs * dtype.byteCount, image * outputs * dtype.byteCount,
                    image * outputs)
            }
        }
    }
}
