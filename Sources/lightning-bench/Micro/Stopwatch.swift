import Foundation

/// How long something takes when nothing disturbs it.
enum Stopwatch {
    /// Seconds of the fastest of several runs.
    static func least(of runs: Int, _ body: () throws -> Void) rethrows -> Double {
        var least = Double.infinity
        for _ in 0..<runs {
            let start = DispatchTime.now().uptimeNanoseconds
            try body()
            least = min(least, Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9)
        }
        return least
    }

    /// Seconds of one call, the least over rounds of many calls that fill about `seconds` together, after one to warm up.
    static func secondsPerCall(filling seconds: Double = 0.15, _ body: () throws -> Void) rethrows -> Double {
        let once = try least(of: 2, body)
        let calls = max(1, min(10_000, Int(seconds / 5 / max(once, 1e-7))))
        return try least(of: 5) { for _ in 0..<calls { try body() } } / Double(calls)
    }
}
