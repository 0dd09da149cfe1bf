// The standard library's `withUnsafeBytes` forgets which type of error its closure throws; these keep it.
extension Array where Element: BitwiseCopyable {
    func withRawBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws(HDF5Error) -> Result
    ) throws(HDF5Error) -> Result {
        try withUnsafeBufferPointer { elements throws(HDF5Error) in try body(UnsafeRawBufferPointer(elements)) }
    }

    mutating func withMutableRawBytes<Result>(
        _ body: (UnsafeMutableRawBufferPointer) throws(HDF5Error) -> Result
    ) throws(HDF5Error) -> Result {
        try withUnsafeMutableBufferPointer { elements throws(HDF5Error) in
            try body(UnsafeMutableRawBufferPointer(elements))
        }
    }
}
