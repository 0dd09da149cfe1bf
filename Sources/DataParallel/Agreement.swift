import MPI

/// Numbers that travel with every agreement: sample counts, flags.
///
/// Each user gives the eight places a meaning.
public typealias ControlPayload = SIMD8<Double>

/// The check before a collective that every rank asks for the same one, and the control exchange of a step.
///
/// Note [Agreement]: ranks that enter different collectives hang or, worse, exchange garbage. So before a collective
/// (or a group of them, such as all buckets of an optimizer step) each rank shows the others a header of fixed size, on
/// a board in shared memory or, with several nodes, through one small all-gather: which collective of the run this is, its kind, element type, count, and a hash of its tag. All
/// ranks compare the same headers, so all find the same difference, throw the same error, and nobody waits for
/// anybody. The header carries eight numbers besides, so that sample counts and stop flags need no message of their
/// own: one control exchange an optimizer step. All requests go the same way, since ranks that ask for different things
/// must meet to find out.
public final class Agreement {
    private let communicator: Communicator
    private let hostname: String
    private let pace: Pace
    private var channel: Channel
    private var sequence: UInt64 = 0
    private var headers: [Header]
    private var received: [ControlPayload]

    /// How headers travel; found out at the first agreement, since that is collective.
    private enum Channel {
        case unknown
        case board(MessageBoard<Header>)
        case messages
    }

    /// Makes the agreement of a communicator.
    ///
    /// - Parameters:
    ///   - communicator: The ranks that agree.
    ///   - hostname: This node's name, for the words of errors.
    ///   - sharesMemory: Whether ranks of one node may show each other headers in memory; the same on every rank.
    public convenience init(communicator: Communicator, hostname: String, sharesMemory: Bool = true) {
        self.init(communicator: communicator, hostname: hostname, sharesMemory: sharesMemory, pace: Pace())
    }

    init(communicator: Communicator, hostname: String, sharesMemory: Bool = true, pace: Pace) {
        self.communicator = communicator
        self.hostname = hostname
        self.pace = pace
        channel = sharesMemory ? .unknown : .messages
        headers = Array(repeating: Header(), count: communicator.size)
        received = Array(repeating: .zero, count: communicator.size)
    }

    /// Compares what all ranks ask for and exchanges their payloads.
    ///
    /// Collective.
    ///
    /// - Returns: every rank's payload, by rank.
    /// - Throws: the same `CollectiveMismatch` on every rank when the requests differ; `MPIError` when MPI fails.
    public func agree(on request: CollectiveRequest, payload: ControlPayload = .zero) throws -> [ControlPayload] {
        sequence += 1
        let own = Header(sequence: sequence, request: request, payload: payload)
        if case .unknown = channel { try openChannel() }
        if case .board(let board) = channel {
            board.exchange(own) { headers[$0] = $1 }
        } else {
            try withUnsafeBytes(of: own) { bytes in
                try headers.withUnsafeMutableBytes { try communicator.allGather(bytes, into: $0) }
            }
        }
        for peer in headers.indices {
            guard headers[peer].asksTheSame(as: own) else { throw try mismatch(request) }
            received[peer] = headers[peer].payload
        }
        return received
    }

    /// The ranks of this node; known after the first agreement.
    private(set) var node: Communicator?

    /// Whether an agreement is a barrier of shared memory: what ranks wrote there before it is there after it.
    var isThroughMemory: Bool {
        if case .board = channel { true } else { false }
    }

    private func openChannel() throws(MPIError) {
        let node = try communicator.splitShared()
        self.node = node
        let board = try MessageBoard<Header>(world: communicator, node: node, pace: pace)
        channel = board.map { .board($0) } ?? .messages
    }

    /// Gathers the words that headers leave out, so that the error can be read.
    private func mismatch(_ request: CollectiveRequest) throws(MPIError) -> CollectiveMismatch {
        let words = request.description
        let (hosts, asked) = (try communicator.allGather(hostname), try communicator.allGather(words))
        return CollectiveMismatch(
            requests: headers.indices.map { rank in
                .init(
                    rank: rank, hostname: hosts[rank], sequence: Int(headers[rank].sequence), words: asked[rank])
            })
    }

    /// The fixed-size wire form of a request.
    ///
    /// All ranks run the same program, so the memory layout is the wire format.
    private struct Header: BitwiseCopyable {
        var sequence: UInt64 = 0
        var tagHash: UInt64 = 0
        var count: Int64 = 0
        var kind: UInt32 = 0
        var type: UInt32 = 0
        // The payload is aligned to 64 bytes; the gap is filled so that no unset byte is sent.
        var filling = SIMD4<UInt64>.zero
        var payload = ControlPayload.zero

        init() {}

        init(sequence: UInt64, request: CollectiveRequest, payload: ControlPayload) {
            self.sequence = sequence
            tagHash = stableHash(request.tag)
            count = Int64(request.count)
            kind = request.kind.rawValue
            type = request.type.rawValue
            self.payload = payload
        }

        func asksTheSame(as other: Header) -> Bool {
            sequence == other.sequence && tagHash == other.tagHash && count == other.count && kind == other.kind
                && type == other.type
        }
    }
}

/// Ranks asked for different collectives.
///
/// Every rank throws the same value.
public struct CollectiveMismatch: Error, Sendable, Equatable, CustomStringConvertible {
    /// What one rank asked for.
    public struct Request: Sendable, Equatable {
        /// The rank in its communicator.
        public let rank: Int
        /// The name of the rank's node.
        public let hostname: String
        /// Which agreement of the run this was, from 1.
        public let sequence: Int
        /// The kind, tag, count and element type asked for.
        public let words: String

        /// Makes a request from its parts.
        public init(rank: Int, hostname: String, sequence: Int, words: String) {
            self.rank = rank
            self.hostname = hostname
            self.sequence = sequence
            self.words = words
        }
    }

    /// What each rank asked for, by rank.
    public let requests: [Request]

    /// Makes the error from every rank's request.
    public init(requests: [Request]) { self.requests = requests }

    /// One sentence; the fewest ranks first, since they are most likely the ones gone astray.
    public var description: String {
        let sequencesDiffer = Set(requests.map(\.sequence)).count > 1
        func words(_ request: Request) -> String {
            sequencesDiffer ? "\(request.words) as collective \(request.sequence)" : request.words
        }
        var groups: [(words: String, members: [Request])] = []
        for request in requests {
            if let known = groups.firstIndex(where: { $0.words == words(request) }) {
                groups[known].members.append(request)
            } else {
                groups.append((words(request), [request]))
            }
        }
        groups.sort { ($0.members.count, $0.members[0].rank) < ($1.members.count, $1.members[0].rank) }
        let clauses = groups.map { "\(who($0.members)) asked for \($0.words)" }
        return "ranks disagree: " + clauses.joined(separator: " while ")
    }

    private func who(_ members: [Request]) -> String {
        if members.count == 1 { return "rank \(members[0].rank) (host \(members[0].hostname))" }
        let shown = members.prefix(8).map { "\($0.rank)" }.joined(separator: ", ")
        return members.count > 8 ? "ranks \(shown) and \(members.count - 8) more" : "ranks \(shown)"
    }
}

/// The 64-bit FNV-1a hash, which unlike `Hasher` is the same in every process.
///
/// Source: Fowler, Noll, Vo, "The FNV Non-Cryptographic Hash Algorithm", IETF draft.
func stableHash(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
