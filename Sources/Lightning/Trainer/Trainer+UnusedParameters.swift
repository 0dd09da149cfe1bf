import NN
import Tensors

/// Note [Unused parameters]: a parameter that the loss does not depend on is no error, on any number of ranks; it weighs
/// nothing and stays as it is. Mostly it is a mistake all the same, so it is named once: after the first optimizer step of
/// a fit the ranks tell each other which of their parameters had got no gradient, and those that had none anywhere are
/// reported. Later steps exchange nothing more.
extension Trainer {
    /// Whether the coming step of an optimizer is the first of the fit.
    func looksForUnused(ofOptimizer index: Int) -> Bool { !isTrial && !searchedOptimizers.contains(index) }

    /// The trainable parameters that have no gradient now; before the sum over ranks, which gives zeros to all.
    static func namesWithoutGradient(_ parameters: [Parameter]) -> [String] {
        parameters.filter { $0.requiresGradient && $0.gradient == nil }.map(\.name)
    }

    /// Warns of parameters that no rank had a gradient for.
    ///
    /// Collective.
    /// - Parameters:
    ///   - names: Those that this rank had none for.
    ///   - index: The optimizer.
    ///   - step: The step in words.
    func report(withoutGradient names: [String], ofOptimizer index: Int, in step: String) throws {
        searchedOptimizers.insert(index)
        let ranks = try strategy.gather(try JSON.encode(names), tag: "parameters without a gradient").map {
            Set(try JSON.decode([String].self, from: $0))
        }
        let unused = names.filter { name in ranks.allSatisfy { $0.contains(name) } }
        guard !unused.isEmpty else { return }
        let shown = unused.prefix(10).map { "'\($0)'" }.joined(separator: ", ")
        let more = unused.count > 10 ? " and \(unused.count - 10) more" : ""
        print(
            "warning: \(unused.count == 1 ? "a parameter" : "\(unused.count) parameters") got no gradient in \(step): \(shown)\(more); the loss does not depend on \(unused.count == 1 ? "it" : "them"). Freeze what is not to be trained, or remove it"
        )
    }
}
