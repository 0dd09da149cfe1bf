import Foundation

/// What the operating system knows of this process.
enum ProcessFigures {
    /// Seconds since the process was started, in steps of 10 ms.
    static var secondsSinceStart: Double {
        guard let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let fields = stat.split(separator: ")").last?.split(separator: " "), fields.count > 19,
            let ticks = Double(fields[19])
        else { return 0 }
        var now = timespec()
        clock_gettime(CLOCK_BOOTTIME, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9 - ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private static var usage: rusage {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage
    }

    /// The largest resident set so far, in MiB.
    static var largestResidentMebibytes: Double { Double(usage.ru_maxrss) / 1024 }
    /// Page faults that needed no reading so far.
    static var pageFaults: Int { usage.ru_minflt }
}
