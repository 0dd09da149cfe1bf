internal import CHDF5

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

// Note [One lock around HDF5]
// Most builds of HDF5 are not thread safe: its tables of identifiers, its caches and its error stack are plain
// globals. (Debian's is; then the error stack belongs to a thread, and the library has a lock like this one inside.)
// So every call into the library is made while holding one lock for the whole process, and the error stack
// of a failed call is read before the lock is given back. The lock is recursive, because identifiers are released by
// deinitialisers, which may run inside another call. Nothing waits for another thread while holding it, hence no
// deadlock; a large read on one thread does make the others wait for it.

/// The lock of Note [One lock around HDF5], and the settings of the library made before its first use.
///
/// Safe to share: the only state is a POSIX mutex and a key, neither of which moves or is destroyed.
private final class LibraryLock: @unchecked Sendable {
    let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    /// Set for threads on which HDF5 has been told not to print.
    private var quiet = pthread_key_t()

    init() {
        var attributes = pthread_mutexattr_t()
        pthread_mutexattr_init(&attributes)
        pthread_mutexattr_settype(&attributes, .init(PTHREAD_MUTEX_RECURSIVE))
        pthread_mutex_init(mutex, &attributes)
        pthread_mutexattr_destroy(&attributes)
        // By default HDF5 tears itself down in an exit handler, without any lock: a process that exits while a
        // prefetch thread reads could crash, and so could one whose disk was full when a file was closed.
        H5dont_atexit()
        H5open()
        pthread_key_create(&quiet, nil)
    }

    /// Takes the lock, and keeps HDF5 from printing failures, which become `HDF5Error`s, on this thread.
    func enter() {
        pthread_mutex_lock(mutex)
        // Where HDF5 is thread safe, each thread has its own setting.
        guard pthread_getspecific(quiet) == nil else { return }
        H5Eset_auto2(chdf5_current_error_stack(), nil, nil)
        pthread_setspecific(quiet, UnsafeRawPointer(mutex))
    }

    /// Gives the lock back.
    func leave() {
        pthread_mutex_unlock(mutex)
    }
}

private let lock = LibraryLock()

/// Runs `body` while no other thread is inside HDF5.
func withLibrary<Result: ~Copyable>(_ body: () throws(HDF5Error) -> Result) throws(HDF5Error) -> Result {
    lock.enter()
    defer { lock.leave() }
    return try body()
}

/// Makes one call into HDF5 under the lock; a negative result becomes an error that says where and why.
@discardableResult
func call<Result: SignedInteger>(
    _ routine: String, at place: Place, _ body: () -> Result
) throws(HDF5Error) -> Result {
    try withLibrary { () throws(HDF5Error) in
        let result = body()
        if result < 0 {
            // A refusal that HDF5 was not told of is the cause of what goes wrong after it.
            try place.checkWritten(routine)
            throw .fromStack(currentErrorStack(), routine: routine, at: place)
        }
        return result
    }
}

/// An HDF5 identifier of a passing thing — a dataspace, a type, a property list — released at the end of its scope.
struct Identifier: ~Copyable {
    let value: hid_t

    /// Owns the identifier that `body` makes by calling `routine`.
    init(_ routine: String, at place: Place, _ body: () -> hid_t) throws(HDF5Error) {
        value = try call(routine, at: place, body)
    }

    deinit {
        lock.enter()
        H5Idec_ref(value)
        lock.leave()
    }
}
