import Foundation

extension Trainer {
    /// Does something of one's own and takes its time under a name, when there is a profiler.
    ///
    /// ```swift
    /// let features = trainer.profile("features") { extractor(batch.inputs) }
    /// ```
    public func profile<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
        guard let profiler else { return try body() }
        return try profiler.time(profiler.action(named: name), body)
    }

    /// Does a part of a run, and takes its time when there is a profiler.
    @inline(__always)
    func timed<Result>(_ part: RunPart, _ body: () throws -> Result) rethrows -> Result {
        guard let profiler else { return try body() }
        return try profiler.time(part, body)
    }

    /// Calls a hook of the module.
    @inline(__always)
    func timed<Result>(_ hook: Hook, _ module: LightningModule, _ body: () throws -> Result) rethrows -> Result {
        guard let profiler else { return try body() }
        return try profiler.time(profiler.action(hook, of: module, "LightningModule"), isHook: true, body)
    }

    /// Calls a hook of all callbacks.
    @inline(__always)
    func callCallbacks(_ hook: Hook, _ body: (Callback) throws -> Void) rethrows {
        guard let profiler else {
            for callback in callbacks { try body(callback) }
            return
        }
        for callback in callbacks {
            try profiler.time(profiler.action(hook, of: callback, "Callback"), isHook: true) { try body(callback) }
        }
    }

    // MARK: - The run

    /// Begins to take time: on all ranks at the same moment, so that their traces fit together.
    func beginProfile() throws {
        guard let profiler else { return }
        try strategy.barrier("the beginning of the profile")
        profiler.begin()
        try World.current().lane?.report(to: profiler)
    }

    /// Lets the trace go to the run's directory, which is there from now on.
    func openProfile(_ stage: RunStage) throws {
        guard let profiler else { return }
        let directory = try runDirectory()
        guard profiler.kind == .trace else { return }
        // Only rank 0 made the directory, and the others write into it.
        try strategy.barrier("the directory of the profile")
        try profiler.openTrace(
            "\(directory)/trace-\(stage.rawValue)-rank\(globalRank).json", rank: globalRank,
            host: strategy.topology.hostname)
    }

    /// Says where the time of a run went.
    ///
    /// - Parameter isCollective: Whether all ranks come here; after a failure each has but its own times.
    func endProfile(_ stage: RunStage, isCollective: Bool) throws {
        guard let profiler else { return }
        try World.current().lane?.report(to: nil)
        if profiler.kind == .trace { return try profiler.writeTrace() }
        let own = profiler.share
        let shares =
            isCollective
            ? try strategy.gather(try JSON.encode(own), tag: "profiles").map {
                try JSON.decode(ProfileShare.self, from: $0)
            } : [own]
        // A run that was refused has no directory, and nothing to tell.
        guard isGlobalZero, let directory else { return }
        let table = ProfileTable(stage: stage.rawValue, shares)
        print("\n" + table.text)
        let path = "\(directory)/profile-\(stage.rawValue)"
        try (table.text + "\n").write(toFile: path + ".txt", atomically: true, encoding: .utf8)
        try JSON.pretty(table).write(to: URL(fileURLWithPath: path + ".json"), options: .atomic)
    }
}

extension LightningModule {
    /// Does something of one's own and takes its time under a name, when the trainer has a profiler.
    ///
    /// ```swift
    /// let features = profile("features") { extractor(batch.inputs) }
    /// ```
    public final func profile<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
        guard let attachedTrainer else { return try body() }
        return try attachedTrainer.profile(name, body)
    }
}
