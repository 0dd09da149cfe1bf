/// The collectives over Swift values, for control traffic: they allocate and are not meant for gradients.
extension Communicator {
    /// The reduction of each element over all ranks; every rank gives as many.
    ///
    /// Floating sums are in MPI's order.
    ///
    /// - Throws: `MPIError` when MPI fails.
    public func allReduce<Element: ReductionElement>(
        _ values: [Element], _ operation: ReductionOperation
    ) throws(MPIError) -> [Element] {
        var result = values
        try result.withUnsafeMutableBufferPointer { (buffer) throws(MPIError) in try allReduce(buffer, operation) }
        return result
    }

    /// The reduction of one number over all ranks.
    ///
    /// Floating sums are in MPI's order.
    ///
    /// - Throws: `MPIError` when MPI fails.
    public func allReduce<Element: ReductionElement>(
        _ value: Element, _ operation: ReductionOperation
    ) throws(MPIError) -> Element {
        try allReduce([value], operation)[0]
    }

    /// Every rank's array, by rank; the arrays may differ in length and be empty.
    ///
    /// - Throws: `MPIError` when MPI fails.
    public func allGather<Element: BitwiseCopyable>(_ values: [Element]) throws(MPIError) -> [[Element]] {
        let (layout, joined) = try joinedGather(values) { (bytes, result, layout) throws(MPIError) in
            try allGatherVariable(bytes, into: result, layout: layout)
        }
        return divided(joined, layout)
    }

    /// Every rank's array on `root`, by rank, and `nil` elsewhere; the arrays may differ in length and be empty.
    ///
    /// - Throws: `MPIError` when MPI fails or `root` is not a rank.
    public func gather<Element: BitwiseCopyable>(_ values: [Element], to root: Int) throws(MPIError) -> [[Element]]? {
        let (layout, joined) = try joinedGather(values, here: rank == root) {
            (bytes, result, layout) throws(MPIError) in
            try gatherVariable(bytes, into: result, layout: layout, root: root)
        }
        return rank == root ? divided(joined, layout) : nil
    }

    /// Every rank's text, by rank.
    ///
    /// - Throws: `MPIError` when MPI fails.
    public func allGather(_ text: String) throws(MPIError) -> [String] {
        try allGather(Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
    }

    /// `root`'s array on every rank.
    ///
    /// What the other ranks give is ignored.
    ///
    /// - Throws: `MPIError` when MPI fails or `root` is not a rank.
    public func broadcast<Element: BitwiseCopyable>(_ values: [Element], from root: Int) throws(MPIError) -> [Element] {
        var count = [Int64(values.count)]
        try count.withUnsafeMutableBufferPointer { (number) throws(MPIError) in
            try broadcast(UnsafeMutableRawBufferPointer(number), from: root)
        }
        return try filled(Int(count[0])) { (elements: UnsafeMutableBufferPointer<Element>) throws(MPIError) in
            if rank == root { _ = elements.initialize(from: values) }
            try broadcast(UnsafeMutableRawBufferPointer(elements), from: root)
        }
    }

    /// `root`'s text on every rank.
    ///
    /// What the other ranks give is ignored.
    ///
    /// - Throws: `MPIError` when MPI fails or `root` is not a rank.
    public func broadcast(_ text: String, from root: Int) throws(MPIError) -> String {
        String(decoding: try broadcast(Array(text.utf8), from: root), as: UTF8.self)
    }

    /// Sends `parts[p]` to rank p and returns what every rank sent here, by rank.
    ///
    /// - Throws: `MPIError` when MPI fails or there is not one part for each rank.
    public func allToAll<Element: BitwiseCopyable>(_ parts: [[Element]]) throws(MPIError) -> [[Element]] {
        try require(parts.count == size, "\(parts.count) parts for \(size) ranks", in: #function, place)
        let width = MemoryLayout<Element>.stride
        let sending = RankLayout(counts: parts.map { $0.count * width })
        let sizes = RankLayout(counts: Array(repeating: MemoryLayout<Int>.stride, count: size))
        let counts = try filled(size) { (counts: UnsafeMutableBufferPointer<Int>) throws(MPIError) in
            try sending.counts.withUnsafeBufferPointer { (own) throws(MPIError) in
                try allToAllVariable(
                    UnsafeRawBufferPointer(own), sizes, into: UnsafeMutableRawBufferPointer(counts), sizes)
            }
        }
        let receiving = RankLayout(counts: counts)
        let joined = try filled(receiving.total / width) {
            (result: UnsafeMutableBufferPointer<Element>) throws(MPIError) in
            try Array(parts.joined()).withUnsafeBufferPointer { (own) throws(MPIError) in
                try allToAllVariable(
                    UnsafeRawBufferPointer(own), sending, into: UnsafeMutableRawBufferPointer(result), receiving)
            }
        }
        return divided(joined, receiving)
    }

    private func joinedGather<Element: BitwiseCopyable>(
        _ values: [Element], here: Bool = true,
        _ gather: (UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer, RankLayout) throws(MPIError) -> Void
    ) throws(MPIError) -> (RankLayout, [Element]) {
        let width = MemoryLayout<Element>.stride
        let counts = try filled(size) { (counts: UnsafeMutableBufferPointer<Int>) throws(MPIError) in
            try [values.count * width].withUnsafeBufferPointer { (own) throws(MPIError) in
                try allGather(UnsafeRawBufferPointer(own), into: UnsafeMutableRawBufferPointer(counts))
            }
        }
        let layout = RankLayout(counts: counts)
        let joined = try filled(here ? layout.total / width : 0) {
            (result: UnsafeMutableBufferPointer<Element>) throws(MPIError) in
            try values.withUnsafeBufferPointer { (own) throws(MPIError) in
                try gather(UnsafeRawBufferPointer(own), UnsafeMutableRawBufferPointer(result), layout)
            }
        }
        return (layout, joined)
    }

    /// An array whose elements MPI writes.
    private func filled<Element: BitwiseCopyable>(
        _ count: Int, _ fill: (UnsafeMutableBufferPointer<Element>) throws(MPIError) -> Void
    ) throws(MPIError) -> [Element] {
        var failure: MPIError?
        let result = [Element](unsafeUninitializedCapacity: count) { buffer, written in
            do throws(MPIError) {
                try fill(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
                written = count
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return result
    }

    private func divided<Element>(_ joined: [Element], _ layout: RankLayout) -> [[Element]] {
        let width = MemoryLayout<Element>.stride
        return zip(layout.offsets, layout.counts).map { Array(joined[($0 / width)..<(($0 + $1) / width)]) }
    }
}
