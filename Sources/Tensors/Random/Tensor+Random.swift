extension Tensor {
    /// Normal numbers of mean 0 from the stream of a user's own draws.
    ///
    /// In a step they are a function of seed, step and shard: a run that goes on draws what the uninterrupted one does, and
    /// ranks draw different numbers. No gradient flows into them.
    public static func normals(_ shape: Shape, deviation: Double = 1, dtype: DType = .standard) -> Tensor {
        RandomContext.current.draw(.user) { $0.normals(shape, deviation: deviation, dtype: dtype) }
    }

    /// Uniform numbers in a range, from the stream of a user's own draws; see ``normals(_:deviation:dtype:)``.
    public static func uniforms(
        _ shape: Shape, in range: ClosedRange<Double> = 0...1, dtype: DType = .standard
    ) -> Tensor {
        let half = (range.upperBound - range.lowerBound) / 2
        let centered = RandomContext.current.draw(.user) { $0.uniforms(shape, bound: half, dtype: dtype) }
        return centered + (range.lowerBound + half)
    }
}
