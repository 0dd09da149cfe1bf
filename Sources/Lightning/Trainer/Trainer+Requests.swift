import DataLoading

// Requests that say two things at once, or too little. They do not compile; these say why.

extension Trainer {
    /// Loaders or a data module, not both.
    @available(*, unavailable, message: "give fit either loaders or a data module, not both")
    public func fit<M: TrainableModule>(
        _ module: M, train: DataLoader<M.TrainingBatch>, data: LightningDataModule, checkpoint: String? = nil
    ) throws {}

    /// Loaders or a data module, not both.
    @available(*, unavailable, message: "give fit either loaders or a data module, not both")
    public func fit<M: TrainableModule & ValidationModule>(
        _ module: M, train: DataLoader<M.TrainingBatch>, validation: DataLoader<M.ValidationBatch>,
        data: LightningDataModule, checkpoint: String? = nil
    ) throws {}

    /// Data has to come from somewhere.
    @available(
        *, unavailable,
        message: "give fit loaders (train:) or a data module (data:), or let the module be a TrainingSource"
    )
    public func fit<M: TrainableModule>(_ module: M, checkpoint: String? = nil) throws {}
}
