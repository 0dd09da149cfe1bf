import CKernels

/// A trainable value: the place an optimizer writes to, with the gradient that belongs to it.
///
/// A parameter has identity, unlike a tensor. It belongs to the training thread.
public final class Parameter {
    /// The extents of the value.
    public let shape: Shape
    /// The element type of the value.
    public private(set) var dtype: DType
    /// The element type of the gradient: that of the value, but `float32` for bfloat16, so that sums over micro-batches
    /// and ranks lose nothing.
    public var gradientDType: DType { dtype.accumulator }
    /// Whether gradients flow to this parameter; false while it is frozen.
    public var requiresGradient = true
    /// The name under which the module tree knows it, for messages; set when the module is walked.
    public package(set) var name = ""

    /// Called when a backward pass has finished this parameter's gradient.
    ///
    /// The one meeting point of autograd and communication.
    package var onGradientReady: ((Parameter) -> Void)?

    private(set) var storage: Storage
    private var gradientStorage: Storage?
    /// Whether the gradient memory holds this step's gradient; false means zero, whatever the memory holds.
    public private(set) var hasGradient = false
    /// Where the parameter lies, when it lies in an arena.
    private(set) var place: (arena: ObjectIdentifier, offset: Int)?
    private var knownLeaf: GradientNode?

    /// A parameter that starts with the given value.
    ///
    /// - Precondition: the value has a floating-point type.
    public init(_ value: Tensor) {
        require(value.dtype.isFloatingPoint, "Parameter", "\(value.dtype) cannot be trained")
        shape = value.shape
        dtype = value.dtype
        storage = value.copied().storage
    }

    deinit { knownLeaf?.loseParameter() }

    /// What stands for this parameter in gradient graphs.
    private var leaf: GradientNode {
        if let knownLeaf { return knownLeaf }
        let made = GradientNode(leafOf: self)
        knownLeaf = made
        return made
    }

    /// The number of elements.
    public var elementCount: Int { shape.elementCount }

    var byteCount: Int { elementCount * dtype.byteCount }
    private var gradientByteCount: Int { elementCount * gradientDType.byteCount }

    /// The value, as a tensor through which gradients flow to this parameter (unless it is frozen).
    public var value: Tensor {
        Tensor(
            dtype: dtype, shape: shape, strides: shape.contiguousStrides, offset: 0, storage: storage,
            node: requiresGradient ? leaf : nil)
    }

    /// Overwrites the value.
    ///
    /// - Precondition: shape and type are the parameter's own.
    public func assign(_ tensor: Tensor) {
        require(
            tensor.shape == shape && tensor.dtype == dtype, "Parameter.assign",
            "\(tensor.dtype) \(tensor.shape) for parameter '\(name)' of \(dtype) \(shape)")
        let source = tensor.detached.contiguous()
        makeExclusive()
        source.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { storage.pointer.copyMemory(from: base, byteCount: bytes.count) }
        }
    }

    /// A copy of the gradient, or nil when no backward pass has given one since the last ``clearGradient()``.
    public var gradient: Tensor? {
        guard hasGradient, let gradientStorage else { return nil }
        return Tensor(
            bytes: UnsafeRawBufferPointer(start: gradientStorage.pointer, count: gradientByteCount), shape: shape,
            dtype: gradientDType)
    }

    /// Replaces the gradient.
    ///
    /// - Precondition: it has the parameter's shape, and its type or ``gradientDType``.
    public func setGradient(_ tensor: Tensor) {
        require(
            tensor.shape == shape && (tensor.dtype == gradientDType || tensor.dtype == dtype), "Parameter.setGradient",
            "\(tensor.dtype) \(tensor.shape) for the gradient, \(gradientDType) \(shape), of parameter '\(name)'")
        hasGradient = false
        add(tensor.detached)
    }

    /// Forgets the gradient, in no time: the memory is overwritten by the next backward pass.
    public func clearGradient() { hasGradient = false }

    /// The gradient's own memory, for an operation of the backward pass to write to, or to add to when it holds a
    /// gradient already (Note [Gradients in place]).
    func openGradient() -> (memory: Tensor, holdsGradient: Bool) {
        defer { hasGradient = true }
        let memory = Tensor(
            dtype: gradientDType, shape: shape, strides: shape.contiguousStrides, offset: 0, storage: gradientSlot)
        return (memory, hasGradient)
    }

    /// Takes a part of the gradient from a backward pass, which may have been made in place.
    func receive(_ gradient: Tensor) {
        if gradient.storage === gradientStorage { return }
        MemoryPool.noteGradientCopy()
        add(gradient)
    }

    /// Tells whoever waits for it that the backward pass has finished this gradient.
    func finishGradient() { onGradientReady?(self) }

    private func add(_ given: Tensor) {
        let slot = gradientSlot
        let gradient = given.converted(to: gradientDType)
        if hasGradient {
            let dense = gradient.contiguous()
            ck_accumulate(gradientDType.kernelType, Int64(elementCount), 1, dense.pointer, slot.pointer)
        } else {
            gradient.gather(into: slot.pointer)
            hasGradient = true
        }
    }

    private var gradientSlot: Storage {
        if let gradientStorage { return gradientStorage }
        let fresh = Storage(byteCount: gradientByteCount)
        gradientStorage = fresh
        return fresh
    }

    /// Makes the gradient memory say what ``hasGradient`` means: zeros where no gradient came.
    package func materializeGradient() {
        let slot = gradientSlot
        guard !hasGradient else { return }
        ck_fill(gradientDType.kernelType, Int64(elementCount), 0, slot.pointer)
        hasGradient = true
    }

    /// Lets the value be written in place: whoever else holds the present value keeps it, in memory of its own.
    package func makeExclusive() {
        guard !isKnownUniquelyReferenced(&storage) else { return }
        let place = storage.pointer
        let fresh = Storage(exclusivePlaceOf: storage)
        if fresh.pointer == place { storage.evict() }
        storage = fresh
    }

    /// Gives the value another type, in memory of its own, and forgets the gradient.
    ///
    /// - Precondition: the type is floating-point, and the parameter lies in no arena whose flat memory is still used.
    package func convert(to type: DType) {
        require(type.isFloatingPoint, "Parameter.convert", "'\(name)' cannot become \(type)")
        guard type != dtype else { return }
        storage = value.detached.converted(to: type).storage
        dtype = type
        clearGradient()
        gradientStorage = nil
        place = nil
    }

    /// Moves value and gradient to slices of an arena, `offset` elements from its start.
    func move(to values: Storage, gradients: Storage, offset: Int) {
        place = (ObjectIdentifier(values), offset)
        let value = Storage(sliceOf: values, byteOffset: offset * dtype.byteCount, byteCount: byteCount)
        value.pointer.copyMemory(from: storage.pointer, byteCount: byteCount)
        storage = value
        let slot = Storage(
            sliceOf: gradients, byteOffset: offset * gradientDType.byteCount, byteCount: gradientByteCount)
        if hasGradient, let old = gradientStorage {
            slot.pointer.copyMemory(from: old.pointer, byteCount: gradientByteCount)
        }
        gradientStorage = slot
    }

    /// The memory of the value, to be written by optimizers and collectives; call ``makeExclusive()`` first.
    package var valuePointer: UnsafeMutableRawPointer { storage.pointer }

    /// The memory of the gradient; meaningful after ``materializeGradient()``.
    package var gradientPointer: UnsafeMutableRawPointer { gradientSlot.pointer }
}
