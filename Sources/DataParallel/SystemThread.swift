#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A thread of the operating system that runs one closure to its end.
struct SystemThread: Sendable {
    private let handle: pthread_t

    /// Starts `body` on a new thread; `purpose` is for the message that ends the program when there is no thread left.
    init(for purpose: String, _ body: @escaping @Sendable () -> Void) {
        let start = Unmanaged.passRetained(Start(body: body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, start.toOpaque())
        guard code == 0 else { fatalError("no thread for the \(purpose): \(String(cString: strerror(code)))") }
        handle = thread
    }

    /// Waits until the body has returned.
    ///
    /// Once only.
    func join() { pthread_join(handle, nil) }

    /// Whether the caller runs on this thread.
    var isCurrent: Bool { pthread_equal(handle, pthread_self()) != 0 }

    private final class Start: Sendable {
        let body: @Sendable () -> Void

        init(body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
