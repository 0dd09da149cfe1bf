/// Whether operations record themselves for the backward pass.
public enum GradientMode {
    /// True unless inside ``withoutGradient(_:)``.
    @TaskLocal public static var isEnabled = true
}

/// Runs a closure whose operations leave no gradient graph: validation, inference, weight surgery.
public func withoutGradient<R>(_ body: () throws -> R) rethrows -> R {
    try GradientMode.$isEnabled.withValue(false, operation: body)
}

/// Runs a closure whose operations are recorded, also inside ``withoutGradient(_:)``.
public func withGradient<R>(_ body: () throws -> R) rethrows -> R {
    try GradientMode.$isEnabled.withValue(true, operation: body)
}
