import Foundation
import Synchronization

/// The name of a file that is being written: `.partial-<process>-<number>@<host>.h5`.
///
/// It says who writes it, so that what killed processes leave behind can be told from what is in the making. The dot
/// hides it from patterns such as `*.h5`.
package struct TemporaryName: Equatable {
    package let process: Int32
    package let number: Int
    package let host: String

    private static let count = Atomic<Int>(0)

    /// A name that no other write of this process, and no other process, uses.
    static func next() -> TemporaryName {
        TemporaryName(process: getpid(), number: count.add(1, ordering: .relaxed).newValue, host: thisHost)
    }

    package init(process: Int32, number: Int, host: String) {
        self.process = process
        self.number = number
        self.host = host
    }

    /// Reads a file's name; `nil` when it is not of this form.
    package init?(_ name: String) {
        guard let match = name.wholeMatch(of: /\.partial-([0-9]+)-([0-9]+)@(.+)\.h5/),
            let process = Int32(match.1), let number = Int(match.2)
        else { return nil }
        self.init(process: process, number: number, host: String(match.3))
    }

    package var text: String { ".partial-\(process)-\(number)@\(host).h5" }

    /// The path of this name in the directory of another file.
    func path(beside path: String) -> String {
        directory(of: path) + "/" + text
    }

    /// Whether its process does not run any more; of processes on other hosts nothing is known.
    var isStale: Bool {
        host == Self.thisHost && kill(process, 0) == -1 && errno == ESRCH
    }

    package static let thisHost: String = {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }()
}
