/// The area under the receiver operating characteristic.
///
/// The chance that a sample of the class scores higher than another sample, a tie counting half. It does not exist
/// where there were no samples of a class, or no others.
public final class AUROC: CurveScore {
    /// A metric that has seen nothing.
    ///
    /// - Parameters:
    ///   - task: What is classified; its threshold plays no part.
    ///   - average: How the classes become one number; micro joins all decisions into one curve. Classes for which the
    ///     number does not exist are left out.
    ///   - thresholds: Exact, or at fixed thresholds.
    public init(_ task: ClassificationTask, average: ClassAverage = .macro, thresholds: Thresholds = .exact) {
        super.init("AUROC", task, average, thresholds, \.areaUnderROC)
    }
}
