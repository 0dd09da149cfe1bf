import Lightning

/// A decoder-only transformer over characters (Radford et al., 2019; pre-norm blocks, tied embedding).
public final class CharacterTransformer: LightningModule, HyperparameterModule, TrainingModule, ValidationModule,
    TestModule, PredictionModule, Layer
{
    /// What the network looks like and how it is trained.
    public struct Hyperparameters: Codable, Sendable, DefaultInitializable {
        /// Distinct characters; at least those of the text.
        public var vocabularySize = 96
        /// Characters seen at once.
        public var context = 128
        /// Blocks.
        public var layers = 4
        /// Width of the model.
        public var width = 192
        /// Attention heads per block.
        public var heads = 6
        /// Share of activations dropped in training.
        public var dropout = 0.0
        /// The largest learning rate of AdamW.
        public var learningRate = 2e-3
        /// The weight decay of AdamW, on matrices only.
        public var weightDecay = 0.1
        /// Optimizer steps over which the learning rate rises.
        public var warmUpSteps = 100
        /// Optimizer steps over which it rises and falls along a cosine.
        public var scheduleSteps = 2_000
        /// Characters of the sample that `predict` writes.
        public var sampleLength = 600
        /// The temperature at which they are drawn; 0 takes the likeliest.
        public var temperature = 0.8
        /// How the sample begins.
        public var prompt = "And God said"

        /// The defaults.
        public init() {}
    }

    /// What this network was built from.
    public let hyperparameters: Hyperparameters
    private let tokens: Embedding
    private let positions: Embedding
    private let blocks: [Block]
    private let norm: LayerNorm

    /// Builds the network.
    public init(_ hyperparameters: Hyperparameters) throws {
        let settings = hyperparameters
        guard settings.width % settings.heads == 0 else {
            throw TrainingError("model.width \(settings.width) is no multiple of model.heads \(settings.heads)")
        }
        self.hyperparameters = settings
        tokens = Embedding(settings.vocabularySize, settings.width, deviation: 0.02)
        positions = Embedding(settings.context, settings.width, deviation: 0.02)
        blocks = (0..<settings.layers).map { _ in Block(settings) }
        norm = LayerNorm(settings.width, bias: false)
        super.init()
    }

    /// One text of the longest length, for the summary.
    public override var exampleInputArray: Tensor? { .zeros([1, hyperparameters.context], dtype: .int64) }

    /// Logits of the next character at each position: `int64 [samples, length]` to `[samples, length, characters]`.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        var x = tokens(input) + positions.weight.value.slice(0..<input.shape[1])
        for block in blocks { x = block(x) }
        return norm(x).linear(weight: tokens.weight.value, bias: nil)
    }

    /// Mean cross-entropy per character, in nats.
    public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor {
        let loss = crossEntropy(self(batch.inputs), batch.labels)
        log("train_loss", loss, onStep: true, onEpoch: true, progressBar: true)
        return loss
    }

    /// Logs `val_loss`, nats per character.
    public func validationStep(_ batch: LabeledBatch, batchIndex: Int) throws {
        log("val_loss", crossEntropy(self(batch.inputs), batch.labels), progressBar: true)
    }

    /// Logs `test_loss`, nats per character.
    public func testStep(_ batch: LabeledBatch, batchIndex: Int) throws {
        log("test_loss", crossEntropy(self(batch.inputs), batch.labels))
    }

    /// The likeliest next character at each position, `[samples, length]`.
    public func predictStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor { self(batch.inputs).argmax() }

    /// AdamW with decay on matrices only; a warm-up, then a cosine down to a tenth.
    public func configureOptimizers() throws -> OptimizerConfiguration {
        let settings = hyperparameters
        let optimizer = AdamW(
            groups: [
                ParameterGroup(
                    parameters.filter { $0.shape.count >= 2 }, learningRate: settings.learningRate,
                    weightDecay: settings.weightDecay, name: "matrices"),
                ParameterGroup(
                    parameters.filter { $0.shape.count < 2 }, learningRate: settings.learningRate, weightDecay: 0,
                    name: "vectors"),
            ], betas: (0.9, 0.99))
        let schedule = CosineSchedule(total: settings.scheduleSteps, warmUp: settings.warmUpSteps, floor: 0.1)
        return OptimizerConfiguration(optimizer, schedule: schedule, interval: .step)
    }

    /// Draws characters one after another, each from the distribution given those before it.
    ///
    /// - Parameters:
    ///   - prompt: Numbers of the first characters; at least one.
    ///   - count: How many to add.
    ///   - seed: Decides the draws.
    public func generate(from prompt: [Int64], count: Int, seed: UInt64) -> [Int64] {
        var text = prompt
        var stream = RandomStream(seed: seed, purpose: .user)
        withoutGradient {
            for _ in 0..<count {
                let window = Array(text.suffix(hyperparameters.context))
                let logits = self(Tensor(window, shape: [1, window.count]))[0][window.count - 1]
                guard hyperparameters.temperature > 0 else {
                    text.append(Int64(logits.argmax().item))
                    continue
                }
                let weights = (logits / hyperparameters.temperature).softmax().doubles
                var left = stream.uniforms(1)[0] * weights.reduce(0, +)
                let drawn = weights.firstIndex { weight in
                    left -= weight
                    return left < 0
                }
                text.append(Int64(drawn ?? weights.count - 1))
            }
        }
        return text
    }

    /// Attention and a two-layer perceptron, each added to what came in.
    private final class Block: Module {
        private let firstNorm: LayerNorm
        private let attention: SelfAttention
        private let secondNorm: LayerNorm
        private let up: Linear
        private let down: Linear
        private let dropout: Dropout

        init(_ settings: Hyperparameters) {
            let (width, first) = (settings.width, Initializer.normal(deviation: 0.02))
            firstNorm = LayerNorm(width, bias: false)
            attention = SelfAttention(width, heads: settings.heads, isCausal: true, bias: false, initializer: first)
            secondNorm = LayerNorm(width, bias: false)
            up = Linear(width, 4 * width, bias: false, initializer: first)
            down = Linear(4 * width, width, bias: false, initializer: first)
            dropout = Dropout(settings.dropout)
        }

        func callAsFunction(_ input: Tensor) -> Tensor {
            let x = input + dropout(attention(firstNorm(input)))
            return x + dropout(down(up(secondNorm(x)).gelu()))
        }
    }
}
