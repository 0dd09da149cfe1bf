import Foundation
import Lightning

/// Fashion-MNIST: 60,000 and 10,000 images of clothes, 28 × 28, from the Debian package `dataset-fashion-mnist`.
public final class FashionData: LightningDataModule, TrainingData, ValidationData, TestData, PredictionData {
    /// Where the images are, and how they are used.
    public struct Settings: Codable, Sendable, DefaultInitializable {
        /// Samples in a batch: 128 over all ranks by default.
        public var batch = BatchSettings()
        /// The directory of the four IDX files.
        public var source = "/usr/share/datasets/fashion-mnist"
        /// Where the HDF5 files made of them are kept.
        public var directory = "data/fashion-mnist"
        /// Training images kept for validation.
        public var validationCount = 5_000
        /// Decides which images those are.
        public var splitSeed: UInt64 = 1

        /// The defaults.
        public init() {}
    }

    private let settings: Settings
    private var parts: [any Dataset<LabeledBatch>] = []

    /// Data that is fetched and opened by the trainer.
    public init(_ settings: Settings = Settings()) { self.settings = settings }

    private func path(_ part: String) -> String { "\(settings.directory)/\(part).h5" }

    /// Unpacks the package's files into two HDF5 files, unless they were made of the same files before.
    public override func prepareData() throws {
        for (part, prefix) in [("train", "train"), ("test", "t10k")] {
            let images = "\(settings.source)/\(prefix)-images-idx3-ubyte.gz"
            let labels = "\(settings.source)/\(prefix)-labels-idx1-ubyte.gz"
            let source = ArchiveSource(files: [images, labels])
            guard try !source.isIn(archive: path(part)) else { continue }
            guard source.exists else {
                throw TrainingError(
                    "Fashion-MNIST is not at '\(settings.source)' (data.source): install it with 'apt-get install dataset-fashion-mnist', or name the directory of its IDX files"
                )
            }
            try FileManager.default.createDirectory(atPath: settings.directory, withIntermediateDirectories: true)
            try ImageArchive.convert(images: images, labels: labels, to: path(part))
        }
    }

    /// Reads the images into memory, as bytes: 55 MB.
    public override func setup(_ stage: RunStage) throws {
        guard parts.isEmpty else { return }
        let train = try ImageArray(HDF5File.open(at: path("train")), brightest: 255).dataset
        guard settings.validationCount > 0, settings.validationCount < train.count else {
            throw TrainingError("data.validationCount is \(settings.validationCount) of \(train.count) images")
        }
        let split = train.randomSplit(
            [train.count - settings.validationCount, settings.validationCount], seed: settings.splitSeed)
        parts = [split[0], split[1], try ImageArray(HDF5File.open(at: path("test")), brightest: 255).dataset]
    }

    private func loader(_ part: Int) throws -> DataLoader<LabeledBatch> {
        try DataLoader(parts[part], batchSize: settings.batch.size(orGlobal: 128))
    }

    /// 55,000 images by default.
    public func trainDataLoader() throws -> DataLoader<LabeledBatch> { try loader(0) }
    /// 5,000 images by default.
    public func validationDataLoader() throws -> DataLoader<LabeledBatch> { try loader(1) }
    /// 10,000 images.
    public func testDataLoader() throws -> DataLoader<LabeledBatch> { try loader(2) }
    /// The test images.
    public func predictDataLoader() throws -> DataLoader<LabeledBatch> { try loader(2) }
}
