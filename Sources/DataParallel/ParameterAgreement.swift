import MPI
import Tensors

/// The ranks were given different models.
public struct ModelMismatch: Error, Sendable, CustomStringConvertible {
    /// What differs, between which ranks.
    public let description: String
}

/// Makes sure that all ranks train the same model, and that it starts from rank 0's values.
public enum ParameterAgreement {
    /// Compares names, shapes, types and frozenness of all parameters over the ranks.
    ///
    /// Collective.
    /// - Throws: ``ModelMismatch`` on every rank, naming the first parameter that differs.
    public static func check(_ parameters: [(name: String, parameter: Parameter)], on lane: CommunicationLane) throws {
        let words = parameters.map { name, parameter in
            "\(name) \(parameter.dtype) \(parameter.shape)\(parameter.requiresGradient ? "" : " frozen")"
        }
        let text = words.joined(separator: "\n")
        let hash = stableHash(text)
        let request = CollectiveRequest(.allGather, "names and shapes of the model's parameters")
        let lists: [String]? = try lane.performAgreed(request) { lane, _ in
            let hashes = try lane.communicator.allGather([hash]).map { $0[0] }
            return Set(hashes).count == 1 ? nil : try lane.communicator.allGather(text)
        }
        guard let lists else { return }
        let models = lists.map { $0.split(separator: "\n").map(String.init) }
        for (rank, model) in models.enumerated() where model != models[0] {
            let place = zip(model, models[0]).enumerated().first { $0.element.0 != $0.element.1 }
            let detail =
                place.map {
                    "parameter \($0.offset) is '\($0.element.1)' on rank 0 and '\($0.element.0)' on rank \(rank)"
                }
                ?? "rank 0 has \(models[0].count) parameters and rank \(rank) has \(model.count)"
            throw ModelMismatch(
                description:
                    "the ranks have different models: \(detail). Build the model from the same configuration on every rank"
            )
        }
    }

    /// Overwrites the values of all arenas with rank 0's.
    ///
    /// Collective.
    public static func broadcast(_ arenas: [ParameterArena], on lane: CommunicationLane) throws {
        for arena in arenas {
            for parameter in arena.parameters { parameter.makeExclusive() }
            let bytes = arena.elementCount * arena.dtype.byteCount
            let request = CollectiveRequest(.broadcast, "initial parameters", count: bytes, of: .bytes)
            let start = arena.valuePointer
            try lane.performAgreed(request) { lane, _ in
                try lane.communicator.broadcast(UnsafeMutableRawBufferPointer(start: start, count: bytes), from: 0)
            }
        }
    }

    /// Overwrites the values of parameters with rank 0's, wherever they lie.
    ///
    /// Collective.
    public static func broadcast(_ parameters: [Parameter], on lane: CommunicationLane) throws {
        let bytes = parameters.reduce(0) { $0 + $1.elementCount * $1.dtype.byteCount }
        for parameter in parameters { parameter.makeExclusive() }
        let request = CollectiveRequest(.broadcast, "parameters", count: bytes, of: .bytes)
        try lane.performAgreed(request) { lane, _ in
            for parameter in parameters {
                let value = UnsafeMutableRawBufferPointer(
                    start: parameter.valuePointer, count: parameter.elementCount * parameter.dtype.byteCount)
                try lane.communicator.broadcast(value, from: 0)
            }
        }
    }

    /// Overwrites buffers with rank 0's.
    ///
    /// Collective.
    public static func broadcast(_ buffers: [Buffer], on lane: CommunicationLane) throws {
        guard !buffers.isEmpty else { return }
        var values = buffers.map(\.value)
        let bytes = values.reduce(0) { $0 + $1.elementCount * $1.dtype.byteCount }
        let request = CollectiveRequest(.broadcast, "buffers", count: bytes, of: .bytes)
        try lane.performAgreed(request) { lane, _ in
            for index in values.indices {
                try values[index].withUnsafeMutableBytes { try lane.communicator.broadcast($0, from: 0) }
            }
        }
        for (buffer, value) in zip(buffers, values) { buffer.value = value }
    }
}
