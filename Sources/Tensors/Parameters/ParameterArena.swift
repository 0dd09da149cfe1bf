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
    /// The element type of the gradients, see ``Parameter/gradientDType``.
    public var gradientDType: DType { dtype.accumulator }
    /// Where each parameter starts, in elements from the start of the arena.
    public let offsets: [Int]
    /// The length of the arena in elements, gaps included.
    public let elementCount: Int
    private static let moves = Counter()
    private let values: Storage
    private let gradients: Storage

    /// Moves the parameters into a new arena.
    ///
    /// - Precondition: the parameters are distinct and share one element type.
    public convenience init(_ parameters: [Parameter], dtype: DType) {
        self.init(parameters, dtype: dtype, gradients: nil)
    }

    /// Memory from outside for gradients, and who keeps it.
    package typealias OutsideMemory = (memory: UnsafeMutableRawBufferPointer, owner: AnyObject)

    /// Moves the parameters into a new arena, whose gradients may lie in memory from outside, aligned to 64 bytes.
    package init(_ parameters: [Parameter], dtype: DType, gradients outside: OutsideMemory?) {
        var offsets: [Int] = []
        var end = 0
        for parameter in parameters {
            require(
                parameter.dtype == dtype, "ParameterArena", "'\(parameter.name)' is \(parameter.dtype), not \(dtype)")
            offsets.append(end)
            end += ParameterArena.extent(of: parameter)
        }
        self.parameters = parameters
        self.dtype = dtype
        self.offsets = offsets
        elementCount = end
        values = Storage(byteCount: end * dtype.byteCount)
        if let outside {
            require(
                outside.memory.count >= end * dtype.accumulator.byteCount, "ParameterArena",
                "\(outside.memory.count) bytes for \(end) gradients of \(dtype.accumulator)")
            gradients = Storage(outside.memory, keptBy: outside.owner)
        } else {
            gradients = Storage(byteCount: end * dtype.accumulator.byteCount)
        }
        ck_fill(dtype.kernelType, Int64(end), 0, values.pointer)
        ck_fill(gradientDType.kernelType, Int64(end), 0, gradients.pointer)
        Self.moves.increment()
        for (parameter, offset) in zip(parameters, offsets) {
            parameter.move(to: values, gradients: gradients, offset: offset)
        }
        // The places the parameters had before are of sizes that nothing else may ever ask for.
        MemoryPool.trim()
    }

    /// Arenas for a list of parameters: one per element type, in order of first appearance.
    public static func arenas(for parameters: [Parameter]) -> [ParameterArena] {
        arenas(for: parameters, gradients: nil)
    }

    /// Arenas whose gradients lie one after another in memory from outside.
    package static func arenas(for parameters: [Parameter], gradients outside: OutsideMemory?) -> [ParameterArena] {
        var types: [DType] = []
        for parameter in parameters where !types.contains(parameter.dtype) { types.append(parameter.dtype) }
        var start = 0
        return types.map { type in
            let members = parameters.filter { $0.dtype == type }
            let bytes = gradientBytes(for: members)
            defer { start += bytes }
            let part = outside.map { whole in
                let part = UnsafeMutableRawBufferPointer(rebasing: whole.memory[start..<(start + bytes)])
                return (memory: part, owner: whole.owner)
            }
            return ParameterArena(members, dtype: type, gradients: part)
        }
    }

    /// How many bytes the gradients of parameters take in arenas.
    package static func gradientBytes(for parameters: [Parameter]) -> Int {
        parameters.reduce(0) { $0 + extent(of: $1) * $1.gradientDType.byteCount }
    }

    /// The elements a parameter takes, the gap behind it included.
    private static func extent(of parameter: Parameter) -> Int {
        let alignment = 64 / parameter.dtype.byteCount
        return (parameter.elementCount + alignment - 1) / alignment * alignment
    }

    /// Changes whenever parameters anywhere are moved into an arena.
    public static var generation: Int { moves.count }

    /// The flat values; call ``Parameter/makeExclusive()`` on the parameters before writing.
    package var valuePointer: UnsafeMutableRawPointer { values.pointer }

    /// The flat gradients.
    package var gradientPointer: UnsafeMutableRawPointer { gradients.pointer }
}
