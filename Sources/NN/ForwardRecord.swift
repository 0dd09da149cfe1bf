import Synchronization
import Tensors

/// What modules did with an input: the shapes they were given and gave, and the floating-point operations between.
///
/// Layers of this package and what is in a ``Sequential`` are seen by themselves; a module of one's own asks for it with
/// ``Module/observed(_:_:)``.
public struct ForwardRecord {
    /// What one module did, in all its calls.
    public struct Entry: Equatable {
        /// The shape of its first input.
        public var input: [Int]
        /// The shape of its first output.
        public var output: [Int]
        /// The operations of all calls, those of the modules in it too.
        public var operations: Int
    }

    /// By module.
    public private(set) var entries: [ObjectIdentifier: Entry] = [:]
    /// The operations of everything that was done.
    public private(set) var operations = 0
    /// The modules that are at work now.
    private var active: Set<ObjectIdentifier> = []

    private static let isWanted = Atomic(false)
    /// Under a lock, though a record is made on one thread: nothing else is known of who calls a layer.
    private static let current = Mutex(ForwardRecord())

    /// Records what modules do in a closure; one record at a time in a process.
    public static func of(_ body: () throws -> Void) rethrows -> ForwardRecord {
        current.withLock { $0 = ForwardRecord() }
        isWanted.store(true, ordering: .relaxed)
        defer { isWanted.store(false, ordering: .relaxed) }
        let (_, operations) = try OperationCount.counting(body)
        var record = current.withLock { $0 }
        record.operations = operations
        return record
    }

    /// Whether anybody records.
    @inline(__always) static var isRecording: Bool { isWanted.load(ordering: .relaxed) }

    /// Takes note of a module's work, but for what it does within itself.
    @inline(__always)
    static func observe(_ module: Module, _ input: Tensor, _ body: () -> Tensor) -> Tensor {
        guard isRecording else { return body() }
        return record(module, input, body)
    }

    private static func record(_ module: Module, _ input: Tensor, _ body: () -> Tensor) -> Tensor {
        let key = ObjectIdentifier(module)
        guard current.withLock({ $0.active.insert(key).inserted }) else { return body() }
        let (output, operations) = OperationCount.counting(body)
        current.withLock { record in
            record.active.remove(key)
            let new = Entry(input: Array(input.shape), output: Array(output.shape), operations: 0)
            record.entries[key, default: new].operations += operations
        }
        return output
    }
}

extension Module {
    /// Computes this module's output, and lets a summary see its shapes and count its operations.
    ///
    /// ```swift
    /// func callAsFunction(_ input: Tensor) -> Tensor { observed(input) { attend(normalize($0)) } }
    /// ```
    @inline(__always)
    public final func observed(_ input: Tensor, _ body: (Tensor) -> Tensor) -> Tensor {
        ForwardRecord.observe(self, input) { body(input) }
    }
}
