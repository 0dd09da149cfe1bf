import CKernels

extension Tensor {
    /// Each element set to 0 with a probability, the others scaled up to keep the mean.
    ///
    /// The mask is a function of the stream in force (``RandomContext``): of seed, step, shard and the number of draws
    /// before it in the step, so that it is the same on any rank or thread, and after a resume.
    /// - Precondition: `0 ≤ probability < 1`.
    public func droppedOut(_ probability: Double) -> Tensor {
        require(
            probability >= 0 && probability < 1 && dtype.isFloatingPoint, "dropout",
            "probability \(probability) for \(dtype)")
        if probability == 0 { return self }
        if dtype == .bfloat16 { return inFloat32 { $0.droppedOut(probability) } }
        let x = detached.contiguous(), type = dtype.kernelType
        let y = Tensor(uninitialized: shape, dtype: dtype), mask = Tensor(uninitialized: shape, dtype: .uint8)
        let count = elementCount
        let (key, stream, first) = RandomContext.current.draw(.dropout) { stream in
            (stream.key, stream.stream, stream.reserve(count))
        }
        x.inPieces { start, count, bytes in  // pieces start at multiples of the block's four words
            ck_dropout(
                type, count, probability, key, stream, first + UInt64(start / 4), x.pointer + bytes * start,
                y.freshPointer + bytes * start, (mask.freshPointer + start).assumingMemoryBound(to: UInt8.self))
        }
        let scale = 1 / (1 - probability)
        return y.recorded("dropout", self) { gradient in
            let g = gradient.contiguous()
            let gx = Tensor(uninitialized: g.shape, dtype: g.dtype)
            g.inPieces { start, count, bytes in
                ck_dropout_gradient(
                    type, count, scale, (mask.pointer + start).assumingMemoryBound(to: UInt8.self),
                    g.pointer + bytes * start, gx.freshPointer + bytes * start)
            }
            return [gx]
        }
    }
}
