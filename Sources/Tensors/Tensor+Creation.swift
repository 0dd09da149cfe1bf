import CKernels

extension Tensor {
    /// A tensor from scalars in row-major order; the shape defaults to one dimension.
    ///
    /// - Precondition: `scalars.count` is the shape's element count.
    public init<Scalar: TensorScalar>(_ scalars: [Scalar], shape: Shape? = nil) {
        let shape = shape ?? [scalars.count]
        require(
            shape.elementCount == scalars.count, "Tensor",
            "shape \(shape) holds \(shape.elementCount) elements, but \(scalars.count) were given")
        self.init(uninitialized: shape, dtype: Scalar.dtype)
        scalars.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { freshPointer.copyMemory(from: base, byteCount: bytes.count) }
        }
    }

    /// A tensor from raw bytes of the given type in row-major order.
    ///
    /// - Precondition: the byte count is that of the shape and type.
    public init(bytes: UnsafeRawBufferPointer, shape: Shape, dtype: DType) {
        require(
            bytes.count == shape.elementCount * dtype.byteCount, "Tensor",
            "shape \(shape) of \(dtype) needs \(shape.elementCount * dtype.byteCount) bytes, but \(bytes.count) were given"
        )
        self.init(uninitialized: shape, dtype: dtype)
        if let base = bytes.baseAddress { freshPointer.copyMemory(from: base, byteCount: bytes.count) }
    }

    /// A tensor whose memory a closure fills: row-major, uninitialised on entry.
    public init(
        shape: Shape, dtype: DType, filling body: (UnsafeMutableRawBufferPointer) throws -> Void
    ) rethrows {
        self.init(uninitialized: shape, dtype: dtype)
        try body(UnsafeMutableRawBufferPointer(start: freshPointer, count: shape.elementCount * dtype.byteCount))
    }

    /// A tensor of no dimensions.
    public init(scalar value: Double, dtype: DType = .standard) { self.init(filling: value, shape: [], dtype: dtype) }

    /// A tensor with all elements equal.
    public init(filling value: Double, shape: Shape, dtype: DType = .standard) {
        self.init(uninitialized: shape, dtype: dtype)
        ck_fill(dtype.kernelType, Int64(shape.elementCount), value, freshPointer)
    }

    /// A tensor of zeros.
    public static func zeros(_ shape: Shape, dtype: DType = .standard) -> Tensor {
        Tensor(filling: 0, shape: shape, dtype: dtype)
    }

    /// A tensor of ones.
    public static func ones(_ shape: Shape, dtype: DType = .standard) -> Tensor {
        Tensor(filling: 1, shape: shape, dtype: dtype)
    }

    /// The integers `0 ..< count` in one dimension.
    public static func range(_ count: Int, dtype: DType = .int64) -> Tensor {
        Tensor((0..<count).map(Int64.init)).converted(to: dtype)
    }
}
