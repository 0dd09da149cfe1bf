import Foundation

/// The events of a trace that are not in its file yet.
struct Timeline {
    /// Something that was done.
    private struct Event {
        var action: Int
        var thread: Int
        var began: UInt64
        var ended: UInt64
    }

    /// An event is some hundred bytes of the file, and a browser does not show many more.
    private static let most = 1_000_000
    /// So many are written at once, or those of a second.
    private static let together = 4096

    var file: TraceFile?
    private(set) var failure: (any Error)?
    private var events: [Event] = []
    private var count = 0
    /// The threads met so far with their names, the one that begins the run first.
    private var threads = [(thread: pthread_self(), name: "training")]
    private var lastWrite: UInt64 = 0

    /// Takes note of what the calling thread did, in nanoseconds since the run began; the first million of events only.
    ///
    /// - Parameter isCollective: Whether it is the lane's work: a thread first met in it is the lane's own.
    mutating func add(_ action: Int, isCollective: Bool = false, from began: UInt64, to ended: UInt64) {
        guard count < Self.most else { return }
        count += 1
        events.append(Event(action: action, thread: ownThread(isCollective), began: began, ended: ended))
    }

    /// Whether it is time to write.
    func isDue(at now: UInt64) -> Bool {
        file != nil && (events.count >= Self.together || now - lastWrite > 1_000_000_000)
    }

    private mutating func ownThread(_ isCollective: Bool) -> Int {
        let own = pthread_self()
        if let place = threads.firstIndex(where: { pthread_equal($0.thread, own) != 0 }) { return place }
        threads.append((own, isCollective ? "communication" : "thread \(threads.count)"))
        return threads.count - 1
    }

    /// Writes all events, if there is a file and something to write.
    ///
    /// - Returns: Whether it did. What goes wrong is kept in ``failure``, for a disk that is full must not end a training
    ///   in its middle.
    mutating func write(names: [String]) -> Bool {
        guard let file, !events.isEmpty, failure == nil else { return false }
        do {
            for event in events {
                file.add(
                    names[event.action], in: event.thread, named: threads[event.thread].name, from: event.began,
                    to: event.ended)
                lastWrite = max(lastWrite, event.ended)
            }
            if count == Self.most { file.addEnd(at: lastWrite, "the trace ends here: it has \(Self.most) events") }
            events.removeAll(keepingCapacity: true)
            try file.write()
        } catch { failure = error }
        return true
    }
}
