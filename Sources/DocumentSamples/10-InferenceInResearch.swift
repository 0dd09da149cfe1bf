import ExampleModules
import Lightning

/// The document's section "Inference in Research": `forward` called by hand, for one sample and for a whole text.
///
/// `eval()` and `no_grad()` are `evaluate()` and `withoutGradient`, and still the caller's to ask for.
public enum InferenceInResearch {
    /// `model.eval(); with torch.no_grad(): pred = model(batch)`.
    public static func infer(
        _ model: StarterExample.LightningTransformer, _ data: some Dataset<LabeledBatch>
    ) throws -> Tensor {
        model.evaluate()
        return try withoutGradient {
            let batch = try data.batch(at: [0])
            return model(batch.inputs, batch.labels)
        }
    }

    /// Generation: an encoder reads, a decoder writes word after word.
    ///
    /// The document's `forward` leaves the decoding open; here each word is the likeliest after those written so far.
    public final class Seq2Seq: LightningModule, Layer, TrainingModule {
        private let model: WordTransformer
        private let start: Int

        /// A network over so many words, of which one more begins every answer.
        public init(vocabularySize: Int) {
            start = vocabularySize
            model = WordTransformer(
                vocabulary: vocabularySize + 1, width: 32, heads: 4, hidden: 64, layers: 1, dropout: 0,
                positions: .own)
            super.init()
        }

        private func answer(beginningWith words: Tensor) -> Tensor {
            let first = Tensor([Int64](repeating: Int64(start), count: words.shape[0]), shape: [words.shape[0], 1])
            return Tensor.concatenate([first, words], along: 1)
        }

        /// The answers to some questions: `int64 [samples, length]` to the same.
        public func callAsFunction(_ x: Tensor) -> Tensor {
            let (samples, length) = (x.shape[0], x.shape[1])
            var decoded = answer(beginningWith: Tensor([Int64](), shape: [samples, 0]))
            for position in 0..<length {
                // decode
                let scores = model(x, decoded).reshaped(to: [samples, position + 1, start + 1])
                let next = scores.select(position, along: 1).argmax()
                decoded = Tensor.concatenate([decoded, next.expandingDimension(at: 1)], along: 1)
            }
            return decoded.slice(1..<(length + 1), along: 1)
        }

        /// The decoder is given the answer one position late, so that each word is foretold.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
            let length = batch.labels.shape[1]
            let given = answer(beginningWith: batch.labels.slice(0..<(length - 1), along: 1))
            return negativeLogLikelihood(model(batch.inputs, given), batch.labels.reshaped(to: [-1]))
        }

        /// Adam.
        public func configureOptimizers() -> OptimizerConfiguration { .init(Adam(parameters, learningRate: 3e-3)) }
    }

    /// A module whose forward is only a part of it, here the decoder; `predictStep` scales it.
    public final class Autoencoder: LightningModule, Layer, TrainingModule, PredictionModule {
        private let encoder: Sequential
        private let decoder: Sequential

        /// Images of so many pixels, through a code of so many numbers.
        public init(pixels: Int, code: Int) {
            encoder = Sequential {
                Linear(pixels, 32)
                ReLU()
                Linear(32, code)
            }
            decoder = Sequential {
                Linear(code, 32)
                ReLU()
                Linear(32, pixels)
            }
            super.init()
        }

        /// Decodes.
        public func callAsFunction(_ x: Tensor) -> Tensor { decoder(x) }

        /// How far decoded images are from those encoded.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
            let images = batch.inputs.flattened()
            return meanSquaredError(decoder(encoder(images)), images)
        }

        /// Adam.
        public func configureOptimizers() -> OptimizerConfiguration { .init(Adam(parameters, learningRate: 3e-3)) }

        /// Calls forward; so it would without being written, for a batch that is a tensor.
        public func predictStep(_ batch: Tensor, batchIndex: Int) -> Tensor { self(batch) }
    }

    /// Codes to predict for.
    public final class Codes: LightningDataModule, PredictionData {
        private let count: Int
        private let size: Int

        /// So many codes of so many numbers.
        public init(count: Int, size: Int) { (self.count, self.size) = (count, size) }

        /// The same codes in every run.
        public func codes() -> Tensor {
            var stream = RandomStream(seed: 7, purpose: .user)
            return stream.normals([count, size])
        }

        /// The codes, in batches of four.
        public func predictDataLoader() -> DataLoader<Tensor> {
            let codes = codes()
            let rows = TensorDataset(inputs: codes, labels: Tensor.range(count)).map { $0.inputs }
            return DataLoader(rows, batchSize: 4)
        }
    }

    /// `Trainer(accelerator="gpu", devices=2).predict(model, data_module)`: how many devices there are is said by
    /// `mpirun -n 2`.
    public static func predictAtScale(
        _ model: Autoencoder, _ dataModule: Codes, in directory: String
    ) throws -> Tensor? {
        let trainer = try Trainer(defaultRootDir: directory)
        return try trainer.predict(model, data: dataModule)
    }
}
