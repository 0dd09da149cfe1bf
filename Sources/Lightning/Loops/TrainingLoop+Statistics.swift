import DataLoading
import DataParallel
import NN
import Tensors

extension TrainingLoop {
    /// One pass over the training data through the training step: no gradients, hooks, metrics or progress.
    ///
    /// What it leaves behind is what layers remember of their inputs, such as running moments.
    func passOverData() throws {
        let loader = try source.loader(inEpoch: trainer.progress.epoch)
        let sampler = try trainer.sampler(of: loader, shuffledByDefault: true, epoch: trainer.epochOfData)
        let (modes, logs) = (module.modes, trainer.logging.isEnabled)
        trainer.logging.isEnabled = false
        defer {
            trainer.logging.isEnabled = logs
            module.restoreModes(modes)
        }
        module.train()
        let batches = loader.batches(of: sampler, limit: try trainer.trainBatches(of: sampler))
        try withoutGradient {
            while let next = try batches.next() {
                Watchdog.phase = TrainingPhase("a pass over the data", epoch: trainer.progress.epoch, batch: next.index)
                RandomContext.current.begin(step: trainer.progress.batch + next.index, shard: trainer.globalRank)
                guard let batch = next.batch else { continue }
                try optimization.runForward(trainer.transfer(batch, to: module), next.index)
            }
        }
    }
}
