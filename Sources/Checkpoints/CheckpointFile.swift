import Foundation
import HDF5
import Tensors

// Note [Checkpoint layout]
//   /                      attributes: format "swift-lightning checkpoint", formatVersion
//   /model/<key>           one dataset per parameter and buffer, Fletcher-32 checksums
//   /optimizers/<n>/…      one group per optimizer: <parameter>/<slot>
//   /callbacks/<name>/<key> tensors of callbacks; a file that has them has format version 2
//   /values/<name>         JSON texts
//   /keys/model            the keys of the model as a JSON list, since HDF5 sorts names
//   /keys/optimizers/<n>   the same for an optimizer
//   /keys/callbacks        the same for all callbacks: a JSON object of lists by name
// The lists lie apart from the tensors, so that a parameter may be called `keys`. Slashes in keys and names make
// groups, which HDF5 knows by path.

extension Checkpoint {
    private static let format = "swift-lightning checkpoint"

    /// Writes the checkpoint to one HDF5 file that is whole or absent (see ``AtomicHDF5Writer``).
    ///
    /// The directory is made when it is missing.
    /// - Throws: `AtomicWriteError`; what was under this name before is then unchanged.
    public func write(to path: String) throws {
        try FileManager.default.createDirectory(
            atPath: directory(of: path), withIntermediateDirectories: true)
        try AtomicHDF5Writer.write(to: path) { file in
            try file.setAttribute("format", Checkpoint.format)
            // What has nothing new in it can be read by programs that know nothing new.
            try file.setAttribute("formatVersion", callbacks.isEmpty ? 1 : Checkpoint.formatVersion)
            let lists = try file.createGroup("keys")
            try write(model, to: file.createGroup("model"))
            try lists.writeText("model", Checkpoint.list(model.keys))
            let group = try file.createGroup("optimizers")
            for (index, state) in optimizers.enumerated() {
                try write(state, to: group.createGroup(String(index)))
                try lists.writeText("optimizers/\(index)", Checkpoint.list(state.keys))
            }
            if !callbacks.isEmpty {
                let names = try JSONEncoder().encode(callbacks.mapValues(\.keys))
                try lists.writeText("callbacks", String(decoding: names, as: UTF8.self))
                let group = try file.createGroup("callbacks")
                for name in callbacks.keys.sorted() {
                    try Checkpoint.checkName(name)
                    try write(callbacks[name] ?? StateDictionary(), to: group.createGroup(name))
                }
            }
            let texts = try file.createGroup("values")
            for name in values.keys.sorted() {
                try Checkpoint.checkName(name)
                try texts.writeText(name, values[name] ?? "")
            }
        }
    }

    /// Writes the tensors of ``model`` alone as datasets at the root of an HDF5 file that is whole or absent.
    ///
    /// The directory is made when it is missing.
    /// - Throws: `AtomicWriteError`; what was under this name before is then unchanged.
    public func writeTensors(to path: String) throws {
        try FileManager.default.createDirectory(
            atPath: directory(of: path), withIntermediateDirectories: true)
        try AtomicHDF5Writer.write(to: path) { file in
            for (key, tensor) in model { try write(tensor, named: key, to: file) }
        }
    }

    private func write(_ tensor: Tensor, named key: String, to group: some HDF5Container) throws {
        try Checkpoint.checkName(key)
        let type = tensor.dtype.fileType
        let dataset = try group.createDataset(key, type, shape: Array(tensor.shape))
        try tensor.withUnsafeBytes { try dataset.write(from: $0, as: type) }
    }

    /// HDF5 takes these for other paths, or cuts them off.
    private static func checkName(_ name: String) throws {
        let steps = name.split(separator: "/", omittingEmptySubsequences: false)
        guard !name.utf8.contains(0), steps.allSatisfy({ !$0.isEmpty && $0 != "." }) else {
            throw CheckpointError(
                "'\(name)' cannot be a name in a checkpoint: no part between slashes may be empty or a dot")
        }
    }

    private static func list(_ keys: [String]) throws -> String {
        String(decoding: try JSONEncoder().encode(keys), as: UTF8.self)
    }

    private func write(_ state: StateDictionary, to group: HDF5Group) throws {
        for (key, tensor) in state { try write(tensor, named: key, to: group) }
    }

    /// Reads a checkpoint, verifying every checksum.
    ///
    /// The hash of the whole file is compared before HDF5 sees any of it; files of earlier versions have none.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - weightsOnly: Leaves out the optimizers' state.
    /// - Throws: ``CheckpointError`` or `HDF5Error`: no such file, not a checkpoint, truncated, damaged, too new.
    public static func read(from path: String, weightsOnly: Bool = false) throws -> Checkpoint {
        try HDF5File.verifySeal(of: path)
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
        let lists = try file.group("keys")
        checkpoint.model = try readState(file.group("model"), keys: lists.readText("model"))
        if !weightsOnly {
            let group = try file.group("optimizers")
            for index in 0..<(try group.names.count) {
                let keys = try lists.readText("optimizers/\(index)")
                checkpoint.optimizers.append(try readState(group.group(String(index)), keys: keys))
            }
            if try lists.contains("callbacks") {
                let names = try JSONDecoder().decode(
                    [String: [String]].self, from: Data(lists.readText("callbacks").utf8))
                let group = try file.group("callbacks")
                for (name, keys) in names {
                    checkpoint.callbacks[name] = try readState(group.group(name), keys: keys)
                }
            }
        }
        let texts = try file.group("values")
        for name in try texts.allDatasetNames { checkpoint.values[name] = try texts.readText(name) }
        return checkpoint
    }

    private static func readState(_ group: HDF5Group, keys list: String) throws -> StateDictionary {
        try readState(group, keys: JSONDecoder().decode([String].self, from: Data(list.utf8)))
    }

    private static func readState(_ group: HDF5Group, keys: [String]) throws -> StateDictionary {
        var state = StateDictionary()
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
    package var fileType: HDF5ElementType {
        switch self {
        case .float32: .float32
        case .float64: .float64
        case .int64: .int64
        case .uint8: .uint8
        case .bfloat16: .bfloat16
        }
    }
}
