import MPI
import Tensors

/// Sums gradients over all ranks while the backward pass is still going on.
///
/// Note [Bucket order]: gradients are ready last layer first, so buckets are cut from the end of each arena backwards,
/// a small one first that travels early. A bucket is a range of the arena's flat gradients: nothing is copied. A
/// bucket whose gradients are all ready waits until those before it have gone: buckets always travel in index order,
/// the same on every rank, whatever the order of readiness.
///
/// One step: ``begin(payload:)`` queues the control exchange (sample counts and flags); gradients that become ready
/// queue their buckets; ``finish()`` gives parameters that got no gradient a zero one, queues what is left, and waits.
public final class GradientReducer {
    /// Bytes in the first bucket, which should leave early.
    public static let firstBucketBytes = 1 << 20
    /// Bytes in the other buckets.
    public static let bucketBytes = 8 << 20

    private struct Bucket {
        let arena: ParameterArena
        let range: Range<Int>
        let parameters: [Parameter]
        let tag: String
    }

    private let lane: CommunicationLane
    private let buckets: [Bucket]
    private let bucketOfParameter: [ObjectIdentifier: Int]
    private let request: CollectiveRequest

    private var pending: [Int] = []
    private var nextBucket = 0
    private var tickets: [Ticket] = []
    private var exchange: ControlExchange?

    /// How many steps have been reduced, and how many bytes of gradients travelled per rank.
    public private(set) var counts = (steps: 0, buckets: 0, bytes: 0)

    /// A reducer for the parameters of some arenas; from now on it is told when a gradient is ready.
    ///
    /// - Parameters:
    ///   - arenas: The gradients to sum, the same on every rank.
    ///   - lane: Carries the buckets.
    ///   - firstBucketBytes: Bytes of the first bucket.
    ///   - bucketBytes: Bytes of the others.
    public init(
        arenas: [ParameterArena], lane: CommunicationLane, firstBucketBytes: Int = firstBucketBytes,
        bucketBytes: Int = bucketBytes
    ) {
        self.lane = lane
        var buckets: [Bucket] = []
        var places: [ObjectIdentifier: Int] = [:]
        for arena in arenas.reversed() {
            var end = arena.elementCount
            var members: [Parameter] = []
            for index in arena.parameters.indices.reversed() {
                members.append(arena.parameters[index])
                places[ObjectIdentifier(arena.parameters[index])] = buckets.count
                let limit = buckets.isEmpty ? firstBucketBytes : bucketBytes
                if (end - arena.offsets[index]) * arena.dtype.byteCount >= limit || index == 0 {
                    buckets.append(
                        Bucket(
                            arena: arena, range: arena.offsets[index]..<end, parameters: members,
                            tag: "gradient bucket \(buckets.count)"))
                    end = arena.offsets[index]
                    members = []
                }
            }
        }
        self.buckets = buckets
        bucketOfParameter = places
        let elements = arenas.reduce(0) { $0 + $1.elementCount }
        request = CollectiveRequest(
            .optimizerStep, "gradients", count: elements, of: arenas.first?.dtype == .float64 ? .float64 : .float32)
        for arena in arenas {
            for parameter in arena.parameters {
                parameter.onGradientReady = { [unowned self] parameter in markReady(parameter) }
            }
        }
    }

    /// The parameters do not report to this reducer any more.
    public func detach() {
        for bucket in buckets { for parameter in bucket.parameters { parameter.onGradientReady = nil } }
    }

    /// Begins the reduction of a step, before the backward pass whose gradients complete it.
    ///
    /// - Parameter payload: Numbers for every rank to know, such as this rank's sample count.
    public func begin(payload: ControlPayload) {
        pending = buckets.map(\.parameters.count)
        nextBucket = 0
        let exchange = ControlExchange()
        self.exchange = exchange
        let request = request
        tickets = [
            lane.submit(request) { lane in
                exchange.payloads = try lane.agreement.agree(on: request, payload: payload)
            }
        ]
    }

    private func markReady(_ parameter: Parameter) {
        guard exchange != nil, let bucket = bucketOfParameter[ObjectIdentifier(parameter)] else { return }
        pending[bucket] -= 1
        launchFullBuckets()
    }

    private func launchFullBuckets() {
        while nextBucket < buckets.count, pending[nextBucket] == 0 {
            launch(buckets[nextBucket])
            nextBucket += 1
        }
    }

    private func launch(_ bucket: Bucket) {
        let start = bucket.arena.gradientPointer + bucket.range.lowerBound * bucket.arena.dtype.byteCount
        let count = bucket.range.count
        counts.buckets += 1
        counts.bytes += count * bucket.arena.dtype.byteCount
        if bucket.arena.dtype == .float64 {
            let numbers = start.assumingMemoryBound(to: Double.self)
            tickets.append(
                lane.submitSum(of: UnsafeMutableBufferPointer(start: numbers, count: count), tag: bucket.tag))
        } else {
            let numbers = start.assumingMemoryBound(to: Float.self)
            tickets.append(
                lane.submitSum(of: UnsafeMutableBufferPointer(start: numbers, count: count), tag: bucket.tag))
        }
    }

    /// Completes the step: afterwards every gradient is the sum over all ranks.
    ///
    /// - Returns: Every rank's payload, by rank.
    /// - Throws: What the lane throws: `CollectiveMismatch` on every rank when they do not all end a step.
    public func finish() throws -> [ControlPayload] {
        guard let exchange else { fatalError("finish() without begin(payload:)") }
        for index in nextBucket..<buckets.count {
            for parameter in buckets[index].parameters { parameter.materializeGradient() }
            launch(buckets[index])
        }
        nextBucket = buckets.count
        self.exchange = nil
        for ticket in tickets { try ticket.wait() }
        tickets.removeAll(keepingCapacity: true)
        counts.steps += 1
        return exchange.payloads
    }
}

/// What the control exchange of a step brought.
///
/// Unchecked, by this rule: the lane writes it before the ticket is done, the training thread reads it after.
private final class ControlExchange: @unchecked Sendable {
    var payloads: [ControlPayload] = []
}
