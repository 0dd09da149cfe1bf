import NN
import Tensors

/// Prints the layers of a module and how many parameters they have, before training.
public final class ModelSummary: Callback {
    private let maxDepth: Int

    /// A summary down to a depth; −1 shows every layer.
    public init(maxDepth: Int = 1) { self.maxDepth = maxDepth }

    /// Prints the table on rank 0.
    public override func onFitStart(_ trainer: Trainer, _ module: LightningModule) throws {
        trainer.print(text(module))
        let (topology, threads) = (trainer.strategy.topology, Parallel.threadCount)
        let ranks =
            topology.worldSize == 1
            ? "1 process"
            : "\(topology.worldSize) ranks on \(topology.nodeCount) node\(topology.nodeCount == 1 ? "" : "s")"
        trainer.print("\(ranks), \(threads) thread\(threads == 1 ? "" : "s") each, BLAS kernel \(blasKernel)")
    }

    /// The table of a module.
    public func text(_ module: Module) -> String {
        let modules = module.namedModules.filter {
            maxDepth < 0 || $0.name.split(separator: ".").count <= maxDepth
        }
        let rows = modules.map { name, part in
            (name, String(describing: type(of: part)), part.parameters.reduce(0) { $0 + $1.elementCount })
        }
        let nameWidth = max(4, rows.map(\.0.count).max() ?? 0), typeWidth = max(4, rows.map(\.1.count).max() ?? 0)
        func row(_ a: String, _ b: String, _ c: String) -> String {
            " \(ResultsTable.pad(a, nameWidth)) │ \(ResultsTable.pad(b, typeWidth)) │ \(c)"
        }
        let line = String(repeating: "─", count: nameWidth + typeWidth + 22)
        let parameters = module.parameters
        let all = parameters.reduce(0) { $0 + $1.elementCount }
        let trained = parameters.filter(\.requiresGradient).reduce(0) { $0 + $1.elementCount }
        let bytes = parameters.reduce(0) { $0 + $1.elementCount * $1.dtype.byteCount }
        let lines =
            [row("name", "type", "parameters"), line] + rows.map { row($0.0, $0.1, grouped($0.2)) }
            + [
                line,
                " \(grouped(trained)) trainable, \(grouped(all - trained)) frozen, \(ResultsTable.number(Double(bytes) / 1_048_576)) MiB",
            ]
        return lines.joined(separator: "\n")
    }

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
