import Lightning

/// The document's section "example_input_array": a batch that the module always has at hand.
///
/// A property to override, of inputs that are one tensor; the summary uses it too.
public final class ExampleInputArray: LightningModule, ManualTrainingModule {
    private let task = AutomaticOptimization.TwoOptimizers()
    private let noise: Tensor
    /// The images generated after each epoch.
    public private(set) var generatedImages: [Tensor] = []

    /// A generator with noise for four images.
    public override init() {
        var stream = RandomStream(seed: 0, purpose: .user)
        noise = stream.normals([4, 8])
        super.init()
    }

    /// Noise for four images.
    public override var exampleInputArray: Tensor? { noise }

    /// Trains the generator alone, against a discriminator that knows nothing.
    public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws {
        let optimizer = optimizers()[0]
        optimizer.zeroGradients()
        try manualBackward(task.loss(task.generator(task.noise(batch.sampleCount)), answer: 1))
        try optimizer.step()
    }

    /// One optimizer.
    public func configureOptimizers() -> [OptimizerConfiguration] {
        [.init(Adam(task.generator.parameters, learningRate: 1e-2))]
    }

    /// Generates some images using the example inputs.
    public override func onTrainEpochEnd() {
        guard let exampleInputArray else { return }
        generatedImages.append(withoutGradient { task.generator(exampleInputArray) })
    }
}
