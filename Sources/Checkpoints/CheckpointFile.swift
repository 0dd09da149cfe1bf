import Foundation
import HDF5
import Tensors

// Note [Checkpoint layout]
//   /                      attributes: format "swift-lightning checkpoint", formatVersion, model_keys
//   /model/<key>           one dataset per parameter and buffer, Fletcher-32 checksums
//   /optimizers/<n>/…      one group per optimizer: <parameter>/<slot>
//   /values/<name>         JSON texts
// The order of keys is kept in `keys` attributes, since HDF5 sorts names.

extension Checkpoint {
    private static let format = "swift-lightning checkpoint"

    /// Writes the checkpoint to one HDF5 file that is whole or absent (see ``AtomicHDF5Writer``).
    ///
    /// - Throws: `AtomicWriteError`; what was under this name before is then unchanged.
    public func write(to path: String) throws {
        try FileManager.default.createDirectory(
            atPath: directory(of: path), withIntermediateDirectories: true)
        try AtomicHDF5Writer.write(to: path) { file in
            try file.setAttribute("format", Checkpoint.format)
            try file.setAttribute("formatVersion", Checkpoint.formatVersion)
            try write(model, to: file.createGroup("model"))
            let group = try file.createGroup("optimizers")
            for (index, state) in optimizers.enumerated() { try write(state, to: group.createGroup(String(index))) }
            let texts = try file.createGroup("values")
            for name in values.keys.sorted() { try texts.writeText(name, values[name] ?? "") }
        }
    }

    /// Writes the tensors of ``model`` alone as datasets at the root of an HDF5 file that is whole or absent.
    public func writeTensors(to path: String) throws {
        try AtomicHDF5Writer.write(to: path) { file in
            for (key, tensor) in model { try write(tensor, named: key, to: file) }
        }
    }

    private func write(_ tensor: Tensor, named key: String, to group: some HDF5Container) throws {
        let type = tensor.dtype.fileType
        let dataset = try group.createDataset(key, type, shape: Array(tensor.shape))
        try tensor.withUnsafeBytes { try dataset.write(from: $0, as: type) }
    }

    private func write(_ state: StateDictionary, to group: HDF5Group) throws {
        try group.writeText("keys", state.keys.joined(separator: "\n"))
        for (key, tensor) in state { try write(tensor, named: key, to: group) }
    }

    /// Reads a checkpoint, verifying every checksum.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - weightsOnly: Leaves out the optimizers' state.
    /// - Throws: ``CheckpointError`` or `HDF5Error`: no such file, not a checkpoint, truncated, damaged, too new.
    public static func read(from path: String, weightsOnly: Bool = false) throws -> Checkpoint {
        let file = try HDF5File.open(at: path)
        defer { try? file.close() }
        guard try file.hasAttribute("format"), try file.attribute("format", as: String.self) == format else {
            throw CheckpointError("\(path) is an HDF5 file, but not a checkpoint of this program")
        }
        let version = try file.attribute("formatVersion", as: Int.self)
        guard version <= formatVersion else {
            throw CheckpointError(
                "\(path) has checkpoint format \(version), and this program reads up to \(formatVersion): use a newer program"
            )
        }
        var checkpoint = Checkpoint()
        checkpoint.model = try readState(file.group("model"))
        if !weightsOnly {
            let group = try file.group("optimizers")
            for index in 0..<(try group.names.count) {
                checkpoint.optimizers.append(try readState(group.group(String(index))))
            }
        }
        let texts = try file.group("values")
        for name in try texts.names { checkpoint.values[name] = try texts.readText(name) }
        return checkpoint
    }

    private static func readState(_ group: HDF5Group) throws -> StateDictionary {
        var state = StateDictionary()
        let keys = try group.readText("keys").split(separator: "\n").map(String.init)
        for key in keys {
            let dataset = try group.dataset(key)
            guard let type = dataset.elementType, let dtype = DType(rawValue: type.rawValue) else {
                throw CheckpointError("'\(key)' is not of a type that tensors can have")
            }
            state[key] = try Tensor(shape: Shape(dataset.shape), dtype: dtype) { bytes in
                try dataset.read(into: bytes, as: dtype.fileType)
            }
        }
        return state
    }
}

extension DType {
    /// The type of such elements in a file.
    var fileType: HDF5ElementType {
        switch self {
        case .float32: .float32
        case .float64: .float64
        case .int64: .int64
        case .uint8: .uint8
        }
    }
}
