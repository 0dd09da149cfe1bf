import Lightning

/// The UCI handwritten digits, carried inside the program, cut at random into training, validation and test parts.
public final class DigitsData: LightningDataModule, TrainingData, ValidationData, TestData, PredictionData {
    /// How the digits are used.
    public struct Settings: Codable, Sendable, DefaultInitializable {
        /// Samples in a batch: 64 over all ranks by default.
        public var batch = BatchSettings()
        /// Samples kept for validation.
        public var validationCount = 180
        /// Samples kept for the test.
        public var testCount = 360
        /// Decides which samples go where.
        public var splitSeed: UInt64 = 1

        /// The defaults.
        public init() {}
    }

    private let settings: Settings
    private let parts: [any Dataset<LabeledBatch>]

    /// Opens the digits.
    public init(_ settings: Settings = Settings()) throws {
        self.settings = settings
        let file = try HDF5File.open(image: EmbeddedDigits.file, name: "the embedded digits")
        let all = try ImageArray(file, brightest: 16).dataset
        let rest = all.count - settings.validationCount - settings.testCount
        guard rest > 0, settings.validationCount > 0, settings.testCount > 0 else {
            throw TrainingError(
                "data: of \(all.count) digits, \(settings.validationCount) for validation and \(settings.testCount) for the test leave \(rest) for training"
            )
        }
        parts = all.randomSplit([rest, settings.validationCount, settings.testCount], seed: settings.splitSeed)
    }

    private func loader(_ part: Int) throws -> DataLoader<LabeledBatch> {
        try DataLoader(parts[part], batchSize: settings.batch.size())
    }

    /// 1,257 digits by default.
    public func trainDataLoader() throws -> DataLoader<LabeledBatch> { try loader(0) }
    /// 180 digits by default.
    public func validationDataLoader() throws -> DataLoader<LabeledBatch> { try loader(1) }
    /// 360 digits by default.
    public func testDataLoader() throws -> DataLoader<LabeledBatch> { try loader(2) }
    /// The test digits.
    public func predictDataLoader() throws -> DataLoader<LabeledBatch> { try loader(2) }
}
