// HDF5 can give the name of the nth thing too, but in a large group it sorts all of them for each.

/// The names that one of HDF5's iterations visits, in its order.
///
/// - Parameter iterate: Starts the iteration; hands its argument to the visitor, which hands it to `append`.
func collectNames(
    _ routine: String, at place: Place, _ iterate: (_ names: UnsafeMutableRawPointer) -> Int32
) throws(HDF5Error) -> [String] {
    var names: [String] = []
    try withUnsafeMutablePointer(to: &names) { names throws(HDF5Error) in
        _ = try call(routine, at: place) { iterate(names) }
    }
    return names
}

/// Adds a name to the list that `collectNames` began.
func append(_ name: UnsafePointer<CChar>?, to names: UnsafeMutableRawPointer?) {
    guard let name, let names else { return }
    names.assumingMemoryBound(to: [String].self).pointee.append(String(cString: name))
}
