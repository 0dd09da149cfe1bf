import Tensors

extension Module {
    /// How many numbers are learnt: the elements of all parameters, tied ones once.
    ///
    /// - Parameter onlyTrainable: Leaves out parameters without gradient, as ``freeze()`` makes them.
    public final func parameterCount(onlyTrainable: Bool = false) -> Int {
        parameters.filter { !onlyTrainable || $0.requiresGradient }.reduce(0) { $0 + $1.elementCount }
    }

    /// Calls a closure with each module below this one, in the order of ``namedModules``, then with this one.
    ///
    ///     network.apply { if let layer = $0 as? Linear { layer.weight.initialize(.orthogonal(gain: 1)) } }
    public final func apply(_ body: (Module) throws -> Void) rethrows {
        for (_, module) in namedModules { try body(module) }
        try body(self)
    }
}
