import CKernels

extension Tensor {
    /// Calls a closure with the elements' bytes in row-major order, copying only when they do not lie so already.
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        let dense = detached.contiguous()
        return try withExtendedLifetime(dense.storage) {
            try body(UnsafeRawBufferPointer(start: dense.pointer, count: dense.elementCount * dtype.byteCount))
        }
    }

    /// Calls a closure that may change the elements' bytes, in row-major order.
    ///
    /// A storage shared with another tensor is copied first, so other tensors never see the change.
    /// - Precondition: the tensor has no place in the gradient graph.
    public mutating func withUnsafeMutableBytes<R>(
        _ body: (UnsafeMutableRawBufferPointer) throws -> R
    ) rethrows -> R {
        makeWritable("withUnsafeMutableBytes")
        return try body(UnsafeMutableRawBufferPointer(start: freshPointer, count: elementCount * dtype.byteCount))
    }

    /// Makes this tensor the only holder of contiguous memory.
    mutating func makeWritable(_ operation: StaticString) {
        require(node == nil, operation, "a tensor that requires a gradient cannot be changed in place")
        if !isKnownUniquelyReferenced(&storage) || !isContiguous {
            MemoryPool.noteStorageCopy()
            self = copied()
        }
    }

    /// A copy in memory of its own, row-major, without gradient.
    public func copied() -> Tensor {
        let copy = Tensor(uninitialized: shape, dtype: dtype)
        gather(into: copy.freshPointer)
        return copy
    }

    /// Writes the elements in row-major order to memory.
    func gather(into destination: UnsafeMutableRawPointer) {
        if isContiguous {
            destination.copyMemory(from: pointer, byteCount: elementCount * dtype.byteCount)
            return
        }
        guard elementCount > 0 else { return }
        let plan = StridedPlan(shape: shape, strides: strides)
        let outermost = plan.shape.isEmpty ? 1 : plan.shape[0]
        let perIndex = elementCount / outermost, size = dtype.byteCount
        // In parts of the outermost dimension; of whole squares, where that is the one that lies densely.
        let indices = elementwiseGrain / 4 / perIndex
        Parallel.forRanges(outermost, grain: indices < 8 ? Swift.max(1, indices) : (indices + 15) / 16 * 16) { range in
            var part = plan.shape
            if !part.isEmpty { part[0] = range.count }
            let start = plan.shape.isEmpty ? 0 : range.lowerBound * plan.strides[0]
            part.withPointer { shape in
                plan.strides.withPointer { strides in
                    ck_gather_strided(
                        Int64(size), Int32(part.count), shape, strides, pointer + start * size,
                        destination + range.lowerBound * perIndex * size)
                }
            }
        }
    }

    /// The elements in row-major order.
    ///
    /// - Precondition: `Scalar` is the tensor's element type.
    public func array<Scalar: TensorScalar>(of type: Scalar.Type) -> [Scalar] {
        require(Scalar.dtype == dtype, "array(of:)", "the tensor holds \(dtype), not \(Scalar.dtype)")
        return withUnsafeBytes { bytes in Array(bytes.bindMemory(to: Scalar.self)) }
    }

    /// The elements in row-major order, converted to double precision.
    public var doubles: [Double] { detached.converted(to: .float64).array(of: Double.self) }

    /// The only element, as a double.
    ///
    /// - Precondition: the tensor has exactly one element.
    public var item: Double {
        require(elementCount == 1, "item", "a tensor of shape \(shape) has \(elementCount) elements, not one")
        switch dtype {
        case .float32: return Double(pointer.load(as: Float.self))
        case .float64: return pointer.load(as: Double.self)
        case .int64: return Double(pointer.load(as: Int64.self))
        case .uint8: return Double(pointer.load(as: UInt8.self))
        case .bfloat16: return Double(Float(pointer.load(as: BFloat16.self)))
        }
    }
}

/// A strided block with neighbouring dimensions merged where they are one run in memory, and extents of 1 dropped.
struct StridedPlan {
    var shape: Shape = []
    var strides: Shape = []

    init(shape: Shape, strides: Shape) {
        for i in 0..<shape.count where shape[i] != 1 {
            let last = self.shape.count - 1
            if last >= 0, self.strides[last] == strides[i] * shape[i] {
                self.shape[last] *= shape[i]
                self.strides[last] = strides[i]
            } else {
                self.shape.append(shape[i])
                self.strides.append(strides[i])
            }
        }
    }
}
