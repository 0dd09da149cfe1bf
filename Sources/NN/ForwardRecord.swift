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

    /// A record that is being made; under a lock, since a task may have its layers at work in several others.
    private final class Recorder: Sendable {
        let record = Mutex(ForwardRecord())
    }

    /// How many records are made in the whole process: nobody looks further while there are none.
    private static let recorders = Atomic(0)
    /// The record that is made in this task or thread.
    @TaskLocal private static var recorder: Recorder?

    /// Records what modules do in a closure.
    ///
    /// What modules do in other threads in the meantime is not seen, except in tasks that this one started.
    public static func of(_ body: () throws -> Void) rethrows -> ForwardRecord {
        let recorder = Recorder()
        recorders.add(1, ordering: .relaxed)
        defer { recorders.subtract(1, ordering: .relaxed) }
        let (_, operations) = try OperationCount.counting { try $recorder.withValue(recorder, operation: body) }
        var record = recorder.record.withLock { $0 }
        record.operations = operations
        return record
    }

    /// Whether what modules do here and now is recorded.
    @inline(__always) static var isRecording: Bool {
        recorders.load(ordering: .relaxed) > 0 && recorder != nil
    }

    /// Takes note of a module's work, but for what it does within itself.
    @inline(__always)
    static func observe(_ module: Module, _ input: Tensor, _ body: () -> Tensor) -> Tensor {
        guard recorders.load(ordering: .relaxed) > 0, let recorder else { return body() }
        return record(module, input, in: recorder, body)
    }

    private static func record(
        _ module: Module, _ input: Tensor, in recorder: Recorder, _ body: () -> Tensor
    ) -> Tensor {
        let key = ObjectIdentifier(module)
        guard recorder.record.withLock({ $0.active.insert(key).inserted }) else { return body() }
        let (output, operations) = OperationCount.counting(body)
        recorder.record.withLock { record in
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
