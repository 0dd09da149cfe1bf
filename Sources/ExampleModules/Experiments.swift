import Foundation
import Lightning

/// The experiments of the `lightning` program.
public enum Experiments {
    /// All of them.
    public static var all: [Experiment] { [digits, digitsGAN, fashion, text] }

    /// Handwritten digits, carried inside the program.
    public static var digits: Experiment {
        Experiment(
            "digits", summary: "a small convolutional network on the UCI handwritten digits",
            module: { (settings: ImageClassifier.Hyperparameters, _: DigitsData) in try ImageClassifier(settings) },
            data: { (settings: DigitsData.Settings) in try DigitsData(settings) })
    }

    /// Two networks trained against each other.
    public static var digitsGAN: Experiment {
        Experiment(
            "digits-gan", summary: "adversarial networks that learn to draw the digits",
            module: { (settings: DigitsGAN.Hyperparameters, _: DigitsData) in DigitsGAN(settings) },
            data: { (settings: DigitsData.Settings) in try DigitsData(settings) })
    }

    /// Fashion-MNIST.
    public static var fashion: Experiment {
        Experiment(
            "fashion-mnist", summary: "a convolutional network on Fashion-MNIST",
            module: { (settings: ImageClassifier.Hyperparameters, _: FashionData) in try ImageClassifier(settings) },
            data: { (settings: FashionData.Settings) in FashionData(settings) })
    }

    /// A character transformer.
    public static var text: Experiment {
        Experiment(
            "gpt", summary: "a character transformer on the King James Bible or a text file",
            module: { (settings: CharacterTransformer.Hyperparameters, data: TextData) in
                guard settings.context >= data.settings.context else {
                    throw TrainingError(
                        "model.context \(settings.context) is shorter than data.context \(data.settings.context)")
                }
                data.vocabularyLimit = settings.vocabularySize
                return try CharacterTransformer(settings)
            },
            data: { (settings: TextData.Settings) in TextData(settings) }, predict: writeSample)
    }

    /// Writes a text drawn from the model to `sample.txt` in the run's directory.
    private static func writeSample(
        _ trainer: Trainer, _ module: CharacterTransformer, _ data: TextData, _ checkpoint: String?
    ) throws {
        try trainer.predict(module, data: data, checkpoint: checkpoint) {
            let settings = module.hyperparameters
            let prompt = settings.prompt.unicodeScalars
            let numbers = prompt.compactMap { data.vocabulary.firstIndex(of: $0).map(Int64.init) }
            guard numbers.count == prompt.count, !numbers.isEmpty else {
                throw TrainingError("model.prompt '\(settings.prompt)' has characters that are not in the text")
            }
            let path = try trainer.runDirectory() + "/sample.txt"
            guard trainer.isGlobalZero else { return }
            let drawn = module.generate(from: numbers, count: settings.sampleLength, seed: trainer.seed)
            // The model may know more numbers than the text has characters.
            let characters = drawn.compactMap { Int($0) < data.vocabulary.count ? data.vocabulary[Int($0)] : nil }
            let text = String(String.UnicodeScalarView(characters))
            try (text + "\n").write(toFile: path, atomically: true, encoding: .utf8)
            trainer.print(text)
            trainer.print("written to \(path)")
        }
    }
}
