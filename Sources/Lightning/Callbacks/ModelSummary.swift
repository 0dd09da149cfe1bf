import NN
import Tensors

/// Prints the layers of a module and how many parameters they have, before training.
///
/// A module that is a `Layer` and has an ``LightningModule/exampleInputArray`` is run on it once, in evaluation mode and
/// without gradients: then the table has the shapes of inputs and outputs, and the floating-point operations of a forward
/// pass, a multiplication and an addition each. Modes and buffers are as before afterwards.
public final class ModelSummary: Callback {
    private let maxDepth: Int

    /// A summary down to a depth; −1 shows every layer, 0 only the sums.
    public init(maxDepth: Int = 1) { self.maxDepth = maxDepth }

    /// Prints the table on rank 0.
    public override func onFitStart(_ trainer: Trainer, _ module: LightningModule) throws {
        if trainer.isGlobalZero { trainer.print(text(module)) }
        let (topology, threads) = (trainer.strategy.topology, Parallel.threadCount)
        let ranks =
            topology.worldSize == 1
            ? "1 process"
            : "\(topology.worldSize) ranks on \(topology.nodeCount) node\(topology.nodeCount == 1 ? "" : "s")"
        trainer.print("\(ranks), \(threads) thread\(threads == 1 ? "" : "s") each, BLAS kernel \(blasKernel)")
    }

    /// The table of a module.
    public func text(_ module: Module) -> String {
        let all = module.namedModules
        let shown = all.filter { maxDepth < 0 || $0.name.split(separator: ".").count <= maxDepth }
        let example = (module as? LightningModule)?.exampleInputArray
        let record = example.flatMap { example in
            (module as? any Layer).map { ForwardRecord.evaluating($0, on: example) }
        }
        var cells = [["name", "type", "parameters"]]
        if record != nil { cells[0] += ["input", "output", "operations"] }
        for (name, part) in shown {
            let count = part.parameters.reduce(0) { $0 + $1.elementCount }
            cells.append([name, String(describing: type(of: part)), grouped(count)])
            guard let record else { continue }
            let entry = record.entries[ObjectIdentifier(part)]
            let operations = entry?.operations ?? record.operations(below: part)
            cells[cells.count - 1] += [
                entry.map { "\($0.input)" } ?? "?", entry.map { "\($0.output)" } ?? "?",
                operations.map(grouped) ?? "?",
            ]
        }
        let widths = cells[0].indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        var lines = cells.map { row in
            " "
                + row.indices.map { column in
                    column == row.count - 1 ? row[column] : ResultsTable.pad(row[column], widths[column])
                }.joined(separator: " │ ")
        }
        let line = String(repeating: "─", count: widths.reduce(2, +) + 3 * (widths.count - 1))
        lines.insert(line, at: 1)
        return (lines + [line] + totals(module, example, record)).joined(separator: "\n")
    }

    /// The lines below the table.
    private func totals(_ module: Module, _ example: Tensor?, _ record: ForwardRecord?) -> [String] {
        let parameters = module.parameters
        let all = parameters.reduce(0) { $0 + $1.elementCount }
        let trained = parameters.filter(\.requiresGradient).reduce(0) { $0 + $1.elementCount }
        let bytes = parameters.reduce(0) { $0 + $1.elementCount * $1.dtype.byteCount }
        let buffers = module.namedBuffers.reduce(0) {
            $0 + $1.buffer.value.elementCount * $1.buffer.value.dtype.byteCount
        }
        var lines = [
            " \(grouped(trained)) trainable, \(grouped(all - trained)) frozen, \(megabytes(bytes)) MB"
                + (buffers > 0 ? ", and \(megabytes(buffers)) MB of buffers" : "")
        ]
        if let record, let example {
            lines.append(" \(grouped(record.operations)) operations forward for an input of \(Array(example.shape))")
        } else if example != nil {
            lines.append(
                " exampleInputArray is given, but \(type(of: module)) is no Layer that could be run on it: conform to Layer"
            )
        }
        return lines
    }

    private func megabytes(_ bytes: Int) -> String { ResultsTable.number(Double(bytes) / 1e6) }

    /// Thousands apart: `1,234,567`.
    private func grouped(_ number: Int) -> String {
        var digits = Array(String(number))
        var place = digits.count - 3
        while place > 0 {
            digits.insert(",", at: place)
            place -= 3
        }
        return String(digits)
    }
}

extension ForwardRecord {
    /// What a module does with an input in evaluation mode; it is left as it was.
    static func evaluating(_ module: any Layer, on example: Tensor) -> ForwardRecord {
        let (modes, buffers) = (module.modes, module.namedBuffers.map { ($0.buffer, $0.buffer.value) })
        defer {
            module.restoreModes(modes)
            for (buffer, value) in buffers { buffer.value = value }
        }
        module.evaluate()
        let type = module.parameters.first?.dtype
        let input =
            example.dtype.isFloatingPoint && type != nil ? example.converted(to: type ?? example.dtype) : example
        return RandomContext.$current.withValue(RandomContext(seed: 0)) {
            withoutGradient { of { _ = module(input) } }
        }
    }

    /// The operations of a module that nobody saw: those of the parts that were seen, if any.
    func operations(below module: Module) -> Int? {
        var sum: Int?
        var counted: [String] = []
        for (name, part) in module.namedModules {
            guard !counted.contains(where: { name.hasPrefix($0 + ".") }),
                let entry = entries[ObjectIdentifier(part)]
            else { continue }
            counted.append(name)
            sum = (sum ?? 0) + entry.operations
        }
        return sum
    }
}
