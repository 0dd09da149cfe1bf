/// The area under the curve of precision over recall, in steps.
///
/// Σ (recall gained) · precision over the thresholds from the highest down, without interpolation, as in scikit-learn.
/// It does not exist where there were no samples of a class.
public final class AveragePrecision: CurveScore {
    /// A metric that has seen nothing.
    ///
    /// - Parameters:
    ///   - task: What is classified; its threshold plays no part.
    ///   - average: How the classes become one number; micro joins all decisions into one curve. Classes for which the
    ///     number does not exist are left out.
    ///   - thresholds: Exact, or at fixed thresholds.
    public init(_ task: ClassificationTask, average: ClassAverage = .macro, thresholds: Thresholds = .exact) {
        super.init("AveragePrecision", task, average, thresholds, \.averagePrecision)
    }
}
