import Checkpoints

extension SavedHyperparameters {
    /// Builds the module of a checkpoint, given what its hyperparameters do not say, and loads its weights.
    ///
    /// - Parameters:
    ///   - path: The checkpoint.
    ///   - hyperparametersFile: A YAML file, such as a run's `hparams.yaml`, whose keys replace the checkpoint's.
    ///   - build: Builds the module.
    /// - Throws: ``CheckpointError`` when the file holds another model, or neither file holds hyperparameters;
    ///   ``ConfigurationError`` for mistakes in the YAML file.
    public static func load(
        fromCheckpoint path: String, hyperparametersFile: String? = nil, build: (Hyperparameters) throws -> Self
    ) throws -> Self {
        let checkpoint = try Checkpoint.read(from: path, weightsOnly: true)
        let saved: Hyperparameters? = try checkpoint.get("hyperparameters")
        let file = try hyperparametersFile.map { try ConfigurationFile(path: $0) }
        let hyperparameters: Hyperparameters
        switch (saved, file) {
        case (let saved?, nil): hyperparameters = saved
        case (let saved?, let file?): hyperparameters = try file.decode(Hyperparameters.self, default: saved)
        case (nil, let file?): hyperparameters = try file.decode(Hyperparameters.self)
        case (nil, nil):
            throw CheckpointError(
                "\(path) holds no hyperparameters; name a file of them, or build the module yourself and load its weights"
            )
        }
        let module = try build(hyperparameters)
        try module.configureModel()
        try module.onLoadCheckpoint(checkpoint)
        try module.load(checkpoint.model, strict: module.strictLoading)
        return module
    }
}

extension HyperparameterModule {
    /// Builds the module of a checkpoint with its hyperparameters, and loads its weights.
    ///
    /// - Parameters:
    ///   - path: The checkpoint.
    ///   - hyperparametersFile: A YAML file, such as a run's `hparams.yaml`, whose keys replace the checkpoint's.
    ///   - override: Changes hyperparameters before the module is built.
    /// - Throws: ``CheckpointError`` when the file holds another model, or neither file holds hyperparameters;
    ///   ``ConfigurationError`` for mistakes in the YAML file.
    public static func load(
        fromCheckpoint path: String, hyperparametersFile: String? = nil,
        override: (inout Hyperparameters) -> Void = { _ in }
    ) throws -> Self {
        try load(fromCheckpoint: path, hyperparametersFile: hyperparametersFile) { saved in
            var hyperparameters = saved
            override(&hyperparameters)
            return try Self(hyperparameters)
        }
    }
}
