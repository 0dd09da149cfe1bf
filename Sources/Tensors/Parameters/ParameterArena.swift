import CKernels

/// One flat memory for the values and one for the gradients of many parameters of one type.
///
/// A gradient bucket is a range of the flat gradients, an optimizer step one pass over a range of both: nothing is
/// copied to be reduced, clipped or applied. Parameters lie in the order given, each at a multiple of 64 bytes; the
/// gaps hold zeros, so that sums over a range are not disturbed.
public final class ParameterArena {
    /// The parameters, in memory order.
    public let parameters: [Parameter]
    /// The element type of all of them.
    public let dtype: DType
    /// Where each parameter starts, in elements from the start of the arena.
    public let offsets: [Int]
    /// The length of the arena in elements, gaps included.
    public let elementCount: Int
    private let values: Storage
    private let gradients: Storage

    /// Moves the parameters into a new arena.
    ///
    /// - Precondition: the parameters are distinct and share one element type.
    public init(_ parameters: [Parameter], dtype: DType) {
        let alignment = 64 / dtype.byteCount
        var offsets: [Int] = []
        var end = 0
        for parameter in parameters {
            require(
                parameter.dtype == dtype, "ParameterArena", "'\(parameter.name)' is \(parameter.dtype), not \(dtype)")
            offsets.append(end)
            end += (parameter.elementCount + alignment - 1) / alignment * alignment
        }
        self.parameters = parameters
        self.dtype = dtype
        self.offsets = offsets
        elementCount = end
        values = Storage(byteCount: end * dtype.byteCount)
        gradients = Storage(byteCount: end * dtype.byteCount)
        ck_fill(dtype.kernelType, Int64(end), 0, values.pointer)
        ck_fill(dtype.kernelType, Int64(end), 0, gradients.pointer)
        for (parameter, offset) in zip(parameters, offsets) {
            parameter.move(to: values, gradients: gradients, byteOffset: offset * dtype.byteCount)
        }
    }

    /// Arenas for a list of parameters: one per element type, in order of first appearance.
    public static func arenas(for parameters: [Parameter]) -> [ParameterArena] {
        var types: [DType] = []
        for parameter in parameters where !types.contains(parameter.dtype) { types.append(parameter.dtype) }
        return types.map { type in ParameterArena(parameters.filter { $0.dtype == type }, dtype: type) }
    }

    /// The flat values; call ``Parameter/makeExclusive()`` on the parameters before writing.
    package var valuePointer: UnsafeMutableRawPointer { values.pointer }

    /// The flat gradients.
    package var gradientPointer: UnsafeMutableRawPointer { gradients.pointer }
}
