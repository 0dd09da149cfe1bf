// The command line over the shipped example modules: `lightning {fit|validate|test|predict} --config FILE …`.
import ExampleModules
import Lightning

LightningCommandLine.main(Experiments.all)
