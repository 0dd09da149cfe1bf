import NN
import Optimizers
import Tensors

extension LightningModule {
    /// The Euclidean norms of the gradients: of each parameter that has one, by its name, and of all together.
    ///
    /// From `onBeforeOptimizerStep` on they are those of all ranks, before clipping, and on every rank the same:
    ///
    /// ```swift
    /// override func onBeforeOptimizerStep(_ optimizer: Optimizer) { logDictionary(gradientNorms()) }
    /// ```
    ///
    /// - Parameter name: What their names begin with: `name/weight`, and `name_total` for all together.
    public final func gradientNorms(_ name: String = "gradient_norm") -> [String: Double] {
        var norms: [String: Double] = [:]
        var all: [Parameter] = []
        for (key, parameter) in namedParameters where parameter.gradient != nil {
            norms["\(name)/\(key)"] = gradientNorm(of: [parameter])
            all.append(parameter)
        }
        norms[name + "_total"] = gradientNorm(of: all)
        return norms
    }
}
