import Foundation

/// The results of a run as one JSON object.
enum JSONReport {
    /// Every metric by name, and what the run was; numbers that JSON does not have are null.
    static func text(_ outcome: RunOutcome) throws -> String {
        let trainer = outcome.trainer
        var object: [String: Any] = [:]
        for (name, value) in trainer.callbackMetrics { object[name] = value.isFinite ? value as Any : NSNull() }
        object["global_step"] = trainer.globalStep
        object["epoch"] = trainer.currentEpoch
        object["world_size"] = trainer.worldSize
        object["seconds"] = trainer.seconds
        object["samples_per_second"] = trainer.samplesPerSecond ?? NSNull()
        object["checkpoint"] = outcome.checkpoint ?? NSNull()
        let data = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
        return String(decoding: data, as: UTF8.self)
    }
}
