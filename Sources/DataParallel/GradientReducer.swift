import MPI
import Tensors

/// Sums gradients over all ranks while the backward pass is still going on.
///
/// Note [Bucket order]: gradients are ready last layer first, so buckets are cut from the end of each arena backwards,
/// a small one first that travels early. A bucket is a range of the arena's flat gradients: nothing is copied. A
/// bucket whose gradients are all ready waits until those before it have gone: buckets always travel in index order,
/// the same on every rank, whatever the order of readiness. Frozen parameters are in no bucket: they are never ready
/// and have nothing to send. So buckets are cut anew at the beginning of a step when parameters were frozen or
/// unfrozen, and the control exchange makes sure that all ranks froze the same.
///
/// One step: ``begin(payload:dividing:)`` queues the control exchange (sample counts and flags); gradients that become
/// ready queue their buckets; ``finish()`` gives parameters that got no gradient a zero one, queues what is left, and
/// waits. On one node the exchange goes with the first bucket: its barrier is the one with which a sum in shared memory
/// begins. So a model whose gradients fit the first bucket takes one collective a step. The last bucket is left to
/// ``finish()``, which comes right after it, and on a single core so are all: nothing could be computed meanwhile.
/// In between a parameter's gradient may come once only, for then its bucket may be on its way, and no agreed
/// collective may be asked for (see ``CommunicationLane/beginGroup(_:)``).
public final class GradientReducer {
    /// Bytes in the first bucket, which should leave early.
    public static let firstBucketBytes = 1 << 20
    /// Bytes in the other buckets.
    public static let bucketBytes = 8 << 20

    private struct Bucket {
        let arena: ParameterArena
        let range: Range<Int>
        let parameters: [Parameter]
        let request: CollectiveRequest
    }

    private let lane: CommunicationLane
    private let arenas: [ParameterArena]
    private let shared: SharedGradients?
    private let limits: (first: Int, others: Int)
    /// The parameters it is for; nil for all.
    private let chosen: Set<ObjectIdentifier>?
    /// What messages call the gradients.
    private let subject: String
    private var buckets: [Bucket] = []
    /// Where each parameter is in `isReady`, and its bucket.
    private var members: [ObjectIdentifier: (place: Int, bucket: Int)] = [:]
    private var isReady: [Bool] = []
    private var trainable: [Bool] = []
    private var request = CollectiveRequest(.optimizerStep, "gradients")

    private var pending: [Int] = []
    private var nextBucket = 0
    private var tickets: [Ticket] = []
    private var exchange: ControlExchange?
    private var misuse: GradientMisuse?

    /// How many steps and buckets have been reduced, and how many bytes of gradients of this rank.
    public private(set) var counts = (steps: 0, buckets: 0, bytes: 0)

    /// A reducer for the parameters of some arenas; from now on it is told when a gradient is ready.
    ///
    /// - Parameters:
    ///   - arenas: The gradients to sum, the same on every rank.
    ///   - lane: Carries the buckets.
    ///   - shared: Where the gradients of all arenas lie, when they lie in shared memory.
    ///   - firstBucketBytes: Bytes of the first bucket.
    ///   - bucketBytes: Bytes of the others.
    public init(
        arenas: [ParameterArena], lane: CommunicationLane, shared: SharedGradients? = nil,
        firstBucketBytes: Int = firstBucketBytes, bucketBytes: Int = bucketBytes
    ) {
        self.lane = lane
        self.arenas = arenas
        self.shared = shared
        limits = (firstBucketBytes, bucketBytes)
        chosen = nil
        subject = "gradients"
        for arena in arenas {
            for parameter in arena.parameters {
                // Weakly: the hook may outlive the reducer, and a later reducer of the parameters replaces it.
                parameter.onGradientReady = { [weak self] parameter in self?.markReady(parameter) }
            }
        }
        cutBuckets()
    }

    /// A reducer for some of the parameters of some arenas, for gradients that are there when a step begins.
    ///
    /// Nothing is sent during a backward pass: ``finish()`` sends all. So there may be several, also with parameters in
    /// common.
    /// - Parameters:
    ///   - parameters: Whose gradients to sum.
    ///   - arenas: Where they lie.
    ///   - lane: Carries the buckets.
    ///   - shared: Where the gradients of all arenas lie, when they lie in shared memory.
    ///   - subject: What messages call the gradients.
    public init(
        of parameters: [Parameter], in arenas: [ParameterArena], lane: CommunicationLane, shared: SharedGradients?,
        subject: String
    ) {
        self.lane = lane
        self.arenas = arenas
        self.shared = shared
        limits = (Self.firstBucketBytes, Self.bucketBytes)
        chosen = Set(parameters.map { ObjectIdentifier($0) })
        self.subject = subject
        cutBuckets()
    }

    /// Whether the gradient of a parameter is summed.
    private func travels(_ parameter: Parameter) -> Bool {
        parameter.requiresGradient && chosen?.contains(ObjectIdentifier(parameter)) ?? true
    }

    /// The parameters do not report to this reducer any more.
    public func detach() {
        for arena in arenas { for parameter in arena.parameters { parameter.onGradientReady = nil } }
    }

    /// Cuts buckets from the parameters that are not frozen.
    private func cutBuckets() {
        buckets = []
        members = [:]
        trainable = arenas.flatMap { $0.parameters.map(travels) }
        for arena in arenas.reversed() {
            var end = arena.elementCount
            var inBucket: [Parameter] = []
            for index in arena.parameters.indices.reversed() {
                let (parameter, start) = (arena.parameters[index], arena.offsets[index])
                guard travels(parameter) else {
                    end = start
                    continue
                }
                inBucket.append(parameter)
                members[ObjectIdentifier(parameter)] = (members.count, buckets.count)
                let limit = buckets.isEmpty ? limits.first : limits.others
                let isFull = (end - start) * arena.gradientDType.byteCount >= limit
                if isFull || index == 0 || !travels(arena.parameters[index - 1]) {
                    buckets.append(
                        Bucket(
                            arena: arena, range: start..<end, parameters: inBucket,
                            request: CollectiveRequest(
                                .allReduce, "gradient bucket \(buckets.count)", count: end - start,
                                of: arena.gradientDType == .float64 ? .float64 : .float32)))
                    end = start
                    inBucket = []
                }
            }
        }
        isReady = Array(repeating: false, count: members.count)
        request = CollectiveRequest(
            .optimizerStep, words, count: buckets.reduce(0) { $0 + $1.range.count },
            of: arenas.first?.gradientDType == .float64 ? .float64 : .float32)
    }

    /// What travels, in words that differ when other parameters are frozen.
    private var words: String {
        let own = arenas.flatMap(\.parameters).filter { chosen?.contains(ObjectIdentifier($0)) ?? true }
        let frozen = own.filter { !$0.requiresGradient }
        guard let first = frozen.first else { return subject }
        let set = String(stableHash(trainable.map { $0 ? "1" : "0" }.joined()), radix: 16)
        return "\(subject), frozen: \(frozen.count) (first \(first.name), set \(set))"
    }

    /// Whether a parameter was frozen or unfrozen since buckets were cut.
    private var isFreezingStale: Bool {
        var place = 0
        for arena in arenas {
            for parameter in arena.parameters {
                if travels(parameter) != trainable[place] { return true }
                place += 1
            }
        }
        return false
    }

    /// Begins the reduction of a step, before the backward pass whose gradients complete it.
    ///
    /// - Parameters:
    ///   - payload: Numbers for every rank to know; the first is the samples behind this rank's gradients.
    ///   - dividing: Whether the sums are divided by the samples of all ranks, if there are any; the same on every rank.
    public func begin(payload: ControlPayload, dividing: Bool = false) {
        if isFreezingStale { cutBuckets() }
        pending = buckets.map(\.parameters.count)
        for place in isReady.indices { isReady[place] = false }
        nextBucket = 0
        misuse = nil
        let exchange = ControlExchange(request, payload, dividing: dividing)
        self.exchange = exchange
        lane.beginGroup(request)
        if !exchangesWithBucket { tickets.append(lane.submit(request) { try exchange.run($0) }) }
    }

    /// Whether the control exchange goes with the first bucket.
    private var exchangesWithBucket: Bool { !buckets.isEmpty && shared?.isOrderedByAgreement ?? lane.isAlone }

    private func markReady(_ parameter: Parameter) {
        guard exchange != nil, misuse == nil else { return }
        guard let member = members[ObjectIdentifier(parameter)] else {
            if parameter.requiresGradient { misuse = .unfrozen(parameter.name) }
            return
        }
        guard !isReady[member.place] else {
            misuse = .secondGradient(parameter.name)
            return
        }
        isReady[member.place] = true
        pending[member.bucket] -= 1
        launchFullBuckets()
    }

    private func launchFullBuckets() {
        while nextBucket < buckets.count, pending[nextBucket] == 0 {
            launch(nextBucket)
            nextBucket += 1
        }
    }

    private func launch(_ index: Int) {
        guard let exchange else { return }
        let bucket = buckets[index]
        let type = bucket.arena.gradientDType
        let start = bucket.arena.gradientPointer + bucket.range.lowerBound * type.byteCount
        let count = bucket.range.count
        counts.buckets += 1
        counts.bytes += count * type.byteCount
        lane.noteReduction(of: count * type.byteCount)
        let isFirst = index == 0 && exchangesWithBucket
        let isLast = index == buckets.count - 1
        // The address goes to the lane; the reducer leaves the memory alone until the ticket is done.
        nonisolated(unsafe) let memory = start
        let work: @Sendable (LaneContext) throws -> Void
        if let shared, let origin = shared.buffer.baseAddress {
            let first = (start - origin) / type.byteCount
            work = { lane in
                if isFirst { try exchange.run(lane) }
                try lane.windows.sum(
                    first..<(first + count), of: type, in: shared, times: exchange.factor, haveMet: isFirst)
            }
        } else {
            work = { lane in
                if isFirst { try exchange.run(lane) }
                try lane.sum(memory, count: count, of: type, times: exchange.factor)
            }
        }
        let request = isFirst ? request : bucket.request
        tickets.append(lane.submit(request, atOnce: !isLast && (hasSeveralCores || !exchangesWithBucket), work))
    }

    /// Completes the step: afterwards every gradient is the sum over all ranks, divided if so asked.
    ///
    /// - Returns: Every rank's payload, by rank.
    /// - Throws: ``GradientMisuse`` when this rank's backward pass went wrong, which must end the job since the other
    ///   ranks may wait; or what the lane throws: `CollectiveMismatch` on every rank when they do not all end a step.
    public func finish() throws -> [ControlPayload] {
        guard let exchange else { fatalError("finish() without begin(payload:dividing:)") }
        lane.endGroup()
        if let misuse {
            self.exchange = nil
            throw misuse
        }
        for index in nextBucket..<buckets.count {
            for parameter in buckets[index].parameters { parameter.materializeGradient() }
            launch(index)
        }
        nextBucket = buckets.count
        self.exchange = nil
        // One after another is done, and the first error is that of all behind it.
        if let last = tickets.last { try last.wait() }
        tickets.removeAll(keepingCapacity: true)
        counts.steps += 1
        return exchange.payloads
    }
}

/// A backward pass that the sum over ranks cannot follow.
public enum GradientMisuse: Error, Sendable, Equatable, CustomStringConvertible {
    /// The parameter of this name got a gradient twice in one step; its sum over ranks may have begun after the first.
    case secondGradient(String)
    /// The parameter of this name was frozen when the step began, and was unfrozen before its gradient came.
    case unfrozen(String)

    /// What happened and what to do.
    public var description: String {
        switch self {
        case .secondGradient(let name):
            "parameter '\(name)' got a second gradient in one step, when the first was already on its way to the other "
                + "ranks: add the losses and call backward once"
        case .unfrozen(let name):
            "parameter '\(name)' was frozen when the backward pass began and is not any more: unfreeze before the step"
        }
    }
}

/// The control exchange of a step, and what it brought.
///
/// Unchecked, by this rule: the lane writes it before the ticket is done, the training thread reads it after.
private final class ControlExchange: @unchecked Sendable {
    private let request: CollectiveRequest
    private let payload: ControlPayload
    private let divides: Bool
    private(set) var payloads: [ControlPayload] = []
    /// What sums of gradients are multiplied by.
    private(set) var factor = 1.0

    init(_ request: CollectiveRequest, _ payload: ControlPayload, dividing: Bool) {
        self.request = request
        self.payload = payload
        divides = dividing
    }

    func run(_ lane: LaneContext) throws {
        payloads = try lane.agreement.agree(on: request, payload: payload)
        let samples = payloads.reduce(0) { $0 + $1[0] }
        if divides, samples > 0 { factor = 1 / samples }
    }
}
