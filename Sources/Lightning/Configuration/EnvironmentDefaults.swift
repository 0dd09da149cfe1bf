import Foundation

extension Trainer.Configuration {
    /// What the variables that set flags begin with.
    static let environmentPrefix = "LIGHTNING_TRAINER_"

    /// The defaults, with the flags that environment variables set: `LIGHTNING_TRAINER_MAX_EPOCHS=3` is `maxEpochs`.
    ///
    /// The command line and `Trainer(maxEpochs:…)` begin with them, so that a batch script can set what the program leaves
    /// open; what a file, an override or an argument says counts more. Values are written as in YAML:
    /// `LIGHTNING_TRAINER_LIMIT_TRAIN_BATCHES=0.1`, `LIGHTNING_TRAINER_LOGGERS='[csv, tensorBoard]'`.
    /// - Throws: ``ConfigurationError`` for variables that name no flag, and for values of the wrong type.
    public static func fromEnvironment(
        _ environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> Self {
        let variables = environment.filter { $0.key.hasPrefix(environmentPrefix) }
        guard !variables.isEmpty else { return Self() }
        let flags = try NodeEncoder.encode(Self()).mapping?.entries.map(\.key) ?? []
        return try ConfigurationFile(variables: variables, prefix: environmentPrefix, keys: flags)
            .decode(Self.self, default: Self())
    }
}

extension ConfigurationFile {
    /// The values of environment variables, each under the key it is named after: `PREFIX_MAX_EPOCHS` for `maxEpochs`.
    ///
    /// - Throws: ``ConfigurationError`` for variables that are named after no key.
    init(variables: [String: String], prefix: String, keys: [String]) throws {
        var root = ConfigurationNode(.mapping(.init()), .defaults)
        var problems: [ConfigurationError.Problem] = []
        let names = Dictionary(uniqueKeysWithValues: keys.map { (prefix + Self.variable($0), $0) })
        for (index, (variable, value)) in variables.sorted(by: { $0.key < $1.key }).enumerated() {
            let origin = ConfigurationOrigin.environment("\(variable)=\(value)", index: index)
            guard let key = names[variable] else {
                let near = NearestWord.of(String(variable.dropFirst(prefix.count)), among: keys).map {
                    prefix + Self.variable($0)
                }
                problems.append(
                    .init(origin, [], "there is no such flag" + (near.map { "; did you mean \($0)?" } ?? "")))
                continue
            }
            do {
                try ConfigurationOverride("\(key)=\(value)", origin).apply(to: &root)
            } catch let error as ConfigurationError { problems += error.problems }
        }
        guard problems.isEmpty else { throw ConfigurationError(problems) }
        self.init(root: root, name: "environment")
    }

    /// `limitTrainBatches` as `LIMIT_TRAIN_BATCHES`.
    private static func variable(_ key: String) -> String {
        key.reduce(into: "") { name, letter in
            if letter.isUppercase { name.append("_") }
            name += letter.uppercased()
        }
    }
}
