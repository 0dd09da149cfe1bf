import HDF5

/// Labelled images as one HDF5 file: `images`, `uint8` of shape `[N, height, width]`, and `labels`, `uint8` of `[N]`.
public enum ImageArchive {
    /// Converts the two IDX files of an image set, compressed by gzip or not, to one HDF5 file.
    ///
    /// The file appears under its name when it is complete, replacing one that was there. It says what it was made of:
    /// see ``ArchiveSource``.
    ///
    /// - Parameters:
    ///   - images: The IDX file of the images, of three dimensions.
    ///   - labels: The IDX file of the labels, of one dimension.
    ///   - path: The HDF5 file to make; its directory must exist.
    /// - Throws: `ArchiveError` when a file is missing or damaged, or when there are not as many labels as images;
    ///   `HDF5Error` when the HDF5 file cannot be written.
    public static func convert(images: String, labels: String, to path: String) throws {
        // Before they are read: a file that changes meanwhile must look changed the next time.
        let source = ArchiveSource(files: [images, labels])
        let pixels = try IDXFile(contentsOf: images)
        guard pixels.shape.count == 3 else {
            throw ArchiveError(images, "images have 3 dimensions, this file has the shape \(pixels.shape)")
        }
        let classes = try IDXFile(contentsOf: labels)
        guard classes.shape.count == 1 else {
            throw ArchiveError(labels, "labels have 1 dimension, this file has the shape \(classes.shape)")
        }
        guard pixels.shape[0] == classes.shape[0] else {
            throw ArchiveError(
                labels, "there are \(classes.shape[0]) labels for \(pixels.shape[0]) images in \(images)",
                advice: "Training and test files may have been mixed up.")
        }
        try replaceFile(at: path) { temporary in
            let file = try HDF5File.create(at: temporary, replacing: true)
            try file.writeDataset(
                "images", pixels.values, shape: pixels.shape, layout: chunks(of: pixels.shape))
            try file.writeDataset("labels", classes.values)
            try source.write(to: file)
            try file.close()
        }
    }

    /// Chunks of whole images, of about 16 KiB: one image of a shuffled set costs reading one chunk.
    private static func chunks(of shape: [Int]) -> HDF5Layout {
        let rowSize = max(1, shape[1] * shape[2])
        guard shape[0] > 0, shape[1] > 0, shape[2] > 0 else { return .automatic }
        return .chunks([min(shape[0], max(1, 16_384 / rowSize)), shape[1], shape[2]])
    }
}
