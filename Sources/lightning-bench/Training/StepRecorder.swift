import CBenchmark
import DataParallel
import Foundation
import Lightning

/// Takes the time at each training step, and counts what the steps between warm-up and end cost.
final class StepRecorder {
    /// What can be counted of a process.
    private struct Counts {
        let pool = MemoryPool.counts
        let heapAllocations = Int(cb_heap_allocations())
        let pageFaults = ProcessFigures.pageFaults
        let communication: CommunicationCounts
    }

    private let communication: () -> CommunicationCounts

    private let warmup: Int
    private let last: Int
    private var stamps: [UInt64] = []
    private var firstStep = 0.0
    private var before: Counts?
    private var after: Counts?

    /// A recorder for `warmup` steps and then `steps` that count, of ranks that have communicated so much when asked.
    init(warmup: Int, steps: Int, communication: @escaping () -> CommunicationCounts) {
        self.warmup = warmup
        self.communication = communication
        last = warmup + steps
        // Growing and first touching the list must not be counted as faults of a step.
        stamps = Array(repeating: 0, count: last + 2)
        stamps.removeAll(keepingCapacity: true)
    }

    /// Called where a step begins: from one call to the next is one whole step.
    func stepBegins() {
        if stamps.count == last { after = Counts(communication: communication()) }
        stamps.append(DispatchTime.now().uptimeNanoseconds)
        if stamps.count == 2 { firstStep = ProcessFigures.secondsSinceStart }
        if stamps.count == warmup + 1 { before = Counts(communication: communication()) }
    }

    /// The figures, in the units their names say; counts are over all measured steps unless they are called a step's.
    func report(batch: Int, worldSize: Int) -> [String: Any] {
        let times = zip(stamps.dropFirst(), stamps).map { Double($0 - $1) / 1e6 }.dropFirst(warmup)
        let sorted = times.sorted()
        guard let least = sorted.first else { return [:] }
        let middle = sorted.count / 2
        let median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        var report: [String: Any] = [
            "framework": "swift-lightning", "ranks": worldSize, "batch": batch, "steps": sorted.count,
            "step_ms": median, "mean_ms": times.reduce(0, +) / Double(times.count), "min_ms": least,
            "p10_ms": sorted[sorted.count / 10], "p90_ms": sorted[sorted.count * 9 / 10],
            "samples_per_s": Double(batch * worldSize) / median * 1e3, "first_step_s": firstStep,
            "maxrss_mib": ProcessFigures.largestResidentMebibytes,
        ]
        if let before, let after {
            report["system_allocations"] = after.pool.systemAllocations - before.pool.systemAllocations
            report["storage_copies"] = after.pool.storageCopies - before.pool.storageCopies
            report["gradient_copies"] = after.pool.gradientCopies - before.pool.gradientCopies
            report["page_faults"] = after.pageFaults - before.pageFaults
            let steps = Double(last - warmup)
            report["collectives_per_step"] =
                Double(after.communication.collectives - before.communication.collectives) / steps
            report["bytes_reduced_per_step"] =
                Double(after.communication.bytesReduced - before.communication.bytesReduced) / steps
            if before.heapAllocations >= 0 {
                report["heap_allocations_per_step"] =
                    Double(after.heapAllocations - before.heapAllocations) / steps
            }
        }
        return report
    }
}
