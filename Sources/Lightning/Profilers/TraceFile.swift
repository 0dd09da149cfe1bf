import Foundation

/// A trace in the format of Chrome's tracing, which Perfetto reads too: whole after every write.
///
/// Each write begins where the end of the list was, and ends with a new one, in one call of the system. So the file can be
/// read while it grows, and when the program dies.
///
/// Format: "Trace Event Format", docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
final class TraceFile {
    private static let end = Array("\n]}\n".utf8)

    private let handle: FileHandle
    private let process: Int
    /// Where the end of the list is.
    private var offset: UInt64 = 0
    private var pending: [UInt8] = []
    private var namedThreads: Set<Int> = []

    /// A file that replaces what was there.
    init(_ path: String, process: Int, named name: String) throws {
        self.process = process
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw TrainingError("\(path) cannot be written; the trace of the profiler belongs there") }
        self.handle = handle
        put("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n")
        put("{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":\(process),\"args\":{\"name\":")
        put(quoted: name)
        put(
            "}},\n{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":\(process),\"args\":{\"sort_index\":\(process)}}"
        )
        try write()
    }

    deinit { try? handle.close() }

    /// Adds what a thread did between two times, in nanoseconds.
    func add(_ name: String, in thread: Int, named threadName: String, from began: UInt64, to ended: UInt64) {
        if namedThreads.insert(thread).inserted {
            put(",\n{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":\(process),\"tid\":\(thread),\"args\":{\"name\":")
            put(quoted: threadName)
            put("}}")
        }
        put(",\n{\"ph\":\"X\",\"pid\":\(process),\"tid\":\(thread),\"ts\":")
        put(microseconds: began)
        put(",\"dur\":")
        put(microseconds: ended - began)
        put(",\"name\":")
        put(quoted: name)
        put("}")
    }

    /// Adds a remark at a time, in nanoseconds.
    func addEnd(at time: UInt64, _ name: String) {
        put(",\n{\"ph\":\"i\",\"s\":\"p\",\"pid\":\(process),\"tid\":0,\"ts\":")
        put(microseconds: time)
        put(",\"name\":")
        put(quoted: name)
        put("}")
    }

    /// Writes what was added.
    func write() throws {
        let size = UInt64(pending.count)
        pending += Self.end
        try handle.seek(toOffset: offset)
        try handle.write(contentsOf: Data(pending))
        offset += size
        pending.removeAll(keepingCapacity: true)
    }

    private func put(_ text: String) { pending.append(contentsOf: text.utf8) }

    /// Nanoseconds as microseconds, to the last digit.
    private func put(microseconds nanoseconds: UInt64) {
        let rest = nanoseconds % 1000
        put("\(nanoseconds / 1000).\(rest < 100 ? "0" : "")\(rest < 10 ? "0" : "")\(rest)")
    }

    private func put(quoted text: String) {
        put("\"")
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": put("\\\(scalar)")
            case _ where scalar.value < 0x20: put(String(format: "\\u%04x", scalar.value))
            default: put(String(scalar))
            }
        }
        put("\"")
    }
}
