import Foundation
import Synchronization
import Tensors

/// Writes an event file for TensorBoard: scalars, hyperparameters, and what a module adds besides.
///
/// ```swift
/// for case let board as TensorBoardLogger in loggers { try board.logImage("samples", image, step: globalStep) }
/// ```
///
/// Only rank 0 has loggers, so the line does nothing elsewhere. Scalars stand at the optimizer step. Each record is
/// appended and handed to the operating system at once: nothing is lost when the program dies.
public final class TensorBoardLogger: MetricLogger {
    /// Where the event file is.
    public let directory: String?
    private let file: AppendingFile
    private let clock: () -> Double
    /// The loggers that this process has made.
    private static let made = Atomic<Int>(0)
    private var isBegun = false
    private var hasHyperparameters = false

    /// A logger that writes a new event file into a directory.
    public convenience init(directory: String) {
        self.init(directory: directory) { Date().timeIntervalSince1970 }
    }

    /// The same with a clock of one's own, in seconds since 1970.
    package init(directory: String, clock: @escaping () -> Double) {
        self.directory = directory
        self.clock = clock
        // The name TensorBoard looks for; time, host and process keep two runs in one directory apart.
        let time = String(format: "%010d", Int(clock()))
        let number = Self.made.add(1, ordering: .relaxed).newValue
        let process = ProcessInfo.processInfo
        let name = "events.out.tfevents.\(time).\(process.hostName).\(process.processIdentifier).\(number)"
        file = AppendingFile("\(directory)/\(name)")
    }

    private func write(step: Int, _ values: [(inout ProtobufMessage) -> Void]) throws {
        let now = clock()
        if !isBegun {
            isBegun = true
            try file.append(EventRecord.encode(EventMessages.event(seconds: now, step: 0, EventMessages.version)))
        }
        let event = EventMessages.event(seconds: now, step: step) { EventMessages.summary(&$0, values) }
        try file.append(EventRecord.encode(event))
    }

    /// Writes what the table of hyperparameters shows.
    public func logHyperparameters(_ yaml: String) throws {
        try write(step: 0, [EventMessages.sessionStart(try HyperparameterList(yaml: yaml), seconds: clock())])
        hasHyperparameters = true
    }

    /// Writes scalars, in single precision, which is all the format has.
    public func log(_ record: MetricRecord) throws {
        try write(step: record.step, record.values.map { EventMessages.scalar($0.name, $0.value) })
    }

    /// Writes a picture: `[height, width]`, `[1, height, width]` or `[3, height, width]`, as ``PNGImage`` takes it.
    public func logImage(_ name: String, _ image: Tensor, step: Int) throws {
        try write(step: step, [EventMessages.image(name, PNGImage.encode(image), image.shape)])
    }

    /// Writes how the values of a tensor are spread.
    ///
    /// Values that are not finite are left out.
    public func logHistogram(_ name: String, _ tensor: Tensor, step: Int, buckets: Int = 64) throws {
        require(buckets > 0, "logHistogram", "\(buckets) buckets")
        try write(step: step, [EventMessages.histogram(name, Histogram(tensor, buckets: buckets))])
    }

    /// Writes a text, shown as Markdown.
    public func logText(_ name: String, _ text: String, step: Int) throws {
        try write(step: step, [EventMessages.text(name, text)])
    }

    /// Waits until everything is on the disk.
    public func flush() throws { try file.flush() }

    /// Writes how the run ended, and closes the file.
    public func finalize(_ status: String) throws {
        if hasHyperparameters {
            try write(step: 0, [EventMessages.sessionEnd(isSuccess: status == "finished", seconds: clock())])
        }
        try file.close()
    }
}
