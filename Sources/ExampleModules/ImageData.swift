import Lightning

/// Grey images with labels, as bytes in memory, turned into numbers batch by batch.
struct ImageArray {
    private let images: Tensor
    private let labels: Tensor
    private let brightest: Double

    /// Reads `images` (`uint8 [N, height, width]`) and `labels` (`uint8 [N]`) from an HDF5 file.
    init(_ file: HDF5File, brightest: Double) throws {
        images = try file.tensor("images")
        labels = try file.tensor("labels").converted(to: .int64)
        self.brightest = brightest
    }

    /// The data set: `[samples, 1, height, width]` between 0 and 1, and `int64` labels.
    var dataset: some Dataset<LabeledBatch> {
        let brightest = brightest
        return TensorDataset(inputs: images.expandingDimension(at: 1), labels: labels).map { batch in
            LabeledBatch(inputs: batch.inputs.converted(to: .float32) / brightest, labels: batch.labels)
        }
    }
}

extension HDF5File {
    /// A whole data set of bytes.
    func tensor(_ name: String) throws -> Tensor {
        let dataset = try dataset(name)
        return Tensor(try dataset.read(as: UInt8.self), shape: Shape(dataset.shape))
    }
}
