import CMPI

/// Where this process is in the job: its number in the world and on its node, and how many there are of each.
public struct Topology: Sendable, Equatable {
    /// This process's number among all, from 0.
    public let globalRank: Int
    /// This process's number among those of its node, from 0.
    public let localRank: Int
    /// This node's number, from 0, in the order of the nodes' first ranks.
    public let nodeRank: Int
    /// The number of processes of the job.
    public let worldSize: Int
    /// The number of processes of the job on this node.
    public let localSize: Int
    /// The number of nodes of the job.
    public let nodeCount: Int
    /// This node's name.
    public let hostname: String

    /// A process on its own.
    public static var single: Topology {
        Topology(
            globalRank: 0, localRank: 0, nodeRank: 0, worldSize: 1, localSize: 1, nodeCount: 1,
            hostname: localHostname())
    }

    /// Makes a topology from its parts.
    public init(
        globalRank: Int, localRank: Int, nodeRank: Int, worldSize: Int, localSize: Int, nodeCount: Int, hostname: String
    ) {
        self.globalRank = globalRank
        self.localRank = localRank
        self.nodeRank = nodeRank
        self.worldSize = worldSize
        self.localSize = localSize
        self.nodeCount = nodeCount
        self.hostname = hostname
    }

    /// Finds the place of this process by asking the others.
    ///
    /// Collective over `world`.
    ///
    /// - Parameters:
    ///   - world: all ranks of the job.
    ///   - node: the ranks of this node, from `world.splitShared()`.
    /// - Throws: `MPIError` when MPI fails.
    public init(world: Communicator, node: Communicator) throws(MPIError) {
        // A node is known by the world rank of its first process.
        let leader = try node.broadcast([Int64(world.rank)], from: 0)[0]
        let leaders = try world.allGather([leader]).joined()
        let nodes = Set(leaders).sorted()
        self.init(
            globalRank: world.rank, localRank: node.rank, nodeRank: nodes.firstIndex(of: leader) ?? 0,
            worldSize: world.size, localSize: node.size, nodeCount: nodes.count, hostname: localHostname())
    }
}
