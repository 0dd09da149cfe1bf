import Tensors

// The number of the loader is told to steps in this form; in the other, `dataLoaderIndex` of the module says it.

/// A module whose validation step asks which of several loaders a batch comes from.
public protocol SeveralLoadersValidationModule: ValidationModule {
    /// What the step receives.
    associatedtype ValidationBatch  // again, so that it is inferred from this step
    /// What the step returns for the hooks after the batch, if anything.
    associatedtype ValidationOutput

    /// Evaluates a batch of the loader with a number.
    func validationStep(_ batch: ValidationBatch, batchIndex: Int, dataLoaderIndex: Int) throws -> ValidationOutput
}

extension SeveralLoadersValidationModule {
    /// The step with the number of the present loader.
    public func validationStep(_ batch: ValidationBatch, batchIndex: Int) throws -> ValidationOutput {
        try validationStep(batch, batchIndex: batchIndex, dataLoaderIndex: dataLoaderIndex)
    }
}

/// A module whose test step asks which of several loaders a batch comes from.
public protocol SeveralLoadersTestModule: TestModule {
    /// What the step receives.
    associatedtype TestBatch  // again, so that it is inferred from this step
    /// What the step returns for the hooks after the batch, if anything.
    associatedtype TestOutput

    /// Evaluates a batch of the loader with a number.
    func testStep(_ batch: TestBatch, batchIndex: Int, dataLoaderIndex: Int) throws -> TestOutput
}

extension SeveralLoadersTestModule {
    /// The step with the number of the present loader.
    public func testStep(_ batch: TestBatch, batchIndex: Int) throws -> TestOutput {
        try testStep(batch, batchIndex: batchIndex, dataLoaderIndex: dataLoaderIndex)
    }
}

/// A module whose prediction step asks which of several loaders a batch comes from.
public protocol SeveralLoadersPredictionModule: PredictionModule {
    /// What the step receives.
    associatedtype PredictionBatch  // again, so that it is inferred from this step

    /// The prediction for a batch of the loader with a number.
    func predictStep(_ batch: PredictionBatch, batchIndex: Int, dataLoaderIndex: Int) throws -> Tensor
}

extension SeveralLoadersPredictionModule {
    /// The step with the number of the present loader.
    public func predictStep(_ batch: PredictionBatch, batchIndex: Int) throws -> Tensor {
        try predictStep(batch, batchIndex: batchIndex, dataLoaderIndex: dataLoaderIndex)
    }
}
