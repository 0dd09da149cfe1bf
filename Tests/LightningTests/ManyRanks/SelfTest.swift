import Checkpoints
import Foundation
import Lightning
import TestSupport
import Testing

/// A run of the program `trainer-selftest`, and what it said.
struct SelfTest {
    let run: MPIRun
    private let values: [String: String]

    /// Runs a scenario on so many ranks.
    init(_ scenario: String, _ arguments: [String] = [], in scratch: ScratchDirectory, ranks: Int) throws {
        run = try MPIRun("trainer-selftest", [scenario, scratch.path] + arguments, ranks: ranks, limit: 90)
        var values: [String: String] = [:]
        for line in run.output.split(separator: "\n") {
            if let colon = line.firstRange(of: ": ") {
                values[String(line[..<colon.lowerBound])] = String(line[colon.upperBound...])
            }
        }
        self.values = values
    }

    /// The value of a line.
    subscript(key: String) -> String? { values[key] }

    /// The lines whose keys begin with a word, by the rest of the key.
    func values(_ prefix: String) -> [String: String] {
        var found: [String: String] = [:]
        for (key, value) in values where key.hasPrefix(prefix + " ") {
            found[String(key.dropFirst(prefix.count + 1))] = value
        }
        return found
    }

    /// The same, and the run must have been a success.
    static func success(
        _ scenario: String, _ arguments: [String] = [], in scratch: ScratchDirectory, ranks: Int
    ) throws -> SelfTest {
        let test = try SelfTest(scenario, arguments, in: scratch, ranks: ranks)
        try #require(test.run.status == 0 && !test.run.timedOut, "\(test.run.output)")
        return test
    }
}

/// All numbers of a checkpoint file, by key.
func tensors(_ path: String) throws -> [String: [Double]] {
    let checkpoint = try Checkpoint.read(from: path)
    var all: [String: [Double]] = [:]
    for (key, tensor) in checkpoint.model { all[key] = tensor.doubles }
    for (index, state) in checkpoint.optimizers.enumerated() {
        for (key, tensor) in state { all["optimizer \(index) \(key)"] = tensor.doubles }
    }
    return all
}

/// The largest relative difference of two sets of numbers; infinite when they do not have the same keys and counts.
func largestDifference(_ a: [String: [Double]], _ b: [String: [Double]]) -> Double {
    guard Set(a.keys) == Set(b.keys) else { return .infinity }
    var largest = 0.0
    for (key, numbers) in a {
        guard let others = b[key], others.count == numbers.count else { return .infinity }
        // Relative to the largest number of the tensor: single numbers may be near zero.
        let scale = max(numbers.map(abs).max() ?? 0, 1e-300)
        for (x, y) in zip(numbers, others) { largest = max(largest, x == y ? 0 : abs(x - y) / scale) }
    }
    return largest
}
