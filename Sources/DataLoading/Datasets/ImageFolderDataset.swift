import Foundation
import Tensors

/// Pictures in folders: each folder is a class, each file in it or below it a sample.
///
/// ```
/// flowers/daisy/1.png
/// flowers/daisy/2.png
/// flowers/rose/a.ppm
/// ```
///
/// Folders are sorted by name and numbered in that order, and so are the files in them. Pictures are read when they are
/// asked for; see ``PixelImage`` for what is read.
public struct ImageFolderDataset: Dataset {
    /// What is done with a picture, `[channels, height, width]` from 0 to 1, before batches are made of them, such as
    /// cropping to one size; random numbers come from the `RandomContext`.
    public typealias Transform = @Sendable (Tensor) throws -> Tensor

    /// The folders, by number of their class.
    public let classes: [String]
    /// The files and their classes, by number of their sample.
    public let samples: [(path: String, label: Int)]
    private let channels: ImageChannels
    private let transform: Transform?

    /// Finds the pictures below a folder; files of other kinds than `.png`, `.pgm` and `.ppm` are not looked at.
    ///
    /// - Parameters:
    ///   - path: The folder that has a folder for each class.
    ///   - channels: What pixels are converted to.
    ///   - transform: What is done with each picture.
    /// - Throws: ``DataLoadingError`` when there are no folders, or one without pictures.
    public init(_ path: String, channels: ImageChannels = .color, transform: Transform? = nil) throws {
        let root = URL(fileURLWithPath: path)
        let manager = FileManager.default
        guard let names = try? manager.contentsOfDirectory(atPath: path) else {
            throw DataLoadingError("\(path): there is no such folder")
        }
        let folders = names.filter { name in
            var isDirectory: ObjCBool = false
            return manager.fileExists(atPath: root.appendingPathComponent(name).path, isDirectory: &isDirectory)
                && isDirectory.boolValue && !name.hasPrefix(".")
        }
        guard !folders.isEmpty else {
            throw DataLoadingError("\(path): there are no folders; each class is a folder of pictures")
        }
        classes = folders.sorted()
        var samples: [(path: String, label: Int)] = []
        for (label, name) in classes.enumerated() {
            let folder = root.appendingPathComponent(name).path
            let files = (manager.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []).filter { file in
                ["png", "pgm", "ppm"].contains(URL(fileURLWithPath: file).pathExtension.lowercased())
            }
            guard !files.isEmpty else {
                throw DataLoadingError("\(folder): there is no picture (.png, .pgm or .ppm) for the class '\(name)'")
            }
            samples += files.sorted().map { (folder + "/" + $0, label) }
        }
        self.samples = samples
        self.channels = channels
        self.transform = transform
    }

    /// The number of pictures.
    public var count: Int { samples.count }
    /// False: loaders read ahead.
    public var isInMemory: Bool { false }

    /// `[samples, channels, height, width]` of `float32` from 0 to 1, and `int64` classes.
    ///
    /// - Throws: ``ArchiveError`` when a picture cannot be read, ``DataLoadingError`` when pictures are of different sizes.
    public func batch(at indices: [Int]) throws -> LabeledBatch {
        let pictures = try indices.map { index in
            let picture = try PixelImage(contentsOf: samples[index].path).converted(to: channels).tensor
            return try transform?(picture) ?? picture
        }
        if let first = pictures.first, let other = pictures.firstIndex(where: { $0.shape != first.shape }) {
            throw DataLoadingError(
                "\(samples[indices[0]].path) has shape \(first.shape) and \(samples[indices[other]].path) has \(pictures[other].shape); pictures of a batch need one size: give a transform that makes it"
            )
        }
        return LabeledBatch(
            inputs: .stack(pictures), labels: Tensor(indices.map { Int64(samples[$0].label) }))
    }
}
