/// Stops the program on misuse of the tensor library, with a message that survives release builds.
///
/// Shapes and types that do not fit are mistakes of the program, not of the world, so they trap, as an array index
/// does. (`precondition` would drop its message in a release build.)
///
/// - Parameters:
///   - operation: The operation that was asked for.
///   - message: What did not fit, with the shapes.
@inline(never)
package func fail(_ operation: StaticString, _ message: @autoclosure () -> String) -> Never {
    fatalError("\(operation): \(message())")
}

/// Traps with a message unless a condition holds.
@inline(__always)
package func require(_ condition: Bool, _ operation: StaticString, _ message: @autoclosure () -> String) {
    if !condition { fail(operation, message()) }
}
