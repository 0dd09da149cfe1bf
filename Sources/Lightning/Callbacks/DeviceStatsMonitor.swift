import Foundation
import NN
import Tensors

/// Logs what the processes of a job take from their machines: least, mean and most over the ranks.
///
/// `device/memory_mib` is resident memory, `device/tensors_mib` the part that tensors have in use, and
/// `device/cpu_percent` processor time since the last time, 100 for one core. Behind each stands `_min`, `_mean` or
/// `_max`. A rank that grows, or waits while others compute, shows in the difference. Each time takes one exchange
/// between the ranks.
public final class DeviceStatsMonitor: Callback {
    private let everySteps: Int?
    private var last = ProcessStatistics()

    /// A monitor.
    ///
    /// - Parameter everySteps: Optimizer steps from one time to the next; by default the trainer's `logEverySteps`.
    public init(everySteps: Int? = nil) { self.everySteps = everySteps }

    /// Checks the interval.
    public override func setup(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) throws {
        if let everySteps, everySteps < 1 { throw TrainingError("DeviceStatsMonitor: every \(everySteps) steps") }
    }

    /// Begins to measure.
    public override func onTrainStart(_ trainer: Trainer, _ module: LightningModule) { last = .now() }

    /// Measures on all ranks.
    public override func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) throws {
        let every = everySteps ?? trainer.configuration.logEverySteps
        guard moment == .optimizerStep, trainer.hasJustTaken(multipleOf: every) else { return }
        let now = ProcessStatistics.now()
        let own = [
            now.residentBytes / 1_048_576, Double(MemoryPool.counts.bytesInUse) / 1_048_576,
            100 * (now.processorSeconds - last.processorSeconds) / max(now.seconds - last.seconds, 1e-9),
        ]
        last = now
        let ranks = try trainer.strategy.gather(Tensor(own), tag: "device statistics").map(\.doubles)
        var values: [(name: String, value: Double)] = []
        for (index, name) in ["memory_mib", "tensors_mib", "cpu_percent"].enumerated() {
            let all = ranks.map { $0[index] }
            values.append(("device/\(name)_min", all.min() ?? 0))
            values.append(("device/\(name)_mean", all.reduce(0, +) / Double(all.count)))
            values.append(("device/\(name)_max", all.max() ?? 0))
        }
        try trainer.logDirectly(values)
    }
}

/// What the operating system says about this process.
struct ProcessStatistics {
    var residentBytes = 0.0
    /// Time on all cores, in the program and in the system for it.
    var processorSeconds = 0.0
    /// The moment.
    var seconds = 0.0

    static func now() -> ProcessStatistics {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        let times = [usage.ru_utime, usage.ru_stime].map { Double($0.tv_sec) + Double($0.tv_usec) * 1e-6 }
        // Pages: of the whole address space, and resident.
        let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ")
        let resident = pages.flatMap { $0.count > 1 ? Double($0[1]) : nil } ?? 0
        return ProcessStatistics(
            residentBytes: resident * Double(sysconf(Int32(_SC_PAGESIZE))), processorSeconds: times.reduce(0, +),
            seconds: ProcessInfo.processInfo.systemUptime)
    }
}
